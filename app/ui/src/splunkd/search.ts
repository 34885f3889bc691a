// Searches of the page: the inputs' own log lines in _internal, and the events that arrive.
import { ask, SplunkdError } from './rest';

export type Row = Record<string, string>;

/** Messages that make an answer useless, though its status says that all is well. Other warnings do not. */
const grave = ({ type, text }: { type: string; text: string }) => ['ERROR', 'FATAL'].includes(type) || /fetch REST endpoint/i.test(text);

async function search(text: string, earliest: string, count = 1000): Promise<Row[]> {
    const form = { search: text, exec_mode: 'oneshot', earliest_time: earliest, latest_time: 'now', count: String(count) };
    const { results, messages } = await ask('search/jobs', { method: 'POST', form });
    const said = (messages ?? []).filter(grave).map((message: { text: string }) => message.text);
    if (said.length > 0) throw new SplunkdError(200, said.join(' '));
    return results ?? [];
}

const LINES = 'search index=_internal sourcetype=splunkd component=ExecProcessor "defender://"';
// Three feeds, three lines: `poll requests=… rows=… events=…`, `poll requests=… records=…` of storage, and each minute
// `partition=… messages=… records=…` of a hub, whose lag is of something only when messages came.
const NUMBERS = [
    'defender://(?<input>[A-Za-z0-9_-]+): (?:poll requests|partition)=',
    ' poll requests=(?<requests>\\d+)',
    ' (?:rows|records)=(?<rows>\\d+)',
    ' (?:events|records)=(?<events>\\d+)',
    ' throttled_s=(?<throttled_s>[0-9.]+)',
    '(?: poll | messages=[1-9]).* lag_s=(?<lag_s>\\d+)',
    ' history_left_s=(?<history_left_s>\\d+)',
    ' refused=(?<refused>\\d+)',
    ' duration_s=(?<duration_s>[0-9.]+)',
];
const POLLS = [`${LINES} (" poll requests=" OR " partition=")`, ...NUMBERS.map((pattern) => `rex "${pattern}"`)].join(' | ');

/** Per input over 24 h: polls, requests, events, seconds of throttling, and what the last poll said. */
export const polls = () =>
    search(
        `${POLLS} | eval newest=_time-lag_s | stats count as lines count(requests) as polls sum(requests) as requests sum(events) as events sum(throttled_s) as throttled_s max(newest) as newest latest(_time) as last latest(history_left_s) as history_left_s latest(refused) as refused max(history_left_s) as history_most_s by input`,
        '-24h',
    );

/** Events and requests per hour and input over 24 h. */
export const hours = () => search(`${POLLS} | bin _time span=1h | stats sum(events) as events sum(requests) as requests by _time input`, '-24h', 10_000);

/** How fast history is being read, over the last 30 minutes. */
export const progress = () =>
    search(
        `${POLLS} | stats count as polls sum(rows) as rows earliest(history_left_s) as left_before latest(history_left_s) as left earliest(duration_s) as first_s earliest(_time) as since latest(_time) as last by input`,
        '-30m',
    );

/** Warnings and errors of 24 h, the newest of each wording first. */
export const troubles = () =>
    search(
        `${LINES} (log_level=ERROR OR log_level=WARN) | rex "defender://(?<input>[A-Za-z0-9_-]+): (?<message>.+)" | stats count latest(log_level) as log_level latest(_time) as last by input message | sort 0 -last | head 200`,
        '-24h',
    );

/** The newest events of an index that come from this add-on. */
export const arrivals = (index: string) =>
    search(`search index="${index}" source="defender:*" | head 20 | table _time sourcetype source _raw`, '-30d', 20);

/** The names under which a realm has passwords. A search answers with the columns it names, so that no stored value comes to
 * the browser; the password store itself would send all of them along. */
export async function password_names(realm: string): Promise<string[]> {
    const store = '/servicesNS/nobody/TA_defender/storage/passwords';
    // Whoever may not read the store gets a warning and no rows, which `search` does not take for an empty store.
    const rows = await search(`| rest ${store} count=0 splunk_server=local | search realm="${realm}" | table username`, '-1m', 10_000);
    return rows.map((row) => row.username);
}
