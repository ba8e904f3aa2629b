// Runs recorded traces through the control code of the controller: the same steps, with the trace's clock in place of
// the monotonic one. Neither source, broker nor journal of the configuration is touched.
//
// It is open loop: a recorded current does not fall when asked. So no effect is judged or learned and no rebound expected,
// and levels come from `controllableA`.
import type { Configuration } from '../../configuration.ts';
import type { FeederSettings } from '../../feeder-settings.ts';
import type { Problem } from '../../yaml-file.ts';
import type { InputsFile, RecordedRun } from '../trace/inputs-file.ts';
import type { Mapping } from '../trace/mapping.ts';
import { pairedRecords, readTraceFile, type TraceFile } from '../trace/open-trace.ts';
import { TraceProblem } from '../trace/problem.ts';
import type { Row, TimeForm, TraceSink } from '../trace/sink.ts';
import { compareWithLive, inputsBeside, otherSettings, outsideEvents } from './as-it-ran.ts';
import { dependOnOneAnother, JoinedFeeders, type RowTaker } from './joined-feeders.ts';
import { ReplayedFeeder } from './replayed-feeder.ts';
import type { ReplayEvent, ReplayResult } from './results.ts';
import { Series } from './series.ts';
import { Survey } from './survey.ts';
import { NO_INTERVAL_GAP_MS } from './trace-counts.ts';

export const OPEN_LOOP =
  'open loop: a recorded current does not fall when asked, so no effect is judged or learned, and levels come from controllableA';

const AS_IT_RAN =
  'as it ran: settings and inputs are those of the live run, so the recorded currents answer these very requests; with any other settings a replay is open loop';

export function loopText({ asItRan }: ReplayResult): string {
  return asItRan === null ? OPEN_LOOP : AS_IT_RAN;
}

export interface ReplayInput {
  readonly configuration: Configuration;
  readonly traces: readonly string[];
  /** How to read traces that are not native. */
  readonly mapping?: Mapping | undefined;
  /** Whose currents a COMTRADE record holds; needed where the configuration has several feeders. */
  readonly feeder?: string | undefined;
  /** What is a gap, where the trace's own median interval shall not say it. */
  readonly gapS?: number | undefined;
  /** The settings were changed for this replay, so that no export is lived through as it ran. */
  readonly isChanged?: boolean | undefined;
  /** Of every phase at its first reading; 0 unless given, or an export says it. */
  readonly initialThermalPercent?: number | undefined;
  /** A broken row ends the replay with a `TraceProblem`. */
  readonly strict?: boolean | undefined;
  /** Keeps what charts need. */
  readonly charts?: boolean | undefined;
  /** Shown on long runs; `share` is 0 to 1. */
  readonly progress?: ((share: number, readings: number) => void) | undefined;
}

/** So many events are kept; a trace that has more is told so. */
const EVENTS_MAX = 1_000_000;
const PROBLEMS_KEPT = 5;

/** Throws a `TraceProblem` when a trace cannot be read, or holds nothing of the configuration's feeders. */
export async function replay(input: ReplayInput): Promise<ReplayResult> {
  const traces = pairedRecords(input.traces);
  const inputs = inputsBeside(traces);
  const isWhole = inputs.length === traces.length && input.isChanged !== true;
  const others = inputs.filter(({ settingsHash }) => settingsHash !== input.configuration.hash);
  const asItRan = inputs.length > 0 && isWhole && others.length === 0;
  const notes = isWhole ? [...new Set(others.map(otherSettings))] : [];
  // An export has what the transformer and the other feeders said to each among its inputs.
  const isJoined = !asItRan && dependOnOneAnother(input.configuration.settings);
  const survey = isJoined ? new Survey() : null;
  if (survey !== null) await readTraces(input, traces, survey, () => 0, { from: 0, to: 0.5 });
  const begin = { traces, inputs, asItRan, notes, survey };
  const first = new Run(input, begin, new Map());
  await first.read({ from: isJoined ? 0.5 : 0, to: 1 });
  // The gap rule needs the median of the whole trace. Where the first readings told it wrong, it is known now.
  if (!first.isGapWrong) return first.result();
  const second = new Run(input, begin, first.gapsMs());
  await second.read({ from: 0, to: 1 });
  return second.result();
}

