import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ANALYST, dialog, fill_account, keeps_secrets, row, SECRET, splunk, splunkd, visit } from './stage.mjs';

let stage;
before(async () => (stage = await splunk()));
after(() => stage.stop());

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
    assert.deepEqual(page.complaints, []);
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
    await choose_cloud(page);
    await form.getByRole('button', { name: 'Save' }).click();
    await row(page, 'demo').getByText('GCC', { exact: true }).waitFor();
    const stored = await splunkd(stage, 'storage/passwords/defender_account:demo.client_secret:');
    assert.equal(stored.entry[0].content.clear_password, SECRET);
    assert.ok(page.sent.every(({ method, url }) => method === 'GET' || !url.includes('storage/passwords')));
});

const choose_cloud = async (page) => {
    await dialog(page).getByRole('button', { name: 'Cloud' }).or(dialog(page).getByRole('combobox', { name: 'Cloud' })).first().click();
    await page.getByRole('option', { name: /^GCC(?! High)/ }).first().click();
};

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

test('deleting is refused while something uses the account, which is named', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Delete by_certificate' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await dialog(page).getByText('saved search Close test alerts').waitFor();
    await dialog(page).getByRole('button', { name: 'Cancel' }).click();
    await row(page, 'by_certificate').waitFor();
    await page.getByRole('button', { name: 'Delete no_permission' }).click();
    await dialog(page).getByRole('button', { name: 'Delete account' }).click();
    await row(page, 'no_permission').waitFor({ state: 'detached' });
    assert.equal((await splunkd(stage, 'storage/passwords/defender_account:no_permission.client_secret:')).status, 404);
});

test('a connection that works, and one with a wrong secret', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Test connection of contoso' }).click();
    await dialog(page).getByText('SecurityIncident.ReadWrite.All').first().waitFor();
    await dialog(page).getByText('Works').first().waitFor();
    await dialog(page).getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('button', { name: 'Test connection of wrong_secret' }).click();
    await dialog(page).getByText('AADSTS7000215').first().waitFor();
    const asked = page.sent.filter(({ url }) => url.includes('test_connection'));
    assert.deepEqual(asked.map(({ body }) => body), ['account=contoso', 'account=wrong_secret']);
});

test('a slow handler is explained, not waited for', async () => {
    const page = await visit(stage);
    await page.route('**/test_connection**', (route) => route.fulfill({ status: 504, contentType: 'text/html', body: '<h1>Gateway Timeout</h1>' }));
    await page.getByRole('button', { name: 'Test connection of demo' }).click();
    await dialog(page).getByText('The test is not available on this instance').waitFor();
});

test('who may not write is told so, and nothing is changed', async () => {
    const page = await visit(stage, 'accounts', { session: ANALYST });
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, stage.at, { name: 'forbidden' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await dialog(page).getByText('You are not allowed to do this.').waitFor();
    assert.equal((await splunkd(stage, 'configs/conf-defender_account/forbidden')).status, 404);
});

test('a change without the CSRF token is refused by Splunk Web', async () => {
    const page = await visit(stage);
    const status = await page.evaluate(async () => (await fetch('/en-US/splunkd/__raw/servicesNS/nobody/TA_defender/configs/conf-defender_account', { method: 'POST', body: 'name=x' })).status);
    assert.equal(status, 401);
});
