import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import Paragraph from '@splunk/react-ui/Paragraph';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { Problem } from '../form/Field';
import { ago, Bar, Muted, span } from '../form/Layout';
import { useLoaded } from '../form/useLoaded';
import { load_accounts, type Account } from '../splunkd/accounts';
import { is_enabled, load_inputs } from '../splunkd/inputs';
import { hours, polls, progress, troubles, type Row } from '../splunkd/search';
import { Bars } from './Bars';
import { not_after } from './certificate';

const load = async () => {
    const [inputs, accounts, polled, hourly, moving, failed] = await Promise.all([load_inputs(), load_accounts(), polls(), hours(), progress(), troubles()]);
    return { inputs, accounts, polled, hourly, moving, failed };
};

export function HealthTab() {
    const { value, error, reload } = useLoaded(load, 15_000);
    if (!value) {
        return (
            <>
                <Problem>{error}</Problem>
                {!error && <WaitSpinner size="medium" screenReaderText="Reading the log" />}
            </>
        );
    }
    const { inputs, accounts, polled, hourly, moving, failed } = value;
    return (
        <>
            <Problem>{error}</Problem>
            <Bar>
                <span>From the log of the inputs in _internal over the last 24 hours. Read again every 15 seconds.</span>
                <Button appearance="secondary" label="Refresh" onClick={() => void reload()} />
            </Bar>
            <Secrets accounts={accounts} failed={failed} />
            {inputs.length === 0 && <Paragraph>There are no inputs yet.</Paragraph>}
            {inputs.length > 0 && (
                <Table stripeRows>
                    <Table.Head>
                        {['Input', 'Last poll', 'Lag', 'Polls', 'Requests', 'Events', 'Throttled', 'History'].map((title) => (
                            <Table.HeadCell key={title}>{title}</Table.HeadCell>
                        ))}
                    </Table.Head>
                    <Table.Body>
                        {inputs.map((input) => {
                            const row = polled.find((one) => one.input === input.name);
                            return (
                                <Table.Row key={input.name}>
                                    <Table.Cell>{input.name}</Table.Cell>
                                    <Table.Cell>{row ? ago(Number(row.last)) : <Muted>{is_enabled(input) ? 'none in 24 h' : 'disabled'}</Muted>}</Table.Cell>
                                    <Table.Cell>{row?.newest ? `newest event ${ago(Number(row.newest))}` : '–'}</Table.Cell>
                                    <Table.Cell>{number(row?.polls)}</Table.Cell>
                                    <Table.Cell>{number(row?.requests)}</Table.Cell>
                                    <Table.Cell>{number(row?.events)}</Table.Cell>
                                    <Table.Cell>{Number(row?.throttled_s ?? 0) > 0 ? span(Number(row?.throttled_s)) : 'no'}</Table.Cell>
                                    <Table.Cell>{row ? history(row, moving.find((one) => one.input === input.name)) : '–'}</Table.Cell>
                                </Table.Row>
                            );
                        })}
                    </Table.Body>
                </Table>
            )}
            {polled.length > 0 && <Charts hourly={hourly} />}
            <Heading level={2} style={{ margin: '24px 0 12px' }}>Warnings and errors</Heading>
            {failed.length === 0 && <Message type="success">None in 24 hours.</Message>}
            {failed.length > 0 && (
                <Table stripeRows>
                    <Table.Head>
                        {['Input', 'Level', 'Last', 'Times', 'What, and what to do'].map((title) => (
                            <Table.HeadCell key={title} width={title.startsWith('What') ? 'auto' : 110}>
                                {title}
                            </Table.HeadCell>
                        ))}
                    </Table.Head>
                    <Table.Body>
                        {failed.map((row) => (
                            <Table.Row key={`${row.input} ${row.message}`}>
                                <Table.Cell>{row.input}</Table.Cell>
                                <Table.Cell>{row.log_level === 'ERROR' ? 'Error' : 'Warning'}</Table.Cell>
                                <Table.Cell>{ago(Number(row.last))}</Table.Cell>
                                <Table.Cell>{row.count}</Table.Cell>
                                <Table.Cell>{row.message}</Table.Cell>
                            </Table.Row>
                        ))}
                    </Table.Body>
                </Table>
            )}
        </>
    );
}

const number = (text?: string) => (text ? Number(text).toLocaleString() : '–');

/** How far back history has been read, at which speed, and when it will be done. */
function history(row: Row, moving?: Row): string {
    const left = Number(row.history_left_s ?? 0);
    if (left <= 0) return 'read';
    const time = moving ? Number(moving.last) - Number(moving.since) : 0;
    const read = moving ? Number(moving.left_before) - Number(moving.left) : 0;
    if (time <= 0 || read <= 0) return `${span(left)} left`;
    const speed = Math.round((Number(moving?.rows) / time) * 60);
    return `${span(left)} left, ${speed.toLocaleString()} objects/min, done in about ${span((left / read) * time)}`;
}

function Charts({ hourly }: { hourly: Row[] }) {
    const now = Math.floor(Date.now() / 3_600_000) * 3600;
    const starts = Array.from({ length: 24 }, (_, at) => now - (23 - at) * 3600);
    const seconds = (row: Row) => (Number.isNaN(Number(row._time)) ? Date.parse(row._time) / 1000 : Number(row._time));
    const sums = (what: string) => starts.map((start) => hourly.filter((row) => seconds(row) === start).reduce((sum, row) => sum + Number(row[what] ?? 0), 0));
    const ends = starts.map((start) => new Date(start * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    return (
        <div style={{ display: 'grid', gridTemplateColumns: '1fr 1fr', gap: 32, marginTop: 24 }}>
            <Bars label="Events" values={sums('events')} ends={ends} />
            <Bars label="Requests" values={sums('requests')} ends={ends} />
        </div>
    );
}

const CODES: [RegExp, string][] = [
    [/AADSTS7000222/, 'the client secret has expired'],
    [/AADSTS7000215/, 'the client secret is wrong'],
    [/AADSTS1000502/, 'the certificate has expired'],
    [/AADSTS700027/, 'the certificate is not one of the app registration'],
];

/** Certificates that end within 30 days, and secrets that Entra ID refuses. */
function Secrets({ accounts, failed }: { accounts: Account[]; failed: Row[] }) {
    const ending = accounts.flatMap((account) => {
        const end = account.content.auth === 'certificate' ? not_after(account.content.certificate ?? '') : undefined;
        return end === undefined ? [] : [{ name: account.name, days: Math.floor((end - Date.now()) / 86_400_000) }];
    });
    const refused = failed.flatMap((row) => CODES.filter(([code]) => code.test(row.message)).map(([, what]) => `Input ${row.input}: ${what}.`));
    return (
        <>
            {[...new Set(refused)].map((text) => (
                <Message key={text} appearance="fill" type="error">
                    {text} Store a new one in the tab Accounts.
                </Message>
            ))}
            {ending.map(({ name, days }) => (
                <Message key={name} type={days < 0 ? 'error' : days <= 30 ? 'warning' : 'info'}>
                    {days < 0 ? `The certificate of account ${name} ended ${-days} days ago.` : `The certificate of account ${name} ends in ${days} days.`}
                </Message>
            ))}
        </>
    );
}
