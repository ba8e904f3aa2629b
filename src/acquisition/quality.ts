// What a decoded value is worth. Quality never hides an overload: only what cannot be an ampere at all is `bad`, and
// everything doubtful stays in use as `uncertain`. Pure. This is one number by itself; quality-judge.ts is all of a turn.
import type { ConductorReading, QualityReason } from '../feeder.ts';
import type { Given } from './source-reading.ts';

/** What is known of the current transformer, in primary amperes; a rule that is switched off is null. */
export interface Plausibility {
  /** primary / secondary of the CT, where the meter reports secondary amperes; else 1. */
  readonly ratio: number;
  /** From here on the CT leaves its class. Null also where its primary current is not known. */
  readonly ctRangeA: number | null;
  /** Beyond this the number is no current: nothing delivers it. */
  readonly impossibleA: number | null;
}

/** A current's magnitude is what heats a cable: the sign that some meters give is dropped here. */
export function judgeCurrent(given: Given, plausibility: Plausibility): ConductorReading {
  if (typeof given === 'string') return bad(given);
  const value = typeof given === 'number' ? given : given.value;
  const currentA = wholeMilliamperes(Math.abs(value) * plausibility.ratio);
  if (!Number.isFinite(value)) return bad('notANumber');
  const { ctRangeA, impossibleA } = plausibility;
  if (!Number.isFinite(currentA) || (impossibleA !== null && currentA > impossibleA)) return bad('beyondRegister');
  const doubt = typeof given === 'number' ? null : given.doubt;
  if (doubt !== null && doubt !== 'derived') return { currentA, quality: 'uncertain', reason: doubt };
  if (ctRangeA !== null && currentA >= ctRangeA) return { currentA, quality: 'uncertain', reason: 'overCtRange' };
  if (doubt !== null) return { currentA, quality: 'good', reason: doubt };
  return { currentA, quality: 'good', reason: null };
}

/** Finer than any meter is, and exact in whatever a record of it is written in: control is given nothing else. */
export function wholeMilliamperes(valueA: number): number {
  return Math.round(valueA * 1000) / 1000;
}

/** A conductor without an ampere. */
export function bad(reason: QualityReason): ConductorReading {
  return { currentA: null, quality: 'bad', reason };
}
