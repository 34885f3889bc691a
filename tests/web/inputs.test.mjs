import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, ANALYST, begin_input, dialog, escape, log_file, pick, poll, row, sound, splunk, splunkd, visit } from './stage.mjs';

let stage;
before(async () => {
    const log = log_file([
        '7200 ERROR defender://failing: HTTP 503 from Microsoft Graph: try again later',
        poll(7201, 'failing', { events: 0 }),
        '10800 ERROR defender://mended: HTTP 503 from Microsoft Graph: try again later',
        poll(10740, 'mended'),
        poll(1500, 'reading', { rows: 600, left: 1_728_000, took: '60.0' }),
        poll(600, 'reading', { rows: 3000, left: 864_000, took: '60.0' }),
    ]);
    stage = await splunk('--log', log);
    // As inputs that ran before and are off now, so that nothing but the log speaks of them.
    for (const name of ['failing', 'mended']) await splunkd(stage, 'data/inputs/defender', { name, feed: 'alerts', account: 'demo', index: 'main', disabled: '1' });
    await splunkd(stage, 'data/inputs/defender', { name: 'reading', feed: 'alerts', account: 'demo', index: 'main', interval: '0 0 1 1 *' });
});
after(() => stage.stop());
afterEach(all_sound);

const toggle = (page, name) => page.getByRole('switch', { name: `Collect ${name}` });
const save = (page) => dialog(page).getByRole('button', { name: 'Save' });

test('an error shows until a poll that ended without one', async () => {
    const page = await visit(stage, 'inputs');
    await row(page, 'failing').getByText('2 h ago: HTTP 503 from Microsoft Graph: try again later').waitFor();
    await row(page, 'mended').getByText('3 h ago, resolved').waitFor();
    await row(page, 'reading').getByText('none in 24 h').waitFor();
});

test('how far history has been read, how fast, and when it will be done', async () => {
    const page = await visit(stage, 'inputs');
    const history = page.getByRole('region', { name: 'Reading history' });
    // 864,000 s in 900 s, and as much is left; 3,600 objects in 960 s.
    await history.getByText('20 d of 30 d read, 225 objects/min, done in about 15 min').waitFor();
    assert.equal(await history.getByRole('progressbar', { name: 'History of reading' }).getAttribute('aria-valuenow'), '67');
    await page.getByRole('tab', { name: 'Health' }).click();
    await row(page, 'reading').getByText('20 d of 30 d read, 225 objects/min, done in about 15 min').waitFor();
    await row(page, 'mended').getByText('read', { exact: true }).waitFor();
});

test("the program's refusal stands at the field it is about, and nothing is saved", async () => {
    const page = await visit(stage, 'inputs', { refusals: [400] });
    const form = await begin_input(page, { name: 'refused', account: 'wrong_secret' });
    const said = (field) => form.locator('[data-error="true"]').filter({ has: page.locator(`[name="${field}"], [data-test="select"]`) });
    await save(page).click();
    await said('account').getByText('AADSTS7000215').waitFor();
    assert.equal(await form.getByRole('alert').innerText(), '', 'the refusal is at the field, not above the form');
    await pick(page, 'Account', 'no_permission');
    await save(page).click();
    await said('account').getByText('SecurityIncident.Read.All').waitFor();
    await pick(page, 'Account', 'demo');
    await form.getByRole('button', { name: 'Advanced' }).click();
    await form.locator('input[name="filter"]').fill('lastUpdateDateTime gt 2026-01-01T00:00:00Z');
    await form.getByRole('button', { name: 'Advanced' }).click();
    await save(page).click();
    await said('filter').getByText(/parameter filter/).waitFor();
    for (const [field, value] of [['start', 'yesterday'], ['lookback', '5 minutes'], ['page_size', '5000']]) {
        await form.locator('input[name="filter"]').fill('');
        await form.locator(`input[name="${field}"]`).fill(value);
        await save(page).click();
        await said(field).getByText(`parameter ${field}: `).waitFor();
        await form.locator(`input[name="${field}"]`).fill('');
    }
    assert.equal((await splunkd(stage, 'data/inputs/defender/refused')).status, 404);
});

