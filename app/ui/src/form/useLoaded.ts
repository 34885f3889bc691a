import { useCallback, useEffect, useRef, useState } from 'react';
import { text_of } from '../splunkd/rest';

/** What a request gave, or why it failed; `reload` asks again and keeps showing the old value meanwhile. */
export function useLoaded<T>(load: () => Promise<T>, every?: number) {
    const [value, set_value] = useState<T>();
    const [error, set_error] = useState<string>();
    const asked = useRef(0);
    const loader = useRef(load);
    loader.current = load;
    const reload = useCallback(async () => {
        const turn = (asked.current += 1);
        try {
            const loaded = await loader.current();
            // A slow answer must not replace that of a later question.
            if (turn === asked.current) {
                set_value(loaded);
                set_error(undefined);
            }
        } catch (failure) {
            if (turn === asked.current) set_error(text_of(failure));
        }
    }, []);
    useEffect(() => {
        void reload();
        const timer = every ? setInterval(() => void reload(), every) : undefined;
        return () => {
            asked.current += 1;
            clearInterval(timer);
        };
    }, [reload, every]);
    return { value, error, reload };
}

/** Runs one thing at a time: a second click while it runs does nothing. */
export function useBusy() {
    const [busy, set_busy] = useState(false);
    const running = useRef(false);
    const run = useCallback(async (work: () => Promise<void>) => {
        if (running.current) return;
        running.current = true;
        set_busy(true);
        try {
            await work();
        } finally {
            running.current = false;
            set_busy(false);
        }
    }, []);
    return { busy, run };
}
