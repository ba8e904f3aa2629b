// What operated elements mean for the chargers: the limit, deeper and shallower levels, the refresh and the release of
// one feeder. Every limit has an end of its own, so if nothing more is ever said the network is as it was. Each `…DueMs`
// says when its step may be taken, Infinity while it may not.
//
// Bounds kept here: enough to come under dropout and no more; relief that is owed counts as coming; no request in the
// opposite direction within the response time, but for a deeper one by `emergency` and a release by the length cap; a
// limit without readings is never refreshed; a cap never holds up a release.
import { type Element, type PerPhase, PHASES, type Phase } from '../feeder.ts';
import { resetElement } from './definite-time.ts';
import { deepestPercent, deliveredA, levelFor, owedA, returnA } from './relief.ts';
import type {
  Action,
  AlarmName,
  ControlSettings,
  DefiniteTimeSettings,
  ElementState,
  Episode,
  FeederState,
  PhaseState,
  Trigger,
} from './types.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NEVER = Number.POSITIVE_INFINITY;

/** The elements of a phase with their settings, the more urgent first. */
function elementsOf(
  phase: PhaseState,
  settings: ControlSettings,
): { name: Element; element: ElementState; set: DefiniteTimeSettings }[] {
  const atRisk = { name: 'atRisk' as const, element: phase.atRisk, set: settings.atRisk };
  if (settings.emergency === undefined) return [atRisk];
  return [{ name: 'emergency' as const, element: phase.emergency, set: settings.emergency }, atRisk];
}

/** Takes every step of the limit that is due at `nowMs`. */
export function stepLimit(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  lapse(state, nowMs, out);
  capLength(state, settings, nowMs, out);
  deepen(state, settings, nowMs, out);
  if (nowMs >= releaseDueMs(state, settings)) releaseStep(state, settings, nowMs, out);
  if (nowMs >= refreshDueMs(state, settings)) request(state, settings, 'refresh', nowMs, 'still needed', out);
}

/** When `stepLimit` next has something to do; Infinity when only a reading can change anything. */
export function limitDueMs(state: FeederState, settings: ControlSettings): number {
  const wantMs = heldWantDueMs(state, settings);
  const { episode } = state;
  if (episode === null) return wantMs;
  const capMs = episode.capped ? NEVER : lengthCapMs(episode, settings);
  return Math.min(wantMs, episode.endMs, capMs, releaseDueMs(state, settings), refreshDueMs(state, settings));
}

/** The standing limit once more, as it is, with its old end. */
export function sayAgain(state: FeederState, nowMs: number, reason: string, out: Action[]): void {
  request(state, null, 'refresh', nowMs, reason, out);
}

function limitedPhases(state: FeederState): Phase[] {
  return PHASES.filter((name) => state[name].levelPercent < 100);
}

/** What a phase wants beyond what it has: null when it wants nothing. */
interface Want {
  readonly phase: Phase;
  readonly element: Element;
  readonly pickupA: number;
  readonly pickedUpMs: number;
  readonly levelPercent: number;
  readonly reductionA: number;
}

function wantOf(state: FeederState, settings: ControlSettings, name: Phase, nowMs: number): Want | null {
  const phase = state[name];
  if (!phase.fresh) return null;
  const asking = elementsOf(phase, settings).filter(({ element }) => element.status === 'operated' && !element.locked);
  const [first] = asking;
  if (first === undefined) return null;
  const dropoutA = Math.min(...asking.map(({ set }) => set.dropoutA));
  if (phase.currentA < dropoutA) return null;
  const { responseTimeS } = settings.curtailment;
  const comingA = phase.currentA - owedA(phase, responseTimeS, nowMs);
  const judged = nowMs >= phase.deliveredSinceMs + responseTimeS * 1000;
  // Still over with all that is owed, or not yet limited: at once. Between dropout and pickup only once the effect is in.
  const atOnce = phase.levelPercent === 100 || comingA >= first.set.pickupA;
  if (!atOnce && !judged) return null;
  const neededA = deliveredA(phase, responseTimeS, nowMs) + phase.currentA - dropoutA;
  const reductionA = Math.max(phase.reductionA, neededA);
  const levelPercent = levelFor(settings, settings.controllableA?.[name] ?? null, reductionA);
  if (levelPercent >= phase.levelPercent) return null;
  const { name: element, set, element: picked } = first;
  return { phase: name, element, pickupA: set.pickupA, pickedUpMs: picked.overSinceMs, levelPercent, reductionA };
}

