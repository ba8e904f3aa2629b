// The short way of a reading that changes nothing leaves the same state behind as the long way.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newFeederState, stepReading } from '../../src/control/feeder-control.ts';
import type { Action, ControlReading, ControlSettings } from '../../src/control/types.ts';
import { settingsWith } from './trace.ts';

const plain: ControlSettings = { ...settingsWith({}), staleAfterMs: 3_000 };
const inverse = { curve: 'VI', pickupA: 320, timeMultiplier: 0.5, dropoutA: 300, resetDelayS: 5 } as const;
const thermal = {
  ratingA: 330,
  timeConstantMin: 1,
  coolingTimeConstantMin: 2,
  leadTimeMin: 0,
  resetPercent: 90,
  alarmPercent: null,
};
const ALL: readonly [string, ControlSettings][] = [
  ['definite time', plain],
  ['with inverse time', { ...plain, inverse }],
  ['with heat', { ...plain, thermal }],
  ['with heat and its alarm', { ...plain, inverse, thermal: { ...thermal, alarmPercent: 60 } }],
];

const ampere = fc.oneof(fc.double({ min: 100, max: 340, noNaN: true }), fc.constantFrom(0, 3, 310, 345, 420, 500));
const conductor = fc
  .record({ currentA: ampere, quality: fc.constantFrom('good', 'good', 'good', 'good', 'uncertain', 'bad') })
  .map(({ currentA, quality }) => ({ currentA: quality === 'bad' ? null : currentA, quality }) as ControlReading['L1']);
const scan = fc.record({
  afterMs: fc.constantFrom(200, 1_000, 1_000, 1_000, 3_000, 3_001, 90_000),
  L1: conductor,
  L2: conductor,
  L3: conductor,
  exporting: fc.constantFrom([], [], [], ['L1'] as const),
});

/** Only one of the two watches the neutral, so only it tells of its current. */
const withoutNeutral = (action: Action): Action =>
  action.kind === 'request' ? { ...action, currentA: { ...action.currentA, N: null } } : action;

test.each(ALL)('the same state and the same actions by both ways: %s', (_name, settings) => {
  // With elements on the neutral, though none is set, a reading always goes the long way.
  const long: ControlSettings = { ...settings, neutral: {} };
  fc.assert(
    fc.property(fc.array(scan, { minLength: 1, maxLength: 60 }), (scans) => {
      const [short, whole] = [newFeederState(), newFeederState()];
      const [saidShort, saidWhole]: [Action[], Action[]] = [[], []];
      let atMs = 1_000;
      for (const { afterMs, L1, L2, L3, exporting } of scans) {
        atMs += afterMs;
        const reading = { atMs, L1, L2, L3, N: { currentA: 5, quality: 'good' as const }, exporting };
        stepReading(short, settings, reading, saidShort);
        stepReading(whole, long, reading, saidWhole);
        expect({ ...short, N: null }).toEqual({ ...whole, N: null });
      }
      expect(saidShort.map(withoutNeutral)).toEqual(saidWhole.map(withoutNeutral));
    }),
    { numRuns: 500 },
  );
});
