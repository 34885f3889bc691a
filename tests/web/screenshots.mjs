// Takes the pictures of docs/: TARGET=target/debug node tests/web/screenshots.mjs
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dialog, fill_account, log_file, poll, row, sound, splunk, splunkd, visit } from './stage.mjs';

const folder = fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
mkdirSync(folder, { recursive: true });

/** A day in the life of four inputs, one of which has lost its secret. */
const day = log_file([
    ...Array.from({ length: 24 }, (_, hour) => poll((23 - hour) * 3600 + 40, 'contoso_alerts', { requests: 60, rows: 40, events: 12 + ((hour * 7) % 23), lag: 40 + hour })),
    ...Array.from({ length: 24 }, (_, hour) => poll((23 - hour) * 3600 + 40, 'contoso_incidents', { requests: 60, rows: 20, events: 3 + ((hour * 5) % 9), lag: 300 + hour, throttled: hour === 13 ? '42.0' : '0.0' })),
    poll(1500, 'fabrikam_alerts', { requests: 30, rows: 9000, events: 9000, left: 1_728_000, took: '60.0' }),
    poll(40, 'fabrikam_alerts', { requests: 30, rows: 41000, events: 41000, left: 518_400, took: '60.0' }),
    '37000 WARN defender://contoso_incidents: Microsoft Graph asks for patience: HTTP 429; asking again in 42 s',
    '5400 ERROR defender://contoso_alerts: Microsoft Graph: no answer within 100 s: check the network and the proxy; the next poll goes on from here',
    '300 ERROR defender://litware_incidents: Entra ID: AADSTS7000222: The provided client secret keys for app are expired: make a new client secret and store it in the account',
]);

async function furnish(stage) {
    const { entry } = await splunkd(stage, 'configs/conf-defender_account/demo');
    const { tenant_id, client_id, login_url, graph_url, defender_url } = entry[0].content;
    for (const name of ['contoso', 'fabrikam', 'litware']) {
        await splunkd(stage, 'configs/conf-defender_account', { name, tenant_id, client_id, login_url, graph_url, defender_url });
        await splunkd(stage, 'storage/passwords', { realm: 'defender_account', name: `${name}.client_secret`, password: 'dEm8Q~simulated.not.a.secret-0123456789ab' });
    }
    // A schedule that the stand-in does not play: the log alone speaks of them.
    const never = { index: 'defender', interval: '*/5 * * * *' };
    for (const [name, account, feed] of [['contoso_alerts', 'contoso', 'alerts'], ['contoso_incidents', 'contoso', 'incidents'], ['fabrikam_alerts', 'fabrikam', 'alerts'], ['litware_incidents', 'litware', 'incidents']]) {
        await splunkd(stage, 'data/inputs/defender', { name, account, feed, ...never, ...(feed === 'incidents' ? { include_alerts: 'none' } : {}) });
    }
    await splunkd(stage, 'data/inputs/defender/litware_incidents/disable', {});
}

for (const theme of ['light', 'dark']) {
    const shot = async (page, name) => {
        // Dialogs and lists glide into their places.
        await page.waitForTimeout(600);
        if (!(await dialog(page).isVisible())) await page.evaluate(() => document.activeElement.blur());
        await sound(page);
        await page.screenshot({ path: `${folder}/${name}-${theme}.png` });
    };
    const fresh = await splunk('--first-run', '--alerts', '400', '--incidents', '120');
    const page = await visit(fresh, 'accounts', { theme });
    await page.getByText('Connect your tenant').waitFor();
    await shot(page, 'first-account');
    await page.getByRole('tab', { name: 'Inputs' }).click();
    await page.getByText('No account yet').waitFor();
    await shot(page, 'inputs-empty');
    await page.getByRole('tab', { name: 'Health' }).click();
    await page.getByText('None in 24 hours.').waitFor();
    await shot(page, 'health-empty');
    await page.getByRole('tab', { name: 'Accounts' }).click();
    await page.getByRole('button', { name: 'Add account' }).click();
    await fill_account(page, fresh.at, { name: 'contoso' });
    await shot(page, 'account-form');
    await dialog(page).getByRole('button', { name: 'Save' }).click();
    await page.getByText('Collect incidents and alerts').waitFor();
    await shot(page, 'first-inputs');
    await page.getByRole('button', { name: 'Create both inputs' }).click();
    await page.getByRole('cell', { name: 'ms:defender:atp:alerts' }).first().waitFor();
    await page.getByRole('cell', { name: 'ms365:defender:incident' }).first().waitFor();
    await row(page, 'contoso_alerts').getByText(/ago/).waitFor();
    await shot(page, 'arriving');
    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.getByLabel('CA bundle').waitFor();
    await shot(page, 'settings');
    await fresh.stop();

    const busy = await splunk('--log', day);
    await furnish(busy);
    const other = await visit(busy, 'health', { theme });
    await other.getByRole('img').first().waitFor();
    await shot(other, 'health');
    await other.getByRole('tab', { name: 'Inputs' }).click();
    await other.getByText('Reading history').waitFor();
    await shot(other, 'inputs');
    await other.getByRole('button', { name: 'Edit contoso_incidents' }).click();
    await dialog(other).getByLabel('Name').waitFor();
    await shot(other, 'input-form');
    await dialog(other).getByRole('button', { name: 'Cancel' }).click();
    await other.getByRole('button', { name: 'Delete fabrikam_alerts' }).click();
    await shot(other, 'delete-input');
    await dialog(other).getByRole('button', { name: 'Cancel' }).click();
    await other.getByRole('tab', { name: 'Accounts' }).click();
    await row(other, 'demo').waitFor();
    await shot(other, 'accounts');
    await other.getByRole('button', { name: 'Test connection of contoso' }).click();
    await dialog(other).getByText('Granted').first().waitFor();
    await shot(other, 'connection-works');
    await dialog(other).getByRole('button', { name: 'Close' }).last().click();
    await other.getByRole('button', { name: 'Test connection of no_permission' }).click();
    await dialog(other).getByText('Missing').first().waitFor();
    await shot(other, 'test-connection');
    await busy.stop();
}
