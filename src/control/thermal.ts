// The thermal element on one conductor: the replica of IEC 60255-149 (IEC 61850 PTTR), exact for a step of current:
// θ' = θ·e^(−Δt/τ) + (I/I_rating)²·(1 − e^(−Δt/τ)), with one time constant for heating and one for cooling. A reading's
// value holds until the next. Heat is in percent of what ratingA brings in the end; it is advanced when the current
// changes and computed for any instant in between, so that the outcome does not depend on how often it is polled. A
// transformer may have oil and winding in place of the two time constants (oil-and-winding.ts).
//
// What nobody has seen is taken at its worst: a gap at the higher of the currents on both sides, the first start at the
// steady state of the first good reading (at most 95 %), an unknown time away without any cooling. As long as such an
// assumption may still make the heat wrong by more than one percent it is flagged.
import type { Bridged, Transition } from './definite-time.ts';
import {
  approach,
  approached,
  hotSpotAt,
  hotSpotCrossingMs,
  hotSpotLowMs,
  oilSteadyPercent,
  oilTauMs,
  windingSteadyPercent,
} from './oil-and-winding.ts';
import type { ThermalSettings, ThermalState } from './types.ts';

const NEVER = Number.POSITIVE_INFINITY;
const MINUTE_MS = 60_000;
/** At a first start nothing has operated yet, so more than this is not assumed (design: flagged, at most 95 %). */
const FIRST_START_MOST_PERCENT = 95;
/** An assumption that can make less of a difference than this is not worth an alarm. */
const DOUBT_PERCENT = 1;
/** The alarm ends this far under its level, or it would flutter. */
const ALARM_HYSTERESIS_PERCENT = 2;
/** What an exponential may be off by. */
const ROUNDING_PERCENT = 1e-6;

export function newThermal(): ThermalState {
  return {
    status: 'normal',
    overSinceMs: 0,
    operatedMs: 0,
    underSinceMs: null,
    locked: false,
    known: 'no',
    heatPercent: 0,
    windingPercent: 0,
    heatMs: 0,
    heatA: 0,
    alarmed: false,
    doubtUntilMs: 0,
  };
}

/** Heat at `nowMs`, in percent, if the last reading holds until then. */
export function heatPercent(state: ThermalState, settings: ThermalSettings, nowMs: number): number {
  if (state.known !== 'yes') return state.heatPercent + state.windingPercent;
  const { oil, ratingA } = settings;
  const forMs = nowMs - state.heatMs;
  if (oil !== undefined) return hotSpotAt(state, oil, ratingA, state.heatA, forMs);
  return heated(state.heatPercent, steadyPercent(state.heatA, settings), forMs, settings);
}

/** Time from `nowMs` to 100 % at the present current, in seconds; Infinity where it never comes. */
export function timeToLimitS(state: ThermalState, settings: ThermalSettings, nowMs: number): number {
  if (heatPercent(state, settings, nowMs) >= 100) return 0;
  return Math.max(0, state.heatMs - nowMs + crossingMs(state, settings, 100)) / 1000;
}

/** What a request tells of the heat: percent, and seconds to 100 %; null where it is not known, or never comes. */
export function outlook(
  state: ThermalState,
  settings: ThermalSettings | undefined,
  nowMs: number,
): { readonly thermalPercent: number | null; readonly timeToLimitS: number | null } {
  if (settings === undefined || state.known !== 'yes') return { thermalPercent: null, timeToLimitS: null };
  const leftS = timeToLimitS(state, settings, nowMs);
  return {
    thermalPercent: heatPercent(state, settings, nowMs),
    timeToLimitS: Number.isFinite(leftS) ? leftS : null,
  };
}

/** A usable reading. `bridged` is `none` after a gap longer than the staleness limit. */
export function readThermal(
  state: ThermalState,
  settings: ThermalSettings,
  currentA: number,
  atMs: number,
  good: boolean,
  bridged: Bridged,
): void {
  if (state.known !== 'yes') {
    if (good) begin(state, settings, currentA, atMs);
    return;
  }
  if (bridged === 'none') bridgeGap(state, settings, currentA, atMs);
  else if (currentA === state.heatA) return;
  else advance(state, settings, atMs);
  state.heatMs = atMs;
  state.heatA = currentA;
}

/**
 * Whether nothing falls due, neither at the current that has held nor at `currentA` from now on, however long it holds:
 * heat and both steady states lie under the alarm level and under 100 %.
 */
