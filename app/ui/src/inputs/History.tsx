import Heading from '@splunk/react-ui/Heading';
import Progress from '@splunk/react-ui/Progress';
import { backfill, told } from '../health/backfill';
import { is_enabled, type Input } from '../splunkd/inputs';
import type { Row } from '../splunkd/search';
import { start_of } from './parameters';

type Props = { inputs: Input[]; polled: Row[]; moving: Row[] };

/** Inputs that are still reading what was before them; nothing when all is read. */
export function History({ inputs, polled, moving }: Props) {
    const of = (rows: Row[], input: Input) => rows.find((row) => row.input === input.name);
    const running = inputs.flatMap((input) => {
        const state = is_enabled(input) ? backfill(start_of(input.content), of(polled, input), of(moving, input)) : undefined;
        return state ? [{ name: input.name, state, percentage: Math.round((state.read / state.total) * 100) }] : [];
    });
    if (running.length === 0) return null;
    return (
        <section aria-label="Reading history" style={{ marginTop: 32 }}>
            <Heading level={2} style={{ margin: '0 0 12px' }}>
                Reading history
            </Heading>
            {running.map(({ name, state, percentage }) => (
                <div key={name} style={{ marginBottom: 16 }}>
                    <div style={{ display: 'flex', justifyContent: 'space-between', gap: 16, flexWrap: 'wrap', marginBottom: 6 }}>
                        <span>{name}</span>
                        <span>{told(state)}</span>
                    </div>
                    <Progress percentage={percentage} role="progressbar" aria-valuenow={percentage} aria-label={`History of ${name}`} />
                </div>
            ))}
            New events come first in every poll; history follows, from its newest end.
        </section>
    );
}
