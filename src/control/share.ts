// How the feeders of one transformer share its relief, and the room for what comes back after it. Relief goes by
// controllable amperes, so that customers of all feeders are limited by the same share; what is too little to share, or
// what nobody can measure out, goes to the feeder whose customers have had the fewest minutes in the year. Room goes to
// the feeder whose customers have had the most, and is given once: no two feeders release into the same headroom.
import { type PerPhase, PHASES, type Phase } from '../feeder.ts';
import { nextLevel } from './curtailment.ts';
import { isBlocked } from './elements.ts';
import { isInVain, movableA } from './reach.ts';
import { deepestPercent, promisedA, returnA } from './relief.ts';
import type { ControlSettings, FeederState, PhaseState } from './types.ts';
import { budgetUntilMs, yearOf } from './usage.ts';

/** One feeder of the transformer. */
export interface Sharer {
  state: FeederState;
  control: ControlSettings;
}

/** Levels are whole percents: less than one each is asked of one feeder alone. */
const LEAST_SHARE = 0.01;

/**
 * The relief to ask of each feeder on phase `name`, in amperes beyond what is measured, in the order of `sharers`, for
 * a transformer that is `overA` over its dropout there. A spent budget counts unless it is urgent. What earlier requests still owe counts as coming.
 */
export function shareOut(
  sharers: readonly Sharer[],
  name: Phase,
  overA: number,
  isUrgent: boolean,
  nowMs: number,
): number[] {
  const owedA = sharers.map(({ state, control }) => owedOf(state[name], control, name));
  const comingA = sum(owedA);
  if (overA <= comingA) return owedA.map((currentA) => (comingA > 0 ? (currentA * Math.max(0, overA)) / comingA : 0));
  const more = shareMore(sharers, name, overA - comingA, isUrgent, nowMs);
  return owedA.map((currentA, index) => currentA + (more[index] ?? 0));
}

/** Whether what the transformer is over will come from nowhere: more than is owed, and no feeder may be asked for more. */
export function isUnanswered(
  sharers: readonly Sharer[],
  name: Phase,
  overA: number,
  isUrgent: boolean,
  nowMs: number,
): boolean {
  if (!isExhausted(sharers, name, isUrgent, nowMs)) return false;
  return overA > sum(sharers.map(({ state, control }) => owedOf(state[name], control, name)));
}

/** No feeder may be asked for more. */
export function isExhausted(sharers: readonly Sharer[], name: Phase, isUrgent: boolean, nowMs: number): boolean {
  return sharers.every(({ state, control }) => moreOf(state, control, name, isUrgent, nowMs) === 0);
}

/**
 * Shares `restA` that nothing owes yet. A feeder that can give no more, or is not seen, gets none. What cannot be shared
 * by level, because it is too little, or the feeder knows only off, or nobody knows what it can give, is asked of one
 * feeder after the other.
 */
function shareMore(sharers: readonly Sharer[], name: Phase, restA: number, isUrgent: boolean, nowMs: number): number[] {
  const canA = sharers.map(({ state, control }) => moreOf(state, control, name, isUrgent, nowMs));
  const byLevelA = sharers.map(({ control }, index) => (control.curtailment.mode === 'onOff' ? 0 : (canA[index] ?? 0)));
  const knownA = sum(byLevelA);
  const isLittle = restA < knownA * LEAST_SHARE;
  const shares = byLevelA.map((currentA) =>
    isLittle || knownA === 0 ? 0 : (currentA * Math.min(restA, knownA)) / knownA,
  );
  let spareA = restA - sum(shares);
  for (const isKnown of [true, false]) {
    const may = (index: number) =>
      (canA[index] !== null) === isKnown && canA[index] !== 0 && (isLittle || byLevelA[index] === 0);
    for (const index of byMinutes(sharers, nowMs, 1).filter(may)) {
      const takenA = Math.min(Math.max(0, spareA), canA[index] ?? spareA);
      shares[index] = (shares[index] ?? 0) + takenA;
      spareA -= takenA;
    }
  }
  return shares;
}

