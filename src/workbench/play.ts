// `headroom play`: puts a recorded trace behind a simulated meter, so that a controller on the bench reads last winter's
// feeder over its own Modbus wire, at the pace of the recording or faster.
import { type RegisterMap, readRegisterMap } from '../acquisition/register-map.ts';
import { type Clock, systemClock, type Timer } from '../clock.ts';
import { profileFile } from '../configuration.ts';
import { CONDUCTORS, PHASES, rounded } from '../feeder.ts';
import { showProblem } from '../yaml-file.ts';
import { type PlayedRow, type PlayedTrace, readPlayedTrace } from './played-trace.ts';
import { type MeterCurrents, openSimulatedMeter, type SimulatedMeter } from './simulated-meter.ts';
import { type Mapping, readMapping } from './trace/mapping.ts';
import { TraceProblem } from './trace/problem.ts';
import { showTime, type TimeForm } from './trace/sink.ts';
import { parseTraceTime } from './trace/time.ts';

export interface PlayOptions {
  /** Whatever replay reads. */
  readonly trace: string;
  /** The mapping file, for a CSV that is not native and for the channels of a record. */
  readonly mapping?: string | undefined;
  /** Needed where the file holds several. */
  readonly feeder?: string | undefined;
  /** Where the meter listens; 127.0.0.1 unless given. */
  readonly host?: string | undefined;
  /** 0, or not given: any free port, named in the first line. */
  readonly port?: number | undefined;
  /** Trace seconds per second; 1 unless given. */
  readonly speed?: number | undefined;
  /** Phase to neutral, as the meter shows it; 240 unless given. */
  readonly voltageV?: number | undefined;
  /** Turns amperes into the meter's watts; 0.98 unless given. */
  readonly powerFactor?: number | undefined;
  /** Every ampere times this; 1 unless given. */
  readonly scale?: number | undefined;
  /** First and last instant to play, as the trace writes its times (ISO 8601 or seconds). */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Straight lines between rows; else each row's value holds until the next. */
  readonly interpolate?: boolean | undefined;
  /** Starts again after the last row, until told to stop. */
  readonly loop?: boolean | undefined;
  /** Name of a map in hardware/meters, or the path of one (with / in it); eastron-sdm630 unless given. */
  readonly profile?: string | undefined;
  /** A line for each row as it begins. */
  readonly verbose?: boolean | undefined;
  /** Ends the play as SIGINT does. */
  readonly signal?: AbortSignal | undefined;
  /** The system's clock and standard output unless given. */
  readonly clock?: Clock | undefined;
  readonly print?: ((line: string) => void) | undefined;
}

const DEFAULT_PROFILE = 'eastron-sdm630';
const DEFAULT_VOLTAGE_V = 240;
const DEFAULT_POWER_FACTOR = 0.98;
/** As often as a feeder meter has a new value of its own. */
const INTERPOLATE_EVERY_MS = 50;
/** How long a trace of a single row lasts. */
const SINGLE_ROW_MS = 1000;

/** A mistake of the user, in one line. */
class PlayError extends Error {}

/**
 * Plays until the trace ends, the signal aborts or SIGINT or SIGTERM comes; gives the exit code: 0, or 2 for a mistake
 * of the user, which it has written to stderr.
 */
