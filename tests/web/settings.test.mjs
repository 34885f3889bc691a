import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, ANALYST, gets_focus, keeps_secrets, sound, splunk, splunkd, visit } from './stage.mjs';

let stage;
before(async () => (stage = await splunk()));
after(() => stage.stop());
afterEach(all_sound);

const PASSWORD = 'proxy-password-1';
const save = (page) => page.getByRole('button', { name: 'Save' });
const value = async (stanza, setting) => (await splunkd(stage, `configs/conf-defender_settings/${stanza}`)).entry[0]?.content[setting];
const password = async () => (await splunkd(stage, 'storage/passwords/defender_settings:proxy:')).entry[0]?.content.clear_password;

test('what is wrong stands at its field, and nothing is sent', async () => {
    const page = await visit(stage, 'settings');
    const wrong = async (field, text, said) => {
        await page.locator(`input[name="${field}"]`).fill(text);
        await save(page).click();
        await page.getByText(said).waitFor();
    };
    await wrong('url', 'proxy.example.com', 'Use http://host:port or https://host:port.');
    await wrong('url', 'http://user:secret@proxy.example.com', 'Give user and password in their own fields.');
    await page.locator('input[name="url"]').fill('');
    await wrong('username', 'splunk', 'A user needs a proxy.');
    await gets_focus(page, 'URL');
    await wrong('ca_bundle', 'corporate.pem', 'Use the full path of the file.');
    assert.ok(page.sent.every(({ method, url }) => method === 'GET' || !url.includes('defender_settings')));
});

test('a password that a file put into the URL is not shown, and moves to the password store', async () => {
    await splunkd(stage, 'configs/conf-defender_settings/proxy', { url: `http://svc:${PASSWORD}@127.0.0.1:3128` });
    const page = await visit(stage, 'settings');
    await page.getByText('The stored URL of the proxy holds a user or a password').waitFor();
    assert.equal(await page.locator('input[name="url"]').inputValue(), 'http://127.0.0.1:3128');
    assert.equal(await page.locator('input[name="username"]').inputValue(), 'svc');
    assert.ok(!(await page.content()).includes(PASSWORD));
    await save(page).click();
    await page.getByText('The stored URL of the proxy holds a user or a password').waitFor();
    assert.match(await value('proxy', 'url'), /svc:/, 'nothing is lost before the password was entered');
    await page.locator('input[name="password"]').fill(PASSWORD);
    await save(page).click();
    await page.getByText('Saved. Inputs').waitFor();
    assert.equal(await value('proxy', 'url'), 'http://127.0.0.1:3128');
    assert.equal(await password(), PASSWORD);
});

test('settings are kept, the proxy password in the password store alone', async () => {
    const page = await visit(stage, 'settings');
    await page.locator('input[name="url"]').fill('http://127.0.0.1:3128');
    await page.locator('input[name="username"]').fill('splunk');
    await page.locator('input[name="password"]').fill(PASSWORD);
    await page.locator('input[name="no_proxy"]').fill('.corp.example.com');
    await page.locator('input[name="ca_bundle"]').fill('/etc/pki/corporate.pem');
    await page.getByRole('button', { name: 'Log level' }).or(page.getByRole('combobox', { name: 'Log level' })).click();
    await page.getByRole('option', { name: 'DEBUG' }).click();
    await save(page).dblclick();
    await page.getByText('Saved. Inputs').waitFor();
    assert.equal(await page.locator('input[name="password"]').inputValue(), '');
    assert.equal(await password(), PASSWORD);
    await keeps_secrets(page, PASSWORD);
    const found = [await value('proxy', 'url'), await value('proxy', 'username'), await value('proxy', 'no_proxy'), await value('tls', 'ca_bundle'), await value('logging', 'level')];
    assert.deepEqual(found, ['http://127.0.0.1:3128', 'splunk', '.corp.example.com', '/etc/pki/corporate.pem', 'DEBUG']);
    assert.equal(page.sent.filter(({ method, url }) => method === 'POST' && url.includes('storage/passwords')).length, 1);
    await sound(page);

    await page.reload();
    await page.locator('input[name="username"]').waitFor();
    assert.equal(await page.locator('input[name="username"]').inputValue(), 'splunk');
    await save(page).click();
    await page.getByText('Saved. Inputs').waitFor();
    assert.equal(await password(), PASSWORD, 'a blank password keeps the stored one');
    await page.locator('input[name="username"]').fill('');
    const removed = page.waitForResponse((response) => response.request().method() === 'DELETE');
    await save(page).click();
    await removed;
    await page.getByText('Saved. Inputs').waitFor();
    assert.equal(await password(), undefined, 'without its user a password is removed');
    await keeps_secrets(page, PASSWORD);
});

test('who may not write is told so', async () => {
    const page = await visit(stage, 'settings', { session: ANALYST, refusals: [403] });
    await page.locator('input[name="no_proxy"]').fill('.example.com');
    await save(page).click();
    await page.getByRole('alert').getByText('You are not allowed to do this.').waitFor();
});
