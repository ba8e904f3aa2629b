// The transformer's meter against its feeders: amperes over time in, alarms out.
import { expect, test } from 'vitest';
import type { AlarmChange } from '../../src/acquisition/quality-judge.ts';
import { checkSum, newSumMemory, noteFeeder, type SumRules } from '../../src/acquisition/sum-check.ts';
import type { ConductorReading, FeederReading, Phase } from '../../src/feeder.ts';

const MINUTE_MS = 60_000;
const RULES: SumRules = { feeders: ['F1', 'F2'], percent: 25, ratingA: 600, staleAfterMs: 1_000 };

function reading(feederId: string, atMs: number, currentA: number | null, exporting: Phase[] = []): FeederReading {
  const one: ConductorReading =
    currentA === null ? { currentA, quality: 'bad', reason: 'noAnswer' } : { currentA, quality: 'good', reason: null };
  return { feederId, sourceId: 'm', atMs, L1: one, L2: one, L3: one, N: one, exporting };
}

interface Step {
  readonly minutes: number;
  readonly own: number | null;
  readonly feeders: readonly [number | null, number | null];
  readonly exporting?: Phase[];
}

/** A reading of everything each minute; what was told of L1, by minute. */
function run(steps: readonly Step[], rules = RULES): string[] {
  const memory = newSumMemory();
  const told: string[] = [];
  let minute = 0;
  for (const { minutes, own, feeders, exporting = [] } of steps) {
    for (const until = minute + minutes; minute < until; minute++) {
      const atMs = minute * MINUTE_MS;
      for (const [index, currentA] of feeders.entries())
        noteFeeder(memory, reading(`F${index + 1}`, atMs - 500, currentA, index === 1 ? exporting : []));
      const changes: AlarmChange[] = [];
      checkSum(memory, rules, reading('transformer', atMs, own), changes);
      for (const { phase, standing, reason } of changes)
        if (phase === 'L1') told.push(`${minute} ${standing ? reason : 'ends'}`);
    }
  }
  return told;
}

test('a difference as of power factors, or one that does not last, is no alarm', () => {
  expect(run([{ minutes: 600, own: 380, feeders: [200, 200] }])).toEqual([]);
  const quarter = { minutes: 30, own: 100, feeders: [200, 200] } as const;
  const right = { minutes: 1, own: 400, feeders: [200, 200] } as const;
  expect(run([quarter, right, quarter, right, quarter])).toEqual([]);
});

test('a busbar that reads a quarter is told after half an hour, once; a day after it is right that ends', () => {
  const told = run([
    { minutes: 10, own: 400, feeders: [200, 200] },
    { minutes: 200, own: 100, feeders: [200, 200] },
    { minutes: 1_500, own: 400, feeders: [200, 200] },
  ]);
  expect(told).toEqual(['40 100 A on L1 of the transformer and 400 A on its feeders together', '1650 ends']);
});

test('a feeder that nobody measures is told', () => {
  expect(run([{ minutes: 31, own: 400, feeders: [200, 0] }])).toHaveLength(1);
});

test('a feeder that is known to feed back is taken off', () => {
  const feeding = { minutes: 60, own: 100, feeders: [200, 100] } as const;
  expect(run([feeding])).toHaveLength(1);
  expect(run([{ ...feeding, exporting: ['L1'] }])).toEqual([]);
});

test('what is not known is neither right nor wrong: a feeder without an ampere, or with one that is old', () => {
  const quarter = { own: 100, feeders: [200, 200] } as const;
  const gap = { minutes: 1, own: 100, feeders: [200, null] } as const;
  expect(run([{ minutes: 25, ...quarter }, gap, { minutes: 25, ...quarter }])).toEqual([]);
  expect(run([{ minutes: 60, ...quarter }], { ...RULES, staleAfterMs: 400 })).toEqual([]);
  expect(run([{ minutes: 60, own: null, feeders: [200, 200] }])).toEqual([]);
});

test('near 0 the noise of the meters is no difference', () => {
  expect(run([{ minutes: 600, own: 0, feeders: [6, 6] }])).toEqual([]);
});
