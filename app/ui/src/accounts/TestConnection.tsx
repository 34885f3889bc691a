import Button from '@splunk/react-ui/Button';
import Chip from '@splunk/react-ui/Chip';
import Heading from '@splunk/react-ui/Heading';
import Message from '@splunk/react-ui/Message';
import Modal from '@splunk/react-ui/Modal';
import Paragraph from '@splunk/react-ui/Paragraph';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { Dialog } from '../form/Dialog';
import { useBusy, useLoaded } from '../form/useLoaded';
import { PATIENCE, test_account, type Finding, type Outcome, type Permission } from '../splunkd/accounts';
import { SplunkdError } from '../splunkd/rest';

const APIS: Record<string, string> = {
    graph: 'Microsoft Graph',
    defender: 'Microsoft 365 Defender API',
    xdr: 'Microsoft 365 Defender API',
    endpoint: 'Defender for Endpoint API',
    event_hub: 'Azure Event Hubs',
    storage: 'Azure Storage',
};

const title_of = ({ api, input }: Finding) => `${APIS[api] ?? api}${input === undefined ? '' : `, input ${input}`}`;

type Answer = { findings: Finding[] } | { unavailable: string };

async function test(account: string): Promise<Answer> {
    try {
        return { findings: await test_account(account) };
    } catch (error) {
        // An instance where the handler does not run is no fault of the account.
        if (error instanceof SplunkdError && (error.status === 404 || error.status === 0 || error.status >= 500)) {
            return { unavailable: error.message };
        }
        throw error;
    }
}

export function TestConnection({ account, onClose }: { account: string; onClose: () => void }) {
    const { value, error, reload } = useLoaded(() => test(account));
    const { busy, run } = useBusy();
    const asking = busy || (!value && !error);
    return (
        <Dialog title={`Connection of ${account}`} width={720} onClose={onClose}>
            <Modal.Body>
                <div aria-live="polite">
                    {asking && (
                        <Paragraph>
                            <WaitSpinner size="small" /> Asking for a token, and trying each API, event hub and storage account out with a small read… An answer takes up to 20 seconds. It is given up after {PATIENCE} seconds.
                        </Paragraph>
                    )}
                    {!asking && error && (
                        <Message appearance="fill" type="error">
                            {error}
                        </Message>
                    )}
                    {!asking && value && 'unavailable' in value && (
                        <Message appearance="fill" type="warning">
                            The test is not available on this instance: {value.unavailable} The account is saved all the same, and saving an input tries it out.
                        </Message>
                    )}
                    {!asking && value && 'findings' in value && value.findings.map((finding) => <Api key={title_of(finding)} finding={finding} />)}
                </div>
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" label="Test again" disabled={asking} onClick={() => void run(reload)} />
                <Button appearance="primary" label="Close" onClick={onClose} />
            </Modal.Footer>
        </Dialog>
    );
}

function Api({ finding }: { finding: Finding }) {
    const works = finding.token?.ok !== false && finding.call?.ok !== false;
    const title = title_of(finding);
    return (
        <section aria-label={title} style={{ marginBottom: 24 }}>
            <Heading level={3} style={{ marginTop: 0, display: 'flex', alignItems: 'center', justifyContent: 'space-between' }}>
                {title}
                <Chip appearance={works ? 'success' : 'error'}>{works ? 'Works' : 'Does not work'}</Chip>
            </Heading>
            <Paragraph>{finding.host}</Paragraph>
            {finding.token && <Step what="Token" done={finding.call ? 'received' : 'accepted'} outcome={finding.token} />}
            {finding.call && <Step what="Read" done="succeeded" outcome={finding.call} />}
            {works && !finding.call && <Paragraph>Nothing was read: the connection string names no event hub, and no input uses the account yet.</Paragraph>}
            {finding.permissions.length > 0 && (
                <Table horizontalOverflow="scroll">
                    <Table.Head>
                        <Table.HeadCell truncate={false}>Permission</Table.HeadCell>
                        <Table.HeadCell truncate={false}>Needed by</Table.HeadCell>
                        <Table.HeadCell truncate={false}>State</Table.HeadCell>
                    </Table.Head>
                    <Table.Body>
                        {finding.permissions.map((permission) => (
                            <Table.Row key={permission.name}>
                                <Table.Cell>{permission.name}</Table.Cell>
                                <Table.Cell>{permission.needed_by.join(', ') || 'nothing here'}</Table.Cell>
                                <Table.Cell>
                                    <State state={permission.state} />
                                </Table.Cell>
                            </Table.Row>
                        ))}
                    </Table.Body>
                </Table>
            )}
        </section>
    );
}

function Step({ what, done, outcome }: { what: string; done: string; outcome: Outcome }) {
    if (outcome.ok) return <Message type="success">{what}: {done}</Message>;
    return (
        <Message type="error">
            {what}: {outcome.error}
            <br />
            <strong>What to do: {outcome.remedy}.</strong>
        </Message>
    );
}

function State({ state }: { state: Permission['state'] }) {
    if (state === 'granted') return <Chip appearance="success">Granted</Chip>;
    if (state === 'missing') return <Chip appearance="error">Missing</Chip>;
    return <Chip appearance="warning">More than needed</Chip>;
}
