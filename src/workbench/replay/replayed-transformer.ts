// The transformer in a replay: by the rows of its own meter or by the sum of its feeders, and what is counted of it.
// control/substation.ts steps it with its feeders; joined-feeders.ts says when.
import type { AlarmChange } from '../../acquisition/quality-judge.ts';
import { lowestLevelPercent } from '../../control/requests.ts';
import { heatPercent } from '../../control/thermal.ts';
import { giveHeat } from '../../control/three-phases.ts';
import { OWN_ELEMENTS, standingOf } from '../../control/transformer.ts';
import type { ControlReading, OwnElement } from '../../control/types.ts';
import { PHASES, type Phase, rounded } from '../../feeder.ts';
import type { Settings } from '../../settings.ts';
import { type GivenTransformer, measuredTransformer, ratedCurrentA, TRANSFORMER } from '../../transformer-settings.ts';
import type { WatchedFeeder } from '../../watched-feeder.ts';
import { type WatchedTransformer, watchedTransformer } from '../../watched-transformer.ts';
import { newRow, type Row } from '../trace/sink.ts';
import { eventOf, qualityEvent } from './control-events.ts';
import { JudgedRows } from './judged-rows.ts';
import type { ReplayEpisode, ReplayEvent, TransformerResult } from './results.ts';
import { chartPoint, type Series } from './series.ts';
import { TraceCounts } from './trace-counts.ts';

export interface TransformerInput {
  readonly settings: Settings;
  readonly given: GivenTransformer;
  /** The trace has rows of its meter; else the sum of its feeders counts. */
  readonly isMetered: boolean;
  /** What is a gap in them. */
  readonly gapMs: number;
  /** Heat at the first reading, in percent. */
  readonly initialThermalPercent: number;
  /** A negative current of its meter is known to be export. */
  readonly isSigned: boolean;
  readonly event: (event: ReplayEvent) => void;
  /** For a chart; null where nobody wants one. */
  readonly series: Series | null;
}

interface Open {
  readonly startMs: number;
  readonly element: OwnElement;
  readonly phase: Phase;
}

export class ReplayedTransformer {
  readonly #input: TransformerInput;
  readonly #counts: TraceCounts;
  readonly #ratedA: number;
  /** Null where the sum of its feeders counts. */
  readonly #rows: JudgedRows | null;
  readonly #sum = newRow();
  #stepped: WatchedTransformer | null = null;
  readonly #episodes: ReplayEpisode[] = [];
  #open: Open | null = null;
  /** The highest current since an element picked up, and the lowest level of a feeder in the episode. */
  #peakA = Number.NEGATIVE_INFINITY;
  #levelPercent = 100;

  constructor(input: TransformerInput) {
    this.#input = input;
    const { given, isMetered, gapMs, event } = input;
    this.#ratedA = ratedCurrentA(given);
    this.#counts = new TraceCounts(() => input.isSigned);
    this.#counts.gapMs = gapMs;
    const measured = isMetered ? measuredTransformer(given) : null;
    const odd = (atMs: number, change: AlarmChange) => event(qualityEvent(TRANSFORMER, atMs, change));
    this.#rows = measured && new JudgedRows(measured, gapMs, odd);
  }

  /** As the controller carries it, above feeders that are being watched; null for one without elements. */
  watch(feeders: ReadonlyMap<string, WatchedFeeder>): WatchedTransformer | null {
    const { settings, isMetered, gapMs, initialThermalPercent } = this.#input;
    const watched = watchedTransformer(settings, feeders);
    if (watched === null) return null;
    giveHeat(watched.state, () => initialThermalPercent);
    this.#stepped = { ...watched, settings: { ...watched.settings, staleAfterMs: gapMs }, isMetered };
    return this.#stepped;
  }

  get isMetered(): boolean {
    return this.#rows !== null;
  }

  /** A row of its own meter has come. False where its time is not after the row before. */
  comes(row: Row): boolean {
    return this.#counts.comes(row[0] as number);
  }

  brokenRow(): void {
    this.#counts.brokenRow();
  }

