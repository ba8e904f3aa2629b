// One conductor and the elements that watch it: a reading moves them, and what falls due between readings is run at its
// own instant. The same for the phases of a feeder, its neutral and the phases of a transformer.
import type { Conductor, Element } from '../feeder.ts';
import {
  type Bridged,
  blindElement,
  elementDueMs,
  expireElement,
  newElement,
  readElement,
  resetElement,
  type Transition,
} from './definite-time.ts';
import { blindInverse, expireInverse, inverseDueMs, newInverse, readInverse } from './inverse-time.ts';
import {
  alarmDueMs,
  expireAlarm,
  expireThermal,
  heatPercent,
  newThermal,
  readThermal,
  thermalDueMs,
  timeToLimitS,
} from './thermal.ts';
import type {
  Action,
  ConductorInput,
  ConductorState,
  DefiniteTimeSettings,
  ElementSettings,
  EventAction,
  InverseSettings,
  ThermalSettings,
} from './types.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A reading exactly as old as the limit still counts; one that is older does not. */
const STALE_MARGIN_MS = 1;

export function newConductor(): ConductorState {
  return {
    usableMs: null,
    goodMs: null,
    currentA: 0,
    quality: 'bad',
    fresh: false,
    atRisk: newElement(),
    emergency: newElement(),
    inverse: newInverse(),
    thermal: newThermal(),
  };
}

/** What the settings do not have is at rest. Heat that nobody follows is not known, and begins anew when it is followed. */
export function restConductor(on: ConductorState, { atRisk, emergency, inverse, thermal }: ElementSettings): void {
  if (atRisk === undefined) resetElement(on.atRisk);
  if (emergency === undefined) resetElement(on.emergency);
  if (inverse === undefined) Object.assign(on.inverse, newInverse());
  if (thermal === undefined) Object.assign(on.thermal, newThermal());
}

/** One reading. What it makes due is run by `runConductor`, which the caller asks next. */
export function readConductor(
  on: ConductorState,
  settings: ElementSettings,
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
  const held = on.quality !== 'bad';
  on.quality = quality;
  on.currentA = currentA;
  on.usableMs = atMs;
  if (good) on.goodMs = atMs;
  on.fresh = true;
  const { atRisk, emergency, inverse, thermal } = settings;
  if (atRisk !== undefined) {
    const moved = readElement(on.atRisk, atRisk, currentA, atMs, good, bridged);
    if (moved !== 'none') say(on, name, 'atRisk', moved, definiteReason(moved, atRisk, true), atMs, out);
  }
  if (emergency !== undefined) {
    const moved = readElement(on.emergency, emergency, currentA, atMs, good, bridged);
    if (moved !== 'none') say(on, name, 'emergency', moved, definiteReason(moved, emergency, true), atMs, out);
  }
  if (inverse !== undefined) {
    const moved = readInverse(on.inverse, inverse, currentA, atMs, good, bridged, held);
    if (moved !== 'none') say(on, name, 'inverse', moved, inverseReason(moved, inverse, true), atMs, out);
  }
  if (thermal !== undefined) readThermal(on.thermal, thermal, currentA, atMs, good, bridged);
}

/** When the conductor next has something due, everything up to `nowMs` having been run; its reading going stale, if nothing else. */
export function conductorDueMs(
  on: ConductorState,
  settings: ElementSettings,
  staleAfterMs: number,
  expectedA: number,
  nowMs: number,
): number {
  if (!on.fresh || on.usableMs === null) return NEVER;
  const { atRisk, emergency, inverse, thermal } = settings;
  let dueMs = on.usableMs + staleAfterMs + STALE_MARGIN_MS;
  if (atRisk !== undefined && on.atRisk.status !== 'normal' && runs(on, on.atRisk))
    dueMs = Math.min(dueMs, elementDueMs(on.atRisk, atRisk));
  if (emergency !== undefined && on.emergency.status !== 'normal' && runs(on, on.emergency))
    dueMs = Math.min(dueMs, elementDueMs(on.emergency, emergency));
  if (inverse !== undefined && on.inverse.status !== 'normal' && runs(on, on.inverse))
    dueMs = Math.min(dueMs, inverseDueMs(on.inverse, inverse));
  if (thermal !== undefined && runs(on, on.thermal)) {
    dueMs = Math.min(dueMs, thermalDueMs(on.thermal, thermal, expectedA, nowMs));
    if (thermal.alarmPercent !== null) dueMs = Math.min(dueMs, alarmDueMs(on.thermal, thermal));
  }
  return dueMs;
}

