// The decision for one feeder: readings and time in, actions out. Readings move the elements (definite-time.ts);
// operated elements call for relief (relief.ts), which becomes limits, their refreshes and the release. The state is
// stepped in place, because a fresh copy per reading costs four times as much (measured); it is plain data, so whoever
// wants the old one copies it first. Nothing here knows the wall clock, ids or messages.
//
// A timer that falls due between two readings is run at its own instant, before the later reading; a reading at that
// very instant counts first, being the newest that is known. So the outcome does not depend on how often it is polled.
import type { Element, Phase } from '../feeder.ts';
import { limitDueMs, stepLimit } from './curtailment.ts';
import {
  type Bridged,
  blindElement,
  elementDueMs,
  expireElement,
  newElement,
  readElement,
  type Transition,
} from './definite-time.ts';
import { sayAgain } from './requests.ts';
import type {
  Action,
  ConductorInput,
  ControlReading,
  ControlSettings,
  DefiniteTimeSettings,
  ElementState,
  EventAction,
  FeederState,
  PhaseState,
} from './types.ts';

export function newFeederState(): FeederState {
  const phase = (): PhaseState => ({
    usableMs: null,
    goodMs: null,
    currentA: 0,
    quality: 'bad',
    fresh: false,
    atRisk: newElement(),
    emergency: newElement(),
    levelPercent: 100,
    reductionA: 0,
    deliveredA: 0,
    deliveredSinceMs: 0,
    atLimitA: 0,
    goneA: 0,
  });
  return {
    L1: phase(),
    L2: phase(),
    L3: phase(),
    neutralA: null,
    blind: false,
    steppedToMs: 0,
    episode: null,
    releasedMs: null,
    requestTimesMs: [],
    operationTimesMs: [],
    alarms: [],
  };
}

/** One scan of the feeder: first whatever fell due before the reading, then the reading. Actions are added to `out`. */
export function stepReading(
  state: FeederState,
  settings: ControlSettings,
  reading: ControlReading,
  out: Action[],
): void {
  const { atMs } = reading;
  for (let dueMs = nextDueMs(state, settings); dueMs < atMs; dueMs = nextDueMs(state, settings)) {
    fire(state, settings, dueMs, out);
  }
  takeReading(state.L1, settings, 'L1', reading.L1, atMs, out);
  takeReading(state.L2, settings, 'L2', reading.L2, atMs, out);
  takeReading(state.L3, settings, 'L3', reading.L3, atMs, out);
  const { currentA } = reading.N;
  state.neutralA = Number.isFinite(currentA) ? currentA : null;
  // A reading that arrived just before the last timer and comes after it does not turn time back.
  fire(state, settings, Math.max(atMs, state.steppedToMs), out);
}

/** Whatever falls due up to and at `nowMs`, in order, each at its own instant. */
export function stepTime(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  for (let dueMs = nextDueMs(state, settings); dueMs <= nowMs; dueMs = nextDueMs(state, settings)) {
    fire(state, settings, dueMs, out);
  }
}

/** The wall clock was stepped: a standing limit is said again, so that its `end` is right on the new clock. */
export function stepClock(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  stepTime(state, settings, nowMs, out);
  sayAgain(state, nowMs, 'the wall clock was stepped', out);
}

/**
 * When `stepTime` has something to do; Infinity when nothing is running. Every answer is consumed by running it, so
 * that stepping to it always gets on. Never before what has been run: other settings may make a delay long over.
 */
export function nextDueMs(state: FeederState, settings: ControlSettings): number {
  const { L1, L2, L3, steppedToMs } = state;
  const limitMs = isQuiet(state) ? Number.POSITIVE_INFINITY : limitDueMs(state, settings);
  const dueMs = Math.min(limitMs, phaseDueMs(L1, settings), phaseDueMs(L2, settings), phaseDueMs(L3, settings));
  return Math.max(dueMs, steppedToMs);
}

/** Nothing has operated and nothing is asked: by far the most scans. */
function isQuiet({ L1, L2, L3, episode, alarms }: FeederState): boolean {
  return episode === null && alarms.length === 0 && !(hasOperated(L1) || hasOperated(L2) || hasOperated(L3));
}

function hasOperated({ atRisk, emergency }: PhaseState): boolean {
  return atRisk.status === 'operated' || emergency.status === 'operated';
}

function phaseDueMs(phase: PhaseState, { atRisk, emergency, staleAfterMs }: ControlSettings): number {
  if (!phase.fresh || phase.usableMs === null) return Number.POSITIVE_INFINITY;
  const staleMs = phase.usableMs + staleAfterMs + STALE_MARGIN_MS;
  if (phase.atRisk.status === 'normal' && phase.emergency.status === 'normal') return staleMs;
  const atRiskMs = runningDueMs(phase, phase.atRisk, atRisk);
  return Math.min(
    staleMs,
    emergency === undefined ? atRiskMs : Math.min(atRiskMs, runningDueMs(phase, phase.emergency, emergency)),
  );
}

/** A reading exactly as old as the limit still counts; one that is older does not. */
const STALE_MARGIN_MS = 1;