  /** A row of its own meter, as control takes it. */
  reading(row: Row): ControlReading {
    if (this.#rows === null) throw new Error('a transformer without a meter has no rows');
    return this.#rows.judge(row);
  }

  /** Control has been stepped to `atMs`, with a row of its meter, or with readings that give a sum. */
  taken(atMs: number, row: Row | null, isWithReading: boolean): void {
    this.#drain();
    const own = this.#rows === null && isWithReading ? this.#summed(atMs) : row;
    if (own !== null) this.#count(own);
    this.#follow(atMs);
    if (own !== null) this.#chart(own);
  }

  close(atMs: number): void {
    this.#counts.end(atMs);
    if (this.#open !== null) this.#end(this.#open, atMs, false);
  }

  result(): TransformerResult {
    return { ...this.#counts.result(), episodes: this.#episodes, isSum: this.#rows === null };
  }

  get #of(): WatchedTransformer {
    if (this.#stepped === null) throw new Error('a transformer is watched before it is stepped');
    return this.#stepped;
  }

  #drain(): void {
    const { actions } = this.#of;
    for (const action of actions) this.#input.event(eventOf(TRANSFORMER, action));
    actions.length = 0;
  }

  /** The sum of its feeders, NaN where it is not known. */
  #summed(atMs: number): Row {
    const { state } = this.#of;
    this.#sum[0] = atMs;
    for (const [index, name] of PHASES.entries()) {
      const { fresh, usableMs, currentA } = state[name];
      this.#sum[index + 1] = fresh && usableMs === atMs ? currentA : Number.NaN;
    }
    this.#sum[4] = Number.NaN;
    this.#counts.comes(atMs);
    return this.#sum;
  }

  #count(row: Row): void {
    const highestA = this.#counts.count(row);
    this.#counts.holds(row, highestA, this.#ratedA);
    if (highestA > this.#peakA) this.#peakA = highestA;
    const heat = this.#heat(row[0] as number);
    if (heat !== null) this.#counts.heat(heat);
  }

  #heat(atMs: number): number | null {
    const { state, settings } = this.#of;
    const { thermal } = settings;
    return thermal === undefined
      ? null
      : Math.max(...PHASES.map((name) => heatPercent(state[name].thermal, thermal, atMs)));
  }

  /** By what its elements are, and not by what they say: what is lost out of sight ends without a word. */
  #follow(atMs: number): void {
    const { state, settings } = this.#of;
    const isStill = PHASES.every((name) => OWN_ELEMENTS.every((element) => state[name][element].status === 'normal'));
    if (isStill && this.#open === null) {
      this.#peakA = Number.NEGATIVE_INFINITY;
      return;
    }
    const over = PHASES.flatMap((phase) => {
      const { status, since, cause } = standingOf(state[phase], settings, atMs);
      return status === 'operated' && since !== null && cause !== null ? [{ phase, since, cause }] : [];
    });
    const [first] = over;
    if (this.#open === null && first !== undefined) {
      this.#open = { startMs: first.since.overSinceMs, element: first.cause.element, phase: first.phase };
      this.#levelPercent = 100;
    }
    if (this.#open === null) return;
    this.#levelPercent = Math.min(this.#levelPercent, this.#lowestLevel());
    if (first === undefined) this.#end(this.#open, atMs, true);
  }

  #end({ startMs, element, phase }: Open, atMs: number, ended: boolean): void {
    const minutes = rounded((atMs - startMs) / 60_000, 3);
    this.#episodes.push({
      startMs,
      endMs: ended ? atMs : null,
      element,
      phase,
      peakA: rounded(this.#peakA),
      deepestLevelPercent: this.#levelPercent === 100 ? null : this.#levelPercent,
      minutes,
      limitedMinutes: 0,
    });
    this.#open = null;
  }

  #lowestLevel(): number {
    return Math.min(100, ...this.#of.feeders.map(({ state }) => lowestLevelPercent(state)));
  }

  #chart(row: Row): void {
    this.#input.series?.add(chartPoint(row, this.#lowestLevel(), this.#heat(row[0] as number) ?? Number.NaN));
  }
}
