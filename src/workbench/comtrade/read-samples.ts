// Reads the .dat part of a COMTRADE record in its four formats: the time of each sample, and the values of the channels
// that are wanted, in the unit of their channel. A missing value is NaN. A sample that cannot be read is told and left
// out; a file that ends inside a sample loses that one.
import type { Problem } from '../../yaml-file.ts';
import { parseNumber } from '../trace/time.ts';
import { type AnalogChannel, type RecordConfiguration, sampleBytes } from './record.ts';

export interface Samples {
  /** Milliseconds from the first sample. Empty where neither rates nor stamps say. */
  readonly timesMs: Float64Array;
  /** By the order of the channels that were asked for. */
  readonly values: readonly Float64Array[];
  readonly notes: readonly string[];
}

/** What stands for no value in the ASCII format of 1991 and 1999. */
const ASCII_MISSING = 99_999;
const BINARY_MISSING = -0x8000;
const BINARY32_MISSING = -0x8000_0000;
const STAMP_MISSING = 0xffff_ffff;

interface Raw {
  readonly count: number;
  /** Microseconds or nanoseconds as stored; NaN where there is none. */
  readonly stamps: Float64Array;
  readonly stored: readonly Float64Array[];
  readonly notes: string[];
}

/** `channels` are indices of `configuration.analog`. */
export function readSamples(
  configuration: RecordConfiguration,
  bytes: Buffer,
  channels: readonly number[],
  broken: (problem: Omit<Problem, 'file'>) => void,
): Samples {
  const raw =
    configuration.format === 'ASCII'
      ? asciiSamples(configuration, bytes, channels, broken)
      : binarySamples(configuration, bytes, channels);
  const values = raw.stored.map((stored, index) => {
    const channel = configuration.analog[channels[index] as number] as AnalogChannel;
    const inverse = Math.round(1 / channel.factor);
    // Divided by 1000 a stored 345100 is 345.1; times 0.001 it may be a hair beside.
    const isDecimal = channel.offset === 0 && Math.abs(inverse * channel.factor - 1) < 1e-12;
    return stored.map((value) => (isDecimal ? value / inverse : value * channel.factor + channel.offset));
  });
  return { timesMs: timesOf(configuration, raw), values, notes: raw.notes };
}

function asciiSamples(
  configuration: RecordConfiguration,
  bytes: Buffer,
  channels: readonly number[],
  broken: (problem: Omit<Problem, 'file'>) => void,
): Raw {
  const { analog, statusCount } = configuration;
  const stamps: number[] = [];
  const stored: number[][] = channels.map(() => []);
  const lines = bytes.toString('latin1').split(/\r\n|\n|\r/);
  for (const [index, line] of lines.entries()) {
    const text = line.replaceAll('\u001a', '').trim();
    if (text === '') continue;
    const cells = text.split(',');
    const tell = (path: string, value: string, expected: string) =>
      broken({ line: index + 1, column: 1, path, value, expected });
    if (cells.length !== 2 + analog.length + statusCount) {
      tell('row', `${cells.length} cells`, `${2 + analog.length + statusCount}, as the configuration says`);
      continue;
    }
    const row = channels.map((channel) => asciiValue(cells[2 + channel] ?? '', configuration, channel));
    const wrong = row.indexOf(null);
    if (wrong >= 0) {
      const channel = channels[wrong] as number;
      tell(analog[channel]?.name ?? '', JSON.stringify(cells[2 + channel]), 'a number, or nothing');
      continue;
    }
    stamps.push(parseNumber((cells[1] ?? '').trim()) ?? Number.NaN);
    for (const [at, value] of row.entries()) stored[at]?.push(value ?? Number.NaN);
  }
  return {
    count: stamps.length,
    stamps: Float64Array.from(stamps),
    stored: stored.map((values) => Float64Array.from(values)),
    notes: [],
  };
}

/** Null where it is no number. 99999 is no value, but in 2013 only where the channel cannot have it. */
function asciiValue(cell: string, { analog, revision }: RecordConfiguration, index: number): number | null {
  const text = cell.trim();
  if (text === '') return Number.NaN;
  const value = parseNumber(text);
  if (value !== ASCII_MISSING) return value;
  const { min = 0, max = 0 } = analog[index] ?? {};
  return revision < 2013 || value < min || value > max ? Number.NaN : value;
}

