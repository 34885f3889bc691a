// storage/passwords: short values whole, longer ones in pieces (`<name>.1`, `<name>.2`, …), as the program reads them.
import { ask, list, part } from './rest';

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

const address = (realm: string, name: string) => `storage/passwords/${part(`${realm}:${name}:`)}`;

/** The stored names of one secret, whole or in pieces. Only names are asked for: no stored value comes to the browser. */
async function stored(realm: string, name: string): Promise<string[]> {
    const entries = await list('storage/passwords', { query: `f=realm&f=username&search=${part(name)}` });
    const names = entries.filter((entry) => entry.content.realm === realm).map((entry) => entry.content.username);
    return names.filter((one) => one === name || /^\d+$/.test(one.startsWith(`${name}.`) ? one.slice(name.length + 1) : ''));
}

/** Stores a secret and removes what an earlier, longer or shorter one left. */
export async function store_secret(realm: string, name: string, value: string) {
    const before = await stored(realm, name);
    const parts = pieces(value);
    const after = parts.map((text, at) => [parts.length === 1 ? name : `${name}.${at + 1}`, text]);
    // The first piece last: until it is there, the old value is still whole or is seen to be incomplete.
    for (const [one, password] of after.reverse()) {
        if (before.includes(one)) await ask(address(realm, one), { method: 'POST', form: { password } });
        else await ask('storage/passwords', { method: 'POST', form: { realm, name: one, password } });
    }
    for (const one of before.filter((old) => !after.some(([kept]) => kept === old))) await ask(address(realm, one), { method: 'DELETE' });
}

export async function delete_secret(realm: string, name: string) {
    for (const one of await stored(realm, name)) await ask(address(realm, one), { method: 'DELETE' });
}
