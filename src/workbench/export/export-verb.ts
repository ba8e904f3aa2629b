// `headroom export`: what a controller saw, out of its journal's folder: disturbance records at the pace of the polls, or
// the history by the minute (the highest of each minute), as native CSV or as a COMTRADE record of 2013. Records carry
// their inputs in a file beside them. All are read by `replay`. It reads only, so it may run beside the controller.
import { writeFileSync } from 'node:fs';
import { CONDUCTORS } from '../../feeder.ts';
import { disturbances, historyFeeders } from '../../journal/history-reader.ts';
import { readSubstation } from '../../journal/reader.ts';
import type { DataFormat } from '../comtrade/record.ts';
import { combined, type NewRecord, writeRecord } from '../comtrade/write-record.ts';
import { inputsName } from '../trace/inputs-file.ts';
import { preciseTime } from '../trace/time.ts';
import { exportInputs } from './export-inputs.ts';
import { minuteSeries, type RecordedSeries, recordedSeries } from './recorded-series.ts';

export interface ExportOptions {
  /** Number of a disturbance record, or of the first and the last of several, as 3-5; without it the minutes. */
  readonly record?: string | undefined;
  /** One, several with commas between, or `all`; needed where the history knows several. */
  readonly feeder?: string | undefined;
  /** .csv, .cfg (with .dat and .hdr beside it) or .cff; without it a list of what there is. */
  readonly out?: string | undefined;
  readonly format?: string | undefined;
  readonly json?: boolean | undefined;
}

const FORMATS: readonly DataFormat[] = ['ASCII', 'BINARY', 'BINARY32', 'FLOAT32'];

/** The exit code: 0, 1 where there is nothing of that kind, 2 for wrong use. */
export function exportVerb(folder: string, options: ExportOptions): number {
  const { out, record, format = 'ASCII' } = options;
  if (out === undefined) return list(folder, options.json === true);
  const dataFormat = FORMATS.find((known) => known === format.toUpperCase());
  if (dataFormat === undefined) return tell(`--format is "${format}", expected one of ${FORMATS.join(', ')}`, 2);
  if (!/\.(csv|cfg|cff)$/.test(out))
    return tell(`--out is "${out}", expected a name that ends in .csv, .cfg or .cff`, 2);
  const numbers = record === undefined ? null : /^(\d+)(?:-(\d+))?$/.exec(record);
  if (record !== undefined && numbers === null)
    return tell(`--record is "${record}", expected a number that export lists, or two as 3-5`, 2);
  const { feeder } = options;
  const series =
    numbers === null
      ? minuteSeries(folder, feeder)
      : recordedSeries(folder, Number(numbers[1]), Number(numbers[2] ?? numbers[1]), feeder);
  if (typeof series === 'string') return tell(series, 1);
  const [first] = series;
  if (first === undefined) return tell('no feeder has anything', 1);
  const isCsv = out.endsWith('.csv');
  if (!isCsv && series.length > 1)
    return tell(`--out is "${out}", expected a name that ends in .csv: a COMTRADE record is of one feeder`, 2);
  if (isCsv) writeFileSync(out, nativeCsv(series));
  else writeComtrade(out, comtradeRecord(first, readSubstation(folder) ?? 'Headroom'), dataFormat);
  const inputs = exportInputs(folder, series);
  const lines = series.map(({ rows, feederId, title }) => `${out}: ${rows.length} readings of ${feederId}, ${title}`);
  if (typeof inputs === 'string') lines.push(inputs);
  else {
    writeFileSync(inputsName(out), `${JSON.stringify(inputs, null, 1)}\n`);
    const events = inputs.records.reduce((count, record) => count + record.events.length, 0);
    lines.push(`${inputsName(out)}: ${events} events, and all that they came of`);
    if (dataFormat === 'BINARY' && !isCsv)
      lines.push('BINARY has steps of more than a milliampere: a replay may decide otherwise at a threshold');
  }
  process.stdout.write(`${lines.join('\n')}\n`);
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

/** Long form, in the order of time. */
function nativeCsv(series: readonly RecordedSeries[]): string {
  const cell = (value: number) => (Number.isNaN(value) ? '' : String(value));
  const rows = series.flatMap(({ feederId, rows }) => rows.map((row) => ({ feederId, ...row })));
  rows.sort((a, b) => a.atMs - b.atMs);
  const lines = rows.map(({ feederId, atMs, amperes }) =>
    [preciseTime(atMs), feederId, ...amperes.map(cell)].join(','),
  );
  return `time,feeder,L1_A,L2_A,L3_A,N_A\n${lines.join('\n')}\n`;
}

function comtradeRecord({ feederId, title, triggerMs, rows }: RecordedSeries, station: string): NewRecord {
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
