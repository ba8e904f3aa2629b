// The simulated world itself: that it repeats, that the controller holds in it, and that its judge sees what is wrong.
// The long run is `npm run simulate:faults`.
import { describe, expect, test, vi } from 'vitest';
import type { Fault, Plan } from './plan.ts';
import { planOf } from './plan.ts';
import { shrink } from './shrink.ts';
import { World } from './world.ts';

const HOUR_MS = 3_600_000;
/** Days are a second of work on a machine that is at rest. */
vi.setConfig({ testTimeout: 240_000 });
/** Short worlds, full of faults. */
const HOURS = 240;

test.each([1, 2, 3])('seed %i: everything holds', async (seed) => {
  const { breach, counts } = await new World(planOf(seed, HOURS)).run();
  expect(breach).toBeNull();
  expect(counts['crashes']).toBeGreaterThan(1);
  expect(counts['events']).toBeGreaterThan(10);
  expect(counts['orders']).toBeGreaterThan(1);
});

test('the same plan runs the same way, to the last message', async () => {
  const { faults, ...site } = planOf(1, 2 * HOURS);
  const plan = { ...site, feeders: 2, hours: 24, faults: faults.filter(({ atMs }) => atMs < 24 * HOUR_MS) };
  const [first, second] = [await new World(plan).run(), await new World(plan).run()];
  expect(first.counts['requests']).toBeGreaterThan(2);
  expect(second).toEqual(first);
});

describe('the judge', () => {
  /** Two busy feeders for two days, with these faults. */
  const plan = (...faults: Fault[]): Plan => ({
    ...planOf(1, HOURS),
    feeders: 2,
    pollMs: 20_000,
    busyShare: 1,
    hours: 48,
    faults,
  });
  const kill: Fault = { atMs: 20 * HOUR_MS, kind: 'kill', aim: { at: 'moment' }, downMs: 60_000 };

  test('has nothing to say of a quiet machine', async () => {
    const { breach, counts } = await new World(plan()).run();
    expect(breach).toBeNull();
    expect(counts['requests']).toBeGreaterThan(5);
    expect(counts['starts']).toBe(1);
  });

  test('sees a disk that says it has written and has not', async () => {
    const lies: Fault = { atMs: 10 * HOUR_MS, kind: 'lies', forMs: 20 * HOUR_MS };
    const { breach } = await new World(plan(lies, kill)).run();
    expect(breach).toMatch(/before it was kept|lost in a crash/);
  });

  test('sees a request that is published before it is committed', async () => {
    const { breach } = await new World(plan({ atMs: 10 * HOUR_MS, kind: 'late', forMs: 20 * HOUR_MS })).run();
    expect(breach).toMatch(/^said before it was kept/);
  });

  test('sees a request that is dropped at the edge of its expiry without a word', async () => {
    // Decided while the broker is away, not refreshed while the meter is, and over before either is back.
    const silent = [17, 18.5, 20, 21.5, 23].map(
      (hour): Fault => ({ atMs: hour * HOUR_MS, kind: 'silent', feeder: 0, forMs: 1.2 * HOUR_MS }),
    );
    const away: Fault[] = [{ atMs: 15 * HOUR_MS, kind: 'down', forMs: 10 * HOUR_MS }, ...silent];
    expect((await new World(plan(...away)).run()).breach).toBeNull();
    const { breach } = await new World(
      plan(...away, { atMs: 10 * HOUR_MS, kind: 'forgetful', forMs: 16 * HOUR_MS }),
    ).run();
    expect(breach).toMatch(/^withheld as expired, and no event tells of it/);
  });

  test('cuts a failing plan down to the fault that matters', async () => {
    const lies: Fault = { atMs: 10 * HOUR_MS, kind: 'lies', forMs: 20 * HOUR_MS };
    const noise: Fault[] = [
      { atMs: 5 * HOUR_MS, kind: 'cut' },
      { atMs: 8 * HOUR_MS, kind: 'clockStep', byMs: 5_000 },
      { atMs: 9 * HOUR_MS, kind: 'forget' },
    ];
    const failing = plan(...noise, lies, kill);
    const { breach } = await new World(failing).run();
    const cut = await shrink(failing, breach ?? '');
    expect(cut.plan.faults).toEqual([lies]);
  });
});
