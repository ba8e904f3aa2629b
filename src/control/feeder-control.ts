// The decision for one feeder: readings and time in, actions out. Readings move the elements (definite-time.ts);
// operated elements call for relief (relief.ts), which becomes limits, their refreshes and the release. The state is
// stepped in place, because a fresh copy per reading costs four times as much (measured); it is plain data, so whoever
// wants the old one copies it first. Nothing here knows the wall clock, ids or messages.
//
// A timer that falls due between two readings is run at its own instant, before the later reading; a reading at that
// very instant counts first, being the newest that is known. So the outcome does not depend on how often it is polled.
import type { Conductor, Element } from '../feeder.ts';
import { type ControlAck, takeAck } from './acks.ts';
import { modesDueMs, runModes, takeCommand } from './commands.ts';
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
import { newReach } from './reach.ts';
import { sayAgain } from './requests.ts';
import type {
  Action,
  ConductorInput,
  ConductorState,
  ControlCommand,
  ControlReading,
  ControlSettings,
  DefiniteTimeSettings,
  ElementState,
  EventAction,
  FeederState,
  NeutralSettings,
  PhaseState,
} from './types.ts';
import { newUsage } from './usage.ts';

export function newFeederState(): FeederState {
  const conductor = (): ConductorState => ({
    usableMs: null,
    goodMs: null,
    currentA: 0,
    quality: 'bad',
    fresh: false,
    atRisk: newElement(),
    emergency: newElement(),
  });
  const phase = (): PhaseState => ({
    ...conductor(),
    inverse: newElement(),
    thermal: newElement(),
    transformer: newElement(),
    transformerShareA: 0,
    transformerRoomA: null,
    levelPercent: 100,
    reductionA: 0,
    deliveredA: 0,
    deliveredSinceMs: 0,
    isJudged: false,
    askedAtA: 0,
    atLimitA: 0,
    goneA: 0,
    returningA: 0,
    returningSinceMs: 0,
    reach: newReach(),
  });
  return {
    L1: phase(),
    L2: phase(),
    L3: phase(),
    N: conductor(),
    blind: false,
    steppedToMs: 0,
    episode: null,
    releasedMs: null,
    requestTimesMs: [],
    operationTimesMs: [],
    usage: newUsage(),
    alarms: [],
    blocks: [],
    testUntilMs: null,
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
  const { staleAfterMs } = settings;
  for (let dueMs = nextDueMs(state, settings); dueMs < atMs; dueMs = nextDueMs(state, settings)) {
    fire(state, settings, dueMs, out);
  }
  takeReading(state.L1, settings, staleAfterMs, 'L1', reading.L1, atMs, out);
  takeReading(state.L2, settings, staleAfterMs, 'L2', reading.L2, atMs, out);
  takeReading(state.L3, settings, staleAfterMs, 'L3', reading.L3, atMs, out);
  takeNeutral(state.N, settings, reading.N, atMs, out);
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

/** A command of an operator or the head end. Gives null when it is done, or in one line why it cannot be. */
export function stepCommand(
  state: FeederState,
  settings: ControlSettings,
  command: ControlCommand,
  nowMs: number,
  out: Action[],
): string | null {
  stepTime(state, settings, nowMs, out);
  const atMs = Math.max(nowMs, state.steppedToMs);
  const refused = takeCommand(state, command, atMs, out);
  if (refused === null) fire(state, settings, atMs, out);
  return refused;
}

/**
 * An acknowledgement of a request of the standing episode came at `nowMs`. Fewer amperes than were counted on deepen
 * the level at once: that is known, and needs no waiting for an effect.
 */
export function stepAck(
  state: FeederState,
  settings: ControlSettings,
  ack: ControlAck,
  nowMs: number,
  out: Action[],
): void {
  stepTime(state, settings, nowMs, out);
  const atMs = Math.max(nowMs, state.steppedToMs);
  if (takeAck(state, settings, ack, atMs)) fire(state, settings, atMs, out);
}

/**
 * When `stepTime` has something to do; Infinity when nothing is running. Every answer is consumed by running it, so
 * that stepping to it always gets on. Never before what has been run: other settings may make a delay long over.
 */
export function nextDueMs(state: FeederState, settings: ControlSettings): number {
  const { L1, L2, L3, steppedToMs } = state;
  const { staleAfterMs } = settings;
  const limitMs = isQuiet(state) ? Number.POSITIVE_INFINITY : Math.min(limitDueMs(state, settings), modesDueMs(state));
  const neutralMs =
    settings.neutral === undefined ? Number.POSITIVE_INFINITY : dueOf(state.N, settings.neutral, staleAfterMs);
  const dueMs = Math.min(
    limitMs,
    dueOf(L1, settings, staleAfterMs),
    dueOf(L2, settings, staleAfterMs),
    dueOf(L3, settings, staleAfterMs),
    neutralMs,
  );
  return Math.max(dueMs, steppedToMs);
}

/** Nothing has operated and nothing is asked: by far the most scans. */
function isQuiet({ L1, L2, L3, N, episode, alarms, blocks, testUntilMs }: FeederState): boolean {
  if (episode !== null || alarms.length > 0 || blocks.length > 0 || testUntilMs !== null) return false;
  return !(hasOperated(L1) || hasOperated(L2) || hasOperated(L3) || isOperated(N.atRisk) || isOperated(N.emergency));
}

function hasOperated({ atRisk, emergency, inverse, thermal, transformer }: PhaseState): boolean {
  return (
    isOperated(atRisk) || isOperated(emergency) || isOperated(inverse) || isOperated(thermal) || isOperated(transformer)
  );
}

function isOperated({ status }: ElementState): boolean {
  return status === 'operated';
}

/** When a conductor next has something due; its reading going stale, if nothing else. */
function dueOf(on: ConductorState, { atRisk, emergency }: NeutralSettings, staleAfterMs: number): number {
  if (!on.fresh || on.usableMs === null) return Number.POSITIVE_INFINITY;
  const staleMs = on.usableMs + staleAfterMs + STALE_MARGIN_MS;
  if (on.atRisk.status === 'normal' && on.emergency.status === 'normal') return staleMs;
  const atRiskMs = atRisk === undefined ? staleMs : runningDueMs(on, on.atRisk, atRisk);
  const emergencyMs = emergency === undefined ? staleMs : runningDueMs(on, on.emergency, emergency);
  return Math.min(staleMs, atRiskMs, emergencyMs);
}

/** A reading exactly as old as the limit still counts; one that is older does not. */
const STALE_MARGIN_MS = 1;

/** A delay expires by itself only while the reading that it rests on still holds; a bad one since then has to be bridged. */
function runningDueMs(on: ConductorState, element: ElementState, set: DefiniteTimeSettings): number {
  if (on.quality === 'bad' || (element.status === 'operated' && on.quality !== 'good')) return Number.POSITIVE_INFINITY;
  return elementDueMs(element, set);
}

/** The neutral may need a telegram of its own, so it has a reading of its own; it matters only where an element has it. */
function takeNeutral(
  neutral: ConductorState,
  settings: ControlSettings,
  input: ConductorInput,
  atMs: number,
  out: Action[],
): void {
  takeReading(neutral, settings.neutral ?? NO_ELEMENTS, settings.staleAfterMs, 'N', input, atMs, out);
  if (settings.neutral === undefined) neutral.fresh = neutral.quality !== 'bad';
}

const NO_ELEMENTS: NeutralSettings = {};

function takeReading(
  on: ConductorState,
  { atRisk, emergency }: NeutralSettings,
  staleAfterMs: number,
  name: Conductor,
  { currentA, quality }: ConductorInput,
  atMs: number,
  out: Action[],
): void {
  if (quality === 'bad' || currentA === null || !Number.isFinite(currentA)) {
    on.quality = 'bad';
    return;
  }
  const fromMs = atMs - staleAfterMs;
  const bridged: Bridged = isSince(on.goodMs, fromMs) ? 'good' : isSince(on.usableMs, fromMs) ? 'usable' : 'none';
  const good = quality === 'good';
  on.quality = quality;
  on.currentA = currentA;
  on.usableMs = atMs;
  if (good) on.goodMs = atMs;
  on.fresh = true;
  if (atRisk !== undefined) {
    const moved = readElement(on.atRisk, atRisk, currentA, atMs, good, bridged);
    note(on, atRisk, name, 'atRisk', moved, atMs, out);
  }
  if (emergency !== undefined) {
    const moved = readElement(on.emergency, emergency, currentA, atMs, good, bridged);
    note(on, emergency, name, 'emergency', moved, atMs, out);
  }
}

function isSince(thenMs: number | null, fromMs: number): boolean {
  return thenMs !== null && thenMs >= fromMs;
}

/** Everything that is due at `nowMs`: staleness, delays, then what they mean for the limit. */
function fire(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { staleAfterMs } = settings;
  runConductor(state.L1, settings, staleAfterMs, 'L1', nowMs, out);
  runConductor(state.L2, settings, staleAfterMs, 'L2', nowMs, out);
  runConductor(state.L3, settings, staleAfterMs, 'L3', nowMs, out);
  if (settings.neutral !== undefined) runConductor(state.N, settings.neutral, staleAfterMs, 'N', nowMs, out);
  judgeSight(state, nowMs, out);
  if (!isQuiet(state)) {
    runModes(state, nowMs, out);
    stepLimit(state, settings, nowMs, out);
  }
  state.steppedToMs = nowMs;
}

function runConductor(
  on: ConductorState,
  { atRisk, emergency }: NeutralSettings,
  staleAfterMs: number,
  name: Conductor,
  nowMs: number,
  out: Action[],
): void {
  if (!on.fresh || on.usableMs === null) return;
  if (nowMs - on.usableMs > staleAfterMs) on.fresh = false;
  else if (on.atRisk.status === 'normal' && on.emergency.status === 'normal') return;
  if (atRisk !== undefined) runElement(on, atRisk, name, 'atRisk', nowMs, out);
  if (emergency !== undefined) runElement(on, emergency, name, 'emergency', nowMs, out);
}

function runElement(
  on: ConductorState,
  set: DefiniteTimeSettings,
  name: Conductor,
  which: 'atRisk' | 'emergency',
  nowMs: number,
  out: Action[],
): void {
  const element = on[which];
  if (!on.fresh) note(on, set, name, which, blindElement(element), nowMs, out);
  else if (nowMs >= runningDueMs(on, element, set))
    note(on, set, name, which, expireElement(element, set, nowMs), nowMs, out);
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
  on: ConductorState,
  set: DefiniteTimeSettings,
  name: Conductor,
  element: Element,
  transition: Transition,
  atMs: number,
  out: Action[],
): void {
  if (transition === 'none') return;
  const said = saidOf(transition, set, on.fresh);
  out.push({ kind: 'event', ...said, atMs, element, phase: name, currentA: on.currentA });
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
