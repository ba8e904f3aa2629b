// What a head end makes of the requests that reach it: new, repeated, older, too late.
import { expect, test } from 'vitest';
import { Ledger } from '../../../src/workbench/headend/ledger.ts';
import { NO_RULES } from '../../../src/workbench/headend/rules.ts';
import { releaseOf, requestAt } from './requests.ts';

const AT_MS = Date.parse('2026-01-14T18:00:00.000Z');

test('a request is acted on once, however often it comes', () => {
  const ledger = new Ledger(NO_RULES);
  const limit = requestAt(AT_MS, 1);
  const first = ledger.take(limit, AT_MS);
  expect(first).toMatchObject({ kind: 'new', before: null });
  expect(ledger.take(limit, AT_MS + 1_000)).toEqual({ kind: 'repeat', latestAck: null });
  expect(ledger.inForce(AT_MS + 1_000)).toHaveLength(1);
});

test('a newer one takes its place, an older one is not taken', () => {
  const ledger = new Ledger(NO_RULES);
  const [one, two] = [requestAt(AT_MS, 1), requestAt(AT_MS, 2)];
  ledger.take(two, AT_MS);
  expect(ledger.take(one, AT_MS)).toEqual({ kind: 'refused', reason: 'sequence 1 is not above 2' });
  const three = ledger.take(requestAt(AT_MS, 3), AT_MS);
  expect(three.kind === 'new' && three.before?.message.sequence).toBe(2);
});

test('feeders and substations do not get in one another’s way', () => {
  const ledger = new Ledger(NO_RULES);
  ledger.take(requestAt(AT_MS, 5), AT_MS);
  expect(ledger.take(requestAt(AT_MS, 1, { feederId: 'F2' }), AT_MS).kind).toBe('new');
  expect(ledger.take(requestAt(AT_MS, 1, { substationId: 'SUB-2' }), AT_MS).kind).toBe('new');
  expect(ledger.inForce(AT_MS)).toHaveLength(3);
});

test('it stands until its end, or until receipt + durationS where the clocks disagree', () => {
  const ledger = new Ledger(NO_RULES);
  // The head end's clock is an hour behind the edge's.
  const receivedMs = AT_MS - 3_600_000;
  ledger.take(requestAt(AT_MS, 1), receivedMs);
  expect(ledger.inForce(receivedMs + 1_799_999)).toHaveLength(1);
  expect(ledger.inForce(receivedMs + 1_800_000)).toHaveLength(0);
});

test('one that came after validUntil is kept as the newest and not acted on; a release is', () => {
  const ledger = new Ledger(NO_RULES);
  const limit = requestAt(AT_MS, 1);
  expect(ledger.take(limit, AT_MS + 1_200_001)).toMatchObject({ kind: 'turnedDown', status: 'expired' });
  expect(ledger.take(releaseOf(limit, 2), AT_MS + 9_000_000).kind).toBe('new');
  expect(ledger.inForce(AT_MS)).toHaveLength(0);
});

test('what is in force stays so when a newer one is turned down, and the newer one is answered the same again', () => {
  const ledger = new Ledger({ ...NO_RULES, caps: { ...NO_RULES.caps, requestsPerHour: 1 } });
  const [one, two] = [requestAt(AT_MS, 1), requestAt(AT_MS, 2, { levelPercent: 20 })];
  ledger.take(one, AT_MS);
  const verdict = ledger.take(two, AT_MS + 1_000);
  expect(verdict).toMatchObject({ kind: 'turnedDown', status: 'rejected' });
  if (verdict.kind === 'turnedDown')
    verdict.standing.latestAck = {
      schema: 'headroom/v1/curtailment/ack',
      requestId: two.requestId,
      sequence: 2,
      status: 'rejected',
      at: two.issuedAt,
    };
  expect(ledger.inForce(AT_MS + 2_000).map(({ message }) => message.sequence)).toEqual([1]);
  expect(ledger.take(two, AT_MS + 3_000)).toMatchObject({ kind: 'repeat', latestAck: { status: 'rejected' } });
  expect(ledger.take(one, AT_MS + 4_000).kind).toBe('refused');
});

test('what is only tried out takes nothing from what may be asked in earnest', () => {
  const ledger = new Ledger({ ...NO_RULES, caps: { ...NO_RULES.caps, requestsPerHour: 1, operationsPerDay: 1 } });
  for (const sequence of [1, 2, 3])
    expect(ledger.take(requestAt(AT_MS, sequence, { mode: 'test' }), AT_MS).kind).toBe('new');
  expect(ledger.take(requestAt(AT_MS, 4), AT_MS).kind).toBe('new');
  expect(ledger.take(requestAt(AT_MS, 5, { levelPercent: 10 }), AT_MS).kind).toBe('turnedDown');
});
