// What a controller has recorded, as rows of amperes over time: disturbance records at the pace of the polls, several of
// one feeder in a row, or the history by the minute.
import { CONDUCTORS, type Conductor, type Phase, type Quality, rounded } from '../../feeder.ts';
import type { ControlNow, PlacedInput } from '../../journal/history.ts';
import {
  type Disturbance,
  disturbanceRecord,
  disturbances,
  historyFeeders,
  historySpans,
} from '../../journal/history-reader.ts';

/** Milliamperes: control is given nothing finer. */
const DECIMALS = 3;

interface RecordedRow {
  /** On the clock of the record, in whole eighths of a millisecond. */
  readonly atMs: number;
  /** In the order of CONDUCTORS; NaN where there is no value. */
  readonly amperes: readonly number[];
}

/** One disturbance record of a series, its rows being some of the series'. */
export interface RecordedPart {
  readonly trigger: string;
  readonly rows: readonly (RecordedRow & {
    readonly quality: { readonly [C in Conductor]: Quality };
    readonly exporting: readonly Phase[];
  })[];
  /** Before the first row, and how far the clock of the record is ahead of the monotonic one; null where nobody knew. */
  readonly start: { readonly control: ControlNow; readonly aheadMs: number } | null;
  readonly inputs: readonly PlacedInput[];
}

export interface RecordedSeries {
  readonly feederId: string;
  readonly title: string;
  readonly triggerMs: number;
  readonly rows: readonly RecordedRow[];
  /** Empty for the history by the minute. */
  readonly parts: readonly RecordedPart[];
}

/** Which feeders are meant: as the command line names them, one, several with commas between, or `all`. */
export type Whose = string | undefined;

/**
 * The records from number `from` to `to`, one series a feeder: of the feeder of the first unless others are named; or in
 * one line why there is nothing.
 */
export function recordedSeries(folder: string, from: number, to: number, whose: Whose): RecordedSeries[] | string {
  const all = disturbances(folder);
  const first = all.find(({ id }) => id === from);
  if (first === undefined) return `record ${from} is not there, expected one that export lists`;
  if (to !== from && !all.some(({ id }) => id === to))
    return `record ${to} is not there, expected one that export lists`;
  const meant = all.filter(({ id }) => id >= from && id <= to);
  const feeders = named(whose ?? first.feederId, [...new Set(meant.map(({ feederId }) => feederId))]);
  if (typeof feeders === 'string') return feeders;
  const series: RecordedSeries[] = [];
  for (const feederId of feeders) {
    const found = meant.filter((one) => one.feederId === feederId);
    const parts = found.map((one) => partOf(folder, one));
    // The next record may begin with what the one before it ends with: it knows as much, and more.
    const whole = parts.map((part, index) => upTo(part, parts[index + 1]?.rows[0]?.atMs ?? Number.POSITIVE_INFINITY));
    const rows = whole.flatMap((part) => part.rows);
    const [begin, end] = [found[0], found.at(-1)];
    if (rows.length === 0 || begin === undefined) return `record ${begin?.id ?? from} has no reading`;
    const title = found.length === 1 ? begin.trigger : `${begin.trigger} to ${end?.trigger}`;
    const { triggerMs } = begin;
    series.push({ feederId, title, triggerMs, rows, parts: whole.filter((part) => part.rows.length > 0) });
  }
  return series;
}

/** The highest of each minute, one series a feeder; or in one line why there is nothing. */
export function minuteSeries(folder: string, whose: Whose): RecordedSeries[] | string {
  const known = historyFeeders(folder);
  const feeders = named(whose ?? (known.length === 1 ? known[0] : undefined), known);
  if (typeof feeders === 'string') return feeders;
  const series: RecordedSeries[] = [];
  for (const feederId of feeders) {
    const rows = [...historySpans(folder, { feederId })].map((span) => ({
      atMs: span.startMs,
      amperes: CONDUCTORS.map((name) => ampere(span[name].maxA)),
    }));
    if (rows.length === 0) return `feeder ${feederId} has no minute yet`;
    series.push({ feederId, title: 'highest of each minute', triggerMs: rows[0]?.atMs ?? 0, rows, parts: [] });
  }
  return series;
}

/** The feeders that are meant, in the order in which they are known; or in one line which is none. */
function named(whose: Whose, known: readonly string[]): readonly string[] | string {
  if (whose === 'all' && known.length > 0) return known;
  const ids = whose?.split(',').map((id) => id.trim()) ?? [];
  const wrong = ids.find((id) => !known.includes(id));
  if (ids.length > 0 && wrong === undefined) return known.filter((id) => ids.includes(id));
  return `feeder is ${wrong ?? 'not named'}, expected --feeder with one or more of ${known.join(',')}, or all`;
}

function partOf(folder: string, { id, trigger, triggerMs }: Disturbance): RecordedPart {
  const { samples, start, inputs } = disturbanceRecord(folder, id);
  const rows = samples.map((sample) => ({
    atMs: triggerMs + sample.offsetMs,
    amperes: CONDUCTORS.map((name) => ampere(sample[name].currentA)),
    quality: { L1: sample.L1.quality, L2: sample.L2.quality, L3: sample.L3.quality, N: sample.N.quality },
    exporting: sample.exporting,
  }));
  const began = start && { control: start.control, aheadMs: triggerMs - start.triggerMonotonicMs };
  return { trigger, rows, start: began, inputs };
}

function upTo(part: RecordedPart, beforeMs: number): RecordedPart {
  const rows = part.rows.filter(({ atMs }) => atMs < beforeMs);
  if (rows.length === part.rows.length) return part;
  return { ...part, rows, inputs: part.inputs.filter(({ after }) => after < rows.length) };
}

function ampere(value: number | null): number {
  return value === null ? Number.NaN : rounded(value, DECIMALS);
}
