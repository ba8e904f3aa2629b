// Averages and extremes of one feeder over an interval, from its readings as they come: each usable reading counts
// until the next, and not over a gap longer than readings stay fresh. What is unknown is null, never 0.
import { CONDUCTORS, type Conductor, type FeederReading, type Quality, rounded } from './feeder.ts';
import type { Telemetry } from './telemetry-message.ts';

type ConductorSummary = Telemetry['L1'];

/** A quality has to make up this share of the readings to be told of. */
const QUALITY_SHARE = 0.01;

class ConductorInterval {
  #lastA: number | null = null;
  #lastMs = 0;
  #areaAMs = 0;
  #coveredMs = 0;
  #minA = Number.POSITIVE_INFINITY;
  #maxA = Number.NEGATIVE_INFINITY;
  #sumA = 0;
  readonly #counts: { [Q in Quality]: number } = { good: 0, uncertain: 0, bad: 0 };

  take(currentA: number | null, quality: Quality, atMs: number, freshMs: number): void {
    this.#counts[quality] += 1;
    this.#holdUntil(atMs, freshMs);
    this.#lastA = currentA;
    this.#lastMs = atMs;
    if (currentA === null) return;
    this.#sumA += currentA;
    this.#minA = Math.min(this.#minA, currentA);
    this.#maxA = Math.max(this.#maxA, currentA);
  }

  close(atMs: number, freshMs: number): ConductorSummary {
    this.#holdUntil(atMs, freshMs);
    const { good, uncertain, bad } = this.#counts;
    const usable = good + uncertain;
    const averageA = this.#coveredMs > 0 ? this.#areaAMs / this.#coveredMs : this.#sumA / usable;
    const share = QUALITY_SHARE * (usable + bad);
    const quality: Quality = bad > share ? 'bad' : uncertain > share ? 'uncertain' : 'good';
    const summary =
      usable === 0
        ? null
        : { averageA: rounded(averageA, 1), minA: rounded(this.#minA, 1), maxA: rounded(this.#maxA, 1), quality };
    this.#begin(atMs);
    return summary;
  }

  #holdUntil(atMs: number, freshMs: number): void {
    const heldMs = Math.min(atMs - this.#lastMs, freshMs);
    if (this.#lastA === null || heldMs <= 0) return;
    this.#areaAMs += this.#lastA * heldMs;
    this.#coveredMs += heldMs;
  }

  /** The last reading holds on into the next interval. */
  #begin(atMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, atMs);
    this.#areaAMs = 0;
    this.#coveredMs = 0;
    this.#sumA = 0;
    this.#minA = Number.POSITIVE_INFINITY;
    this.#maxA = Number.NEGATIVE_INFINITY;
    Object.assign(this.#counts, { good: 0, uncertain: 0, bad: 0 });
  }
}

export class Interval {
  readonly #freshMs: number;
  readonly #conductors: { readonly [C in Conductor]: ConductorInterval };
  #readings = 0;

  /** `freshMs`: a reading older than this is no reading. */
  constructor(freshMs: number) {
    this.#freshMs = freshMs;
    const made = () => new ConductorInterval();
    this.#conductors = { L1: made(), L2: made(), L3: made(), N: made() };
  }

  take(reading: FeederReading): void {
    this.#readings += 1;
    for (const name of CONDUCTORS) {
      const { currentA, quality } = reading[name];
      this.#conductors[name].take(currentA, quality, reading.atMs, this.#freshMs);
    }
  }

  /** What was since the last close; the next interval begins. */
  close(atMs: number): Pick<Telemetry, 'readings' | Conductor> {
    const { L1, L2, L3, N } = this.#conductors;
    const readings = this.#readings;
    this.#readings = 0;
    const of = (conductor: ConductorInterval) => conductor.close(atMs, this.#freshMs);
    return { readings, L1: of(L1), L2: of(L2), L3: of(L3), N: of(N) };
  }
}
