// The decision for one feeder: readings and time in, actions out. Readings move the elements (definite-time.ts);
// operated elements call for relief (relief.ts), which becomes limits, their refreshes and the release. The state is
// stepped in place, because a fresh copy per reading costs four times as much (measured); it is plain data, so whoever
// wants the old one copies it first. Nothing here knows the wall clock, ids or messages.
//
// A timer that falls due between two readings is run at its own instant, before the later reading; a reading at that
// very instant counts first, being the newest that is known. So the outcome does not depend on how often it is polled.
import { CONDUCTORS, DELAYED_ELEMENTS, PHASES, type Phase } from '../feeder.ts';
import { type ControlAck, takeAck } from './acks.ts';
import { takesCalmly } from './calm.ts';
import { modesDueMs, runModes, takeCommand } from './commands.ts';
import { conductorDueMs, newConductor, readConductor, restConductor, runConductor } from './conductor.ts';
import { limitDueMs, releaseAtOnce, stepLimit } from './curtailment.ts';
import { newElement, resetElement } from './definite-time.ts';
import { someElement } from './elements.ts';
import { countInverse } from './inverse-time.ts';
import { newReach } from './reach.ts';
import { returnA } from './relief.ts';
import { sayAgain } from './requests.ts';
import { runSupervision, superviseReading, supervisionDueMs } from './supervision.ts';
import { rescale } from './thermal.ts';
import { endDueAgain, heatDoubtMs, judgeHeat, judgeSight, rateHeat, runMs, runUpTo } from './three-phases.ts';
import type {
  Action,
  ConductorInput,
  ConductorState,
  ControlCommand,
  ControlReading,
  ControlSettings,
  ElementSettings,
  FeederState,
  PhaseState,
} from './types.ts';
import { newUsage } from './usage.ts';

const NEVER = Number.POSITIVE_INFINITY;