test('what is missing stands at its field, and nothing is sent', async () => {
    const page = await visit(stage, 'inputs');
    await page.getByRole('button', { name: 'Add input' }).click();
    const form = dialog(page);
    await form.locator('input[name="name"]').fill('two words');
    await form.locator('input[name="index"]').fill('');
    const changes = () => page.sent.filter(({ method, url }) => method !== 'GET' && !url.includes('search/jobs')).length;
    await save(page).click();
    await form.getByText('Use letters, digits, _ and - only.').waitFor();
    await form.getByText('Choose an account.').waitFor();
    await form.getByText('Choose an index.').waitFor();
    await form.locator('input[name="name"]').fill('failing');
    await save(page).click();
    await form.getByText('This name is taken.').waitFor();
    assert.equal(changes(), 0);
});

test('the form shows what the feed takes, and its defaults', async () => {
    const page = await visit(stage, 'inputs');
    const form = await begin_input(page, { name: 'shape', account: 'demo' });
    await form.getByText('Alerts of incidents').waitFor();
    await form.getByRole('button', { name: 'Advanced' }).click();
    const pages = form.locator('input[name="page_size"]');
    assert.equal(await pages.inputValue(), '50');
    await pick(page, 'Feed', 'Alerts');
    await form.getByText('Alerts of incidents').waitFor({ state: 'detached' });
    assert.equal(await pages.inputValue(), '1000');
    await pages.fill('20');
    await pick(page, 'API', 'Defender APIs');
    await form.getByText('from 2 to 10000').waitFor();
    assert.equal(await pages.inputValue(), '20', 'what was typed stays');
    await sound(page);
});

test('the feeds of the streaming API have fields of their own', async () => {
    const page = await visit(stage, 'inputs', { refusals: [400] });
    const form = await begin_input(page, { name: 'streamed', account: 'demo' });
    const shown = () => form.locator('label').allInnerTexts().then((labels) => labels.map((label) => label.replace('*', '').trim()));
    await form.getByRole('button', { name: 'Advanced' }).click();
    await pick(page, 'Feed', /^Storage account/);
    assert.deepEqual(await shown(), ['Name', 'Feed', 'Account', 'Index', 'Storage account', 'Start', 'Tables', 'Shape', 'Look back', 'Repeated records', 'Interval']);
    assert.equal(await form.locator('input[name="lookback"]').inputValue(), '24h');
    await pick(page, 'Feed', /^Event hub/);
    assert.deepEqual(await shown(), ['Name', 'Feed', 'Account', 'Index', 'Namespace', 'Event hub', 'Consumer group', 'Start', 'Tables', 'Shape', 'Partitions', 'Transport', 'Repeated records', 'Interval']);
    assert.equal(await form.locator('input[name="start"]').inputValue(), 'latest');
    await save(page).click();
    await form.getByText('This is required.').first().waitFor();
    await form.locator('input[name="event_hub_namespace"]').fill('http://contoso');
    await form.locator('input[name="event_hub_name"]').fill('defender');
    await save(page).click();
    await form.locator('[data-error="true"]').getByText('parameter event_hub_namespace: ').waitFor();
    const sent = page.sent.filter(({ method, url }) => method === 'POST' && /inputs\/defender\?/.test(url)).map(({ body }) => body);
    assert.deepEqual(sent, ['name=streamed&feed=event_hub&account=demo&index=main&event_hub_namespace=http%3A%2F%2Fcontoso&event_hub_name=defender&interval=60']);
});

