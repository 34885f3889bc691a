import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scheme, ui } from './stage.mjs';

const { backfill, start_span, told } = await ui('health/backfill.ts');
const { not_after } = await ui('health/certificate.ts');
const { is_resolved } = await ui('health/errors.ts');
const { pieces } = await ui('splunkd/secrets.ts');

test('the form has each parameter of the scheme', async () => {
    const { PARAMETERS } = await ui('inputs/parameters.ts');
    const own = ['feed', 'account', 'interval'];
    assert.deepEqual([...PARAMETERS.map(({ name }) => name), 'feed', 'account'].sort(), [...new Set([...scheme(), ...own])].sort());
});

test('how long an input reads back', () => {
    const now = Date.parse('2026-02-01T00:00:00Z') / 1000;
    for (const [start, seconds] of [['30d', 2_592_000], ['12h', 43_200], ['15m', 900], ['now', 0], ['2026-01-31T00:00:00Z', 86_400], ['2027-01-01T00:00:00Z', 0], ['', 0]]) {
        assert.equal(start_span(start, now), seconds, start);
    }
});

test('what polls say of history', () => {
    const day = 86_400;
    const poll = (left, more = {}) => ({ polls: '9', history_left_s: String(left), history_most_s: String(left), ...more });
    const moving = (before, left, between, rows) => ({ polls: '2', left_before: String(before), left: String(left), since: '0', last: String(between), first_s: '60', rows: String(rows) });
    const table = [
        ['all read', '30d', poll(0), undefined, undefined],
        ['no poll yet', '30d', undefined, undefined, undefined],
        ['nothing to measure', '30d', poll(20 * day), undefined, '10 d of 30 d read'],
        ['two polls', '30d', poll(20 * day), moving(22 * day, 20 * day, 540, 1000), '10 d of 30 d read, 100 objects/min, done in about 2 h'],
        ['no way made', '30d', poll(20 * day), moving(20 * day, 20 * day, 540, 1000), '10 d of 30 d read, 100 objects/min'],
        ['the first poll alone', '30d', poll(20 * day, { polls: '1' }), { ...moving(20 * day, 20 * day, 0, 500), polls: '1' }, '10 d of 30 d read, 500 objects/min, done in about 2 min'],
        ['one of many in half an hour', '30d', poll(20 * day), { ...moving(20 * day, 20 * day, 0, 500), polls: '1' }, '10 d of 30 d read, 500 objects/min'],
        ['a start that was made shorter later', '1d', poll(20 * day, { history_most_s: String(25 * day) }), undefined, '5 d of 25 d read'],
    ];
    for (const [what, start, last, since, wanted] of table) {
        const found = backfill(start, last, since);
        assert.equal(found && told(found), wanted, what);
    }
});

test('an error stands until a later poll', () => {
    const error = { input: 'a', last: '100.5' };
    for (const [last, resolved] of [['100.4', false], ['100.5', false], ['100.6', true]]) assert.equal(is_resolved(error, [{ input: 'a', last }]), resolved, last);
    assert.equal(is_resolved(error, [{ input: 'b', last: '200' }]), false);
    // A container that is refused in every poll, and said once an hour.
    for (const [refused, resolved] of [['0', true], ['1', false], [undefined, true]]) {
        const polled = [{ input: 'a', last: '200', refused }];
        assert.equal(is_resolved({ ...error, message: 'Azure Storage: List Blobs c: HTTP 403' }, polled), resolved, refused);
        assert.equal(is_resolved({ ...error, message: 'Entra ID: AADSTS7000222' }, polled), true, refused);
    }
});

test('what is no certificate has no end', () => {
    for (const text of ['', 'PEM', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', '-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----']) assert.equal(not_after(text), undefined, text);
});

test('a long secret is cut where no character is, and says how many pieces there are', () => {
    assert.deepEqual(pieces('short'), ['short']);
    assert.deepEqual(pieces('x'.repeat(250)), ['x'.repeat(250)]);
    for (const text of ['x'.repeat(251), 'ü'.repeat(300), '𝛼'.repeat(1000), 'y'.repeat(25_000)]) {
        const found = pieces(text);
        assert.equal(found.join(''), `${found.length}:${text}`);
        assert.ok(found.every((piece) => Buffer.byteLength(piece) <= 250));
    }
});
