import Heading from '@splunk/react-ui/Heading';
import Link from '@splunk/react-ui/Link';
import Paragraph from '@splunk/react-ui/Paragraph';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { createURL } from '@splunk/splunk-utils/url';
import { Problem } from '../form/Field';
import { useLoaded } from '../form/useLoaded';
import { arrivals, type Row } from '../splunkd/search';

/** The newest events of an index, asked for again every five seconds. */
export function Arriving({ index }: { index: string }) {
    const { value, error } = useLoaded(() => arrivals(index), 5_000);
    const query = `search index="${index}" source="defender:*"`;
    return (
        <section aria-label="Events arriving" style={{ marginTop: 32 }}>
            <Heading level={2} style={{ margin: '0 0 12px' }}>Events arriving in {index}</Heading>
            <Problem>{error}</Problem>
            {!value && !error && <WaitSpinner size="medium" screenReaderText="Looking for events" />}
            {value?.length === 0 && (
                <Paragraph>
                    <WaitSpinner size="small" /> No event yet. The first poll takes up to a minute; if nothing comes, the tab Health has the errors.
                </Paragraph>
            )}
            {value && value.length > 0 && (
                <>
                    <Table stripeRows horizontalOverflow="scroll">
                        <Table.Head>
                            <Table.HeadCell truncate={false} width={210}>Last update</Table.HeadCell>
                            <Table.HeadCell truncate={false} width={240}>Sourcetype</Table.HeadCell>
                            <Table.HeadCell truncate={false} width={110}>Severity</Table.HeadCell>
                            <Table.HeadCell truncate={false}>Title</Table.HeadCell>
                        </Table.Head>
                        <Table.Body>
                            {value.slice(0, 10).map((row, at) => (
                                <Event key={at} row={row} />
                            ))}
                        </Table.Body>
                    </Table>
                    <Paragraph style={{ marginTop: 12 }}>
                        <Link to={createURL('app/TA_defender/search', { q: query, earliest: '-30d', latest: 'now' })} openInNewContext>
                            Open in Search
                        </Link>
                    </Paragraph>
                </>
            )}
        </section>
    );
}

const time = (text: string) => new Date(Number.isNaN(Number(text)) ? text : Number(text) * 1000).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' });

function Event({ row }: { row: Row }) {
    let event: Record<string, unknown> = {};
    try {
        event = JSON.parse(row._raw);
    } catch {
        // An event that Splunk cut short has no members to show.
    }
    const text = (...names: string[]) => String(names.map((name) => event[name]).find(Boolean) ?? '');
    return (
        <Table.Row>
            <Table.Cell style={{ whiteSpace: 'nowrap' }}>{time(row._time)}</Table.Cell>
            <Table.Cell>{row.sourcetype}</Table.Cell>
            <Table.Cell>{text('severity')}</Table.Cell>
            <Table.Cell>{text('displayName', 'title', 'incidentName', 'category')}</Table.Cell>
        </Table.Row>
    );
}
