// How much a head end lets each feeder have, whatever it is asked for: counted here, by its own clock, because the code
// of a stolen box need not keep its caps. Levels and times are cut to what is allowed; what is too often, or of too many
// feeders, is refused. None of it holds up a release, and no count holds up a shallower level. Pure: time is given.
import { z } from 'zod';
import { type PerPhase, PHASES } from '../../feeder.ts';
import type { Curtailment } from '../../messages.ts';
import type { HeadEndCaps } from './rules.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A request as it may be acted on, with a word about each cut. */
export interface Allowed {
  readonly message: Curtailment;
  readonly endWallMs: number;
  readonly remarks: readonly string[];
}

/** What has been counted of one feeder. All times are of the head end's wall clock, ms. */
export const trackSchema = z.strictObject({
  substationId: z.string(),
  /** The latest request that was counted: it is retained, and comes again after a restart. */
  requestId: z.string().nullable(),
  levels: z.partialRecord(z.enum(PHASES), z.number()),
  /** Of the limit in force; in the past where there is none. */
  fromMs: z.number(),
  endMs: z.number(),
  /** Since when there has been no pause worth the name. */
  sinceMs: z.number(),
  requestsMs: z.array(z.number()),
  firstsMs: z.array(z.number()),
  /** Limits that are over. */
  past: z.array(z.strictObject({ fromMs: z.number(), toMs: z.number() })),
});
type Track = z.output<typeof trackSchema>;
/** By substation and feeder. */
export type Tracks = Map<string, Track>;

export class Caps {
  readonly #tracks: Tracks;
  #caps: HeadEndCaps;

  /** `tracks` are what was counted before; they are counted on in place. */
  constructor(caps: HeadEndCaps, tracks: Tracks) {
    this.#caps = caps;
    this.#tracks = tracks;
  }

  /** Others from now on; what has been counted stays. */
  set caps(caps: HeadEndCaps) {
    this.#caps = caps;
  }

