import Button from '@splunk/react-ui/Button';
import Heading from '@splunk/react-ui/Heading';
import List from '@splunk/react-ui/List';
import Paragraph from '@splunk/react-ui/Paragraph';
import Table from '@splunk/react-ui/Table';
import WaitSpinner from '@splunk/react-ui/WaitSpinner';
import { useState } from 'react';
import { Confirm } from '../form/Confirm';
import { Problem } from '../form/Field';
import { Acts, Bar, Empty, Wrapped } from '../form/Layout';
import { useLoaded } from '../form/useLoaded';
import type { TabId } from '../Page';
import { delete_account, load_accounts, users_of, type Account } from '../splunkd/accounts';
import { load_inputs } from '../splunkd/inputs';
import { mark_configured } from '../splunkd/settings';
import { SplunkdError } from '../splunkd/rest';
import { AccountForm, AUTHS } from './AccountForm';
import { CLOUDS } from './clouds';
import { TestConnection } from './TestConnection';

type Dialog = { kind: 'add' } | { kind: 'edit' | 'delete' | 'test'; account: Account };

export function AccountsTab({ go }: { go: (tab: TabId) => void }) {
    const { value: accounts, error, reload } = useLoaded(load_accounts);
    const [dialog, set_dialog] = useState<Dialog>();
    const close = () => set_dialog(undefined);

    const saved = async (is_new: boolean) => {
        const first = is_new && accounts?.length === 0;
        close();
        await reload();
        if (!first) return;
        // Who may not mark the app as set up can go on all the same.
        await mark_configured().catch(() => undefined);
        const inputs = await load_inputs().catch(() => []);
        if (inputs.length === 0) go('inputs');
    };

    const remove = async (name: string) => {
        const users = await users_of(name);
        if (users.length > 0) throw new SplunkdError(409, `${name} is still used by ${users.join(', ')}. Give them another account, or delete them first.`);
        await delete_account(name);
        await reload();
    };

    return (
        <>
            <Problem>{error}</Problem>
            {!accounts && !error && <WaitSpinner size="medium" screenReaderText="Loading accounts" />}
            {accounts?.length === 0 && <FirstAccount onAdd={() => set_dialog({ kind: 'add' })} />}
            {accounts && accounts.length > 0 && (
                <>
                    <Bar>
                        <span>An account is a tenant and an app registration in it. Inputs and alert actions use it by its name.</span>
                        <Button appearance="primary" label="Add account" onClick={() => set_dialog({ kind: 'add' })} />
                    </Bar>
                    <Table stripeRows horizontalOverflow="scroll">
                        <Table.Head>
                            {['Name', 'Cloud', 'Tenant', 'Client', 'Signs in with', 'Actions'].map((title) => (
                                <Table.HeadCell truncate={false} key={title}>{title}</Table.HeadCell>
                            ))}
                        </Table.Head>
                        <Table.Body>
                            {accounts.map((account) => (
                                <Table.Row key={account.name}>
                                    <Table.Cell>
                                        <Wrapped>{account.name}</Wrapped>
                                    </Table.Cell>
                                    <Table.Cell>{account.content.auth === 'connection_string' ? '–' : (CLOUDS.find((cloud) => cloud.value === (account.content.cloud || 'commercial'))?.label ?? account.content.cloud)}</Table.Cell>
                                    <Table.Cell>
                                        <Wrapped $least="12ch">{account.content.tenant_id}</Wrapped>
                                    </Table.Cell>
                                    <Table.Cell>
                                        <Wrapped $least="12ch">{account.content.client_id}</Wrapped>
                                    </Table.Cell>
                                    <Table.Cell>{AUTHS.find((auth) => auth.value === (account.content.auth || 'client_secret'))?.label ?? account.content.auth}</Table.Cell>
                                    <Table.Cell>
                                        <Acts>
                                            <Button appearance="subtle" label="Test connection" aria-label={`Test connection of ${account.name}`} onClick={() => set_dialog({ kind: 'test', account })} />
                                            <Button appearance="subtle" label="Edit" aria-label={`Edit ${account.name}`} onClick={() => set_dialog({ kind: 'edit', account })} />
                                            <Button appearance="subtle" label="Delete" aria-label={`Delete ${account.name}`} onClick={() => set_dialog({ kind: 'delete', account })} />
                                        </Acts>
                                    </Table.Cell>
                                </Table.Row>
                            ))}
                        </Table.Body>
                    </Table>
                </>
            )}
            {(dialog?.kind === 'add' || dialog?.kind === 'edit') && (
                <AccountForm account={dialog.kind === 'edit' ? dialog.account : undefined} taken={(accounts ?? []).map((one) => one.name)} onSaved={saved} onClose={close} />
            )}
            {dialog?.kind === 'test' && <TestConnection account={dialog.account.name} onClose={close} />}
            {dialog?.kind === 'delete' && (
                <Confirm title={`Delete ${dialog.account.name}?`} act="Delete account" onConfirm={() => remove(dialog.account.name)} onClose={close}>
                    The account and its stored secret are removed. The app registration in Entra ID stays.
                </Confirm>
            )}
        </>
    );
}

function FirstAccount({ onAdd }: { onAdd: () => void }) {
    return (
        <Empty>
            <Heading level={2} style={{ marginTop: 0 }}>
                Connect your tenant
            </Heading>
            <Paragraph>Everything begins with an account. You need from the Entra admin center:</Paragraph>
            <List>
                <List.Item>an app registration, with its directory (tenant) ID and its application (client) ID</List.Item>
                <List.Item>the application permissions SecurityIncident.Read.All and SecurityAlert.Read.All of Microsoft Graph, with admin consent</List.Item>
                <List.Item>a client secret (its value, not its ID), or a certificate with its private key</List.Item>
            </List>
            <Button appearance="primary" label="Add account" onClick={onAdd} />
        </Empty>
    );
}
