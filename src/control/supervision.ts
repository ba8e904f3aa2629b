// What is odd about a feeder's phases and changes what may be done, without being an overload: a phase that has gone
// dead, a phase that feeds back, and a phase that is no longer measured. Each is an alarm, and each has its rule for the
// standing limit.
import { type Conductor, ELEMENTS, PHASES, type Phase } from '../feeder.ts';
import { isBlocked } from './elements.ts';
import { alarm, endAlarm } from './requests.ts';
import type { Action, AlarmName, ControlReading, ControlSettings, FeederState, PhaseState } from './types.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A phase that falls within two readings from over the first to under the second share of the rating is dead, not light. */
const ALIVE_SHARE = 0.2;
export const DEAD_SHARE = 0.02;

/** Notes what one reading says: its currents have been taken into the phases already. By name: every reading asks this. */
export function superviseReading(
  state: FeederState,
  settings: ControlSettings,
  { atMs, exporting = NOT_ONE }: ControlReading,
): void {
  supervisePhase(state, state.L1, settings, atMs, exporting.length > 0 && exporting.includes('L1'));
  supervisePhase(state, state.L2, settings, atMs, exporting.length > 0 && exporting.includes('L2'));
  supervisePhase(state, state.L3, settings, atMs, exporting.length > 0 && exporting.includes('L3'));
}

const NOT_ONE: readonly Phase[] = [];

function supervisePhase(
  state: FeederState,
  phase: PhaseState,
  settings: ControlSettings,
  atMs: number,
  exports: boolean,
): void {
  const seen = phase.usableMs === atMs;
  if (seen) superviseDead(state, phase, settings, atMs);
  if (!exports) phase.exportsSinceMs = null;
  else if (seen && phase.exportsSinceMs === null) phase.exportsSinceMs = atMs;
}

/** When the next of these comes about by time alone. */
export function supervisionDueMs({ L1, L2, L3 }: FeederState, { atRisk }: ControlSettings): number {
  if (L1.exportsSinceMs === null && L2.exportsSinceMs === null && L3.exportsSinceMs === null) return NEVER;
  return Math.min(reverseDueMs(L1, atRisk), reverseDueMs(L2, atRisk), reverseDueMs(L3, atRisk));
}

function reverseDueMs({ exportsSinceMs, isReverse }: PhaseState, { delayS }: ControlSettings['atRisk']): number {
  return exportsSinceMs === null || isReverse ? NEVER : exportsSinceMs + delayS * 1000;
}

/** Raises and ends the alarms, and lets a limit go that stands on phases that feed back. */
export function runSupervision(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  const { L1, L2, L3, N, blind } = state;
  for (const name of PHASES) state[name].isReverse = isReverse(state[name], settings, nowMs);
  stand(state, 'phaseDead', L1.isDead || L2.isDead || L3.isDead, deadReason(state), nowMs, out);
  const reverse = PHASES.filter((name) => state[name].isReverse && isOver(state[name]));
  stand(state, 'reverseOverload', reverse.length > 0, `${reverse.join(', ')} feeds back`, nowMs, out);
  const lost: Conductor[] = PHASES.filter((name) => !state[name].fresh);
  const isPart = lost.length < 3;
  if (settings.neutral !== undefined && N.usableMs !== null && !N.fresh) lost.push('N');
  stand(state, 'measurementLost', !blind && isPart && lost.length > 0, `no ${lost.join(', ')}`, nowMs, out);
  const { episode } = state;
  if (episode !== null && episode.endedBy === null && reverse.length > 0 && limitIsReverse(state))
    episode.endedBy = 'reverseOverload';
}

/** A limit on a feeder with a dead phase is not released, and not refreshed unless somebody still asks. */
export function hasDeadPhase({ L1, L2, L3 }: FeederState): boolean {
  return L1.isDead || L2.isDead || L3.isDead;
}

function superviseDead(state: FeederState, phase: PhaseState, { ratingA, curtailment }: ControlSettings, atMs: number) {
  const { currentA, lastA, beforeLastA } = phase;
  phase.beforeLastA = lastA;
  phase.lastA = currentA;
  if (phase.isDead) {
    if (currentA < ratingA * DEAD_SHARE) return;
    phase.isDead = false;
    state.releaseHeldUntilMs = atMs + curtailment.responseTimeS * 1000;
  } else if (currentA < ratingA * DEAD_SHARE && Math.max(lastA, beforeLastA) > ratingA * ALIVE_SHARE) {
    phase.isDead = true;
  }
}

/** It has fed back for the whole delay: of at-risk, or of an element that has operated since. */
function isReverse(phase: PhaseState, { atRisk }: ControlSettings, nowMs: number): boolean {
  const { exportsSinceMs } = phase;
  if (exportsSinceMs === null) return false;
  if (nowMs >= exportsSinceMs + atRisk.delayS * 1000) return true;
  return ELEMENTS.some((name) => phase[name].status === 'operated' && exportsSinceMs <= phase[name].overSinceMs);
}

function isOver(phase: PhaseState): boolean {
  return ELEMENTS.some((name) => phase[name].status === 'operated');
}

/** Whatever is limited feeds back, so the limit does nothing for what was over. */
function limitIsReverse(state: FeederState): boolean {
  return PHASES.every((name) => state[name].levelPercent === 100 || state[name].isReverse) && !isBlocked(state, null);
}

function deadReason({ L1, L2, L3 }: FeederState): string {
  const dead = [L1.isDead ? 'L1' : '', L2.isDead ? 'L2' : '', L3.isDead ? 'L3' : ''].filter((name) => name !== '');
  return `${dead.join(', ')} fell from over 20 % of ratingA to under 2 % within two readings: no headroom`;
}

function stand(state: FeederState, name: AlarmName, is: boolean, reason: string, nowMs: number, out: Action[]): void {
  if (is) alarm(state, name, reason, nowMs, out);
  else endAlarm(state, name, nowMs, out);
}
