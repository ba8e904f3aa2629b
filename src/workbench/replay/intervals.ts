// The median of a feeder's intervals, exact for times on a clock's grid and within 0.1 % where every interval is its
// own, in memory that does not grow with the trace. A gap is more than three of them.
const VALUES_MAX = 20_000;

export class Intervals {
  readonly #counts = new Map<number, number>();
  #coarse = false;
  /** The interval of the moment and how often it came, which mostly is the whole trace. */
  #same = Number.NaN;
  #run = 0;

  add(intervalMs: number): void {
    if (intervalMs === this.#same) this.#run++;
    else this.#next(intervalMs);
  }

  /** Null before the first interval. */
  median(): number | null {
    this.#flush();
    const sorted = [...this.#counts].sort(([a], [b]) => a - b);
    const count = sorted.reduce((sum, [, times]) => sum + times, 0);
    if (count === 0) return null;
    const at = (rank: number): number => {
      let seen = 0;
      for (const [value, times] of sorted) {
        seen += times;
        if (rank < seen) return value;
      }
      return Number.NaN;
    };
    return (at(Math.floor((count - 1) / 2)) + at(Math.floor(count / 2))) / 2;
  }

  #next(intervalMs: number): void {
    this.#flush();
    this.#same = intervalMs;
    this.#run = 1;
  }

  #flush(): void {
    if (this.#run > 0) this.#count(this.#same, this.#run);
    this.#run = 0;
    this.#same = Number.NaN;
    if (this.#counts.size <= VALUES_MAX) return;
    const all = [...this.#counts];
    this.#coarse = true;
    this.#counts.clear();
    for (const [value, times] of all) this.#count(value, times);
  }

  #count(value: number, times: number): void {
    // Microseconds: doubles of milliseconds since 1970 hold no less.
    const kept = this.#coarse ? Number(value.toPrecision(4)) : Math.round(value * 1000) / 1000;
    this.#counts.set(kept, (this.#counts.get(kept) ?? 0) + times);
  }
}
