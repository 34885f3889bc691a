import CollapsiblePanel from '@splunk/react-ui/CollapsiblePanel';
import { useState, type FormEvent } from 'react';
import { ChoiceField, Inside, name_problem, SuggestField, TextField } from '../form/Field';
import { FormDialog } from '../form/FormDialog';
import { useBusy } from '../form/useLoaded';
import { save_input, type Input } from '../splunkd/inputs';
import { text_of, type Settings } from '../splunkd/rest';
import { field_of, FEEDS, fits, INDEX_HELP, PARAMETERS, to_form, to_send, type Parameter } from './parameters';

type Props = {
    /** The input that is edited, or that a new one begins as. */
    input?: Input;
    is_new: boolean;
    taken: string[];
    accounts: string[];
    indexes: string[];
    onSaved: () => Promise<void>;
    onClose: () => void;
};

export function InputForm({ input, is_new, taken, accounts, indexes, onSaved, onClose }: Props) {
    const [name, set_name] = useState(is_new ? (input ? free_name(`${input.name}_copy`, taken) : '') : (input?.name ?? ''));
    const [values, set_values] = useState<Settings>(() => to_form(input?.content ?? { account: accounts.length === 1 ? accounts[0] : '', include_alerts: 'none', index: indexes.includes('main') ? 'main' : '' }));
    const [errors, set_errors] = useState<Settings>({});
    const [advanced, set_advanced] = useState(false);
    const { busy, run } = useBusy();
    const { feed, api } = values;
    const usable = PARAMETERS.filter((parameter) => fits(parameter, feed));
    const set = (setting: string) => (value: string) =>
        set_values((old) => {
            const next = { ...old, [setting]: value };
            // A default that depends on feed and API follows them; what was typed stays.
            for (const { name: one, standard } of PARAMETERS) {
                if (one !== setting && old[one] === standard(old.feed, old.api)) next[one] = standard(next.feed, next.api);
            }
            return next;
        });

    const save = (event?: FormEvent) => {
        event?.preventDefault();
        return run(async () => {
            const wrong: Settings = {};
            const name_wrong = is_new ? name_problem(name, taken) : undefined;
            if (name_wrong) wrong.name = name_wrong;
            if (!values.account) wrong.account = 'Choose an account.';
            if (!values.index.trim()) wrong.index = 'Choose an index.';
            for (const parameter of usable) if (parameter.required && !values[parameter.name]?.trim()) wrong[parameter.name] = 'This is required.';
            set_errors(wrong);
            if (Object.keys(wrong).length > 0) return;
            try {
                await save_input(name, to_send(values, is_new), is_new);
            } catch (failure) {
                const field = field_of(text_of(failure));
                // A refusal must not hide in a closed panel.
                if (PARAMETERS.some((parameter) => parameter.advanced && parameter.name === field)) set_advanced(true);
                set_errors({ [shown(field, feed) ? field : 'form']: text_of(failure) });
                return;
            }
            await onSaved();
        });
    };

    const field = (parameter: Parameter) => {
        const common = { name: parameter.name, label: parameter.label, help: parameter.help(feed, api), required: parameter.required, value: values[parameter.name], error: errors[parameter.name], onChange: set(parameter.name) };
        return parameter.choices ? <ChoiceField key={parameter.name} {...common} choices={parameter.choices} /> : <TextField key={parameter.name} {...common} />;
    };
    const hidden = usable.filter((parameter) => parameter.advanced);
    const named = (names: string[], held: string) => [...new Set(held && !names.includes(held) ? [...names, held] : names)].map((value) => ({ value, label: value }));
    return (
        <FormDialog title={is_new ? (input ? `Clone ${input.name}` : 'Add input') : `Edit ${input?.name}`} width={680} errors={errors} busy={busy} doing="Trying it out…" onSave={save} onClose={onClose}>
            <TextField name="name" label="Name" required value={name} error={errors.name} disabled={!is_new} onChange={set_name} help="Letters, digits, _ and -. The position of the input is kept under this name." />
            <ChoiceField name="feed" label="Feed" required value={feed} choices={FEEDS} error={errors.feed} onChange={set('feed')} help="What to collect." />
            <ChoiceField name="account" label="Account" required value={values.account} choices={named(accounts, values.account)} error={errors.account} onChange={set('account')} help={FEEDS.find((one) => one.value === feed)?.account} />
            <SuggestField name="index" label="Index" required value={values.index} choices={indexes} error={errors.index} onChange={set('index')} help={INDEX_HELP} />
            {usable.filter((parameter) => !parameter.advanced).map(field)}
            <CollapsiblePanel title="Advanced" open={advanced} onChange={() => set_advanced(!advanced)}>
                <Inside>{hidden.map(field)}</Inside>
            </CollapsiblePanel>
        </FormDialog>
    );
}

const shown = (field: string, feed: string) =>
    ['name', 'feed', 'account', 'index', 'form'].includes(field) || PARAMETERS.some((parameter) => parameter.name === field && fits(parameter, feed));

function free_name(wanted: string, taken: string[]): string {
    for (let at = 1; ; at += 1) {
        const name = at === 1 ? wanted : `${wanted}_${at}`;
        if (!taken.includes(name)) return name;
    }
}
