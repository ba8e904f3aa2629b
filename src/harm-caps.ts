// One box can only do so much harm: the caps of the settings, kept between control and what is said, with a count of
// their own and whatever control decides. They bound how deep, how long, how often and on how many feeders at once
// chargers may be limited. They never stop a release, a shallower level or the repeat of what stands.
import type { ControlRequest, FeederState } from './control/types.ts';
import { type PerPhase, PHASES } from './feeder.ts';
import type { SettingsGroup } from './feeder-settings.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Asked {
  levelPercent: PerPhase<number>;
  /** Of the standing limit; in the past where none stands. */
  endMs: number;
  /** Of limits and refreshes, and of first limits, oldest first. */
  requestTimesMs: number[];
  operationTimesMs: number[];
}

export class HarmCaps {
  readonly #feedersAtOnce: number;
  readonly #asked = new Map<string, Asked>();

  /** `feedersAtOnce` 0: no cap. */
  constructor(feedersAtOnce: number) {
    this.#feedersAtOnce = feedersAtOnce;
  }

  /** Goes on with what a feeder had asked for before a restart. */
  resume(feederId: string, state: FeederState): void {
    const levelPercent = Object.fromEntries(PHASES.map((name) => [name, state[name].levelPercent]));
    this.#asked.set(feederId, {
      levelPercent,
      endMs: state.episode?.endMs ?? Number.NEGATIVE_INFINITY,
      requestTimesMs: [...state.requestTimesMs],
      operationTimesMs: [...state.operationTimesMs],
    });
  }

  #othersLimited(feederId: string, nowMs: number): number {
    let count = 0;
    for (const [other, { endMs }] of this.#asked) if (other !== feederId && nowMs < endMs) count += 1;
    return count;
  }

  /** The request as it may be said, cut to what the caps allow; or in one line the cap that forbids it. */
  pass(feederId: string, caps: SettingsGroup['caps'], given: ControlRequest): ControlRequest | string {
    const asked = this.#asked.get(feederId) ?? newAsked();
    this.#asked.set(feederId, asked);
    if (given.action === 'release') {
      asked.endMs = Number.NEGATIVE_INFINITY;
      return given;
    }
    const request = cut(given, caps);
    const { atMs } = request;
    const isFirst = atMs >= asked.endMs;
    const isDeeper = isFirst || PHASES.some((name) => levelOf(request, name) < (asked.levelPercent[name] ?? 100));
    const isRepeat = !isDeeper && request.action === 'refresh' && request.endMs <= asked.endMs;
    if (isDeeper || (request.action === 'refresh' && !isRepeat)) {
      const broken = this.#broken(feederId, caps, request, asked, isFirst);
      if (broken !== null) return broken;
    }
    if (!isRepeat && caps.requestsPerHour > 0)
      asked.requestTimesMs = [...asked.requestTimesMs.filter((thenMs) => atMs < thenMs + HOUR_MS), atMs];
    if (isFirst && caps.operationsPerDay > 0)
      asked.operationTimesMs = [...asked.operationTimesMs.filter((thenMs) => atMs < thenMs + DAY_MS), atMs];
    asked.levelPercent = request.levelPercent;
    asked.endMs = request.endMs;
    return request;
  }

  #broken(
    feederId: string,
    { requestsPerHour, operationsPerDay }: SettingsGroup['caps'],
    { atMs, trigger }: ControlRequest,
    { requestTimesMs, operationTimesMs }: Asked,
    isFirst: boolean,
  ): string | null {
    if (isFull(requestTimesMs, requestsPerHour, atMs, HOUR_MS)) return `requestsPerHour ${requestsPerHour}`;
    if (!isFirst) return null;
    if (!trigger.isUrgent && isFull(operationTimesMs, operationsPerDay, atMs, DAY_MS))
      return `operationsPerDay ${operationsPerDay}`;
    const isCapped = this.#feedersAtOnce > 0 && this.#othersLimited(feederId, atMs) >= this.#feedersAtOnce;
    return isCapped ? `feedersAtOnce ${this.#feedersAtOnce}` : null;
  }
}

function newAsked(): Asked {
  return { levelPercent: {}, endMs: Number.NEGATIVE_INFINITY, requestTimesMs: [], operationTimesMs: [] };
}

function cut(request: ControlRequest, { deepestLevelPercent, longestLeaseS }: SettingsGroup['caps']): ControlRequest {
  const endMs = Math.min(request.endMs, request.atMs + longestLeaseS * 1000);
  const levels = Object.entries(request.levelPercent).map(([name, level]) => [
    name,
    Math.max(level, deepestLevelPercent),
  ]);
  return { ...request, endMs, levelPercent: Object.fromEntries(levels) };
}

function levelOf({ levelPercent }: ControlRequest, name: (typeof PHASES)[number]): number {
  return levelPercent[name] ?? 100;
}

/** By the very sum that control waits for: a fraction of a millisecond, rounded otherwise, would hold a limit back. */
function isFull(timesMs: readonly number[], most: number, atMs: number, spanMs: number): boolean {
  return most > 0 && timesMs.filter((thenMs) => atMs < thenMs + spanMs).length >= most;
}
