// The short way of judging a reading: where it takes one, the long way finds every conductor good, says nothing and
// remembers the same.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AlarmChange,
  judgeReading,
  newQualityMemory,
  type QualityRules,
} from '../../src/acquisition/quality-judge.ts';
import { passesUnremarked } from '../../src/acquisition/unremarkable.ts';

const rules: QualityRules = {
  plausibility: { ratio: 1, ctRangeA: 480, impossibleA: 12_000 },
  ratingA: 385,
  stepA: 385,
  apartPercent: 2,
  neutralPercent: 110,
  frozenMs: null,
  sourceTimeMs: null,
  wrongSignMs: 600_000,
  noLoadMs: 86_400_000,
  signConfirmed: { L1: false, L2: false, L3: false },
  staleAfterMs: 3_000,
};

const ampere = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 50_000, max: 400_000 }).map((milliamperes) => milliamperes / 1000) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 3.85, 77, 480, 20_000, Number.NaN) },
);
const neutral = fc.constantFrom(5, 5, 5, 5, 5, 5, Number.NaN, 1_000);
const scan = fc.tuple(fc.constantFrom(200, 1_000, 70_000), ampere, ampere, ampere, neutral);

test('takes none that is odd, and forgets nothing', () => {
  let passed = 0;
  fc.assert(
    fc.property(fc.array(scan, { minLength: 1, maxLength: 40 }), (scans) => {
      const [short, long] = [newQualityMemory(), newQualityMemory()];
      let atMs = 1_000;
      for (const [afterMs, L1, L2, L3, N] of scans) {
        atMs += afterMs;
        const given = (value: number) => (Number.isNaN(value) ? ('unavailable' as const) : value);
        const currents = { L1: given(L1), L2: given(L2), L3: given(L3), N: given(N) };
        const powerW = Object.fromEntries(Object.entries({ L1, L2, L3 }).filter(([, value]) => !Number.isNaN(value)));
        const reading = { feederId: 'F1', sourceId: 'meter', atMs, ...currents, powerW };
        const changes: AlarmChange[] = [];
        const judged = judgeReading(long, rules, reading, atMs, changes);
        if (passesUnremarked(short, rules, L1, L2, L3, N, atMs)) {
          passed++;
          expect([judged.L1.quality, judged.L2.quality, judged.L3.quality]).toEqual(['good', 'good', 'good']);
          expect(judged.N.quality).toBe(Number.isNaN(N) ? 'bad' : 'good');
          expect(changes).toEqual([]);
        } else judgeReading(short, rules, reading, atMs, []);
        expect(short).toEqual(long);
      }
    }),
    { numRuns: 500 },
  );
  expect(passed).toBeGreaterThan(1_000);
});
