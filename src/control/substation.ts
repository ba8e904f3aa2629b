// All feeders of a substation and its transformer, stepped together: the one way in for whoever has readings and time,
// be it the controller, a replay or a simulation. Feeders of no transformer go each by themselves. With one, whatever
// falls due on any of them is run in the order of time; at each instant first the feeders take their readings, then the
// transformer takes theirs or its own and says what it wants of each, and then each feeder decides once. So a feeder's
// own need and its share become one request, and no two feeders release into the same headroom.
import { PHASES, type Phase } from '../feeder.ts';
import { observe } from './curtailment.ts';
import { resetElement } from './definite-time.ts';
import { urgencyOf } from './elements.ts';
import { nextDueMs, settle, stepReading, stepTime, takeReading } from './feeder-control.ts';
import { returnA } from './relief.ts';
import { grantRoom, type Sharer, shareOut } from './share.ts';
import {
  OWN_ELEMENTS,
  readTransformer,
  roomA,
  runTransformer,
  type Standing,
  standingOf,
  sumReading,
  type TransformerSettings,
  type TransformerState,
  transformerDueMs,
} from './transformer.ts';
import type { Action, ControlReading } from './types.ts';

export interface SteppedFeeder extends Sharer {
  readonly actions: Action[];
}

export interface SteppedTransformer {
  state: TransformerState;
  readonly settings: TransformerSettings;
  readonly feeders: readonly SteppedFeeder[];
  /** It has a meter of its own; else it goes by the sum of its feeders. */
  readonly isMetered: boolean;
  readonly actions: Action[];
}

export interface Substation {
  readonly feeders: readonly SteppedFeeder[];
  readonly transformer: SteppedTransformer | null;
}

/** One reading of a feeder, or with null of the transformer's own meter. */
export interface Taken {
  readonly feeder: SteppedFeeder | null;
  readonly reading: ControlReading;
}

/** Readings in the order of their times; those of one instant belong together. Actions are added to those of each. */
export function stepReadings(substation: Substation, taken: readonly Taken[]): void {
  const { feeders, transformer } = substation;
  const together: Taken[] = [];
  for (const one of taken) {
    const { feeder, reading } = one;
    if (transformer !== null && (feeder === null || transformer.feeders.includes(feeder))) together.push(one);
    else if (feeder !== null) {
      countOthers(feeders, feeder);
      stepReading(feeder.state, feeder.control, reading, feeder.actions);
    }
  }
  if (transformer === null) return;
  for (let first = 0; first < together.length; ) {
    const atMs = together[first]?.reading.atMs ?? 0;
    let next = first;
    while (together[next]?.reading.atMs === atMs) next++;
    for (let dueMs = groupDueMs(transformer); dueMs < atMs; dueMs = groupDueMs(transformer))
      stepInstant(substation, transformer, [], dueMs);
    // A reading that arrived just before the last timer and comes after it does not turn time back.
    stepInstant(substation, transformer, together.slice(first, next), Math.max(atMs, transformer.state.steppedToMs));
    first = next;
  }
}

/** Whatever falls due up to and at `nowMs`, in order, each at its own instant. */
export function stepTimers(substation: Substation, nowMs: number): void {
  const { feeders, transformer } = substation;
  for (const feeder of feeders) {
    if (transformer?.feeders.includes(feeder) === true) continue;
    countOthers(feeders, feeder);
    stepTime(feeder.state, feeder.control, nowMs, feeder.actions);
  }
  if (transformer === null) return;
  for (let dueMs = groupDueMs(transformer); dueMs <= nowMs; dueMs = groupDueMs(transformer))
    stepInstant(substation, transformer, [], dueMs);
}

/** When `stepTimers` has something to do; Infinity when nothing is running. */
export function substationDueMs({ feeders, transformer }: Substation): number {
  let dueMs = transformer === null ? Number.POSITIVE_INFINITY : ownDueMs(transformer);
  for (const { state, control } of feeders) dueMs = Math.min(dueMs, nextDueMs(state, control));
  return dueMs;
}

