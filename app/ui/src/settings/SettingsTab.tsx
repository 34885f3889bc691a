import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { ChoiceField, Problem, SecretField, TextField } from '../form/Field';
import { to_first_error } from '../form/FormDialog';
import { useBusy, useLoaded } from '../form/useLoaded';
import { text_of, type Settings } from '../splunkd/rest';
import { delete_proxy_password, load_settings, save_settings, store_proxy_password } from '../splunkd/settings';

const LEVELS = ['ERROR', 'WARN', 'INFO', 'DEBUG'].map((value) => ({ value, label: value }));

const load = async (): Promise<Settings> => {
    const [proxy, tls, logging] = await Promise.all(['proxy', 'tls', 'logging'].map(load_settings));
    const stored = without_login(proxy.url ?? '');
    return { ...stored, username: proxy.username || stored.username, no_proxy: proxy.no_proxy ?? '', ca_bundle: tls.ca_bundle ?? '', level: logging.level || 'INFO' };
};

/** What stands in the form in place of a login that a file put into the URL. */
const LOGIN = 'The stored URL of the proxy holds a user or a password, which are not shown. Enter the password in its field: saving takes both out of the URL.';

export function SettingsTab() {
    const { value, error } = useLoaded(load);
    const [values, set_values] = useState<Settings>();
    const [errors, set_errors] = useState<Settings>({});
    const [saves, forget] = useState(0);
    const [saved, set_saved] = useState(false);
    const { busy, run } = useBusy();
    const password = useRef<HTMLInputElement>(null);
    const form = useRef<HTMLFormElement>(null);
    useEffect(() => set_values((held) => held ?? value), [value]);
    useEffect(() => set_errors(value?.login ? { form: LOGIN } : {}), [value]);
    useEffect(() => to_first_error(form.current, errors), [errors]);

    const save = (event?: FormEvent) => {
        event?.preventDefault();
        return run(async () => {
            if (!values) return;
            set_saved(false);
            const wrong = problems(values);
            set_errors(wrong);
            if (Object.keys(wrong).length > 0) return;
            try {
                const { url, username, no_proxy, ca_bundle, level } = values;
                if (values.login && username.trim() && !password.current?.value) throw new Error(LOGIN);
                await save_settings('proxy', { url: url.trim(), username: username.trim(), no_proxy: no_proxy.trim() });
                const entered = password.current?.value ?? '';
                // A password without its user is of no use to anybody but a thief.
                if (!username.trim()) await delete_proxy_password();
                else if (entered) await store_proxy_password(entered);
                forget(entered ? saves + 1 : saves);
                set_values({ ...values, login: '' });
                await save_settings('tls', { ca_bundle: ca_bundle.trim() });
                await save_settings('logging', { level });
                set_saved(true);
            } catch (failure) {
                set_errors({ form: text_of(failure) });
            }
        });
    };

    if (!values) {
        return (
            <>
                <Problem>{error}</Problem>
                {!error && <WaitSpinner size="medium" screenReaderText="Loading settings" />}
            </>
        );
    }
    const field = (name: string) => ({ name, value: values[name], error: errors[name], onChange: (text: string) => set_values({ ...values, [name]: text }) });
    return (
        <form ref={form} onSubmit={save} noValidate autoComplete="off" style={{ maxWidth: 760 }}>
            <Problem>{errors.form}</Problem>
            <Heading level={3} style={{ margin: '0 0 12px' }}>
                Proxy
            </Heading>
            <TextField {...field('url')} label="URL" placeholder="http://proxy.example.com:3128" help="The way to Microsoft; empty for none. splunkd itself is never asked through it." />
            <TextField {...field('username')} label="User" help="Only if the proxy asks for one." />
            <SecretField key={saves} name="password" label="Password" inputRef={password} help="Kept in Splunk's password store. Leave it blank to keep the stored one; it is removed with the user." />
            <TextField {...field('no_proxy')} label="No proxy for" placeholder=".corp.example.com" help="Hosts that are reached without it, separated by commas; .suffix for all hosts under one." />
            <Heading level={3} style={{ margin: '28px 0 12px' }}>Certificate authorities</Heading>
            <TextField {...field('ca_bundle')} label="CA bundle" placeholder="/etc/pki/tls/certs/corporate-ca.pem" help="A PEM file on this machine, for a network that opens TLS. Only its authorities are trusted then. Empty for the public ones, which are built in." />
            <Heading level={3} style={{ margin: '28px 0 12px' }}>Logging</Heading>
            <ChoiceField {...field('level')} label="Log level" choices={LEVELS} help="What inputs write to _internal, from their next poll on. With WARN or ERROR the tabs Inputs and Health have little to tell." />
            <div role="status">{saved && <Message type="success">Saved. Inputs and alert actions use it from their next run on.</Message>}</div>
            <Button appearance="primary" type="submit" label={busy ? 'Saving…' : 'Save'} disabled={busy} />
        </form>
    );
}

/** A proxy's URL without user and password, whatever they are made of, and the user. `login` says whether there were any. */
function without_login(stored: string) {
    const scheme = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(stored)?.[0] ?? '';
    const at = stored.lastIndexOf('@');
    if (at < scheme.length) return { url: stored, username: '', login: '' };
    const [username = ''] = stored.slice(scheme.length, at).split(':');
    return { url: scheme + stored.slice(at + 1), username, login: 'yes' };
}

function problems(values: Settings): Settings {
    const found: Settings = {};
    const url = values.url.trim();
    if (url && !/^https?:\/\/[^\s/@]+\/?$/.test(url)) {
        found.url = url.includes('@') ? 'Give user and password in their own fields.' : 'Use http://host:port or https://host:port.';
    }
    if (values.username.trim() && !url) found.url = 'A user needs a proxy.';
    if (values.ca_bundle.trim() && !/^([A-Za-z]:[\\/]|\/)/.test(values.ca_bundle.trim())) found.ca_bundle = 'Use the full path of the file.';
    return found;
}
