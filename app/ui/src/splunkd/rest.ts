// splunkd's REST, asked through Splunk Web with the session and the CSRF token of the page.
import { getDefaultFetchInit } from '@splunk/splunk-utils/fetch';
import { createRESTURL } from '@splunk/splunk-utils/url';

export const APP = 'TA_defender';

export type Settings = Record<string, string>;
export type Entry = { name: string; content: Settings };

/** What splunkd refused, in its own words; status 0 means that there was no answer. */
export class SplunkdError extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
    }
}

/** `unread`: what is answered to a success stays unread, since it may hold secrets. */
type Options = { method?: 'GET' | 'POST' | 'DELETE'; form?: Settings; query?: string; owner?: string; app?: string; limit?: number; unread?: boolean };

/** Longer than the program's own patience when an input is tried out (10 s). */
const LIMIT = 30_000;

export async function ask(path: string, options: Options = {}): Promise<any> {
    const { method = 'GET', form, query, owner = 'nobody', app = APP, limit = LIMIT, unread = false } = options;
    const url = `${createRESTURL(path, { owner, app })}?output_mode=json${query ? `&${query}` : ''}`;
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), limit);
    try {
        const response = await fetch(url, {
            ...getDefaultFetchInit(),
            method,
            signal: stop.signal,
            body: form ? new URLSearchParams(form).toString() : undefined,
        } as RequestInit);
        if (unread && response.ok) {
            await response.body?.cancel();
            return null;
        }
        const text = await response.text();
        let body: any = null;
        try {
            body = JSON.parse(text);
        } catch {
            // Splunk Web's own error pages are HTML; their status says enough.
        }
        if (!response.ok || body === null) throw new SplunkdError(response.status, words(response.status, body));
        return body;
    } catch (error) {
        if (error instanceof SplunkdError) throw error;
        throw new SplunkdError(0, stop.signal.aborted ? `No answer within ${limit / 1000} s.` : 'Splunk Web cannot be reached.');
    } finally {
        clearTimeout(timer);
    }
}

function words(status: number, body: any): string {
    const said = (body?.messages ?? []).map((message: any) => message.text).filter(Boolean).join(' ');
    if (status === 403) return `You are not allowed to do this. ${said}`.trim();
    if (said) return said;
    if (status === 401) return 'Your session has ended. Log in again.';
    if (status === 404) return 'splunkd does not know this, or Splunk Web does not pass it on.';
    return `splunkd answered with status ${status}.`;
}

export async function list(path: string, options: Options = {}): Promise<Entry[]> {
    const body = await ask(path, { ...options, query: `count=0${options.query ? `&${options.query}` : ''}` });
    return body.entry.map((entry: any) => ({ name: entry.name, content: plain(entry.content) }));
}

/** Settings as text; splunkd's own `eai:` members are left out. */
function plain(content: any): Settings {
    const settings: Settings = {};
    for (const [key, value] of Object.entries(content ?? {})) {
        if (!key.startsWith('eai:') && value !== null && typeof value !== 'object') settings[key] = String(value);
    }
    return settings;
}

export const is_missing = (error: unknown) => error instanceof SplunkdError && error.status === 404;

/** A part of a path. */
export const part = (name: string) => encodeURIComponent(name);

export const text_of = (error: unknown) => (error instanceof Error ? error.message : String(error));
