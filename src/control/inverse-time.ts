// The inverse-time element on one conductor (IEC 60255-151; IEC 61850 PTOC with TmACrv): t = TMS·k / ((I/pickupA)^α − 1).
// For a current that changes, the share of t that has run is summed, each value holding until the next reading, so that
// it operates at its own instant and not at the next poll. The reset is of definite time: under pickup the sum is kept
// for resetDelayS and then lost; once operated it drops out after resetDelayS below dropoutA. Gaps as in
// definite-time.ts: an interval between two usable readings counts if both are over and close enough.
import type { Bridged, Transition } from './definite-time.ts';
import type { InverseSettings, InverseState } from './types.ts';

/** IEC 60255-151, table 1, curves A, B and C: k in seconds, α. */
const CURVES = { SI: { kS: 0.14, alpha: 0.02 }, VI: { kS: 13.5, alpha: 1 }, EI: { kS: 80, alpha: 2 } } as const;

const NEVER = Number.POSITIVE_INFINITY;

export function newInverse(): InverseState {
  return {
    status: 'normal',
    overSinceMs: 0,
    operatedMs: 0,
    underSinceMs: null,
    locked: false,
    progress: 0,
    countedMs: 0,
    countedA: 0,
  };
}

/** Operating time at a steady current, in seconds; Infinity at and under pickup. */
export function inverseTimeS({ curve, pickupA, timeMultiplier }: InverseSettings, currentA: number): number {
  if (currentA <= pickupA) return NEVER;
  const { kS, alpha } = CURVES[curve];
  return (timeMultiplier * kS) / ((currentA / pickupA) ** alpha - 1);
}

/** A usable reading. `held` is whether the one before held until now, no bad one having come between. */
export function readInverse(
  state: InverseState,
  settings: InverseSettings,
  currentA: number,
  atMs: number,
  good: boolean,
  bridged: Bridged,
  held: boolean,
): Transition {
  if (state.status === 'operated') {
    if (currentA >= settings.dropoutA) state.underSinceMs = null;
    else if (good && (state.underSinceMs === null || bridged !== 'good')) state.underSinceMs = atMs;
    return 'none';
  }
  const over = currentA >= settings.pickupA;
  if (state.status === 'normal') {
    if (!over) return 'none';
    state.status = 'pickedUp';
    state.overSinceMs = atMs;
    state.progress = 0;
    begin(state, currentA, atMs);
    return 'pickup';
  }
  if (bridged === 'none') state.progress = 0;
  else if (currentA === state.countedA) return 'none';
  else if (over || held) state.progress += shareRun(state, settings, atMs);
  begin(state, currentA, atMs);
  if (over) state.underSinceMs = null;
  else if (state.underSinceMs === null || bridged === 'none') state.underSinceMs = atMs;
  return 'none';
}

/** When the sum is full or the reset delay is over, if the last reading holds until then; Infinity when neither runs. */
export function inverseDueMs(state: InverseState, settings: InverseSettings): number {
  if (state.status === 'normal') return NEVER;
  if (state.underSinceMs !== null) return state.underSinceMs + settings.resetDelayS * 1000;
  if (state.status === 'operated') return NEVER;
  // A full sum is due at any current; at pickup exactly the time would be none of Infinity.
  if (state.progress >= 1) return state.countedMs;
  return state.countedMs + (1 - state.progress) * inverseTimeS(settings, state.countedA) * 1000;
}

/** What is due at `nowMs`. */
export function expireInverse(state: InverseState, settings: InverseSettings, nowMs: number): Transition {
  if (nowMs < inverseDueMs(state, settings)) return 'none';
  if (state.status === 'operated') return toNormal(state, 'dropout');
  if (state.underSinceMs !== null) return toNormal(state, 'reset');
  state.status = 'operated';
  state.operatedMs = nowMs;
  return 'operate';
}

/** Counts up to `atMs` under the settings that have held, before others do. */
export function countInverse(state: InverseState, settings: InverseSettings, atMs: number): void {
  if (state.status !== 'pickedUp') return;
  if (state.underSinceMs === null) state.progress += shareRun(state, settings, atMs);
  state.countedMs = atMs;
}

/** No usable reading for the staleness limit: what was being summed starts again; what has operated stays. */
export function blindInverse(state: InverseState): Transition {
  state.underSinceMs = null;
  return state.status === 'pickedUp' ? toNormal(state, 'reset') : 'none';
}

function begin(state: InverseState, currentA: number, atMs: number): void {
  state.countedA = currentA;
  state.countedMs = atMs;
}

function shareRun({ countedA, countedMs }: InverseState, settings: InverseSettings, atMs: number): number {
  return (atMs - countedMs) / (inverseTimeS(settings, countedA) * 1000);
}

function toNormal(state: InverseState, transition: Transition): Transition {
  state.status = 'normal';
  state.underSinceMs = null;
  state.locked = false;
  state.progress = 0;
  return transition;
}
