// How far an input has read its history: from what its polls say is left.
import { span } from '../form/Layout';
import type { Row } from '../splunkd/search';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds from an input's `start` to now. */
export function start_span(start: string, now = Date.now() / 1000): number {
    const [, count, unit] = start.match(/^(\d+)([smhd])$/) ?? [];
    if (unit) return Number(count) * UNITS[unit];
    const at = Date.parse(start) / 1000;
    return Number.isNaN(at) ? 0 : Math.max(0, now - at);
}

export type Backfill = {
    /** Seconds of history that are read, of how many. */
    read: number;
    total: number;
    /** Objects per minute, and seconds until it is done; unknown before there is something to measure. */
    per_minute?: number;
    ends_in?: number;
};

/** What is left of history; undefined when it has been read. `moving` is the last half hour. */
export function backfill(start: string, poll?: Row, moving?: Row): Backfill | undefined {
    const left = Number(poll?.history_left_s ?? 0);
    if (left <= 0) return undefined;
    // A start that was edited later says nothing: it is used at the first run only.
    const total = Math.max(start_span(start), Number(poll?.history_most_s ?? 0), left);
    const found: Backfill = { read: total - left, total };
    if (!moving) return found;
    // A poll's line comes at its end, so the first one's own time is before the first line.
    const [first, between] = [Number(moving.first_s ?? 0), Number(moving.last) - Number(moving.since)];
    if (first + between > 0) found.per_minute = Math.round((Number(moving.rows) / (first + between)) * 60);
    // The very first poll is measured by itself.
    const alone = Number(poll?.polls) === 1 && Number(moving.polls) === 1;
    const [read, time] = alone ? [found.read, first] : [Number(moving.left_before) - Number(moving.left), between];
    if (read > 0 && time > 0) found.ends_in = (left / read) * time;
    return found;
}

/** `25 d of 30 d read, 3,100 objects/min, done in about 2 h`. */
export function told({ read, total, per_minute, ends_in }: Backfill): string {
    const parts = [`${span(read)} of ${span(total)} read`];
    if (per_minute) parts.push(`${per_minute.toLocaleString()} objects/min`);
    if (ends_in !== undefined) parts.push(`done in about ${span(ends_in)}`);
    return parts.join(', ');
}
