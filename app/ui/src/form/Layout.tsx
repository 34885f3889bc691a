import styled from 'styled-components';
import variables from '@splunk/themes/variables';

/** A line above a table: what it shows, and what can be done. */
export const Bar = styled.div`
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: 16px;
    margin-bottom: 12px;
    color: ${variables.contentColorDefault};
`;

export const Acts = styled.div`
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px;
    /* In line with the text of the other cells. */
    td & {
        flex-wrap: nowrap;
        margin: -4px 0 -4px -8px;
        white-space: nowrap;
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
    && > * + * {
        margin-top: 12px;
    }
`;

/** What is said when there is nothing to say. The toolkit's muted colour has a contrast of 3 to 1, which is too little. */
export const Muted = styled.span`
    font-style: italic;
`;

/** Long names and addresses break where they must, rather than widen the table. */
export const Wrapped = styled.span<{ $least?: string; $most?: string }>`
    display: block;
    min-width: ${({ $least = '20ch' }) => $least};
    max-width: ${({ $most = '36ch' }) => $most};
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