/** A delay expires by itself only while the reading that it rests on still holds; a bad one since then has to be bridged. */
function runningDueMs(phase: PhaseState, element: ElementState, set: DefiniteTimeSettings): number {
  if (phase.quality === 'bad' || (element.status === 'operated' && phase.quality !== 'good'))
    return Number.POSITIVE_INFINITY;
  return elementDueMs(element, set);
}

function takeReading(
  phase: PhaseState,
  settings: ControlSettings,
  name: Phase,
  { currentA, quality }: ConductorInput,
  atMs: number,
  out: Action[],
): void {
  if (quality === 'bad' || currentA === null || !Number.isFinite(currentA)) {
    phase.quality = 'bad';
    return;
  }
  const fromMs = atMs - settings.staleAfterMs;
  const bridged: Bridged = isSince(phase.goodMs, fromMs) ? 'good' : isSince(phase.usableMs, fromMs) ? 'usable' : 'none';
  const good = quality === 'good';
  phase.quality = quality;
  phase.currentA = currentA;
  phase.usableMs = atMs;
  if (good) phase.goodMs = atMs;
  phase.fresh = true;
  const { atRisk, emergency } = settings;
  note(phase, atRisk, name, 'atRisk', readElement(phase.atRisk, atRisk, currentA, atMs, good, bridged), atMs, out);
  if (emergency === undefined) return;
  const moved = readElement(phase.emergency, emergency, currentA, atMs, good, bridged);
  note(phase, emergency, name, 'emergency', moved, atMs, out);
}

function isSince(thenMs: number | null, fromMs: number): boolean {
  return thenMs !== null && thenMs >= fromMs;
}

/** Everything that is due at `nowMs`: staleness, delays, then what they mean for the limit. */
function fire(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  runPhase(state.L1, settings, 'L1', nowMs, out);
  runPhase(state.L2, settings, 'L2', nowMs, out);
  runPhase(state.L3, settings, 'L3', nowMs, out);
  judgeSight(state, nowMs, out);
  if (!isQuiet(state)) stepLimit(state, settings, nowMs, out);
  state.steppedToMs = nowMs;
}

function runPhase(phase: PhaseState, settings: ControlSettings, name: Phase, nowMs: number, out: Action[]): void {
  if (!phase.fresh || phase.usableMs === null) return;
  if (nowMs - phase.usableMs > settings.staleAfterMs) phase.fresh = false;
  else if (phase.atRisk.status === 'normal' && phase.emergency.status === 'normal') return;
  runElement(phase, settings.atRisk, name, 'atRisk', nowMs, out);
  if (settings.emergency !== undefined) runElement(phase, settings.emergency, name, 'emergency', nowMs, out);
}

function runElement(
  phase: PhaseState,
  set: DefiniteTimeSettings,
  name: Phase,
  which: Element,
  nowMs: number,
  out: Action[],
): void {
  const element = phase[which];
  if (!phase.fresh) note(phase, set, name, which, blindElement(element), nowMs, out);
  else if (nowMs >= runningDueMs(phase, element, set))
    note(phase, set, name, which, expireElement(element, set, nowMs), nowMs, out);
}

/** Blind is no usable reading on any phase: an alarm at once, and no new limit, because no element can pick up. */
function judgeSight(state: FeederState, nowMs: number, out: Action[]): void {
  const { L1, L2, L3 } = state;
  const blind = !(L1.fresh || L2.fresh || L3.fresh);
  if (blind === state.blind) return;
  // Before the first reading there is nothing to lose; the source's own event says that it does not answer.
  if (blind && L1.usableMs === null && L2.usableMs === null && L3.usableMs === null) return;
  state.blind = blind;
  const reason = blind ? 'no usable reading on any phase' : 'readings are back';
  out.push({ kind: 'event', type: blind ? 'blind' : 'alarmEnd', atMs: nowMs, alarm: 'blind', reason });
}

function note(
  phase: PhaseState,
  set: DefiniteTimeSettings,
  name: Phase,
  element: Element,
  transition: Transition,
  atMs: number,
  out: Action[],
): void {
  if (transition === 'none') return;
  const said = saidOf(transition, set, phase.fresh);
  out.push({ kind: 'event', ...said, atMs, element, phase: name, currentA: phase.currentA });
}

function saidOf(
  transition: Exclude<Transition, 'none'>,
  { pickupA, dropoutA, delayS, resetDelayS }: DefiniteTimeSettings,
  fresh: boolean,
): Pick<EventAction, 'type' | 'reason'> {
  switch (transition) {
    case 'pickup':
      return { type: 'pickup', reason: `at or above pickupA ${pickupA}` };
    case 'operate':
      return { type: 'operate', reason: `held for delayS ${delayS}` };
    case 'reset':
      return {
        type: 'dropout',
        reason: fresh ? 'under pickup before the delay was over' : 'no usable reading before the delay was over',
      };
    case 'dropout':
      return { type: 'dropout', reason: `below dropoutA ${dropoutA} for resetDelayS ${resetDelayS}` };
  }
}
