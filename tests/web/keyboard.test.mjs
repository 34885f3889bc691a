import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { all_sound, CLIENT, dialog, focused, gets_focus, row, SECRET, splunk, splunkd, stand_still, TENANT, visit } from './stage.mjs';

// Every flow with nothing but keys: what has the focus is asserted on the way.
let stage;
before(async () => {
    stage = await splunk();
    await splunkd(stage, 'data/inputs/defender', { name: 'watched', feed: 'alerts', account: 'demo', index: 'main', disabled: '1' });
});
after(() => stage.stop());
afterEach(all_sound);

/** Presses Tab until a control has the focus; the names on the way. */
async function tab_to(page, name, key = 'Tab') {
    const passed = [];
    for (let pressed = 0; pressed < 60; pressed += 1) {
        await page.keyboard.press(key);
        const now = await focused(page);
        if (now === name) return passed;
        passed.push(now);
    }
    return assert.fail(`no way to ${name} with ${key}: ${passed.join(' > ')}`);
}

test('the tabs', async () => {
    const page = await visit(stage);
    await tab_to(page, 'Accounts');
    for (const name of ['Inputs', 'Settings', 'Health']) {
        await page.keyboard.press('ArrowRight');
        await page.keyboard.press('Enter');
        await page.getByRole('tabpanel', { name }).waitFor();
    }
    await page.goBack();
    await page.getByRole('tabpanel', { name: 'Settings' }).waitFor();
});

test('an account is added, edited, tested and deleted', async () => {
    const page = await visit(stage);
    await row(page, 'demo').waitFor();
    await tab_to(page, 'Add account');
    await page.keyboard.press('Enter');
    await dialog(page).getByLabel('Client secret').waitFor();
    await page.keyboard.type('typed');
    assert.deepEqual(await tab_to(page, 'Tenant ID'), ['Sign in with', 'Cloud'], 'from the name, in the order of the form');
    await page.keyboard.type(TENANT);
    await tab_to(page, 'Client ID');
    await page.keyboard.type(CLIENT);
    await tab_to(page, 'Client secret');
    await page.keyboard.type(SECRET);
    await page.keyboard.press('Enter');
    await row(page, 'typed').waitFor();
    await gets_focus(page, 'Add account');

    await tab_to(page, 'Edit typed');
    await page.keyboard.press('Enter');
    await dialog(page).getByLabel('Client ID').waitFor();
    await stand_still(page);
    await gets_focus(page, 'Sign in with');
    await tab_to(page, 'Cloud');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement.getAttribute('role') === 'option');
    await stand_still(page);
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.getByRole('option', { name: /^DoD/ }).waitFor({ state: 'hidden' });
    await tab_to(page, 'Save');
    await page.keyboard.press('Enter');
    await row(page, 'typed').getByText('DoD').waitFor();
    await gets_focus(page, 'Edit typed');

    await tab_to(page, 'Test connection of typed', 'Shift+Tab');
    await page.keyboard.press('Enter');
    await dialog(page).getByText('Asking for a token').waitFor();
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'hidden' });
    await gets_focus(page, 'Test connection of typed');

    await tab_to(page, 'Delete typed');
    await page.keyboard.press('Enter');
    await tab_to(page, 'Delete account');
    await page.keyboard.press('Enter');
    await row(page, 'typed').waitFor({ state: 'detached' });
    await dialog(page).waitFor({ state: 'hidden' });
    // Its button is gone with its row: the tab's panel has the focus.
    await gets_focus(page, 'Accounts');
});

test('an input is switched on and off, edited, cloned and deleted', async () => {
    const page = await visit(stage, 'inputs');
    await row(page, 'watched').waitFor();
    await tab_to(page, 'Collect watched');
    await page.keyboard.press('Space');
    await row(page, 'watched').getByText('Enabled').waitFor();
    await gets_focus(page, 'Collect watched');
    await page.keyboard.press('Space');
    await row(page, 'watched').getByText('Disabled').waitFor();

    await tab_to(page, 'Edit watched');
    await page.keyboard.press('Enter');
    await dialog(page).getByText('Look back').waitFor({ state: 'hidden' });
    await tab_to(page, 'Advanced');
    await page.keyboard.press('Enter');
    await tab_to(page, 'Interval');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('900');
    await page.keyboard.press('Enter');
    await row(page, 'watched').getByText('900 s').waitFor();
    await gets_focus(page, 'Edit watched');

    await tab_to(page, 'Clone watched');
    await page.keyboard.press('Enter');
    await dialog(page).waitFor();
    await page.keyboard.press('Enter');
    await row(page, 'watched_copy').waitFor();
    await gets_focus(page, 'Clone watched');
    await tab_to(page, 'Delete watched_copy');
    await page.keyboard.press('Enter');
    await dialog(page).waitFor();
    await page.keyboard.press('Escape');
    await dialog(page).waitFor({ state: 'hidden' });
    await gets_focus(page, 'Delete watched_copy');
});

test('what is wrong gets the focus', async () => {
    const page = await visit(stage);
    await page.getByRole('button', { name: 'Add account' }).click();
    await page.keyboard.type('fine');
    await page.keyboard.press('Enter');
    await dialog(page).getByText('Enter the directory (tenant) ID.').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('name')), 'tenant_id');
    const described = await page.evaluate(() => document.getElementById(document.activeElement.getAttribute('aria-describedby').split(' ')[0]).textContent);
    assert.equal(described, 'Enter the directory (tenant) ID.');
});

test('settings are saved with Enter', async () => {
    const page = await visit(stage, 'settings');
    await page.locator('input[name="no_proxy"]').waitFor();
    await tab_to(page, 'No proxy for');
    await page.keyboard.type('.corp.example.com');
    await page.keyboard.press('Enter');
    await page.getByRole('status').getByText('Saved.').waitFor();
});
