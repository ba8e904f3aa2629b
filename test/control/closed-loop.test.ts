// The whole loop: real control around a small feeder whose chargers act minutes later, each after its own random delay.
// What is asked here is what holds for any feeder: the overload goes and stays away, and nobody hunts.
import { describe, expect, test } from 'vitest';
import type { ControlRequest } from '../../src/control/types.ts';
import type { Phase } from '../../src/feeder.ts';
import { type Charger, overSeconds, type PlantOptions, peakThermalPercent, runPlant } from '../simulators/plant.ts';
import { seeded } from '../simulators/random.ts';
import { settingsWith } from './trace.ts';

const HOUR_MS = 3_600_000;
const RATING_A = 385;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

/** An evening: homes that peak, and cars that come home around it, most of them on L2. */
function evening(
  seed: number,
  more: Partial<PlantOptions> = {},
  values: Parameters<typeof settingsWith>[0] = {},
): PlantOptions {
  const random = seeded(seed);
  const phases: Phase[] = ['L1', 'L2', 'L2', 'L3', 'L2', 'L2'];
  const chargers = Array.from(
    { length: 27 },
    (_, index): Charger => ({
      phase: phases[index % phases.length] ?? 'L2',
      ratedA: 32,
      plugInMs: random.between(2, 7) * HOUR_MS,
      wantsAs: 32 * 3600 * random.between(0.7, 3.5),
    }),
  );
  const ripple = random.between(20_000, 60_000);
  const homesA = (phase: Phase, atMs: number) =>
    (phase === 'L2' ? 80 : 60) + 100 * Math.exp(-((atMs / HOUR_MS - 4.5) ** 2) / 3) + 5 * Math.sin(atMs / ripple);
  const settings = settingsWith({
    ratingA: '385',
    pickupA: '385',
    dropoutA: '350',
    delayS: '30',
    resetDelayS: '60',
    responseTimeS: '720',
    ...values,
  });
  return { settings, chargers, homesA, hours: 14, random: () => random.between(0, 1), ...more };
}

/** Requests that change a level, with whether they permit more. */
function changes(requests: readonly ControlRequest[]): { atMs: number; up: boolean; levelPercent: number }[] {
  let level = 100;
  return requests.flatMap(({ atMs, action, levelPercent }) => {
    if (action === 'refresh') return [];
    const next = action === 'release' ? 100 : Math.min(...Object.values(levelPercent));
    const up = next > level;
    level = next;
    return [{ atMs, up, levelPercent: next }];
  });
}

describe.each([
  ['nobody knows what can be moved', {}, {}],
  ['the settings guess too much', { controllableA: '300' }, {}],
  ['the settings guess too little', { controllableA: '60' }, {}],
  ['the head end acknowledges the amperes reached', {}, { acks: 'controllableA' as const }],
  ['a third of the devices is deaf', { controllableA: '200' }, { deafShare: 0.33 }],
])('%s', (_, values, more) => {
  const runs = SEEDS.map((seed) => ({
    without: runPlant(evening(seed, { ...more, controlled: false }, values)),
    run: runPlant(evening(seed, more, values)),
  }));

  test('the time over the rating is a fraction of what it is without control, and the heat stays under its limit', () => {
    const sum = (of: 'run' | 'without') => runs.reduce((total, each) => total + overSeconds(each[of], RATING_A), 0);
    expect(sum('without')).toBeGreaterThan(20_000);
    expect(sum('run')).toBeLessThan(sum('without') * 0.2);
    for (const { run } of runs) expect(peakThermalPercent(run, RATING_A)).toBeLessThan(100);
  });

  test('every car gets its energy in the end', () => {
    for (const { run } of runs) expect(run.servedAs).toBeGreaterThanOrEqual(run.wantedAs * 0.99);
  });

  test('no two opposite changes within the response time', () => {
    for (const { run } of runs) {
      const all = changes(run.requests);
      for (const [index, { atMs, up }] of all.entries()) {
        const before = all[index - 1];
        if (before !== undefined && before.up !== up) expect(atMs - before.atMs).toBeGreaterThanOrEqual(720_000);
      }
    }
  });

  test('an evening is one or two episodes, and few changes of level', () => {
    for (const { run } of runs) {
      expect(run.state.episode).toBeNull();
      expect(run.state.usage.past.length).toBeLessThanOrEqual(2);
      expect(changes(run.requests).length).toBeLessThanOrEqual(16);
    }
  });
});

test('what was moved is learned, and the next limit asks for a part where the first had to ask for all', () => {
  const first = runPlant(evening(3));
  const deepest = changes(first.requests)[0];
  expect(deepest?.levelPercent).toBe(0);
  const next = runPlant({ ...evening(3), from: first.state });
  expect(changes(next.requests)[0]?.levelPercent).toBeGreaterThan(50);
});

test('where every device is deaf the limit is released, and the alarm says so', () => {
  const run = runPlant(evening(1, { deafShare: 1 }));
  const alarms = run.actions.flatMap((action) =>
    action.kind === 'event' && action.type === 'alarm' ? [action.alarm] : [],
  );
  expect(alarms).toContain('noEffect');
  expect(run.state.episode).toBeNull();
});

test('minutes count from the first dispatched', () => {
  const [plain, acked] = [runPlant(evening(2)), runPlant(evening(2, { acks: 'dispatched' }))];
  const minutes = (run: typeof plain) => run.state.usage.past[0]?.minutes ?? 0;
  expect(minutes(acked)).toBeGreaterThan(0);
  expect(minutes(plain) - minutes(acked)).toBeCloseTo(0.5, 1);
});
