// The decision for one feeder: readings and time in, actions out. Readings move the elements (definite-time.ts);
// operated elements call for relief (relief.ts), which becomes limits, their refreshes and the release. The state is
// stepped in place, because a fresh copy per reading costs four times as much (measured); it is plain data, so whoever
// wants the old one copies it first. Nothing here knows the wall clock, ids or messages.
//
// A timer that falls due between two readings is run at its own instant, before the later reading; a reading at that
// very instant counts first, being the newest that is known. So the outcome does not depend on how often it is polled.
import { PHASES, type Phase } from '../feeder.ts';
import { limitDueMs, sayAgain, stepLimit } from './curtailment.ts';
import {
  blindElement,
  elementDueMs,
  expireElement,
  newElement,
  readElement,
  type Transition,
} from './definite-time.ts';
import type {
  Action,
  ConductorInput,
  ControlReading,
  ControlSettings,
  DefiniteTimeSettings,
  ElementState,
  EventType,
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
  for (let dueMs = nextDueMs(state, settings); dueMs < reading.atMs; dueMs = nextDueMs(state, settings)) {
    fire(state, settings, dueMs, out);
  }
  for (const phase of PHASES) takeReading(state, settings, phase, reading[phase], reading.atMs, out);
  state.neutralA = reading.N.currentA;
  fire(state, settings, reading.atMs, out);
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
 * that stepping to it always gets on.
 */
export function nextDueMs(state: FeederState, settings: ControlSettings): number {
  let dueMs = Number.POSITIVE_INFINITY;
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.fresh || phase.usableMs === null) continue;
    dueMs = Math.min(dueMs, phase.usableMs + settings.staleAfterMs + STALE_MARGIN_MS);
    dueMs = Math.min(dueMs, runningDueMs(phase, phase.atRisk, settings.atRisk));
    if (settings.emergency !== undefined)
      dueMs = Math.min(dueMs, runningDueMs(phase, phase.emergency, settings.emergency));
  }
  return isQuiet(state) ? dueMs : Math.min(dueMs, limitDueMs(state, settings));
}

/** Nothing has operated and nothing is asked: by far the most scans. */
function isQuiet(state: FeederState): boolean {
  return state.episode === null && state.alarms.length === 0 && !PHASES.some((name) => hasOperated(state[name]));
}

function hasOperated(phase: PhaseState): boolean {
  return phase.atRisk.status === 'operated' || phase.emergency.status === 'operated';
}

/** A reading exactly as old as the limit still counts; one that is older does not. */
const STALE_MARGIN_MS = 1;

/** A delay expires by itself only while the reading that it rests on still holds; a bad one since then has to be bridged. */
function runningDueMs(phase: PhaseState, element: ElementState, settings: DefiniteTimeSettings): number {
  if (phase.quality === 'bad' || (element.status === 'operated' && phase.quality !== 'good'))
    return Number.POSITIVE_INFINITY;
  return elementDueMs(element, settings);
}

function takeReading(
  state: FeederState,
  settings: ControlSettings,
  name: Phase,
  input: ConductorInput,
  atMs: number,
  out: Action[],
): void {
  const phase = state[name];
  phase.quality = input.quality;
  if (input.quality === 'bad' || input.currentA === null) return;
  const good = input.quality === 'good';
  const near = (thenMs: number | null) => thenMs !== null && atMs - thenMs <= settings.staleAfterMs;
  const bridged = { usable: near(phase.usableMs), good: near(phase.goodMs) };
  phase.currentA = input.currentA;
  phase.usableMs = atMs;
  if (good) phase.goodMs = atMs;
  phase.fresh = true;
  note(
    state,
    settings,
    name,
    'atRisk',
    readElement(phase.atRisk, settings.atRisk, input.currentA, atMs, good, bridged),
    atMs,
    out,
  );
  if (settings.emergency === undefined) return;
  const { emergency } = settings;
  note(
    state,
    settings,
    name,
    'emergency',
    readElement(phase.emergency, emergency, input.currentA, atMs, good, bridged),
    atMs,
    out,
  );
}

/** Everything that is due at `nowMs`: staleness, delays, then what they mean for the limit. */
function fire(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.fresh || phase.usableMs === null) continue;
    if (nowMs - phase.usableMs > settings.staleAfterMs) {
      phase.fresh = false;
      note(state, settings, name, 'atRisk', blindElement(phase.atRisk), nowMs, out);
      if (settings.emergency !== undefined)
        note(state, settings, name, 'emergency', blindElement(phase.emergency), nowMs, out);
      continue;
    }
    if (nowMs >= runningDueMs(phase, phase.atRisk, settings.atRisk)) {
      note(state, settings, name, 'atRisk', expireElement(phase.atRisk, settings.atRisk, nowMs), nowMs, out);
    }
    if (settings.emergency !== undefined && nowMs >= runningDueMs(phase, phase.emergency, settings.emergency)) {
      note(state, settings, name, 'emergency', expireElement(phase.emergency, settings.emergency, nowMs), nowMs, out);
    }
  }
  judgeSight(state, nowMs, out);
  if (!isQuiet(state)) stepLimit(state, settings, nowMs, out);
  state.steppedToMs = nowMs;
}

/** Blind is no usable reading on any phase: an alarm at once, and no new limit, because no element can pick up. */
function judgeSight(state: FeederState, nowMs: number, out: Action[]): void {
  const blind = !PHASES.some((name) => state[name].fresh);
  if (blind === state.blind) return;
  // Before the first reading there is nothing to lose; the source's own event says that it does not answer.
  if (blind && PHASES.every((name) => state[name].usableMs === null)) return;
  state.blind = blind;
  const reason = blind ? 'no usable reading on any phase' : 'readings are back';
  out.push({ kind: 'event', type: blind ? 'blind' : 'alarmEnd', atMs: nowMs, alarm: 'blind', reason });
}

const EVENT_OF: { readonly [T in Transition]: EventType | null } = {
  none: null,
  pickup: 'pickup',
  operate: 'operate',
  reset: 'dropout',
  dropout: 'dropout',
};

function note(
  state: FeederState,
  settings: ControlSettings,
  name: Phase,
  element: 'atRisk' | 'emergency',
  transition: Transition,
  atMs: number,
  out: Action[],
): void {
  const type = EVENT_OF[transition];
  if (type === null) return;
  const { currentA, fresh } = state[name];
  const set = element === 'emergency' ? (settings.emergency ?? settings.atRisk) : settings.atRisk;
  const reasons: { readonly [T in Transition]: string } = {
    none: '',
    pickup: `at or above pickupA ${set.pickupA}`,
    operate: `held for delayS ${set.delayS}`,
    reset: fresh ? 'under pickup before the delay was over' : 'no usable reading before the delay was over',
    dropout: `below dropoutA ${set.dropoutA} for resetDelayS ${set.resetDelayS}`,
  };
  out.push({ kind: 'event', type, atMs, element, phase: name, currentA, reason: reasons[transition] });
}
