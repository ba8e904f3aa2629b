// The evening as the feeders have it: steps of current that go over the pickup and under the dropout, with some between
// the two that must bring nothing; and what must have been said of them, worked out from what the meter really showed.
import { seededRandom } from '../../src/workbench/seeded-random.ts';

/** Amperes; every contestant has the same two. */
export const PICKUP_A = 360;
export const DROPOUT_A = 320;

export interface Step {
  /** Evening time in ms, from the start of the scenario. */
  readonly atMs: number;
  readonly currentA: number;
}

/** When the meter first gave an answer that showed the step, in evening time. */
export interface ShownStep extends Step {
  readonly shownMs: number;
}

export interface Transition {
  readonly action: 'limit' | 'release';
  readonly shownMs: number;
}

/** Steps of one feeder: over, under, over…, each for `dwellMs` to one and a half times that, now and then by way of the band. */
export function steps(seed: string, durationMs: number, dwellMs: number): Step[] {
  const random = seededRandom(seed);
  const made: Step[] = [{ atMs: 0, currentA: 150 + 100 * random() }];
  let over = false;
  for (let atMs = dwellMs * (0.5 + random()); atMs < durationMs; atMs += dwellMs * (1 + random() / 2)) {
    over = !over;
    if (random() < 0.3) made.push({ atMs: atMs - dwellMs * 0.4, currentA: 326 + 28 * random() });
    made.push({ atMs, currentA: over ? 372 + 140 * random() : 90 + 220 * random() });
  }
  return made;
}

/** All feeders at once: supply that comes back in one step, with every car on it. */
export function restored(durationMs: number, dwellMs: number): Step[] {
  const made: Step[] = [{ atMs: 0, currentA: 200 }];
  for (let atMs = dwellMs; atMs < durationMs; atMs += 2 * dwellMs)
    made.push(
      { atMs, currentA: 0 },
      { atMs: atMs + dwellMs / 3, currentA: 480 },
      { atMs: atMs + dwellMs, currentA: 200 },
    );
  return made;
}

/** What must have been said: a step that no answer ever showed is nobody's to know. */
export function transitions(shown: readonly ShownStep[]): Transition[] {
  const made: Transition[] = [];
  let limited = false;
  for (const { currentA, shownMs } of shown) {
    if (limited ? currentA >= DROPOUT_A : currentA < PICKUP_A) continue;
    limited = !limited;
    made.push({ action: limited ? 'limit' : 'release', shownMs });
  }
  return made;
}
