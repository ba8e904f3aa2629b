// Reads a COMTRADE record into a trace's sink: waveforms as true RMS per cycle, slow records as they are. Whose currents
// they are a mapping says, or the caller where there is but one feeder.
import type { Conductor } from '../../feeder.ts';
import { TraceProblem } from '../trace/problem.ts';
import { newRow, type Row, SECONDS_ZERO_MS, showTime, type TraceSink } from '../trace/sink.ts';
import { isTraceTime } from '../trace/time.ts';
import type { RecordParts } from './parts.ts';
import { findPhaseChannels, namedChannel, type PhaseChannel } from './phase-channels.ts';
import { readRecordConfiguration } from './read-configuration.ts';
import { readSamples, type Samples } from './read-samples.ts';
import type { RecordConfiguration } from './record.ts';
import { isWaveform, type RmsReading, rmsPerCycle } from './rms.ts';

/** One feeder of a record, and the channels that are its currents by name or number; none: found by unit and phase. */
export interface RecordFeeder {
  readonly id: string;
  readonly channels: { readonly [C in Conductor]?: string | undefined } | null;
  /** Amperes of what a channel's unit says, for channels whose unit says something else. */
  readonly scale: number;
}

/** Where neither the record nor anybody says: what the network here has. */
const DEFAULT_LINE_FREQUENCY_HZ = 50;

/**
 * `isMagnitudes`: it is known to hold no waveform, however fast it is. Throws a `TraceProblem` where the record cannot be
 * read or has no currents.
 */
export function readRecord(
  parts: RecordParts,
  feeders: readonly RecordFeeder[],
  sink: TraceSink,
  isMagnitudes = false,
): void {
  const { file, bytes, firstLine } = parts.configuration;
  const configuration = readRecordConfiguration(file, bytes, firstLine);
  const tell = (text: string) => sink.note(`${file}: ${text}`);
  for (const note of configuration.notes) tell(note);
  const form = configuration.startMs === null ? 'seconds' : 'utc';
  sink.timeForm(form, file);
  for (const feeder of feeders) {
    const phases = phasesOf(configuration, feeder);
    const channels = phases.map(({ channel }) => channel);
    const slot = sink.slotOf(feeder.id);
    const samples = readSamples(configuration, parts.data.bytes, channels, (problem) =>
      sink.broken({ ...problem, file: parts.data.file }, slot),
    );
    for (const note of samples.notes) tell(note);
    if (samples.values[0]?.length === 0) {
      tell('no sample in the data');
      continue;
    }
    if (samples.timesMs.length === 0) throw refuse(configuration, 'no times', 'a sampling rate, or time stamps');
    const spanMs = samples.timesMs.at(-1) as number;
    if (!isTraceTime((configuration.startMs ?? SECONDS_ZERO_MS) + spanMs))
      throw refuse(
        configuration,
        `a record of ${spanMs / 1000} s`,
        'sampling rates, or time stamps, of less than that',
      );
    tell(
      `${feeder.id}: ${phases.map(({ conductor, channel }) => `${conductor} is ${configuration.analog[channel]?.name}`).join(', ')}`,
    );
    for (const row of rowsOf(configuration, phases, samples, isMagnitudes, tell)) {
      if (sink.reading(slot, row)) continue;
      const value = showTime(row[0] as number, form);
      const expected = 'a time after the feeder’s reading before';
      sink.broken({ file: parts.data.file, line: 0, column: 0, path: 'time', value: String(value), expected }, slot);
    }
  }
}

function phasesOf(configuration: RecordConfiguration, { channels, scale }: RecordFeeder): PhaseChannel[] {
  const shown = configuration.analog.map(({ name, unit }) => `${name} (${unit || 'no unit'})`);
  const list = `${shown.slice(0, 12).join(', ')}${shown.length > 12 ? ` and ${shown.length - 12} more` : ''}`;
  if (channels === null) {
    const found = findPhaseChannels(configuration);
    if (found.some(({ conductor }) => conductor !== 'N')) return found;
    throw refuse(
      configuration,
      `channels ${list}`,
      'a phase current in amperes, or a mapping file (--mapping) that names channels',
    );
  }
  return Object.entries(channels).flatMap(([conductor, name]) => {
    if (name === undefined) return [];
    const found = namedChannel(configuration, conductor as Conductor, name, scale);
    if (found === null) throw refuse(configuration, `no channel "${name}"`, `one of ${list}`);
    return [found];
  });
}

/** The same row again and again. */
function* rowsOf(
  configuration: RecordConfiguration,
  phases: readonly PhaseChannel[],
  { timesMs, values }: Samples,
  isMagnitudes: boolean,
  tell: (text: string) => void,
): Generator<Row> {
  const frequencyHz = configuration.lineFrequencyHz ?? DEFAULT_LINE_FREQUENCY_HZ;
  const amperes = values.map((channel, index) => channel.map((value) => value * (phases[index]?.amperesPerUnit ?? 1)));
  const waveform = !isMagnitudes && isWaveform(timesMs, frequencyHz);
  const assumed = configuration.lineFrequencyHz === null ? ' (assumed, the record names none)' : '';
  const readings = waveform ? rmsPerCycle(timesMs, amperes, frequencyHz) : asTheyAre(timesMs, amperes);
  tell(waveform ? `true RMS per cycle of ${frequencyHz} Hz${assumed}` : 'values are magnitudes, not a waveform');
  if (readings.length === 0) tell(`${timesMs.length} samples, less than one cycle: no reading`);
  const zeroMs = configuration.startMs ?? SECONDS_ZERO_MS;
  const of = (conductor: Conductor) => phases.findIndex((phase) => phase.conductor === conductor);
  const [l1, l2, l3, n] = [of('L1'), of('L2'), of('L3'), of('N')];
  const at = (reading: RmsReading, index: number) => reading.values[index] ?? Number.NaN;
  const row = newRow();
  for (const reading of readings) {
    row.set([zeroMs + reading.atMs, at(reading, l1), at(reading, l2), at(reading, l3), at(reading, n)]);
    yield row;
  }
}

function asTheyAre(timesMs: Float64Array, channels: readonly Float64Array[]): RmsReading[] {
  return Array.from(timesMs, (atMs, index) => ({
    atMs,
    values: channels.map((values) => values[index] ?? Number.NaN),
  }));
}

function refuse({ file }: RecordConfiguration, value: string, expected: string): TraceProblem {
  return new TraceProblem({ file, line: 2, column: 1, path: '', value, expected });
}
