// defender_settings.conf, and whether the app has been set up.
import { ask, is_missing, list, type Settings } from './rest';
import { delete_secrets, store_secret } from './secrets';

const CONF = 'configs/conf-defender_settings';

export async function load_settings(stanza: string): Promise<Settings> {
    try {
        return (await list(`${CONF}/${stanza}`))[0]?.content ?? {};
    } catch (error) {
        if (is_missing(error)) return {};
        throw error;
    }
}

export async function save_settings(stanza: string, values: Settings) {
    try {
        await ask(`${CONF}/${stanza}`, { method: 'POST', form: values });
    } catch (error) {
        if (!is_missing(error)) throw error;
        await ask(CONF, { method: 'POST', form: { name: stanza, ...values } });
    }
}

export const store_proxy_password = (password: string) => store_secret('defender_settings', 'proxy', password);
export const delete_proxy_password = () => delete_secrets('defender_settings', ['proxy'], async () => undefined);

/** Without this, Splunk leads everybody who opens the app to its setup again. */
export const mark_configured = () => ask('apps/local/TA_defender', { method: 'POST', form: { configured: 'true' } });
