// What is said of three conductors that are watched together, be they a feeder's or a transformer's: that none of them is
// seen, that they are hot, and that their heat is partly assumed. And how far their time has got: whatever falls due is
// used up by being run, and should it not be, timers wait rather than spin.
import { PHASES, type Phase } from '../feeder.ts';
import { alarm, endAlarm } from './requests.ts';
import { heatPercent, scaleHeat } from './thermal.ts';
import type { Action, ThermalSettings, ThreePhases } from './types.ts';

/** Blind is no usable reading on any phase: an alarm at once, and no new limit, because no element can pick up. */
export function judgeSight(state: ThreePhases, nowMs: number, out: Action[]): void {
  const { L1, L2, L3 } = state;
  const blind = !(L1.fresh || L2.fresh || L3.fresh);
  if (blind === state.blind) return;
  // Before the first reading there is nothing to lose; the source's own event says that it does not answer.
  if (blind && L1.usableMs === null && L2.usableMs === null && L3.usableMs === null) return;
  state.blind = blind;
  const reason = blind ? 'no usable reading on any phase' : 'readings are back';
  out.push({ kind: 'event', type: blind ? 'blind' : 'alarmEnd', atMs: nowMs, alarm: 'blind', reason });
}

/** The alarms of the thermal element: its level, and that it rests on an assumption. Without the element both are over. */
export function judgeHeat(
  state: ThreePhases,
  thermal: ThermalSettings | undefined,
  nowMs: number,
  out: Action[],
): void {
  if (thermal === undefined && !state.heatAssumed && state.alarms.length === 0) return;
  const { L1, L2, L3 } = state;
  const isHot = L1.thermal.alarmed || L2.thermal.alarmed || L3.thermal.alarmed;
  if (!isHot || typeof thermal?.alarmPercent !== 'number') endAlarm(state, 'thermalAlarm', nowMs, out);
  else if (!state.alarms.includes('thermalAlarm'))
    alarm(state, 'thermalAlarm', hotText(state, thermal, nowMs), nowMs, out);
  const assumed = thermal !== undefined && nowMs < heatDoubtMs(state);
  if (assumed === state.heatAssumed) return;
  state.heatAssumed = assumed;
  const reason = assumed ? 'the heat is partly assumed, at its worst credible value' : 'what was assumed has faded';
  out.push({ kind: 'event', type: assumed ? 'alarm' : 'alarmEnd', atMs: nowMs, alarm: 'thermalAssumed', reason });
}

/**
 * The same conductors are as hot as before, which is another share of another rating. A hot spot has its temperature
 * whatever the rating.
 */
export function rateHeat(state: ThreePhases, thermal: ThermalSettings | undefined): void {
  const ratingA = thermal === undefined || thermal.oil !== undefined ? null : thermal.ratingA;
  const { heatRatingA: beforeA } = state;
  state.heatRatingA = ratingA;
  if (ratingA === null || beforeA === null || beforeA === ratingA) return;
  for (const name of PHASES) scaleHeat(state[name].thermal, beforeA, ratingA);
}

/** The heat with which the first reading begins, where somebody says it. */
export function giveHeat(state: ThreePhases, percentOf: (name: Phase) => number): void {
  for (const name of PHASES) {
    const { thermal } = state[name];
    thermal.known = 'given';
    thermal.heatPercent = percentOf(name);
  }
}

function hotText(state: ThreePhases, thermal: ThermalSettings, nowMs: number): string {
  const hot = PHASES.filter((name) => state[name].thermal.alarmed);
  const texts = hot.map((name) => `${name} ${heatPercent(state[name].thermal, thermal, nowMs).toFixed(1)} %`);
  return `heat ${texts.join(', ')}, at or above alarmPercent ${thermal.alarmPercent}`;
}

/** Until when the heat of any of them rests on an assumption. */
export function heatDoubtMs({ L1, L2, L3 }: ThreePhases): number {
  return Math.max(L1.thermal.doubtUntilMs, L2.thermal.doubtUntilMs, L3.thermal.doubtUntilMs);
}

/** So often within a millisecond, without a reading: several times what can follow from one another there. */
const RUNS_AT_ONCE_MAX = 100;
const WAIT_MS = 1_000;

/** Everything that was due at `nowMs` has been run. What is due there again and again is a fault, and is said. */
export function runUpTo(state: ThreePhases, nowMs: number, out: Action[]): void {
  state.runsAtOnce = isLater(nowMs, state) ? 0 : state.runsAtOnce + 1;
  state.steppedToMs = nowMs;
  if (state.runsAtOnce < RUNS_AT_ONCE_MAX) return;
  alarm(state, 'dueAgain', `due ${RUNS_AT_ONCE_MAX} times within a millisecond: timers wait a second each`, nowMs, out);
}

/**
 * When what is due at `dueMs` is run: never before what has been run, since other settings may make a delay long over. A
 * second later where things were due again and again at one instant: readings are taken all the same, and run what is
 * due, and every limit ends by itself.
 */
export function runMs({ steppedToMs, alarms }: ThreePhases, dueMs: number): number {
  const fromMs = alarms.includes('dueAgain') ? steppedToMs + WAIT_MS : steppedToMs;
  return dueMs > fromMs ? dueMs : fromMs;
}

/** What is due next, `dueMs`, is not due at the last instant again: timers need not wait any longer. */
export function endDueAgain(state: ThreePhases, dueMs: number, nowMs: number, out: Action[]): void {
  if (isLater(dueMs, state)) endAlarm(state, 'dueAgain', nowMs, out);
}

function isLater(atMs: number, { steppedToMs }: ThreePhases): boolean {
  return Math.floor(atMs) > Math.floor(steppedToMs);
}
