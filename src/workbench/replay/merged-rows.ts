// The rows of several feeders in one order of time, however the trace has them: by turns, one feeder after the other, or
// in several files. A row waits until nobody can bring an earlier one; where feeders come by turns that is at once, so
// memory grows only as far as one feeder is ahead of another.
import { newRow, type Row } from '../trace/sink.ts';

const COLUMNS = newRow().length;
const FIRST_ROWS = 16;

/** When a feeder's readings begin and end; infinities for one that has none. */
export interface LaneSpan {
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The rows of one feeder that wait, in a ring. */
class Lane {
  readonly #lastMs: number;
  /** Of the next row where none waits: nothing earlier will come. */
  #soonestMs: number;
  #rows = new Float64Array(FIRST_ROWS * COLUMNS);
  #from = 0;
  #count = 0;
  readonly #row = newRow();

  constructor({ firstMs, lastMs }: LaneSpan) {
    this.#soonestMs = firstMs;
    this.#lastMs = lastMs;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Nothing earlier will come. */
  get nextMs(): number {
    return this.#count === 0 ? this.#soonestMs : (this.#rows[this.#from * COLUMNS] as number);
  }

  push(row: Row): void {
    const size = this.#rows.length / COLUMNS;
    if (this.#count === size) this.#grow(size);
    const at = (this.#from + this.#count) % (this.#rows.length / COLUMNS);
    this.#rows.set(row, at * COLUMNS);
    this.#count++;
    const atMs = row[0] as number;
    this.#soonestMs = atMs >= this.#lastMs ? Number.POSITIVE_INFINITY : atMs;
  }

  /** The row that waits longest, good until the next call. */
  shift(): Row {
    const at = this.#from * COLUMNS;
    this.#row.set(this.#rows.subarray(at, at + COLUMNS));
    this.#from = (this.#from + 1) % (this.#rows.length / COLUMNS);
    this.#count--;
    return this.#row;
  }

  end(): void {
    this.#soonestMs = Number.POSITIVE_INFINITY;
  }

  #grow(size: number): void {
    const rows = new Float64Array(2 * size * COLUMNS);
    rows.set(this.#rows.subarray(this.#from * COLUMNS));
    rows.set(this.#rows.subarray(0, this.#from * COLUMNS), (size - this.#from) * COLUMNS);
    this.#rows = rows;
    this.#from = 0;
  }
}

export class MergedRows {
  readonly #lanes: readonly Lane[];
  readonly #instant: (atMs: number, rows: readonly (Row | null)[]) => void;

  /** `instant` is given all rows of one instant, by lane. */
  constructor(spans: readonly LaneSpan[], instant: (atMs: number, rows: readonly (Row | null)[]) => void) {
    this.#lanes = spans.map((span) => new Lane(span));
    this.#instant = instant;
  }

  /** The rows of a lane come in the order of time. */
  push(lane: number, row: Row): void {
    this.#lanes[lane]?.push(row);
    this.#pour();
  }

  /** No more rows come. */
  end(): void {
    for (const lane of this.#lanes) lane.end();
    this.#pour();
  }

  #pour(): void {
    for (;;) {
      let atMs = Number.POSITIVE_INFINITY;
      for (const lane of this.#lanes) atMs = Math.min(atMs, lane.nextMs);
      if (atMs === Number.POSITIVE_INFINITY) return;
      for (const lane of this.#lanes) if (lane.isEmpty && lane.nextMs <= atMs) return;
      this.#instant(
        atMs,
        this.#lanes.map((lane) => (lane.nextMs === atMs ? lane.shift() : null)),
      );
    }
  }
}
