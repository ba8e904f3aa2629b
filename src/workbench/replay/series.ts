// What a chart needs of a replay, in memory that is bounded however long the trace is: all readings while they are few;
// beyond that pairs of points that hold the lowest and the highest of a stretch, so that no peak is lost.
import type { Row } from '../trace/sink.ts';

export interface SeriesPoint {
  readonly atMs: number;
  /** L1, L2, L3; NaN where there is no value. */
  readonly amperes: readonly [number, number, number];
  /** The lowest permitted level of the phases; 100 is no limit. */
  readonly levelPercent: number;
  /** NaN where there is no thermal element. */
  readonly thermalPercent: number;
  readonly isBad: boolean;
}

/** A year of minutes has 525,600 and is kept as it is. */
const POINTS_MAX = 600_000;

export class Series {
  #points: SeriesPoint[] = [];
  /** Readings that one pair of points stands for; 1: every point is a reading. */
  #stride = 1;
  #pending: SeriesPoint[] = [];

  add(point: SeriesPoint): void {
    if (this.#stride === 1) this.#points.push(point);
    else {
      this.#pending.push(point);
      if (this.#pending.length >= this.#stride) this.#flush();
    }
    if (this.#points.length >= POINTS_MAX) this.#halve();
  }

  /** In order of time. */
  points(): readonly SeriesPoint[] {
    if (this.#pending.length > 0) this.#flush();
    return this.#points;
  }

  get isThinned(): boolean {
    return this.#stride > 1;
  }

  #flush(): void {
    this.#points.push(...envelope(this.#pending));
    this.#pending = [];
  }

  #halve(): void {
    const kept: SeriesPoint[] = [];
    for (let at = 0; at < this.#points.length; at += 4) kept.push(...envelope(this.#points.slice(at, at + 4)));
    this.#points = kept;
    this.#stride = this.#stride === 1 ? 4 : this.#stride * 2;
  }
}

/** A row as a point: amperes are magnitudes. */
export function chartPoint(row: Row, levelPercent: number, thermalPercent: number): SeriesPoint {
  const [a, b, c] = [Math.abs(row[1] as number), Math.abs(row[2] as number), Math.abs(row[3] as number)];
  return { atMs: row[0] as number, amperes: [a, b, c], levelPercent, thermalPercent, isBad: Number.isNaN(a + b + c) };
}

/** Two points: the lowest of each at the first instant, the highest at the last. */
function envelope(points: readonly SeriesPoint[]): SeriesPoint[] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length < 2) return [...points];
  const levelPercent = points.reduce((least, point) => Math.min(least, point.levelPercent), 100);
  const thermalPercent = points.reduce(
    (most, point) => (point.thermalPercent < most ? most : point.thermalPercent),
    Number.NaN,
  );
  const isBad = points.some((point) => point.isBad);
  const of = (better: (a: number, b: number) => boolean): [number, number, number] => {
    const best: [number, number, number] = [Number.NaN, Number.NaN, Number.NaN];
    for (const { amperes } of points) {
      for (const [phase, value] of amperes.entries()) {
        const known = best[phase] ?? Number.NaN;
        if (Number.isNaN(known) || better(value, known)) best[phase] = value;
      }
    }
    return best;
  };
  const common = { levelPercent, thermalPercent, isBad };
  return [
    { atMs: first.atMs, amperes: of((a, b) => a < b), ...common },
    { atMs: last.atMs, amperes: of((a, b) => a > b), ...common },
  ];
}
