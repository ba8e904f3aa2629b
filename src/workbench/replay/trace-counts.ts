// What is counted of a trace beside what control decides: how much of it there is and how good it is, the highest
// current and heat, and how long it was over the rating.
import { PHASES, type Phase, rounded } from '../../feeder.ts';
import type { Row } from '../trace/sink.ts';
import { Intervals } from './intervals.ts';
import type { CountedResult } from './results.ts';

const MINUTE_MS = 60_000;
/** Fewer than two readings have no interval; nothing follows that could depend on it. */
export const NO_INTERVAL_GAP_MS = 60_000;
const GAP_INTERVALS = 3;

export class TraceCounts {
  /** Longer intervals are gaps. */
  gapMs = Number.NaN;
  readonly #intervals = new Intervals();
  #readings = 0;
  #bad = 0;
  #wrongSigns = 0;
  readonly #isSigned: (phase: Phase) => boolean;
  #gaps = 0;
  #gapSumMs = 0;
  #firstMs = Number.NaN;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Of the reading that was counted last: those that wait for the median interval are counted later. */
  #countedMs = Number.NEGATIVE_INFINITY;
  #isOver = false;
  #overMs = 0;
  #peakA = Number.NEGATIVE_INFINITY;
  #peakAtMs = Number.NaN;
  #peakPhase: Phase = 'L1';
  #peakHeatPercent = Number.NEGATIVE_INFINITY;

  /** `isSigned`: a negative current of the phase is known to be export. */
  constructor(isSigned: (phase: Phase) => boolean = () => false) {
    this.#isSigned = isSigned;
  }

  /** A reading has come. False where its time is not after the one before. */
  comes(atMs: number): boolean {
    const intervalMs = atMs - this.#lastMs;
    if (!(intervalMs > 0)) return false;
    if (this.#readings === 0) this.#firstMs = atMs;
    else this.#intervals.add(intervalMs);
    this.#lastMs = atMs;
    this.#readings++;
    return true;
  }

  brokenRow(): void {
    this.#bad++;
  }

  /** Counts a row whose turn it is; gives its highest phase, minus infinity where none is known. */
  count(row: Row): number {
    const atMs = row[0] as number;
    const intervalMs = atMs - this.#countedMs;
    this.#countedMs = atMs;
    // A value holds until the next, but not into a gap.
    if (this.#isOver) this.#overMs += Math.min(intervalMs, this.gapMs);
    if (intervalMs > this.gapMs && intervalMs < Number.POSITIVE_INFINITY) {
      this.#gaps++;
      this.#gapSumMs += intervalMs;
    }
    const a = Math.abs(row[1] as number);
    const b = Math.abs(row[2] as number);
    const c = Math.abs(row[3] as number);
    if (a !== row[1] || b !== row[2] || c !== row[3]) this.#countOdd(row);
    let highestA = a >= b ? a : b;
    if (c > highestA) highestA = c;
    if (Number.isNaN(highestA) || Number.isNaN(a)) return highestOf(a, b, c);
    return highestA;
  }

  /** Keeps the highest current, and whether it is over `ratingA` from here on. */
  holds(row: Row, highestA: number, ratingA: number): void {
    if (highestA > this.#peakA) {
      this.#peakA = highestA;
      this.#peakAtMs = row[0] as number;
      this.#peakPhase =
        highestA === Math.abs(row[1] as number) ? 'L1' : highestA === Math.abs(row[2] as number) ? 'L2' : 'L3';
    }
    this.#isOver = highestA > ratingA;
  }

  heat(percent: number): void {
    if (percent > this.#peakHeatPercent) this.#peakHeatPercent = percent;
  }

  /** The trace is over at `atMs`. */
  end(atMs: number): void {
    if (this.#isOver) this.#overMs += Math.min(atMs - this.#lastMs, this.gapMs);
  }

  get readings(): number {
    return this.#readings;
  }

  get firstMs(): number {
    return this.#firstMs;
  }

  get lastMs(): number {
    return this.#lastMs;
  }

  /** The gap that the readings so far call for. */
  get ownGapMs(): number {
    const median = this.#intervals.median();
    return median === null ? NO_INTERVAL_GAP_MS : GAP_INTERVALS * median;
  }

  result(): Omit<CountedResult, 'episodes'> {
    const seen = this.#readings > 0;
    const hasPeak = Number.isFinite(this.#peakA);
    return {
      readings: this.#readings,
      bad: this.#bad,
      wrongSigns: this.#wrongSigns,
      gaps: this.#gaps,
      gapMinutes: rounded(this.#gapSumMs / MINUTE_MS, 3),
      gapS: rounded(this.gapMs / 1000, 6),
      firstMs: seen ? this.#firstMs : null,
      lastMs: seen ? this.#lastMs : null,
      overRatingMinutes: rounded(this.#overMs / MINUTE_MS, 3),
      peakA: hasPeak ? rounded(this.#peakA) : null,
      peakAtMs: hasPeak ? this.#peakAtMs : null,
      peakPhase: hasPeak ? this.#peakPhase : null,
      peakThermalPercent: Number.isFinite(this.#peakHeatPercent) ? rounded(this.#peakHeatPercent) : null,
    };
  }

  /** A row with a value that is negative or missing: neither is equal to its magnitude. */
  #countOdd(row: Row): void {
    const phases = row.subarray(1, 4);
    if (phases.some((value, index) => value < 0 && !this.#isSigned(PHASES[index] as Phase))) this.#wrongSigns++;
    if (phases.some(Number.isNaN)) this.#bad++;
  }
}

function highestOf(a: number, b: number, c: number): number {
  const known = [a, b, c].filter((value) => !Number.isNaN(value));
  return known.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...known);
}
