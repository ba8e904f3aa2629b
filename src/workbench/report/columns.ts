// The points of a chart as bytes: columns of whole numbers, deflated, in base64. A year of minutes is some megabytes so,
// and a browser unpacks it by itself.
import { deflateSync } from 'node:zlib';
import type { SeriesPoint } from '../replay/series.ts';

export interface PackedSeries {
  readonly count: number;
  readonly startMs: number;
  /** Amperes of one step of the stored numbers. */
  readonly stepA: number;
  /** Times in ms from the start (float64), L1, L2, L3 in steps, thermal in tenths of a percent (uint16), level (uint8), bad (uint8). */
  readonly data: string;
}

/** In uint16: no value. */
const MISSING = 0xffff;

export function packSeries(points: readonly SeriesPoint[]): PackedSeries {
  const count = points.length;
  const startMs = points[0]?.atMs ?? 0;
  const highestA = points.reduce((most, { amperes }) => Math.max(most, ...amperes.filter((value) => value > 0)), 0);
  // A tenth of an ampere, as long as 16 bits hold it.
  const stepA = Math.max(0.1, highestA / (MISSING - 1));
  const times = new Float64Array(count);
  const columns = Array.from({ length: 4 }, () => new Uint16Array(count));
  const level = new Uint8Array(count);
  const bad = new Uint8Array(count);
  for (const [index, point] of points.entries()) {
    times[index] = point.atMs - startMs;
    for (const [phase, value] of point.amperes.entries())
      (columns[phase] as Uint16Array)[index] = stored(value / stepA);
    (columns[3] as Uint16Array)[index] = stored(point.thermalPercent * 10);
    level[index] = Math.round(point.levelPercent);
    bad[index] = point.isBad ? 1 : 0;
  }
  const bytes = [times, ...columns, level, bad].map(({ buffer }) => new Uint8Array(buffer));
  return { count, startMs, stepA, data: deflateSync(Buffer.concat(bytes)).toString('base64') };
}

function stored(value: number): number {
  return Number.isNaN(value) ? MISSING : Math.min(MISSING - 1, Math.round(value));
}
