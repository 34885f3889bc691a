import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, begin_input, dialog, escape, fill_account, gets_focus, keeps_secrets, row, SECRET, sound, splunk, splunkd, visit } from './stage.mjs';

let fresh;
before(async () => (fresh = await splunk('--first-run')));
after(() => fresh.stop());
afterEach(all_sound);

test('without an account, every tab says what to do', async () => {
    const page = await visit(fresh, 'inputs');
    await page.getByText('An input collects with an account. Add one first.').waitFor();
    await sound(page);
    await page.getByRole('button', { name: 'Go to Accounts' }).click();
    await page.getByText('Connect your tenant').waitFor();
    await page.getByRole('tab', { name: 'Health' }).click();
    await page.getByText('There are no inputs yet. They are made in the tab Inputs.').waitFor();
    await page.getByText('None in 24 hours.').waitFor();
});

test('an account, then two inputs, then events', async () => {
    // splunkd has not been told that the app is set up: opening the app leads to its page, and the page to Accounts.
    assert.equal((await splunkd(fresh, 'apps/local/TA_defender')).entry[0].content.configured, false);
    const page = await visit(fresh, '');
    await page.getByText('Connect your tenant').waitFor();
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, fresh.at, { name: 'contoso' });
    await sound(page);
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await page.getByText('Collect incidents and alerts').waitFor();
    await keeps_secrets(page, SECRET);
    assert.equal((await splunkd(fresh, 'apps/local/TA_defender')).entry[0].content.configured, true);
    assert.equal(await page.getByRole('combobox', { name: 'Index' }).inputValue(), 'defender');
    await page.getByRole('button', { name: 'Create both inputs' }).dblclick();
    await row(page, 'contoso_incidents').waitFor();
    await row(page, 'contoso_alerts').waitFor();
    await page.getByText('Events arriving in defender').waitFor();
    await page.getByRole('cell', { name: 'ms:defender:atp:alerts' }).first().waitFor();
    await page.getByRole('cell', { name: 'ms365:defender:incident' }).first().waitFor();
    const made = page.sent.filter(({ method, url }) => method === 'POST' && /inputs\/defender\?/.test(url)).map(({ body }) => body);
    assert.deepEqual(made, [
        'name=contoso_incidents&feed=incidents&account=contoso&index=defender&include_alerts=none',
        'name=contoso_alerts&feed=alerts&account=contoso&index=defender',
    ]);
});

test('a later account stays at the accounts', async () => {
    const page = await visit(fresh);
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, fresh.at, { name: 'second' });
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await row(page, 'second').waitFor();
    await gets_focus(page, 'Add account');
});

test('a suggestion that is refused says why and leaves room for another', async () => {
    const refused = await splunk('--first-run');
    try {
        const page = await visit(refused, '', { refusals: [400] });
        await page.getByRole('button', { name: 'Add account' }).click();
        await fill_account(page, refused.at, { name: 'contoso', secret: 'a.wrong.secret' });
        await dialog(page).getByRole('button', { name: 'Save' }).click();
        await page.getByRole('button', { name: 'Create both inputs' }).click();
        await page.getByRole('alert').getByText(/^contoso_incidents was not created: .*AADSTS7000215/).waitFor();
        assert.deepEqual((await splunkd(refused, 'data/inputs/defender')).entry, []);
        await begin_input(page, { name: 'other', account: 'contoso' });
        await escape(page);
        await page.getByText('Collect incidents and alerts').waitFor();
        await all_sound();
    } finally {
        await refused.stop();
    }
});

test('of two inputs one can be made alone, and why the other was not is told', async () => {
    const half = await splunk('--first-run');
    try {
        const page = await visit(half, '', { refusals: [400] });
        await page.getByRole('button', { name: 'Add account' }).click();
        await fill_account(page, half.at, { name: 'contoso' });
        await dialog(page).getByRole('button', { name: 'Save' }).click();
        await page.route('**/data/inputs/defender?**', async (route) => {
            if (!route.request().postData()?.includes('feed=alerts')) return route.fallback();
            return route.fulfill({ status: 400, json: { messages: [{ type: 'ERROR', text: 'Argument validation for scheme=defender:  the permission SecurityAlert.Read.All is missing' }] } });
        });
        await page.getByRole('button', { name: 'Create both inputs' }).click();
        await row(page, 'contoso_incidents').waitFor();
        await page.getByRole('alert').getByText('contoso_alerts was not created: the permission SecurityAlert.Read.All is missing').waitFor();
        await all_sound();
    } finally {
        await half.stop();
    }
});