test('add, edit, disable, enable, delete', async () => {
    const page = await visit(stage, 'inputs');
    let form = await begin_input(page, { name: 'alerts_of_demo', account: 'demo' });
    await pick(page, 'Feed', 'Alerts');
    await save(page).dblclick();
    await row(page, 'alerts_of_demo').waitFor();
    const made = page.sent.filter(({ method, url }) => method === 'POST' && /inputs\/defender\?/.test(url));
    assert.deepEqual(made.map(({ body }) => body), ['name=alerts_of_demo&feed=alerts&account=demo&index=main&interval=60']);
    await page.getByRole('button', { name: 'Edit alerts_of_demo', exact: true }).click();
    form = dialog(page);
    await form.getByRole('button', { name: 'Advanced' }).click();
    await form.locator('input[name="interval"]').fill('300');
    await save(page).click();
    await row(page, 'alerts_of_demo').getByText('300 s').waitFor();
    const disabled = async () => String((await splunkd(stage, 'data/inputs/defender/alerts_of_demo')).entry[0].content.disabled);
    await toggle(page, 'alerts_of_demo').click();
    await row(page, 'alerts_of_demo').getByText('Disabled').waitFor();
    assert.equal(await disabled(), 'true');
    await toggle(page, 'alerts_of_demo').click();
    await row(page, 'alerts_of_demo').getByText('Enabled').waitFor();
    assert.equal(await disabled(), 'false');
    await page.getByRole('button', { name: 'Delete alerts_of_demo' }).click();
    await dialog(page).getByRole('button', { name: 'Delete input' }).dblclick();
    await row(page, 'alerts_of_demo').waitFor({ state: 'detached' });
    assert.equal(page.sent.filter(({ method }) => method === 'DELETE').length, 1);
});

test('a clone has what the original has, and a name that is free', async () => {
    const wanted = { feed: 'incidents', account: 'demo', index: 'security', include_alerts: 'all', start: '12h', filter: "severity eq 'high'", page_size: '20', interval: '600', disabled: '1' };
    await splunkd(stage, 'data/inputs/defender', { name: 'original', ...wanted });
    const page = await visit(stage, 'inputs');
    for (const name of ['original_copy', 'original_copy_2']) {
        await page.getByRole('button', { name: 'Clone original', exact: true }).click();
        assert.equal(await dialog(page).locator('input[name="name"]').inputValue(), name);
        await save(page).click();
        await row(page, name).waitFor();
        const { content } = (await splunkd(stage, `data/inputs/defender/${name}`)).entry[0];
        for (const [setting, value] of Object.entries(wanted)) if (setting !== 'disabled') assert.equal(content[setting], value, setting);
        await toggle(page, name).click();
        await row(page, name).getByText('Disabled').waitFor();
    }
});

test('an index that only the indexers have is typed', async () => {
    const page = await visit(stage, 'inputs');
    const form = await begin_input(page, { name: 'elsewhere', account: 'demo' });
    await form.locator('input[name="index"]').fill('only_on_indexers');
    await page.keyboard.press('Tab');
    await save(page).click();
    await row(page, 'elsewhere').getByText('only_on_indexers').waitFor();
});

test('who may not write is told so, and sees the inputs all the same', async () => {
    const page = await visit(stage, 'inputs', { session: ANALYST, refusals: [403] });
    await toggle(page, 'failing').click();
    await page.getByRole('alert').getByText('You are not allowed to do this.').waitFor();
    await row(page, 'failing').getByText('Disabled').waitFor();
    await page.getByRole('button', { name: 'Delete failing' }).click();
    await dialog(page).getByRole('button', { name: 'Delete input' }).click();
    await dialog(page).getByText('You are not allowed to do this.').waitFor();
    assert.equal((await splunkd(stage, 'data/inputs/defender/failing')).status, 200);
});

test('without a right to _internal the inputs are there, and why nothing is known of them', async () => {
    const page = await visit(stage, 'inputs', { refusals: [403] });
    await page.route('**/search/jobs**', (route) => route.fulfill({ status: 403, json: { messages: [{ type: 'FATAL', text: 'no search for you' }] } }));
    await page.reload();
    await page.getByText('The state of the inputs is not known: You are not allowed to do this. no search for you').waitFor();
    await row(page, 'failing').waitFor();
});

test('without the REST handler the button says so, and an input is tried out all the same', async () => {
    const without = await splunk('--no-handler');
    try {
        const page = await visit(without, 'accounts', { refusals: [404, 400] });
        await page.getByRole('button', { name: 'Test connection of demo' }).click();
        await dialog(page).getByText('The test is not available on this instance').waitFor();
        await escape(page);
        await page.getByRole('tab', { name: 'Inputs' }).click();
        const form = await begin_input(page, { name: 'tried', account: 'wrong_secret' });
        await save(page).click();
        await form.getByText('AADSTS7000215').waitFor();
        await all_sound();
    } finally {
        await without.stop();
    }
});
