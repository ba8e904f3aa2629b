// A state that was kept, brought to the present after a restart. The time away is known within one boot of the
// machine (the monotonic clock went on), or over boots while the wall clock was right on both sides; the state's times
// are then shifted and the time between is a gap like any other. Otherwise it is unknown: standing limits are taken as
// lapsed, because their ends have passed for all that anybody knows.
import { PHASES } from '../feeder.ts';
import { newFeederState } from './feeder-control.ts';
import { newTransformerState, type TransformerState } from './transformer.ts';
import type { ConductorState, FeederState, ThreePhases } from './types.ts';
import { endUse } from './usage.ts';

export interface KeptAt {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly bootId: string;
  readonly clockSynchronised: boolean;
}

/** `lost` says, for the sequence of events, what could not be resumed; null where everything was. */
export function resumeState(
  kept: FeederState,
  keptAt: KeptAt,
  now: KeptAt,
): { state: FeederState; lost: string | null } {
  const byMs = shiftMs(keptAt, now);
  if (byMs !== null) return { state: shifted(kept, newFeederState(), byMs), lost: null };
  const lost =
    kept.episode === null
      ? 'the time away is unknown'
      : 'the time away is unknown: the standing limit counts as lapsed';
  return { state: forgotten(kept, now.monotonicMs - keptAt.monotonicMs), lost };
}

/** The same for a transformer: its elements and its heat. */
export function resumeTransformer(
  kept: TransformerState,
  keptAt: KeptAt,
  now: KeptAt,
): { state: TransformerState; lost: string | null } {
  const byMs = shiftMs(keptAt, now);
  const fresh = newTransformerState();
  if (byMs !== null) return { state: shifted(kept, fresh, byMs), lost: null };
  for (const name of PHASES) keepHeat(kept[name], fresh[name]);
  fresh.heatRatingA = kept.heatRatingA ?? null;
  return { state: fresh, lost: 'the time away is unknown' };
}

/** By how much the times of a state move; null where nobody knows how long the stop was. */
function shiftMs(keptAt: KeptAt, now: KeptAt): number | null {
  // A machine that is set back to a snapshot has the same boot and a clock from before what was kept.
  const isSameBoot = keptAt.bootId === now.bootId && now.monotonicMs >= keptAt.monotonicMs;
  if (isSameBoot && keptAt.bootId !== 'unknown') return 0;
  if (!keptAt.clockSynchronised || !now.clockSynchronised || now.wallMs < keptAt.wallMs) return null;
  return now.monotonicMs - (now.wallMs - keptAt.wallMs) - keptAt.monotonicMs;
}

/** At its worst: as hot as it was kept, and not cooled. */
function keepHeat({ thermal: kept }: ConductorState, { thermal }: ConductorState): void {
  if (kept.known === 'no') return;
  thermal.known = 'kept';
  thermal.heatPercent = kept.heatPercent;
  thermal.windingPercent = kept.windingPercent;
}

/**
 * A new state but for what must not be lost with the time away: what customers have borne, what was learned, and what
 * has been asked for lately. The time away counts as none, so that no restart gives anything back.
 */
function forgotten(kept: FeederState, byMs: number): FeederState {
  const state = newFeederState();
  const { usage, blocks, testUntilMs, heatRatingA, group, groupByCommand, groupUntilMs, ...before } = shifted(
    kept,
    state,
    byMs,
  );
  for (const name of PHASES) {
    state[name].reach.learnedA = before[name].reach.learnedA;
    keepHeat(before[name], state[name]);
  }
  // The devices have held the limit to its end at most.
  if (before.episode !== null) endUse({ ...state, testUntilMs, usage }, before.episode.endMs);
  const { episode, requestTimesMs, operationTimesMs } = before;
  const releasedMs = episode === null ? before.releasedMs : episode.steppedMs;
  // What an operator has blocked stays so for as long as was left, and no settings group changes by itself.
  const asked = { releasedMs, requestTimesMs, operationTimesMs };
  return { ...state, ...asked, usage, blocks, testUntilMs, heatRatingA, group, groupByCommand, groupUntilMs };
}

/**
 * The same state on a clock that is `byMs` ahead. Every time in a state has a name that ends in `Ms` (or `TimesMs`, for
 * a list), and nothing else has. What an older program did not keep has its value of a new state.
 */
export function onClockAhead(kept: FeederState, byMs: number): FeederState {
  return moved(structuredClone(kept), newFeederState(), byMs, false) as FeederState;
}

function shifted<S extends ThreePhases & { readonly N?: ConductorState }>(kept: S, fresh: S, byMs: number): S {
  const state = moved(structuredClone(kept), fresh, byMs, false) as S;
  // Until the next reading nothing is seen; whether the gap counts is for that reading to say.
  for (const on of [state.L1, state.L2, state.L3, state.N]) if (on !== undefined) on.fresh = false;
  return state;
}

function moved(value: unknown, fresh: unknown, byMs: number, isTime: boolean): unknown {
  if (value === undefined) return fresh;
  if (typeof value === 'number') return isTime ? value + byMs : value;
  if (Array.isArray(value)) return value.map((item) => moved(item, null, byMs, isTime));
  if (value === null || typeof value !== 'object') return value;
  const from = value as Record<string, unknown>;
  const defaults = (fresh ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys({ ...defaults, ...from }).map((key) => [
      key,
      moved(from[key], defaults[key], byMs, key.endsWith('Ms')),
    ]),
  );
}
