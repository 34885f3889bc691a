// Takes the pictures of docs/: TARGET=target/debug node tests/web/screenshots.mjs
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dialog, fill_account, row, splunk, visit } from './stage.mjs';

const folder = fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
mkdirSync(folder, { recursive: true });

for (const theme of ['light', 'dark']) {
    const shot = (page, name) => page.screenshot({ path: `${folder}/${name}-${theme}.png` });
    const stage = await splunk('--first-run', '--alerts', '400', '--incidents', '120');
    const page = await visit(stage, 'accounts', { theme });
    await page.getByText('Connect your tenant').waitFor();
    await shot(page, 'first-account');
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, stage.at, { name: 'contoso' });
    await shot(page, 'account-form');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await page.getByText('Collect incidents and alerts').waitFor();
    await shot(page, 'first-inputs');
    await page.getByRole('button', { name: 'Create both inputs' }).click();
    await page.getByRole('cell', { name: 'ms:defender:atp:alerts' }).first().waitFor();
    await page.waitForTimeout(500);
    await shot(page, 'arriving');
    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.getByLabel('CA bundle').waitFor();
    await shot(page, 'settings');
    await stage.stop();

    const busy = await splunk('--alerts', '400', '--incidents', '120');
    const other = await visit(busy, 'inputs', { theme });
    for (const name of ['Create both inputs']) await other.getByRole('button', { name }).click();
    await other.getByRole('switch').or(other.locator('[data-test="switch"]')).first().waitFor();
    await other.waitForTimeout(4000);
    await other.goto(`${busy.at.web}#health`);
    await other.getByText('newest event').first().waitFor();
    await shot(other, 'health');
    await other.goto(`${busy.at.web}#inputs`);
    await other.reload();
    await row(other, 'by_certificate_alerts').waitFor();
    await other.waitForTimeout(1500);
    await shot(other, 'inputs');
    await other.getByRole('button', { name: 'Edit by_certificate_incidents' }).click();
    await dialog(other).getByLabel('Name').waitFor();
    await other.waitForTimeout(500);
    await shot(other, 'input-form');
    await other.keyboard.press('Escape');
    await other.goto(`${busy.at.web}#accounts`);
    await other.reload();
    await row(other, 'demo').waitFor();
    await shot(other, 'accounts');
    await other.getByRole('button', { name: 'Test connection of no_permission' }).click();
    await dialog(other).getByText('Missing').first().waitFor();
    await other.waitForTimeout(500);
    await shot(other, 'test-connection');
    await busy.stop();
}
