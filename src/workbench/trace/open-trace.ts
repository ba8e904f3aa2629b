// Opens a trace whatever its form is, plain or gzipped, and reads it into a sink. Gzip is known by its first bytes, a
// COMTRADE record by its name, a native CSV by its header; any other CSV needs a mapping file. The file is read piece by
// piece, so its size does not matter.
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { isComtradeName, recordParts } from '../comtrade/parts.ts';
import { type RecordFeeder, readRecord } from '../comtrade/read-record.ts';
import { inputsName } from './inputs-file.ts';
import { MappedCsvReader } from './mapped-csv.ts';
import type { Mapping } from './mapping.ts';
import { NativeCsvReader } from './native-csv.ts';
import { TraceProblem } from './problem.ts';
import type { TraceSink } from './sink.ts';

interface TraceReader {
  push(chunk: Buffer): void;
  end(): void;
}

/** Bytes of the file read so far, and all of them. */
export type Progress = (doneBytes: number, allBytes: number) => void;

const CHUNK_BYTES = 1 << 20;

export interface HowToRead {
  readonly mapping: Mapping | null;
  /** Whose currents a record holds that no mapping assigns; null where that is not known. */
  readonly onlyFeeder: string | null;
}

/** A trace as the command line names it: a file, or the two parts of a record that do not stand side by side. */
export type TraceFile = string | { readonly configuration: string; readonly data: string };

/** Parts of one record given one by one (`x.cfg x.dat`, or a .cfg and the .dat of another name) are one trace. */
export function pairedRecords(files: readonly string[]): TraceFile[] {
  const bases = new Set(files.filter((file) => /\.cfg$/i.test(file)).map(baseOf));
  const traces: TraceFile[] = [];
  for (const file of files) {
    const before = traces.at(-1);
    if (/\.(dat|hdr|inf)$/i.test(file) && bases.has(baseOf(file))) continue;
    if (/\.dat$/i.test(file) && typeof before === 'string' && /\.cfg$/i.test(before))
      traces[traces.length - 1] = { configuration: before, data: file };
    else traces.push(file);
  }
  return traces;
}

function baseOf(file: string): string {
  return file.slice(0, -4);
}

/** Reads a trace to its end. Throws a `TraceProblem` when it cannot be a trace, and whatever the sink throws. */
export async function readTraceFile(
  trace: TraceFile,
  how: HowToRead,
  sink: TraceSink,
  progress: Progress,
): Promise<void> {
  const { mapping } = how;
  const file = typeof trace === 'string' ? trace : trace.configuration;
  if (isComtradeName(file)) {
    const data = typeof trace === 'string' ? null : trace.data;
    // An export of polls may be as fast as a waveform, and is none.
    readRecord(recordParts(file, data), recordFeeders(file, how), sink, existsSync(inputsName(file)));
    return progress(1, 1);
  }
  const reader: TraceReader =
    mapping === null ? new NativeCsvReader(file, sink) : new MappedCsvReader(file, mapping, sink);
  if (isGzip(file)) await pushGunzipped(file, reader, progress);
  else pushPlain(file, reader, progress);
  reader.end();
}

function recordFeeders(file: string, { mapping, onlyFeeder }: HowToRead): RecordFeeder[] {
  if (mapping !== null) {
    const { sign, feeders } = mapping;
    const scale = sign === 'importIsNegative' ? -mapping.scale : mapping.scale;
    return Object.entries(feeders).map(([id, { L1, L2, L3, N }]) => ({ id, channels: { L1, L2, L3, N }, scale }));
  }
  if (onlyFeeder !== null) return [{ id: onlyFeeder, channels: null, scale: 1 }];
  const expected = 'whose currents it holds: --feeder, or a mapping file (--mapping)';
  throw new TraceProblem({ file, line: 1, column: 1, path: 'feeder', value: null, expected });
}

function pushPlain(file: string, reader: TraceReader, progress: Progress): void {
  const handle = openOrExplain(file);
  try {
    const allBytes = fstatSync(handle).size;
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let doneBytes = 0;
    for (let count = readSync(handle, chunk); count > 0; count = readSync(handle, chunk)) {
      reader.push(chunk.subarray(0, count));
      doneBytes += count;
      progress(doneBytes, allBytes);
    }
  } finally {
    closeSync(handle);
  }
}

async function pushGunzipped(file: string, reader: TraceReader, progress: Progress): Promise<void> {
  const handle = openOrExplain(file);
  const allBytes = fstatSync(handle).size;
  closeSync(handle);
  const packed = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  let doneBytes = 0;
  packed.on('data', (chunk) => {
    doneBytes += chunk.length;
  });
  // Not `pipeline`: a broken archive must be told as such, and only its own errors.
  const unpacked = packed.pipe(createGunzip({ chunkSize: CHUNK_BYTES }));
  try {
    for await (const chunk of unpacked) {
      reader.push(chunk as Buffer);
      progress(doneBytes, allBytes);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!code.startsWith('Z_')) throw error;
    throw unreadable(file, `a broken gzip archive (${(error as Error).message})`);
  } finally {
    packed.destroy();
  }
}

function isGzip(file: string): boolean {
  const handle = openOrExplain(file);
  try {
    const first = Buffer.alloc(2);
    readSync(handle, first);
    return first[0] === 0x1f && first[1] === 0x8b;
  } catch (error) {
    throw explained(file, error);
  } finally {
    closeSync(handle);
  }
}

/** A file and no pipe: what is a gap may ask for a second reading. */
function openOrExplain(file: string): number {
  try {
    const stats = statSync(file);
    if (stats.isFile() || stats.isDirectory()) return openSync(file, 'r');
  } catch (error) {
    throw explained(file, error);
  }
  throw unreadable(file, 'a device or a pipe');
}

function explained(file: string, error: unknown): TraceProblem {
  const { code, message } = error as NodeJS.ErrnoException;
  return unreadable(file, { ENOENT: 'not found', EISDIR: 'a folder', EACCES: 'not permitted' }[code ?? ''] ?? message);
}

function unreadable(file: string, value: string): TraceProblem {
  return new TraceProblem({ file, line: 0, column: 0, path: '', value, expected: 'a readable trace, gzipped or not' });
}