/** A first or deeper limit, when a phase wants one and nothing holds it back. */
function deepen(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const wants = PHASES.map((name) => wantOf(state, settings, name, nowMs)).filter((want) => want !== null);
  const worst = worstOf(state, wants);
  if (worst === null) {
    if (state.episode === null) endAlarms(state, ['noTarget', 'requestCap', 'operationCap'], nowMs, out);
    return;
  }
  if (!settings.mayRequest)
    return alarm(state, 'noTarget', 'an element operated, and there is no target group to ask', nowMs, out);
  if (nowMs < heldUntilMs(state, settings, worst.element)) return;
  if (cappedNow(state, settings, worst.element, nowMs, out)) return;
  const trigger: Trigger = {
    element: worst.element,
    phase: worst.phase,
    pickupA: worst.pickupA,
    pickedUpMs: worst.pickedUpMs,
  };
  for (const want of wants) {
    const phase = state[want.phase];
    phase.deliveredA = deliveredA(phase, settings.curtailment.responseTimeS, nowMs);
    phase.deliveredSinceMs = nowMs;
    phase.reductionA = want.reductionA;
    phase.levelPercent = want.levelPercent;
    phase.atLimitA = phase.currentA;
  }
  if (state.episode === null) state.operationTimesMs.push(nowMs);
  const episode = state.episode ?? beginEpisode(trigger, nowMs);
  if (episode.capped) episode.lengthFromMs = nowMs;
  episode.trigger = trigger;
  episode.deepenedMs = nowMs;
  episode.capped = false;
  state.episode = episode;
  request(state, settings, 'limit', nowMs, `${trigger.element} on ${trigger.phase}`, out);
}

function beginEpisode(trigger: Trigger, nowMs: number): Episode {
  return {
    startedMs: trigger.pickedUpMs,
    lengthFromMs: trigger.pickedUpMs,
    trigger,
    firstLimitMs: nowMs,
    requestedMs: nowMs,
    endMs: nowMs,
    deepenedMs: nowMs,
    steppedMs: nowMs,
    capped: false,
  };
}

/** The more urgent element governs, then the higher current. */
function worstOf(state: FeederState, wants: readonly Want[]): Want | null {
  let worst: Want | null = null;
  for (const want of wants) {
    const urgent = want.element === 'emergency' && worst?.element !== 'emergency';
    const higher = want.element === worst?.element && state[want.phase].currentA > state[worst.phase].currentA;
    if (worst === null || urgent || higher) worst = want;
  }
  return worst;
}

/** Minimum off time and the ban on hunting hold back `atRisk`; never `emergency`. */
function heldUntilMs(state: FeederState, settings: ControlSettings, element: Element): number {
  if (element === 'emergency') return Number.NEGATIVE_INFINITY;
  const { responseTimeS, minOffS } = settings.curtailment;
  const { episode, releasedMs } = state;
  const stepped = episode !== null && episode.steppedMs > episode.deepenedMs ? episode.steppedMs : null;
  const shallowerMs = stepped ?? (episode === null ? releasedMs : null);
  if (shallowerMs === null) return Number.NEGATIVE_INFINITY;
  return shallowerMs + Math.max(responseTimeS, episode === null ? minOffS : 0) * 1000;
}

/** Caps on what one box may ask for. The hourly one binds every element: it bounds the harm of a wrong setting. */
function cappedNow(
  state: FeederState,
  settings: ControlSettings,
  element: Element,
  nowMs: number,
  out: Action[],
): boolean {
  const { operationsPerDay, requestsPerHour } = settings.caps;
  state.operationTimesMs = state.operationTimesMs.filter((thenMs) => nowMs - thenMs < DAY_MS);
  state.requestTimesMs = state.requestTimesMs.filter((thenMs) => nowMs - thenMs < HOUR_MS);
  if (requestsPerHour > 0 && state.requestTimesMs.length >= requestsPerHour) {
    alarm(state, 'requestCap', `${requestsPerHour} requests in an hour`, nowMs, out);
    return true;
  }
  const full = operationsPerDay > 0 && state.operationTimesMs.length >= operationsPerDay;
  if (state.episode === null && full && element !== 'emergency') {
    alarm(state, 'operationCap', `${operationsPerDay} new limits in 24 h`, nowMs, out);
    return true;
  }
  endAlarms(state, ['requestCap', 'operationCap'], nowMs, out);
  return false;
}

