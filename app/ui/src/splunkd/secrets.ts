// storage/passwords: short values whole, longer ones in pieces (`<name>.1`, `<name>.2`, …), as the program reads them.
import { ask, part, type Settings } from './rest';
import { password_names } from './search';

/** Characters that fit one stored value. */
const PIECE = 250;

/** The first piece begins with the number of pieces and a colon. Counted in UTF-8 bytes, as splunkd stores them. */
export function pieces(value: string): string[] {
    const bytes = (text: string) => new TextEncoder().encode(text).length;
    if (bytes(value) <= PIECE) return [value];
    for (let count = 2; ; count += 1) {
        const found = [`${count}:`];
        for (const character of value) {
            const last = found.length - 1;
            if (bytes(found[last] + character) <= PIECE) found[last] += character;
            else found.push(character);
        }
        if (found.length <= count) return found.length === count ? found : [...found, ''].slice(0, count);
    }
}

/** splunkd answers a change of the store with what is in it, in clear text: no script reads that. */
const change = (path: string, method: 'POST' | 'DELETE', form?: Settings) => ask(path, { method, form, unread: true });
const address = (realm: string, name: string) => `storage/passwords/${part(`${realm}:${name}:`)}`;

/** The stored names of some secrets, whole or in pieces. */
async function stored(realm: string, secrets: string[]): Promise<string[]> {
    const is_of = (one: string) => (name: string) => one === name || (one.startsWith(`${name}.`) && /^\d+$/.test(one.slice(name.length + 1)));
    return (await password_names(realm)).filter((one) => secrets.some(is_of(one)));
}

/** Stores a secret and removes what an earlier, longer or shorter one left. */
export async function store_secret(realm: string, name: string, value: string) {
    const before = await stored(realm, [name]);
    const parts = pieces(value);
    const after = parts.map((text, at) => [parts.length === 1 ? name : `${name}.${at + 1}`, text]);
    // The first piece last: until it is there, the old value is still whole or is seen to be incomplete.
    for (const [one, password] of after.reverse()) {
        if (before.includes(one)) await change(address(realm, one), 'POST', { password });
        else await change('storage/passwords', 'POST', { realm, name: one, password });
    }
    for (const one of before.filter((old) => !after.some(([kept]) => kept === old))) await change(address(realm, one), 'DELETE');
}

/** Removes secrets. Their names are looked up before `first` is done, so that nothing is done when that is not allowed. */
export async function delete_secrets(realm: string, names: string[], first: () => Promise<unknown>) {
    const found = await stored(realm, names);
    await first();
    for (const one of found) await change(address(realm, one), 'DELETE');
}