  /** Counts a request that came at `wallMs`, or says in one line why it is refused. */
  take(message: Curtailment, wallMs: number): Allowed | { readonly refused: string } {
    const asked = asAsked(message, wallMs);
    const askedEndMs = asked.endWallMs;
    if (message.action === 'release') {
      this.ended(message, wallMs);
      return asked;
    }
    const track = this.#trackOf(message);
    if (track.requestId === message.requestId) return this.#asCounted(track, asked, wallMs);
    const isFirst = wallMs >= track.endMs;
    if (isFirst) pass(track, wallMs);
    const levels = levelsOf(message, this.#caps.deepestLevelPercent);
    const isDeeper = isFirst || PHASES.some((name) => (levels[name] ?? 100) < (track.levels[name] ?? 100));
    const broken = isDeeper || message.action === 'refresh' ? this.#broken(track, message, isFirst, wallMs) : null;
    if (broken !== null) return { refused: broken };
    const hasPaused = isFirst && wallMs - track.endMs >= this.#caps.pauseS * 1000;
    const fromMs = isFirst ? wallMs : track.fromMs;
    const sinceMs = hasPaused ? wallMs : track.sinceMs;
    const { endMs, remark } = this.#endOf({ ...track, fromMs, sinceMs }, askedEndMs, wallMs);
    if (endMs <= wallMs) return { refused: remark };
    if (isFirst) track.firstsMs.push(wallMs);
    track.fromMs = fromMs;
    track.sinceMs = sinceMs;
    track.requestsMs.push(wallMs);
    track.requestId = message.requestId;
    track.levels = levels;
    track.endMs = endMs;
    const remarks = endMs < askedEndMs ? [remark] : [];
    return { ...this.#atLevels(message, levels, remarks), endWallMs: endMs };
  }

  /** The limit of its feeder is over before its end. */
  ended(message: Curtailment, wallMs: number): void {
    const track = this.#trackOf(message);
    track.endMs = Math.min(track.endMs, wallMs);
    pass(track, wallMs);
  }

  /** Counted before a restart: nothing is counted again, and no time begins anew. */
  #asCounted(track: Track, { message, endWallMs }: Allowed, wallMs: number): Allowed | { readonly refused: string } {
    const remark = 'count of before its restart';
    if (track.endMs <= wallMs) return { refused: remark };
    const levels = levelsOf(message, this.#caps.deepestLevelPercent);
    const remarks = track.endMs < endWallMs ? [remark] : [];
    return { ...this.#atLevels(message, levels, remarks), endWallMs: Math.min(endWallMs, track.endMs) };
  }

  #broken(track: Track, { priority }: Curtailment, isFirst: boolean, wallMs: number): string | null {
    const { requestsPerHour, operationsPerDay, feedersAtOnce } = this.#caps;
    if (isFull(track.requestsMs, requestsPerHour, wallMs - HOUR_MS)) return `requestsPerHour ${requestsPerHour}`;
    if (!isFirst) return null;
    if (priority !== 'emergency' && isFull(track.firstsMs, operationsPerDay, wallMs - DAY_MS))
      return `operationsPerDay ${operationsPerDay}`;
    const others = [...this.#tracks.values()].filter(
      (other) => other !== track && other.substationId === track.substationId && wallMs < other.endMs,
    );
    return feedersAtOnce > 0 && others.length >= feedersAtOnce ? `feedersAtOnce ${feedersAtOnce}` : null;
  }

  /** The earliest of what was asked for and what the caps of time allow, and which of them it is. */
  #endOf({ fromMs, sinceMs, past }: Track, askedMs: number, wallMs: number): { endMs: number; remark: string } {
    const { longestLeaseS, longestLimitS, minutesPerDay } = this.#caps;
    const spentMs = past.reduce((sum, one) => sum + one.toMs - Math.max(one.fromMs, wallMs - DAY_MS), 0);
    const ends = [
      { endMs: askedMs, remark: 'came after its end' },
      { endMs: wallMs + longestLeaseS * 1000, remark: `longestLeaseS ${longestLeaseS}` },
      { endMs: sinceMs + longestLimitS * 1000, remark: `longestLimitS ${longestLimitS}` },
      ...(minutesPerDay === 0
        ? []
        : [{ endMs: fromMs + minutesPerDay * 60_000 - spentMs, remark: `minutesPerDay ${minutesPerDay}` }]),
    ];
    return ends.reduce((first, other) => (other.endMs < first.endMs ? other : first));
  }

  #atLevels(message: Curtailment, levels: PerPhase<number>, remarks: readonly string[]): Omit<Allowed, 'endWallMs'> {
    const { deepestLevelPercent } = this.#caps;
    if (message.levelPercent >= deepestLevelPercent) return { message, remarks };
    const cut = {
      ...message,
      levelPercent: deepestLevelPercent,
      ...(message.levelPercentByPhase && { levelPercentByPhase: levels }),
    };
    return { message: cut, remarks: [...remarks, `deepestLevelPercent ${deepestLevelPercent}`] };
  }

  #trackOf({ substationId, feederId }: Curtailment): Track {
    const key = `${substationId}/${feederId}`;
    const known = this.#tracks.get(key);
    if (known !== undefined) return known;
    const track: Track = {
      substationId,
      requestId: null,
      levels: {},
      fromMs: 0,
      endMs: 0,
      sinceMs: 0,
      requestsMs: [],
      firstsMs: [],
      past: [],
    };
    this.#tracks.set(key, track);
    return track;
  }
}

/** Nothing of it cut; a clock that is wrong lengthens nothing. */
export function asAsked(message: Curtailment, wallMs: number): Allowed {
  const endWallMs = Math.min(Date.parse(message.end), wallMs + message.durationS * 1000);
  return { message, endWallMs, remarks: [] };
}

/** Puts the limit that is over among the past ones, and forgets what is older than a day. */
function pass(track: Track, wallMs: number): void {
  if (track.fromMs < track.endMs) track.past.push({ fromMs: track.fromMs, toMs: track.endMs });
  track.fromMs = track.endMs;
  track.levels = {};
  track.past = track.past.filter(({ toMs }) => toMs > wallMs - DAY_MS);
  track.requestsMs = track.requestsMs.filter((atMs) => atMs > wallMs - HOUR_MS);
  track.firstsMs = track.firstsMs.filter((atMs) => atMs > wallMs - DAY_MS);
}

function levelsOf({ phases, levelPercent, levelPercentByPhase }: Curtailment, deepest: number): PerPhase<number> {
  return Object.fromEntries(
    phases.map((name) => [name, Math.max(levelPercentByPhase?.[name] ?? levelPercent, deepest)]),
  );
}

function isFull(timesMs: readonly number[], most: number, sinceMs: number): boolean {
  return most > 0 && timesMs.filter((atMs) => atMs > sinceMs).length >= most;
}
