// A stand-in of Splunk with the app's page, and a browser that looks at it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const of_the_page = createRequire(join(root, 'app/ui/package.json'));
const { chromium } = of_the_page('playwright-core');
const target = process.env.TARGET ?? join(root, 'target/debug');
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const ANALYST = 'analyst0Vm6Pa9wQ3kDq8Fz1nXb7Lr5T';
export const TENANT = 'b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c';
export const CLIENT = '4e7a1f0c-95d2-4c1b-9f5e-2d9a6c1b7f31';
export const SECRET = 'dEm8Q~simulated.not.a.secret-0123456789ab';

/** A module of the page, for what needs no browser. */
export async function ui(path) {
    const { outputFiles } = await of_the_page('esbuild').build({ entryPoints: [join(root, 'app/ui/src', path)], bundle: true, format: 'esm', write: false, logLevel: 'error', loader: { '.tsx': 'tsx' }, jsx: 'automatic' });
    return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`);
}

/** The parameters of the program's scheme. */
export const scheme = () => [...execFileSync(join(target, 'defender'), ['--scheme'], { encoding: 'utf8' }).matchAll(/<arg name="(\w+)">/g)].map(([, name]) => name);

/** Starts splunkd's stand-in and Splunk Web; `options` are those of the program `simulator`. */
export async function splunk(...options) {
    const folder = mkdtempSync(join(tmpdir(), 'defender-page-'));
    const file = join(folder, 'ports');
    const child = spawn(join(target, 'simulator'), ['--web', join(target, 'defender'), '--port-file', file, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
    let ended;
    child.on('exit', (code) => (ended = code));
    while (!existsSync(file)) {
        assert.equal(ended, undefined, 'the stand-in ended before it was up');
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const at = Object.fromEntries(readFileSync(file, 'utf8').trim().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const stop = async () => {
        await browser.close();
        child.kill();
        rmSync(folder, { recursive: true, force: true });
    };
    return { at, browser, stop };
}

/** Keeps what the page's scripts read of answers. */
const overhear = () => {
    window.overheard = [];
    for (const way of ['text', 'json']) {
        const read = Response.prototype[way];
        Response.prototype[way] = async function () {
            const value = await read.call(this);
            window.overheard.push(typeof value === 'string' ? value : JSON.stringify(value));
            return value;
        };
    }
};

const open_pages = [];

/**
 * A page of its own session, looked at by `all_sound` after the test. Chromium complains about each answer that is an error;
 * `refusals` are the statuses that the test is about.
 */
export async function visit({ at, browser }, tab = 'accounts', { session, theme = 'light', refusals = [], width = 1400 } = {}) {
    const context = await browser.newContext({ viewport: { width, height: 900 } });
    const { port } = new URL(at.web);
    if (session) await context.addCookies([{ name: `splunkd_${port}`, value: session, url: at.web }]);
    await context.addInitScript(overhear);
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.said = [];
    page.complaints = [];
    page.sent = [];
    page.on('console', (message) => {
        page.said.push(message.text());
        const status = Number(message.text().match(/^Failed to load resource: .* status of (\d+)/)?.[1]);
        if (['error', 'warning'].includes(message.type()) && !refusals.includes(status)) page.complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('request', (request) => page.sent.push({ method: request.method(), url: request.url(), body: request.postData() ?? '' }));
    await page.goto(`${at.web}?theme=${theme}#${tab}`);
    await page.getByRole('heading', { name: 'Microsoft Defender', exact: true }).waitFor();
    open_pages.push(page);
    return page;
}

/** After each test: no page has complained, every control has a name, no id is there twice. Closes the pages. */
export async function all_sound() {
    for (const page of open_pages.splice(0)) {
        await sound(page);
        await page.context().close();
    }
}

const CONTROLS = ['button', 'textbox', 'combobox', 'searchbox', 'switch', 'checkbox', 'radio', 'tab', 'link', 'option', 'menuitem', 'dialog', 'progressbar'];

