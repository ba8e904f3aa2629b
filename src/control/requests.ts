// What control says: a request with all that it rests on, and the start and end of an alarm. It decides nothing.
import { type PerPhase, PHASES, type Phase } from '../feeder.ts';
import { outlook } from './thermal.ts';
import type { Action, AlarmName, ConductorState, ControlSettings, FeederState, Trigger } from './types.ts';

export const HOUR_MS = 3_600_000;

/** Says a limit or refresh, which gets a new end and counts for the cap. */
export function sayLimit(
  state: FeederState,
  settings: ControlSettings,
  action: 'limit' | 'refresh',
  nowMs: number,
  reason: string,
  out: Action[],
): void {
  const { episode } = state;
  if (episode === null) return;
  const { leaseS } = settings.curtailment;
  const { longestLeaseS, requestsPerHour } = settings.caps;
  episode.endMs = nowMs + Math.min(leaseS, longestLeaseS) * 1000;
  episode.requestedMs = nowMs;
  if (requestsPerHour > 0)
    state.requestTimesMs = [...state.requestTimesMs.filter((thenMs) => nowMs < thenMs + HOUR_MS), nowMs];
  say(state, settings, action, nowMs, reason, limitedPhases(state), out);
}

/** The standing limit once more, as it is, with its old end. */
export function sayAgain(
  state: FeederState,
  settings: ControlSettings,
  nowMs: number,
  reason: string,
  out: Action[],
): void {
  say(state, settings, 'refresh', nowMs, reason, limitedPhases(state), out);
}

/** Says the release of `phases`. */
export function sayRelease(
  state: FeederState,
  settings: ControlSettings,
  phases: readonly Phase[],
  nowMs: number,
  reason: string,
  out: Action[],
): void {
  say(state, settings, 'release', nowMs, reason, phases, out);
}

export function limitedPhases(state: FeederState): Phase[] {
  return PHASES.filter((name) => state[name].levelPercent < 100);
}

/** The lowest of the phases, percent: what a whole feeder counts as. */
export function lowestLevelPercent({ L1, L2, L3 }: Pick<FeederState, 'L1' | 'L2' | 'L3'>): number {
  return Math.min(L1.levelPercent, L2.levelPercent, L3.levelPercent);
}

type Alarmed = Pick<FeederState, 'alarms'>;

/** Raises an alarm unless it is standing. */
export function alarm(state: Alarmed, name: AlarmName, reason: string, atMs: number, out: Action[]): void {
  if (state.alarms.includes(name)) return;
  state.alarms.push(name);
  out.push({ kind: 'event', type: 'alarm', atMs, alarm: name, reason });
}

/** Ends an alarm that is standing. */
export function endAlarm(state: Alarmed, name: AlarmName, atMs: number, out: Action[]): void {
  if (!state.alarms.includes(name)) return;
  state.alarms = state.alarms.filter((standing) => standing !== name);
  out.push({ kind: 'event', type: 'alarmEnd', atMs, alarm: name, reason: 'over' });
}

function say(
  state: FeederState,
  settings: ControlSettings,
  action: 'limit' | 'refresh' | 'release',
  nowMs: number,
  reason: string,
  phases: readonly Phase[],
  out: Action[],
): void {
  const { episode } = state;
  if (episode === null) return;
  const levelPercent: PerPhase<number> = Object.fromEntries(phases.map((name) => [name, state[name].levelPercent]));
  const reductionA: PerPhase<number> = Object.fromEntries(phases.map((name) => [name, state[name].reductionA]));
  const ages = phases.map((name) => nowMs - (state[name].usableMs ?? nowMs));
  out.push({
    kind: 'request',
    action,
    atMs: nowMs,
    endMs: episode.endMs,
    episodeStartedMs: episode.startedMs,
    levelPercent,
    reductionA,
    trigger: episode.trigger,
    ...heatOf(state, episode.trigger, settings, nowMs),
    currentA: { L1: seen(state.L1), L2: seen(state.L2), L3: seen(state.L3), N: seen(state.N) },
    quality: { L1: state.L1.quality, L2: state.L2.quality, L3: state.L3.quality },
    readingAgeMs: Math.max(0, ...ages),
    reason,
    mode: state.testUntilMs === null ? 'live' : 'test',
    group: settings.group,
  });
}

/** Of what triggered: the transformer where it asks, else the phase. */
function heatOf(state: FeederState, { element, phase }: Trigger, settings: ControlSettings, nowMs: number) {
  if (element === 'transformer' && phase !== 'N') {
    const { thermalPercent = null, timeToLimitS = null } = state[phase].transformerCause ?? {};
    return { thermalPercent, timeToLimitS };
  }
  return outlook(state[phase].thermal, settings.thermal, nowMs);
}

function seen(phase: ConductorState): number | null {
  return phase.fresh ? phase.currentA : null;
}
