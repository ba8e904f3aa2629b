// What a decoded value is worth. Quality never hides an overload: only what cannot be an ampere at all is `bad`, and
// everything doubtful stays in use as `uncertain`. Pure; the one place where quality is decided.
import type { ConductorReading, QualityReason } from '../feeder.ts';
import type { Given } from './source-reading.ts';

/** What is known of the current transformer, in primary amperes. */
export interface Plausibility {
  /** primary / secondary of the CT, where the meter reports secondary amperes; else 1. */
  readonly ratio: number;
  /** Null where its ratio is not known. */
  readonly ctPrimaryA: number | null;
  /** Beyond this the number is no current: nothing delivers it. */
  readonly impossibleA: number;
}

/** Metering CTs keep their class to 1.2 times the primary current (IEC 61869-2); above, the value is only likely. */
const CT_RANGE = 1.2;

/** A current's magnitude is what heats a cable: the sign that some meters give is dropped here. */
export function judgeCurrent(given: Given, plausibility: Plausibility): ConductorReading {
  if (typeof given === 'string') return bad(given);
  const value = typeof given === 'number' ? given : given.value;
  if (!Number.isFinite(value)) return bad('notANumber');
  const currentA = Math.abs(value) * plausibility.ratio;
  const { ctPrimaryA, impossibleA } = plausibility;
  if (currentA > impossibleA) return bad('beyondRegister');
  if (typeof given !== 'number') return { currentA, quality: 'uncertain', reason: given.doubt };
  if (ctPrimaryA !== null && currentA > CT_RANGE * ctPrimaryA)
    return { currentA, quality: 'uncertain', reason: 'overCtRange' };
  return { currentA, quality: 'good', reason: null };
}

/** A conductor without an ampere. */
export function bad(reason: QualityReason): ConductorReading {
  return { currentA: null, quality: 'bad', reason };
}