/** What a phase could still be asked for; null where nobody knows what can be moved. */
function moreOf(
  state: FeederState,
  settings: ControlSettings,
  name: Phase,
  isUrgent: boolean,
  nowMs: number,
): number | null {
  const phase = state[name];
  const leftPercent = phase.levelPercent - deepestPercent(settings);
  if (!phase.fresh || phase.isReverse || leftPercent <= 0 || !mayBeAsked(state, settings, name)) return 0;
  if (!isUrgent && nowMs < budgetUntilMs(state, settings, nowMs)) return 0;
  const canA = movableA(phase, settings, name);
  return canA === null ? null : (canA * leftPercent) / 100;
}

/** Nobody has blocked it, it is no test, its longest episode is not over, and its limits move something. */
function mayBeAsked(state: FeederState, settings: ControlSettings, name: Phase): boolean {
  const { transformer } = state[name];
  if (!settings.mayRequest || state.testUntilMs !== null || transformer.locked) return false;
  if (isBlocked(state, null) || isBlocked(state, 'transformer')) return false;
  return !isInVain(state[name], settings, name);
}

/** Relief that was asked for and has not been seen, while it may still come. */
function owedOf(phase: PhaseState, settings: ControlSettings, name: Phase): number {
  if (phase.levelPercent === 100 || phase.isJudged || phase.reach.withoutEffect > 0) return 0;
  return Math.max(0, promisedA(phase, settings, name) - Math.max(phase.goneA, phase.deliveredA));
}

/**
 * Gives each limited feeder the room for its next step of release, or none, out of `roomA`: how far each phase of the
 * transformer is under its dropout; 0 while that is not known. What earlier steps still bring back is taken off first.
 * In the order of `sharers`.
 */
export function grantRoom(sharers: readonly Sharer[], roomA: PerPhase<number>, nowMs: number): PerPhase<number>[] {
  const left = new Map(
    PHASES.map((name) => [name, (roomA[name] ?? 0) - sum(sharers.map((of) => comingBackA(of, name, nowMs)))]),
  );
  const granted: PerPhase<number>[] = sharers.map(() => ({}));
  for (const index of byMinutes(sharers, nowMs, -1)) {
    const sharer = sharers[index];
    if (sharer !== undefined) granted[index] = grant(sharer, left);
  }
  return granted;
}

/** All of its next step, or nothing. */
function grant({ state, control }: Sharer, left: Map<Phase, number>): PerPhase<number> {
  const backA = PHASES.map((name) => returnA(state[name], control, name, nextLevel(control, state[name])));
  if (state.episode === null || PHASES.some((name, index) => (backA[index] ?? 0) > (left.get(name) ?? 0))) return {};
  for (const [index, name] of PHASES.entries()) left.set(name, (left.get(name) ?? 0) - (backA[index] ?? 0));
  return Object.fromEntries(PHASES.map((name, index) => [name, backA[index] ?? 0]));
}

/** What the last step of release has yet to bring back, on a straight ramp over the response time. */
function comingBackA({ state, control }: Sharer, name: Phase, nowMs: number): number {
  const { returningA, returningSinceMs } = state[name];
  const responseMs = control.curtailment.responseTimeS * 1000;
  return responseMs === 0 ? 0 : returningA * Math.max(0, 1 - (nowMs - returningSinceMs) / responseMs);
}

/** Indices by customers' minutes in the year, the fewest first (`way` 1) or the most (-1); equals in their order. */
function byMinutes(sharers: readonly Sharer[], nowMs: number, way: 1 | -1): number[] {
  const minutes = sharers.map(({ state }) => yearOf(state, nowMs).minutes);
  return [...sharers.keys()].sort((a, b) => way * ((minutes[a] ?? 0) - (minutes[b] ?? 0)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