export function staysCool(state: ThermalState, settings: ThermalSettings, currentA: number): boolean {
  const { known, status, alarmed, heatA } = state;
  const { alarmPercent, oil } = settings;
  if (known !== 'yes' || status !== 'normal' || alarmed || oil !== undefined) return false;
  const ceiling = (alarmPercent === null || alarmPercent > 100 ? 100 : alarmPercent) - ROUNDING_PERCENT;
  if (state.heatPercent >= ceiling) return false;
  return steadyPercent(heatA, settings) < ceiling && steadyPercent(currentA, settings) < ceiling;
}

/**
 * When it operates or drops out, if the last reading holds until then. `expectedA` is the current that is expected
 * after a release; up to `nowMs` everything has been run. It picks up at 100 %, or leadTimeMin before; it drops out at resetPercent, if at the expected
 * current 100 % is then more than twice leadTimeMin away.
 */
export function thermalDueMs(state: ThermalState, settings: ThermalSettings, expectedA: number, nowMs: number): number {
  if (state.known !== 'yes') return NEVER;
  const { heatMs, heatA } = state;
  const heat = state.heatPercent + state.windingPercent;
  // By far the most readings: under the rating, where 100 % never comes.
  if (state.status !== 'operated' && heat < 100 && heatA <= settings.ratingA && settings.oil === undefined)
    return NEVER;
  if (state.status !== 'operated')
    return heat >= 100
      ? heatMs
      : heatMs + Math.max(0, crossingMs(state, settings, 100) - settings.leadTimeMin * MINUTE_MS);
  const { oil, ratingA, resetPercent, leadTimeMin } = settings;
  if (oil !== undefined) {
    const safeMs = 2 * leadTimeMin * MINUTE_MS;
    const fromMs = nowMs - heatMs;
    const lowMs = hotSpotLowMs(state, oil, ratingA, resetPercent, expectedA, safeMs, fromMs);
    // Now is now, whatever the sum would be rounded to.
    return lowMs === fromMs ? nowMs : heatMs + lowMs;
  }
  const target = dropPercent(settings, expectedA);
  const crossedMs = heatMs + crossingMs(state, settings, target);
  if (heat > target) return crossedMs;
  // Heat that was low enough and rises is so until it crosses.
  return nowMs < crossedMs ? heatMs : NEVER;
}

/** When the alarm level is next crossed. */
export function alarmDueMs(state: ThermalState, settings: ThermalSettings): number {
  const { alarmPercent } = settings;
  if (alarmPercent === null || state.known !== 'yes') return NEVER;
  const { heatMs, alarmed } = state;
  const heat = state.heatPercent + state.windingPercent;
  const target = alarmed ? alarmPercent - ALARM_HYSTERESIS_PERCENT : alarmPercent;
  if (alarmed ? heat <= target : heat >= target) return heatMs;
  return heatMs + crossingMs(state, settings, target);
}

export function expireThermal(
  state: ThermalState,
  settings: ThermalSettings,
  expectedA: number,
  nowMs: number,
): Transition {
  if (nowMs < thermalDueMs(state, settings, expectedA, nowMs)) return 'none';
  advance(state, settings, nowMs);
  if (state.status === 'operated') {
    state.status = 'normal';
    state.locked = false;
    return 'dropout';
  }
  state.status = 'operated';
  state.overSinceMs = nowMs;
  state.operatedMs = nowMs;
  return 'operate';
}

/** Begins or ends the alarm when its level is crossed. */
export function expireAlarm(state: ThermalState, settings: ThermalSettings, nowMs: number): void {
  if (nowMs < alarmDueMs(state, settings)) return;
  advance(state, settings, nowMs);
  state.alarmed = !state.alarmed;
}

/** Another rating of a cable, up to `nowMs` the one before. */
export function rescale(state: ThermalState, before: ThermalSettings, after: ThermalSettings, nowMs: number): void {
  if (state.known === 'yes') advance(state, before, nowMs);
  scaleHeat(state, before.ratingA, after.ratingA);
}

/** The same conductor is as hot as before, which is another share of another limit. */
export function scaleHeat(state: ThermalState, beforeA: number, afterA: number): void {
  state.heatPercent *= (beforeA / afterA) ** 2;
}