/** Everything that is due at `nowMs`: staleness, then delays. */
export function runConductor(
  on: ConductorState,
  settings: ElementSettings,
  staleAfterMs: number,
  expectedA: number,
  name: Conductor,
  nowMs: number,
  out: Action[],
): void {
  if (!on.fresh || on.usableMs === null) return;
  if (nowMs - on.usableMs > staleAfterMs) return goBlind(on, settings, name, nowMs, out);
  const { atRisk, emergency, inverse, thermal } = settings;
  if (atRisk !== undefined && on.atRisk.status !== 'normal' && runs(on, on.atRisk)) {
    const moved = expireElement(on.atRisk, atRisk, nowMs);
    if (moved !== 'none') say(on, name, 'atRisk', moved, definiteReason(moved, atRisk, true), nowMs, out);
  }
  if (emergency !== undefined && on.emergency.status !== 'normal' && runs(on, on.emergency)) {
    const moved = expireElement(on.emergency, emergency, nowMs);
    if (moved !== 'none') say(on, name, 'emergency', moved, definiteReason(moved, emergency, true), nowMs, out);
  }
  if (inverse !== undefined && on.inverse.status !== 'normal' && runs(on, on.inverse)) {
    const moved = expireInverse(on.inverse, inverse, nowMs);
    if (moved !== 'none') say(on, name, 'inverse', moved, inverseReason(moved, inverse, true), nowMs, out);
  }
  if (thermal !== undefined && runs(on, on.thermal)) runThermal(on, thermal, expectedA, name, nowMs, out);
}

/** Delays run only while the reading that they rest on holds; a bad one since then has to be bridged, and an uncertain one never releases. */
function runs(on: ConductorState, { status }: { readonly status: string }): boolean {
  return on.quality === 'good' || (on.quality === 'uncertain' && status !== 'operated');
}

function isSince(thenMs: number | null, fromMs: number): boolean {
  return thenMs !== null && thenMs >= fromMs;
}

function goBlind(
  on: ConductorState,
  { atRisk, emergency, inverse }: ElementSettings,
  name: Conductor,
  nowMs: number,
  out: Action[],
): void {
  on.fresh = false;
  if (atRisk !== undefined) {
    const moved = blindElement(on.atRisk);
    if (moved !== 'none') say(on, name, 'atRisk', moved, definiteReason(moved, atRisk, false), nowMs, out);
  }
  if (emergency !== undefined) {
    const moved = blindElement(on.emergency);
    if (moved !== 'none') say(on, name, 'emergency', moved, definiteReason(moved, emergency, false), nowMs, out);
  }
  if (inverse !== undefined) {
    const moved = blindInverse(on.inverse);
    if (moved !== 'none') say(on, name, 'inverse', moved, inverseReason(moved, inverse, false), nowMs, out);
  }
}

function runThermal(
  on: ConductorState,
  settings: ThermalSettings,
  expectedA: number,
  name: Conductor,
  nowMs: number,
  out: Action[],
): void {
  const { thermal } = on;
  expireAlarm(thermal, settings, nowMs);
  const moved = expireThermal(thermal, settings, expectedA, nowMs);
  if (moved === 'none') return;
  const thermalPercent = heatPercent(thermal, settings, nowMs);
  const heat = `heat ${thermalPercent.toFixed(1)} %`;
  if (moved === 'dropout') {
    const reason = `${heat}, at most resetPercent ${settings.resetPercent}, and 100 % is far`;
    return say(on, name, 'thermal', moved, reason, nowMs, out, thermalPercent);
  }
  const minutes = timeToLimitS(thermal, settings, nowMs) / 60;
  const reason =
    minutes === 0
      ? `${heat}, at or above 100`
      : `${heat}, 100 % in ${minutes.toFixed(1)} min at this current, leadTimeMin ${settings.leadTimeMin}`;
  say(on, name, 'thermal', 'pickup', reason, nowMs, out, thermalPercent);
  say(on, name, 'thermal', 'operate', reason, nowMs, out, thermalPercent);
}

function say(
  on: ConductorState,
  phase: Conductor,
  element: Element,
  transition: Transition,
  reason: string,
  atMs: number,
  out: Action[],
  thermalPercent?: number,
): void {
  const type = transition === 'reset' ? 'dropout' : (transition as EventAction['type']);
  const heat = thermalPercent === undefined ? {} : { thermalPercent };
  out.push({ kind: 'event', type, reason, atMs, element, phase, currentA: on.currentA, ...heat });
}

function definiteReason(
  transition: Transition,
  { pickupA, dropoutA, delayS, resetDelayS }: DefiniteTimeSettings,
  seen: boolean,
): string {
  if (transition === 'pickup') return `at or above pickupA ${pickupA}`;
  if (transition === 'operate') return `held for delayS ${delayS}`;
  if (transition === 'dropout') return `below dropoutA ${dropoutA} for resetDelayS ${resetDelayS}`;
  return seen ? 'under pickup before the delay was over' : 'no usable reading before the delay was over';
}

function inverseReason(
  transition: Transition,
  { curve, pickupA, dropoutA, timeMultiplier, resetDelayS }: InverseSettings,
  seen: boolean,
): string {
  if (transition === 'pickup') return `at or above pickupA ${pickupA}`;
  if (transition === 'operate') return `curve ${curve}, timeMultiplier ${timeMultiplier}, from pickupA ${pickupA}`;
  if (transition === 'dropout') return `below dropoutA ${dropoutA} for resetDelayS ${resetDelayS}`;
  return seen
    ? `under pickup for resetDelayS ${resetDelayS} before it operated`
    : 'no usable reading before it operated';
}
