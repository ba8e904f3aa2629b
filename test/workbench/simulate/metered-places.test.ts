// Meters downstream: which sections get one, what each place may carry, and that chargers in two groups obey the lower level.
import { describe, expect, test } from 'vitest';
import { type Car, carsOf, STEPS_PER_DAY } from '../../../src/workbench/simulate/cars.ts';
import type { Chargers } from '../../../src/workbench/simulate/chargers.ts';
import { loopOf } from '../../../src/workbench/simulate/controllers.ts';
import { buildFeeder, type Line } from '../../../src/workbench/simulate/feeder-model.ts';
import { meteredPlaces } from '../../../src/workbench/simulate/metered-places.ts';
import { Plant } from '../../../src/workbench/simulate/plant.ts';
import { syntheticData } from '../../../src/workbench/simulate/synthetic.ts';
import type { TargetGroup } from '../../../src/workbench/simulate/target-group.ts';

const line = (bus1: string, bus2: string, ratingA: number): Line => ({
  bus1,
  bus2,
  ratingA,
  lengthM: 10,
  r1: 0,
  r0: 0,
});
const at = (bus: string, count: number, phase: number) => Array.from({ length: count }, () => ({ bus, phase }));

/** 400 A at the head; behind it 200 A with two thirds of the homes of L1, and 60 A with one home of L2. */
const feeder = buildFeeder(
  'laterals',
  [line('s', 'a', 400), line('a', 'b', 200), line('a', 'c', 60)],
  [...at('a', 10, 0), ...at('b', 20, 0), ...at('a', 29, 1), ...at('c', 1, 1), ...at('a', 30, 2)],
  's',
);
if (feeder === null) throw new Error('no feeder');

describe('metered places', () => {
  test('a section that fills first lowers what the head may carry, by its share and by chance', () => {
    const [head] = meteredPlaces(feeder.conductors, 0);
    expect(head.conductors).toEqual([0, 1, 2]);
    expect(head.ratingA).toBeLessThan(300);
    // Its mean is at 300 A at its rating; 0.75 standard deviations of chance come to the rating.
    const share = 2 / 3;
    const spreadA = 0.75 * Math.sqrt(32 * share * (1 - share) * head.ratingA);
    expect(share * head.ratingA + spreadA).toBeCloseTo(200, 6);
  });

  test('one with a meter has its own rating, and leaves the head its own', () => {
    const [head, section, ...rest] = meteredPlaces(feeder.conductors, 1);
    expect(head.ratingA).toBe(400);
    expect(section).toMatchObject({ id: 'F1-S2', conductors: [3, null, null] });
    expect(section?.ratingA).toBeCloseTo(200, 6);
    expect(rest).toEqual([]);
  });

  test('what is mostly chance says nothing of the head: one home in thirty', () => {
    const [head] = meteredPlaces(feeder.conductors.slice(0, 3).concat(feeder.conductors.slice(4)), 0);
    expect(head.ratingA).toBe(400);
  });

  test('no more than there are', () => {
    expect(meteredPlaces(feeder.conductors, 9).map(({ id }) => id)).toEqual(['F1', 'F1-S2', 'F1-S3']);
  });
});

const data = syntheticData();
const [synthetic] = data.feeders;
if (synthetic === undefined) throw new Error('no synthetic feeder');
const plant = new Plant(synthetic, data.homes, { heatPumpShare: 0, tariffShare: 0 });
const driver = {
  chargerA: 32,
  sessionsPerDay: 1,
  sessions: [{ plugInMin: 600, connectedH: 10, energyKwh: 7.36, isWeekend: false }],
};
const car = (home: number): Car => ({ home, driver, pools: [driver.sessions, driver.sessions], tariffDraw: 1 });
const stepOf = (hour: number) => (hour * STEPS_PER_DAY) / 24;

test('a charger in two groups obeys the lower level, and an occasion is of the group that it obeyed', () => {
  const draws = new Map<number, number>();
  const result = plant.run(1, [car(0), car(1)], {
    fromDay: 0,
    toDay: 1,
    stopAtViolation: false,
    loop: (chargers: Chargers) => {
      const [all, one] = [chargers.group([0, 1]), chargers.group([0])];
      const halve = (group: TargetGroup) => {
        for (const place of [0, 1]) group.setLevel(place, 50, stepOf(10.75), stepOf(10.5));
      };
      const doings = new Map<number, () => void>([
        [stepOf(10.5), () => halve(all)],
        [stepOf(10.5) + 6, () => one.setLevel(0, 25, stepOf(10.5) + 12, stepOf(10.5) + 6)],
      ]);
      all.episode = 1;
      one.episode = 1;
      return {
        episodes: 2,
        read: (step) => draws.set(step, chargers.drawA(0)),
        run: (step) => doings.get(step)?.(),
        nextStep: () => 1,
      };
    },
  });
  expect([0, 6, 12].map((steps) => draws.get(stepOf(10.5) + steps))).toEqual([16, 8, 16]);
  expect(draws.get(stepOf(10.75))).toBe(32);
  expect([...result.occasions]).toEqual([2, 1]);
  // A quarter of an hour at half; for a minute of it a quarter more.
  expect(result.minutes[0]).toBeCloseTo(7.75, 6);
  expect(result.minutes[1]).toBeCloseTo(7.5, 6);
});

test('a section with a meter is kept within its rating where the head alone does not show it', () => {
  const weak = new Plant(feeder, data.homes, { heatPumpShare: 0, tariffShare: 0 });
  // Only behind b: 18 cars, which the head carries with ease.
  const cars = carsOf(feeder, data.drivers)
    .filter(({ home }) => home >= 10 && home < 30)
    .slice(0, 18);
  const peak = (sections: number) =>
    weak.run(1, cars, {
      fromDay: 0,
      toDay: 60,
      stopAtViolation: false,
      loop: loopOf(weak, 'proportional', 1, { sections }),
    }).peakThermalPercent;
  expect(peak(0)).toBeGreaterThan(100);
  expect(peak(1)).toBeLessThanOrEqual(100);
});
