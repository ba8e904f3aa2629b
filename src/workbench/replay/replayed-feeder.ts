// One feeder in a replay: its control state, stepped by the same code as in service, and what is counted beside it.
// What is a gap depends on the feeder's median interval, which the first readings tell well enough to begin with; the
// whole trace has the last word (replay.ts).
import { newFeederState, stepReading, stepTime } from '../../control/feeder-control.ts';
import { heatPercent } from '../../control/thermal.ts';
import type { Action, ControlSettings, FeederState } from '../../control/types.ts';
import { PHASES, type Phase, type Quality, rounded } from '../../feeder.ts';
import type { Row } from '../trace/sink.ts';
import { Episodes } from './episodes.ts';
import { Intervals } from './intervals.ts';
import type { FeederResult, ReplayEvent } from './results.ts';
import type { Series } from './series.ts';

/** Readings that are held back until they tell the median interval. */
const WARM_UP = 64;
/** A trace of one reading has no interval; nothing follows that could depend on it. */
const SINGLE_READING_GAP_MS = 60_000;
const GAP_INTERVALS = 3;

export interface FeederInput {
  readonly feederId: string;
  readonly ratingA: number;
  readonly budget: FeederResult['budget'];
  /** Heat at the first reading, in percent; a replay starts cold unless told. */
  readonly initialThermalPercent: number;
  /** All but the gap rule, which is this file's to know. */
  readonly control: ControlSettings;
  /** Where it is known beforehand. */
  readonly gapMs: number | null;
  readonly event: (event: ReplayEvent) => void;
  /** For a chart; null where nobody wants one. */
  readonly series: Series | null;
}

interface MutableConductor {
  currentA: number;
  quality: Quality;
}

