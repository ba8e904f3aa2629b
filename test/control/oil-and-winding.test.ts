// Oil and winding of a transformer (IEC 60076-7), against its differential equations integrated by small steps: an
// independent way to the same temperatures.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  expireThermal,
  heatPercent,
  newThermal,
  readThermal,
  thermalDueMs,
  timeToLimitS,
} from '../../src/control/thermal.ts';
import type { ThermalSettings, ThermalState } from '../../src/control/types.ts';
import { OIL } from './trace.ts';

const MINUTE_MS = 60_000;
const RATING_A = 667;
const SETTINGS: ThermalSettings = {
  ratingA: RATING_A,
  timeConstantMin: 180,
  coolingTimeConstantMin: 180,
  leadTimeMin: 0,
  resetPercent: 95,
  alarmPercent: null,
  oil: OIL,
};

/** In the steady state of `load` times the rating since long. */
function steadyAt(load: number): ThermalState {
  const state = newThermal();
  readThermal(state, SETTINGS, load * RATING_A, 0, true, 'good');
  return state;
}

/** Hot spot in °C after every minute of `load`, from the steady state of `before`, in steps of a second. */
function integrated(before: number, load: number, minutes: number): number[] {
  const ultimateOilK = (k: number) =>
    OIL.topOilRiseK * ((1 + OIL.lossRatio * k * k) / (1 + OIL.lossRatio)) ** OIL.oilExponent;
  const ultimateWindingK = (k: number) => OIL.hotSpotGradientK * k ** OIL.windingExponent;
  let oilK = ultimateOilK(before);
  let windingK = ultimateWindingK(before);
  const perMinute: number[] = [];
  for (let second = 1; second <= minutes * 60; second++) {
    oilK += (ultimateOilK(load) - oilK) / (OIL.k11 * OIL.oilTimeConstantMin * 60);
    windingK += (ultimateWindingK(load) - windingK) / (OIL.k22 * OIL.windingTimeConstantMin * 60);
    if (second % 60 === 0) perMinute.push(OIL.ambientC + oilK + windingK);
  }
  return perMinute;
}

const celsius = (percent: number) => OIL.ambientC + (percent / 100) * (OIL.hotSpotC - OIL.ambientC);

describe('the hot spot', () => {
  test('is at 98 °C at the rating', () => {
    expect(celsius(heatPercent(steadyAt(1), SETTINGS, 0))).toBeCloseTo(98, 9);
  });

  test.each([
    [0, 1],
    [0.8, 1.2],
    [0.8, 1.5],
    [0.8, 2],
    [1.05, 0.5],
  ])('from %f to %f of the rating goes as the differential equations do, to 0.1 K', (before, load) => {
    const state = steadyAt(before);
    readThermal(state, SETTINGS, load * RATING_A, 0, true, 'good');
    for (const [index, expectedC] of integrated(before, load, 360).entries())
      expect(Math.abs(celsius(heatPercent(state, SETTINGS, (index + 1) * MINUTE_MS)) - expectedC)).toBeLessThan(0.1);
  });

  test('does not depend on how often it is read', () => {
    const loads = [0.8, 1.4, 1.4, 0.3, 1.1, 1.7, 1.7, 0.9];
    const [seldom, often] = [steadyAt(0.5), steadyAt(0.5)];
    for (const [index, load] of loads.entries()) {
      const fromMs = (index + 1) * 20 * MINUTE_MS;
      readThermal(seldom, SETTINGS, load * RATING_A, fromMs, true, 'good');
      for (let ms = fromMs; ms < fromMs + 20 * MINUTE_MS; ms += 7_000)
        readThermal(often, SETTINGS, load * RATING_A, ms, true, 'good');
    }
    const atMs = 200 * MINUTE_MS;
    expect(heatPercent(often, SETTINGS, atMs)).toBeCloseTo(heatPercent(seldom, SETTINGS, atMs), 9);
  });
});

const heatArb = fc.double({ min: 0, max: 90, noNaN: true });
const currentArb = fc.double({ min: 0, max: 2.2 * RATING_A, noNaN: true });

/** Any heat of the two parts, also what no load could have brought. */
function anyState(heat: number, winding: number, currentA: number): ThermalState {
  return { ...newThermal(), known: 'yes', heatPercent: heat, windingPercent: winding, heatA: currentA };
}

