// Of a feeder's sections those are kept that could be the first to be overloaded.
import { expect, test } from 'vitest';
import { buildFeeder, type Line } from '../../../src/workbench/simulate/feeder-model.ts';
import { lowestVoltageV } from '../../../src/workbench/simulate/voltage.ts';

const line = (bus1: string, bus2: string, ratingA: number | null): Line => ({
  bus1,
  bus2,
  ratingA,
  lengthM: 100,
  r1: 0.5,
  r0: 1.5,
});

test('a section that is weaker than all before it is kept, with its homes', () => {
  const lines = [line('s', 'a', 200), line('b', 'a', 100), line('b', 'c', 150), line('a', 'd', null)];
  const loads = [
    { bus: 'c', phase: 0 },
    { bus: 'd', phase: 0 },
    { bus: 'd', phase: 1 },
  ];
  const feeder = buildFeeder('f', lines, loads, 's');
  expect(feeder?.conductors).toEqual([
    { phase: 0, ratingA: 200, parent: 0, homes: 2, section: 0 },
    { phase: 1, ratingA: 200, parent: 1, homes: 1, section: 0 },
    { phase: 2, ratingA: 200, parent: 2, homes: 0, section: 0 },
    { phase: 0, ratingA: 100, parent: 0, homes: 1, section: 2 },
  ]);
  expect([...(feeder?.conductorOf ?? [])]).toEqual([3, 0, 1]);
});

test('a weaker section with the same homes takes the place of the stronger one', () => {
  const feeder = buildFeeder('f', [line('s', 'a', 200), line('a', 'b', 100)], [{ bus: 'b', phase: 2 }], 's');
  expect(feeder?.conductors.map(({ ratingA }) => ratingA)).toEqual([200, 200, 100]);
  expect(feeder?.headRatingA).toBe(200);
});

test('a head without a known rating, or a home that hangs on nothing, gives no feeder', () => {
  expect(buildFeeder('f', [line('s', 'a', null)], [{ bus: 'a', phase: 0 }], 's')).toBeNull();
  expect(buildFeeder('f', [line('s', 'a', 100)], [{ bus: 'x', phase: 0 }], 's')).toBeNull();
});

test('the voltage falls by the own resistance, and less where the other phases carry too', () => {
  const loads = [0, 1, 2].map((phase) => ({ bus: 'a', phase }));
  const feeder = buildFeeder('f', [line('s', 'a', 100)], loads, 's');
  if (feeder === null) throw new Error('no feeder');
  // 0.1 km of (1.5 + 2·0.5)/3 ohm/km at 60 A; balanced, only r1 is left.
  expect(lowestVoltageV(feeder, Float64Array.of(60, 0, 0))).toBeCloseTo(230 - 60 * 0.0833, 2);
  expect(lowestVoltageV(feeder, Float64Array.of(60, 60, 60))).toBeCloseTo(230 - 60 * 0.05, 4);
});
