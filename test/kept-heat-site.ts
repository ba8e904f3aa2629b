// What the killed process of the kept heat and its test agree on.
import type { ControlSettings } from '../src/control/types.ts';
import type { Stamp } from '../src/journal/records.ts';
import { settingsWith } from './control/trace.ts';

export const START_MS = 5_000_000;
export const CURRENT_A = 440;
export const RATING_A = 400;
export const TAU_MIN = 30;

export function heatedSettings(): ControlSettings {
  return settingsWith({ pickupA: '900', dropoutA: '800', timeConstantMin: String(TAU_MIN), leadTimeMin: '0' });
}

/** One boot, in which the wall clock is right. */
export function stampAt(monotonicMs: number, bootId = 'boot-1', awayMs = 0): Stamp {
  return { monotonicMs, wallMs: 1_700_000_000_000 + monotonicMs + awayMs, bootId, clockSynchronised: true };
}