/** A part of the progress bar. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

async function readTraces(
  { progress, mapping, configuration, feeder }: ReplayInput,
  traces: readonly TraceFile[],
  sink: TraceSink,
  readings: () => number,
  { from, to }: Stretch,
): Promise<void> {
  const { feeders } = configuration.settings;
  const onlyFeeder = feeder ?? (feeders.length === 1 ? (feeders[0]?.id ?? null) : null);
  for (const [index, file] of traces.entries()) {
    await readTraceFile(file, { mapping: mapping ?? null, onlyFeeder }, sink, (doneBytes, allBytes) => {
      const share = (index + Math.min(1, doneBytes / Math.max(1, allBytes))) / traces.length;
      progress?.(from + share * (to - from), readings());
    });
  }
}

interface Begin {
  readonly traces: readonly TraceFile[];
  readonly inputs: readonly InputsFile[];
  readonly asItRan: boolean;
  readonly notes: readonly string[];
  /** Null where every feeder goes by itself. */
  readonly survey: Survey | null;
}

class Run implements TraceSink {
  readonly #input: ReplayInput;
  readonly #feeders = new Map<string, ReplayedFeeder>();
  readonly #joined: JoinedFeeders | null;
  /** By slot; null for a feeder that the configuration does not have. */
  readonly #slots: (RowTaker | null)[] = [];
  readonly #unknownNames: string[] = [];
  readonly #unknownRows: number[] = [];
  readonly #events: ReplayEvent[] = [];
  readonly #series = new Map<string, Series>();
  #eventsLeftOut = 0;
  #readings = 0;
  #brokenCount = 0;
  readonly #brokenFirst: Problem[] = [];
  readonly #notes: string[];
  readonly #traces: readonly TraceFile[];
  readonly #inputs: readonly InputsFile[];
  readonly #asItRan: boolean;
  #form: { form: TimeForm; file: string } | null = null;