export class ReplayedFeeder {
  readonly #input: FeederInput;
  readonly #state: FeederState = newFeederState();
  readonly #actions: Action[] = [];
  readonly #episodes = new Episodes();
  readonly #intervals = new Intervals();
  readonly #reading: {
    atMs: number;
    L1: MutableConductor;
    L2: MutableConductor;
    L3: MutableConductor;
    N: MutableConductor;
  };
  #control: ControlSettings;
  #held: Row[] | null = [];
  #gapMs = Number.NaN;
  #firstMs = Number.NaN;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Of the last reading that went into control. */
  #steppedMs = Number.NEGATIVE_INFINITY;
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
    this.#control = input.control;
    const conductor = (): MutableConductor => ({ currentA: Number.NaN, quality: 'good' });
    this.#reading = { atMs: Number.NaN, L1: conductor(), L2: conductor(), L3: conductor(), N: conductor() };
    for (const name of PHASES) {
      const { thermal } = this.#state[name];
      thermal.known = 'given';
      thermal.heatPercent = input.initialThermalPercent;
    }
    if (input.gapMs !== null) this.#begin(input.gapMs);
  }

  /** False where the time is not after the reading before. */
  take(row: Row): boolean {
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
    if (this.#readings === 0) return;
    const atMs = Math.max(endMs, this.#lastMs);
    stepTime(this.#state, this.#control, atMs, this.#actions);
    if (this.#isOver) this.#overMs += Math.min(atMs - this.#lastMs, this.#gapMs);
    this.#drain();
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
    return this.#input.gapMs === null && this.#readings > 0 && this.#gapMs !== this.#ownGapMs();
  }

  result(): FeederResult {
    const { feederId } = this.#input;
    const seen = this.#readings > 0;
    const hasPeak = Number.isFinite(this.#peakA);
    return {
      feederId,
      readings: this.#readings,
      bad: this.#bad,
      wrongSigns: this.#wrongSigns,
      gaps: this.#gaps,
      gapMinutes: rounded(this.#gapSumMs / 60_000, 3),
      gapS: rounded(this.#gapMs / 1000, 6),
      firstMs: seen ? this.#firstMs : null,
      lastMs: seen ? this.#lastMs : null,
      episodes: this.#episodes.closed,
      overRatingMinutes: rounded(this.#overMs / 60_000, 3),
      peakA: hasPeak ? rounded(this.#peakA) : null,
      peakAtMs: hasPeak ? this.#peakAtMs : null,
      peakPhase: hasPeak ? this.#peakPhase : null,
      peakThermalPercent: Number.isFinite(this.#peakHeatPercent) ? rounded(this.#peakHeatPercent) : null,
      budget: this.#input.budget,
    };
  }

  #ownGapMs(): number {
    const median = this.#intervals.median();
    return median === null ? SINGLE_READING_GAP_MS : GAP_INTERVALS * median;
  }

  /** From here on it is known what a gap is; what was held back goes first. */
  #begin(gapMs: number): void {
    this.#gapMs = gapMs;
    this.#control = { ...this.#input.control, staleAfterMs: gapMs };
    const held = this.#held ?? [];
    this.#held = null;
    for (const row of held) this.#step(row);
  }

  #step(row: Row): void {
    const atMs = row[0] as number;
    const intervalMs = atMs - this.#steppedMs;
    this.#steppedMs = atMs;
    // A value holds until the next, but not into a gap.
    if (this.#isOver) this.#overMs += Math.min(intervalMs, this.#gapMs);
    if (intervalMs > this.#gapMs && intervalMs < Number.POSITIVE_INFINITY) {
      this.#gaps++;
      this.#gapSumMs += intervalMs;
    }
    const a = Math.abs(row[1] as number);
    const b = Math.abs(row[2] as number);
    const c = Math.abs(row[3] as number);
    if (a !== row[1] || b !== row[2] || c !== row[3]) this.#judgeRow(row);
    const { L1, L2, L3, N } = this.#reading;
    set(L1, a);
    set(L2, b);
    set(L3, c);
    set(N, Math.abs(row[4] as number));
    let highestA = a >= b ? a : b;
    if (c > highestA) highestA = c;
    if (Number.isNaN(highestA) || Number.isNaN(a)) highestA = highestOf(a, b, c);
    this.#reading.atMs = atMs;
    stepReading(this.#state, this.#control, this.#reading, this.#actions);
    if (this.#actions.length > 0) this.#drain(highestA);
    if (this.#episodes.isWatching) this.#episodes.peak(highestA);
    if (highestA > this.#peakA) {
      this.#peakA = highestA;
      this.#peakAtMs = atMs;
      this.#peakPhase = highestA === a ? 'L1' : highestA === b ? 'L2' : 'L3';
    }
    this.#isOver = highestA > this.#input.ratingA;
    if (this.#control.thermal !== undefined) this.#feelHeat(this.#control.thermal, atMs);
    if (this.#input.series !== null) this.#chart(this.#input.series, atMs, a, b, c);
  }

  /** Between two readings heat only rises or only falls, so its highest is at one of them. */
  #feelHeat(settings: NonNullable<ControlSettings['thermal']>, atMs: number): void {
    const { L1, L2, L3 } = this.#state;
    this.#heatPercent = Math.max(
      heatPercent(L1.thermal, settings, atMs),
      heatPercent(L2.thermal, settings, atMs),
      heatPercent(L3.thermal, settings, atMs),
    );
    this.#peakHeatPercent = Math.max(this.#peakHeatPercent, this.#heatPercent);
  }

  #chart(series: Series, atMs: number, a: number, b: number, c: number): void {
    const { L1, L2, L3 } = this.#state;
    const levelPercent = Math.min(L1.levelPercent, L2.levelPercent, L3.levelPercent);
    const isBad = Number.isNaN(a + b + c);
    series.add({ atMs, amperes: [a, b, c], levelPercent, thermalPercent: this.#heatPercent, isBad });
  }

  /** A row with a value that is negative or missing: neither is equal to its magnitude. */
  #judgeRow(row: Row): void {
    const phases = row.subarray(1, 4);
    if (phases.some((value) => value < 0)) this.#wrongSigns++;
    if (phases.some(Number.isNaN)) this.#bad++;
  }

  #drain(highestA = Number.NEGATIVE_INFINITY): void {
    const { feederId, event } = this.#input;
    for (const action of this.#actions) {
      this.#episodes.take(action, highestA);
      event({ feederId, ...eventOf(action) });
    }
    this.#actions.length = 0;
  }
}

function set(conductor: MutableConductor, currentA: number): void {
  conductor.currentA = currentA;
  conductor.quality = Number.isNaN(currentA) ? 'bad' : 'good';
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
