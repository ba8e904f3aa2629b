// What customers are spared, judged over a whole world at its end, from the sequence of events and the requests that the
// journal kept: no request against the one before within the response time, minimum times, caps of the hour and of the
// day, the budget of the year, the longest episode. By true time and by a count of its own; what a crash took away
// before it was kept has harmed nobody and is not in it.
import { PHASES, type Phase } from '../../src/feeder.ts';
import type { Curtailment, Event } from '../../src/messages.ts';
import { Breach } from './breach.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A crystal is off by 80 parts per million: 7 s in a day. */
const DRIFT = 1e-4;
const TURN_MS = 1_000;

/** Why a limit may be let go at any time: the longest episode, an operator. */
const AT_ANY_TIME = new Set(['maxEpisodeS', 'block', 'release', 'released by command', 'test', 'end of the test']);
const OF_TEST = new Set(['test', 'end of the test']);
const URGENT = new Set(['emergency', 'thermal']);

export interface Restraints {
  readonly responseTimeS: number;
  readonly minOnS: number;
  readonly minOffS: number;
  readonly maxEpisodeS: number;
  /** Of a release that has steps: as many as there are at most, and how long each lasts. */
  readonly releaseS: number;
  /** 0: no cap. */
  readonly requestsPerHour: number;
  readonly operationsPerDay: number;
  /** Null: no limit is refused for the budget. */
  readonly budget: { readonly episodes: number; readonly minutes: number } | null;
}

export interface Kept {
  readonly message: Curtailment;
  /** True time. */
  readonly decidedMs: number;
}

export interface RestraintInput {
  readonly events: Iterable<Event>;
  readonly kept: ReadonlyMap<string, Kept>;
  /** When the head end said of an episode for the last time that it is being sent on. */
  readonly dispatchedMs: ReadonlyMap<string, number>;
  /** Somewhere between these the program could not know how long it had been away: it counts that as nothing. */
  readonly lostCount: (fromMs: number, toMs: number) => boolean;
  /** For how long between these the program was not running, ms. */
  readonly awayMs: (fromMs: number, toMs: number) => number;
}

type Levels = { readonly [P in Phase]: number };
const FREE: Levels = { L1: 100, L2: 100, L3: 100 };

interface Standing {
  readonly episodeId: string;
  readonly firstMs: number;
  /** From where its longest time counts. */
  lengthFromMs: number;
  levels: Levels;
  sinceMs: number;
  endMs: number;
  /** Of full curtailment so far, ms. */
  spentMs: number;
}

/** Throws at the first request that should not have been made. */
export function judgeRestraint(restraints: Restraints, input: RestraintInput): void {
  const feeders = new Map<string, FeederJudge>();
  const told = new Set<string>();
  for (const event of input.events) {
    const { feederId, requestId = '', type } = event;
    if (feederId === null) continue;
    const judge = feeders.get(feederId) ?? new FeederJudge(restraints, input);
    feeders.set(feederId, judge);
    const kept = ['limit', 'refresh', 'release'].includes(type) ? input.kept.get(requestId) : undefined;
    if (kept === undefined) judge.heard(event);
    else if (!told.has(requestId)) judge.asked(kept, event.reason.replace(/^a step of release: /, ''));
    told.add(requestId);
  }
}

class FeederJudge {
  readonly #restraints: Restraints;
  readonly #input: RestraintInput;
  #standing: Standing | null = null;
  /** Of the last deeper level, the last shallower one, the last release. */
  #deeperMs = Number.NEGATIVE_INFINITY;
  #shallowerMs = Number.NEGATIVE_INFINITY;
  #releasedMs = Number.NEGATIVE_INFINITY;
  #requestsMs: number[] = [];
  #firstsMs: number[] = [];
  readonly #year = { episodes: 0, ms: 0 };
  #isLive = true;
  /** What has operated, and what the longest episode has locked, as `element phase`. */
  readonly #operated = new Set<string>();
  readonly #locked = new Set<string>();

