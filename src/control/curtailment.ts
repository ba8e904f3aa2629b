// What operated elements mean for the chargers: the limit, deeper and shallower levels, the refresh and the release of
// one feeder. Every limit has an end of its own, so if nothing more is ever said the network is as it was. Each `…DueMs`
// says when its step may be taken, Infinity while it may not.
//
// Bounds kept here: enough to come under dropout and no more; relief that is owed counts as coming; no request in the
// opposite direction within the response time, but for a deeper one by `emergency` and a release by the length cap; a
// limit without readings is never refreshed; a cap never holds up a release.
import { DELAYED_ELEMENTS, PHASES, type Phase } from '../feeder.ts';
import { resetElement } from './definite-time.ts';
import { eachElement, isAsked, isBlocked, isUrgent, restsOnUnseen } from './elements.ts';
import { isClosedLoop, isInVain, JUDGED_MAX, judgeDueMs, judgeEffects } from './reach.ts';
import { deliveredA, returnA } from './relief.ts';
import { alarm, endAlarm, limitedPhases, sayLimit, sayRelease } from './requests.ts';
import { hasDeadPhase } from './supervision.ts';
import type { Action, ControlSettings, Episode, FeederState, PhaseState, Trigger } from './types.ts';
import { budgetDueMs, budgetUntilMs, countLevel, endUse, judgeBudget } from './usage.ts';
import {
  countOperation,
  heldUntilMs,
  heldWantDueMs,
  operationCapUntilMs,
  requestCapUntilMs,
  type Want,
  wantOf,
  worstOf,
} from './wants.ts';
import { whyDeeper, whyShallower } from './why.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** Takes every step of the limit that is due at `nowMs`. */
export function stepLimit(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  if (state.episode !== null) {
    observe(state, settings, nowMs);
    judgeEffects(state, settings, nowMs);
  }
  lapse(state, nowMs, out);
  capLength(state, settings, nowMs, out);
  if (nowMs >= noEffectDueMs(state, settings)) releaseWithoutEffect(state, settings, nowMs, out);
  deepen(state, settings, nowMs, out);
  if (nowMs >= releaseDueMs(state, settings)) releaseStep(state, settings, nowMs, out);
  if (nowMs >= refreshDueMs(state, settings)) sayLimit(state, settings, 'refresh', nowMs, 'still needed', out);
  judgeBudget(state, settings, nowMs, out);
  if (state.alarms.length > 0) endOverAlarms(state, nowMs, out);
}

/** Sees the effect of a deeper level come in; what falls after the response time falls by itself, and stays away. */
export function observe(state: FeederState, settings: ControlSettings, nowMs: number): void {
  const responseMs = settings.curtailment.responseTimeS * 1000;
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.fresh || phase.levelPercent === 100 || phase.isJudged) continue;
    if (phase.reach.withoutEffect === 0 && nowMs > phase.deliveredSinceMs + responseMs) continue;
    phase.goneA = Math.max(phase.goneA, phase.atLimitA - phase.currentA);
  }
}

/** When `stepLimit` next has something to do; Infinity when only a reading can change anything. */
export function limitDueMs(state: FeederState, settings: ControlSettings): number {
  const wantMs = heldWantDueMs(state, settings);
  const { episode } = state;
  if (episode === null) return Math.min(wantMs, budgetDueMs(state, settings));
  const capMs = episode.endedBy !== null ? NEVER : lengthCapMs(episode, settings);
  return Math.min(
    wantMs,
    episode.endMs,
    capMs,
    judgeDueMs(state),
    noEffectDueMs(state, settings),
    releaseDueMs(state, settings),
    refreshDueMs(state, settings),
    budgetDueMs(state, settings),
  );
}

/** A first or deeper limit, when a phase wants one and nothing holds it back. */
function deepen(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const wants: Want[] = [];
  for (const name of PHASES) {
    const want = wantOf(state, settings, name, nowMs);
    if (want !== null) wants.push(want);
  }
  const worst = worstOf(state, wants);
  if (worst === null) {
    endAlarm(state, 'noTarget', nowMs, out);
    endAlarm(state, 'requestCap', nowMs, out);
    endAlarm(state, 'operationCap', nowMs, out);
    endAlarm(state, 'feederCap', nowMs, out);
    return;
  }
  if (!settings.mayRequest)
    return alarm(state, 'noTarget', 'an element operated, and there is no target group to ask', nowMs, out);
  if (nowMs < heldUntilMs(state, settings, worst.ask)) return;
  if (isCapped(state, settings, worst, nowMs, out)) return;
  setLevels(state, settings, wants, nowMs);
  const { element, conductor, pickupA, pickedUpMs } = worst.ask;
  const trigger: Trigger = { element, isUrgent: isUrgent(worst.ask), phase: conductor, pickupA, pickedUpMs };
  if (state.episode === null) {
    countOperation(state, settings, nowMs);
    state.episode = beginEpisode(trigger, worst.ask.operatedMs, nowMs);
  }
  const { episode } = state;
  if (episode.endedBy !== null) episode.lengthFromMs = nowMs;
  episode.trigger = trigger;
  episode.deepenedMs = nowMs;
  episode.steppedMs = null;
  episode.endedBy = null;
  countLevel(state, nowMs);
  sayLimit(state, settings, 'limit', nowMs, whyDeeper(state, settings, trigger, wants), out);
  endAlarm(state, 'lapsed', nowMs, out);
}

