// A state that was kept, brought to the present after a restart. The time away is known within one boot of the
// machine (the monotonic clock went on), or over boots while the wall clock was right on both sides; the state's times
// are then shifted and the time between is a gap like any other. Otherwise it is unknown: standing limits are taken as
// lapsed, because their ends have passed for all that anybody knows.
import { PHASES } from '../feeder.ts';
import { newElement } from './definite-time.ts';
import { newFeederState } from './feeder-control.ts';
import type { ElementState, FeederState } from './types.ts';

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
  if (keptAt.bootId === now.bootId && keptAt.bootId !== 'unknown') return { state: shift(kept, 0), lost: null };
  if (keptAt.clockSynchronised && now.clockSynchronised && now.wallMs >= keptAt.wallMs) {
    const awayMs = now.wallMs - keptAt.wallMs;
    return { state: shift(kept, now.monotonicMs - awayMs - keptAt.monotonicMs), lost: null };
  }
  const lost =
    kept.episode === null
      ? 'the time away is unknown'
      : 'the time away is unknown: the standing limit counts as lapsed';
  return { state: newFeederState(), lost };
}

function shift(kept: FeederState, byMs: number): FeederState {
  const state = structuredClone(kept);
  const moved = (timeMs: number | null) => (timeMs === null ? null : timeMs + byMs);
  const element = (from: ElementState): ElementState => ({
    ...newElement(),
    ...from,
    overSinceMs: from.overSinceMs + byMs,
    underSinceMs: moved(from.underSinceMs),
  });
  for (const name of PHASES) {
    const phase = state[name];
    // Until the next reading nothing is seen; whether the gap counts is for that reading to say.
    phase.fresh = false;
    phase.usableMs = moved(phase.usableMs);
    phase.goodMs = moved(phase.goodMs);
    phase.deliveredSinceMs += byMs;
    Object.assign(phase.atRisk, element(phase.atRisk));
    Object.assign(phase.emergency, element(phase.emergency));
  }
  state.steppedToMs += byMs;
  state.releasedMs = moved(state.releasedMs);
  state.requestTimesMs = state.requestTimesMs.map((timeMs) => timeMs + byMs);
  state.operationTimesMs = state.operationTimesMs.map((timeMs) => timeMs + byMs);
  const { episode } = state;
  if (episode === null) return state;
  return {
    ...state,
    episode: {
      ...episode,
      startedMs: episode.startedMs + byMs,
      lengthFromMs: episode.lengthFromMs + byMs,
      trigger: { ...episode.trigger, pickedUpMs: episode.trigger.pickedUpMs + byMs },
      firstLimitMs: episode.firstLimitMs + byMs,
      requestedMs: episode.requestedMs + byMs,
      endMs: episode.endMs + byMs,
      deepenedMs: episode.deepenedMs + byMs,
      steppedMs: episode.steppedMs + byMs,
    },
  };
}
