// How much relief, and as what level. A request's effect arrives over minutes (head end, DCC, the chargers' random
// delay), so what earlier requests still owe counts as coming; a level is what the wanted relief leaves of what
// requests can move. All amperes are per phase.
import type { ControlSettings, PhaseState } from './types.ts';

/**
 * A charger cannot go under 6 A: it pauses (docs.zaptec.com). For a 32 A charger that is 18.75 %, so a lower level
 * means off, and is said so.
 */
const PAUSE_PERCENT = 19;

/** What a division may be short of a whole percent: without it 80 A out of 100 A would be 19 % and not 20 %. */
const ROUNDING_PERCENT = 1e-9;

/** The part of the asked relief that should be there by now: a straight ramp over the response time. */
export function deliveredA(phase: PhaseState, responseTimeS: number, nowMs: number): number {
  // With the closed loop off a recorded or injected current does not fall when asked.
  if (responseTimeS === 0) return 0;
  const share = Math.min(1, Math.max(0, nowMs - phase.deliveredSinceMs) / (responseTimeS * 1000));
  return phase.deliveredA + (phase.reductionA - phase.deliveredA) * share;
}

/** The lowest level that settings and caps let a request carry. */
export function deepestPercent(settings: ControlSettings): number {
  return Math.max(settings.curtailment.floorPercent, settings.caps.deepestLevelPercent);
}

/** The nearest level, in whole percent, that a limit may carry and that permits no more than `levelPercent`. */
export function permittedLevel(settings: ControlSettings, levelPercent: number): number {
  return Math.max(deepestPercent(settings), levelPercent < PAUSE_PERCENT ? 0 : Math.min(Math.floor(levelPercent), 99));
}

/**
 * The permitted level that gives `reductionA` out of `controllableA`. On/off knows only off; where nobody knows what
 * can be moved the deepest level is asked for, and `reductionA` says how much would have done.
 */
export function levelFor(settings: ControlSettings, controllableA: number | null, reductionA: number): number {
  if (settings.curtailment.mode === 'onOff' || controllableA === null || controllableA <= 0)
    return deepestPercent(settings);
  return permittedLevel(settings, 100 - (100 * reductionA) / controllableA + ROUNDING_PERCENT);
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
  // Nobody knows what can be moved: what was asked for may come back, or what went if that was more.
  const backA = Math.max(phase.reductionA, phase.goneA);
  return (backA * (levelPercent - phase.levelPercent)) / (100 - phase.levelPercent);
}
