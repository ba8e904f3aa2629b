// Reads the .cfg part of a COMTRADE record: 1991, 1999 and 2013. What recorders do beside the standard (blanks, SUB
// characters at the end, code pages, fields left out) is taken as it is meant, and said.
import { TraceProblem } from '../trace/problem.ts';
import { isTraceTime, parseNumber } from '../trace/time.ts';
import type { AnalogChannel, DataFormat, RecordConfiguration, Revision, SamplingRate } from './record.ts';

const FORMATS: readonly DataFormat[] = ['ASCII', 'BINARY', 'BINARY32', 'FLOAT32'];
const CHANNELS_MAX = 10_000;
const RATES_MAX = 10_000;
const SUB = '\u001a';

/** Throws a `TraceProblem` with the line where it cannot be a configuration. */
export function readRecordConfiguration(file: string, bytes: Buffer, firstLine = 1): RecordConfiguration {
  const { text, note } = decoded(bytes);
  const lines = new Lines(file, text.replaceAll(SUB, ''), firstLine);
  const notes = note === null ? [] : [note];
  const [station = '', device = '', year = ''] = lines.next('the station, the device and the edition', 1);
  const revision = revisionOf(year, notes);
  const [, analogText = '', statusText = ''] = lines.next('how many channels, as in 8,4A,4D', 3);
  const analogCount = lines.count(analogText, /^(\d+)A$/i, 'the number of analog channels, as in 4A', CHANNELS_MAX);
  const statusCount = lines.count(statusText, /^(\d+)D$/i, 'the number of status channels, as in 4D', CHANNELS_MAX);
  const analog = Array.from({ length: analogCount }, () => analogChannel(lines));
  for (let index = 0; index < statusCount; index++) lines.next('a status channel', 2);
  const [lineText = ''] = lines.next('the line frequency', 1);
  const lineFrequencyHz = frequency(lineText);
  const rates = samplingRates(lines);
  const startStamp = lines.next('the time of the first sample', 1);
  lines.next('the time of the trigger', 1);
  const [formatText = ''] = lines.next(`the format of the data: ${FORMATS.join(', ')}`, 1);
  const format = FORMATS.find((known) => known === formatText.toUpperCase());
  if (format === undefined) throw lines.problem(formatText, `one of ${FORMATS.join(', ')}`);
  const [multiplier = ''] = lines.optional();
  const [zone = ''] = lines.optional();
  const startMs = startTime(startStamp, revision, revision === 2013 ? zone : '');
  if (startMs === null) notes.push('the time of the first sample cannot be read: times are seconds from there');
  return {
    file,
    station,
    device,
    revision,
    analog,
    statusCount,
    lineFrequencyHz,
    rates,
    startMs,
    format,
    timeMultiplier: parseNumber(multiplier) || 1,
    isNanoseconds: /\.\d{9}$/.test(startStamp[1] ?? ''),
    notes,
  };
}

/** Recorders write names in the code page of their place; only the numbers matter here. */
function decoded(bytes: Buffer): { text: string; note: string | null } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), note: null };
  } catch {
    return { text: bytes.toString('latin1'), note: 'names are not UTF-8: shown as Latin-1' };
  }
}

/** The lines of a configuration as cells, with the number of each for messages. */
class Lines {
  readonly #file: string;
  readonly #lines: string[];
  readonly #firstLine: number;
  #at = 0;

  constructor(file: string, text: string, firstLine: number) {
    this.#file = file;
    this.#lines = text.split(/\r\n|\n|\r/);
    this.#firstLine = firstLine;
  }

