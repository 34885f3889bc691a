// Accounts: stanzas of defender_account.conf, with their secrets in storage/passwords.
import { ask, list, part, SplunkdError, type Entry, type Settings } from './rest';
import { delete_secrets, store_secret } from './secrets';

const CONF = 'configs/conf-defender_account';
const REALM = 'defender_account';

const SECRETS = ['client_secret', 'certificate_key', 'connection_string'] as const;

export type Secret = (typeof SECRETS)[number];
export type Account = Entry;

export const load_accounts = (): Promise<Account[]> => list(CONF);

/** Saves the stanza, then the secret; what was new is removed again when the secret cannot be stored. */
export async function save_account(name: string, values: Settings, is_new: boolean, secret?: [Secret, string]) {
    if (is_new) await ask(CONF, { method: 'POST', form: { name, ...values } });
    else await ask(`${CONF}/${part(name)}`, { method: 'POST', form: values });
    if (!secret) return;
    try {
        await store_secret(REALM, `${name}.${secret[0]}`, secret[1]);
    } catch (error) {
        const why = error instanceof SplunkdError ? error.message : '';
        if (is_new) await ask(`${CONF}/${part(name)}`, { method: 'DELETE' }).catch(() => undefined);
        throw new SplunkdError(0, `The secret cannot be stored, so ${is_new ? 'the account was not made' : 'the old one stays; the other settings are saved'}. ${why}`);
    }
}

/** Removes an account, then its secrets. */
export async function delete_account(name: string) {
    const secrets = SECRETS.map((secret) => `${name}.${secret}`);
    await delete_secrets(REALM, secrets, () => ask(`${CONF}/${part(name)}`, { method: 'DELETE' }));
}

const ACTIONS = ['defender_incident_update', 'defender_alert_update'];

/** The inputs and saved searches that use an account. */
export async function users_of(account: string): Promise<string[]> {
    const wanted = ACTIONS.map((action) => `f=action.${action}*`).join('&');
    const [inputs, searches] = await Promise.all([
        list('data/inputs/defender'),
        list('saved/searches', { owner: '-', app: '-', query: wanted }),
    ]);
    const uses = (content: Settings) =>
        ACTIONS.some((action) => content[`action.${action}.param.account`] === account && !/^(0|false)?$/.test(content[`action.${action}`] ?? '1'));
    return [
        ...inputs.filter((input) => input.content.account === account).map((input) => `input ${input.name}`),
        ...searches.filter((search) => uses(search.content)).map((search) => `saved search ${search.name}`),
    ];
}

export type Outcome = { ok: true } | { ok: false; error: string; remedy: string };
export type Permission = { name: string; needed_by: string[]; state: 'granted' | 'missing' | 'more_than_needed' };
/** `input` is one that streams with the account; a token is missing where a connection string takes its place. */
export type Finding = { api: string; input?: string; host: string; token?: Outcome; permissions: Permission[]; call?: Outcome };

/** Seconds that the handler is waited for; it answers within 20 whatever the services do. */
export const PATIENCE = 25;

/** Asks the add-on's own REST handler. It gets the account's name and nothing else. */
export async function test_account(account: string): Promise<Finding[]> {
    const answer = await ask('defender/test_connection', { method: 'POST', form: { account }, limit: PATIENCE * 1000 });
    return answer.apis;
}
