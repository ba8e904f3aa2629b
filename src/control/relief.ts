// How much relief, and as what level. A request's effect arrives over minutes (head end, DCC, the chargers' random
// delay), so what earlier requests still owe counts as coming; a level is what the wanted relief leaves of what
// requests can move. All amperes are per phase.
import type { ControlSettings, PhaseState } from './types.ts';

/**
 * A charger cannot go under 6 A: it pauses (docs.zaptec.com). For a 32 A charger that is 18.75 %, so a lower level
 * means off, and is said so.
 */
const PAUSE_PERCENT = 19;

/** The part of the asked relief that should be there by now: a straight ramp over the response time. */
export function deliveredA(phase: PhaseState, responseTimeS: number, nowMs: number): number {
  // With the closed loop off a recorded or injected current does not fall when asked.
  if (responseTimeS === 0) return 0;
  const share = Math.min(1, Math.max(0, nowMs - phase.deliveredSinceMs) / (responseTimeS * 1000));
  return phase.deliveredA + (phase.reductionA - phase.deliveredA) * share;
}

/** What earlier requests still owe. */
export function owedA(phase: PhaseState, responseTimeS: number, nowMs: number): number {
  return responseTimeS === 0 ? 0 : Math.max(0, phase.reductionA - deliveredA(phase, responseTimeS, nowMs));
}

/** The lowest level that settings and caps let a request carry. */
export function deepestPercent(settings: ControlSettings): number {
  return Math.max(settings.curtailment.floorPercent, settings.caps.deepestLevelPercent);
}

/**
 * The permitted level, in whole percent, that gives `reductionA` out of `controllableA`. On/off knows only off; where
 * nobody knows what can be moved the deepest level is asked for, and `reductionA` says how much would have done.
 */
export function levelFor(settings: ControlSettings, controllableA: number | null, reductionA: number): number {
  const deepest = deepestPercent(settings);
  if (settings.curtailment.mode === 'onOff' || controllableA === null || controllableA <= 0) return deepest;
  const level = Math.floor(100 * (1 - reductionA / controllableA));
  return Math.max(deepest, level < PAUSE_PERCENT ? 0 : Math.min(level, 99));
}

/** The current that comes back at most when the level rises from what it is to `levelPercent`. */
export function returnA(
  settings: ControlSettings,
  controllableA: number | null,
  phase: PhaseState,
  levelPercent: number,
): number {
  if (settings.curtailment.responseTimeS === 0) return 0;
  const share = (levelPercent - phase.levelPercent) / 100;
  if (controllableA !== null) return controllableA * share;
  // Nobody knows what can be moved: what was asked for, or what has gone since if that is more, may come back.
  const goneA = Math.max(phase.reductionA, phase.atLimitA - phase.currentA);
  return (goneA * (levelPercent - phase.levelPercent)) / (100 - phase.levelPercent);
}
