import Button from '@splunk/react-ui/Button';
import Modal from '@splunk/react-ui/Modal';
import Paragraph from '@splunk/react-ui/Paragraph';
import { useState, type ReactNode } from 'react';
import { text_of } from '../splunkd/rest';
import { Dialog } from './Dialog';
import { Problem } from './Field';
import { useBusy } from './useLoaded';

type Props = { title: string; act: string; children: ReactNode; onConfirm: () => Promise<void>; onClose: () => void };

/** Asks before something is deleted. */
export function Confirm({ title, act, children, onConfirm, onClose }: Props) {
    const [error, set_error] = useState<string>();
    const { busy, run } = useBusy();
    const confirm = () =>
        run(async () => {
            try {
                await onConfirm();
                onClose();
            } catch (failure) {
                set_error(text_of(failure));
            }
        });
    return (
        <Dialog title={title} width={520} onClose={onClose}>
            <Modal.Body>
                <Problem>{error}</Problem>
                <Paragraph>{children}</Paragraph>
            </Modal.Body>
            <Modal.Footer>
                <Button appearance="secondary" onClick={onClose} label="Cancel" />
                <Button appearance="destructive" disabled={busy} onClick={confirm} label={busy ? 'Deleting…' : act} />
            </Modal.Footer>
        </Dialog>
    );
}