function binarySamples(configuration: RecordConfiguration, bytes: Buffer, channels: readonly number[]): Raw {
  const { format } = configuration;
  const size = sampleBytes(configuration);
  const count = Math.floor(bytes.length / size);
  const rest = bytes.length - count * size;
  const stamps = new Float64Array(count);
  const stored = channels.map(() => new Float64Array(count));
  const width = format === 'BINARY' ? 2 : 4;
  for (let index = 0; index < count; index++) {
    const from = index * size;
    const stamp = bytes.readUInt32LE(from + 4);
    stamps[index] = stamp === STAMP_MISSING ? Number.NaN : stamp;
    for (const [at, channel] of channels.entries()) {
      (stored[at] as Float64Array)[index] = binaryValue(bytes, from + 8 + channel * width, format);
    }
  }
  const notes = rest === 0 ? [] : [`the data end inside a sample: ${rest} bytes left out of ${bytes.length}`];
  return { count, stamps, stored, notes };
}

function binaryValue(bytes: Buffer, at: number, format: RecordConfiguration['format']): number {
  if (format === 'FLOAT32') {
    const value = bytes.readFloatLE(at);
    return Number.isFinite(value) ? value : Number.NaN;
  }
  if (format === 'BINARY') {
    const value = bytes.readInt16LE(at);
    return value === BINARY_MISSING ? Number.NaN : value;
  }
  const value = bytes.readInt32LE(at);
  return value === BINARY32_MISSING ? Number.NaN : value;
}

/**
 * The rates say it most evenly. Where the stamps contradict them by more than a sample (records that join several
 * stretches) or there is no rate, the stamps do.
 */
function timesOf(configuration: RecordConfiguration, { count, stamps, notes }: Raw): Float64Array {
  const byStamp = stampTimes(configuration, stamps);
  const byRate = rateTimes(configuration, count);
  if (byStamp === null && byRate === null) return new Float64Array(0);
  if (byRate === null) {
    notes.push('no sampling rate: times are those of the time stamps');
    return byStamp ?? new Float64Array(0);
  }
  if (byStamp === null) {
    notes.push('no time stamps: times are those of the sampling rate');
    return byRate;
  }
  if (isProportional(byStamp, byRate)) return byRate;
  notes.push('time stamps and sampling rates differ: times are those of the time stamps');
  return byStamp;
}

/** Some recorders give stamps in another unit; evenly spaced as the rate says, they do not contradict it. */
function isProportional(byStamp: Float64Array, byRate: Float64Array): boolean {
  const intervalMs = (byRate[1] ?? 0) - (byRate[0] ?? 0);
  const scale = (byRate.at(-1) ?? 0) / (byStamp.at(-1) || 1);
  return byStamp.every((atMs, index) => Math.abs(atMs * scale - (byRate[index] ?? 0)) <= 1.5 * intervalMs);
}

/** Null unless every sample has a stamp, each later than the one before. */
function stampTimes({ timeMultiplier, isNanoseconds }: RecordConfiguration, stamps: Float64Array): Float64Array | null {
  const perUnitMs = timeMultiplier / (isNanoseconds ? 1e6 : 1e3);
  const first = stamps[0] ?? Number.NaN;
  for (let index = 0; index < stamps.length; index++) {
    if (Number.isNaN(stamps[index]) || (index > 0 && !((stamps[index] as number) > (stamps[index - 1] as number))))
      return null;
  }
  return stamps.map((stamp) => (stamp - first) * perUnitMs);
}

function rateTimes({ rates }: RecordConfiguration, count: number): Float64Array | null {
  const last = rates.at(-1);
  if (last === undefined) return null;
  const times = new Float64Array(count);
  let at = 0;
  let atMs = 0;
  for (const { hz, lastSample } of rates) {
    const until = hz === last.hz && lastSample === last.lastSample ? count : Math.min(count, lastSample);
    for (; at < until; at++) {
      times[at] = atMs;
      atMs += 1000 / hz;
    }
  }
  return times;
}
