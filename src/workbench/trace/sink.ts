// What the readers of traces hand on: readings of feeders in the order of the file, and what could not be read. The
// readers know files; what a reading means is the business of whoever takes it.
import type { Problem } from '../../yaml-file.ts';

/** `utc`: ISO 8601 stamps, taken as UTC where they name no zone. `seconds`: from a zero of the trace's own. */
export type TimeForm = 'utc' | 'seconds';

/**
 * Seconds of a trace's own start here, so that no time is negative: 2001-09-09, far from both ends of exact doubles.
 * Only readers and `showTime` know it.
 */
export const SECONDS_ZERO_MS = 1e12;

/**
 * A reading: milliseconds, and amperes of L1, L2, L3 and N, negative where the trace says so and NaN where it has no
 * value; then 1 where L1 to L3 are whole milliamperes as they stand, which spares whoever takes it the rounding. The
 * reader uses it again for the next; so many numbers as arguments would each be put on the heap at every call.
 */
export type Row = Float64Array;
/** Where a row says that its amperes are whole milliamperes. */
export const IS_WHOLE = 5;

export function newRow(): Row {
  return new Float64Array(6);
}

export interface TraceSink {
  /** The slot of a feeder as the trace names it; asked once per name. */
  slotOf(feeder: string): number;
  /** Answers whether the reading was taken: not when its time is not after the feeder's reading before. */
  reading(slot: number, row: Row): boolean;
  /** A row that says nothing certain, and whose it is where that is known. Throws to end the reading. */
  broken(problem: Problem, slot: number | null): void;
  /** Called once per file, before its first reading. Throws where it differs from that of an earlier file. */
  timeForm(form: TimeForm, file: string): void;
  /** What a reader of the results should know of how the file was read. */
  note(text: string): void;
}

/** The time of a reading in the trace's own form: seconds as a number, or ISO 8601. */
export function showTime(atMs: number, form: TimeForm): string | number {
  if (form === 'utc') return new Date(atMs).toISOString();
  return Math.round((atMs - SECONDS_ZERO_MS) * 1e3) / 1e6;
}