export function newFeederState(): FeederState {
  const phase = (): PhaseState => ({
    ...newConductor(),
    transformer: newElement(),
    transformerCause: null,
    transformerShareA: 0,
    transformerRoomA: null,
    transformerSeen: true,
    lastA: 0,
    beforeLastA: 0,
    isDead: false,
    exportsSinceMs: null,
    isReverse: false,
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
    N: newConductor(),
    blind: false,
    heatAssumed: false,
    heatRatingA: null,
    steppedToMs: 0,
    runsAtOnce: 0,
    episode: null,
    releasedMs: null,
    requestTimesMs: [],
    operationTimesMs: [],
    usage: newUsage(),
    releaseHeldUntilMs: null,
    group: null,
    groupByCommand: false,
    groupUntilMs: null,
    othersLimited: 0,
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
  if (takesCalmly(state, settings, reading)) return;
  const { atMs } = reading;
  for (let dueMs = nextDueMs(state, settings); dueMs < atMs; dueMs = nextDueMs(state, settings)) {
    settle(state, settings, dueMs, out);
  }
  takeReading(state, settings, reading, out);
  // A reading that arrived just before the last timer and comes after it does not turn time back.
  settle(state, settings, Math.max(atMs, state.steppedToMs), out);
}

/** The reading alone; what it makes due is for `settle`. */
export function takeReading(
  state: FeederState,
  settings: ControlSettings,
  reading: ControlReading,
  out: Action[],
): void {
  const { atMs } = reading;
  const { staleAfterMs } = settings;
  readConductor(state.L1, settings, staleAfterMs, 'L1', reading.L1, atMs, out);
  readConductor(state.L2, settings, staleAfterMs, 'L2', reading.L2, atMs, out);
  readConductor(state.L3, settings, staleAfterMs, 'L3', reading.L3, atMs, out);
  takeNeutral(state.N, settings, reading.N, atMs, out);
  superviseReading(state, settings, reading);
  state.runsAtOnce = 0;
}

/** Whatever falls due up to and at `nowMs`, in order, each at its own instant. */
export function stepTime(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  for (let dueMs = nextDueMs(state, settings); dueMs <= nowMs; dueMs = nextDueMs(state, settings)) {
    settle(state, settings, dueMs, out);
  }
}

/** The wall clock was stepped: a standing limit is said again, so that its `end` is right on the new clock. */
export function stepClock(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  stepTime(state, settings, nowMs, out);
  sayAgain(state, settings, nowMs, 'the wall clock was stepped', out);
}

/**
 * Another settings group: `after` takes the place of `before`. What is counted goes on under the new settings; a limit
 * of other chargers is released first, because nobody would refresh or release it after.
 */
export function stepSettings(
  state: FeederState,
  before: ControlSettings,
  after: ControlSettings,
  reason: string,
  nowMs: number,
  out: Action[],
): void {
  stepTime(state, before, nowMs, out);
  const atMs = Math.max(nowMs, state.steppedToMs);
  if (state.episode !== null && before.target !== after.target) {
    releaseAtOnce(state, before, atMs, 'the settings group has other chargers', out);
    state.releasedMs = null;
  }
  for (const name of PHASES) changeElements(state[name], before, after, atMs);
  changeElements(state.N, before.neutral ?? NO_ELEMENTS, after.neutral ?? NO_ELEMENTS, atMs);
  state.heatRatingA = after.thermal?.ratingA ?? null;
  state.group = after.group;
  out.push({ kind: 'event', type: 'settings', atMs, reason: `group ${after.group}: ${reason}` });
  settle(state, after, atMs, out);
}

/**
 * Readings come from another source from now on, whose staleness limit is `staleAfterMs`: what is still fresh by the
 * limit so far stays so until the new source's first reading, so that a change of source keeps the timers.
 */
export function stepSource(
  state: FeederState,
  before: ControlSettings,
  staleAfterMs: number,
  nowMs: number,
  out: Action[],
): void {
  stepTime(state, before, nowMs, out);
  const sinceMs = nowMs - before.staleAfterMs;
  for (const name of CONDUCTORS) {
    const on = state[name];
    if (on.usableMs !== null && on.usableMs >= sinceMs) on.usableMs = Math.max(on.usableMs, nowMs - staleAfterMs);
    if (on.goodMs !== null && on.goodMs >= sinceMs) on.goodMs = Math.max(on.goodMs, nowMs - staleAfterMs);
  }
}

/** A state, new or kept, goes on under settings that may be others: what is off is at rest, heat is of the new rating. */
export function settleInto(state: FeederState, settings: ControlSettings): void {
  for (const name of PHASES) restConductor(state[name], settings);
  restConductor(state.N, settings.neutral ?? NO_ELEMENTS);
  rateHeat(state, settings.thermal);
}

/** What is off now is at rest; what counts goes on only where the present current still says so. */
function changeElements(on: ConductorState, before: ElementSettings, after: ElementSettings, atMs: number): void {
  if (before.inverse !== undefined) countInverse(on.inverse, before.inverse, atMs);
  restConductor(on, after);
  for (const name of DELAYED_ELEMENTS) {
    const [element, set] = [on[name], after[name]];
    if (set === undefined) continue;
    if (on.currentA >= set.dropoutA) element.underSinceMs = null;
    if (element.status === 'pickedUp' && on.currentA < set.pickupA) resetElement(element);
  }
  if (before.thermal !== undefined && after.thermal !== undefined)
    rescale(on.thermal, before.thermal, after.thermal, atMs);
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
  const refused = takeCommand(state, settings, command, atMs, out);
  if (refused === null) settle(state, settings, atMs, out);
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
  if (takeAck(state, settings, ack, atMs)) settle(state, settings, atMs, out);
}

/**
 * When something next falls due; Infinity when nothing is running. Every answer is consumed by running it, so that
 * stepping to it always gets on.
 */
export function nextDueMs(state: FeederState, settings: ControlSettings): number {
  return runMs(state, ownDueMs(state, settings));
}

/** The same, wherever it lies: other settings may make a delay long over. */
function ownDueMs(state: FeederState, settings: ControlSettings): number {
  const limitMs = isQuiet(state) ? NEVER : Math.min(limitDueMs(state, settings), modesDueMs(state));
  const { neutral, staleAfterMs } = settings;
  const neutralMs =
    neutral === undefined ? NEVER : conductorDueMs(state.N, neutral, staleAfterMs, state.N.currentA, state.steppedToMs);
  return Math.min(
    limitMs,
    phaseDueMs(state, settings, 'L1'),
    phaseDueMs(state, settings, 'L2'),
    phaseDueMs(state, settings, 'L3'),
    neutralMs,
    state.heatAssumed ? heatDoubtMs(state) : NEVER,
    supervisionDueMs(state, settings),
  );
}

function phaseDueMs(state: FeederState, settings: ControlSettings, name: Phase): number {
  const phase = state[name];
  return conductorDueMs(phase, settings, settings.staleAfterMs, expectedA(phase, settings, name), state.steppedToMs);
}

/** The current that a release would bring back; only the thermal element asks, before it lets go. */
function expectedA(phase: PhaseState, settings: ControlSettings, name: Phase): number {
  if (phase.levelPercent === 100 || phase.thermal.status !== 'operated') return phase.currentA;
  return phase.currentA + returnA(phase, settings, name, 100);
}

/** Nothing has operated and nothing is asked: by far the most scans. */
function isQuiet(state: FeederState): boolean {
  const { episode, alarms, blocks, testUntilMs } = state;
  if (episode !== null || alarms.length > 0 || blocks.length > 0 || testUntilMs !== null) return false;
  return !someElement(state, 'operated');
}

/** The neutral may need a telegram of its own, so it has a reading of its own; it matters only where an element has it. */
function takeNeutral(
  neutral: ConductorState,
  settings: ControlSettings,
  input: ConductorInput,
  atMs: number,
  out: Action[],
): void {
  readConductor(neutral, settings.neutral ?? NO_ELEMENTS, settings.staleAfterMs, 'N', input, atMs, out);
  if (settings.neutral === undefined) neutral.fresh = neutral.quality !== 'bad';
}

const NO_ELEMENTS: ElementSettings = {};

/** Everything that is due at `nowMs`: staleness, delays, then what they mean for the limit. */
export function settle(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  if (state.alarms.includes('dueAgain')) endDueAgain(state, ownDueMs(state, settings), nowMs, out);
  runPhase(state, settings, 'L1', nowMs, out);
  runPhase(state, settings, 'L2', nowMs, out);
  runPhase(state, settings, 'L3', nowMs, out);
  const { neutral, staleAfterMs } = settings;
  if (neutral !== undefined) runConductor(state.N, neutral, staleAfterMs, state.N.currentA, 'N', nowMs, out);
  judgeSight(state, nowMs, out);
  if (isOdd(state, settings)) runSupervision(state, settings, nowMs, out);
  judgeHeat(state, settings.thermal, nowMs, out);
  if (!isQuiet(state)) {
    runModes(state, settings, nowMs, out);
    stepLimit(state, settings, nowMs, out);
  }
  runUpTo(state, nowMs, out);
}

function runPhase(state: FeederState, settings: ControlSettings, name: Phase, nowMs: number, out: Action[]): void {
  const phase = state[name];
  runConductor(phase, settings, settings.staleAfterMs, expectedA(phase, settings, name), name, nowMs, out);
}

/** Something is to be supervised, or an alarm of it may have to end. */
function isOdd({ L1, L2, L3, N, alarms }: FeederState, { neutral }: ControlSettings): boolean {
  return alarms.length > 0 || isOddPhase(L1) || isOddPhase(L2) || isOddPhase(L3) || (neutral !== undefined && !N.fresh);
}

function isOddPhase({ fresh, isDead, exportsSinceMs, isReverse }: PhaseState): boolean {
  return !fresh || isDead || isReverse || exportsSinceMs !== null;
}
