// The simulated fleet beside a measured curve. With the recorded data: it is what docs/study.md says of it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recordedData } from '../../../src/workbench/simulate/recorded.ts';
import { syntheticData } from '../../../src/workbench/simulate/synthetic.ts';
import { fleetDistances } from '../../../src/workbench/study/fleet.ts';

const recorded = join(import.meta.dirname, '../../../../shared/data');

test('a fleet is at no distance from itself, and its energy is that of its sessions', () => {
  const data = syntheticData();
  const flat = { name: 'flat', chargerA: 32, isWeekend: false, kw: new Float32Array(1440).fill(0.5) };
  const [first] = fleetDistances({ ...data, fleetCurves: [flat] });
  if (first === undefined) throw new Error('no curve');
  const [again] = fleetDistances({ ...data, fleetCurves: [{ ...flat, kw: first.simulatedKw }] });
  expect(again?.shapeDistance).toBe(0);
  expect(first.shapeDistance).toBeGreaterThan(0.3);
  // Drivers of 0.25 to 0.75 sessions a day of 6 to 18 kWh on average.
  expect(first.energyKwh.simulated).toBeGreaterThan(3);
  expect(first.energyKwh.simulated).toBeLessThan(9);
});

test.skipIf(!existsSync(recorded))('recorded data: the evening peak is where Electric Nation measured it', () => {
  for (const { peakAt } of fleetDistances(recordedData(recorded, 'ieee'))) {
    expect(Number(peakAt.simulated.slice(0, 2))).toBeGreaterThanOrEqual(16);
    expect(Number(peakAt.simulated.slice(0, 2))).toBeLessThanOrEqual(22);
  }
});