  constructor(input: ReplayInput, begin: Begin, gapsMs: ReadonlyMap<string, number>) {
    const { traces, inputs, asItRan, notes, survey } = begin;
    this.#input = input;
    this.#traces = traces;
    this.#inputs = inputs;
    this.#asItRan = asItRan;
    this.#notes = [...notes];
    const { settings } = input.configuration;
    const givenGapMs = input.gapS === undefined ? null : input.gapS * 1000;
    const event = (event: ReplayEvent) => this.#keep(event);
    for (const feeder of settings.feeders) {
      const seenGapMs = survey === null ? gapsMs.get(feeder.id) : (survey.of(feeder.id)?.gapMs ?? NO_INTERVAL_GAP_MS);
      const runs = inputs.flatMap(({ records }) => records.filter(({ feederId }) => feederId === feeder.id));
      const replayed = new ReplayedFeeder({
        settings: feeder,
        sources: settings.sources,
        feedersAtOnce: survey === null ? 0 : settings.caps.feedersAtOnce,
        form: () => this.#form?.form ?? 'seconds',
        initialThermalPercent: input.initialThermalPercent,
        isSigned: input.mapping !== undefined && input.mapping.sign !== 'unknown',
        gapMs: givenGapMs ?? seenGapMs ?? null,
        runs: runs as unknown as RecordedRun[],
        isAsItRan: asItRan && runs.length > 0,
        event,
        note: (text) => this.note(text),
        series: this.#seriesOf(feeder.id),
      });
      this.#feeders.set(feeder.id, replayed);
    }
    this.#joined =
      survey &&
      new JoinedFeeders({
        settings,
        feeders: [...this.#feeders.values()],
        survey,
        gapMs: givenGapMs,
        initialThermalPercent: input.initialThermalPercent ?? 0,
        isSigned: input.mapping !== undefined && input.mapping.sign !== 'unknown',
        event,
        note: (text) => this.note(text),
        series: (id) => this.#seriesOf(id),
      });
  }

  async read(stretch: Stretch): Promise<void> {
    await readTraces(this.#input, this.#traces, this, () => this.#readings, stretch);
    if (this.#readings === 0) throw this.#nothing();
    if (this.#joined !== null) return this.#joined.end();
    const lastMs = Math.max(...[...this.#feeders.values()].map((feeder) => feeder.lastMs));
    for (const feeder of this.#feeders.values()) feeder.end(lastMs);
  }

  // ── sink ────────────────────────────────────────────────────────────────────────────────────────────────────────

  slotOf(feeder: string): number {
    const replayed = (this.#joined === null ? this.#feeders.get(feeder) : this.#joined.taker(feeder)) ?? null;
    this.#unknownNames.push(replayed === null ? feeder : '');
    this.#unknownRows.push(0);
    return this.#slots.push(replayed) - 1;
  }

  reading(slot: number, row: Row): boolean {
    const feeder = this.#slots[slot];
    if (feeder === null || feeder === undefined) {
      this.#unknownRows[slot] = (this.#unknownRows[slot] ?? 0) + 1;
      return true;
    }
    if (!feeder.take(row)) return false;
    this.#readings++;
    return true;
  }

  broken(problem: Problem, slot: number | null): void {
    if (this.#input.strict === true) throw new TraceProblem(problem);
    this.#brokenCount++;
    if (this.#brokenFirst.length < PROBLEMS_KEPT) this.#brokenFirst.push(problem);
    if (slot !== null) this.#slots[slot]?.brokenRow();
  }

  timeForm(form: TimeForm, file: string): void {
    this.#form ??= { form, file };
    if (this.#form.form === form) return;
    const words = { utc: 'stamps in ISO 8601', seconds: 'seconds' };
    const expected = `${words[this.#form.form]}, as in ${this.#form.file}`;
    throw new TraceProblem({ file, line: 2, column: 1, path: 'time', value: words[form], expected });
  }

  note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
  }

  // ── result ──────────────────────────────────────────────────────────────────────────────────────────────────────

  get isGapWrong(): boolean {
    return this.#joined === null && [...this.#feeders.values()].some((feeder) => feeder.isGapWrong);
  }

  gapsMs(): Map<string, number> {
    return new Map([...this.#feeders].map(([id, feeder]) => [id, feeder.gapMs]));
  }

  result(): ReplayResult {
    const asItRan = this.#asItRan ? compareWithLive(this.#inputs, this.#events) : null;
    if (this.#asItRan) this.#events.push(...outsideEvents(this.#inputs));
    // Feeders may come one after the other in the file; the sequence of events is one of time.
    this.#events.sort((a, b) => a.atMs - b.atMs);
    return {
      asItRan,
      form: this.#form?.form ?? 'seconds',
      feeders: [...this.#feeders.values()].map((feeder) => feeder.result()),
      transformer: this.#joined?.transformerResult() ?? null,
      events: this.#events,
      eventsLeftOut: this.#eventsLeftOut,
      broken: { count: this.#brokenCount, first: this.#brokenFirst },
      unknown: this.#unknown(),
      notes: this.#notes,
      readings: this.#readings,
      series: this.#series,
    };
  }

  #seriesOf(feederId: string): Series | null {
    if (this.#input.charts !== true) return null;
    const series = new Series();
    this.#series.set(feederId, series);
    return series;
  }

  #unknown(): Map<string, number> {
    return new Map(
      this.#unknownNames.flatMap((name, slot) => (name === '' ? [] : [[name, this.#unknownRows[slot] ?? 0]])),
    );
  }

  #keep(event: ReplayEvent): void {
    if (this.#events.length < EVENTS_MAX) this.#events.push(event);
    else this.#eventsLeftOut++;
  }

  /** Why not one reading was taken. */
  #nothing(): TraceProblem {
    const file = this.#input.traces.at(-1) ?? '';
    const [first] = this.#brokenFirst;
    if (first !== undefined) return new TraceProblem(first);
    const names = [...this.#unknown().keys()];
    if (names.length === 0) {
      const expected = 'at least one reading';
      return new TraceProblem({ file, line: 1, column: 1, path: 'row', value: null, expected });
    }
    const ids = this.#input.configuration.settings.feeders.map((feeder: FeederSettings) => feeder.id).join(', ');
    const shown = `${names.slice(0, 12).join(', ')}${names.length > 12 ? ` and ${names.length - 12} more` : ''}`;
    const expected = `a feeder of the configuration (${ids})`;
    return new TraceProblem({ file, line: 2, column: 1, path: 'feeder', value: shown, expected });
  }
}
