// All feeders of a substation and its transformer, stepped together: the one way in for whoever has readings and time,
// be it the controller, a replay or a simulation. Feeders of no transformer go each by themselves. With one, whatever
// falls due on any of them is run in the order of time; at each instant first the feeders take their readings, then the
// transformer takes theirs or its own and says what it wants of each, and then each feeder decides once. So a feeder's
// own need and its share become one request, and no two feeders release into the same headroom.
import { type PerPhase, PHASES, type Phase } from '../feeder.ts';
import { observe } from './curtailment.ts';
import { resetElement } from './definite-time.ts';
import { urgencyOf } from './elements.ts';
import { nextDueMs, settle, stepReading, stepTime, takeReading } from './feeder-control.ts';
import { returnA } from './relief.ts';
import { alarm, endAlarm } from './requests.ts';
import { grantRoom, isExhausted, isUnanswered, type Sharer, shareOut } from './share.ts';
import {
  OWN_ELEMENTS,
  readTransformer,
  roomA,
  runTransformer,
  standingOf,
  sumReading,
  type TransformerSettings,
  type TransformerState,
  transformerDueMs,
} from './transformer.ts';
import type { Action, ControlReading, FeederState, PhaseState, TransformerWord } from './types.ts';

/**
 * What a feeder is given beside its readings: that time has come, how many others have a limit, what the transformer
 * says. With `isWithReading` it counts before the reading that the feeder takes at that instant.
 */
export type SubstationInput = { readonly atMs: number } & (
  | { readonly kind: 'time' }
  | { readonly kind: 'others'; readonly limited: number; readonly isWithReading: boolean }
  | {
      readonly kind: 'transformer';
      readonly words: { readonly [P in Phase]: TransformerWord };
      readonly isWithReading: boolean;
    }
);

export interface SteppedFeeder extends Sharer {
  readonly actions: Action[];
  /** Hears of every such input, before it counts. */
  readonly recorded?: ((input: SubstationInput) => void) | undefined;
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
      countOthers(feeders, feeder, reading.atMs, true);
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
    countOthers(feeders, feeder, nowMs, false);
    if (nextDueMs(feeder.state, feeder.control) > nowMs) continue;
    feeder.recorded?.({ kind: 'time', atMs: nowMs });
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
  for (const feeder of feeders) if (feeder.state.episode !== null) observe(feeder.state, feeder.control, nowMs);
  const words = wordsFor(transformer, nowMs);
  for (const [index, feeder] of feeders.entries()) {
    const isWithReading = taken.some((one) => one.feeder === feeder);
    const isNews = hear(feeder, words[index], nowMs, isWithReading);
    if (!isWithReading && !isNews && nextDueMs(feeder.state, feeder.control) > nowMs) continue;
    countOthers(all, feeder, nowMs, isWithReading);
    if (!isWithReading && !isNews) feeder.recorded?.({ kind: 'time', atMs: nowMs });
    settle(feeder.state, feeder.control, nowMs, feeder.actions);
  }
}

/** Tells a feeder how many others have a limit, where the substation has a cap on that. */
function countOthers(
  feeders: readonly SteppedFeeder[],
  { state, control, recorded }: SteppedFeeder,
  atMs: number,
  isWithReading: boolean,
): void {
  if (control.caps.feedersAtOnce === 0) return;
  let limited = 0;
  for (const other of feeders) if (other.state !== state && other.state.episode !== null) limited += 1;
  if (limited === state.othersLimited) return;
  recorded?.({ kind: 'others', limited, isWithReading, atMs });
  state.othersLimited = limited;
}

type Words = { [P in Phase]: TransformerWord };