  constructor(restraints: Restraints, input: RestraintInput) {
    this.#restraints = restraints;
    this.#input = input;
  }

  /** Anything but a request. */
  heard({ type, element, phase, alarm }: Event): void {
    const name = `${element} ${phase}`;
    if (type === 'operate') this.#operated.add(name);
    if (type === 'dropout') for (const set of [this.#operated, this.#locked]) set.delete(name);
    if (type === 'alarm' && alarm === 'reinforce') for (const one of this.#operated) this.#locked.add(one);
    // An operator arms it again, and a restart may know nothing of it.
    if (type === 'block' || type === 'restart') this.#locked.clear();
    if (type === 'restart') this.#operated.clear();
  }

  asked({ message, decidedMs: nowMs }: Kept, reason: string): void {
    // What lapsed is over already: it is said for whoever finds it retained.
    if (reason.startsWith('it has lapsed')) return;
    const fail = (what: string) => {
      throw new Breach(`${what}: ${reason} at hour ${(nowMs / HOUR_MS).toFixed(4)}: ${JSON.stringify(message)}`);
    };
    const before = this.#standingAt(message, nowMs);
    const levels = message.action === 'release' ? FREE : levelsOf(message);
    const isDeeper = PHASES.some((name) => levels[name] < (before?.levels ?? FREE)[name]);
    const isShallower = !isDeeper && PHASES.some((name) => levels[name] > (before?.levels ?? FREE)[name]);
    const endMs = nowMs + Date.parse(message.end) - Date.parse(message.issuedAt);
    const isRepeat = !isDeeper && !isShallower && before !== null && endMs < before.endMs + 2 * TURN_MS;
    if (isRepeat) return;
    if (isDeeper) this.#mayDeepen(message, before, nowMs, fail);
    if (isShallower && !AT_ANY_TIME.has(reason)) this.#mayRelease(before, nowMs, fail);
    if (!isShallower) this.#mayRequest(nowMs, fail);
    this.#isInTime(before, isDeeper, nowMs, fail);
    this.#take(message, before, { levels, isDeeper, isShallower, endMs, nowMs });
    if (OF_TEST.has(reason))
      [this.#shallowerMs, this.#releasedMs] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  }

  /** What it is said into; null where nothing stands. */
  #standingAt({ episodeId }: Curtailment, nowMs: number): Standing | null {
    const standing = this.#standing;
    if (standing === null || standing.episodeId === episodeId) return standing;
    this.#over(Math.min(nowMs, standing.endMs));
    return null;
  }

  #mayDeepen({ trigger, mode }: Curtailment, before: Standing | null, nowMs: number, fail: (what: string) => void) {
    const { responseTimeS, minOffS, operationsPerDay, budget } = this.#restraints;
    const isUrgent = URGENT.has(trigger.element);
    if (this.#locked.has(`${trigger.element} ${trigger.phase}`)) fail('asks again without having dropped out');
    if (isUrgent) return;
    if (isSooner(nowMs, this.#shallowerMs, responseTimeS))
      fail('hunts: deeper within responseTimeS of a shallower level');
    if (before !== null) return;
    if (isSooner(nowMs, this.#releasedMs, minOffS)) fail('a limit within minOffS');
    if (isFull(this.#firstsMs, operationsPerDay, nowMs, DAY_MS)) fail(`more than operationsPerDay ${operationsPerDay}`);
    if (budget === null || mode === 'test') return;
    if (this.#year.episodes >= budget.episodes || this.#year.ms > budget.minutes * 60_000 * (1 + DRIFT) + TURN_MS)
      fail(`beyond its budget: ${this.#year.episodes} episodes, ${this.#year.ms / 60_000} minutes`);
  }

  #mayRelease(before: Standing | null, nowMs: number, fail: (what: string) => void): void {
    const { responseTimeS, minOnS } = this.#restraints;
    if (isSooner(nowMs, this.#deeperMs, responseTimeS)) fail('hunts: shallower within responseTimeS of a deeper level');
    if (before !== null && isSooner(nowMs, before.firstMs, minOnS)) fail('let go within minOnS');
  }

  #mayRequest(nowMs: number, fail: (what: string) => void): void {
    const { requestsPerHour } = this.#restraints;
    if (isFull(this.#requestsMs, requestsPerHour, nowMs, HOUR_MS)) fail(`more than requestsPerHour ${requestsPerHour}`);
  }

  /** After its longest time an episode is let go step by step, unless another element asks. */
  #isInTime(before: Standing | null, isDeeper: boolean, nowMs: number, fail: (what: string) => void): void {
    if (before === null) return;
    const { maxEpisodeS, releaseS } = this.#restraints;
    const isOver = isLater(nowMs, before.lengthFromMs, maxEpisodeS);
    const awayS = this.#input.awayMs(before.lengthFromMs, nowMs) / 1000;
    if (isOver && isDeeper) before.lengthFromMs = nowMs;
    else if (isLater(nowMs, before.lengthFromMs, maxEpisodeS + releaseS + awayS)) fail('longer than maxEpisodeS');
  }

  #take(
    { action, episodeId, mode }: Curtailment,
    before: Standing | null,
    now: { levels: Levels; isDeeper: boolean; isShallower: boolean; endMs: number; nowMs: number },
  ): void {
    const { levels, isDeeper, isShallower, endMs, nowMs } = now;
    // Once an urgent element has turned the way, a deeper level of another phase is against nothing.
    if (isDeeper) [this.#deeperMs, this.#shallowerMs] = [nowMs, Number.NEGATIVE_INFINITY];
    if (isShallower) this.#shallowerMs = nowMs;
    if (action === 'release') {
      this.#over(nowMs);
      this.#releasedMs = nowMs;
      return;
    }
    this.#requestsMs = [...this.#requestsMs.filter((ms) => ms > nowMs - HOUR_MS), nowMs];
    if (before === null) {
      this.#firstsMs.push(nowMs);
      this.#releasedMs = Number.NEGATIVE_INFINITY;
      if (mode === 'live') this.#year.episodes += 1;
      this.#isLive = mode === 'live';
      this.#standing = { episodeId, firstMs: nowMs, lengthFromMs: nowMs, levels, sinceMs: nowMs, endMs, spentMs: 0 };
      return;
    }
    this.#spend(before, nowMs);
    Object.assign(before, { levels, sinceMs: nowMs, endMs });
  }

  /** The least that the limit has cost anybody, up to `nowMs`. */
  #spend(standing: Standing, nowMs: number): void {
    const fromMs = Math.max(standing.sinceMs, this.#input.dispatchedMs.get(standing.episodeId) ?? 0);
    const share = 1 - Math.min(...PHASES.map((name) => standing.levels[name])) / 100;
    standing.spentMs += share * Math.max(0, nowMs - fromMs);
  }

  #over(atMs: number): void {
    const standing = this.#standing;
    if (standing === null) return;
    this.#standing = null;
    this.#spend(standing, atMs);
    if (this.#isLive && !this.#input.lostCount(standing.firstMs, atMs)) this.#year.ms += standing.spentMs;
  }
}

function levelsOf({ phases, levelPercent, levelPercentByPhase }: Curtailment): Levels {
  const level = (name: Phase) => (phases.includes(name) ? (levelPercentByPhase?.[name] ?? levelPercent) : 100);
  return { L1: level('L1'), L2: level('L2'), L3: level('L3') };
}

function isSooner(nowMs: number, thenMs: number, waitS: number): boolean {
  return nowMs < thenMs + waitS * 1000 * (1 - DRIFT) - TURN_MS;
}

function isLater(nowMs: number, thenMs: number, waitS: number): boolean {
  return nowMs > thenMs + waitS * 1000 * (1 + DRIFT) + TURN_MS;
}

function isFull(timesMs: readonly number[], most: number, nowMs: number, withinMs: number): boolean {
  const fromMs = nowMs - withinMs * (1 - DRIFT) + TURN_MS;
  return most > 0 && timesMs.filter((ms) => ms > fromMs).length >= most;
}
