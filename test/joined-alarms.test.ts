// Repeated alarms: what is an event of its own, what is joined, and that the last word about an alarm is always told.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AlarmDraft, JoinedAlarms } from '../src/joined-alarms.ts';

const MINUTE_MS = 60_000;

function draft(type: AlarmDraft['type'], second: number, more: Partial<AlarmDraft> = {}): AlarmDraft {
  return { type, feederId: 'F1', at: new Date(second * 1000).toISOString(), ...more };
}
const source = (second: number) => draft('source', second, { feederId: null, sourceId: 'meter-1' });

test('the first four of a kind are events, the rest of ten minutes is one', () => {
  const alarms = new JoinedAlarms();
  const passed = Array.from({ length: 100 }, (_, n) => alarms.pass([source(n)], n * 1000)).flat();
  expect(passed).toEqual([0, 1, 2, 3].map(source));
  expect(alarms.due(10 * MINUTE_MS - 1)).toEqual([]);
  expect(alarms.isDue(10 * MINUTE_MS - 1)).toBe(false);
  expect(alarms.isDue(10 * MINUTE_MS)).toBe(true);
  expect(alarms.due(10 * MINUTE_MS)).toEqual([{ ...source(99), count: 96, firstAt: source(4).at }]);
  expect(alarms.due(10 * MINUTE_MS)).toEqual([]);
});

test('a day of coming and going every second is one event every ten minutes', () => {
  const alarms = new JoinedAlarms();
  let events = 0;
  let counted = 0;
  for (let second = 0; second < 86_400; second++) {
    const type = second % 2 === 0 ? 'alarm' : 'alarmEnd';
    const told = alarms.pass([draft(type, second, { alarm: 'blind' })], second * 1000);
    for (const { count = 1 } of [...told, ...alarms.due(second * 1000)]) {
      events += 1;
      counted += count;
    }
  }
  for (const { count = 1 } of alarms.due(Number.POSITIVE_INFINITY)) counted += count;
  expect(events).toBe(4 + 143);
  expect(counted).toBe(86_400);
});

test('after ten quiet minutes it is told as the first again', () => {
  const alarms = new JoinedAlarms();
  for (let n = 0; n < 5; n++) alarms.pass([source(n)], n * 1000);
  expect(alarms.due(10 * MINUTE_MS)).toEqual([source(4)]);
  expect(alarms.due(20 * MINUTE_MS)).toEqual([]);
  expect(alarms.pass([source(1_200)], 20 * MINUTE_MS)).toHaveLength(1);
});

describe('never held', () => {
  test.each([
    ['a pickup', draft('pickup', 0, { element: 'atRisk', phase: 'L1' })],
    ['a limit', draft('limit', 0)],
    ['a gap', draft('gap', 0)],
    ['what became of a request', draft('alarm', 0, { alarm: 'rejected', requestId: 'one' })],
  ])('is %s', (_name, event) => {
    const alarms = new JoinedAlarms();
    expect(alarms.pass(Array(50).fill(event), 0)).toHaveLength(50);
    expect(alarms.due(Number.POSITIVE_INFINITY)).toEqual([]);
  });

  test('is the first of another feeder, phase or alarm', () => {
    const alarms = new JoinedAlarms();
    const one = draft('alarm', 0, { alarm: 'blind', phase: 'L1' });
    alarms.pass(Array(50).fill(one), 0);
    for (const other of [{ feederId: 'F2' }, { phase: 'L2' }, { alarm: 'noEffect' }] as const)
      expect(alarms.pass([{ ...one, ...other }], 0)).toHaveLength(1);
  });
});

test('whatever comes, nothing is lost in the count and the last word of every kind is told', () => {
  const step = fc.record({
    waitS: fc.integer({ min: 0, max: 400 }),
    type: fc.constantFrom('alarm' as const, 'alarmEnd' as const),
    alarm: fc.constantFrom('blind', 'noEffect'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const alarms = new JoinedAlarms();
      const told: AlarmDraft[] = [];
      const last = new Map<string, string>();
      let second = 0;
      for (const { waitS, type, alarm } of steps) {
        second += waitS;
        last.set(alarm, `${type} ${second}`);
        told.push(...alarms.due(second * 1000), ...alarms.pass([draft(type, second, { alarm })], second * 1000));
      }
      told.push(...alarms.due(Number.POSITIVE_INFINITY));
      expect(told.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(steps.length);
      for (const [alarm, word] of last) {
        const newest = told.filter((one) => one.alarm === alarm).at(-1);
        expect(`${newest?.type} ${Date.parse(newest?.at ?? '') / 1000}`).toBe(word);
      }
    }),
  );
});
