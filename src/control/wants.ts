// What the operated elements of a phase want beyond the limit that it has, and when they may have it: relief that is
// owed, minimum times, the ban on hunting and the caps can each hold a want back. Every instant at which time alone
// lets one go is known beforehand, so the outcome does not depend on when anybody looks.
import { PHASES, type Phase } from '../feeder.ts';
import { type Ask, askOf, isUrgent } from './elements.ts';
import { isClosedLoop, isInVain, movableA } from './reach.ts';
import { deepestPercent, deliveredA, levelFor, permittedLevel, promisedA } from './relief.ts';
import { HOUR_MS } from './requests.ts';
import type { ControlSettings, FeederState, PhaseState } from './types.ts';

const DAY_MS = 24 * HOUR_MS;
const NEVER = Number.POSITIVE_INFINITY;
const AT_ONCE = Number.NEGATIVE_INFINITY;

export interface Want {
  readonly phase: Phase;
  readonly ask: Ask;
  readonly levelPercent: number;
  readonly reductionA: number;
}

/** What a phase wants at `nowMs`; null when it wants nothing, or may not yet. */
export function wantOf(state: FeederState, settings: ControlSettings, name: Phase, nowMs: number): Want | null {
  const phase = state[name];
  const ask = openAsk(state, settings, name);
  if (ask === null || nowMs < askDueMs(phase, settings, name, ask)) return null;
  const neededA = deliveredA(phase, settings, name, nowMs) + ask.overDropoutA;
  let reductionA = Math.max(phase.reductionA, neededA);
  const canA = movableA(phase, settings, name);
  let levelPercent = levelFor(settings, canA, reductionA);
  const leastPercent = leastDeeper(state, settings, phase);
  // Where nobody knows what can be moved, a pickup in a release goes back one step instead of all the way.
  const oneStep = !isUrgent(ask) && !canA && isClosedLoop(settings) && isReleasing(state);
  const isMore = neededA > phase.reductionA || isReleasing(state);
  if ((isMore && leastPercent < levelPercent) || (oneStep && phase.levelPercent < 100)) {
    reductionA = Math.max(reductionA, (phase.reductionA * (100 - leastPercent)) / (100 - phase.levelPercent));
    levelPercent = leastPercent;
  }
  if (levelPercent >= phase.levelPercent) return null;
  return { phase: name, ask, levelPercent, reductionA };
}

/** The next instant after the last step at which a want that only time holds back may go; Infinity when there is none. */
export function heldWantDueMs(state: FeederState, settings: ControlSettings): number {
  return Math.min(...PHASES.map((name) => wantDueMs(state, settings, name)));
}

/** What has been looked at once is not due again: every reading looks anew in any case. */
function wantDueMs(state: FeederState, settings: ControlSettings, name: Phase): number {
  const ask = openAsk(state, settings, name);
  if (ask === null) return NEVER;
  const ripeMs = Math.max(askDueMs(state[name], settings, name, ask), heldUntilMs(state, settings, ask));
  // The alarm about a cap begins when the cap is all that still holds.
  if (ripeMs > state.steppedToMs) return ripeMs;
  const cappedMs = Math.max(requestCapUntilMs(state, settings), operationCapUntilMs(state, settings, ask));
  return cappedMs > state.steppedToMs ? cappedMs : NEVER;
}

/** The more urgent element governs, then the higher current. */
export function worstOf(state: FeederState, wants: readonly Want[]): Want | null {
  let worst: Want | null = null;
  for (const want of wants) {
    const order = worst === null ? -1 : worst.ask.urgency - want.ask.urgency;
    const higher = worst !== null && state[want.phase].currentA > state[worst.phase].currentA;
    if (order < 0 || (order === 0 && higher)) worst = want;
  }
  return worst;
}

/** Minimum off time and the ban on hunting hold back every element that is not urgent. */
export function heldUntilMs(state: FeederState, settings: ControlSettings, ask: Ask): number {
  if (isUrgent(ask)) return AT_ONCE;
  const { responseTimeS, minOffS } = settings.curtailment;
  const { episode, releasedMs } = state;
  if (episode !== null) return (episode.steppedMs ?? AT_ONCE) + responseTimeS * 1000;
  return releasedMs === null ? AT_ONCE : releasedMs + Math.max(responseTimeS, minOffS) * 1000;
}

