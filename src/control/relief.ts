// How much relief, and as what level. A request's effect arrives over minutes (head end, DCC, the chargers' random
// delay), so what earlier requests still owe counts as coming; a level is what the wanted relief leaves of what
// requests can move. All amperes are per phase.
import type { Phase } from '../feeder.ts';
import { isClosedLoop, movableA } from './reach.ts';
import type { ControlSettings, PhaseState } from './types.ts';

/**
 * A charger cannot go under 6 A: it pauses (docs.zaptec.com). For a 32 A charger that is 18.75 %, so a lower level
 * means off, and is said so.
 */
const PAUSE_PERCENT = 19;

/** What a division may be short of a whole percent: without it 80 A out of 100 A would be 19 % and not 20 %. */
const ROUNDING_PERCENT = 1e-9;

/** Levels are whole percents: a promise that is short by less is none. */
const WHOLE_PERCENT = 1;

/** The relief that the standing level can bring of what was asked for: less where fewer devices were reached. */
export function promisedA(phase: PhaseState, settings: ControlSettings, name: Phase): number {
  const canA = movableA(phase, settings, name);
  if (canA === null || settings.curtailment.mode === 'onOff') return phase.reductionA;
  return Math.min(phase.reductionA, (canA * (100 - phase.levelPercent + WHOLE_PERCENT)) / 100);
}

/**
 * The relief that should be there by now: on a straight ramp over the response time, or what was seen if that is more;
 * once it has been judged, what was measured then.
 */
export function deliveredA(phase: PhaseState, settings: ControlSettings, name: Phase, nowMs: number): number {
  const { responseTimeS } = settings.curtailment;
  // With the closed loop off a recorded or injected current does not fall when asked.
  if (!isClosedLoop(settings)) return 0;
  if (phase.isJudged) return phase.deliveredA;
  const share = Math.min(1, Math.max(0, nowMs - phase.deliveredSinceMs) / (responseTimeS * 1000));
  const wholeA = promisedA(phase, settings, name);
  const onRampA = phase.deliveredA + (wholeA - phase.deliveredA) * share;
  return Math.max(onRampA, Math.min(phase.goneA, wholeA));
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

/**
 * The current that comes back when the level rises from what it is to `levelPercent`: what the level holds back by now,
 * for as long as the energy that it has held back lasts. Cars that would have finished by now have not.
 */
export function returnA(phase: PhaseState, settings: ControlSettings, name: Phase, levelPercent: number): number {
  if (!isClosedLoop(settings) || levelPercent <= phase.levelPercent) return 0;
  const canA = movableA(phase, settings, name);
  const { returnedA } = phase.reach;
  if (canA !== null || returnedA !== null)
    return (Math.max(canA ?? 0, returnedA ?? 0) * (levelPercent - phase.levelPercent)) / 100;
  // Nobody knows what can be moved: what was asked for may come back, or what went if that was more.
  const backA = Math.max(phase.reductionA, phase.goneA);
  return (backA * (levelPercent - phase.levelPercent)) / (100 - phase.levelPercent);
}
