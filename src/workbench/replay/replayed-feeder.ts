// One feeder in a replay: judged and stepped by the same code as in service, and what is counted beside it. What is a gap
// depends on the feeder's median interval, which the first readings tell well enough to begin with; the whole trace has
// the last word (replay.ts). Where an export's inputs stand beside the trace, it lives through them again.

import { wholeMilliamperes } from '../../acquisition/quality.ts';
import {
  type AlarmChange,
  judgeReading,
  newQualityMemory,
  type QualityRules,
} from '../../acquisition/quality-judge.ts';
import { qualityRules } from '../../acquisition/quality-rules.ts';
import type { Given } from '../../acquisition/source-reading.ts';
import { passesUnremarked } from '../../acquisition/unremarkable.ts';
import { stepReading, stepTime } from '../../control/feeder-control.ts';
import { onClockAhead } from '../../control/resume.ts';
import { heatPercent } from '../../control/thermal.ts';
import type { Action, ControlReading } from '../../control/types.ts';
import { takeInput } from '../../control-input.ts';
import { CONDUCTORS, PHASES, type Phase, type Quality, rounded } from '../../feeder.ts';
import type { FeederSettings } from '../../feeder-settings.ts';
import { followCalendar } from '../../group-in-force.ts';
import type { SourceSettings } from '../../source-settings.ts';
import { type WatchedFeeder, watchedFeeder } from '../../watched-feeder.ts';
import type { RecordedRun } from '../trace/inputs-file.ts';
import type { Row, TimeForm } from '../trace/sink.ts';
import { Episodes } from './episodes.ts';
import { Intervals } from './intervals.ts';
import { RecordedRuns } from './recorded-runs.ts';
import type { FeederResult, ReplayEvent } from './results.ts';
import type { Series } from './series.ts';

interface MutableConductor {
  currentA: number;
  quality: Quality;
}

/** Readings that are held back until they tell the median interval. */
const WARM_UP = 64;
/** A trace of one reading has no interval; nothing follows that could depend on it. */
const SINGLE_READING_GAP_MS = 60_000;
const GAP_INTERVALS = 3;
const MINUTE_MS = 60_000;
/** Between readings further apart nothing happens at once. */
const STEP_INTERVAL_MAX_MS = MINUTE_MS;
/** Watts of an ampere, for the sign alone. */
const NOMINAL_V = 230;
const NOBODY: readonly Phase[] = [];

