import styled from 'styled-components';
import variables from '@splunk/themes/variables';

const Figure = styled.figure`
    margin: 0;
    color: ${variables.contentColorDefault};
    font-size: 12px;
    svg {
        display: block;
        width: 100%;
        height: 84px;
        margin: 4px 0;
        border-bottom: 1px solid ${variables.borderColor};
    }
    rect {
        fill: ${variables.accentColorPositive};
    }
    div {
        display: flex;
        justify-content: space-between;
    }
`;

type Props = { label: string; values: number[]; ends: string[] };

/** One bar per hour, the oldest at the left. Sums are in the table above, so a reader of screens misses nothing. */
export function Bars({ label, values, ends }: Props) {
    const most = Math.max(1, ...values);
    const sum = values.reduce((total, value) => total + value, 0);
    return (
        <Figure>
            <figcaption>
                {label}, at most {most.toLocaleString()} per hour
            </figcaption>
            {/* Stretched to the width there is, which bars bear and text would not. */}
            <svg viewBox={`0 0 ${values.length} 1`} preserveAspectRatio="none" role="img" aria-label={`${label}: ${sum} in 24 hours, at most ${most} in one`}>
                {values.map((value, at) => (
                    <rect key={at} x={at + 0.08} width={0.84} y={1 - value / most} height={value / most}>
                        <title>
                            {ends[at]}: {value.toLocaleString()}
                        </title>
                    </rect>
                ))}
            </svg>
            <div aria-hidden="true">
                <span>{ends[0]}</span>
                <span>now</span>
            </div>
        </Figure>
    );
}
