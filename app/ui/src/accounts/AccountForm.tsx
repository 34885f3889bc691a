import CollapsiblePanel from '@splunk/react-ui/CollapsiblePanel';
import { useRef, useState, type FormEvent } from 'react';
import { ChoiceField, Inside, name_problem, SecretArea, SecretField, TextField } from '../form/Field';
import { FormDialog } from '../form/FormDialog';
import { useBusy } from '../form/useLoaded';
import { save_account, type Account, type Secret } from '../splunkd/accounts';
import { text_of, type Settings } from '../splunkd/rest';
import { CLOUDS } from './clouds';

const HOSTS: [string, string, string][] = [
    ['login_url', 'Login URL', 'In place of the Entra ID host of the cloud.'],
    ['graph_url', 'Graph URL', 'In place of the Microsoft Graph host.'],
    ['defender_url', 'Defender URL', 'In place of the hosts of both Defender APIs.'],
];
export const AUTHS = [
    { value: 'client_secret', label: 'Client secret' },
    { value: 'certificate', label: 'Certificate' },
    { value: 'connection_string', label: 'Connection string', description: 'In place of an app registration; for event hubs and storage accounts alone' },
];
const SECRET_OF: Record<string, Secret> = { client_secret: 'client_secret', certificate: 'certificate_key', connection_string: 'connection_string' };

type Props = { account?: Account; taken: string[]; onSaved: (is_new: boolean) => Promise<void>; onClose: () => void };

export function AccountForm({ account, taken, onSaved, onClose }: Props) {
    const [name, set_name] = useState(account?.name ?? '');
    const [values, set_values] = useState<Settings>(() => ({ ...BLANK, ...pick(account?.content) }));
    const [errors, set_errors] = useState<Settings>({});
    const { busy, run } = useBusy();
    const secret = useRef<HTMLInputElement>(null);
    const key = useRef<HTMLTextAreaElement>(null);
    const by_certificate = values.auth === 'certificate';
    const by_string = values.auth === 'connection_string';
    // Blank keeps the stored one, unless the way to sign in has changed.
    const keeps = account !== undefined && (account.content.auth || 'client_secret') === values.auth;
    const set = (setting: string) => (value: string) => set_values((old) => ({ ...old, [setting]: value }));

    const save = (event?: FormEvent) => {
        event?.preventDefault();
        return run(async () => {
            const entered = (by_certificate ? key.current?.value : secret.current?.value)?.trim() ?? '';
            const wrong = problems(account ? undefined : name, values, taken, entered !== '' || keeps);
            set_errors(wrong);
            if (Object.keys(wrong).length > 0) return;
            const trimmed = Object.fromEntries(Object.entries(values).map(([setting, value]) => [setting, value.trim()]));
            // A conf value is one line; the program reads \n as a line break.
            trimmed.certificate = trimmed.certificate.replace(/\r?\n/g, '\\n');
            try {
                await save_account(name, trimmed, !account, entered ? [SECRET_OF[values.auth], entered] : undefined);
            } catch (failure) {
                set_errors({ form: text_of(failure) });
                return;
            }
            // The form closes, and what was typed goes with it.
            await onSaved(!account);
        });
    };

    const stored = keeps ? 'Stored. Leave it blank to keep it.' : undefined;
    const text = (setting: string, label: string, help: string, extra = {}) => (
        <TextField name={setting} label={label} help={help} value={values[setting]} error={errors[setting]} onChange={set(setting)} {...extra} />
    );
    return (
        <FormDialog title={account ? `Edit ${account.name}` : 'Add account'} width={680} errors={errors} busy={busy} doing="Saving…" onSave={save} onClose={onClose}>
            <TextField name="name" label="Name" required value={name} error={errors.name} disabled={Boolean(account)} onChange={set_name} help="Inputs and alert actions use this name. Letters, digits, _ and -." />
            <ChoiceField name="auth" label="Sign in with" value={values.auth} choices={AUTHS} onChange={set('auth')} />
            {!by_string && (
                <>
                    <ChoiceField name="cloud" label="Cloud" value={values.cloud} choices={CLOUDS} onChange={set('cloud')} help="Where the tenant is. It decides which hosts are asked." />
                    {text('tenant_id', 'Tenant ID', 'Directory (tenant) ID of the app registration, or a domain of the tenant.', { required: true })}
                    {text('client_id', 'Client ID', 'Application (client) ID of the app registration.', { required: true })}
                </>
            )}
            {by_certificate && (
                <>
                    {text('certificate', 'Certificate', 'The public part, PEM. The same that is uploaded to the app registration.', { required: true, rows: 4 })}
                    <SecretArea name="certificate_key" label="Private key" required={!keeps} inputRef={key} error={errors.secret} help={stored ?? "PEM, without a passphrase. Kept in Splunk's password store."} />
                </>
            )}
            {by_string && (
                <SecretField key="string" name="connection_string" label="Connection string" required={!keeps} inputRef={secret} error={errors.secret} placeholder={stored} help="As the Azure portal gives it, with its key or shared access signature. Kept in Splunk's password store." />
            )}
            {!by_certificate && !by_string && (
                <SecretField key="secret" name="client_secret" label="Client secret" required={!keeps} inputRef={secret} error={errors.secret} placeholder={stored} help="The secret's value, not its ID. Kept in Splunk's password store." />
            )}
            {!by_string && (
                <CollapsiblePanel title="Advanced" defaultOpen={HOSTS.some(([setting]) => values[setting])}>
                    <Inside>{HOSTS.map(([setting, label, help]) => text(setting, label, `${help} https, or http on this machine.`, { key: setting }))}</Inside>
                </CollapsiblePanel>
            )}
        </FormDialog>
    );
}

const BLANK: Settings = { cloud: 'commercial', tenant_id: '', client_id: '', auth: 'client_secret', certificate: '', login_url: '', graph_url: '', defender_url: '' };

function pick(content: Settings = {}): Settings {
    const kept = Object.fromEntries(Object.entries(content).filter(([setting, value]) => setting in BLANK && value !== ''));
    if (kept.certificate) kept.certificate = kept.certificate.replace(/\\n/g, '\n');
    return kept;
}

const MISSING: Settings = { client_secret: 'Enter the client secret.', certificate: 'Paste the private key.', connection_string: 'Enter the connection string.' };

function problems(name: string | undefined, values: Settings, taken: string[], has_secret: boolean): Settings {
    const found: Settings = {};
    const name_wrong = name === undefined ? undefined : name_problem(name, taken);
    if (name_wrong) found.name = name_wrong;
    if (!has_secret) found.secret = MISSING[values.auth];
    if (values.auth === 'connection_string') return found;
    if (!values.tenant_id.trim()) found.tenant_id = 'Enter the directory (tenant) ID.';
    if (!values.client_id.trim()) found.client_id = 'Enter the application (client) ID.';
    if (values.auth === 'certificate' && !values.certificate.includes('BEGIN CERTIFICATE')) found.certificate = 'Paste the certificate as PEM, with its BEGIN and END lines.';
    for (const [setting] of HOSTS) {
        const url = values[setting].trim();
        if (url && !/^(https:\/\/[^\s/]+|http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)/.test(url)) found[setting] = 'Use https, or http on this machine.';
    }
    return found;
}