export interface FeederInput {
  readonly settings: FeederSettings;
  readonly sources: readonly SourceSettings[];
  /** Of the trace, once its first reading has come. */
  readonly form: () => TimeForm;
  /** Heat at the first reading, in percent; a replay starts cold unless told. */
  readonly initialThermalPercent: number | undefined;
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
  readonly #intervals = new Intervals();
  readonly #memory = newQualityMemory();
  readonly #runs: RecordedRuns | null;
  readonly #reading: {
    atMs: number;
    L1: MutableConductor;
    L2: MutableConductor;
    L3: MutableConductor;
    N: MutableConductor;
    exporting: readonly Phase[];
  };
  /** From the first reading on. */
  #feeder: WatchedFeeder | null = null;
  #rules: QualityRules | null = null;
  #held: Row[] | null = [];
  #gapMs = Number.NaN;
  #firstMs = Number.NaN;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Of the last reading that went into control. */
  #steppedMs = Number.NEGATIVE_INFINITY;
  /** When the calendar of the settings groups is next looked at. */
  #calendarMs = Number.POSITIVE_INFINITY;
  #isOver = false;
  #overMs = 0;
  #peakA = Number.NEGATIVE_INFINITY;
  #peakAtMs = Number.NaN;
  #peakPhase: Phase = 'L1';
  #heatPercent = Number.NaN;
  #peakHeatPercent = Number.NEGATIVE_INFINITY;
  #readings = 0;
  #bad = 0;
  #wrongSigns = 0;
  #gaps = 0;
  #gapSumMs = 0;

  constructor(input: FeederInput) {
    this.#input = input;
    this.#runs = input.runs.length === 0 ? null : new RecordedRuns(input.runs);
    const conductor = (): MutableConductor => ({ currentA: Number.NaN, quality: 'good' });
    this.#reading = {
      atMs: Number.NaN,
      L1: conductor(),
      L2: conductor(),
      L3: conductor(),
      N: conductor(),
      exporting: NOBODY,
    };
    if (input.isAsItRan) this.#begin(input.runs[0]?.staleAfterMs ?? Number.NaN);
    else if (input.gapMs !== null) this.#begin(input.gapMs);
  }

  /** False where the time is not after the reading before. */
  take(row: Row): boolean {
    if (this.#runs !== null) asRecorded(row);
    const atMs = row[0] as number;
    const intervalMs = atMs - this.#lastMs;
    if (!(intervalMs > 0)) return false;
    if (this.#readings === 0) this.#firstMs = atMs;
    else this.#intervals.add(intervalMs);
    this.#lastMs = atMs;
    this.#readings++;
    if (this.#held === null) {
      this.#step(row);
      return true;
    }
    this.#held.push(row.slice());
    if (this.#readings === WARM_UP) this.#begin(this.#ownGapMs());
    return true;
  }

  brokenRow(): void {
    this.#bad++;
  }

  /** The trace is over: what falls due up to `endMs`, the last instant of all feeders, still happens. */
  end(endMs: number): void {
    if (this.#held !== null) this.#begin(this.#ownGapMs());
    const feeder = this.#feeder;
    if (feeder === null) return;
    // What was recorded ends with its last reading.
    const atMs = this.#input.isAsItRan ? this.#lastMs : Math.max(endMs, this.#lastMs);
    if (this.#input.isAsItRan) this.#takeInputs(feeder, atMs);
    this.#followCalendar(feeder, atMs);
    stepTime(feeder.state, feeder.control, atMs, feeder.actions);
    if (this.#isOver) this.#overMs += Math.min(atMs - this.#lastMs, this.#gapMs);
    this.#drain(feeder);
    this.#episodes.end(atMs);
  }

  get lastMs(): number {
    return this.#lastMs;
  }

  /** The gap that the whole trace calls for, and whether another one was used. */
  get gapMs(): number {
    return this.#ownGapMs();
  }
  get isGapWrong(): boolean {
    const { gapMs, isAsItRan } = this.#input;
    return gapMs === null && !isAsItRan && this.#readings > 0 && this.#gapMs !== this.#ownGapMs();
  }

  result(): FeederResult {
    const { settings } = this.#input;
    const seen = this.#readings > 0;
    const hasPeak = Number.isFinite(this.#peakA);
    const { budget } = this.#feeder?.group ?? (settings.settings[0] as FeederSettings['settings'][number]);
    return {
      feederId: settings.id,
      readings: this.#readings,
      bad: this.#bad,
      wrongSigns: this.#wrongSigns,
      gaps: this.#gaps,
      gapMinutes: rounded(this.#gapSumMs / MINUTE_MS, 3),
      gapS: rounded(this.#gapMs / 1000, 6),
      firstMs: seen ? this.#firstMs : null,
      lastMs: seen ? this.#lastMs : null,
      episodes: this.#episodes.closed,
      overRatingMinutes: rounded(this.#overMs / MINUTE_MS, 3),
      peakA: hasPeak ? rounded(this.#peakA) : null,
      peakAtMs: hasPeak ? this.#peakAtMs : null,
      peakPhase: hasPeak ? this.#peakPhase : null,
      peakThermalPercent: Number.isFinite(this.#peakHeatPercent) ? rounded(this.#peakHeatPercent) : null,
      budget,
    };
  }

  #ownGapMs(): number {
    const median = this.#intervals.median();
    return median === null ? SINGLE_READING_GAP_MS : GAP_INTERVALS * median;
  }

  /** From here on it is known what a gap is; what was held back goes first. */
  #begin(gapMs: number): void {
    this.#gapMs = gapMs;
    const held = this.#held ?? [];
    this.#held = null;
    for (const row of held) this.#step(row);
  }

  /** The feeder as the controller carries it, with the settings group of the first reading. */
  #watch(atMs: number): WatchedFeeder {
    const { settings, sources, form, initialThermalPercent, runs, note } = this.#input;
    const hasDates = form() === 'utc';
    const isSingle = settings.settings.length === 1;
    const standing = settings.settings.find(({ calendar, byCommand }) => calendar === undefined && !byCommand);
    const groups = hasDates ? settings.settings : [standing ?? (settings.settings[0] as typeof standing & {})];
    if (!(hasDates || isSingle))
      note(`${settings.id}: times are seconds, which no calendar knows: settings group ${groups[0]?.name} throughout`);
    const feeder = watchedFeeder({ ...settings, settings: groups }, sources, hasDates ? atMs : 0);
    feeder.control = { ...feeder.control, staleAfterMs: this.#gapMs, isOpenLoop: true };
    for (const name of PHASES) {
      const { thermal } = feeder.state[name];
      thermal.known = 'given';
      thermal.heatPercent = initialThermalPercent ?? runs[0]?.state[name].thermal.heatPercent ?? 0;
    }
    if (hasDates && !isSingle && !this.#input.isAsItRan)
      this.#calendarMs = (Math.floor(atMs / MINUTE_MS) + 1) * MINUTE_MS;
    this.#rules = replayRules(settings, this.#gapMs);
    this.#feeder = feeder;
    return feeder;
  }

  #step(row: Row): void {
    const atMs = row[0] as number;
    const feeder = this.#feeder ?? this.#watch(atMs);
    const intervalMs = atMs - this.#steppedMs;
    this.#steppedMs = atMs;
    // A value holds until the next, but not into a gap.
    if (this.#isOver) this.#overMs += Math.min(intervalMs, this.#gapMs);
    if (intervalMs > this.#gapMs && intervalMs < Number.POSITIVE_INFINITY) {
      this.#gaps++;
      this.#gapSumMs += intervalMs;
    }
    if (atMs >= this.#calendarMs) this.#followCalendar(feeder, atMs);
    const a = Math.abs(row[1] as number);
    const b = Math.abs(row[2] as number);
    const c = Math.abs(row[3] as number);
    if (a !== row[1] || b !== row[2] || c !== row[3]) this.#countRow(row);
    let highestA = a >= b ? a : b;
    if (c > highestA) highestA = c;
    if (Number.isNaN(highestA) || Number.isNaN(a)) highestA = highestOf(a, b, c);
    const reading = this.#runs === null ? this.#judged(row) : this.#recorded(row, feeder, this.#runs);
    const { actions } = feeder;
    stepReading(feeder.state, feeder.control, reading, actions);
    if (actions.length > 0) this.#drain(feeder, highestA);
    if (this.#episodes.isWatching) this.#episodes.peak(highestA);
    if (highestA > this.#peakA) {
      this.#peakA = highestA;
      this.#peakAtMs = atMs;
      this.#peakPhase = highestA === a ? 'L1' : highestA === b ? 'L2' : 'L3';
    }
    this.#isOver = highestA > feeder.control.ratingA;
    if (feeder.control.thermal !== undefined) this.#feelHeat(feeder, atMs);
    if (this.#input.series !== null) this.#chart(this.#input.series, feeder, atMs, a, b, c);
  }

  /** What the quality rules make of a row; by far the most rows are good as they are. */
  #judged(row: Row): ControlReading {
    const atMs = row[0] as number;
    const rules = this.#rules as QualityRules;
    const L1 = wholeMilliamperes(row[1] as number);
    const L2 = wholeMilliamperes(row[2] as number);
    const L3 = wholeMilliamperes(row[3] as number);
    const N = Math.abs(row[4] as number);
    if (!passesUnremarked(this.#memory, rules, L1, L2, L3, N, atMs)) return this.#judgeOdd(row, rules);
    const reading = this.#reading;
    reading.atMs = atMs;
    set(reading.L1, L1, 'good');
    set(reading.L2, L2, 'good');
    set(reading.L3, L3, 'good');
    set(reading.N, N, N >= 0 ? 'good' : 'bad');
    return reading;
  }

  #judgeOdd(row: Row, rules: QualityRules): ControlReading {
    const { settings } = this.#input;
    const [atMs, L1, L2, L3, N] = row as unknown as [number, number, number, number, number];
    const given = (value: number): Given => (Number.isNaN(value) ? 'unavailable' : value);
    const powerW = Object.fromEntries(
      PHASES.flatMap((name, index) => {
        const value = row[index + 1] as number;
        return Number.isNaN(value) ? [] : [[name, value * NOMINAL_V]];
      }),
    );
    const currents = { L1: given(L1), L2: given(L2), L3: given(L3), N: given(N) };
    const about = { feederId: settings.id, sourceId: settings.currents.source, atMs, powerW };
    const changes: AlarmChange[] = [];
    const judged = judgeReading(this.#memory, rules, { ...about, ...currents }, atMs, changes);
    for (const { alarm, phase, standing, reason } of changes) {
      const about = { ...(phase !== null && { phase }), reason: `${alarm} ${standing ? 'begins' : 'ends'}: ${reason}` };
      this.#input.event({ feederId: settings.id, atMs, type: 'quality', ...about });
    }
    return judged;
  }

  /** A row of an export, with the quality that it had. */
  #recorded(row: Row, feeder: WatchedFeeder, runs: RecordedRuns): ControlReading {
    const atMs = row[0] as number;
    const run = runs.begin(atMs);
    if (this.#input.isAsItRan) {
      if (run !== null) this.#resume(feeder, run);
      this.#takeInputs(feeder, atMs);
    }
    const reading = this.#reading;
    reading.atMs = atMs;
    for (const [index, name] of CONDUCTORS.entries()) {
      const currentA = row[index + 1] as number;
      set(reading[name], currentA, Number.isNaN(currentA) ? 'bad' : (runs.quality(name) ?? 'good'));
    }
    reading.exporting = runs.exporting;
    runs.advance();
    return reading;
  }

  /** Where a record begins everything is as it was then; what was between two records nobody knows. */
  #resume(feeder: WatchedFeeder, run: RecordedRun): void {
    this.#drain(feeder);
    const inForce = feeder.groups.get(run.group);
    feeder.state = onClockAhead(run.state, 0);
    feeder.group = inForce?.group ?? feeder.group;
    feeder.control = { ...(inForce?.control ?? feeder.control), staleAfterMs: run.staleAfterMs, isOpenLoop: false };
    this.#gapMs = run.staleAfterMs;
    const { episode, L1, L2, L3 } = feeder.state;
    const levelPercent = Math.min(L1.levelPercent, L2.levelPercent, L3.levelPercent);
    this.#episodes.resume(episode, levelPercent, run.firstMs);
  }

  #takeInputs(feeder: WatchedFeeder, untilMs: number): void {
    for (const input of this.#runs?.inputs() ?? []) {
      if (input.atMs <= untilMs) takeInput(feeder, input);
    }
    if (feeder.actions.length > 0) this.#drain(feeder);
  }

  #followCalendar(feeder: WatchedFeeder, untilMs: number): void {
    for (; this.#calendarMs <= untilMs; this.#calendarMs += MINUTE_MS) {
      const at = { monotonicMs: this.#calendarMs, wallMs: this.#calendarMs };
      followCalendar(feeder, 'by the calendar', at);
    }
    if (feeder.actions.length > 0) this.#drain(feeder);
  }

  /** Between two readings heat only rises or only falls, so its highest is at one of them. */
  #feelHeat({ state: { L1, L2, L3 }, control: { thermal } }: WatchedFeeder, atMs: number): void {
    if (thermal === undefined) return;
    this.#heatPercent = Math.max(
      heatPercent(L1.thermal, thermal, atMs),
      heatPercent(L2.thermal, thermal, atMs),
      heatPercent(L3.thermal, thermal, atMs),
    );
    this.#peakHeatPercent = Math.max(this.#peakHeatPercent, this.#heatPercent);
  }

  #chart(series: Series, { state }: WatchedFeeder, atMs: number, a: number, b: number, c: number): void {
    const { L1, L2, L3 } = state;
    const levelPercent = Math.min(L1.levelPercent, L2.levelPercent, L3.levelPercent);
    const isBad = Number.isNaN(a + b + c);
    series.add({ atMs, amperes: [a, b, c], levelPercent, thermalPercent: this.#heatPercent, isBad });
  }

  /** A row with a value that is negative or missing: neither is equal to its magnitude. */
  #countRow(row: Row): void {
    const phases = row.subarray(1, 4);
    if (phases.some((value) => value < 0)) this.#wrongSigns++;
    if (phases.some(Number.isNaN)) this.#bad++;
  }

  #drain({ actions }: WatchedFeeder, highestA = Number.NEGATIVE_INFINITY): void {
    const { settings, event } = this.#input;
    for (const action of actions) {
      this.#episodes.take(action, highestA);
      event({ feederId: settings.id, ...eventOf(action) });
    }
    actions.length = 0;
  }
}

/** The clock counts eighths and control sees milliamperes: what a format has made of them is undone. */
function asRecorded(row: Row): void {
  row[0] = Math.round((row[0] as number) * 8) / 8;
  for (let column = 1; column < row.length; column++) row[column] = wholeMilliamperes(Math.abs(row[column] as number));
}

/**
 * The rules of the feeder for a trace: its amperes are primary, it has no liveness register and no time stamp of a
 * source, and between readings far apart nothing is a step.
 */
function replayRules(feeder: FeederSettings, gapMs: number): QualityRules {
  const { ctRatio } = feeder;
  const primary = ctRatio && { primaryA: ctRatio.primaryA, secondaryA: ctRatio.primaryA };
  const rules = qualityRules(feeder, primary, gapMs);
  const stepA = gapMs > GAP_INTERVALS * STEP_INTERVAL_MAX_MS ? null : rules.stepA;
  return { ...rules, stepA, frozenMs: null, sourceTimeMs: null };
}

function set(conductor: MutableConductor, currentA: number, quality: Quality): void {
  conductor.currentA = currentA;
  conductor.quality = quality;
}

function highestOf(a: number, b: number, c: number): number {
  const known = [a, b, c].filter((value) => !Number.isNaN(value));
  return known.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...known);
}

/** A decision of control as an event; a request is one too. */
function eventOf(action: Action): Omit<ReplayEvent, 'feederId'> {
  if (action.kind === 'request') {
    const { trigger, atMs, reason } = action;
    const { element, phase } = trigger;
    // Null where the phase is not seen at that moment.
    const seenA = action.currentA[phase];
    const levelPercent = Math.min(...Object.values(action.levelPercent).map((level) => rounded(level)));
    return {
      atMs,
      type: action.action,
      element,
      phase,
      ...(seenA !== null && { currentA: rounded(seenA) }),
      levelPercent,
      reason,
    };
  }
  const { atMs, type, element, phase, currentA, levelPercent, thermalPercent, alarm, reason } = action;
  return {
    atMs,
    type,
    element,
    phase,
    currentA: currentA === undefined ? undefined : rounded(currentA),
    levelPercent,
    ...(thermalPercent !== undefined && { thermalPercent: rounded(thermalPercent) }),
    reason: alarm === undefined ? reason : `${alarm}: ${reason}`,
  };
}
