// What a minute of one feeder comes to: per conductor the least, mean and greatest current, and how many readings were
// of which quality. In memory only; history.ts writes it. A minute that was lived twice (a clock set back, a restart)
// gives two of these with one label, and who reads joins them.
import { CONDUCTORS, type Conductor, type FeederReading } from '../feeder.ts';

export const MINUTE_MS = 60_000;

/** Amperes are null where no reading was usable. `usable` counts good and uncertain ones; `bad` those without a value. */
export interface ConductorMinute {
  readonly minA: number | null;
  readonly avgA: number | null;
  readonly maxA: number | null;
  readonly usable: number;
  readonly uncertain: number;
  readonly bad: number;
}

export interface FeederMinute extends Readonly<Record<Conductor, ConductorMinute>> {
  readonly feederId: string;
  /** Wall time of its start, a whole minute. */
  readonly startMs: number;
  readonly clockSynchronised: boolean;
}

interface Sums {
  minA: number;
  maxA: number;
  sumA: number;
  usable: number;
  uncertain: number;
  bad: number;
}

/** The minutes of one feeder, one after the other. */
export class Minutes {
  readonly #feederId: string;
  readonly #sums = { L1: noSums(), L2: noSums(), L3: noSums(), N: noSums() };
  #startMs: number | null = null;
  #synchronised = true;

  constructor(feederId: string) {
    this.#feederId = feederId;
  }

  /** Takes in one reading; gives the minute before it where that is over. */
  add(reading: FeederReading, wallMs: number, clockSynchronised: boolean): FeederMinute | null {
    const startMs = Math.floor(wallMs / MINUTE_MS) * MINUTE_MS;
    const over = startMs === this.#startMs ? null : this.end();
    this.#startMs = startMs;
    this.#synchronised &&= clockSynchronised;
    for (const name of CONDUCTORS) addTo(this.#sums[name], reading[name]);
    return over;
  }

  /** Ends the minute where it stands; null when there is none. */
  end(): FeederMinute | null {
    if (this.#startMs === null) return null;
    const { L1, L2, L3, N } = this.#sums;
    const minute = {
      feederId: this.#feederId,
      startMs: this.#startMs,
      clockSynchronised: this.#synchronised,
      L1: conductorMinute(L1),
      L2: conductorMinute(L2),
      L3: conductorMinute(L3),
      N: conductorMinute(N),
    };
    for (const name of CONDUCTORS) Object.assign(this.#sums[name], noSums());
    this.#startMs = null;
    this.#synchronised = true;
    return minute;
  }

  /** The minute is over though no reading has come since. */
  isOver(wallMs: number): boolean {
    return this.#startMs !== null && Math.abs(wallMs - this.#startMs) >= MINUTE_MS;
  }
}

function noSums(): Sums {
  return { minA: Number.POSITIVE_INFINITY, maxA: Number.NEGATIVE_INFINITY, sumA: 0, usable: 0, uncertain: 0, bad: 0 };
}

function addTo(sums: Sums, { currentA, quality }: FeederReading[Conductor]): void {
  if (currentA === null) {
    sums.bad += 1;
    return;
  }
  sums.minA = Math.min(sums.minA, currentA);
  sums.maxA = Math.max(sums.maxA, currentA);
  sums.sumA += currentA;
  sums.usable += 1;
  if (quality === 'uncertain') sums.uncertain += 1;
}

function conductorMinute({ minA, maxA, sumA, usable, uncertain, bad }: Sums): ConductorMinute {
  const known = usable > 0;
  return {
    minA: known ? minA : null,
    avgA: known ? sumA / usable : null,
    maxA: known ? maxA : null,
    usable,
    uncertain,
    bad,
  };
}
