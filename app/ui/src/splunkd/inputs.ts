// Inputs of the scheme `defender`, and the indexes they may write to.
import { ask, list, part, SplunkdError, type Entry, type Settings } from './rest';

const INPUTS = 'data/inputs/defender';

export type Input = Entry;

export const load_inputs = (): Promise<Input[]> => list(INPUTS);
export const is_enabled = (input: Input) => !/^(1|true)$/i.test(input.content.disabled ?? '');

/** Saving asks the program (`--validate-arguments`): what it refuses comes back as a SplunkdError. */
export async function save_input(name: string, values: Settings, is_new: boolean) {
    try {
        if (is_new) await ask(INPUTS, { method: 'POST', form: { name, ...values } });
        else await ask(`${INPUTS}/${part(name)}`, { method: 'POST', form: values });
    } catch (error) {
        if (!(error instanceof SplunkdError)) throw error;
        throw new SplunkdError(error.status, error.message.replace(/^Argument validation for scheme=defender:\s*/, ''));
    }
}

export const switch_input = (name: string, on: boolean) =>
    ask(`${INPUTS}/${part(name)}/${on ? 'enable' : 'disable'}`, { method: 'POST' });

export const delete_input = (name: string) => ask(`${INPUTS}/${part(name)}`, { method: 'DELETE' });

/** Indexes for events that this instance knows, by name. A forwarder does not know those of its indexers; who may not list any
 * can still type one. */
export async function load_indexes(): Promise<string[]> {
    const entries = await list('data/indexes', { query: 'datatype=event' }).catch(() => []);
    const usable = entries.filter(({ content }) => !/^(1|true)$/i.test(content.isInternal ?? '') && !/^(1|true)$/i.test(content.disabled ?? ''));
    return usable.map((entry) => entry.name).sort();
}
