// How the feeders of one transformer share its relief, and the room for what comes back after it. Relief goes by
// controllable amperes, so that customers of all feeders are limited by the same share; what is too little to share, or
// what nobody can measure out, goes to the feeder whose customers have had the fewest minutes in the year. Room goes to
// the feeder whose customers have had the most, and is given once: no two feeders release into the same headroom.
import { type PerPhase, PHASES, type Phase } from '../feeder.ts';
import { nextLevel } from './curtailment.ts';
import { movableA } from './reach.ts';
import { deepestPercent, promisedA, returnA } from './relief.ts';
import type { ControlSettings, FeederState, PhaseState } from './types.ts';
import { yearOf } from './usage.ts';

/** One feeder of the transformer. */
export interface Sharer {
  readonly state: FeederState;
  readonly settings: ControlSettings;
}

/** Levels are whole percents: less than one each is asked of one feeder alone. */
const LEAST_SHARE = 0.01;

/**
 * The relief to ask of each feeder on phase `name`, in amperes beyond what is measured, in the order of `sharers`, for
 * a transformer that is `overA` over its dropout there. What earlier requests still owe counts as coming.
 */
export function shareOut(sharers: readonly Sharer[], name: Phase, overA: number, nowMs: number): number[] {
  const owedA = sharers.map(({ state, settings }) => owedOf(state[name], settings, name));
  const comingA = sum(owedA);
  if (overA <= comingA) return owedA.map((currentA) => (comingA > 0 ? (currentA * Math.max(0, overA)) / comingA : 0));
  const more = shareMore(sharers, name, overA - comingA, nowMs);
  return owedA.map((currentA, index) => currentA + (more[index] ?? 0));
}

/** Shares `restA` that nothing owes yet. A feeder that can give no more, or is not seen, gets none. */
function shareMore(sharers: readonly Sharer[], name: Phase, restA: number, nowMs: number): number[] {
  const canA = sharers.map(({ state, settings }) => moreOf(state[name], settings, name));
  const knownA = sum(canA.map((currentA) => currentA ?? 0));
  const shares = canA.map((currentA) => (knownA > 0 ? ((currentA ?? 0) * Math.min(restA, knownA)) / knownA : 0));
  const isLittle = restA < knownA * LEAST_SHARE;
  const spareA = isLittle ? restA : restA - knownA;
  if (isLittle) shares.fill(0);
  if (spareA <= 0) return shares;
  // What the known ones cannot give, or is too little to share: of those that can still give some, one is asked.
  const least = firstBy(sharers, nowMs, 1, (index) => (isLittle ? (canA[index] ?? 0) > 0 : canA[index] === null));
  if (least !== null) shares[least] = (shares[least] ?? 0) + spareA;
  return shares;
}

/** What a phase could still be asked for; null where nobody knows what can be moved. */
function moreOf(phase: PhaseState, settings: ControlSettings, name: Phase): number | null {
  const leftPercent = phase.levelPercent - deepestPercent(settings);
  if (!settings.mayRequest || !phase.fresh || leftPercent <= 0) return 0;
  const canA = movableA(phase, settings, name);
  return canA === null ? null : (canA * leftPercent) / 100;
}

/** Relief that was asked for and has not been seen, while it may still come. */
function owedOf(phase: PhaseState, settings: ControlSettings, name: Phase): number {
  if (phase.levelPercent === 100 || phase.isJudged || phase.reach.withoutEffect > 0) return 0;
  return Math.max(0, promisedA(phase, settings, name) - Math.max(phase.goneA, phase.deliveredA));
}

/**
 * Gives each limited feeder the room for its next step of release, or none, out of `roomA`: how far each phase of the
 * transformer is under its pickup; 0 while that is not known. What earlier steps still bring back is taken off first.
 */
export function grantRoom(sharers: readonly Sharer[], roomA: PerPhase<number>, nowMs: number): void {
  const left = new Map(
    PHASES.map((name) => [name, (roomA[name] ?? 0) - sum(sharers.map((of) => comingBackA(of, name, nowMs)))]),
  );
  for (const { state } of sharers) for (const name of PHASES) state[name].transformerRoomA = 0;
  const waiting = new Set(sharers.keys());
  for (;;) {
    const next = firstBy(sharers, nowMs, -1, (index) => waiting.has(index));
    if (next === null) return;
    waiting.delete(next);
    const sharer = sharers[next];
    if (sharer !== undefined) grant(sharer, left);
  }
}

function grant({ state, settings }: Sharer, left: Map<Phase, number>): void {
  const backA = PHASES.map((name) => returnA(state[name], settings, name, nextLevel(settings, state[name])));
  if (state.episode === null || PHASES.some((name, index) => (backA[index] ?? 0) > (left.get(name) ?? 0))) return;
  for (const [index, name] of PHASES.entries()) {
    state[name].transformerRoomA = backA[index] ?? 0;
    left.set(name, (left.get(name) ?? 0) - (backA[index] ?? 0));
  }
}

/** What the last step of release has yet to bring back, on a straight ramp over the response time. */
function comingBackA({ state, settings }: Sharer, name: Phase, nowMs: number): number {
  const { returningA, returningSinceMs } = state[name];
  const responseMs = settings.curtailment.responseTimeS * 1000;
  return responseMs === 0 ? 0 : returningA * Math.max(0, 1 - (nowMs - returningSinceMs) / responseMs);
}

/** The one with the fewest customers' minutes in the year (`way` 1) or the most (-1); of equals the first. */
function firstBy(
  sharers: readonly Sharer[],
  nowMs: number,
  way: 1 | -1,
  may: (index: number) => boolean,
): number | null {
  let first: number | null = null;
  let firstMinutes = Number.POSITIVE_INFINITY;
  for (const [index, { state }] of sharers.entries()) {
    const minutes = way * yearOf(state, nowMs).minutes;
    if (!may(index) || (first !== null && minutes >= firstMinutes)) continue;
    first = index;
    firstMinutes = minutes;
  }
  return first;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
