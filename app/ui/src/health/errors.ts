// Which errors of the log are still there, and what they say of an account's secret.
import type { Row } from '../splunkd/search';

/**
 * An error stands until a later poll ended without one. The line of a failed poll comes just before its error. What refuses
 * some containers of a storage account is told once an hour, and counted by every poll.
 */
export function is_resolved(error: Row, polled: Row[]): boolean {
    const poll = polled.find((row) => row.input === error.input);
    if (Number(poll?.refused ?? 0) > 0 && error.message?.startsWith('Azure Storage: ')) return false;
    return poll !== undefined && Number(poll.last) > Number(error.last);
}

const CODES: [RegExp, string][] = [
    [/AADSTS7000222/, 'the client secret has expired'],
    [/AADSTS7000215/, 'the client secret is wrong'],
    [/AADSTS1000502/, 'the certificate has expired'],
    [/AADSTS700027/, 'the certificate is not one of the app registration'],
];

/** What Entra ID refuses now, in one sentence per input. */
export function refused_secrets(failed: Row[], polled: Row[]): string[] {
    const open = failed.filter((row) => row.log_level === 'ERROR' && !is_resolved(row, polled));
    const found = open.flatMap((row) => CODES.filter(([code]) => code.test(row.message)).map(([, what]) => `Input ${row.input}: ${what}.`));
    return [...new Set(found)];
}