function setLevels(state: FeederState, settings: ControlSettings, wants: readonly Want[], nowMs: number): void {
  for (const want of wants) {
    const phase = state[want.phase];
    const { responseTimeS } = settings.curtailment;
    phase.deliveredA = deliveredA(phase, settings, want.phase, nowMs);
    phase.deliveredSinceMs = nowMs;
    phase.isJudged = false;
    phase.reductionA = want.reductionA;
    phase.levelPercent = want.levelPercent;
    phase.askedAtA = phase.currentA;
    // What fell beyond what was asked for fell by itself, and has come back with the current.
    phase.goneA = Math.min(phase.goneA, phase.deliveredA);
    phase.atLimitA = phase.currentA + phase.goneA;
    // A test moves nothing, so there is nothing to judge.
    const isMoving = isClosedLoop(settings) && state.testUntilMs === null;
    phase.reach.judgeMs = isMoving ? nowMs + responseTimeS * 1000 : null;
  }
}

function beginEpisode(trigger: Trigger, operatedMs: number, nowMs: number): Episode {
  return {
    startedMs: trigger.pickedUpMs,
    // The length counts from the pickup, but not the time for which a cap or minOffS held the limit back.
    lengthFromMs: trigger.pickedUpMs + nowMs - operatedMs,
    trigger,
    firstLimitMs: nowMs,
    requestedMs: nowMs,
    endMs: nowMs,
    deepenedMs: nowMs,
    steppedMs: null,
    endedBy: null,
  };
}

/** Caps on what one box may ask for. */
function isCapped(state: FeederState, settings: ControlSettings, { ask }: Want, nowMs: number, out: Action[]): boolean {
  const { operationsPerDay, requestsPerHour, feedersAtOnce } = settings.caps;
  const requests = nowMs < requestCapUntilMs(state, settings);
  const operations = nowMs < operationCapUntilMs(state, settings, ask);
  const feeders = feedersAtOnce > 0 && state.episode === null && state.othersLimited >= feedersAtOnce;
  // What holds it back for the budget is said by the alarm of the budget.
  const budget = !isUrgent(ask) && nowMs < budgetUntilMs(state, settings, nowMs);
  if (requests) alarm(state, 'requestCap', `${requestsPerHour} requests in an hour`, nowMs, out);
  else endAlarm(state, 'requestCap', nowMs, out);
  if (operations) alarm(state, 'operationCap', `${operationsPerDay} new limits in 24 h`, nowMs, out);
  else endAlarm(state, 'operationCap', nowMs, out);
  if (feeders) alarm(state, 'feederCap', `${feedersAtOnce} feeders at once`, nowMs, out);
  else endAlarm(state, 'feederCap', nowMs, out);
  return requests || operations || feeders || budget;
}

function lengthCapMs(episode: Episode, settings: ControlSettings): number {
  return episode.lengthFromMs + settings.curtailment.maxEpisodeS * 1000;
}

/** At the longest time of an episode: the elements that asked are locked until they have dropped out, and an alarm. */
function capLength(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null || episode.endedBy !== null || nowMs < lengthCapMs(episode, settings)) return;
  episode.endedBy = 'maxEpisodeS';
  lockOperated(state);
  alarm(state, 'reinforce', `the episode has lasted maxEpisodeS ${settings.curtailment.maxEpisodeS}`, nowMs, out);
}

/** What has operated asks for nothing more until it has dropped out, or is armed again by command. */
export function lockOperated(state: FeederState): void {
  eachElement(state, (element) => {
    element.locked = element.status === 'operated';
  });
}

/**
 * The end has come without a refresh: the devices have ended the limit by themselves. Nothing is left to ask of a phase
 * that is not seen; one that is seen and still over asks anew.
 */
