import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import Paragraph from '@splunk/react-ui/Paragraph';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { Problem } from '../form/Field';
import { ago, Bar, Muted, span, Wrapped } from '../form/Layout';
import { useLoaded } from '../form/useLoaded';
import { load_accounts, type Account } from '../splunkd/accounts';
import { start_of } from '../inputs/parameters';
import { is_enabled, load_inputs, type Input } from '../splunkd/inputs';
import { hours, polls, progress, troubles, type Row } from '../splunkd/search';
import { backfill, told } from './backfill';
import { not_after } from './certificate';
import { Charts } from './Charts';
import { is_resolved, refused_secrets } from './errors';

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
            {refused_secrets(failed, polled).map((text) => (
                <Message key={text} appearance="fill" type="error">
                    {text} Store a new one in the tab Accounts.
                </Message>
            ))}
            <Certificates accounts={accounts} />
            {inputs.length === 0 && <Paragraph>There are no inputs yet. They are made in the tab Inputs.</Paragraph>}
            {inputs.length > 0 && <Inputs inputs={inputs} polled={polled} moving={moving} />}
            {polled.length > 0 && <Charts hourly={hourly} inputs={inputs.map((input) => input.name)} />}
            <Heading level={2} style={{ margin: '32px 0 12px' }}>
                Warnings and errors
            </Heading>
            {failed.length === 0 && <Message type="success">None in 24 hours.</Message>}
            {failed.length > 0 && <Troubles failed={failed} polled={polled} />}
        </>
    );
}

const throttled = (seconds: number) => (seconds > 0 ? span(seconds) : 'no');
const number = (text?: string) => (text ? Number(text).toLocaleString() : '–');

function Inputs({ inputs, polled, moving }: { inputs: Input[]; polled: Row[]; moving: Row[] }) {
    const state = (input: Input, poll: Row) => {
        // A hub keeps no history of its own, and what is left in storage may not be known.
        if (poll.history_left_s === undefined) return '–';
        const running = backfill(start_of(input.content), poll, moving.find((row) => row.input === input.name));
        return running ? told(running) : 'read';
    };
    return (
        <Table stripeRows horizontalOverflow="scroll">
            <Table.Head>
                {['Input', 'Last poll', 'Newest event', 'Polls', 'Requests', 'Events', 'Throttled', 'History'].map((title) => (
                    <Table.HeadCell truncate={false} key={title}>{title}</Table.HeadCell>
                ))}
            </Table.Head>
            <Table.Body>
                {inputs.map((input) => {
                    const poll = polled.find((row) => row.input === input.name);
                    return (
                        <Table.Row key={input.name}>
                            <Table.Cell>
                                <Wrapped>{input.name}</Wrapped>
                            </Table.Cell>
                            <Table.Cell>{poll ? ago(Number(poll.last)) : <Muted>{is_enabled(input) ? 'none in 24 h' : 'disabled'}</Muted>}</Table.Cell>
                            <Table.Cell>{poll?.newest ? ago(Number(poll.newest)) : '–'}</Table.Cell>
                            <Table.Cell>{number(poll?.polls === '0' ? undefined : poll?.polls)}</Table.Cell>
                            <Table.Cell>{number(poll?.requests)}</Table.Cell>
                            <Table.Cell>{number(poll?.events)}</Table.Cell>
                            <Table.Cell>{poll ? throttled(Number(poll.throttled_s)) : '–'}</Table.Cell>
                            <Table.Cell>{poll ? state(input, poll) : '–'}</Table.Cell>
                        </Table.Row>
                    );
                })}
            </Table.Body>
        </Table>
    );
}

/** The program's messages end with what to do. */
function Troubles({ failed, polled }: { failed: Row[]; polled: Row[] }) {
    const level = (row: Row) => {
        if (row.log_level !== 'ERROR') return 'Warning';
        return is_resolved(row, polled) ? <Muted>Error, resolved</Muted> : 'Error';
    };
    return (
        <Table stripeRows horizontalOverflow="scroll">
            <Table.Head>
                {['Input', 'Level', 'Last', 'Times', 'What, and what to do'].map((title) => (
                    <Table.HeadCell truncate={false} key={title}>{title}</Table.HeadCell>
                ))}
            </Table.Head>
            <Table.Body>
                {failed.map((row) => (
                    <Table.Row key={`${row.input} ${row.message}`}>
                        <Table.Cell>
                            <Wrapped>{row.input}</Wrapped>
                        </Table.Cell>
                        <Table.Cell style={{ whiteSpace: 'nowrap' }}>{level(row)}</Table.Cell>
                        <Table.Cell style={{ whiteSpace: 'nowrap' }}>{ago(Number(row.last))}</Table.Cell>
                        <Table.Cell>{row.count}</Table.Cell>
                        <Table.Cell>
                            <Wrapped $least="40ch" $most="none">{row.message}</Wrapped>
                        </Table.Cell>
                    </Table.Row>
                ))}
            </Table.Body>
        </Table>
    );
}

/** When the certificates of accounts end. */
function Certificates({ accounts }: { accounts: Account[] }) {
    const ending = accounts.flatMap((account) => {
        const end = account.content.auth === 'certificate' ? not_after(account.content.certificate ?? '') : undefined;
        return end === undefined ? [] : [{ name: account.name, days: Math.floor((end - Date.now()) / 86_400_000) }];
    });
    return (
        <>
            {ending.map(({ name, days }) => (
                <Message key={name} type={days < 0 ? 'error' : days <= 30 ? 'warning' : 'info'}>
                    {days < 0 ? `The certificate of account ${name} ended ${-days} days ago.` : `The certificate of account ${name} ends in ${days} days.`}
                    {days <= 30 && ' Upload a new one to the app registration, and store it in the tab Accounts.'}
                </Message>
            ))}
        </>
    );
}