  /** The cells of the next line; at least so many. */
  next(expected: string, least: number): string[] {
    const line = this.#lines[this.#at++];
    if (line === undefined || (line.trim() === '' && this.#at >= this.#lines.length)) throw this.problem('', expected);
    const cells = line.split(',').map((cell) => cell.trim());
    if (cells.length < least) throw this.problem(line.trim(), expected);
    return cells;
  }

  optional(): string[] {
    return (this.#lines[this.#at++] ?? '').split(',').map((cell) => cell.trim());
  }

  count(text: string, form: RegExp, expected: string, most: number): number {
    const value = Number(form.exec(text)?.[1] ?? Number.NaN);
    if (!(value <= most)) throw this.problem(text, expected);
    return value;
  }

  number(text: string, expected: string): number {
    const value = parseNumber(text);
    if (value === null) throw this.problem(text, expected);
    return value;
  }

  problem(value: string, expected: string): TraceProblem {
    const shown = value === '' ? 'missing' : JSON.stringify(value.slice(0, 60));
    const line = this.#firstLine + this.#at - 1;
    return new TraceProblem({ file: this.#file, line, column: 1, path: '', value: shown, expected });
  }
}

function revisionOf(text: string, notes: string[]): Revision {
  if (text === '') return 1991;
  if (text === '1991' || text === '1999' || text === '2013') return Number(text) as Revision;
  const revision = Number(text) > 2001 ? 2013 : 1999;
  notes.push(`edition ${text} is none: read as ${revision}`);
  return revision;
}

function analogChannel(lines: Lines): AnalogChannel {
  const cells = lines.next('an analog channel: number, name, phase, component, unit, a, b, skew, min, max', 10);
  const [, name = '', phase = '', , unit = '', a = '', b = '', , min = '', max = ''] = cells;
  const [primary = '', secondary = '', side = ''] = cells.slice(10);
  return {
    name,
    phase,
    unit,
    factor: lines.number(a, `the factor of channel ${name}`),
    offset: lines.number(b, `the offset of channel ${name}`),
    min: parseNumber(min) ?? Number.NEGATIVE_INFINITY,
    max: parseNumber(max) ?? Number.POSITIVE_INFINITY,
    primary: parseNumber(primary) || 1,
    secondary: parseNumber(secondary) || 1,
    isSecondary: side.toUpperCase() === 'S',
  };
}

function frequency(text: string): number | null {
  const value = parseNumber(text);
  return value === null || value <= 0 ? null : value;
}

/** None where the record says 0: then the time stamps are all there is. */
function samplingRates(lines: Lines): SamplingRate[] {
  const [countText = ''] = lines.next('how many sampling rates', 1);
  const count = lines.count(countText, /^(\d+)$/, 'the number of sampling rates', RATES_MAX);
  // With no rate there still is one line, which says where the record ends.
  const rates = Array.from({ length: Math.max(1, count) }, () => {
    const [hz = '', last = ''] = lines.next('a sampling rate and its last sample', 2);
    return { hz: lines.number(hz, 'a sampling rate in Hz'), lastSample: lines.number(last, 'the number of a sample') };
  });
  return count === 0 || rates.some(({ hz }) => hz <= 0) ? [] : rates;
}

/** mm/dd/yy in 1991, dd/mm/yyyy since. A time code of 2013 says how far the stamp is from UTC; else it is taken as UTC. */
function startTime([date = '', time = '']: string[], revision: Revision, zone: string): number | null {
  const days = /^(\d{1,2})\/(\d{1,2})\/(\d{2}|\d{4})$/.exec(date);
  const clock = /^(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(time);
  if (days === null || clock === null) return null;
  const [first, second, yearText = ''] = days.slice(1).map(String);
  const [day, month] = revision === 1991 ? [Number(second), Number(first)] : [Number(first), Number(second)];
  const year = yearText.length === 4 ? Number(yearText) : Number(yearText) + (Number(yearText) < 70 ? 2000 : 1900);
  const dayMs = Date.UTC(year, month - 1, day);
  const real = new Date(dayMs);
  if (real.getUTCMonth() !== month - 1 || real.getUTCDate() !== day) return null;
  const [hours, minutes, seconds] = clock.slice(1).map(Number) as [number, number, number];
  if (hours > 23 || minutes > 59 || seconds >= 61) return null;
  const atMs = dayMs + ((hours * 60 + minutes) * 60 + seconds) * 1000 - zoneMinutes(zone) * 60_000;
  return isTraceTime(atMs) ? atMs : null;
}

/** `-5h30`, `+10`, `0`; `x` where it does not apply. */
function zoneMinutes(zone: string): number {
  const parts = /^([-+]?)(\d{1,2})(?:h(\d{2}))?$/.exec(zone);
  if (parts === null) return 0;
  return (parts[1] === '-' ? -1 : 1) * (Number(parts[2]) * 60 + Number(parts[3] ?? 0));
}
