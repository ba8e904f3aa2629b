// The thermal replica against worked values: a relay maker's operating times, the table of minutes to 100 %, and the
// exact solution of the differential equation.
import { expect, test } from 'vitest';
import { newFeederState, nextDueMs, stepReading, stepTime } from '../../src/control/feeder-control.ts';
import { heatPercent, rescale, timeToLimitS } from '../../src/control/thermal.ts';
import type { Action, ControlSettings, FeederState, ThermalSettings } from '../../src/control/types.ts';
import { readTraceSettings } from './trace.ts';

const RATING_A = 400;
const START_MS = 1_000_000;

function thermal(change: Partial<ThermalSettings> = {}): ThermalSettings {
  const timeConstantMin = change.timeConstantMin ?? 10;
  const set = { ratingA: RATING_A, timeConstantMin, leadTimeMin: 0, resetPercent: 95, alarmPercent: null };
  return { ...set, coolingTimeConstantMin: timeConstantMin, ...change };
}

function settingsWith(set: ThermalSettings): ControlSettings {
  return { ...readTraceSettings('pickupA 90000  dropoutA 80000  staleAfterS 100000'), thermal: set };
}

function read(state: FeederState, settings: ControlSettings, atMs: number, currentA: number): Action[] {
  const out: Action[] = [];
  const input = { currentA, quality: 'good' as const };
  stepReading(state, settings, { atMs, L1: input, L2: input, L3: input, N: input }, out);
  return out;
}

/** Starts at a given heat. */
function startAt(heat: number): FeederState {
  const state = newFeederState();
  for (const name of ['L1', 'L2', 'L3'] as const) {
    state[name].thermal.known = 'given';
    state[name].thermal.heatPercent = heat;
  }
  return state;
}

function operateS(state: FeederState, settings: ControlSettings, currentA: number, fromMs = START_MS): number {
  const out = read(state, settings, fromMs, currentA);
  stepTime(state, settings, fromMs + 99_000_000, out);
  const operate = out.find((action) => action.kind === 'event' && action.type === 'operate');
  return ((operate?.atMs ?? Number.NaN) - fromMs) / 1000;
}

function within(got: number, wanted: number, share: number): void {
  expect(Math.abs(got / wanted - 1), `${got} against ${wanted}`).toBeLessThanOrEqual(share);
}

// Siemens Reyrolle 7SR5 manual, thermal overload, τ 10 min from cold.
test.each([
  [1.2, 711.37],
  [1.5, 352.67],
  [2, 172.61],
  [2.5, 104.61],
  [3, 70.67],
  [5, 24.49],
])('from cold at %s times rating, τ 10 min, it operates after %s s, to 0.1 %%', (times, wantedS) => {
  within(operateS(startAt(0), settingsWith(thermal()), times * RATING_A), wantedS, 0.001);
});

const TIMES = [1.1, 1.2, 1.3, 1.5, 2];
test.each([30, 60, 90])('after a steady 0.8 times rating and from cold it operates by the formula, τ %s min', (tau) => {
  const settings = settingsWith(thermal({ timeConstantMin: tau }));
  for (const times of TIMES) {
    const squared = times * times;
    const warmS = tau * 60 * Math.log((squared - 0.64) / (squared - 1));
    const state = newFeederState();
    // The steady state of the first reading is the preload.
    read(state, settings, START_MS, 0.8 * RATING_A);
    within(operateS(state, settings, times * RATING_A, START_MS + 60_000), warmS, 0.001);
    const coldS = tau * 60 * Math.log(squared / (squared - 1));
    within(operateS(startAt(0), settings, times * RATING_A), coldS, 0.001);
  }
});

// Minutes to 100 %, cold and after a steady 0.8, as printed to one decimal.
test.each([
  [30, '52.5 30.0 35.6 17.9 26.9 12.6 17.6 7.6 8.6 3.4'],
  [60, '105 59.9 71.1 35.9 53.7 25.2 35.3 15.2 17.3 6.8'],
  [90, '158 89.9 107 53.8 80.6 37.8 52.9 22.8 25.9 10.2'],
])('the table of minutes to 100 %%, τ %s min', (tau, table) => {
  const settings = settingsWith(thermal({ timeConstantMin: tau }));
  const wanted = table.split(' ');
  for (const [i, times] of TIMES.entries()) {
    const cold = operateS(startAt(0), settings, times * RATING_A) / 60;
    const warm = operateS(startAt(64), settings, times * RATING_A) / 60;
    const [coldText = '', warmText = ''] = wanted.slice(2 * i);
    const digits = (text: string) => text.split('.')[1]?.length ?? 0;
    expect([cold.toFixed(digits(coldText)), warm.toFixed(digits(warmText))]).toEqual([coldText, warmText]);
  }
});

test('a hundred thousand steps of a changing current come to what one exact sum comes to', () => {
  const set = thermal({ timeConstantMin: 60, coolingTimeConstantMin: 60 });
  const settings = settingsWith(set);
  const state = startAt(20);
  let exact = 20;
  for (let i = 0; i < 100_000; i++) {
    const currentA = 200 + 150 * Math.sin(i / 700);
    read(state, settings, START_MS + i * 200, currentA);
    const share = Math.exp(-0.2 / 3600);
    exact = exact * share + 100 * (currentA / RATING_A) ** 2 * (1 - share);
  }
  within(heatPercent(state.L1.thermal, set, START_MS + 100_000 * 200), exact, 1e-9);
});

test('it cools with its own time constant', () => {
  const set = thermal({ timeConstantMin: 30, coolingTimeConstantMin: 90 });
  const state = startAt(80);
  read(state, settingsWith(set), START_MS, 0);
  within(heatPercent(state.L1.thermal, set, START_MS + 90 * 60_000), 80 / Math.E, 1e-12);
  expect(timeToLimitS(state.L1.thermal, set, START_MS)).toBe(Number.POSITIVE_INFINITY);
});

test('it picks up leadTimeMin before 100 %, at its own instant between two polls', () => {
  const settings = settingsWith(thermal({ timeConstantMin: 60, leadTimeMin: 15 }));
  const state = startAt(0);
  read(state, settings, START_MS, 1.2 * RATING_A);
  const wantedS = 3600 * Math.log(1.44 / 0.44) - 900;
  expect((nextDueMs(state, settings) - START_MS) / 1000).toBeCloseTo(wantedS, 6);
});

test('another rating scales the heat by the square of old over new', () => {
  const [before, after] = [thermal({ ratingA: 400 }), thermal({ ratingA: 300 })];
  const state = startAt(45);
  read(state, settingsWith(before), START_MS, 0);
  rescale(state.L1.thermal, before, after, START_MS);
  within(heatPercent(state.L1.thermal, after, START_MS), 80, 1e-12);
});