function lapse(state: FeederState, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null || nowMs < episode.endMs) return;
  eachElement(state, (element, { fresh }) => {
    if (!fresh && !element.locked) resetElement(element);
  });
  endEpisode(state, episode.endMs);
  // A lapse asks nothing, so a new overload waits only if the limit was being released.
  state.releasedMs = episode.steppedMs;
  alarm(state, 'lapsed', 'the limit came to its end without a refresh', nowMs, out);
}

/** Only the phases that are limited have to be seen to be refreshed or released. */
function limitedSeen(state: FeederState, quality: 'usable' | 'good'): boolean {
  for (const name of PHASES) {
    const phase = state[name];
    if (phase.levelPercent === 100) continue;
    if (!phase.fresh || (quality === 'good' && phase.quality !== 'good')) return false;
  }
  return true;
}

/** The time between two steps of a release. With the closed loop off it is the reset delay. */
function dwellS({ curtailment, atRisk }: ControlSettings): number {
  return curtailment.responseTimeS === 0 ? atRisk.resetDelayS : curtailment.responseTimeS;
}

/** The level of a phase after the next step of release. */
export function nextLevel(settings: ControlSettings, phase: PhaseState): number {
  const { mode, releaseStepPercent } = settings.curtailment;
  if (mode === 'onOff' || dwellS(settings) === 0) return 100;
  return Math.min(100, phase.levelPercent + releaseStepPercent);
}

/** When the next step of release may be taken. */
function releaseDueMs(state: FeederState, settings: ControlSettings): number {
  const { episode } = state;
  if (episode === null) return NEVER;
  const { firstLimitMs, steppedMs, deepenedMs, requestedMs } = episode;
  const stepMs = steppedMs === null ? firstLimitMs : steppedMs + dwellS(settings) * 1000;
  if (episode.endedBy !== null) return Math.max(stepMs, requestedMs);
  if (isAsked(state) || hasDeadPhase(state)) return NEVER;
  if (!limitedSeen(state, 'good') || !hasHeadroom(state, settings)) return NEVER;
  const { responseTimeS, minOnS } = settings.curtailment;
  const heldMs = state.releaseHeldUntilMs ?? firstLimitMs;
  return Math.max(stepMs, heldMs, firstLimitMs + minOnS * 1000, deepenedMs + responseTimeS * 1000);
}

/** Room on every limited phase for what the step brings back: it lands under dropout, or it would be asked for again. */
function hasHeadroom(state: FeederState, settings: ControlSettings): boolean {
  if (!isClosedLoop(settings)) return true;
  const underA = landsUnderA(state, settings);
  for (const name of PHASES) {
    const phase = state[name];
    if (phase.levelPercent === 100) continue;
    const backA = returnA(phase, settings, name, nextLevel(settings, phase));
    if (phase.currentA + backA >= underA) return false;
    if (phase.transformerRoomA !== null && backA > phase.transformerRoomA) return false;
  }
  return true;
}

/** The lowest dropout of the elements that could ask again. The thermal one has let go only where that is far. */
function landsUnderA(state: FeederState, settings: ControlSettings): number {
  let underA = NEVER;
  for (const element of DELAYED_ELEMENTS) {
    if (!isBlocked(state, element)) underA = Math.min(underA, settings[element]?.dropoutA ?? NEVER);
  }
  return underA;
}

/** One step of release; the last one ends the episode. */
function releaseStep(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null) return;
  const reason =
    episode.endedBy ??
    whyShallower(state, settings, landsUnderA(state, settings), (phase) => nextLevel(settings, phase));
  const limited = limitedPhases(state);
  for (const name of limited) {
    const phase = state[name];
    const levelPercent = nextLevel(settings, phase);
    const left = (100 - levelPercent) / (100 - phase.levelPercent);
    phase.returningA = returnA(phase, settings, name, levelPercent);
    phase.returningSinceMs = nowMs;
    phase.deliveredA = deliveredA(phase, settings, name, nowMs) * left;
    phase.deliveredSinceMs = nowMs;
    phase.isJudged = true;
    phase.reductionA *= left;
    phase.goneA *= left;
    awaitReturn(phase, settings, levelPercent - phase.levelPercent, nowMs, state.testUntilMs !== null);
    phase.levelPercent = levelPercent;
  }
  stepped(state, settings, limited, reason, nowMs, out);
}

/** Says a shallower limit, or the release when nothing is left of it. `limited` are the phases that were. */
function stepped(
  state: FeederState,
  settings: ControlSettings,
  limited: readonly Phase[],
  reason: string,
  nowMs: number,
  out: Action[],
): void {
  const { episode } = state;
  if (episode === null) return;
  episode.steppedMs = nowMs;
  countLevel(state, nowMs);
  if (limited.some((name) => state[name].levelPercent < 100))
    return sayLimit(state, settings, 'limit', nowMs, `a step of release: ${reason}`, out);
  sayRelease(state, settings, limited, nowMs, reason, out);
  endEpisode(state, nowMs);
}

