import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, log_file, poll, row, splunk, splunkd, streamed, visit } from './stage.mjs';

const EXPIRED = 'Entra ID: AADSTS7000222: The provided client secret keys are expired: make a new one, and store it in the account';
let stage;
before(async () => {
    // Hours ago, so that what the page says of them is the same on a slow machine.
    const [two, three, four] = [2, 3, 4].map((hours) => hours * 3600);
    const hub = (ago, id, count) => streamed(ago, ' partition=', { partition: id, messages: count, records: count * 10 });
    const log = log_file([
        poll(four, 'busy', { requests: 20, events: 400, lag: 120 }),
        poll(two, 'busy', { requests: 5, events: 7, throttled: '95.5', lag: 3600 }),
        poll(two, 'calm', { requests: 1, events: 0 }),
        `${three} WARN defender://busy: HTTP 429 from Microsoft Graph; asking again later`,
        `${three} WARN defender://busy: HTTP 429 from Microsoft Graph; asking again later`,
        `${four} ERROR defender://calm: ${EXPIRED}`,
        `${two} ERROR defender://locked_out: ${EXPIRED}`,
        streamed(two, ' poll ', { requests: 40, records: 55, lag_s: 3600 }),
        ...[hub(four, 0, 4), hub(four, 1, 4), hub(three, 0, 8), hub(two, 1, 0)],
        '100000 ERROR defender://busy: too long ago to be told',
    ]);
    stage = await splunk('--log', log);
    // Whatever feed they are of: the log alone speaks of them.
    for (const name of ['busy', 'calm', 'locked_out', 'blobs', 'hub']) await splunkd(stage, 'data/inputs/defender', { name, feed: 'alerts', account: 'demo', disabled: '1' });
});
after(() => stage.stop());
afterEach(all_sound);

test('polls, requests, events, throttling and the newest event of each input', async () => {
    const page = await visit(stage, 'health');
    await row(page, 'busy').first().waitFor();
    const cells = async (name) => (await row(page, name).first().getByRole('cell').allInnerTexts()).map((text) => text.trim());
    assert.deepEqual(await cells('busy'), ['busy', '2 h ago', '3 h ago', '2', '25', '407', '2 min', 'read']);
    assert.deepEqual(await cells('blobs'), ['blobs', '2 h ago', '3 h ago', '1', '40', '55', 'no', '–']);
    // Its last line is of a minute without messages.
    assert.deepEqual(await cells('hub'), ['hub', '2 h ago', '3 h ago', '–', '–', '160', 'no', '–']);
    assert.deepEqual(await cells('locked_out'), ['locked_out', 'disabled', '–', '–', '–', '–', '–', '–']);
});

test('events and requests by the hour, of all inputs or of one', async () => {
    const page = await visit(stage, 'health');
    await page.getByRole('img', { name: 'Events: 622 in 24 hours, at most 480 in one' }).waitFor();
    await page.getByRole('img', { name: 'Requests: 66 in 24 hours, at most 46 in one' }).waitFor();
    await page.getByRole('button', { name: 'Input of the charts' }).or(page.getByRole('combobox', { name: 'Input of the charts' })).click();
    await page.getByRole('option', { name: 'calm' }).click();
    await page.getByRole('img', { name: 'Requests: 1 in 24 hours, at most 1 in one' }).waitFor();
});

test('warnings and errors with what to do, and which are over', async () => {
    const page = await visit(stage, 'health');
    const said = page.getByRole('row').filter({ has: page.getByRole('cell', { name: /^(HTTP 429|Entra ID)/ }) });
    await said.first().waitFor();
    assert.deepEqual((await said.allInnerTexts()).map((text) => text.trim().split(/\s*\t\s*/).slice(0, 4)), [
        ['locked_out', 'Error', '2 h ago', '1'],
        ['busy', 'Warning', '3 h ago', '2'],
        ['calm', 'Error, resolved', '4 h ago', '1'],
    ]);
    await page.getByText(EXPIRED).first().waitFor();
    assert.equal(await page.getByText('too long ago').count(), 0);
});

test('a secret that has expired is said above all, once it is renewed no longer', async () => {
    const page = await visit(stage, 'health');
    await page.getByText('Input locked_out: the client secret has expired. Store a new one in the tab Accounts.').waitFor();
    assert.equal(await page.getByText('Input calm: the client secret').count(), 0);
});

test('days until a certificate ends', async () => {
    const page = await visit(stage, 'health');
    await page.getByText(/^The certificate of account by_certificate ends in 1(79|80) days\.$/).waitFor();
});

test('a search that fails is told', async () => {
    const page = await visit(stage, 'health', { refusals: [400] });
    await page.route('**/search/jobs**', (route) => route.fulfill({ status: 400, json: { messages: [{ type: 'FATAL', text: 'The search quota is used up.' }] } }));
    await page.reload();
    await page.getByRole('alert').getByText('The search quota is used up.').waitFor();
});