function advance(state: ThermalState, settings: ThermalSettings, nowMs: number): void {
  heatFor(state, settings, state.heatA, nowMs - state.heatMs);
  state.heatMs = nowMs;
}

/** The heat after `forMs` of `currentA`. */
function heatFor(state: ThermalState, settings: ThermalSettings, currentA: number, forMs: number): void {
  const { oil, ratingA } = settings;
  if (oil !== undefined) approach(state, oil, ratingA, currentA, forMs);
  else state.heatPercent = heated(state.heatPercent, steadyPercent(currentA, settings), forMs, settings);
}

function begin(state: ThermalState, settings: ThermalSettings, currentA: number, atMs: number): void {
  const { oil, ratingA } = settings;
  const steady = oil === undefined ? steadyPercent(currentA, settings) : oilSteadyPercent(oil, ratingA, currentA);
  const winding = oil === undefined ? 0 : windingSteadyPercent(oil, ratingA, currentA);
  const share = Math.min(1, FIRST_START_MOST_PERCENT / (steady + winding));
  if (state.known !== 'given') {
    const isFirst = state.known === 'no';
    state.heatPercent = isFirst ? steady * share : Math.max(state.heatPercent, steady * share);
    state.windingPercent = isFirst ? winding * share : Math.max(state.windingPercent, winding * share);
    doubt(state, settings, state.heatPercent + state.windingPercent, atMs);
  }
  state.known = 'yes';
  state.heatMs = atMs;
  state.heatA = currentA;
}

function bridgeGap(state: ThermalState, settings: ThermalSettings, currentA: number, atMs: number): void {
  const gapMs = atMs - state.heatMs;
  const { heatPercent: before, windingPercent } = state;
  const { oil, ratingA } = settings;
  heatFor(state, settings, Math.max(state.heatA, currentA), gapMs);
  const least =
    oil === undefined
      ? heated(before, 0, gapMs, settings)
      : hotSpotAt({ heatPercent: before, windingPercent }, oil, ratingA, 0, gapMs);
  doubt(state, settings, state.heatPercent + state.windingPercent - least, atMs);
}

/** Notes by how much the heat may be assumed too high; it fades as heat does. */
function doubt(state: ThermalState, settings: ThermalSettings, percent: number, atMs: number): void {
  const { oil, timeConstantMin, coolingTimeConstantMin } = settings;
  const tauMs = oil === undefined ? Math.max(timeConstantMin, coolingTimeConstantMin) * MINUTE_MS : oilTauMs(oil);
  const left = state.doubtUntilMs > atMs ? DOUBT_PERCENT * Math.exp((state.doubtUntilMs - atMs) / tauMs) : 0;
  const share = Math.min(100, left + percent) / DOUBT_PERCENT;
  if (share > 1) state.doubtUntilMs = atMs + tauMs * Math.log(share);
}

function steadyPercent(currentA: number, { ratingA }: ThermalSettings): number {
  const share = currentA / ratingA;
  return 100 * share * share;
}

function heated(heat: number, steady: number, forMs: number, settings: ThermalSettings): number {
  return approached(heat, steady, forMs, tauMs(heat, steady, settings));
}

function tauMs(heat: number, steady: number, settings: ThermalSettings): number {
  return (steady >= heat ? settings.timeConstantMin : settings.coolingTimeConstantMin) * MINUTE_MS;
}

/** Time from `heatMs` until heat passes `target` at the current that holds; Infinity when that does not lie on its way. */
function crossingMs(state: ThermalState, settings: ThermalSettings, target: number): number {
  const { oil, ratingA } = settings;
  if (oil !== undefined) return hotSpotCrossingMs(state, oil, ratingA, state.heatA, target);
  const heat = state.heatPercent;
  const steady = steadyPercent(state.heatA, settings);
  const onTheWay = steady > heat ? heat < target && target < steady : steady < target && target < heat;
  return onTheWay ? tauMs(heat, steady, settings) * Math.log((heat - steady) / (target - steady)) : NEVER;
}

/** The heat under which it lets go. */
function dropPercent(settings: ThermalSettings, expectedA: number): number {
  const steady = steadyPercent(expectedA, settings);
  if (steady <= 100) return settings.resetPercent;
  const enoughPercent = steady - (steady - 100) * Math.exp((2 * settings.leadTimeMin) / settings.timeConstantMin);
  return Math.min(settings.resetPercent, enoughPercent);
}
