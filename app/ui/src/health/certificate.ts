// When a certificate ends, read from its PEM: SEQUENCE { tbs { [0] version, serial, algorithm, issuer, validity { from, to } … } … }.

type Part = { tag: number; from: number; to: number };

function part(bytes: Uint8Array, at: number): Part {
    let length = bytes[at + 1];
    let from = at + 2;
    if (length & 0x80) {
        const count = length & 0x7f;
        length = 0;
        for (let i = 0; i < count; i += 1) length = length * 256 + bytes[from + i];
        from += count;
    }
    return { tag: bytes[at], from, to: from + length };
}

/** The end, in milliseconds since 1970; undefined for what is no certificate. */
export function not_after(pem: string): number | undefined {
    const body = pem.replace(/\\n/g, '\n').match(/-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/)?.[1];
    if (!body) return undefined;
    try {
        const bytes = Uint8Array.from(atob(body.replace(/\s/g, '')), (character) => character.charCodeAt(0));
        const tbs = part(bytes, part(bytes, 0).from);
        let field = part(bytes, tbs.from);
        if (field.tag === 0xa0) field = part(bytes, field.to);
        for (let skipped = 0; skipped < 3; skipped += 1) field = part(bytes, field.to);
        const end = part(bytes, part(bytes, field.from).to);
        let text = String.fromCharCode(...bytes.slice(end.from, end.to));
        // UTCTime has two digits of the year; 50 and above are of the last century (RFC 5280, 4.1.2.5.1).
        if (end.tag === 0x17) text = (Number(text.slice(0, 2)) >= 50 ? '19' : '20') + text;
        const [, year, month, day, hour, minute, second] = text.match(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/)!;
        return Date.UTC(+year, +month - 1, +day, +hour, +minute, +second);
    } catch {
        return undefined;
    }
}