/** The whole limit at once, because somebody asked for that. */
export function releaseAtOnce(
  state: FeederState,
  settings: ControlSettings,
  nowMs: number,
  reason: string,
  out: Action[],
): void {
  const limited = limitedPhases(state);
  for (const name of limited) freePhase(state[name], nowMs);
  sayRelease(state, settings, limited, nowMs, reason, out);
  endEpisode(state, nowMs);
}

/** A limit that is still needed, or being released, is refreshed while its phases are seen and the cap permits. */
function refreshDueMs(state: FeederState, settings: ControlSettings): number {
  const { episode } = state;
  if (episode === null || !limitedSeen(state, 'usable') || restsOnUnseen(state)) return NEVER;
  if (hasDeadPhase(state) && !isAsked(state)) return NEVER;
  return Math.max(episode.requestedMs + settings.curtailment.refreshS * 1000, requestCapUntilMs(state, settings));
}

function endEpisode(state: FeederState, atMs: number): void {
  state.episode = null;
  state.releasedMs = atMs;
  for (const name of PHASES) freePhase(state[name], atMs);
  endUse(state, atMs);
}

/** What a step brings back is judged as well: cars have come, or would have finished by now. */
function awaitReturn(
  phase: PhaseState,
  settings: ControlSettings,
  byPercent: number,
  nowMs: number,
  isTest: boolean,
): void {
  const { responseTimeS } = settings.curtailment;
  phase.reach.raisedAtA = phase.currentA;
  phase.reach.raisedPercent = byPercent;
  phase.reach.judgeMs = isClosedLoop(settings) && !isTest ? nowMs + responseTimeS * 1000 : null;
}

function freePhase(phase: PhaseState, atMs: number): void {
  if (phase.reductionA > 0) {
    phase.returningA = phase.reductionA;
    phase.returningSinceMs = atMs;
  }
  phase.levelPercent = 100;
  phase.reductionA = 0;
  phase.goneA = 0;
  phase.deliveredA = 0;
  phase.deliveredSinceMs = atMs;
  phase.isJudged = false;
  phase.reach.judgeMs = null;
  phase.reach.withoutEffect = 0;
  phase.reach.returnedA = null;
}

/**
 * When phases whose limit moved nothing, judged twice, are released: not sooner than the response time after any
 * deeper level, which is no time to change one's mind, and not before a limit has lasted minOnS.
 */
function noEffectDueMs(state: FeederState, settings: ControlSettings): number {
  const { episode } = state;
  if (episode === null || !PHASES.some((name) => isWithoutEffect(state[name], settings, name))) return NEVER;
  const { responseTimeS, minOnS } = settings.curtailment;
  return Math.max(episode.deepenedMs + responseTimeS * 1000, episode.firstLimitMs + minOnS * 1000);
}

function isWithoutEffect(phase: PhaseState, settings: ControlSettings, name: Phase): boolean {
  return phase.levelPercent < 100 && isInVain(phase, settings, name);
}

/** What moves nothing curtails in vain, or the current is not what it seems. Its elements are locked until dropout. */
function releaseWithoutEffect(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const limited = limitedPhases(state);
  const freed = limited.filter((name) => isWithoutEffect(state[name], settings, name));
  for (const name of freed) freePhase(state[name], nowMs);
  eachElement(state, (element, on) => {
    if (on === state.N || freed.some((name) => state[name] === on)) element.locked = element.status === 'operated';
  });
  alarm(
    state,
    'noEffect',
    `the limit of ${freed.join(', ')} was judged ${JUDGED_MAX} times and moved nothing`,
    nowMs,
    out,
  );
  stepped(state, settings, limited, 'no effect', nowMs, out);
}

/** `reinforce` stands until every locked element has dropped out, `lapsed` until all phases are seen and at rest. */
function endOverAlarms(state: FeederState, nowMs: number, out: Action[]): void {
  let locked = false;
  let atRest = true;
  eachElement(state, (element, { usableMs, fresh }) => {
    if (element.locked) locked = true;
    if (usableMs !== null && (!fresh || element.status !== 'normal')) atRest = false;
  });
  if (!locked) endAlarm(state, 'noEffect', nowMs, out);
  if (!locked && state.episode?.endedBy !== 'maxEpisodeS') endAlarm(state, 'reinforce', nowMs, out);
  if (atRest) endAlarm(state, 'lapsed', nowMs, out);
}
