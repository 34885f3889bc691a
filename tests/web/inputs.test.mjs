import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dialog, fill_account, row, splunk, splunkd, visit } from './stage.mjs';

const stages = [];
const open = async (...options) => {
    const stage = await splunk(...options);
    stages.push(stage);
    return stage;
};
after(() => Promise.all(stages.map((stage) => stage.stop())));

let stage;
before(async () => (stage = await open()));

test('first run: an account, then two inputs, then events', async () => {
    const fresh = await open('--first-run');
    const page = await visit(fresh);
    await page.getByText('Connect your tenant').waitFor();
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, fresh.at, { name: 'contoso' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await page.getByText('Collect incidents and alerts').waitFor();
    assert.equal((await splunkd(fresh, 'apps/local/TA_defender')).entry[0].content.configured, true);
    await page.getByRole('button', { name: 'Create both inputs' }).click();
    await row(page, 'contoso_incidents').waitFor();
    await row(page, 'contoso_alerts').waitFor();
    await page.getByText('Events arriving in defender').waitFor();
    await page.getByRole('cell', { name: 'ms:defender:atp:alerts' }).first().waitFor();
    const { entry } = await splunkd(fresh, 'data/inputs/defender/contoso_incidents');
    assert.deepEqual([entry[0].content.include_alerts, entry[0].content.index], ['none', 'defender']);
    assert.deepEqual(page.complaints, []);
});

const add = async (page, { name, account }) => {
    await page.getByRole('button', { name: /^(Set up another input|Add input)$/ }).click();
    const form = dialog(page);
    await form.locator('input[name="name"]').fill(name);
    await pick(page, 'Account', account);
    return form;
};
const pick = async (page, label, option) => {
    const control = dialog(page).getByRole('combobox', { name: label }).or(dialog(page).getByRole('button', { name: label }));
    await control.first().click();
    await page.getByRole('option', { name: option }).first().click();
};

test("the program's refusal stands at the field it is about, and nothing is saved", async () => {
    const page = await visit(stage, 'inputs');
    const form = await add(page, { name: 'refused', account: 'wrong_secret' });
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('AADSTS7000215').waitFor();
    assert.equal(await form.getByRole('alert').innerText(), '', 'the refusal is at the field, not above the form');
    await pick(page, 'Account', 'no_permission');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('SecurityIncident.Read.All').waitFor();
    await pick(page, 'Account', 'demo');
    await form.getByRole('button', { name: 'Advanced' }).click();
    await form.locator('input[name="filter"]').fill('lastUpdateDateTime gt 2026-01-01T00:00:00Z');
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText(/parameter filter/).waitFor();
    assert.equal((await splunkd(stage, 'data/inputs/defender/refused')).status, 404);
});

test('the form shows what the feed takes', async () => {
    const page = await visit(stage, 'inputs');
    const form = await add(page, { name: 'shape', account: 'demo' });
    await form.getByText('Alerts of incidents').waitFor();
    await pick(page, 'Feed', 'Alerts');
    await form.getByText('Alerts of incidents').waitFor({ state: 'detached' });
});

test('add, clone, edit, disable, enable, delete; and health tells of it', async () => {
    const page = await visit(stage, 'inputs');
    let form = await add(page, { name: 'alerts_of_demo', account: 'demo' });
    await pick(page, 'Feed', 'Alerts');
    await form.getByRole('button', { name: 'Save' }).dblclick();
    await row(page, 'alerts_of_demo').waitFor();
    assert.equal(page.sent.filter(({ method, url }) => method === 'POST' && /inputs\/defender\?/.test(url)).length, 1);
    await page.getByRole('button', { name: 'Clone alerts_of_demo' }).click();
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await row(page, 'alerts_of_demo_copy').waitFor();
    await page.getByRole('button', { name: 'Edit alerts_of_demo', exact: true }).click();
    form = dialog(page);
    await form.getByRole('button', { name: 'Advanced' }).click();
    await form.locator('input[name="interval"]').fill('300');
    await form.getByRole('button', { name: 'Save' }).click();
    await row(page, 'alerts_of_demo').getByText('300 s').waitFor();
    await row(page, 'alerts_of_demo').getByRole('switch').or(row(page, 'alerts_of_demo').locator('button[value="alerts_of_demo"]')).first().click();
    await row(page, 'alerts_of_demo').getByText('Disabled').waitFor();
    assert.equal(String((await splunkd(stage, 'data/inputs/defender/alerts_of_demo')).entry[0].content.disabled), 'true');
    await page.getByRole('tab', { name: 'Health' }).click();
    await row(page, 'alerts_of_demo').getByText('newest event').waitFor();
    await page.getByRole('img', { name: /^Events: [1-9]/ }).waitFor();
    await page.getByText(/The certificate of account by_certificate ends in \d+ days/).waitFor();
    await page.getByRole('tab', { name: 'Inputs' }).click();
    await page.getByRole('button', { name: 'Delete alerts_of_demo_copy' }).click();
    await dialog(page).getByRole('button', { name: 'Delete input' }).click();
    await row(page, 'alerts_of_demo_copy').waitFor({ state: 'detached' });
    assert.deepEqual(page.complaints, []);
});

test('without the REST handler the button says so, and an input is tried out all the same', async () => {
    const without = await open('--no-handler');
    const page = await visit(without);
    await page.getByRole('button', { name: 'Test connection of demo' }).click();
    await dialog(page).getByText('The test is not available on this instance').waitFor();
    await page.goto(`${without.at.web}#inputs`);
    const form = await (await page.reload(), add(page, { name: 'tried', account: 'wrong_secret' }));
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('AADSTS7000215').waitFor();
});

test('settings are kept, the proxy password in the password store alone', async () => {
    const page = await visit(stage, 'settings');
    await page.locator('input[name="url"]').fill('proxy.example.com');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Use http://host:port or https://host:port.').waitFor();
    await page.locator('input[name="url"]').fill('http://127.0.0.1:3128');
    await page.locator('input[name="username"]').fill('splunk');
    await page.locator('input[name="password"]').fill('proxy-password-1');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved. Inputs').waitFor();
    assert.equal(await page.locator('input[name="password"]').inputValue(), '');
    assert.equal((await splunkd(stage, 'storage/passwords/defender_settings:proxy:')).entry[0].content.clear_password, 'proxy-password-1');
    assert.equal((await splunkd(stage, 'configs/conf-defender_settings/proxy')).entry[0].content.url, 'http://127.0.0.1:3128');
});

test('the tabs and forms work from the keyboard', async () => {
    const page = await visit(stage);
    await page.getByRole('tab', { name: 'Accounts' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.getByRole('tabpanel', { name: 'Inputs' }).waitFor();
    await page.goto(`${stage.at.web}#accounts`);
    await page.getByRole('button', { name: 'Add account' }).focus();
    await page.keyboard.press('Enter');
    await dialog(page).locator('input[name="name"]').waitFor();
    const labelled = await dialog(page).locator('input:visible').evaluateAll((inputs) => inputs.every((one) => one.labels?.length || one.getAttribute('aria-labelledby') || one.getAttribute('aria-label')));
    assert.ok(labelled, 'every control has a label');
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'hidden' });
});
