// A stand-in of Splunk with the app's page, and a browser that looks at it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { chromium } = createRequire(join(root, 'app/ui/package.json'))('playwright-core');
const target = process.env.TARGET ?? join(root, 'target/debug');
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const ANALYST = 'analyst0Vm6Pa9wQ3kDq8Fz1nXb7Lr5T';
export const TENANT = 'b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c';
export const CLIENT = '4e7a1f0c-95d2-4c1b-9f5e-2d9a6c1b7f31';
export const SECRET = 'dEm8Q~simulated.not.a.secret-0123456789ab';

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

/** A page of its own session. What the browser complains about is kept in `complaints`, and what it sent in `sent`. */
export async function visit({ at, browser }, tab = 'accounts', { session, theme = 'light' } = {}) {
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
    const { port } = new URL(at.web);
    if (session) await context.addCookies([{ name: `splunkd_${port}`, value: session, url: at.web }]);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.complaints = [];
    page.sent = [];
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && page.complaints.push(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('request', (request) => page.sent.push({ method: request.method(), url: request.url(), body: request.postData() ?? '' }));
    await page.goto(`${at.web}?theme=${theme}#${tab}`);
    await page.getByRole('heading', { name: 'Microsoft Defender', exact: true }).waitFor();
    return page;
}

export const dialog = (page) => page.getByRole('dialog');
export const row = (page, name) => page.getByRole('row').filter({ has: page.getByRole('cell', { name, exact: true }) });


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

/** splunkd itself, asked as splunk-system-user. */
export async function splunkd({ at }, path) {
    const response = await fetch(`${at.splunkd}/servicesNS/nobody/TA_defender/${path}${path.includes('?') ? '&' : '?'}output_mode=json`, { headers: { Authorization: `Splunk ${at.session_key}` } });
    return { status: response.status, entry: (await response.json()).entry ?? [] };
}

/** No secret in an address, and none left in the page. */
export async function keeps_secrets(page, secret) {
    for (const { url } of page.sent) assert.ok(!url.includes(encodeURIComponent(secret)) && !url.includes(secret), `a secret in ${url}`);
    const held = await page.evaluate(() => document.documentElement.outerHTML + [...document.querySelectorAll('input, textarea')].map((one) => one.value).join('\n'));
    assert.ok(!held.includes(secret), 'a secret is left in the page');
}
