// The outbox's order and debts, and the pace of the backlog, without a socket.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Delivery, Pace } from '../../src/uplink/delivery.ts';
import { request } from './site.ts';

const TIMEOUT_MS = 60_000;
const NEW = { acked: false, wanted: true };
const delivery = () => new Delivery(() => TIMEOUT_MS);

/** Takes the next request all the way to the broker. */
function send(outbox: Delivery, nowMs: number): number | null {
  const next = outbox.next(nowMs);
  if (next === null) return null;
  outbox.sending(next);
  outbox.taken(next, nowMs);
  return next.message.sequence;
}

describe('order', () => {
  test('the oldest decision first, one per feeder, and nothing twice', () => {
    const outbox = delivery();
    for (const one of [request('F2', 5), request('F1', 4), request('F2', 6), request('F3', 3)]) outbox.put(one, NEW);
    expect([0, 0, 0, 0].map((now) => send(outbox, now))).toEqual([3, 4, 6, null]);
  });

  test('whatever is decided, each feeder ends with its newest and none before it is sent twice', () => {
    const decisions = fc.array(fc.tuple(fc.constantFrom('F1', 'F2', 'F3'), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(decisions, (steps) => {
        const outbox = delivery();
        const newest = new Map<string, number>();
        const sent: number[] = [];
        for (const [index, [feederId, sendNow]] of steps.entries()) {
          outbox.put(request(feederId, index + 1), NEW);
          newest.set(feederId, index + 1);
          if (sendNow) sent.push(send(outbox, 0) ?? 0);
        }
        for (let next = send(outbox, 0); next !== null; next = send(outbox, 0)) sent.push(next);
        expect(new Set(sent).size).toBe(sent.length);
        expect([...newest.values()].every((sequence) => sent.includes(sequence))).toBe(true);
        for (const feederId of newest.keys()) {
          const own = sent.filter((sequence) => steps[sequence - 1]?.[0] === feederId);
          expect(own).toEqual([...own].sort((a, b) => a - b));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('what is in flight is not given again until the link breaks', () => {
    const outbox = delivery();
    const one = request('F1', 1);
    outbox.put(one, NEW);
    outbox.sending(one);
    expect(outbox.next(0)).toBeNull();
    expect(outbox.waiting()).toBe(false);
    outbox.interrupted();
    expect(outbox.waiting()).toBe(true);
    expect(outbox.next(0)).toBe(one);
  });

  test('a link that breaks makes nothing urgent that the broker has taken', () => {
    const outbox = delivery();
    outbox.put(request('F1', 1), NEW);
    send(outbox, 0);
    outbox.interrupted();
    expect(outbox.waiting()).toBe(false);
  });

  test('after a connect everything that stands is said again, but no release that was answered', () => {
    const outbox = delivery();
    const release = request('F2', 2, { action: 'release', levelPercent: 100 });
    outbox.put(request('F1', 1), NEW);
    outbox.put(release, NEW);
    outbox.put(request('F3', 3, { action: 'release', levelPercent: 100 }), NEW);
    while (send(outbox, 0) !== null);
    outbox.acked('F2', release.message.requestId, 2);
    outbox.sayAllAgain();
    expect([0, 0, 0].map((now) => send(outbox, now))).toEqual([1, 3, null]);
  });

  test('a request that was dropped is gone, and what comes late about it is of no effect', () => {
    const outbox = delivery();
    const one = request('F1', 1);
    outbox.put(one, NEW);
    outbox.sending(one);
    outbox.drop('F1');
    outbox.taken(one, 0);
    outbox.refused(one, 10);
    outbox.sayAllAgain();
    expect(outbox.next(0)).toBeNull();
    expect(outbox.nextDueMs(0)).toBe(Number.POSITIVE_INFINITY);
  });

  test('what comes late about a former request does not touch the one in its place', () => {
    const outbox = delivery();
    const former = request('F1', 1);
    const present = request('F1', 2);
    outbox.put(former, NEW);
    outbox.sending(former);
    outbox.put(present, NEW);
    outbox.taken(former, 0);
    outbox.refused(former, 1_000);
    expect(outbox.next(0)).toBe(present);
    expect(outbox.nextDueMs(0)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a request of before the start waits for the connect', () => {
    const outbox = delivery();
    outbox.put(request('F1', 1), { acked: true, wanted: false });
    expect(outbox.next(0)).toBeNull();
    outbox.sayAllAgain();
    expect(outbox.next(0)?.message.sequence).toBe(1);
  });
});

describe('debts', () => {
  test('nothing is owed before the broker has taken it, nor after an ack', () => {
    const outbox = delivery();
    const one = request('F1', 1);
    outbox.put(one, NEW);
    expect(outbox.nextDueMs(0)).toBe(Number.POSITIVE_INFINITY);
    send(outbox, 1_000);
    expect(outbox.nextDueMs(1_000)).toBe(1_000 + TIMEOUT_MS);
    outbox.acked('F1', one.message.requestId, 1);
    expect(outbox.nextDueMs(1_000)).toBe(Number.POSITIVE_INFINITY);
    expect(outbox.overdue(1e9)).toEqual([]);
  });

  test.each([
    ['of another feeder', 'F2', request('F1', 1).message.requestId, 1],
    ['of another request', 'F1', request('F1', 9).message.requestId, 1],
    ['of another sequence', 'F1', request('F1', 1).message.requestId, 9],
  ])('an ack %s pays nothing', (_name, feederId, requestId, sequence) => {
    const outbox = delivery();
    outbox.put(request('F1', 1), NEW);
    send(outbox, 0);
    outbox.acked(feederId, requestId, sequence);
    expect(outbox.nextDueMs(0)).toBe(TIMEOUT_MS);
  });

  test('three repeats, each a whole timeout after the broker took the last, then the alarm, once', () => {
    const outbox = delivery();
    outbox.put(request('F1', 1), NEW);
    let nowMs = 0;
    send(outbox, nowMs);
    for (let repeat = 0; repeat < 3; repeat++) {
      expect(outbox.overdue(nowMs + TIMEOUT_MS - 1)).toEqual([]);
      expect(outbox.next(nowMs + TIMEOUT_MS - 1)).toBeNull();
      nowMs += TIMEOUT_MS;
      expect(outbox.overdue(nowMs)).toEqual([]);
      nowMs += 5;
      expect(send(outbox, nowMs)).toBe(1);
    }
    expect(outbox.overdue(nowMs + TIMEOUT_MS).map(({ sequence }) => sequence)).toEqual([1]);
    expect(outbox.overdue(nowMs + 9 * TIMEOUT_MS)).toEqual([]);
    expect(outbox.nextDueMs(nowMs)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a refused request comes back at its time, and others do not wait for it', () => {
    const outbox = delivery();
    const refused = request('F1', 1);
    outbox.put(refused, NEW);
    outbox.put(request('F2', 2), NEW);
    outbox.sending(refused);
    outbox.refused(refused, 5_000);
    expect(outbox.nextDueMs(0)).toBe(5_000);
    expect(outbox.next(0)?.message.sequence).toBe(2);
    expect(send(outbox, 0)).toBe(2);
    expect(outbox.next(4_999)).toBeNull();
    expect(outbox.next(5_000)).toBe(refused);
    expect(outbox.nextDueMs(5_000)).toBeGreaterThan(5_000);
    expect(outbox.waiting()).toBe(true);
  });

  test('a request that was refused is due at once on the next connection, before any event', () => {
    const outbox = new Delivery(() => 60_000);
    const refused = request('F1', 1);
    outbox.put(refused, NEW);
    outbox.sending(refused);
    outbox.refused(refused, 5_000);
    outbox.interrupted();
    outbox.sayAllAgain();
    expect(outbox.next(0)).toBe(refused);
  });
});

describe('pace', () => {
  test('0 lets everything through', () => {
    const pace = new Pace(0);
    for (let n = 0; n < 10_000; n++) pace.spend();
    expect(pace.allowance(0)).toBe(Number.POSITIVE_INFINITY);
    expect(pace.nextMs(7)).toBe(7);
  });

  test('a second gives as many as are set, and a long quiet time no more than one second does', () => {
    const pace = new Pace(20);
    expect(pace.allowance(3_600_000)).toBe(20);
    for (let n = 0; n < 20; n++) pace.spend();
    expect(pace.allowance(3_600_000)).toBe(0);
    expect(pace.allowance(3_600_500)).toBe(10);
  });

  test('less than one a second still lets one through at a time', () => {
    const pace = new Pace(0.1);
    expect(pace.allowance(0)).toBe(1);
    pace.spend();
    expect(pace.allowance(9_900)).toBe(0);
    expect(pace.allowance(10_000)).toBe(1);
  });

  test('over any time never more than the pace and one second ahead, and none are held for ever', () => {
    const waits = fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), waits, (perSecond, steps) => {
        const pace = new Pace(perSecond);
        let nowMs = 0;
        let sent = 0;
        for (const waitMs of steps) {
          nowMs += waitMs;
          for (let left = pace.allowance(nowMs); left > 0; left--) {
            pace.spend();
            sent += 1;
          }
        }
        expect(sent).toBeLessThanOrEqual(perSecond + Math.ceil((nowMs / 1000) * perSecond));
        expect(pace.allowance(pace.nextMs(nowMs) + 0.001)).toBeGreaterThanOrEqual(1);
      }),
      { numRuns: 100 },
    );
  });
});
