// The closed-loop plant on synthetic feeders: it repeats, it may skip what cannot matter, and control keeps the feeder
// where it would be overloaded without.
import { describe, expect, test } from 'vitest';
import type { Action } from '../../../src/control/types.ts';
import { type Car, carsOf, STEPS_PER_DAY } from '../../../src/workbench/simulate/cars.ts';
import type { Chargers } from '../../../src/workbench/simulate/chargers.ts';
import { loopOf } from '../../../src/workbench/simulate/controllers.ts';
import { Plant } from '../../../src/workbench/simulate/plant.ts';
import { syntheticData } from '../../../src/workbench/simulate/synthetic.ts';

const data = syntheticData();
const [feeder] = data.feeders;
if (feeder === undefined) throw new Error('no synthetic feeder');
const plant = new Plant(feeder, data.homes, { heatPumpShare: 0, tariffShare: 0 });
const cars = carsOf(feeder, data.drivers);
const DAYS = { fromDay: 0, toDay: 40 };

const without = (count: number, seed = 1) =>
  plant.run(seed, cars.slice(0, count), { ...DAYS, stopAtViolation: false, loop: null });
const controlled = (count: number, seed = 1) =>
  plant.run(seed, cars.slice(0, count), { ...DAYS, stopAtViolation: false, loop: loopOf(plant, 'proportional', seed) });

test('the same seed gives the same year, another seed another', () => {
  const once = controlled(100);
  expect(controlled(100)).toEqual(once);
  expect(controlled(100, 2).peakThermalPercent).not.toBe(once.peakThermalPercent);
});

test('a car that is added changes nothing of what the others do', () => {
  const loads = (count: number) => {
    const starts: number[] = [];
    plant.run(1, cars.slice(0, count), {
      ...DAYS,
      stopAtViolation: false,
      loop: null,
      watch: (from) => starts.push(from),
    });
    return new Set(starts);
  };
  const more = loads(31);
  expect([...loads(30)].every((step) => more.has(step))).toBe(true);
});

test('more cars are never cooler', () => {
  const peaks = [0, 20, 40, 80].map((count) => without(count).peakThermalPercent);
  expect([...peaks].sort((a, b) => a - b)).toEqual(peaks);
});

test('what is skipped at rest changes nothing that is decided or found', () => {
  const run = (everyReading: boolean) => {
    const actions: Action[] = [];
    const action = (one: Action) => actions.push(one);
    const loop = loopOf(plant, 'proportional', 1, { action, everyReading });
    const result = plant.run(1, cars.slice(0, 60), { ...DAYS, stopAtViolation: false, loop });
    const requests = actions.flatMap((action) =>
      action.kind === 'request' ? [[Math.round(action.atMs / 1000), action.levelPercent]] : [],
    );
    return { requests, ...result };
  };
  const fast = run(false);
  expect(fast.requests.length).toBeGreaterThan(10);
  expect(fast).toEqual(run(true));
});

describe('with more cars than the feeder hosts', () => {
  const count = 40;

  test('without control it is overloaded, with control it is not', () => {
    expect(without(count).peakThermalPercent).toBeGreaterThan(100);
    expect(controlled(count).peakThermalPercent).toBeLessThanOrEqual(100);
  });

  test('what it takes is counted with those whom it took it from', () => {
    const { occasions, minutes, episodes } = controlled(count);
    expect(episodes).toBeGreaterThan(0);
    for (const [car, times] of occasions.entries()) {
      expect(times).toBeLessThanOrEqual(episodes);
      expect((minutes[car] ?? 0) > 0).toBe(times > 0);
    }
  });
});

test('one car off for ten minutes has lost ten minutes on one occasion, and finishes later', () => {
  const driver = {
    chargerA: 32,
    sessionsPerDay: 1,
    sessions: [{ plugInMin: 600, connectedH: 10, energyKwh: 7.36, isWeekend: false }],
  };
  const pools = [driver.sessions, driver.sessions] as const;
  const one: Car = { home: 0, driver, pools, tariffDraw: 1 };
  const offFrom = (10.5 * STEPS_PER_DAY) / 24;
  let chargers: Chargers | null = null;
  const result = plant.run(1, [one], {
    fromDay: 0,
    toDay: 1,
    stopAtViolation: false,
    loop: (made) => {
      chargers = made;
      const group = made.group([0]);
      return {
        episodes: 1,
        read() {},
        run(step) {
          if (step < offFrom || step >= offFrom + 60) return;
          group.episode = 1;
          group.setLevel(0, 0, offFrom + 60, step);
        },
        nextStep: () => offFrom,
      };
    },
  });
  expect(chargers).not.toBeNull();
  expect([...result.occasions]).toEqual([1]);
  expect(result.minutes[0]).toBeCloseTo(10, 6);
  expect([result.sessions, result.unfinished]).toEqual([1, 0]);
});

test('an outage: nothing flows, then every car that waited begins at once and the homes draw more', () => {
  const outage = { fromHour: 18, toHour: 19, coldLoadFactor: 2, coldLoadMin: 30 };
  const headA = (given: typeof outage | undefined) => {
    const bySlot = new Map<number, number>();
    plant.run(1, cars.slice(0, 60), {
      fromDay: 0,
      toDay: 1,
      stopAtViolation: false,
      loop: null,
      outage: given,
      watch: (from, _to, currentsA) => {
        const slot = Math.floor(from / 30);
        bySlot.set(slot, Math.max(bySlot.get(slot) ?? 0, currentsA[0] ?? 0));
      },
    });
    return (hour: number) => bySlot.get(hour * 12) ?? 0;
  };
  const [usual, odd] = [headA(undefined), headA(outage)];
  expect(odd(17)).toBe(usual(17));
  expect([odd(18), odd(18 + 11 / 12)]).toEqual([0, 0]);
  expect(odd(19)).toBeGreaterThan(1.25 * usual(19));
  expect(odd(24 - 1 / 12)).toBeLessThan(1.05 * usual(24 - 1 / 12) + 32 * 3);
});

test('homes of the IEEE feeder are only there in recorded data', () => {
  expect(() => new Plant(feeder, data.homes, { homes: 'ieee', heatPumpShare: 0, tariffShare: 0 })).toThrow(
    'no household profiles of the IEEE feeder in this data',
  );
});