/**
 * The next instant at which a want that only time holds back may go: the end of a minimum time, or of the wait for an
 * effect. What has been looked at once is not due again: every reading looks anew in any case.
 */
function heldWantDueMs(state: FeederState, settings: ControlSettings): number {
  const { responseTimeS } = settings.curtailment;
  let dueMs = NEVER;
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.fresh || phase.levelPercent <= deepestPercent(settings)) continue;
    const asking = elementsOf(phase, settings).find(({ element }) => element.status === 'operated' && !element.locked);
    if (asking === undefined || phase.currentA < asking.set.dropoutA) continue;
    for (const atMs of [heldUntilMs(state, settings, asking.name), phase.deliveredSinceMs + responseTimeS * 1000]) {
      if (atMs > state.steppedToMs) dueMs = Math.min(dueMs, atMs);
    }
  }
  return dueMs;
}

function lengthCapMs(episode: Episode, settings: ControlSettings): number {
  return episode.lengthFromMs + settings.curtailment.maxEpisodeS * 1000;
}

/** At the longest time of an episode: the elements that asked are locked until they have dropped out, and an alarm. */
function capLength(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null || episode.capped || nowMs < lengthCapMs(episode, settings)) return;
  episode.capped = true;
  for (const name of PHASES) {
    for (const { element } of elementsOf(state[name], settings)) element.locked = element.status === 'operated';
  }
  alarm(state, 'reinforce', `the episode has lasted maxEpisodeS ${settings.curtailment.maxEpisodeS}`, nowMs, out);
}

/** The end has come without a refresh: the devices have ended the limit by themselves. Nothing is left to ask. */
function lapse(state: FeederState, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null || nowMs < episode.endMs) return;
  for (const name of PHASES) {
    for (const element of [state[name].atRisk, state[name].emergency]) if (!element.locked) resetElement(element);
  }
  endEpisode(state, episode.endMs);
  // Nothing was asked in the other direction, so a new overload need not wait.
  state.releasedMs = null;
  alarm(state, 'lapsed', 'the limit came to its end without a refresh', nowMs, out);
}

/** Only the phases that are limited have to be seen to be released. */
function limitedSeen(state: FeederState, quality: 'usable' | 'good'): boolean {
  return limitedPhases(state).every(
    (name) => state[name].fresh && (quality === 'usable' || state[name].quality === 'good'),
  );
}

function stillAsked(state: FeederState, settings: ControlSettings): boolean {
  return PHASES.some((name) =>
    elementsOf(state[name], settings).some(({ element }) => element.status !== 'normal' && !element.locked),
  );
}

/** The level of a phase after the next step of release. */
function nextLevel(settings: ControlSettings, phase: PhaseState): number {
  const { mode, releaseStepPercent } = settings.curtailment;
  return mode === 'onOff' ? 100 : Math.min(100, phase.levelPercent + releaseStepPercent);
}

/** When the next step of release may be taken. */
function releaseDueMs(state: FeederState, settings: ControlSettings): number {
  const { episode } = state;
  if (episode === null) return NEVER;
  const { responseTimeS, minOnS } = settings.curtailment;
  // With the closed loop off the steps of a proportional release keep the reset delay between them.
  const dwellMs = (responseTimeS === 0 ? settings.atRisk.resetDelayS : responseTimeS) * 1000;
  const nextStepMs = episode.steppedMs > episode.firstLimitMs ? episode.steppedMs + dwellMs : Number.NEGATIVE_INFINITY;
  if (episode.capped) return Math.max(nextStepMs, episode.requestedMs);
  if (stillAsked(state, settings) || !limitedSeen(state, 'good') || !headroom(state, settings)) return NEVER;
  return Math.max(nextStepMs, episode.firstLimitMs + minOnS * 1000, episode.deepenedMs + responseTimeS * 1000);
}

/** Room on every limited phase for what the step brings back, under the pickup. */
function headroom(state: FeederState, settings: ControlSettings): boolean {
  return limitedPhases(state).every((name) => {
    const phase = state[name];
    const backA = returnA(settings, settings.controllableA?.[name] ?? null, phase, nextLevel(settings, phase));
    return phase.currentA + backA < settings.atRisk.pickupA;
  });
}

