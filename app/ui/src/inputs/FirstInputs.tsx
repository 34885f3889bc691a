import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Paragraph from '@splunk/react-ui/Paragraph';
import { useState } from 'react';
import { ChoiceField, SuggestField } from '../form/Field';
import { Acts, Empty } from '../form/Layout';
import { useBusy } from '../form/useLoaded';
import { save_input } from '../splunkd/inputs';
import { text_of, type Settings } from '../splunkd/rest';
import { INDEX_HELP } from './parameters';

type Props = { accounts: string[]; indexes: string[]; onSaved: (problem?: string) => Promise<void>; onOwn: () => void };

/** The suggested pair: an alert may change without its incident changing, so alerts have an input of their own. */
export function FirstInputs({ accounts, indexes, onSaved, onOwn }: Props) {
    const [account, set_account] = useState(accounts[0]);
    const [index, set_index] = useState(indexes.includes('defender') ? 'defender' : 'main');
    const { busy, run } = useBusy();
    const create = () =>
        run(async () => {
            const pair: [string, Settings][] = [
                [`${account}_incidents`, { feed: 'incidents', account, index, include_alerts: 'none' }],
                [`${account}_alerts`, { feed: 'alerts', account, index }],
            ];
            for (const [name, values] of pair) {
                try {
                    await save_input(name, values, true);
                } catch (failure) {
                    // The first of the two may have been made: the tab shows that, and why the other was not.
                    return onSaved(`${name} was not created: ${text_of(failure)}`);
                }
            }
            return onSaved();
        });
    const named = (names: string[]) => names.map((value) => ({ value, label: value }));
    return (
        <Empty>
            <Heading level={2} style={{ marginTop: 0 }}>
                Collect incidents and alerts
            </Heading>
            <Paragraph>
                The suggested start is two inputs that poll every minute and read 30 days back: incidents without their alerts, and alerts. You can change everything later.
            </Paragraph>
            <ChoiceField name="account" label="Account" value={account} choices={named(accounts)} onChange={set_account} />
            <SuggestField name="index" label="Index" value={index} choices={indexes} onChange={set_index} help={INDEX_HELP} />
            <Acts>
                <Button appearance="primary" disabled={busy} label={busy ? 'Trying them out…' : 'Create both inputs'} onClick={create} />
                <Button appearance="secondary" label="Set up another input" onClick={onOwn} />
            </Acts>
        </Empty>
    );
}
