import Button from '@splunk/react-ui/Button';
import Modal from '@splunk/react-ui/Modal';
import type { FormEvent, ReactNode } from 'react';
import { Problem } from './Field';

type Props = {
    title: string;
    width: number;
    error?: string;
    busy: boolean;
    /** What the button says while it is busy. */
    doing: string;
    children: ReactNode;
    onSave: (event?: FormEvent) => void;
    onClose: () => void;
};

/** A form in a dialog, saved by its button or the Enter key. */
export function FormDialog({ title, width, error, busy, doing, children, onSave, onClose }: Props) {
    return (
        <Modal open onRequestClose={onClose} returnFocus={() => undefined} style={{ width }}>
            <Modal.Header title={title} />
            <Modal.Body>
                <form onSubmit={onSave} noValidate autoComplete="off">
                    <Problem>{error}</Problem>
                    {children}
                    <input type="submit" hidden />
                </form>
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" label="Cancel" onClick={onClose} />
                <Button appearance="primary" label={busy ? doing : 'Save'} disabled={busy} onClick={() => onSave()} />
            </Modal.Footer>
        </Modal>
    );
}
