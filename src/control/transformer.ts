// The transformer above several feeders: the same elements as on a feeder, on its own currents or on the sum of its
// feeders'. It asks nobody itself; what it is over goes to its feeders as shares (share.ts, substation.ts).
import { PHASES, type Phase } from '../feeder.ts';
import { conductorDueMs, newConductor, readConductor, restConductor, runConductor } from './conductor.ts';
import { thresholds, urgencyOf } from './elements.ts';
import { outlook } from './thermal.ts';
import { endDueAgain, heatDoubtMs, judgeHeat, judgeSight, rateHeat, runMs, runUpTo } from './three-phases.ts';
import type {
  Action,
  ConductorInput,
  ConductorState,
  ControlReading,
  ElementSettings,
  ElementState,
  FeederState,
  OwnElement,
  ThreePhases,
  TransformerCause,
} from './types.ts';

/** Off unless given, every one of them. */
export interface TransformerSettings extends ElementSettings {
  /** A reading older than this is no reading. */
  readonly staleAfterMs: number;
}

export interface TransformerPhase extends ConductorState {
  /** It feeds back, so that no limit would relieve it. */
  exports: boolean;
}

export interface TransformerState extends ThreePhases {
  readonly L1: TransformerPhase;
  readonly L2: TransformerPhase;
  readonly L3: TransformerPhase;
}

/** What its elements say of one phase: the state of the foremost, and how far the current is over the lowest dropout. */
export interface Standing {
  readonly status: ElementState['status'];
  readonly since: ElementState | null;
  readonly cause: TransformerCause | null;
  readonly overA: number;
}

const NEVER = Number.POSITIVE_INFINITY;
export const OWN_ELEMENTS = ['emergency', 'thermal', 'atRisk', 'inverse'] as const;
const AT_REST: Standing = { status: 'normal', since: null, cause: null, overA: 0 };

export function newTransformerState(): TransformerState {
  const phase = (): TransformerPhase => ({ ...newConductor(), exports: false });
  return {
    L1: phase(),
    L2: phase(),
    L3: phase(),
    blind: false,
    heatAssumed: false,
    heatRatingA: null,
    steppedToMs: 0,
    runsAtOnce: 0,
    alarms: [],
  };
}

/**
 * The currents of the feeders as one reading of the transformer. With a feeder that is not seen the sum is a lower bound:
 * `uncertain` where it alone reaches a pickup, so that it may pick up and hold and never releases; under that it says
 * nothing. What is known to feed back is taken off.
 */
export function sumReading(
  feeders: readonly { readonly state: FeederState }[],
  settings: TransformerSettings,
  atMs: number,
): ControlReading {
  const signed = { L1: 0, L2: 0, L3: 0 };
  const input = (name: Phase): ConductorInput => {
    let quality: ConductorInput['quality'] = 'good';
    let isWhole = true;
    let sumA = 0;
    for (const { state } of feeders) {
      const phase = state[name];
      if (!phase.fresh || phase.quality === 'bad') isWhole = false;
      else sumA += phase.exportsSinceMs === null ? phase.currentA : -phase.currentA;
      if (phase.quality === 'uncertain') quality = 'uncertain';
    }
    signed[name] = sumA;
    if (isWhole) return { currentA: Math.abs(sumA), quality };
    return sumA >= lowestPickupA(settings) ? { currentA: sumA, quality: 'uncertain' } : NOTHING;
  };
  const phases = { L1: input('L1'), L2: input('L2'), L3: input('L3') };
  const exporting = PHASES.filter((name) => signed[name] < 0);
  return { atMs, ...phases, N: NOTHING, exporting };
}

const NOTHING: ConductorInput = { currentA: null, quality: 'bad' };

/** One reading; what it makes due is run by `runTransformer`. */
export function readTransformer(
  state: TransformerState,
  settings: TransformerSettings,
  reading: ControlReading,
  out: Action[],
): void {
  const from = out.length;
  state.runsAtOnce = 0;
  const { atMs, exporting = [] } = reading;
  for (const name of PHASES) {
    const input = reading[name];
    readConductor(state[name], settings, settings.staleAfterMs, name, input, atMs, out);
    if (input.quality !== 'bad') state[name].exports = exporting.includes(name);
  }
  relabel(out, from);
}

