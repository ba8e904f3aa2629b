// The inverse-time curves of IEC 60255-151 against their formula, and what a changing current makes of them.
import { expect, test } from 'vitest';
import { newFeederState, stepReading, stepTime } from '../../src/control/feeder-control.ts';
import type { Action, ControlSettings, FeederState, InverseSettings } from '../../src/control/types.ts';
import { readTraceSettings } from './trace.ts';

const PICKUP_A = 100;
const START_MS = 1_000_000;
const MULTIPLES = [1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 15, 20];
/** k and α of curves A, B and C, from table 1 of the standard. */
const FORMULA = {
  SI: (times: number) => 0.14 / (times ** 0.02 - 1),
  VI: (times: number) => 13.5 / (times - 1),
  EI: (times: number) => 80 / (times ** 2 - 1),
};

function settingsWith(inverse: Partial<InverseSettings>): ControlSettings {
  const set = { curve: 'SI' as const, pickupA: PICKUP_A, timeMultiplier: 1, dropoutA: 95, resetDelayS: 10, ...inverse };
  return { ...readTraceSettings('pickupA 90000  dropoutA 80000  staleAfterS 100000'), inverse: set };
}

function read(state: FeederState, settings: ControlSettings, atS: number, currentA: number, out: Action[]): void {
  const input = { currentA, quality: 'good' as const };
  const low = { currentA: 0, quality: 'good' as const };
  stepReading(state, settings, { atMs: START_MS + atS * 1000, L1: input, L2: low, L3: low, N: low }, out);
}

function said(out: readonly Action[]): string[] {
  return out.flatMap((action) =>
    action.kind === 'event' && action.element === 'inverse'
      ? [`${action.type} ${((action.atMs - START_MS) / 1000).toFixed(3)}`]
      : [],
  );
}

test.each(['SI', 'VI', 'EI'] as const)(
  'curve %s operates by its formula at 20 points, however it is polled',
  (curve) => {
    for (const timeMultiplier of [1, 0.1]) {
      for (const times of MULTIPLES) {
        const wantedS = timeMultiplier * FORMULA[curve](times);
        const settings = settingsWith({ curve, timeMultiplier });
        const state = newFeederState();
        const out: Action[] = [];
        for (let share = 0; share < 1; share += 0.07) read(state, settings, share * wantedS, times * PICKUP_A, out);
        stepTime(state, settings, START_MS + wantedS * 2000, out);
        const operate = out.find((action) => action.kind === 'event' && action.type === 'operate');
        const gotS = ((operate?.atMs ?? Number.NaN) - START_MS) / 1000;
        expect(Math.abs(gotS / wantedS - 1), `${curve} ${times}: ${gotS} against ${wantedS}`).toBeLessThan(1e-9);
      }
    }
  },
);

test('at pickup exactly it picks up and never operates', () => {
  const settings = settingsWith({ timeMultiplier: 0.05 });
  const state = newFeederState();
  const out: Action[] = [];
  read(state, settings, 0, PICKUP_A, out);
  stepTime(state, settings, START_MS + 90_000_000, out);
  expect(said(out)).toEqual(['pickup 0.000']);
});

test('what has run at one current counts at the next', () => {
  const settings = settingsWith({ curve: 'VI' });
  const state = newFeederState();
  const out: Action[] = [];
  // VI: 13.5 s at 2 times, 4.5 s at 4 times. Half of the first, so half of the second is left.
  read(state, settings, 0, 2 * PICKUP_A, out);
  read(state, settings, 6.75, 4 * PICKUP_A, out);
  stepTime(state, settings, START_MS + 60_000, out);
  expect(said(out)).toEqual(['pickup 0.000', 'operate 9.000']);
});

test('a dip under pickup keeps what has run for the reset delay, and loses it after', () => {
  const settings = settingsWith({ curve: 'VI' });
  const state = newFeederState();
  const out: Action[] = [];
  read(state, settings, 0, 2 * PICKUP_A, out);
  read(state, settings, 6.75, 50, out);
  read(state, settings, 16.7, 2 * PICKUP_A, out);
  read(state, settings, 20, 50, out);
  read(state, settings, 31, 2 * PICKUP_A, out);
  stepTime(state, settings, START_MS + 60_000, out);
  // The second spell adds 3.3 s, so 3.45 s were missing; then all is lost at 30 s and begins anew at 31 s.
  expect(said(out)).toEqual(['pickup 0.000', 'dropout 30.000', 'pickup 31.000', 'operate 44.500']);
});

test('it drops out after the reset delay below dropout', () => {
  const settings = settingsWith({ curve: 'VI' });
  const state = newFeederState();
  const out: Action[] = [];
  read(state, settings, 0, 2 * PICKUP_A, out);
  read(state, settings, 20, 96, out);
  read(state, settings, 30, 94, out);
  stepTime(state, settings, START_MS + 60_000, out);
  expect(said(out)).toEqual(['pickup 0.000', 'operate 13.500', 'dropout 40.000']);
});
