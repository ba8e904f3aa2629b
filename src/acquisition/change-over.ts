// Which of a feeder's two sources is used. The preferred one, until it has been without a whole reading for half its
// staleness limit (so that control, whose delays bridge that limit, never sees a gap) while the backup has fewer bad
// phases; and again when it has been good for the set time, or the backup has become the worse one. One source or the
// other: a mean of two meters is the reading of neither. Pure; its memory is plain data, stepped in place.
import { type FeederReading, PHASES } from '../feeder.ts';

export interface ChangeOverSettings {
  /** How long the preferred source may be without a whole reading. */
  readonly awayAfterMs: number;
  /** How long it must have been good before it is taken again. */
  readonly backAfterMs: number;
  /** A reading older than this is none, by source. */
  readonly staleAfterMs: { readonly preferred: number; readonly backup: number };
}

export type Which = 'preferred' | 'backup';

export interface ChangeOver {
  used: Which;
  readonly latest: { preferred: FeederReading | null; backup: FeederReading | null };
  /** Of the preferred source: since when it is watched, its last whole reading, and since when all of them were good. */
  wholeMs: number;
  goodSinceMs: number | null;
}

export function newChangeOver(nowMs: number): ChangeOver {
  return { used: 'preferred', latest: { preferred: null, backup: null }, wholeMs: nowMs, goodSinceMs: null };
}

/** Takes a reading of one of the two. Gives the reason of a change, null where there is none. */
export function takeReading(
  state: ChangeOver,
  settings: ChangeOverSettings,
  which: Which,
  reading: FeederReading,
): string | null {
  const { atMs } = reading;
  state.latest[which] = reading;
  if (which === 'preferred') {
    if (badPhases(reading) === 0) state.wholeMs = atMs;
    const good = PHASES.every((name) => reading[name].quality === 'good');
    state.goodSinceMs = good ? (state.goodSinceMs ?? atMs) : null;
  }
  return state.used === 'preferred' ? leave(state, settings, atMs) : comeBack(state, settings, atMs);
}

function leave(state: ChangeOver, settings: ChangeOverSettings, nowMs: number): string | null {
  const missingMs = nowMs - state.wholeMs;
  if (missingMs < settings.awayAfterMs) return null;
  const preferred = usable(state, settings, 'preferred', nowMs);
  const backup = usable(state, settings, 'backup', nowMs);
  if (badPhases(backup) >= badPhases(preferred)) return null;
  state.used = 'backup';
  state.goodSinceMs = null;
  const why = preferred === null ? 'silent' : PHASES.flatMap((name) => wordOf(name, preferred)).join(', ');
  return `to the backup: the preferred source is ${why} for ${Math.round(missingMs)} ms`;
}

function comeBack(state: ChangeOver, settings: ChangeOverSettings, nowMs: number): string | null {
  const preferred = usable(state, settings, 'preferred', nowMs);
  const backup = usable(state, settings, 'backup', nowMs);
  // Silence ends a run of good readings too.
  if (preferred === null) state.goodSinceMs = null;
  const worse = badPhases(backup) > badPhases(preferred);
  const wellAgain = state.goodSinceMs !== null && nowMs - state.goodSinceMs >= settings.backAfterMs;
  if (!worse && !wellAgain) return null;
  state.used = 'preferred';
  state.wholeMs = nowMs;
  return worse
    ? 'back to the preferred source: the backup has more bad phases'
    : `back to the preferred source: good for ${settings.backAfterMs / 1000} s`;
}

/** The latest reading of a source, unless it is too old to be one. */
function usable(state: ChangeOver, settings: ChangeOverSettings, which: Which, nowMs: number): FeederReading | null {
  const reading = state.latest[which];
  return reading !== null && nowMs - reading.atMs <= settings.staleAfterMs[which] ? reading : null;
}

function badPhases(reading: FeederReading | null): number {
  return reading === null ? PHASES.length : PHASES.filter((name) => reading[name].quality === 'bad').length;
}

function wordOf(name: (typeof PHASES)[number], reading: FeederReading): string[] {
  const { quality, reason } = reading[name];
  return quality === 'bad' ? [`bad on ${name} (${reason})`] : [];
}
