import styled from 'styled-components';
import variables from '@splunk/themes/variables';

const Chart = styled.svg`
    display: block;
    width: 100%;
    height: 120px;
    rect.events {
        fill: ${variables.accentColorPositive};
    }
    text {
        fill: ${variables.contentColorMuted};
        font-size: 11px;
    }
    line {
        stroke: ${variables.borderColor};
    }
`;

type Props = { label: string; values: number[]; ends: string[] };

/** One bar per hour, the oldest at the left. Numbers are in the table beside, so a reader of screens misses nothing. */
export function Bars({ label, values, ends }: Props) {
    const most = Math.max(1, ...values);
    const width = 720 / values.length;
    const height = 84;
    return (
        <Chart viewBox="0 0 720 120" preserveAspectRatio="none" role="img" aria-label={`${label}: ${values.reduce((sum, value) => sum + value, 0)} in 24 hours, at most ${most} in one`}>
            <text x="0" y="10">
                {label}, at most {most.toLocaleString()} per hour
            </text>
            <line x1="0" x2="720" y1={height + 18} y2={height + 18} />
            {values.map((value, at) => (
                <rect key={at} className="events" x={at * width + 1} width={width - 2} y={18 + height - (value / most) * height} height={(value / most) * height}>
                    <title>
                        {ends[at]}: {value.toLocaleString()}
                    </title>
                </rect>
            ))}
            <text x="0" y="116">
                {ends[0]}
            </text>
            <text x="720" y="116" textAnchor="end">
                now
            </text>
        </Chart>
    );
}
