// One feeder in a replay: judged and stepped by the same code as in service, and what is counted beside it. Where it is
// independent of others it goes by itself (`take`). What is a gap depends on its median interval, which the first readings
// tell well enough to begin with; the whole trace has the last word (replay.ts). Where feeders are stepped together
// (joined-feeders.ts) whoever steps them begins it, asks for each reading and comes back after the step. Where an
// export's inputs stand beside the trace, it lives through them again.

import { wholeMilliamperes } from '../../acquisition/quality.ts';
import { stepReading, stepTime } from '../../control/feeder-control.ts';
import { lowestLevelPercent } from '../../control/requests.ts';
import { onClockAhead } from '../../control/resume.ts';
import { heatPercent } from '../../control/thermal.ts';
import { giveHeat } from '../../control/three-phases.ts';
import type { ControlReading, ThermalSettings, ThermalState } from '../../control/types.ts';
import { takeInput } from '../../control-input.ts';
import { signConfirmed } from '../../control-settings.ts';
import { CONDUCTORS } from '../../feeder.ts';
import type { FeederSettings } from '../../feeder-settings.ts';
import { followCalendar } from '../../group-in-force.ts';
import type { SourceSettings } from '../../source-settings.ts';
import { type WatchedFeeder, watchedFeeder } from '../../watched-feeder.ts';
import type { RecordedRun } from '../trace/inputs-file.ts';
import type { Row, TimeForm } from '../trace/sink.ts';
import { eventOf, qualityEvent } from './control-events.ts';
import { Episodes } from './episodes.ts';
import { JudgedRows, newReading, setConductor } from './judged-rows.ts';
import { RecordedRuns } from './recorded-runs.ts';
import type { FeederResult, ReplayEvent } from './results.ts';
import { chartPoint, type Series } from './series.ts';
import { TraceCounts } from './trace-counts.ts';

/** Readings that are held back until they tell the median interval. */
const WARM_UP = 64;
const MINUTE_MS = 60_000;
/** A clock that was set forward by decades is not gone through minute by minute. */
const CALENDAR_MAX_MS = 366 * 24 * 60 * MINUTE_MS;

export interface FeederInput {
  readonly settings: FeederSettings;
  readonly sources: readonly SourceSettings[];
  /** Of the substation; 0 for no cap. */
  readonly feedersAtOnce: number;
  /** Of the trace, once its first reading has come. */
  readonly form: () => TimeForm;
  /** Heat at the first reading, in percent; a replay starts cold unless told. */
  readonly initialThermalPercent: number | undefined;
  /** A negative current of the trace is known to be export. */
  readonly isSigned: boolean;
  /** Where it is known beforehand. */
  readonly gapMs: number | null;
  /** What an export says of this feeder; none for a trace without inputs. */
  readonly runs: readonly RecordedRun[];
  /** The settings are those of the export, so that all of its inputs are lived through again. */
  readonly isAsItRan: boolean;
  readonly event: (event: ReplayEvent) => void;
  readonly note: (text: string) => void;
  /** For a chart; null where nobody wants one. */
  readonly series: Series | null;
}

export class ReplayedFeeder {
  readonly #input: FeederInput;
  readonly #episodes = new Episodes();
  readonly #counts: TraceCounts;
  readonly #runs: RecordedRuns | null;
  /** From the first reading on. */
  #feeder: WatchedFeeder | null = null;
  #rows: JudgedRows | null = null;
  #held: Row[] | null = [];
  /** Of the last row; minus infinity where none is known. */
  #highestA = Number.NEGATIVE_INFINITY;
  #heatPercent = Number.NaN;
  /** When the calendar of the settings groups is next looked at. */
  #calendarMs = Number.POSITIVE_INFINITY;

  constructor(input: FeederInput) {
    this.#input = input;
    const confirmed = signConfirmed(input.settings.powerSign);
    this.#counts = new TraceCounts((phase) => input.isSigned || confirmed[phase]);
    this.#runs = input.runs.length === 0 ? null : new RecordedRuns(input.runs);
    if (input.isAsItRan) this.#begin(input.runs[0]?.staleAfterMs ?? Number.NaN);
    else if (input.gapMs !== null) this.#begin(input.gapMs);
  }

  get id(): string {
    return this.#input.settings.id;
  }