/** What the transformer wants of every feeder and has room for, in their order. */
function wordsFor({ state, settings, feeders, actions }: SteppedTransformer, nowMs: number): Words[] {
  const isLimited = feeders.some((feeder) => feeder.state.episode !== null);
  const room = isLimited ? roomFor(state, settings, feeders, nowMs) : null;
  const words = feeders.map((_, index) => ({
    L1: wordAt(state, room, index, 'L1'),
    L2: wordAt(state, room, index, 'L2'),
    L3: wordAt(state, room, index, 'L3'),
  }));
  let [isForNobody, mayEnd] = [false, true];
  for (const name of PHASES) {
    const on = state[name];
    // Nobody is limited any more for what is not seen: back from silence it has to operate anew.
    if (!on.fresh && !isLimited) for (const element of OWN_ELEMENTS) resetElement(on[element]);
    const { status, since, cause, overA } = standingOf(on, settings, nowMs);
    if (status === 'normal') continue;
    const isUrgent = cause !== null && urgencyOf(cause.element) > 0;
    const shares = overA > 0 ? shareOut(feeders, name, overA, isUrgent, nowMs) : [];
    if (overA > 0 && isUnanswered(feeders, name, overA, isUrgent, nowMs)) isForNobody = true;
    if (status === 'operated' && isExhausted(feeders, name, isUrgent, nowMs)) mayEnd = false;
    const { overSinceMs = 0, operatedMs = 0 } = since ?? {};
    for (const [index, word] of words.entries())
      word[name] = { ...word[name], status, overSinceMs, operatedMs, cause, shareA: shares[index] ?? 0 };
  }
  if (isForNobody) alarm(state, 'noTarget', 'over, and no feeder can be asked for more', nowMs, actions);
  else if (mayEnd) endAlarm(state, 'noTarget', nowMs, actions);
  return words;
}

function roomFor(
  { L1, L2, L3 }: TransformerState,
  settings: TransformerSettings,
  feeders: readonly SteppedFeeder[],
  nowMs: number,
): PerPhase<number>[] {
  return grantRoom(feeders, { L1: roomA(L1, settings), L2: roomA(L2, settings), L3: roomA(L3, settings) }, nowMs);
}

function wordAt(
  state: TransformerState,
  room: readonly PerPhase<number>[] | null,
  index: number,
  name: Phase,
): TransformerWord {
  return room === null ? AT_REST : { ...AT_REST, roomA: room[index]?.[name] ?? 0, isSeen: state[name].fresh };
}

const AT_REST: TransformerWord = {
  status: 'normal',
  overSinceMs: 0,
  operatedMs: 0,
  cause: null,
  shareA: 0,
  roomA: null,
  isSeen: true,
};

/** Puts what the transformer says into a feeder's state. False where it is what it said before. */
function hear(feeder: SteppedFeeder, words: Words | undefined, atMs: number, isWithReading: boolean): boolean {
  if (words === undefined || PHASES.every((name) => isSame(feeder.state[name], words[name]))) return false;
  feeder.recorded?.({ kind: 'transformer', words, isWithReading, atMs });
  hearTransformer(feeder.state, words);
  return true;
}

function isSame(
  { transformer, transformerCause, transformerShareA, transformerRoomA, transformerSeen }: PhaseState,
  word: TransformerWord,
) {
  return (
    word.status === transformer.status &&
    (word.status === 'normal' ||
      (word.overSinceMs === transformer.overSinceMs &&
        word.operatedMs === transformer.operatedMs &&
        word.shareA === transformerShareA &&
        word.cause?.element === transformerCause?.element &&
        word.cause?.currentA === transformerCause?.currentA)) &&
    word.roomA === transformerRoomA &&
    word.isSeen === transformerSeen
  );
}

/** Puts what the transformer says into a feeder's state; what it makes due is for `settle`. */
export function hearTransformer(state: FeederState, words: { readonly [P in Phase]: TransformerWord }): void {
  for (const name of PHASES) {
    const phase = state[name];
    const { status, overSinceMs, operatedMs, cause, shareA, roomA: room, isSeen } = words[name];
    // What it was locked for is over.
    if (status !== 'operated') resetElement(phase.transformer);
    Object.assign(phase.transformer, { status, overSinceMs, operatedMs });
    phase.transformerCause = cause;
    phase.transformerShareA = shareA;
    phase.transformerRoomA = room;
    phase.transformerSeen = isSeen;
  }
}

/** The transformer's current if every limit of its feeders were released now. */
function expectedA({ state, feeders }: SteppedTransformer): (name: Phase) => number {
  return (name) => {
    let sumA = state[name].currentA;
    for (const { state: of, control } of feeders) sumA += returnA(of[name], control, name, 100);
    return sumA;
  };
}
