// The recorded feeder weeks through control, open loop: levels come from controllableA, no effect is judged, and all
// times are as in service. Amperes are the magnitudes of the recorded kW per phase at 240 V and a power factor of 0.98;
// a row holds for its ten minutes, and a blank cell is a bad reading.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { newFeederState, stepReading, stepTime } from '../../src/control/feeder-control.ts';
import type { Action, ConductorInput, ControlRequest, ControlSettings } from '../../src/control/types.ts';
import { PHASES } from '../../src/feeder.ts';

export const WEEKS_FILE = join(import.meta.dirname, '../../../shared/data/feeders/nged_lv_feeders_10min_kw.csv.gz');
/** Of the feeder's own peak. */
export const RATING_PERCENTS = [60, 80, 100] as const;
const RESPONSE_MS = 720_000;

const A_PER_KW = 1000 / (240 * 0.98);
const MINUTE_MS = 60_000;
/** The peak itself is not over a rating of 100 % of it. */
const ROUNDING = 1 + 1e-9;
const ROW_MS = 10 * MINUTE_MS;

interface Week {
  readonly name: string;
  readonly rows: { readonly atMs: number; readonly currentsA: readonly (number | null)[] }[];
  peakA: number;
}

export interface WeekResult {
  readonly name: string;
  readonly ratingPercent: number;
  readonly ratingA: number;
  readonly episodes: number;
  /** Integral of (1 − level/100), and how long any limit stood. */
  readonly minutes: number;
  readonly limitedMinutes: number;
  /** Time for which the highest phase was over the rating. */
  readonly overMinutes: number;
  /** Changes of level, refreshes left out. */
  readonly changes: number;
  /** Opposite changes within the response time, but for a deeper one by `emergency` and the ends that may come any time. */
  readonly opposite: number;
}

/** Every feeder of the file, the busbars left out. */
export function readWeeks(file = WEEKS_FILE): Week[] {
  const weeks = new Map<string, Week>();
  for (const line of gunzipSync(readFileSync(file)).toString('utf8').split('\n').slice(1)) {
    const [stamp, substation, feeder, ...cells] = line.trim().split(',');
    if (stamp === undefined || substation === undefined || !/^\d+$/.test(feeder ?? '')) continue;
    const name = `${substation}/${feeder}`;
    const week = weeks.get(name) ?? { name, rows: [], peakA: 0 };
    weeks.set(name, week);
    const currentsA = cells.map((cell) => (cell === '' ? null : Math.abs(Number(cell)) * A_PER_KW));
    week.rows.push({ atMs: Date.parse(`${stamp.replace(' ', 'T')}Z`), currentsA });
    week.peakA = Math.max(week.peakA, ...currentsA.map((currentA) => currentA ?? 0));
  }
  return [...weeks.values()];
}

function settingsFor(ratingA: number): ControlSettings {
  return {
    group: 'week',
    ratingA,
    atRisk: { pickupA: ratingA * 0.95, dropoutA: ratingA * 0.85, delayS: 30, resetDelayS: 60 },
    emergency: { pickupA: ratingA * 1.2, dropoutA: ratingA * 0.95, delayS: 2, resetDelayS: 60 },
    curtailment: {
      mode: 'proportional',
      floorPercent: 0,
      leaseS: 1800,
      refreshS: 600,
      responseTimeS: RESPONSE_MS / 1000,
      maxEpisodeS: 14_400,
      releaseStepPercent: 25,
      minOnS: 0,
      minOffS: 0,
    },
    budget: { episodesPerYear: 4, minutesPerYear: 40, refuseBeyond: false },
    caps: { operationsPerDay: 0, requestsPerHour: 60, deepestLevelPercent: 0, longestLeaseS: 7200, feedersAtOnce: 0 },
    controllableA: { L1: ratingA * 0.4, L2: ratingA * 0.4, L3: ratingA * 0.4 },
    staleAfterMs: ROW_MS + MINUTE_MS,
    isOpenLoop: true,
    mayRequest: true,
  };
}

export function runWeek({ name, rows, peakA }: Week, ratingPercent: number): WeekResult {
  const ratingA = (peakA * ratingPercent) / 100;
  const settings = settingsFor(ratingA);
  const state = newFeederState();
  const actions: Action[] = [];
  let overMinutes = 0;
  const input = (currentA: number | null | undefined): ConductorInput =>
    currentA == null ? { currentA: null, quality: 'bad' } : { currentA, quality: 'good' };
  for (const { atMs, currentsA } of rows) {
    const [L1, L2, L3] = [input(currentsA[0]), input(currentsA[1]), input(currentsA[2])];
    stepReading(state, settings, { atMs, L1, L2, L3, N: input(null) }, actions);
    if (Math.max(...currentsA.map((currentA) => currentA ?? 0)) > ratingA * ROUNDING) overMinutes += ROW_MS / MINUTE_MS;
  }
  stepTime(state, settings, (rows.at(-1)?.atMs ?? 0) + 12 * 60 * MINUTE_MS, actions);
  const requests = actions.filter((action) => action.kind === 'request');
  return {
    name,
    ratingPercent,
    ratingA,
    episodes: state.usage.past.reduce((total, { episodes }) => total + episodes, 0),
    minutes: state.usage.past.reduce((total, { minutes }) => total + minutes, 0),
    limitedMinutes: limitedMinutes(actions),
    overMinutes,
    changes: requests.filter(({ action }) => action !== 'refresh').length,
    opposite: oppositeChanges(actions),
  };
}

/** From each first limit to its release or lapse. */
function limitedMinutes(actions: readonly Action[]): number {
  let total = 0;
  let sinceMs: number | null = null;
  let endMs = 0;
  for (const action of actions) {
    if (action.kind === 'request' && action.action !== 'release') {
      sinceMs ??= action.atMs;
      endMs = action.endMs;
      continue;
    }
    const isLapse = action.kind === 'event' && action.type === 'alarm' && action.alarm === 'lapsed';
    if (sinceMs === null || (action.kind !== 'request' && !isLapse)) continue;
    total += ((isLapse ? endMs : action.atMs) - sinceMs) / MINUTE_MS;
    sinceMs = null;
  }
  return total;
}

function oppositeChanges(actions: readonly Action[]): number {
  let count = 0;
  let levels: ControlRequest['levelPercent'] = {};
  let last: { readonly atMs: number; readonly up: boolean } | null = null;
  for (const request of actions) {
    if (request.kind === 'event') {
      // What has lapsed stands no longer; a new limit is no change of the old one.
      if (request.type === 'alarm' && request.alarm === 'lapsed') levels = {};
      continue;
    }
    const next = request.action === 'release' ? {} : request.levelPercent;
    const deeper = PHASES.some((phase) => (next[phase] ?? 100) < (levels[phase] ?? 100));
    const shallower = PHASES.some((phase) => (next[phase] ?? 100) > (levels[phase] ?? 100));
    levels = next;
    if (!deeper && !shallower) continue;
    const isFree = deeper ? request.trigger.element === 'emergency' : request.reason.includes('maxEpisodeS');
    if (last !== null && last.up !== shallower && !isFree && request.atMs < last.atMs + RESPONSE_MS) count += 1;
    last = { atMs: request.atMs, up: shallower && !deeper };
  }
  return count;
}