  /** A reading of a feeder that goes by itself. False where the time is not after the reading before. */
  take(row: Row): boolean {
    if (!this.comes(row)) return false;
    if (this.#held === null) {
      this.#step(row);
      return true;
    }
    this.#held.push(row.slice());
    if (this.#counts.readings === WARM_UP) this.#begin(this.#counts.ownGapMs);
    return true;
  }

  brokenRow(): void {
    this.#counts.brokenRow();
  }

  /** The trace is over: what falls due up to `endMs`, the last instant of all feeders, still happens. */
  end(endMs: number): void {
    if (this.#held !== null) this.#begin(this.#counts.ownGapMs);
    const feeder = this.#feeder;
    if (feeder === null) return;
    // What was recorded ends with its last reading.
    const atMs = this.#input.isAsItRan ? this.lastMs : Math.max(endMs, this.lastMs);
    if (this.#input.isAsItRan) this.#takeInputs(feeder, atMs);
    this.followCalendar(atMs);
    stepTime(feeder.state, feeder.control, atMs, feeder.actions);
    this.drain();
    this.close(atMs);
  }

  get lastMs(): number {
    return this.#counts.lastMs;
  }

  /** The gap that the whole trace calls for, and whether another one was used. */
  get gapMs(): number {
    return this.#counts.ownGapMs;
  }
  get isGapWrong(): boolean {
    const { gapMs, isAsItRan } = this.#input;
    const { readings, ownGapMs } = this.#counts;
    return gapMs === null && !isAsItRan && readings > 0 && this.#counts.gapMs !== ownGapMs;
  }

  result(): FeederResult {
    const { settings } = this.#input;
    const { budget } = this.#feeder?.group ?? (settings.settings[0] as FeederSettings['settings'][number]);
    return { feederId: settings.id, ...this.#counts.result(), episodes: this.#episodes.closed, budget };
  }

  // ── stepped by itself or together with others ───────────────────────────────────────────────────────────────────

  /** The feeder as the controller carries it, with the settings group of `atMs`. */
  watch(atMs: number): WatchedFeeder {
    const { settings, sources, feedersAtOnce, form, initialThermalPercent, runs, note } = this.#input;
    const hasDates = form() === 'utc';
    const isSingle = settings.settings.length === 1;
    const standing = settings.settings.find(({ calendar, byCommand }) => calendar === undefined && !byCommand);
    const groups = hasDates ? settings.settings : [standing ?? (settings.settings[0] as typeof standing & {})];
    if (!(hasDates || isSingle))
      note(`${settings.id}: times are seconds, which no calendar knows: settings group ${groups[0]?.name} throughout`);
    const feeder = watchedFeeder({ ...settings, settings: groups }, sources, hasDates ? atMs : 0, feedersAtOnce);
    feeder.control = { ...feeder.control, staleAfterMs: this.#counts.gapMs, isOpenLoop: true };
    const recorded = runs[0]?.state;
    giveHeat(feeder.state, (name) => initialThermalPercent ?? recorded?.[name].thermal.heatPercent ?? 0);
    if (hasDates && !isSingle && !this.#input.isAsItRan)
      this.#calendarMs = (Math.floor(atMs / MINUTE_MS) + 1) * MINUTE_MS;
    this.#rows = new JudgedRows(settings, this.#counts.gapMs, (oddMs, change) =>
      this.#input.event(qualityEvent(settings.id, oddMs, change)),
    );
    this.#feeder = feeder;
    return feeder;
  }

  /** A row has come, whose turn may be later. False where its time is not after the row before. */
  comes(row: Row): boolean {
    if (this.#runs !== null) asRecorded(row);
    return this.#counts.comes(row[0] as number);
  }

  /** The row as control takes it. */
  reading(row: Row, feeder: WatchedFeeder): ControlReading {
    const reading =
      this.#runs === null ? (this.#rows as JudgedRows).judge(row) : this.#recorded(row, feeder, this.#runs);
    this.#highestA = this.#counts.count(row);
    return reading;
  }

  /** Control has taken the row. */
  taken(row: Row, feeder: WatchedFeeder): void {
    const highestA = this.#highestA;
    if (feeder.actions.length > 0) this.drain(highestA);
    if (this.#episodes.isWatching) this.#episodes.peak(highestA);
    this.#counts.holds(row, highestA, feeder.control.ratingA);
    if (feeder.control.thermal !== undefined) this.#feelHeat(feeder, row[0] as number);
    if (this.#input.series !== null) this.#chart(this.#input.series, feeder, row);
  }

  get calendarMs(): number {
    return this.#calendarMs;
  }

  followCalendar(untilMs: number): void {
    const feeder = this.#feeder;
    if (feeder === null || untilMs < this.#calendarMs) return;
    if (untilMs - this.#calendarMs > CALENDAR_MAX_MS)
      this.#calendarMs = Math.floor(untilMs / MINUTE_MS) * MINUTE_MS - CALENDAR_MAX_MS;
    for (; this.#calendarMs <= untilMs; this.#calendarMs += MINUTE_MS) {
      const at = { monotonicMs: this.#calendarMs, wallMs: this.#calendarMs };
      followCalendar(feeder, 'by the calendar', at);
    }
    this.drain();
  }

  /** Tells what control has said. */
  drain(highestA = Number.NEGATIVE_INFINITY): void {
    const { actions } = this.#feeder ?? { actions: [] };
    for (const action of actions) {
      this.#episodes.take(action, highestA);
      this.#input.event(eventOf(this.id, action));
    }
    actions.length = 0;
  }

  close(atMs: number): void {
    this.#counts.end(atMs);
    this.#episodes.end(atMs);
  }

  // ── by itself ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on it is known what a gap is; what was held back goes first. */
  #begin(gapMs: number): void {
    this.#counts.gapMs = gapMs;
    const held = this.#held ?? [];
    this.#held = null;
    for (const row of held) this.#step(row);
  }

  #step(row: Row): void {
    const atMs = row[0] as number;
    const feeder = this.#feeder ?? this.watch(atMs);
    if (atMs >= this.#calendarMs) this.followCalendar(atMs);
    const reading = this.reading(row, feeder);
    stepReading(feeder.state, feeder.control, reading, feeder.actions);
    this.taken(row, feeder);
  }

  /** A row of an export, with the quality that it had. */
  #recorded(row: Row, feeder: WatchedFeeder, runs: RecordedRuns): ControlReading {
    const atMs = row[0] as number;
    const run = runs.begin(atMs);
    if (this.#input.isAsItRan) {
      if (run !== null) this.#resume(feeder, run);
      this.#takeInputs(feeder, atMs);
    }
    const reading = newReading();
    reading.atMs = atMs;
    for (const [index, name] of CONDUCTORS.entries()) {
      const currentA = row[index + 1] as number;
      setConductor(reading[name], currentA, Number.isNaN(currentA) ? 'bad' : (runs.quality(name) ?? 'good'));
    }
    reading.exporting = runs.exporting;
    runs.advance();
    return reading;
  }

  /** Where a record begins everything is as it was then; what was between two records nobody knows. */
  #resume(feeder: WatchedFeeder, run: RecordedRun): void {
    this.drain();
    const inForce = feeder.groups.get(run.group);
    feeder.state = onClockAhead(run.state, 0);
    feeder.group = inForce?.group ?? feeder.group;
    feeder.control = { ...(inForce?.control ?? feeder.control), staleAfterMs: run.staleAfterMs, isOpenLoop: false };
    this.#counts.gapMs = run.staleAfterMs;
    this.#episodes.resume(feeder.state.episode, lowestLevelPercent(feeder.state), run.firstMs);
  }

  #takeInputs(feeder: WatchedFeeder, untilMs: number): void {
    for (const input of this.#runs?.inputs() ?? []) {
      if (input.atMs <= untilMs) takeInput(feeder, input);
    }
    this.drain();
  }

  /** Between two readings heat only rises or only falls, so its highest is at one of them. */
  #feelHeat({ state: { L1, L2, L3 }, control: { thermal } }: WatchedFeeder, atMs: number): void {
    if (thermal === undefined) return;
    const [a, b, c] = [
      heatAt(L1.thermal, thermal, atMs),
      heatAt(L2.thermal, thermal, atMs),
      heatAt(L3.thermal, thermal, atMs),
    ];
    this.#heatPercent = a > b ? (a > c ? a : c) : b > c ? b : c;
    this.#counts.heat(this.#heatPercent);
  }

  #chart(series: Series, { state }: WatchedFeeder, row: Row): void {
    series.add(chartPoint(row, lowestLevelPercent(state), this.#heatPercent));
  }
}

/** Mostly it is that of this very reading, and needs no exponential. */
function heatAt(state: ThermalState, settings: ThermalSettings, atMs: number): number {
  return state.heatMs === atMs ? state.heatPercent + state.windingPercent : heatPercent(state, settings, atMs);
}

/** The clock counts eighths and control sees milliamperes: what a format has made of them is undone. */
function asRecorded(row: Row): void {
  row[0] = Math.round((row[0] as number) * 8) / 8;
  for (let column = 1; column < row.length; column++) row[column] = wholeMilliamperes(Math.abs(row[column] as number));
}