/** Until when the hourly cap holds back limits and refreshes. It binds every element: it bounds a wrong setting's harm. */
export function requestCapUntilMs(state: FeederState, settings: ControlSettings): number {
  const { requestsPerHour } = settings.caps;
  if (requestsPerHour === 0) return AT_ONCE;
  const oldestMs = state.requestTimesMs[state.requestTimesMs.length - requestsPerHour];
  return oldestMs === undefined ? AT_ONCE : oldestMs + HOUR_MS;
}

/** Until when the daily cap holds back a first limit; never one of an urgent element. */
export function operationCapUntilMs(state: FeederState, settings: ControlSettings, ask: Ask): number {
  const { operationsPerDay } = settings.caps;
  if (operationsPerDay === 0 || state.episode !== null || isUrgent(ask)) return AT_ONCE;
  const oldestMs = state.operationTimesMs[state.operationTimesMs.length - operationsPerDay];
  return oldestMs === undefined ? AT_ONCE : oldestMs + DAY_MS;
}

/** Notes a first limit for the daily cap, which needs no more than the last day's; without the cap nothing grows. */
export function countOperation(state: FeederState, { caps }: ControlSettings, nowMs: number): void {
  if (caps.operationsPerDay === 0) return;
  state.operationTimesMs = [...state.operationTimesMs.filter((thenMs) => nowMs < thenMs + DAY_MS), nowMs];
}

/** What is asked of a phase that is over dropout and could still be limited further. */
function openAsk(state: FeederState, settings: ControlSettings, name: Phase): Ask | null {
  const phase = state[name];
  // A limit that is about to be released, because it moves nothing, is not deepened before.
  if (phase.levelPercent <= deepestPercent(settings) || isInVain(phase, settings, name)) return null;
  return askOf(state, settings, name);
}

/**
 * When a phase may ask, for all that its own relief matters. At once: if it is not limited; if the effect has been
 * judged; if fewer devices were reached than were counted on; if the current will still be over when all the relief
 * that has not been seen has come. Where the load has risen for certain, being above what it was when last asked, only
 * the ramp counts as coming, which says the instant beforehand. All else could still be the effect on its way, which
 * is waited for. An urgent element that has operated since the last level is not content with less than dropout.
 */
function askDueMs(phase: PhaseState, settings: ControlSettings, name: Phase, ask: Ask): number {
  const responseMs = settings.curtailment.responseTimeS * 1000;
  if (phase.levelPercent === 100 || !isClosedLoop(settings) || phase.isJudged) return AT_ONCE;
  const wholeA = promisedA(phase, settings, name);
  if (wholeA < phase.reductionA) return AT_ONCE;
  const isNew = ask.urgentSinceMs !== null && ask.urgentSinceMs > phase.deliveredSinceMs;
  const overA = isNew ? ask.overDropoutA : ask.overPickupA;
  const { deliveredSinceMs } = phase;
  if (overA >= wholeA - Math.max(phase.goneA, phase.deliveredA)) return AT_ONCE;
  const owedA = wholeA - phase.deliveredA;
  if (overA < 0 || phase.currentA <= phase.askedAtA) return deliveredSinceMs + responseMs;
  return overA >= owedA ? AT_ONCE : deliveredSinceMs + Math.ceil(responseMs * (1 - overA / owedA));
}

/** The least change that is worth a request: one percent, or in a release the last step back. */
function leastDeeper(state: FeederState, settings: ControlSettings, phase: PhaseState): number {
  const { releaseStepPercent } = settings.curtailment;
  // With the closed loop off no effect is judged, so what the current calls for is all there is to say.
  if (!isClosedLoop(settings)) return 100;
  const stepPercent = isReleasing(state) && phase.levelPercent < 100 ? releaseStepPercent : 1;
  return permittedLevel(settings, phase.levelPercent - stepPercent);
}

/** The last change of level was a shallower one. */
function isReleasing({ episode }: FeederState): boolean {
  return episode !== null && episode.steppedMs !== null;
}
