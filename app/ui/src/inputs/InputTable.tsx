import Button from '@splunk/react-ui/Button';
import Switch from '@splunk/react-ui/Switch';
import Table from '@splunk/react-ui/Table';
import { useBusy } from '../form/useLoaded';
import { Acts, ago, Muted, Wrapped } from '../form/Layout';
import { is_resolved } from '../health/errors';
import { FEEDS } from './parameters';
import { is_enabled, type Input } from '../splunkd/inputs';
import type { Row } from '../splunkd/search';

type Props = {
    inputs: Input[];
    polled: Row[];
    failed: Row[];
    onEdit: (input: Input) => void;
    onClone: (input: Input) => void;
    onDelete: (input: Input) => void;
    onSwitch: (input: Input, on: boolean) => Promise<void>;
};

const TITLES = ['Name', 'Feed', 'Account', 'Index', 'Interval', 'Status', 'Newest event', 'Last error', 'Actions'];

export function InputTable({ inputs, polled, failed, onEdit, onClone, onDelete, onSwitch }: Props) {
    const { run } = useBusy();
    return (
        <Table stripeRows horizontalOverflow="scroll">
            <Table.Head>
                {TITLES.map((title) => (
                    <Table.HeadCell truncate={false} key={title}>{title}</Table.HeadCell>
                ))}
            </Table.Head>
            <Table.Body>
                {inputs.map((input) => {
                    const poll = polled.find((row) => row.input === input.name);
                    const error = failed.find((row) => row.input === input.name && row.log_level === 'ERROR');
                    const on = is_enabled(input);
                    return (
                        <Table.Row key={input.name}>
                            <Table.Cell>
                                <Wrapped>{input.name}</Wrapped>
                            </Table.Cell>
                            <Table.Cell>{FEEDS.find((feed) => feed.value === input.content.feed)?.label ?? input.content.feed}</Table.Cell>
                            <Table.Cell>
                                <Wrapped $least="12ch">{input.content.account}</Wrapped>
                            </Table.Cell>
                            <Table.Cell>{input.content.index || 'default'}</Table.Cell>
                            <Table.Cell style={{ whiteSpace: 'nowrap' }}>{every(input.content.interval)}</Table.Cell>
                            <Table.Cell>
                                <Acts style={{ marginLeft: 0 }}>
                                    <Switch appearance="toggle" inline selected={on} value={input.name} aria-label={`Collect ${input.name}`} onClick={() => void run(() => onSwitch(input, !on))} />
                                    {on ? 'Enabled' : 'Disabled'}
                                </Acts>
                            </Table.Cell>
                            <Table.Cell>{poll?.newest ? ago(Number(poll.newest)) : <Muted>none in 24 h</Muted>}</Table.Cell>
                            <Table.Cell>{error ? <LastError error={error} resolved={is_resolved(error, polled)} /> : <Muted>none in 24 h</Muted>}</Table.Cell>
                            <Table.Cell>
                                <Acts>
                                    <Button appearance="subtle" label="Edit" aria-label={`Edit ${input.name}`} onClick={() => onEdit(input)} />
                                    <Button appearance="subtle" label="Clone" aria-label={`Clone ${input.name}`} onClick={() => onClone(input)} />
                                    <Button appearance="subtle" label="Delete" aria-label={`Delete ${input.name}`} onClick={() => onDelete(input)} />
                                </Acts>
                            </Table.Cell>
                        </Table.Row>
                    );
                })}
            </Table.Body>
        </Table>
    );
}

function LastError({ error, resolved }: { error: Row; resolved: boolean }) {
    const when = ago(Number(error.last));
    if (resolved) return <Muted>{when}, resolved</Muted>;
    return (
        <Wrapped $least="30ch" $most="60ch">
            {when}: {error.message}
        </Wrapped>
    );
}

const every = (interval = '60') => (/^\d+$/.test(interval) ? `${interval} s` : interval);
