// Over many evenings no feeder of a transformer is always first: what customers bear is shared.
import { expect, test } from 'vitest';
import { stepReadings, stepTimers } from '../../src/control/substation.ts';
import { yearOf } from '../../src/control/usage.ts';
import { type World, worldOf } from './substation-trace.ts';

const DAY_MS = 24 * 3_600_000;
const COLUMNS = ['t_s', 'F1_A', 'F2_A', 'F3_A'];

/** So many evenings of twenty minutes over the transformer's pickup, the feeders with these currents. */
function evenings(world: World, days: number, currents: readonly number[]): void {
  const read = (atMs: number, scale: number) => {
    const taken = world.feeders.map((feeder, index) => {
      const input = { currentA: (currents[index] ?? 0) * scale, quality: 'good' as const };
      return { feeder, reading: { atMs, L1: input, L2: input, L3: input, N: input } };
    });
    stepReadings(world, taken);
  };
  for (let day = 0; day < days; day++) {
    const fromMs = day * DAY_MS;
    for (let atMs = fromMs; atMs <= fromMs + 1_200_000; atMs += 60_000) read(atMs, 1);
    for (let atMs = fromMs + 1_260_000; atMs <= fromMs + 5_400_000; atMs += 60_000) read(atMs, 0.5);
    stepTimers(world, fromMs + DAY_MS - 1);
  }
}

const minutesOf = ({ feeders }: World, nowMs: number) => feeders.map(({ state }) => yearOf(state, nowMs).minutes);
const TRANSFORMER = 'T.pickupA 600  T.dropoutA 560  T.delayS 10  T.resetDelayS 30  T.staleAfterS 120';

test('with on/off the turn goes round: after 30 evenings the minutes differ by at most one evening', () => {
  const text = `pickupA 400  dropoutA 360  staleAfterS 120  mode onOff  controllableA 100\n${TRANSFORMER}`;
  const world = worldOf(text, COLUMNS);
  evenings(world, 30, [220, 200, 180]);
  const minutes = minutesOf(world, 30 * DAY_MS);
  const episodes = world.feeders.map(({ state }) => yearOf(state, 30 * DAY_MS).episodes);
  expect(episodes).toEqual([10, 10, 10]);
  expect(Math.max(...minutes) - Math.min(...minutes)).toBeLessThanOrEqual(Math.max(...minutes) / 10 + 1e-9);
});

test('with levels all customers are limited alike, whatever their feeder can give, and in every order of the feeders', () => {
  const text = (a: number, b: number, c: number) =>
    `pickupA 400  dropoutA 360  staleAfterS 120  F1.controllableA ${a}  F2.controllableA ${b}  F3.controllableA ${c}\n${TRANSFORMER}`;
  const forward = worldOf(text(60, 90, 150), COLUMNS);
  const backward = worldOf(text(150, 90, 60), COLUMNS);
  evenings(forward, 10, [220, 200, 180]);
  evenings(backward, 10, [180, 200, 220]);
  const minutes = minutesOf(forward, 10 * DAY_MS);
  expect(Math.max(...minutes) / Math.min(...minutes)).toBeLessThan(1.05);
  expect([...minutesOf(backward, 10 * DAY_MS)].reverse()).toEqual(minutes);
});
