import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, ANALYST, dialog, escape, fill_account, keeps_secrets, pick, row, SECRET, sound, splunk, splunkd, visit } from './stage.mjs';

let stage;
before(async () => {
    stage = await splunk('--hub', 'defender');
    await splunkd(stage, 'data/inputs/defender', { name: 'of_certificate', feed: 'alerts', account: 'by_certificate', disabled: '1' });
});
after(() => stage.stop());
afterEach(all_sound);

test('an account is added once however often Save is clicked, its secret goes to the password store alone', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, stage.at, { name: 'contoso' });
    await dialog(page).getByRole('button', { name: 'Save' }).dblclick();
    await row(page, 'contoso').waitFor();
    const made = page.sent.filter(({ method, url }) => method === 'POST' && /conf-defender_account\?/.test(url));
    assert.equal(made.length, 1);
    assert.ok(made.every(({ body }) => !body.includes('secret-0123456789ab')));
    const stored = await splunkd(stage, 'storage/passwords/defender_account:contoso.client_secret:');
    assert.equal(stored.entry[0].content.clear_password, SECRET);
    await keeps_secrets(page, SECRET);
    // Later as well, and of the secrets that were there before: nothing brings one to the browser.
    await page.getByRole('button', { name: 'Edit contoso' }).click();
    await dialog(page).getByLabel('Client secret').waitFor();
    await keeps_secrets(page, SECRET);
});

test('what is missing or wrong stands at its field, and nothing is sent', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Add account' }).click();
    const form = dialog(page);
    await form.locator('input[name="name"]').fill('two words');
    const sent = page.sent.length;
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('Use letters, digits, _ and - only.').waitFor();
    await form.getByText('Enter the directory (tenant) ID.').waitFor();
    await form.getByText('Enter the client secret.').waitFor();
    await form.locator('input[name="name"]').fill('demo');
    await form.getByRole('button', { name: 'Advanced' }).click();
    await form.locator('input[name="login_url"]').fill('http://example.com');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('This name is taken.').waitFor();
    await form.getByText('Use https, or http on this machine.').last().waitFor();
    assert.equal(page.sent.length, sent);
});

test('a blank secret keeps the stored one', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Edit demo' }).click();
    const form = dialog(page);
    assert.equal(await form.locator('input[name="client_secret"]').inputValue(), '');
    await pick(page, 'Cloud', /^GCC(?! High)/);
    await form.getByRole('button', { name: 'Save' }).click();
    await row(page, 'demo').getByText('GCC', { exact: true }).waitFor();
    const stored = await splunkd(stage, 'storage/passwords/defender_account:demo.client_secret:');
    assert.equal(stored.entry[0].content.clear_password, SECRET);
    assert.ok(page.sent.every(({ method, url }) => method === 'GET' || !url.includes('storage/passwords')));
});

test('a long private key is stored in pieces that the program can join', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Edit by_certificate' }).click();
    const form = dialog(page);
    const key = `-----BEGIN PRIVATE KEY-----\n${'MIIEvgIBADANBgkqhkiG9w0B\n'.repeat(30)}-----END PRIVATE KEY-----`;
    await form.locator('textarea[name="certificate_key"]').or(form.locator('[name="certificate_key"] textarea')).first().fill(key);
    await form.getByRole('button', { name: 'Save' }).click();
    await form.waitFor({ state: 'hidden' });
    const { entry } = await splunkd(stage, 'storage/passwords?count=0&search=by_certificate.certificate_key');
    const pieces = entry.sort((a, b) => Number(a.content.username.split('.').pop()) - Number(b.content.username.split('.').pop())).map((one) => one.content.clear_password);
    assert.ok(pieces.every((piece) => piece.length <= 250));
    assert.equal(pieces.join(''), `${pieces.length}:${key}`);
    await keeps_secrets(page, 'MIIEvgIBADANBgkqhkiG9w0B');
});

