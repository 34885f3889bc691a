// The parameters of an input, as the scheme of the program has them, and for which feed each is.
import type { Choice } from '../form/Field';
import type { Settings } from '../splunkd/rest';

export const INDEX_HELP = 'Where the events go. One that only your indexers have can be typed. The macro defender_addon_index has to name it.';

export type Feed = Choice & { /** What the account is asked to do when an input is saved, and needs. */ account: string };

const TRIED = 'Saving asks Entra ID for a token and makes one small read.';

export const FEEDS: Feed[] = [
    { value: 'incidents', label: 'Incidents', description: 'Each version of an incident', account: TRIED },
    { value: 'alerts', label: 'Alerts', description: 'Each version of an alert', account: TRIED },
    {
        value: 'event_hub',
        label: 'Event hub',
        description: 'Raw events that the streaming API sends to an event hub',
        account: 'It has the role Azure Event Hubs Data Receiver on the namespace or the hub, or holds a connection string.',
    },
    {
        value: 'storage',
        label: 'Storage account',
        description: 'Raw events that the streaming API writes to a storage account',
        account: 'It has the role Storage Blob Data Reader on the storage account, or holds a connection string.',
    },
];
const POLLED = ['incidents', 'alerts'];
const STREAMED = ['event_hub', 'storage'];

export type Parameter = {
    name: string;
    label: string;
    help: (feed: string, api: string) => string;
    choices?: Choice[];
    /** What the program takes when nothing is set. */
    standard: (feed: string, api: string) => string;
    /** The feeds that take it; without them, all do. */
    feeds?: string[];
    required?: boolean;
    advanced?: boolean;
};

const plain = (text: string) => () => text;
const none = plain('');
const of = (...values: string[]) => values.map((value) => ({ value, label: value }));
const PAGES: Record<string, [string, string]> = {
    'incidents graph': ['50', '50'],
    'alerts graph': ['1000', '1000'],
    'incidents defender': ['100', '100'],
    'alerts defender': ['1000', '10000'],
};