/** What can be said of any state of the page. */
export async function sound(page) {
    assert.deepEqual(page.complaints, []);
    const twice = await page.evaluate(() => {
        const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
        return ids.filter((id, at) => ids.indexOf(id) !== at);
    });
    assert.deepEqual(twice, [], 'no id is there twice');
    const inspector = await page.context().newCDPSession(page);
    const { nodes } = await inspector.send('Accessibility.getFullAXTree');
    const nameless = nodes.filter(({ ignored, role, name }) => !ignored && CONTROLS.includes(role?.value) && !name?.value?.trim());
    assert.deepEqual(nameless.map(({ role, properties }) => [role.value, properties]), [], 'every control has a name');
}

/** What names the control that has the focus: its own label, that of the form, or its text. Runs in the page. */
const name_of_focus = () => {
    const one = document.activeElement;
    const labels = (one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '');
    const name = one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? (labels.join(' ').trim() || one.textContent);
    return name.replace(/^\s*\*/, '').trim();
};
export const focused = (page) => page.evaluate(name_of_focus);

/** Focus comes back a moment after a dialog has gone. */
export async function gets_focus(page, name) {
    const has_it = async () => (await focused(page)) === name;
    for (let looks = 0; looks < 100 && !(await has_it()); looks += 1) await page.waitForTimeout(50);
    assert.equal(await focused(page), name);
}

/**
 * Waits until dialogs and menus stand still. They move while they open, and the dialog fetches the focus when it has; a menu
 * that is opened before, faster than a hand can, loses it.
 */
export async function stand_still(page) {
    await page.evaluate(async () => {
        const look = () =>
            JSON.stringify(
                [...document.querySelectorAll('[role=dialog], [role=listbox], [role=option]')].map((element) => {
                    const { x, y, width, height } = element.getBoundingClientRect();
                    const opacities = [];
                    for (let around = element; around; around = around.parentElement) opacities.push(getComputedStyle(around).opacity);
                    return [x, y, width, height, opacities];
                }),
            );
        let before = look();
        for (let frames = 0; frames < 20; frames += 1) {
            await new Promise(requestAnimationFrame);
            const now = look();
            if (now !== before) frames = 0;
            before = now;
        }
    });
}

export const dialog = (page) => page.getByRole('dialog');
export const row = (page, name) => page.getByRole('row').filter({ has: page.getByRole('cell', { name, exact: true }) });

/** Picks an option of a list in the dialog, or types into a list that takes anything. */
export async function pick(page, label, option) {
    const control = dialog(page).getByRole('combobox', { name: label }).or(dialog(page).getByRole('button', { name: label }));
    await control.first().click();
    await page.getByRole('option', { name: option }).first().click();
}

/** Leaves a dialog by its key. A menu that is still closing takes the first one for itself, as it would from a person. */
export async function escape(page) {
    for (let tries = 0; tries < 5; tries += 1) {
        await page.keyboard.press('Escape');
        if (await dialog(page).waitFor({ state: 'hidden', timeout: 2_000 }).then(() => true, () => false)) return;
    }
    throw new Error('the dialog does not close');
}

/** Begins an input in the form. */
export async function begin_input(page, { name, account }) {
    await page.getByRole('button', { name: /^(Set up another input|Add input)$/ }).click();
    const form = dialog(page);
    await form.locator('input[name="name"]').fill(name);
    await pick(page, 'Account', account);
    return form;
}

/** Fills the form of an account that signs in at the stand-ins. */
export async function fill_account(page, at, { name, secret = SECRET }) {
    const form = dialog(page);
    await form.locator('input[name="name"]').fill(name);
    await form.locator('input[name="tenant_id"]').fill(TENANT);
    await form.locator('input[name="client_id"]').fill(CLIENT);
    if (secret) await form.locator('input[name="client_secret"]').fill(secret);
    const closed = !(await form.locator('input[name="login_url"]').isVisible());
    if (closed) await form.getByRole('button', { name: 'Advanced' }).click();
    for (const [setting, url] of [['login_url', at.login], ['graph_url', at.graph], ['defender_url', at.defender]]) {
        await form.locator(`input[name="${setting}"]`).fill(url);
    }
}

