// storage/passwords: short values whole, longer ones in pieces (`<name>.1`, `<name>.2`, …), as the program reads them.
import { ask, is_missing, part } from './rest';

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

async function put(realm: string, name: string, password: string) {
    try {
        await ask(address(realm, name), { method: 'POST', form: { password } });
    } catch (error) {
        if (!is_missing(error)) throw error;
        await ask('storage/passwords', { method: 'POST', form: { realm, name, password } });
    }
}

async function drop(realm: string, name: string): Promise<boolean> {
    try {
        await ask(address(realm, name), { method: 'DELETE' });
        return true;
    } catch (error) {
        if (is_missing(error)) return false;
        throw error;
    }
}

const address = (realm: string, name: string) => `storage/passwords/${part(`${realm}:${name}:`)}`;

async function drop_pieces(realm: string, name: string, from: number) {
    for (let at = from; await drop(realm, `${name}.${at}`); at += 1);
}

/** Stores a secret and removes what an earlier, longer or shorter one left. */
export async function store_secret(realm: string, name: string, value: string) {
    const parts = pieces(value);
    if (parts.length === 1) {
        await put(realm, name, value);
        await drop_pieces(realm, name, 1);
        return;
    }
    // The first piece last: until it is there, the old value is still whole or is seen to be incomplete.
    for (let at = parts.length; at >= 1; at -= 1) await put(realm, `${name}.${at}`, parts[at - 1]);
    await drop(realm, name);
    await drop_pieces(realm, name, parts.length + 1);
}

export async function delete_secret(realm: string, name: string) {
    await drop(realm, name);
    await drop_pieces(realm, name, 1);
}
