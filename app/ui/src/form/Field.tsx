import ComboBox from '@splunk/react-ui/ComboBox';
import ControlGroup from '@splunk/react-ui/ControlGroup';
import Message from '@splunk/react-ui/Message';
import Select from '@splunk/react-ui/Select';
import Text from '@splunk/react-ui/Text';
import TextArea from '@splunk/react-ui/TextArea';
import { createContext, useContext, type ReactNode, type Ref } from 'react';

type Common = { label: string; help?: ReactNode; error?: string; required?: boolean; disabled?: boolean; name: string };

const LabelWidth = createContext(160);

/** Fields in a panel of a form, which is 16 pixels narrower on each side: the controls are in line with those outside. */
export function Inside({ children }: { children: ReactNode }) {
    return (
        <LabelWidth.Provider value={144}>
            <div style={{ paddingTop: 16 }}>{children}</div>
        </LabelWidth.Provider>
    );
}

/** A labelled row of a form. The error stands in place of the help, next to what it is about. */
function Row({ label, help, error, required, children }: Common & { children: ReactNode }) {
    return (
        <ControlGroup label={label} help={error ?? help} error={Boolean(error)} data-error={Boolean(error)} required={required} labelPosition="left" labelWidth={useContext(LabelWidth)} controlsLayout="fill">
            {children}
        </ControlGroup>
    );
}

type TextFieldProps = Common & { value: string; onChange: (value: string) => void; placeholder?: string; rows?: number };

export function TextField(props: TextFieldProps) {
    const { value, onChange, placeholder, rows, error, disabled, name } = props;
    const shared = { value, name, error: Boolean(error), disabled, onChange: (_: unknown, data: { value: string }) => onChange(data.value) };
    return <Row {...props}>{rows ? <TextArea {...shared} rowsMin={rows} rowsMax={rows} /> : <Text {...shared} placeholder={placeholder} autoComplete="off" />}</Row>;
}

/** A secret is in this control alone, is read from it when the form is sent, and goes when the control is removed. */
export function SecretField(props: Common & { inputRef: Ref<HTMLInputElement>; placeholder?: string }) {
    return (
        <Row {...props}>
            <Text type="password" name={props.name} inputRef={props.inputRef} placeholder={props.placeholder} autoComplete="new-password" error={Boolean(props.error)} disabled={props.disabled} />
        </Row>
    );
}

/** The same for a value of several lines. */
export function SecretArea(props: Common & { inputRef: Ref<HTMLTextAreaElement> }) {
    return (
        <Row {...props}>
            <TextArea name={props.name} inputRef={props.inputRef} autoComplete="off" spellCheck={false} rowsMin={4} rowsMax={4} error={Boolean(props.error)} />
        </Row>
    );
}

export type Choice = { value: string; label: string; description?: string };

export function ChoiceField(props: Common & { value: string; choices: Choice[]; onChange: (value: string) => void; filter?: boolean }) {
    const { value, choices, onChange, error, disabled, name, filter } = props;
    return (
        <Row {...props}>
            <Select value={value} name={name} error={Boolean(error)} disabled={disabled} filter={filter} onChange={(_, data) => onChange(String(data.value))}>
                {choices.map((choice) => (
                    <Select.Option key={choice.value} value={choice.value} label={choice.label} description={choice.description} />
                ))}
            </Select>
        </Row>
    );
}

/** One of the choices, or something else that is typed. */
export function SuggestField(props: Common & { value: string; choices: string[]; onChange: (value: string) => void }) {
    const { value, choices, onChange, error, disabled, name } = props;
    return (
        <Row {...props}>
            <ComboBox value={value} name={name} error={Boolean(error)} disabled={disabled} onChange={(_, data) => onChange(data.value)}>
                {choices.map((choice) => (
                    <ComboBox.Option key={choice} value={choice} />
                ))}
            </ComboBox>
        </Row>
    );
}

/** What went wrong; read out by screen readers when it appears. */
export function Problem({ children }: { children?: ReactNode }) {
    return (
        <div role="alert">
            {children ? (
                <Message appearance="fill" type="error">
                    {children}
                </Message>
            ) : null}
        </div>
    );
}

/** The rule of names; they become file names and parts of URLs. */
export function name_problem(name: string, taken: string[]): string | undefined {
    if (!name) return 'Enter a name.';
    if (!/^[A-Za-z0-9_-]+$/.test(name)) return 'Use letters, digits, _ and - only.';
    if (name.length > 200) return 'Use 200 characters at most.';
    if (taken.includes(name)) return 'This name is taken.';
    return undefined;
}
