// The clocks of one boot of the simulated machine: a monotonic one that drifts, and a wall clock that is off, is stepped,
// and may or may not be known to be right.
import type { Clock } from '../../src/clock.ts';
import type { Random } from '../simulators/random.ts';
import type { Timeline } from './timeline.ts';

/** True wall time when the world begins. */
export const EPOCH_MS = Date.parse('2026-01-05T00:00:00.000Z');

export interface Boot {
  readonly bootId: string;
  readonly bootedMs: number;
  /** The crystal's error. */
  readonly driftPpm: number;
}

/** The wall clock outlives a restart of the program, not of the machine. */
export class Wall {
  offsetMs = 0;
  isSynchronised = true;
  /** True times at which it was stepped, or began or ceased to be kept. */
  readonly changedMs: number[] = [];

  step(byMs: number, nowMs: number): void {
    this.offsetMs += byMs;
    this.changedMs.push(nowMs);
  }

  doubt(nowMs: number): void {
    this.isSynchronised = false;
    this.changedMs.push(nowMs);
  }

  synchronise(nowMs: number): void {
    this.offsetMs = 0;
    this.isSynchronised = true;
    this.changedMs.push(nowMs);
  }
}

/** `isRunning` is false from the moment of a crash on: nothing that was set then ever comes. */
export function machineClock(
  timeline: Timeline,
  { bootId, bootedMs, driftPpm }: Boot,
  wall: Wall,
  random: Random,
  isRunning: () => boolean,
): Clock {
  const rate = 1 + driftPpm * 1e-6;
  const monotonicMs = () => (timeline.nowMs - bootedMs) * rate;
  return {
    monotonicMs,
    wallMs: () => Math.floor(EPOCH_MS + timeline.nowMs + wall.offsetMs),
    at(atMs, call) {
      const fire = () => {
        if (!isRunning()) return;
        // Fractions of a float may make it a hair early, which a clock must never be.
        if (monotonicMs() < atMs) timer = timeline.after(0.01, fire);
        else call();
      };
      let timer = timeline.at(bootedMs + atMs / rate, fire);
      return { cancel: () => timer.cancel() };
    },
    afterTurn(call) {
      // Mostly at once; now and then something else comes in between.
      const waitMs = random.chance(0.1) ? random.between(0, 1) : 0;
      timeline.after(waitMs, () => isRunning() && call());
    },
    bootId,
    synchronised: () => wall.isSynchronised,
  };
}