function groupDueMs(transformer: SteppedTransformer): number {
  let dueMs = ownDueMs(transformer);
  for (const { state, control } of transformer.feeders) dueMs = Math.min(dueMs, nextDueMs(state, control));
  return dueMs;
}

function ownDueMs(transformer: SteppedTransformer): number {
  return transformerDueMs(transformer.state, transformer.settings, expectedA(transformer));
}

function stepInstant(
  { feeders: all }: Substation,
  transformer: SteppedTransformer,
  taken: readonly Taken[],
  nowMs: number,
): void {
  const { state, settings, feeders, isMetered, actions } = transformer;
  let own: ControlReading | null = null;
  for (const { feeder, reading } of taken) {
    if (feeder === null) own = reading;
    else takeReading(feeder.state, feeder.control, reading, feeder.actions);
  }
  if (!isMetered && taken.length > 0) own = sumReading(feeders, settings, nowMs);
  if (own !== null) readTransformer(state, settings, own, actions);
  runTransformer(state, settings, expectedA(transformer), nowMs, actions);
  const isBusy = tellFeeders(transformer, nowMs);
  for (const feeder of feeders) {
    const { state: of, control, actions: out } = feeder;
    if (!isBusy && !taken.some((one) => one.feeder === feeder) && nextDueMs(of, control) > nowMs) continue;
    countOthers(all, feeder);
    settle(of, control, nowMs, out);
  }
}

/** Tells a feeder how many others have a limit, where the substation has a cap on that. */
function countOthers(feeders: readonly SteppedFeeder[], { state, control }: SteppedFeeder): void {
  if (control.caps.feedersAtOnce === 0) return;
  let count = 0;
  for (const other of feeders) if (other.state !== state && other.state.episode !== null) count += 1;
  state.othersLimited = count;
}

/** What the transformer wants of every feeder and has room for. False where it wants nothing and wanted nothing before. */
function tellFeeders(transformer: SteppedTransformer, nowMs: number): boolean {
  const { state, settings, feeders } = transformer;
  const isLimited = feeders.some((feeder) => feeder.state.episode !== null);
  for (const feeder of feeders) if (feeder.state.episode !== null) observe(feeder.state, feeder.control, nowMs);
  let isBusy = false;
  for (const name of PHASES) {
    const on = state[name];
    // Nobody is limited any more for what is not seen: back from silence it has to operate anew.
    if (!on.fresh && !isLimited) for (const element of OWN_ELEMENTS) resetElement(on[element]);
    const standing = standingOf(on, settings, nowMs);
    const isUrgent = standing.cause !== null && urgencyOf(standing.cause.element) > 0;
    const shares = standing.overA > 0 ? shareOut(feeders, name, standing.overA, isUrgent, nowMs) : [];
    for (const [index, feeder] of feeders.entries())
      if (mirror(feeder, name, standing, shares[index] ?? 0)) isBusy = true;
  }
  if (!isLimited) return isBusy;
  const { L1, L2, L3 } = state;
  grantRoom(feeders, { L1: roomA(L1, settings), L2: roomA(L2, settings), L3: roomA(L3, settings) }, nowMs);
  return isBusy;
}

/** Puts what the transformer says of a phase into a feeder's state. False where it is at rest, and was. */
function mirror({ state }: SteppedFeeder, name: Phase, { status, since, cause }: Standing, shareA: number): boolean {
  const phase = state[name];
  const { transformer } = phase;
  if (status === 'normal' && transformer.status === 'normal') return false;
  // What it was locked for is over.
  if (status !== 'operated') resetElement(transformer);
  transformer.status = status;
  transformer.overSinceMs = since?.overSinceMs ?? 0;
  transformer.operatedMs = since?.operatedMs ?? 0;
  phase.transformerCause = cause;
  phase.transformerShareA = shareA;
  return true;
}

/** The transformer's current if every limit of its feeders were released now. */
function expectedA({ state, feeders }: SteppedTransformer): (name: Phase) => number {
  return (name) => {
    let sumA = state[name].currentA;
    for (const { state: of, control } of feeders) sumA += returnA(of[name], control, name, 100);
    return sumA;
  };
}
