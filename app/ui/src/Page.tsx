import Heading from '@splunk/react-ui/Heading';
import TabBar from '@splunk/react-ui/TabBar';
import { useEffect, useState } from 'react';
import styled, { createGlobalStyle } from 'styled-components';
import variables from '@splunk/themes/variables';
import { AccountsTab } from './accounts/AccountsTab';
import { HealthTab } from './health/HealthTab';
import { InputsTab } from './inputs/InputsTab';
import { SettingsTab } from './settings/SettingsTab';

const TABS = { accounts: 'Accounts', inputs: 'Inputs', settings: 'Settings', health: 'Health' };
export type TabId = keyof typeof TABS;

// Dialogs are drawn outside of the page's own element and would else take the type of the page around.
const Type = createGlobalStyle`
    #ta-defender-configuration, [data-test="modal"] { font-family: ${variables.fontFamily}; }
    #ta-defender-configuration td, [data-test="modal"] td { vertical-align: middle; }
`;

const Frame = styled.div`
    color: ${variables.contentColorDefault};
    background: ${variables.backgroundColorPage};
    padding: 16px 24px 32px;
    min-height: 480px;
    box-sizing: border-box;
`;

const read_hash = (): TabId => {
    const hash = window.location.hash.replace('#', '');
    return hash in TABS ? (hash as TabId) : 'accounts';
};

/** The tab is in the address, so that a link leads to it and Back works. */
export function Page() {
    const [tab, set_tab] = useState<TabId>(read_hash);
    useEffect(() => {
        const follow = () => set_tab(read_hash());
        window.addEventListener('hashchange', follow);
        return () => window.removeEventListener('hashchange', follow);
    }, []);
    const go = (id: TabId) => {
        window.location.hash = id;
        set_tab(id);
    };
    return (
        <Frame>
            <Type />
            <Heading level={1}>Microsoft Defender</Heading>
            <TabBar activeTabId={tab} onChange={(_, data) => go(data.selectedTabId as TabId)}>
                {Object.entries(TABS).map(([id, label]) => (
                    <TabBar.Tab key={id} tabId={id} label={label} ariaControls={`panel-${id}`} />
                ))}
            </TabBar>
            <section id={`panel-${tab}`} role="tabpanel" aria-label={TABS[tab]} tabIndex={-1} style={{ paddingTop: 16 }}>
                {tab === 'accounts' && <AccountsTab go={go} />}
                {tab === 'inputs' && <InputsTab go={go} />}
                {tab === 'settings' && <SettingsTab />}
                {tab === 'health' && <HealthTab />}
            </section>
        </Frame>
    );
}