/** One step of release; the last one ends the episode. */
function releaseStep(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { episode } = state;
  if (episode === null) return;
  const reason = episode.capped ? 'maxEpisodeS' : 'headroom for what comes back';
  const limited = limitedPhases(state);
  for (const name of limited) {
    const phase = state[name];
    const levelPercent = nextLevel(settings, phase);
    phase.reductionA *= (100 - levelPercent) / (100 - phase.levelPercent);
    phase.deliveredA = phase.reductionA;
    phase.deliveredSinceMs = nowMs;
    phase.levelPercent = levelPercent;
  }
  episode.steppedMs = nowMs;
  if (limitedPhases(state).length > 0)
    return request(state, settings, 'limit', nowMs, `a step of release: ${reason}`, out);
  request(state, settings, 'release', nowMs, reason, out, limited);
  endEpisode(state, nowMs);
  endAlarms(state, ['lapsed'], nowMs, out);
}

/** A limit that is still needed, or being released, is refreshed while its phases are seen. */
function refreshDueMs(state: FeederState, settings: ControlSettings): number {
  const { episode } = state;
  if (episode === null || !limitedSeen(state, 'usable')) return NEVER;
  const dueMs = episode.requestedMs + settings.curtailment.refreshS * 1000;
  const { requestsPerHour } = settings.caps;
  if (requestsPerHour === 0) return dueMs;
  // A refresh is a request as well: at the cap it waits until the oldest of the last hour no longer counts.
  const oldestMs = state.requestTimesMs[state.requestTimesMs.length - requestsPerHour];
  return oldestMs === undefined ? dueMs : Math.max(dueMs, oldestMs + HOUR_MS);
}

/** Says a request; with `settings` a limit or refresh gets a new end, without them it keeps its own. */
function request(
  state: FeederState,
  settings: ControlSettings | null,
  action: 'limit' | 'refresh' | 'release',
  nowMs: number,
  reason: string,
  out: Action[],
  phases: readonly Phase[] = limitedPhases(state),
): void {
  const { episode } = state;
  if (episode === null) return;
  if (settings !== null && action !== 'release') {
    episode.endMs = nowMs + Math.min(settings.curtailment.leaseS, settings.caps.longestLeaseS) * 1000;
    episode.requestedMs = nowMs;
    if (settings.caps.requestsPerHour > 0) {
      state.requestTimesMs = [...state.requestTimesMs.filter((thenMs) => nowMs - thenMs < HOUR_MS), nowMs];
    }
  }
  const levelPercent: PerPhase<number> = Object.fromEntries(phases.map((name) => [name, state[name].levelPercent]));
  const reductionA: PerPhase<number> = Object.fromEntries(phases.map((name) => [name, state[name].reductionA]));
  const ages = phases.map((name) => nowMs - (state[name].usableMs ?? nowMs));
  out.push({
    kind: 'request',
    action,
    atMs: nowMs,
    endMs: episode.endMs,
    episodeStartedMs: episode.startedMs,
    levelPercent,
    reductionA,
    trigger: episode.trigger,
    currentA: { L1: seen(state.L1), L2: seen(state.L2), L3: seen(state.L3), N: state.neutralA },
    quality: { L1: state.L1.quality, L2: state.L2.quality, L3: state.L3.quality },
    readingAgeMs: Math.max(0, ...ages),
    reason,
  });
}

function seen(phase: PhaseState): number | null {
  return phase.fresh ? phase.currentA : null;
}

function endEpisode(state: FeederState, atMs: number): void {
  state.episode = null;
  state.releasedMs = atMs;
  for (const name of PHASES) {
    const phase = state[name];
    phase.levelPercent = 100;
    phase.reductionA = 0;
    phase.deliveredA = 0;
    phase.deliveredSinceMs = atMs;
  }
}

function alarm(state: FeederState, name: AlarmName, reason: string, atMs: number, out: Action[]): void {
  if (state.alarms.includes(name)) return;
  state.alarms.push(name);
  out.push({ kind: 'event', type: 'alarm', atMs, alarm: name, reason });
}

function endAlarms(state: FeederState, names: readonly AlarmName[], atMs: number, out: Action[]): void {
  for (const name of names) {
    if (!state.alarms.includes(name)) continue;
    state.alarms = state.alarms.filter((standing) => standing !== name);
    out.push({ kind: 'event', type: 'alarmEnd', atMs, alarm: name, reason: 'over' });
  }
}
