// The parameters of an input, as the scheme of the program has them, and for which feed each is.
import type { Choice } from '../form/Field';
import type { Settings } from '../splunkd/rest';

export const INDEX_HELP = 'Where the events go. One that only your indexers have can be typed. The macro defender_addon_index has to name it.';

export const FEEDS: Choice[] = [
    { value: 'incidents', label: 'Incidents', description: 'Each version of an incident' },
    { value: 'alerts', label: 'Alerts', description: 'Each version of an alert' },
];

export type Parameter = {
    name: string;
    label: string;
    help: (feed: string, api: string) => string;
    choices?: Choice[];
    /** What the program takes when nothing is set. */
    standard: (feed: string, api: string) => string;
    /** The feeds that take it; without them, all do. */
    feeds?: string[];
    advanced?: boolean;
};

const plain = (text: string) => () => text;
const of = (...values: string[]) => values.map((value) => ({ value, label: value }));
const PAGES: Record<string, [string, string]> = {
    'incidents graph': ['50', '50'],
    'alerts graph': ['1000', '1000'],
    'incidents defender': ['100', '100'],
    'alerts defender': ['1000', '10000'],
};

export const PARAMETERS: Parameter[] = [
    {
        name: 'api',
        label: 'API',
        standard: plain('graph'),
        choices: [
            { value: 'graph', label: 'Microsoft Graph' },
            { value: 'defender', label: 'Defender APIs' },
        ],
        help: (feed) => `Microsoft Graph, unless the app registration has only permissions of the older ${feed === 'incidents' ? 'Microsoft 365 Defender' : 'Defender for Endpoint'} API.`,
    },
    { name: 'start', label: 'Start', standard: plain('30d'), help: plain('How far back the first run reads: now, a duration such as 12h or 30d, or a time such as 2026-01-31T00:00:00Z.') },
    {
        name: 'include_alerts',
        label: 'Alerts of incidents',
        feeds: ['incidents'],
        standard: plain('changed'),
        choices: of('none', 'changed', 'all'),
        help: plain('none: an input for alerts brings them. changed: those that are new or changed. all: all of them with each version of the incident.'),
    },
    { name: 'evidence', label: 'Evidence', standard: plain('inline'), choices: of('inline', 'events', 'both'), help: plain('inline: inside its alert. events: each piece an event of its own instead. both: as events, and in the alert.') },
    { name: 'events', label: 'Events', advanced: true, standard: plain('compact'), choices: of('compact', 'verbatim'), help: plain('compact: without empty members, with the names that published detections read. verbatim: the bytes Microsoft sent.') },
    { name: 'lookback', label: 'Look back', advanced: true, standard: plain('15m'), help: plain('How far behind the newest event each poll reads again, since Microsoft may show an object late. Repeats are removed.') },
    { name: 'filter', label: 'Filter', advanced: true, standard: plain(''), help: plain("An OData expression such as severity eq 'high'. What it leaves out is not collected. It may not name the update time.") },
    {
        name: 'page_size',
        label: 'Page size',
        advanced: true,
        standard: (feed, api) => PAGES[`${feed} ${api}`]?.[0] ?? '',
        help: (feed, api) => `Objects per request, from 2 to ${PAGES[`${feed} ${api}`]?.[1]}. Fewer only if requests time out.`,
    },
    { name: 'interval', label: 'Interval', advanced: true, standard: plain('60'), help: plain('Seconds between two polls, or a cron schedule.') },
];

export const fits = (parameter: Parameter, feed: string) => !parameter.feeds || parameter.feeds.includes(feed);

/** What is sent: for what the feed does not take, nothing; a value that is the program's own is left to the program. */
export function to_send(values: Settings, is_new: boolean): Settings {
    const { feed, account, index, api } = values;
    const sent: Settings = { feed, account, index };
    for (const parameter of PARAMETERS) {
        const value = fits(parameter, feed) ? (values[parameter.name] ?? '').trim() : '';
        const own = value === parameter.standard(feed, api) && parameter.name !== 'interval';
        if (value && !own) sent[parameter.name] = value;
        else if (!is_new) sent[parameter.name] = parameter.name === 'interval' ? value || '60' : '';
    }
    return sent;
}

/** The values of a form: what is set, else the program's defaults. */
export function to_form(content: Settings): Settings {
    const feed = content.feed || 'incidents';
    const api = content.api || 'graph';
    const values: Settings = { feed, account: content.account ?? '', index: content.index ?? '' };
    for (const parameter of PARAMETERS) values[parameter.name] = content[parameter.name] || parameter.standard(feed, api);
    return values;
}

/** Which field the server's refusal is about: `parameter filter: …`, `account …`. */
export function field_of(message: string): string {
    const named = message.match(/^parameter (\w+):/)?.[1];
    if (named) return named;
    if (/^(there is no )?account /.test(message) || /AADSTS|permission|token/i.test(message)) return 'account';
    return 'form';
}
