import styled from 'styled-components';
import variables from '@splunk/themes/variables';

/** A line above a table: what it shows, and what can be done. */
export const Bar = styled.div`
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 16px;
    margin-bottom: 12px;
    color: ${variables.contentColorMuted};
`;

export const Acts = styled.div`
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px;
    /* In line with the text of the other cells. */
    td & {
        margin: -4px 0 -4px -8px;
    }
`;

/** What stands where a table would be empty. */
export const Empty = styled.div`
    max-width: 680px;
    margin: 32px auto;
    padding: 24px 32px;
    border: 1px solid ${variables.borderColor};
    border-radius: 4px;
    background: ${variables.backgroundColorSection};
`;

export const Muted = styled.span`
    color: ${variables.contentColorMuted};
`;

/** Long names and addresses break where they must, rather than widen the table. */
export const Wrapped = styled.span`
    overflow-wrap: anywhere;
`;

/** `3 min ago`, `2 d ago`. */
export function ago(seconds: number, now = Date.now() / 1000): string {
    const past = Math.max(0, now - seconds);
    if (past < 60) return 'just now';
    return `${span(past)} ago`;
}

/** `45 s`, `3 min`, `5 h`, `12 d`. */
export function span(seconds: number): string {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86_400)} d`;
}