test('it operates at the first instant at which the hot spot is at its limit, and at no other', () => {
  fc.assert(
    fc.property(heatArb, fc.double({ min: 0, max: 9.9, noNaN: true }), currentArb, (heat, winding, currentA) => {
      const state = anyState(heat, winding, currentA);
      const dueMs = thermalDueMs(state, SETTINGS, currentA, 0);
      // Where it never comes, nothing does within two thousand minutes.
      const untilMs = Math.min(dueMs, 2_000 * MINUTE_MS);
      for (let n = 0; n < 40; n++) assert(heatPercent(state, SETTINGS, (untilMs * n) / 40) < 100);
      if (dueMs === Number.POSITIVE_INFINITY) return;
      expect(heatPercent(state, SETTINGS, dueMs)).toBeCloseTo(100, 6);
      expect(timeToLimitS(state, SETTINGS, 0) * 1000).toBeCloseTo(dueMs, 3);
    }),
    { numRuns: 10_000 },
  );
});

test('it drops out once, under resetPercent, and only where 100 % is then more than twice leadTimeMin away', () => {
  const settings = { ...SETTINGS, leadTimeMin: 15 };
  fc.assert(
    fc.property(heatArb, heatArb, currentArb, currentArb, (heat, winding, currentA, expectedA) => {
      const state: ThermalState = { ...anyState(heat + 40, winding, currentA), status: 'operated' };
      const dueMs = thermalDueMs(state, settings, expectedA, 0);
      if (dueMs === Number.POSITIVE_INFINITY) return;
      expect(expireThermal(state, settings, expectedA, dueMs)).toBe('dropout');
      expect(heatPercent(state, settings, dueMs)).toBeLessThanOrEqual(95 + 1e-6);
      readThermal(state, settings, expectedA, dueMs, true, 'good');
      expect(timeToLimitS(state, settings, dueMs)).toBeGreaterThan(2 * 15 * 60 - 1);
    }),
    { numRuns: 10_000 },
  );
});

test('what has operated or dropped out is not due to do the other at the same instant', () => {
  const minutes = fc.constantFrom(0.5, 4, 30, 180);
  const settingsArb = fc.record({
    leadTimeMin: fc.constantFrom(0, 0.5, 1, 2, 15),
    resetPercent: fc.constantFrom(70, 95, 99),
    oil: fc
      .record({ oilTimeConstantMin: minutes, windingTimeConstantMin: minutes })
      .map((some) => ({ ...OIL, ...some })),
  });
  const partArb = fc.double({ min: 20, max: 80, noNaN: true });
  const loadArb = fc.double({ min: RATING_A, max: 2 * RATING_A, noNaN: true });
  const moreArb = fc.oneof(fc.constant(0), fc.double({ min: 0, max: RATING_A, noNaN: true }));
  fc.assert(
    fc.property(settingsArb, partArb, partArb, loadArb, moreArb, (some, heat, winding, currentA, moreA) => {
      const settings: ThermalSettings = { ...SETTINGS, ...some };
      const state = anyState(heat, winding, currentA);
      let nowMs = 0;
      for (let n = 0; n < 4; n++) {
        const dueMs = thermalDueMs(state, settings, currentA + moreA, nowMs);
        if (dueMs === Number.POSITIVE_INFINITY) return;
        if (n > 0) expect(dueMs).toBeGreaterThan(nowMs + 1);
        nowMs = Math.max(dueMs, nowMs);
        expect(expireThermal(state, settings, currentA + moreA, nowMs)).toBe(n % 2 === 0 ? 'operate' : 'dropout');
      }
    }),
    { numRuns: 10_000 },
  );
});

test('a gap is taken at the higher of the currents on both sides, and flagged for as long as it may matter', () => {
  const state = steadyAt(0.5);
  readThermal(state, SETTINGS, 1.3 * RATING_A, 30 * MINUTE_MS, true, 'none');
  const expectedC = integrated(0.5, 1.3, 30).at(-1) ?? 0;
  expect(celsius(heatPercent(state, SETTINGS, 30 * MINUTE_MS))).toBeCloseTo(expectedC, 1);
  expect(state.doubtUntilMs).toBeGreaterThan(60 * MINUTE_MS);
});
