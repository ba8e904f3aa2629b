// Writes a COMTRADE record of 2013, in all four formats, as .cfg/.dat/.inf/.hdr or as one .cff. The factor of a channel
// is one of 1, 2 or 5 times a power of ten, so that a value of an instrument (345.00 A) comes back as itself.
import type { DataFormat } from './record.ts';

export interface NewRecord {
  readonly station: string;
  readonly device: string;
  readonly channels: readonly NewChannel[];
  /** UTC of the first sample. */
  readonly startMs: number;
  /** Of what the record is about; the first sample where there is no such moment. */
  readonly triggerMs: number;
  readonly lineFrequencyHz: number;
  /** Milliseconds from the first sample. */
  readonly timesMs: readonly number[];
  /** Null where only the times say. */
  readonly samplesPerS: number | null;
  /** For people, and for machines. */
  readonly header: string;
  readonly information: string;
}
interface NewChannel {
  readonly name: string;
  readonly phase: string;
  readonly unit: string;
  /** NaN where there is no value. */
  readonly values: readonly number[];
}

export interface RecordFiles {
  readonly cfg: string;
  readonly dat: Buffer;
  readonly hdr: string;
  readonly inf: string;
}

/** Of the stored number; the lowest of a binary format means "no value". */
const STORED_MAX = { ASCII: 2_147_483_647, BINARY: 32_767, BINARY32: 2_147_483_647, FLOAT32: 3.4e38 } as const;
const MISSING = { BINARY: -0x8000, BINARY32: -0x8000_0000 } as const;
const STAMP_MAX = 0xffff_fffe;
/** Finer than this no meter is. */
const FINEST = 1e-4;

export function writeRecord(record: NewRecord, format: DataFormat): RecordFiles {
  const factors = record.channels.map(({ values }) =>
    format === 'FLOAT32' ? 1 : niceFactor(values, STORED_MAX[format]),
  );
  const multiplier = timeMultiplier(record);
  return {
    cfg: configuration(record, format, factors, multiplier),
    dat: format === 'ASCII' ? asciiData(record, factors, multiplier) : binaryData(record, format, factors, multiplier),
    hdr: record.header,
    inf: record.information,
  };
}

/** All parts in one file. */
export function combined({ cfg, dat, hdr, inf }: RecordFiles, format: DataFormat): Buffer {
  const size = format === 'ASCII' ? '' : `: ${dat.length}`;
  const text = [
    `--- file type: CFG ---\r\n${cfg}`,
    `--- file type: INF ---\r\n${inf}`,
    `--- file type: HDR ---\r\n${hdr}`,
    `--- file type: DAT ${format}${size} ---\r\n`,
  ].map((part) => (part.endsWith('\r\n') ? part : `${part}\r\n`));
  return Buffer.concat([Buffer.from(text.join('')), dat]);
}

function configuration(record: NewRecord, format: DataFormat, factors: readonly number[], multiplier: number): string {
  const { station, device, channels, samplesPerS, timesMs, startMs, triggerMs } = record;
  const most = STORED_MAX[format];
  const analog = channels.map(({ name, phase, unit }, index) =>
    [index + 1, plain(name), phase, '', unit, factors[index], 0, 0, -most, most, 1, 1, 'P'].join(','),
  );
  const lines = [
    `${plain(station)},${plain(device)},2013`,
    `${channels.length},${channels.length}A,0D`,
    ...analog,
    record.lineFrequencyHz,
    ...(samplesPerS === null ? ['0', `0,${timesMs.length}`] : ['1', `${samplesPerS},${timesMs.length}`]),
    stamp(startMs),
    stamp(triggerMs),
    format,
    multiplier,
    '0,0',
    'B,0',
  ];
  return lines.map((line) => `${line}\r\n`).join('');
}

function asciiData({ channels, timesMs }: NewRecord, factors: readonly number[], multiplier: number): Buffer {
  const rows = timesMs.map((atMs, index) => {
    const cells = channels.map(({ values }, channel) => {
      const value = values[index] ?? Number.NaN;
      return Number.isNaN(value) ? '' : String(Math.round(value / (factors[channel] ?? 1)));
    });
    return `${[index + 1, stampOf(atMs, multiplier), ...cells].join(',')}\r\n`;
  });
  return Buffer.from(rows.join(''));
}

function binaryData(
  { channels, timesMs }: NewRecord,
  format: Exclude<DataFormat, 'ASCII'>,
  factors: readonly number[],
  multiplier: number,
): Buffer {
  const width = format === 'BINARY' ? 2 : 4;
  const size = 8 + channels.length * width;
  const bytes = Buffer.alloc(timesMs.length * size);
  for (const [index, atMs] of timesMs.entries()) {
    bytes.writeUInt32LE(index + 1, index * size);
    bytes.writeUInt32LE(stampOf(atMs, multiplier), index * size + 4);
    for (const [channel, { values }] of channels.entries()) {
      const at = index * size + 8 + channel * width;
      const value = values[index] ?? Number.NaN;
      if (format === 'FLOAT32') bytes.writeFloatLE(value, at);
      else {
        const stored = Number.isNaN(value) ? MISSING[format] : Math.round(value / (factors[channel] ?? 1));
        if (format === 'BINARY') bytes.writeInt16LE(stored, at);
        else bytes.writeInt32LE(stored, at);
      }
    }
  }
  return bytes;
}

/** The least of …, 0.01, 0.02, 0.05, 0.1, … with which the highest value still fits. */
function niceFactor(values: readonly number[], storedMax: number): number {
  const highest = values.reduce((most, value) => (Math.abs(value) > most ? Math.abs(value) : most), 0);
  let decimals = Math.round(-Math.log10(FINEST));
  for (;;) {
    for (const step of [1, 2, 5]) {
      const factor = Number(`${step}e${-decimals}`);
      if (highest / factor <= storedMax) return factor;
    }
    decimals--;
  }
}

/** Microseconds where the record is short enough for 32 bits of them, else as few as will do. */
function timeMultiplier({ timesMs }: NewRecord): number {
  let multiplier = 1;
  while (((timesMs.at(-1) ?? 0) * 1000) / multiplier > STAMP_MAX) multiplier *= 10;
  return multiplier;
}

function stampOf(atMs: number, multiplier: number): number {
  return Math.round((atMs * 1000) / multiplier);
}

/** dd/mm/yyyy,hh:mm:ss.ssssss. */
function stamp(atMs: number): string {
  const iso = new Date(Math.floor(atMs)).toISOString();
  const micros = String(Math.round((atMs - Math.floor(atMs)) * 1000)).padStart(3, '0');
  return `${iso.slice(8, 10)}/${iso.slice(5, 7)}/${iso.slice(0, 4)},${iso.slice(11, 23)}${micros}`;
}

/** A comma would be the end of a field, a line end that of a line. */
function plain(text: string): string {
  return text.replace(/[,\r\n]/g, ' ').slice(0, 64);
}