/** In the order of the form. A new parameter of the scheme is a new line here. */
export const PARAMETERS: Parameter[] = [
    {
        name: 'api',
        label: 'API',
        feeds: POLLED,
        standard: plain('graph'),
        choices: [
            { value: 'graph', label: 'Microsoft Graph' },
            { value: 'defender', label: 'Defender APIs' },
        ],
        help: (feed) => `Microsoft Graph, unless the app registration has only permissions of the older ${feed === 'incidents' ? 'Microsoft 365 Defender' : 'Defender for Endpoint'} API.`,
    },
    { name: 'event_hub_namespace', label: 'Namespace', feeds: ['event_hub'], required: true, standard: none, help: plain('Its host, such as contoso.servicebus.windows.net.') },
    { name: 'event_hub_name', label: 'Event hub', feeds: ['event_hub'], required: true, standard: none, help: plain('The name of the hub in the namespace.') },
    {
        name: 'consumer_group',
        label: 'Consumer group',
        feeds: ['event_hub'],
        standard: plain('$Default'),
        help: plain('One that nothing else reads with: a second reader of the same group and partition ends the first.'),
    },
    { name: 'storage_account', label: 'Storage account', feeds: ['storage'], required: true, standard: none, help: plain('The host of its blob service, such as contoso.blob.core.windows.net.') },
    {
        name: 'start',
        label: 'Start',
        standard: (feed) => (STREAMED.includes(feed) ? 'latest' : '30d'),
        help: (feed) => `How far back the first run reads: ${STREAMED.includes(feed) ? 'earliest (all that is kept), latest' : 'now'}, a duration such as 12h or 30d, or a time such as 2026-01-31T00:00:00Z.`,
    },
    {
        name: 'include_alerts',
        label: 'Alerts of incidents',
        feeds: ['incidents'],
        standard: plain('changed'),
        choices: of('none', 'changed', 'all'),
        help: plain('none: an input for alerts brings them. changed: those that are new or changed. all: all of them with each version of the incident.'),
    },
    {
        name: 'evidence',
        label: 'Evidence',
        feeds: POLLED,
        standard: plain('inline'),
        choices: of('inline', 'events', 'both'),
        help: plain('inline: inside its alert. events: each piece an event of its own instead. both: as events, and in the alert.'),
    },
    { name: 'tables', label: 'Tables', feeds: STREAMED, standard: none, help: plain('Those whose records are collected, such as DeviceEvents, AlertInfo. Empty for all, and for those that Microsoft adds later.') },
    {
        name: 'shape',
        label: 'Shape',
        feeds: STREAMED,
        standard: plain('incumbent'),
        choices: of('incumbent', 'community'),
        help: plain('The add-on whose content the events fit. incumbent: sourcetype ms:defender:eventhub. community: mscs:azure:eventhub:defender:advancedhunting.'),
    },
    {
        name: 'events',
        label: 'Events',
        feeds: POLLED,
        advanced: true,
        standard: plain('compact'),
        choices: of('compact', 'verbatim'),
        help: plain('compact: without empty members, with the names that published detections read. verbatim: the bytes Microsoft sent.'),
    },
    {
        name: 'lookback',
        label: 'Look back',
        feeds: [...POLLED, 'storage'],
        advanced: true,
        standard: (feed) => (feed === 'storage' ? '24h' : '15m'),
        help: (feed) =>
            feed === 'storage'
                ? 'How long a blob is looked at again after its hour is over, since Microsoft may write late. Nothing is read twice.'
                : 'How far behind the newest event each poll reads again, since Microsoft may show an object late. Repeats are removed.',
    },
    {
        name: 'filter',
        label: 'Filter',
        feeds: POLLED,
        advanced: true,
        standard: none,
        help: plain("An OData expression such as severity eq 'high'. What it leaves out is not collected. It may not name the update time."),
    },
    {
        name: 'page_size',
        label: 'Page size',
        feeds: POLLED,
        advanced: true,
        standard: (feed, api) => PAGES[`${feed} ${api}`]?.[0] ?? '',
        help: (feed, api) => `Objects per request, from 2 to ${PAGES[`${feed} ${api}`]?.[1]}. Fewer only if requests time out.`,
    },
    {
        name: 'partitions',
        label: 'Partitions',
        feeds: ['event_hub'],
        advanced: true,
        standard: none,
        help: plain('Those that this input reads, such as 0-3, 7, when several forwarders share a hub. Empty for all, and for those that are added later.'),
    },
    {
        name: 'transport',
        label: 'Transport',
        feeds: ['event_hub'],
        advanced: true,
        standard: plain('amqp'),
        choices: [
            { value: 'amqp', label: 'AMQP', description: 'Port 5671, never through a proxy' },
            { value: 'websocket', label: 'WebSocket', description: 'Port 443, through the proxy of the settings' },
        ],
        help: plain('The way to the namespace. TLS in both cases.'),
    },
    {
        name: 'dedupe',
        label: 'Repeated records',
        feeds: STREAMED,
        advanced: true,
        standard: plain('off'),
        choices: of('off', 'on'),
        help: plain('Microsoft delivers some records more than once. off: each delivery is an event. on: one that came a short while ago is left out.'),
    },
    {
        name: 'interval',
        label: 'Interval',
        advanced: true,
        standard: plain('60'),
        help: (feed) => (feed === 'event_hub' ? 'Seconds after which the input is started again if it has ended; it stays running otherwise.' : 'Seconds between two polls, or a cron schedule.'),
    },
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

/** Where an input began. */
export const start_of = (content: Settings) => to_form(content).start;

/** Which field the server's refusal is about: `parameter filter: …`, `account …`. */
export function field_of(message: string): string {
    const named = message.match(/^parameter (\w+):/)?.[1];
    if (named) return named;
    if (/`feed = /.test(message)) return 'feed';
    if (/^(there is no )?account /.test(message) || /AADSTS|permission|token/i.test(message)) return 'account';
    return 'form';
}
