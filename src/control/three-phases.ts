// What is said of three conductors that are watched together, be they a feeder's or a transformer's: that none of them is
// seen, that they are hot, and that their heat is partly assumed.
import { alarm, endAlarm } from './requests.ts';
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

/** The alarms of the thermal element: its level, and that it rests on an assumption. */
export function judgeHeat(state: ThreePhases, { alarmPercent }: ThermalSettings, nowMs: number, out: Action[]): void {
  const { L1, L2, L3 } = state;
  if (L1.thermal.alarmed || L2.thermal.alarmed || L3.thermal.alarmed)
    alarm(state, 'thermalAlarm', `at or above alarmPercent ${alarmPercent}`, nowMs, out);
  else endAlarm(state, 'thermalAlarm', nowMs, out);
  const assumed = nowMs < heatDoubtMs(state);
  if (assumed === state.heatAssumed) return;
  state.heatAssumed = assumed;
  const reason = assumed ? 'the heat is partly assumed, at its worst credible value' : 'what was assumed has faded';
  out.push({ kind: 'event', type: assumed ? 'alarm' : 'alarmEnd', atMs: nowMs, alarm: 'thermalAssumed', reason });
}

/** Until when the heat of any of them rests on an assumption. */
export function heatDoubtMs({ L1, L2, L3 }: ThreePhases): number {
  return Math.max(L1.thermal.doubtUntilMs, L2.thermal.doubtUntilMs, L3.thermal.doubtUntilMs);
}
