import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import Paragraph from '@splunk/react-ui/Paragraph';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { useState } from 'react';
import { Confirm } from '../form/Confirm';
import { Problem } from '../form/Field';
import { Bar, Empty } from '../form/Layout';
import { useLoaded } from '../form/useLoaded';
import type { TabId } from '../Page';
import { load_accounts } from '../splunkd/accounts';
import { delete_input, load_indexes, load_inputs, switch_input, type Input } from '../splunkd/inputs';
import { text_of } from '../splunkd/rest';
import { polls, progress, troubles } from '../splunkd/search';
import { Arriving } from './Arriving';
import { FirstInputs } from './FirstInputs';
import { History } from './History';
import { InputForm } from './InputForm';
import { InputTable } from './InputTable';

type Dialog = { kind: 'form'; input?: Input; is_new: boolean } | { kind: 'delete'; input: Input };

const load = async () => {
    const [inputs, accounts, indexes] = await Promise.all([load_inputs(), load_accounts(), load_indexes()]);
    return { inputs, accounts: accounts.map((account) => account.name), indexes };
};
/** Who may not search _internal still sees the inputs. */
const load_log = async () => {
    const [polled, failed, moving] = await Promise.all([polls(), troubles(), progress()]);
    return { polled, failed, moving };
};

export function InputsTab({ go }: { go: (tab: TabId) => void }) {
    const { value, error, reload } = useLoaded(load);
    const [dialog, set_dialog] = useState<Dialog>();
    const [problem, set_problem] = useState<string>();
    const [watched, set_watched] = useState<string>();
    // Whoever watches the first events wants to see the first poll, too.
    const log = useLoaded(load_log, watched ? 5_000 : 15_000);
    const close = () => set_dialog(undefined);

    const act = async (work: () => Promise<unknown>) => {
        set_problem(undefined);
        try {
            await work();
        } catch (failure) {
            set_problem(text_of(failure));
        }
        await reload();
    };
    const saved = async (problem?: string) => {
        close();
        set_problem(problem);
        const inputs = await load_inputs().catch(() => []);
        if (value?.inputs.length === 0 && inputs.length > 0) set_watched(inputs[0].content.index || 'main');
        await reload();
    };

    if (!value) {
        return (
            <>
                <Problem>{error}</Problem>
                {!error && <WaitSpinner size="medium" screenReaderText="Loading inputs" />}
            </>
        );
    }
    const { inputs, accounts, indexes } = value;
    return (
        <>
            <Problem>{problem ?? error}</Problem>
            {inputs.length === 0 && accounts.length === 0 && (
                <Empty>
                    <Heading level={2} style={{ marginTop: 0 }}>
                        No account yet
                    </Heading>
                    <Paragraph>An input collects with an account. Add one first.</Paragraph>
                    <Button appearance="primary" label="Go to Accounts" onClick={() => go('accounts')} />
                </Empty>
            )}
            {inputs.length === 0 && accounts.length > 0 && <FirstInputs accounts={accounts} indexes={indexes} onSaved={saved} onOwn={() => set_dialog({ kind: 'form', is_new: true })} />}
            {inputs.length > 0 && (
                <>
                    <Bar>
                        <span>{log.error ? `The state of the inputs is not known: ${log.error}` : 'Newest event and last error come from the log of the inputs over 24 hours.'}</span>
                        <Button appearance="primary" label="Add input" onClick={() => set_dialog({ kind: 'form', is_new: true })} />
                    </Bar>
                    <InputTable
                        inputs={inputs}
                        polled={log.value?.polled ?? []}
                        failed={log.value?.failed ?? []}
                        onEdit={(input) => set_dialog({ kind: 'form', input, is_new: false })}
                        onClone={(input) => set_dialog({ kind: 'form', input, is_new: true })}
                        onDelete={(input) => set_dialog({ kind: 'delete', input })}
                        onSwitch={(input, on) => act(() => switch_input(input.name, on))}
                    />
                </>
            )}
            {log.value && <History inputs={inputs} polled={log.value.polled} moving={log.value.moving} />}
            {watched && <Arriving index={watched} />}
            {dialog?.kind === 'form' && <InputForm {...dialog} taken={inputs.map((one) => one.name)} accounts={accounts} indexes={indexes} onSaved={saved} onClose={close} />}
            {dialog?.kind === 'delete' && (
                <Confirm
                    title={`Delete ${dialog.input.name}?`}
                    act="Delete input"
                    onClose={close}
                    onConfirm={async () => {
                        await delete_input(dialog.input.name);
                        await reload();
                    }}
                >
                    Collecting stops. Events that were indexed stay. The position is kept: an input of this name goes on from there.
                </Confirm>
            )}
        </>
    );
}
