// What the simulators draw, of random numbers that a seed repeats. Only what a run decides is repeated, not the
// machine's timing.
import { seededRandom } from '../../src/workbench/seeded-random.ts';

export interface Random {
  /** At least `from`, less than `to`. */
  between(from: number, to: number): number;
  /** A whole number, both ends included. */
  whole(from: number, to: number): number;
  chance(probability: number): boolean;
}

export function seeded(seed: number): Random {
  const next = seededRandom(seed);
  return {
    between: (from, to) => from + next() * (to - from),
    whole: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (probability) => next() < probability,
  };
}
