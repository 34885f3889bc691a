// The configuration page: mounted into the view `configuration` (default/data/ui/views/configuration.xml).
import { getThemeOptions, getUserTheme } from '@splunk/splunk-utils/themes';
import { SplunkThemeProvider } from '@splunk/themes';
import { createRoot } from 'react-dom/client';
import { Page } from './Page';

async function start() {
    const place = document.getElementById('ta-defender-configuration');
    if (!place) return;
    const theme = getThemeOptions(await getUserTheme());
    createRoot(place).render(
        <SplunkThemeProvider density="comfortable" {...theme}>
            <Page />
        </SplunkThemeProvider>,
    );
}

// Splunk runs the script of a view before or after the view's HTML is there.
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => void start());
else void start();