export async function play(options: PlayOptions): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  // From before the first line on, since who started the play may answer that line with a signal.
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  let meter: SimulatedMeter | null = null;
  try {
    refuseNonsense(options);
    const { host = '127.0.0.1', port = 0, profile = DEFAULT_PROFILE } = options;
    const { voltageV = DEFAULT_VOLTAGE_V, powerFactor = DEFAULT_POWER_FACTOR } = options;
    const map = mapOf(profile);
    const trace = await readPlayedTrace(options.trace, mappingOf(options.mapping), options.feeder);
    const rows = rowsOf(trace, options);
    meter = await openSimulatedMeter({ map, host, port, voltageV, powerFactor }).catch((error: Error) => {
      throw new PlayError(`no meter on ${host} port ${port}: ${error.message}`);
    });
    meter.set((rows[0] as PlayedRow).currents);
    print(firstLine(meter, profile, trace, rows, options));
    const signal = AbortSignal.any([interrupted.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    await playRows(meter, rows, trace.form, { ...options, signal }, print);
    return 0;
  } catch (error) {
    if (!(error instanceof PlayError || error instanceof TraceProblem)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    await meter?.close();
  }
}

function refuseNonsense(options: PlayOptions): void {
  const positive = { speed: options.speed, voltage: options.voltageV, scale: options.scale };
  for (const [name, value] of Object.entries(positive)) {
    if (value !== undefined && !(value > 0 && Number.isFinite(value))) {
      throw new PlayError(`${name} is ${value}, expected a number above 0`);
    }
  }
  const { powerFactor = 1, port = 0 } = options;
  if (!(powerFactor > 0 && powerFactor <= 1)) {
    throw new PlayError(`power factor is ${powerFactor}, expected a number above 0, at most 1`);
  }
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new PlayError(`port is ${port}, expected a whole number from 0 to 65535`);
  }
}

function mapOf(profile: string): RegisterMap {
  const read = readRegisterMap(profileFile(profile, process.cwd()));
  if (read.value === null) throw new PlayError(read.problems.map(showProblem).join('\n'));
  return read.value;
}

function mappingOf(file: string | undefined): Mapping | null {
  if (file === undefined) return null;
  const mapping = readMapping(file);
  if (typeof mapping === 'string') throw new PlayError(mapping);
  return mapping;
}

function rowsOf(trace: PlayedTrace, { from, to, scale = 1 }: PlayOptions): PlayedRow[] {
  const limit = (name: string, text: string | undefined): number | null => {
    if (text === undefined) return null;
    const time = parseTraceTime(text);
    if (time?.form === trace.form) return time.atMs;
    const expected = trace.form === 'utc' ? 'a time in ISO 8601' : 'seconds';
    throw new PlayError(`${name} is "${text}", expected ${expected}, as in the trace`);
  };
  const fromMs = limit('from', from) ?? Number.NEGATIVE_INFINITY;
  const toMs = limit('to', to) ?? Number.POSITIVE_INFINITY;
  const rows = trace.rows
    .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
    .map(({ atMs, currents: { L1, L2, L3, N } }) => {
      const neutralA = trace.hasNeutral ? N : neutralOf(L1, L2, L3);
      return { atMs, currents: { L1: L1 * scale, L2: L2 * scale, L3: L3 * scale, N: neutralA * scale } };
    });
  if (rows.length > 0) return rows;
  const first = timeText(trace.rows[0]?.atMs ?? 0, trace.form);
  const last = timeText(trace.rows.at(-1)?.atMs ?? 0, trace.form);
  throw new PlayError(`no row from ${from ?? first} to ${to ?? last}, expected a part of ${first} to ${last}`);
}

/** The sum of three currents 120° apart: what a meter shows that computes its neutral, at equal power factors. */
function neutralOf(aA: number, bA: number, cA: number): number {
  return Math.sqrt(Math.max(0, aA * aA + bA * bA + cA * cA - aA * bA - bA * cA - cA * aA));
}

function firstLine(
  meter: SimulatedMeter,
  profile: string,
  trace: PlayedTrace,
  rows: readonly PlayedRow[],
  options: PlayOptions,
): string {
  const { speed = 1, scale = 1, voltageV = DEFAULT_VOLTAGE_V, powerFactor = DEFAULT_POWER_FACTOR } = options;
  const startMs = rows[0]?.atMs ?? 0;
  const endMs = rows.at(-1)?.atMs ?? 0;
  const peaks = PHASES.map((phase) => {
    const peakA = rows.reduce((highest, { currents }) => Math.max(highest, currents[phase] || 0), 0);
    return rows.every(({ currents }) => Number.isNaN(currents[phase]))
      ? `${phase} none`
      : `${phase} ${rounded(peakA, 1)}`;
  });
  const { count, first } = trace.leftOut;
  const skipped = [`${count} rows`];
  if (first !== null) skipped.push(`first ${showProblem(first)}`);
  if (trace.blankCells > 0) skipped.push(`blank cells ${trace.blankCells} (served as no value)`);
  const assumed = [`${voltageV} V and power factor ${powerFactor} (for the meter's watts)`, ...trace.notes];
  if (trace.negativeCells > 0) assumed.push(`wrong sign in negative cells (${trace.negativeCells})`);
  if (!trace.hasNeutral) assumed.push('neutral from phases 120° apart');
  if (trace.form === 'utc') assumed.push('UTC where no zone stands');
  return [
    `meter ${profile} on ${meter.host} port ${meter.port}`,
    `feeder ${trace.feeder}, ${rows.length} rows, ${timeText(startMs, trace.form)} to ${timeText(endMs, trace.form)} (${rounded((endMs - startMs) / 1000)} s) at speed ${speed}`,
    `peak ${peaks.join(', ')} A${scale === 1 ? '' : ` (scaled by ${scale})`}`,
    `skipped ${skipped.join(', ')}`,
    `assumed ${assumed.join(', ')}`,
  ].join('; ');
}

function timeText(atMs: number, form: TimeForm): string {
  const time = showTime(atMs, form);
  return typeof time === 'number' ? `${rounded(time, 3)} s` : time;
}

/** The last row lasts as long as the one before it. */
function playRows(
  meter: SimulatedMeter,
  rows: readonly PlayedRow[],
  timeForm: TimeForm,
  options: PlayOptions,
  print: (line: string) => void,
): Promise<void> {
  const { speed = 1, interpolate = false, loop = false, verbose = false, signal, clock = systemClock() } = options;
  const startMs = clock.monotonicMs();
  const firstMs = rows[0]?.atMs ?? 0;
  const lastMs = rows.at(-1)?.atMs ?? 0;
  const periodMs = lastMs - firstMs + (rows.length > 1 ? lastMs - (rows.at(-2)?.atMs ?? 0) : SINGLE_ROW_MS);
  // Rows are counted on over every pass, so that a row's instant is one sum and lateness never adds up.
  const row = (turn: number) => rows[turn % rows.length] as PlayedRow;
  const dueMs = (turn: number): number => {
    const sinceStartMs = Math.floor(turn / rows.length) * periodMs + row(turn).atMs - firstMs;
    return startMs + sinceStartMs / speed;
  };
  const isLast = (turn: number) => !loop && turn === rows.length - 1;
  const sayRow = (turn: number) => {
    if (verbose) print(rowLine(row(turn), timeForm));
  };

  return new Promise((resolve) => {
    let timer: Timer | null = null;
    let turn = 0;
    const stop = () => {
      timer?.cancel();
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const step = () => {
      const nowMs = clock.monotonicMs();
      while (!isLast(turn) && nowMs >= dueMs(turn + 1)) sayRow(++turn);
      const nextMs = dueMs(turn + 1);
      if (isLast(turn) && nowMs >= nextMs) return stop();
      const isSloping = interpolate && !isLast(turn);
      const passed = (nowMs - dueMs(turn)) / (nextMs - dueMs(turn));
      meter.set(isSloping ? between(row(turn).currents, row(turn + 1).currents, passed) : row(turn).currents);
      timer = clock.at(isSloping ? Math.min(nextMs, nowMs + INTERPOLATE_EVERY_MS) : nextMs, step);
    };
    signal?.addEventListener('abort', stop);
    sayRow(0);
    if (signal?.aborted) stop();
    else step();
  });
}

/** Towards a row without a value the last value holds: there is no line to nothing. */
function between(from: MeterCurrents, to: MeterCurrents, passed: number): MeterCurrents {
  const [L1, L2, L3, N] = CONDUCTORS.map((conductor) =>
    Number.isNaN(to[conductor]) ? from[conductor] : from[conductor] + (to[conductor] - from[conductor]) * passed,
  ) as [number, number, number, number];
  return { L1, L2, L3, N };
}

function rowLine({ atMs, currents }: PlayedRow, timeForm: TimeForm): string {
  const shown = CONDUCTORS.map((conductor) => {
    const currentA = currents[conductor];
    return `${conductor} ${Number.isNaN(currentA) ? 'none' : rounded(currentA, 1)}`;
  });
  return `${timeText(atMs, timeForm)} ${shown.join(', ')} A`;
}
