// `headroom export`: what a controller saw, out of its journal's folder: a disturbance record at the pace of the polls, or
// the history by the minute (the highest of each minute), as native CSV or as a COMTRADE record of 2013. Both are read by
// `replay`. It reads only, so it may run beside the controller.
import { writeFileSync } from 'node:fs';
import { CONDUCTORS, rounded } from '../feeder.ts';
import { disturbanceSamples, disturbances, historyFeeders, historySpans } from '../journal/history-reader.ts';
import type { DataFormat } from './comtrade/record.ts';
import { combined, type NewRecord, writeRecord } from './comtrade/write-record.ts';

export interface ExportOptions {
  /** Number of a disturbance record; without it the history by the minute. */
  readonly record?: number | undefined;
  readonly feeder?: string | undefined;
  /** .csv, .cfg (with .dat, .hdr and .inf beside it) or .cff; without it a list of what there is. */
  readonly out?: string | undefined;
  readonly format?: string | undefined;
  readonly json?: boolean | undefined;
}

interface Series {
  readonly feederId: string;
  readonly title: string;
  readonly triggerMs: number;
  readonly rows: readonly { readonly atMs: number; readonly amperes: readonly number[] }[];
}

const FORMATS: readonly DataFormat[] = ['ASCII', 'BINARY', 'BINARY32', 'FLOAT32'];
/** A milliampere: finer than a meter is, and what a float of the record holds. */
const DECIMALS = 3;

/** The exit code: 0, 1 where there is nothing of that kind, 2 for wrong use. */
export function exportVerb(folder: string, station: string, options: ExportOptions): number {
  const { out, format = 'ASCII' } = options;
  if (out === undefined) return list(folder, options.json === true);
  const dataFormat = FORMATS.find((known) => known === format.toUpperCase());
  if (dataFormat === undefined) return tell(`--format is "${format}", expected one of ${FORMATS.join(', ')}`, 2);
  if (!/\.(csv|cfg|cff)$/.test(out))
    return tell(`--out is "${out}", expected a name that ends in .csv, .cfg or .cff`, 2);
  const series = options.record === undefined ? minutes(folder, options.feeder) : record(folder, options.record);
  if (typeof series === 'string') return tell(series, 1);
  if (out.endsWith('.csv')) writeFileSync(out, nativeCsv(series));
  else writeComtrade(out, comtradeRecord(series, station), dataFormat);
  process.stdout.write(`${out}: ${series.rows.length} readings of ${series.feederId}, ${series.title}\n`);
  return 0;
}

function list(folder: string, json: boolean): number {
  const [feeders, records] = [historyFeeders(folder), disturbances(folder)];
  if (json) process.stdout.write(`${JSON.stringify({ feeders, records }, null, 2)}\n`);
  else {
    const lines = records.map(
      ({ id, feederId, trigger, triggerMs, complete }) =>
        `${String(id).padStart(6)}  ${new Date(triggerMs).toISOString()}  ${feederId}  ${trigger}${complete ? '' : '  (not complete)'}`,
    );
    process.stdout.write(
      `${[`history of ${feeders.join(', ')}`, `${records.length} disturbance records`, ...lines].join('\n')}\n`,
    );
  }
  return 0;
}

/** One line on stderr where nothing of the kind is there. */
function record(folder: string, id: number): Series | string {
  const found = disturbances(folder).find((one) => one.id === id);
  if (found === undefined) return `record ${id} is not there, expected one that export lists`;
  const rows = disturbanceSamples(folder, id).map((sample) => ({
    atMs: found.triggerMs + sample.offsetMs,
    amperes: CONDUCTORS.map((name) => ampere(sample[name].currentA)),
  }));
  if (rows.length === 0) return `record ${id} has no reading`;
  return { feederId: found.feederId, title: found.trigger, triggerMs: found.triggerMs, rows };
}

function minutes(folder: string, feeder: string | undefined): Series | string {
  const feeders = historyFeeders(folder);
  const feederId = feeder ?? (feeders.length === 1 ? feeders[0] : undefined);
  if (feederId === undefined || !feeders.includes(feederId))
    return `feeder is ${feeder ?? 'not named'}, expected --feeder with one of ${feeders.join(', ')}`;
  const rows = [...historySpans(folder, { feederId })].map((span) => ({
    atMs: span.startMs,
    amperes: CONDUCTORS.map((name) => ampere(span[name].maxA)),
  }));
  if (rows.length === 0) return `feeder ${feederId} has no minute yet`;
  return { feederId, title: 'highest of each minute', triggerMs: rows[0]?.atMs ?? 0, rows };
}

function ampere(value: number | null): number {
  return value === null ? Number.NaN : rounded(value, DECIMALS);
}

function nativeCsv({ feederId, rows }: Series): string {
  const cell = (value: number) => (Number.isNaN(value) ? '' : String(value));
  const lines = rows.map(({ atMs, amperes }) =>
    [new Date(atMs).toISOString(), feederId, ...amperes.map(cell)].join(','),
  );
  return `time,feeder,L1_A,L2_A,L3_A,N_A\n${lines.join('\n')}\n`;
}

function comtradeRecord({ feederId, title, triggerMs, rows }: Series, station: string): NewRecord {
  const startMs = rows[0]?.atMs ?? 0;
  return {
    station,
    device: feederId,
    channels: CONDUCTORS.map((phase, index) => ({
      name: `${phase}_A`,
      phase,
      unit: 'A',
      values: rows.map(({ amperes }) => amperes[index] ?? Number.NaN),
    })),
    startMs,
    triggerMs,
    lineFrequencyHz: 50,
    timesMs: rows.map(({ atMs }) => atMs - startMs),
    // Polls are not on a grid: the stamps say it.
    samplesPerS: null,
    header: `${title}; magnitudes (RMS) as the meter gave them, not a waveform\r\n`,
    information: '',
  };
}

function writeComtrade(out: string, record: NewRecord, format: DataFormat): void {
  const files = writeRecord(record, format);
  if (out.endsWith('.cff')) return writeFileSync(out, combined(files, format));
  const base = out.slice(0, -4);
  writeFileSync(out, files.cfg);
  writeFileSync(`${base}.dat`, files.dat);
  writeFileSync(`${base}.hdr`, files.hdr);
}

function tell(line: string, code: number): number {
  process.stderr.write(`${line}\n`);
  return code;
}
