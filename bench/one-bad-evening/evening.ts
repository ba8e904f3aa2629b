// The evening as the feeders have it: steps of current that go over the pickup and under the dropout, with some between
// the two that must bring nothing; and what must have been said of them, worked out from what the meter really showed.
// The steps are those of recorded feeders where their file is beside the tree, else made from the seed.
import { existsSync } from 'node:fs';
import { seededRandom } from '../../src/workbench/seeded-random.ts';
import { readWeeks, WEEKS_FILE } from '../../test/feeder-weeks/weeks.ts';

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
  /** How many answers showed it. */
  answers: number;
}

export interface Transition {
  readonly action: 'limit' | 'release';
  readonly shownMs: number;
  /** How many answers showed it until the way back. */
  answers: number;
}

const WEEKS = existsSync(WEEKS_FILE) ? readWeeks(WEEKS_FILE) : [];
export const EVENING = WEEKS.length > 0 ? 'recorded feeder weeks, ten minutes a step' : 'made from the seed';
/** Four hours of a feeder's ten minutes. */
const STRETCH_ROWS = 24;
/** Of the rows of a stretch this share is under the pickup. */
const UNDER_SHARE = 0.55;
/** So many stretches are drawn, and the one with the most crossings is played. */
const DRAWN = 40;
const AT_REST_A = 250;
/** So that the other phases, at half of it, never reach a threshold: each change is one transition. */
const HIGHEST_A = 600;

/** Steps of one feeder, each of a scan and more: stretches of recorded weeks, or made up where none is there. */
export function evening(seed: string, durationMs: number, dwellMs: number, pollMs: number): Step[] {
  if (WEEKS.length === 0) return steps(seed, durationMs, dwellMs);
  const random = seededRandom(seed);
  const rowMs = Math.max(1.05 * pollMs, 0.6 * dwellMs);
  const rows = Math.ceil(durationMs / rowMs);
  // Everyone begins at rest.
  const played = [AT_REST_A];
  while (played.length < rows) {
    const drawn = Array.from({ length: DRAWN }, () => recordedStretch(STRETCH_ROWS, random));
    played.push(...drawn.reduce((busiest, one) => (crossings(one) > crossings(busiest) ? one : busiest)));
  }
  return played.slice(0, rows).map((currentA, row) => ({ atMs: row * rowMs, currentA }));
}

function crossings(currentsA: readonly number[]): number {
  return transitions(currentsA.map((currentA) => ({ atMs: 0, shownMs: 0, answers: 1, currentA }))).length;
}

/** The highest phase of so many rows in a row, from any row of any feeder, so scaled that both sides of the pickup are seen. */
function recordedStretch(count: number, random: () => number): number[] {
  let week = Math.floor(random() * WEEKS.length);
  let row = Math.floor(random() * (WEEKS[week]?.rows.length ?? 0));
  const highest: number[] = [];
  for (; highest.length < count; row++) {
    const currentsA = WEEKS[week]?.rows[row]?.currentsA;
    if (currentsA === undefined) {
      week = (week + 1) % WEEKS.length;
      row = -1;
    }
    // A blank row is none that a meter could have shown.
    else if (currentsA.every((currentA) => currentA !== null)) highest.push(Math.max(...currentsA.map(Number)));
  }
  const sorted = [...highest].sort((a, b) => a - b);
  // Between two rows: nobody is asked whether a current is at the pickup to the last digit.
  const under = Math.floor(UNDER_SHARE * (sorted.length - 1));
  const pickup = ((sorted[under] ?? 0) + (sorted[under + 1] ?? 0)) / 2;
  // As it is on the wire: there 319.99999999999994 A are 320.
  return highest.map((currentA) => Math.fround(Math.min(HIGHEST_A, (currentA * PICKUP_A) / Math.max(pickup, 1))));
}

/** Steps of one feeder: over, under, over…, each for `dwellMs` to one and a half times that, now and then by way of the band. */
function steps(seed: string, durationMs: number, dwellMs: number): Step[] {
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
  for (const { currentA, shownMs, answers } of shown) {
    const action = currentA >= PICKUP_A ? 'limit' : currentA < DROPOUT_A ? 'release' : null;
    if (action === null) continue;
    const last = made.at(-1);
    if (last?.action === action) last.answers += answers;
    else if (action === 'limit' || last !== undefined) made.push({ action, shownMs, answers });
  }
  return made;
}
