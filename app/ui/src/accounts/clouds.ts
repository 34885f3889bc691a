import type { Choice } from '../form/Field';

/** The clouds of `defender_account.conf`. */
export const CLOUDS: Choice[] = [
    { value: 'commercial', label: 'Commercial', description: 'login.microsoftonline.com, graph.microsoft.com' },
    { value: 'gcc', label: 'GCC', description: 'US government, on the commercial Graph' },
    { value: 'gcc_high', label: 'GCC High', description: 'login.microsoftonline.us, graph.microsoft.us' },
    { value: 'dod', label: 'DoD', description: 'login.microsoftonline.us, dod-graph.microsoft.us' },
];
