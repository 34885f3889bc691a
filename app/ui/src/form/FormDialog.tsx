import Button from '@splunk/react-ui/Button';
import Modal from '@splunk/react-ui/Modal';
import { useEffect, useRef, type FormEvent, type ReactNode } from 'react';
import type { Settings } from '../splunkd/rest';
import { Dialog } from './Dialog';
import { Problem } from './Field';

type Props = {
    title: string;
    width: number;
    /** What is wrong, by field; `form` is about none of them. */
    errors: Settings;
    busy: boolean;
    /** What the button says while it is busy. */
    doing: string;
    children: ReactNode;
    onSave: (event?: FormEvent) => void;
    onClose: () => void;
};

/** A form in a dialog, saved by its button or the Enter key. */
export function FormDialog({ title, width, errors, busy, doing, children, onSave, onClose }: Props) {
    const form = useRef<HTMLFormElement>(null);
    useEffect(() => to_first_error(form.current, errors), [errors]);
    return (
        <Dialog title={title} width={width} onClose={onClose}>
            <Modal.Body>
                <form ref={form} onSubmit={onSave} noValidate autoComplete="off">
                    <Problem>{errors.form}</Problem>
                    {children}
                    <input type="submit" hidden />
                </form>
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" label="Cancel" onClick={onClose} />
                <Button appearance="primary" label={busy ? doing : 'Save'} disabled={busy} onClick={() => onSave()} />
            </Modal.Footer>
        </Dialog>
    );
}

/** Whoever does not see the red finds the field by its focus. A problem of the whole form is above all fields. */
export function to_first_error(form: HTMLElement | null, errors: Settings) {
    if (errors.form) form?.querySelector('[role="alert"]')?.scrollIntoView({ block: 'nearest' });
    else if (Object.keys(errors).length > 0) form?.querySelector<HTMLElement>('[data-error="true"] :is(input, textarea, button)')?.focus();
}
