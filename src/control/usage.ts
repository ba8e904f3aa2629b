// What the limits of one feeder cost its customers over the last year: episodes, and minutes as the integral of
// (1 − level/100) over time. The lowest level of the phases counts for the whole feeder, from the first `dispatched` of
// the head end, else from the start, to the end: an upper bound for any one customer. Time away that nobody knows is
// taken as none, so that a restart never gives minutes back. Against the budget there is an alarm before it and one at
// it; a limit is held back for it only where the settings say so.
import { rounded } from '../feeder.ts';
import { alarm, endAlarm, lowestLevelPercent } from './requests.ts';
import type { Action, AlarmName, BudgetSettings, ControlSettings, FeederState } from './types.ts';

const MINUTE_MS = 60_000;
const YEAR_MS = 365 * 24 * 60 * MINUTE_MS;
const NEVER = Number.POSITIVE_INFINITY;

/** As many ended episodes are kept one by one; then the oldest two become one entry, far over any budget. */
const PAST_MAX = 32;

/** The share of the year's minutes at which the alarm before the budget is raised. */
const NEAR_SHARE = 0.75;

/** Ended episodes, which count until a year after `endedMs`. */
interface PastUse {
  readonly endedMs: number;
  readonly episodes: number;
  readonly minutes: number;
}

export interface Usage {
  past: PastUse[];
  /** Of the standing episode up to `sinceMs`; from then on `levelPercent` counts. */
  minutes: number;
  sinceMs: number;
  levelPercent: number;
  /** A `dispatched` has come for the standing episode. */
  dispatched: boolean;
}

export function newUsage(): Usage {
  return { past: [], minutes: 0, sinceMs: 0, levelPercent: 100, dispatched: false };
}

/** After every change of level: what has run is added up, and the new level counts from `nowMs`. */
export function countLevel(state: FeederState, nowMs: number): void {
  const { usage } = state;
  usage.minutes += runningMinutes(usage, nowMs);
  usage.sinceMs = nowMs;
  usage.levelPercent = state.testUntilMs === null ? lowestLevelPercent(state) : 100;
}

/** The head end has sent the standing limit on: until the first time it has cost nobody anything. */
export function countDispatched({ usage }: FeederState, nowMs: number): void {
  if (usage.dispatched) return;
  usage.dispatched = true;
  usage.minutes = 0;
  usage.sinceMs = nowMs;
}

/** The standing episode is over. A test has limited nobody. */
export function endUse({ usage, testUntilMs }: FeederState, atMs: number): void {
  const minutes = usage.minutes + runningMinutes(usage, atMs);
  const past = usage.past.filter(({ endedMs }) => atMs < endedMs + YEAR_MS);
  usage.past = testUntilMs === null ? bounded([...past, { endedMs: atMs, episodes: 1, minutes }]) : past;
  usage.minutes = 0;
  usage.sinceMs = atMs;
  usage.levelPercent = 100;
  usage.dispatched = false;
}

/** Of the year up to `nowMs`, the standing episode among them. */
export function yearOf(state: FeederState, nowMs: number): { episodes: number; minutes: number } {
  const { usage } = state;
  return {
    episodes: pastOf(usage, 'episodes', nowMs) + standing(state),
    minutes: pastOf(usage, 'minutes', nowMs) + usage.minutes + runningMinutes(usage, nowMs),
  };
}

/** Raises and ends the alarms before and at the budget. */
export function judgeBudget(state: FeederState, { budget }: ControlSettings, nowMs: number, out: Action[]): void {
  const isSpent = nowMs >= reachedMs(state, budget, 1, nowMs);
  const isNear = !isSpent && nowMs >= reachedMs(state, budget, NEAR_SHARE, nowMs);
  setAlarm(state, 'budgetNear', isNear, budget, nowMs, out);
  setAlarm(state, 'budget', isSpent, budget, nowMs, out);
}