/** splunkd itself, asked as splunk-system-user; with a form it is a POST. */
export async function splunkd({ at }, path, form) {
    const response = await fetch(`${at.splunkd}/servicesNS/nobody/TA_defender/${path}${path.includes('?') ? '&' : '?'}output_mode=json`, {
        method: form ? 'POST' : 'GET',
        headers: { Authorization: `Splunk ${at.session_key}` },
        body: form ? new URLSearchParams(form) : undefined,
    });
    const { entry, messages } = await response.json();
    return { status: response.status, entry: entry ?? [], messages };
}

/** Writes the log that inputs left, for the option `--log`: lines of seconds ago, level and text. */
export function log_file(lines) {
    const file = join(mkdtempSync(join(tmpdir(), 'defender-log-')), 'lines');
    writeFileSync(file, lines.join('\n'));
    return file;
}

/** A poll's line as the program writes it. */
export const poll = (ago, input, { requests = 2, rows = 10, events = 10, throttled = '0.0', lag = 60, left = 0, took = '1.0' } = {}) =>
    `${ago} INFO defender://${input}: poll requests=${requests} rows=${rows} events=${events} repeats=0 halved=0 throttled_s=${throttled} settled=2026-01-31T00:00:00.000Z lag_s=${lag} history_left_s=${left} set_aside=0 duration_s=${took}`;

const STREAMED = readFileSync(new URL('../streamed.log', import.meta.url), 'utf8').split('\n');

/** A line of a streaming input, of a poll or of a partition, with some of its numbers. */
export const streamed = (ago, mark, numbers) =>
    Object.entries(numbers).reduce((line, [name, value]) => line.replace(new RegExp(` ${name}=\\S+`), ` ${name}=${value}`), `${ago} ${STREAMED.find((line) => line.includes(mark))}`);

/** A secret is in no address, no line of the console, nothing that scripts read, no storage, no control and no state of React's. */
export async function keeps_secrets(page, secret) {
    for (const { url } of page.sent) assert.ok(!decodeURIComponent(url).includes(secret), `a secret in ${url}`);
    assert.ok(!page.said.join('\n').includes(secret), 'a secret in the console');
    const places = await page.evaluate((secret) => {
        const found = [];
        const note = (where, text) => typeof text === 'string' && text.includes(secret) && found.push(where);
        for (const text of window.overheard) note('what scripts read', text);
        note('the page', document.documentElement.outerHTML);
        for (const one of document.querySelectorAll('input, textarea')) note('a control', one.value);
        for (const store of [localStorage, sessionStorage]) note('storage', JSON.stringify(store));
        note('the address', location.href + JSON.stringify(history.state));
        // React keeps the tree of what it drew at the element it draws into: state and props of every component are in it.
        const root = document.getElementById('ta-defender-configuration');
        const seen = new Set();
        const walk = (value, path, depth) => {
            note(`state at ${path}`, value);
            if (value === null || typeof value !== 'object' || seen.has(value) || depth > 60) return;
            if (value instanceof Node || value instanceof Window) return;
            seen.add(value);
            for (const key of Object.keys(value)) {
                if (key !== 'return') walk(value[key], `${path}.${key}`.slice(-120), ['child', 'sibling'].includes(key) ? depth : depth + 1);
            }
        };
        walk(root[Object.keys(root).find((key) => key.startsWith('__reactContainer$'))], 'root', 0);
        return { found, size: seen.size };
    }, secret);
    assert.ok(places.size > 1000, `the state of React was looked through: ${places.size} objects`);
    assert.deepEqual(places.found, []);
}