test('a new way to sign in asks for its secret, and what the old one left is removed with the account', async () => {
    await splunkd(stage, 'configs/conf-defender_account', { name: 'changing', tenant_id: 'contoso.onmicrosoft.com', client_id: 'x' });
    await splunkd(stage, 'storage/passwords', { realm: 'defender_account', name: 'changing.client_secret', password: 'old' });
    for (const piece of [1, 2]) await splunkd(stage, 'storage/passwords', { realm: 'defender_account', name: `changing.certificate_key.${piece}`, password: 'old' });
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Edit changing' }).click();
    await pick(page, 'Sign in with', 'Certificate');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByText('Paste the private key.').waitFor();
    await dialog(page).getByText('Paste the certificate as PEM, with its BEGIN and END lines.').waitFor();
    await escape(page);
    await page.getByRole('button', { name: 'Delete changing' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await row(page, 'changing').waitFor({ state: 'detached' });
    const { entry } = await splunkd(stage, 'storage/passwords?count=0&search=changing');
    assert.deepEqual(entry.map(({ name }) => name), []);
    // splunkd answered each removal with all that is left, in clear text; no script read it.
    await keeps_secrets(page, SECRET);
});

test('a connection string takes the place of an app registration', async () => {
    const text = 'Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=read;SharedAccessKey=c2ltdWxhdGVk';
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Add account' }).click();
    await dialog(page).locator('input[name="name"]').fill('hub');
    await pick(page, 'Sign in with', /^Connection string/);
    await dialog(page).getByLabel('Tenant ID').waitFor({ state: 'detached' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByText('Enter the connection string.').waitFor();
    await dialog(page).locator('input[name="connection_string"]').fill(text);
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await row(page, 'hub').getByText('Connection string').waitFor();
    assert.equal((await splunkd(stage, 'storage/passwords/defender_account:hub.connection_string:')).entry[0].content.clear_password, text);
    assert.equal((await splunkd(stage, 'configs/conf-defender_account/hub')).entry[0].content.auth, 'connection_string');
    await keeps_secrets(page, text);
});

test('a name with a space that was made in a file can be deleted', async () => {
    await splunkd(stage, 'configs/conf-defender_account', { name: 'two words/100%', tenant_id: 'x', client_id: 'x' });
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Delete two words/100%' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await row(page, 'two words/100%').waitFor({ state: 'detached' });
    assert.ok((await splunkd(stage, 'configs/conf-defender_account')).entry.every(({ name }) => name !== 'two words/100%'));
});

test('deleting is refused while an input and a saved search use the account, and both are named', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Delete by_certificate' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await dialog(page).getByText('by_certificate is still used by input of_certificate, saved search Close test alerts. Give them another account, or delete them first.').waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    await row(page, 'by_certificate').waitFor();
    assert.ok(page.sent.every(({ method }) => method !== 'DELETE'));
});

test('an account that nothing uses is deleted with its secret', async () => {
    await splunkd(stage, 'configs/conf-defender_account', { name: 'leaving', tenant_id: 'x', client_id: 'x' });
    await splunkd(stage, 'storage/passwords', { realm: 'defender_account', name: 'leaving.client_secret', password: 'x' });
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Delete leaving' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).dblclick();
    await row(page, 'leaving').waitFor({ state: 'detached' });
    assert.equal((await splunkd(stage, 'storage/passwords/defender_account:leaving.client_secret:')).status, 404);
    assert.equal(page.sent.filter(({ method, url }) => method === 'DELETE' && url.includes('conf-defender_account')).length, 1);
});

const test_connection = async (page, account) => {
    await page.getByRole('button', { name: `Test connection of ${account}` }).click();
    await dialog(page).getByRole('button', { name: 'Test again' }).waitFor();
};
const close = (page) => dialog(page).getByRole('button', { name: 'Close' }).last().click();

test('a connection that works, one with a wrong secret, one without permission', async () => {
    const page = await visit(stage);
    await test_connection(page, 'demo');
    const graph = dialog(page).getByRole('region', { name: 'Microsoft Graph' });
    await graph.getByText('Works', { exact: true }).waitFor();
    await graph.getByRole('row', { name: 'SecurityIncident.ReadWrite.All action defender_incident_update Granted' }).waitFor();
    await close(page);
    await test_connection(page, 'wrong_secret');
    await dialog(page).getByText('Token: Entra ID', { exact: false }).first().waitFor();
    await dialog(page).getByText('AADSTS7000215').first().waitFor();
    await dialog(page).getByText('What to do:').first().waitFor();
    await sound(page);
    await close(page);
    await test_connection(page, 'no_permission');
    await graph.getByText('Does not work').waitFor();
    await graph.getByRole('row', { name: 'SecurityIncident.Read.All feed incidents Missing' }).waitFor();
    await graph.getByText(/What to do: grant .*SecurityIncident\.Read\.All/).waitFor();
    const asked = page.sent.filter(({ url }) => url.includes('test_connection'));
    assert.deepEqual(asked.map(({ body }) => body), ['account=demo', 'account=wrong_secret', 'account=no_permission']);
});

test('a connection string is tried with its event hub, and with the input that uses it', async () => {
    const name = 'raw_events';
    await splunkd(stage, 'configs/conf-defender_account', { name, auth: 'connection_string' });
    await splunkd(stage, 'storage/passwords', { realm: 'defender_account', name: `${name}.connection_string`, password: stage.at.connection_string });
    const page = await visit(stage);
    await test_connection(page, name);
    const hubs = dialog(page).getByRole('region', { name: 'Azure Event Hubs', exact: true });
    await hubs.getByText('Works', { exact: true }).waitFor();
    await hubs.getByText('Token: accepted').waitFor();
    await hubs.getByText('Nothing was read: the connection string names no event hub, and no input uses the account yet.').waitFor();
    await close(page);
    await splunkd(stage, 'data/inputs/defender', { name: 'of_the_hub', feed: 'event_hub', account: name, event_hub_namespace: stage.at.event_hubs, event_hub_name: 'defender', disabled: '1' });
    await test_connection(page, name);
    const input = dialog(page).getByRole('region', { name: 'Azure Event Hubs, input of_the_hub' });
    await input.getByText('Read: succeeded').waitFor();
    assert.equal(await input.getByText('Token:', { exact: false }).count(), 0);
    await sound(page);
    await keeps_secrets(page, stage.at.connection_string.match(/SharedAccessKey=([^;]+)/)[1]);
});

test('a handler that is silent for long is given up, and that is explained', async () => {
    const silent = await splunk('--silent-handler');
    try {
        const page = await visit(silent);
        await page.clock.install();
        await test_connection(page, 'demo');
        await dialog(page).getByText('It is given up after 25 seconds.').waitFor();
        await page.clock.fastForward(25_000);
        await dialog(page).getByText('The test is not available on this instance: No answer within 25 s. The account is saved all the same, and saving an input tries it out.').waitFor();
        await dialog(page).getByRole('button', { name: 'Test again' }).click();
        await dialog(page).getByText('Asking for a token').waitFor();
        await all_sound();
    } finally {
        await silent.stop();
    }
});

test('who may not write is told so, and nothing is changed', async () => {
    const page = await visit(stage, 'accounts', { session: ANALYST, refusals: [403] });
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, stage.at, { name: 'forbidden' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByText('You are not allowed to do this.').waitFor();
    assert.equal((await splunkd(stage, 'configs/conf-defender_account/forbidden')).status, 404);
    await escape(page);
    await test_connection(page, 'demo');
    await dialog(page).getByText('requires capability: list_storage_passwords').waitFor();
    await close(page);
    await page.getByRole('button', { name: 'Delete wrong_secret' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await dialog(page).getByText('storage/passwords').waitFor();
    assert.equal((await splunkd(stage, 'configs/conf-defender_account/wrong_secret')).status, 200);
});

test('without a right to the password store no half account is left, and an old secret stays', async () => {
    const page = await visit(stage, 'accounts', { refusals: [403] });
    await page.route('**/storage/passwords?**', (route) => route.fulfill({ status: 403, json: { messages: [{ type: 'ERROR', text: 'requires capability: edit_storage_passwords' }] } }));
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, stage.at, { name: 'half' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByText('The secret cannot be stored, so the account was not made. You are not allowed to do this. requires capability: edit_storage_passwords').waitFor();
    assert.equal((await splunkd(stage, 'configs/conf-defender_account/half')).status, 404);
});

test('a change without the CSRF token is refused by Splunk Web', async () => {
    const page = await visit(stage, 'accounts', { refusals: [401] });
    const status = await page.evaluate(async () => (await fetch('/en-US/splunkd/__raw/servicesNS/nobody/TA_defender/configs/conf-defender_account', { method: 'POST', body: 'name=x' })).status);
    assert.equal(status, 401);
});