/** When the next of these alarms begins or ends by time alone. */
export function budgetDueMs(state: FeederState, { budget }: ControlSettings): number {
  const { usage, steppedToMs, alarms } = state;
  const isSpent = alarms.includes('budget');
  const isNear = alarms.includes('budgetNear');
  const spentMs = isSpent ? NEVER : reachedMs(state, budget, 1, steppedToMs);
  const nearMs = isSpent || isNear ? NEVER : reachedMs(state, budget, NEAR_SHARE, steppedToMs);
  return Math.min(spentMs, nearMs, isSpent || isNear ? nextExpiryMs(usage, steppedToMs) : NEVER);
}

/** Until when a first limit is held back for the budget: only where the settings say so. */
export function budgetUntilMs(state: FeederState, { budget }: ControlSettings, nowMs: number): number {
  const isHeld = budget.refuseBeyond && state.episode === null && nowMs >= reachedMs(state, budget, 1, nowMs);
  return isHeld ? nextExpiryMs(state.usage, nowMs) : Number.NEGATIVE_INFINITY;
}

/**
 * When a share of the budget is spent, at the level that stands; Infinity while that cannot be. Of whole episodes the
 * last but one is near.
 */
function reachedMs(state: FeederState, budget: BudgetSettings, share: number, nowMs: number): number {
  const { episodesPerYear, minutesPerYear } = budget;
  const { usage } = state;
  const atEpisodes = Math.max(1, Math.floor(episodesPerYear * share));
  if (episodesPerYear > 0 && pastOf(usage, 'episodes', nowMs) + standing(state) >= atEpisodes) return nowMs;
  if (minutesPerYear === 0) return NEVER;
  const leftMinutes = minutesPerYear * share - pastOf(usage, 'minutes', nowMs) - usage.minutes;
  if (leftMinutes <= 0) return nowMs;
  return usage.levelPercent === 100
    ? NEVER
    : usage.sinceMs + (leftMinutes * MINUTE_MS) / (1 - usage.levelPercent / 100);
}

function setAlarm(
  state: FeederState,
  name: AlarmName,
  is: boolean,
  { episodesPerYear, minutesPerYear }: BudgetSettings,
  nowMs: number,
  out: Action[],
): void {
  if (!is) return endAlarm(state, name, nowMs, out);
  if (state.alarms.includes(name)) return;
  const { episodes, minutes } = yearOf(state, nowMs);
  const used = `${episodes} of ${episodesPerYear} episodes and ${rounded(minutes, 1)} of ${minutesPerYear} minutes`;
  alarm(state, name, `${used} in a year: reinforce this feeder`, nowMs, out);
}

/** Live episodes that stand: one or none. */
function standing({ episode, testUntilMs }: FeederState): number {
  return episode === null || testUntilMs !== null ? 0 : 1;
}

/** When the oldest of the ended episodes is a year old. */
function nextExpiryMs({ past }: Usage, nowMs: number): number {
  for (const { endedMs } of past) if (nowMs < endedMs + YEAR_MS) return endedMs + YEAR_MS;
  return NEVER;
}

function pastOf({ past }: Usage, what: 'episodes' | 'minutes', nowMs: number): number {
  let sum = 0;
  for (const use of past) if (nowMs < use.endedMs + YEAR_MS) sum += use[what];
  return sum;
}

function runningMinutes({ sinceMs, levelPercent }: Usage, nowMs: number): number {
  return ((1 - levelPercent / 100) * Math.max(0, nowMs - sinceMs)) / MINUTE_MS;
}

function bounded(past: PastUse[]): PastUse[] {
  const [first, second, ...rest] = past;
  if (first === undefined || second === undefined || past.length <= PAST_MAX) return past;
  const joined = {
    endedMs: second.endedMs,
    episodes: first.episodes + second.episodes,
    minutes: first.minutes + second.minutes,
  };
  return [joined, ...rest];
}