/** A state, new or kept, goes on under settings that may be others: what is off is at rest, heat is of the new rating. */
export function settleTransformerInto(state: TransformerState, settings: TransformerSettings): void {
  for (const name of PHASES) restConductor(state[name], settings);
  rateHeat(state, settings.thermal);
}

/** When something falls due; `expectedA` is the current of a phase that a release of everything would bring. */
export function transformerDueMs(
  state: TransformerState,
  settings: TransformerSettings,
  expectedA: (name: Phase) => number,
): number {
  return runMs(state, dueMs(state, settings, expectedA));
}

function dueMs(state: TransformerState, settings: TransformerSettings, expectedA: (name: Phase) => number): number {
  const due = (name: Phase) =>
    conductorDueMs(state[name], settings, settings.staleAfterMs, expectedA(name), state.steppedToMs);
  const doubtMs = state.heatAssumed ? heatDoubtMs(state) : NEVER;
  return Math.min(due('L1'), due('L2'), due('L3'), doubtMs);
}

/** Everything that is due at `nowMs`. */
export function runTransformer(
  state: TransformerState,
  settings: TransformerSettings,
  expectedA: (name: Phase) => number,
  nowMs: number,
  out: Action[],
): void {
  const from = out.length;
  if (state.alarms.includes('dueAgain')) endDueAgain(state, dueMs(state, settings, expectedA), nowMs, out);
  for (const name of PHASES)
    runConductor(state[name], settings, settings.staleAfterMs, expectedA(name), name, nowMs, out);
  judgeSight(state, nowMs, out);
  judgeHeat(state, settings.thermal, nowMs, out);
  runUpTo(state, nowMs, out);
  relabel(out, from);
}

/** What the elements of one phase come to at `nowMs`. */
export function standingOf(on: TransformerPhase, settings: TransformerSettings, nowMs: number): Standing {
  if (on.exports) return AT_REST;
  let foremost: OwnElement | null = null;
  let overA = Number.NEGATIVE_INFINITY;
  let pickedUp: ElementState | null = null;
  for (const element of OWN_ELEMENTS) {
    const set = thresholds(settings, element);
    const { status } = on[element];
    if (set === null || status === 'normal') continue;
    if (status === 'pickedUp') pickedUp ??= on[element];
    else {
      overA = Math.max(overA, on.currentA - set.dropoutA);
      if (foremost === null || urgencyOf(element) > urgencyOf(foremost)) foremost = element;
    }
  }
  if (foremost === null) return pickedUp === null ? AT_REST : { ...AT_REST, status: 'pickedUp', since: pickedUp };
  const cause: TransformerCause = {
    element: foremost,
    currentA: on.currentA,
    pickupA: thresholds(settings, foremost)?.pickupA ?? 0,
    ...outlook(on.thermal, settings.thermal, nowMs),
  };
  return { status: 'operated', since: on[foremost], cause, overA: on.fresh ? overA : 0 };
}

/** How much more a phase may carry: up to the lowest dropout. 0 while its current is not known for good. */
export function roomA(on: TransformerPhase, settings: TransformerSettings): number {
  if (!on.fresh || on.quality !== 'good') return 0;
  let dropoutA = NEVER;
  for (const element of OWN_ELEMENTS) dropoutA = Math.min(dropoutA, thresholds(settings, element)?.dropoutA ?? NEVER);
  return dropoutA - (on.exports ? -on.currentA : on.currentA);
}

function lowestPickupA(settings: TransformerSettings): number {
  let pickupA = NEVER;
  for (const element of OWN_ELEMENTS) pickupA = Math.min(pickupA, thresholds(settings, element)?.pickupA ?? NEVER);
  return pickupA;
}

/** Its events are those of the element `transformer`; which of its own it was stands in the reason. */
function relabel(out: Action[], from: number): void {
  for (let i = from; i < out.length; i++) {
    const action = out[i];
    if (action?.kind !== 'event' || action.element === undefined) continue;
    out[i] = { ...action, element: 'transformer', reason: `${action.element}: ${action.reason}` };
  }
}
