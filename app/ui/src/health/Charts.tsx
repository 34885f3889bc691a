import Select from '@splunk/react-ui/Select';
import { useState } from 'react';
import type { Row } from '../splunkd/search';
import { Bars } from './Bars';

const ALL = '';

/** Events and requests by the hour, of all inputs or of one. */
export function Charts({ hourly, inputs }: { hourly: Row[]; inputs: string[] }) {
    const [input, set_input] = useState(ALL);
    const now = Math.floor(Date.now() / 3_600_000) * 3600;
    const starts = Array.from({ length: 24 }, (_, at) => now - (23 - at) * 3600);
    const wanted = hourly.filter((row) => input === ALL || row.input === input);
    const sums = (what: string) => starts.map((start) => wanted.filter((row) => seconds(row) === start).reduce((sum, row) => sum + Number(row[what] ?? 0), 0));
    const ends = starts.map((start) => new Date(start * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    return (
        <section aria-label="Events and requests by the hour" style={{ marginTop: 24 }}>
            <Select value={input} prefixLabel="Input" labelText="Input of the charts" onChange={(_, data) => set_input(String(data.value))}>
                <Select.Option value={ALL} label="All" />
                {inputs.map((name) => (
                    <Select.Option key={name} value={name} label={name} />
                ))}
            </Select>
            <div style={{ display: 'grid', gridTemplateColumns: '1fr 1fr', gap: 32, marginTop: 12 }}>
                <Bars label="Events" values={sums('events')} ends={ends} />
                <Bars label="Requests" values={sums('requests')} ends={ends} />
            </div>
        </section>
    );
}

const seconds = (row: Row) => (Number.isNaN(Number(row._time)) ? Date.parse(row._time) / 1000 : Number(row._time));
