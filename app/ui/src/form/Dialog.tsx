import Modal from '@splunk/react-ui/Modal';
import { useCallback, useEffect, useRef, type ReactNode } from 'react';

type Props = { title: string; width: number; children: ReactNode; onClose: () => void };

/** The first control of a form in a dialog; without one, the dialog itself chooses. */
const FIRST = 'form :is(input, textarea, button):not([disabled], [hidden])';

/** A dialog. Focus goes to its form, and when it closes back to what opened it. */
export function Dialog({ title, width, children, onClose }: Props) {
    const opener = useRef(document.activeElement);
    useEffect(() => () => give_back(opener.current), []);
    useEffect(() => closes_by_escape(onClose), [onClose]);
    const enter = useCallback((modal: HTMLElement | null) => modal?.querySelector<HTMLElement>(FIRST)?.focus(), []);
    return (
        <Modal open onRequestClose={onClose} returnFocus={() => undefined} elementRef={enter} style={{ width }}>
            <Modal.Header title={title} />
            {children}
        </Modal>
    );
}

/** A key that nothing has the focus for reaches no dialog: a button that was pressed and then disabled takes the focus with it. */
function closes_by_escape(onClose: () => void) {
    const pressed = (event: KeyboardEvent) => {
        const lost = document.activeElement === null || document.activeElement === document.body;
        if (event.key === 'Escape' && lost && !event.defaultPrevented) onClose();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
}

/** What opened the dialog may be gone with it, as the row of what was deleted: then the tab's panel has the focus. */
function give_back(opener: Element | null) {
    // The layer of the dialog is still there while it is being removed, and would take the focus back.
    setTimeout(() => {
        if (document.activeElement && document.activeElement !== document.body) return;
        const there = opener instanceof HTMLElement && opener !== document.body && opener.isConnected;
        (there ? opener : document.querySelector<HTMLElement>('[role="tabpanel"]'))?.focus();
    });
}
