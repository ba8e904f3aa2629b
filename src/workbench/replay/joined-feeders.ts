// Feeders that depend on one another, by a transformer above them or by a cap on how many are limited at once: their rows
// in one order of time, stepped through control/substation.ts as the controller does.
import { type Substation, stepReadings, stepTimers, substationDueMs, type Taken } from '../../control/substation.ts';
import type { Settings } from '../../settings.ts';
import { TRANSFORMER } from '../../transformer-settings.ts';
import type { WatchedFeeder } from '../../watched-feeder.ts';
import { hasElements } from '../../watched-transformer.ts';
import type { Row } from '../trace/sink.ts';
import { MergedRows } from './merged-rows.ts';
import type { ReplayedFeeder } from './replayed-feeder.ts';
import { ReplayedTransformer } from './replayed-transformer.ts';
import type { ReplayEvent, TransformerResult } from './results.ts';
import type { Series } from './series.ts';
import type { Survey } from './survey.ts';

export interface JoinedInput {
  readonly settings: Settings;
  readonly feeders: readonly ReplayedFeeder[];
  /** Of the whole trace. */
  readonly survey: Survey;
  /** What is a gap, where the trace's own median interval shall not say it. */
  readonly gapMs: number | null;
  readonly initialThermalPercent: number;
  /** A negative current of the trace is known to be export. */
  readonly isSigned: boolean;
  readonly event: (event: ReplayEvent) => void;
  readonly note: (text: string) => void;
  readonly series: (id: string) => Series | null;
}

/** Whoever a trace has rows of. */
export interface RowTaker {
  /** False where the time is not after the row before. */
  take(row: Row): boolean;
  brokenRow(): void;
}

/** No row comes. */
const NO_ROWS = { firstMs: Number.POSITIVE_INFINITY, lastMs: Number.POSITIVE_INFINITY };

/** What a feeder decides may depend on what another does. */
export function dependOnOneAnother({ transformer, caps, feeders }: Settings): boolean {
  return (transformer !== undefined && hasElements(transformer)) || (caps.feedersAtOnce > 0 && feeders.length > 1);
}

export class JoinedFeeders {
  readonly #feeders: readonly ReplayedFeeder[];
  readonly #transformer: ReplayedTransformer | null;
  /** A lane for each feeder, and one for the transformer's meter. */
  readonly #rows: MergedRows;
  readonly #takers = new Map<string, RowTaker>();
  /** From the first instant on. */
  #stepped: { readonly substation: Substation; readonly watched: readonly WatchedFeeder[] } | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(input: JoinedInput) {
    const { feeders, survey } = input;
    this.#feeders = feeders;
    this.#transformer = transformerOf(input);
    const isMetered = this.#transformer?.isMetered === true;
    const spans = feeders.map(({ id }) => survey.of(id) ?? NO_ROWS);
    if (isMetered) spans.push(survey.of(TRANSFORMER) ?? NO_ROWS);
    this.#rows = new MergedRows(spans, (atMs, rows) => this.#instant(atMs, rows));
    for (const [lane, feeder] of feeders.entries()) this.#takers.set(feeder.id, this.#taker(lane, feeder));
    if (isMetered && this.#transformer !== null)
      this.#takers.set(TRANSFORMER, this.#taker(feeders.length, this.#transformer));
  }

  /** Null for a name that is nobody's. */
  taker(id: string): RowTaker | null {
    return this.#takers.get(id) ?? null;
  }

  /** The trace is over: what falls due up to its last instant still happens. */
  end(): void {
    this.#rows.end();
    if (this.#stepped === null) return;
    const atMs = this.#lastMs;
    this.#advance(this.#stepped.substation, atMs, true);
    for (const feeder of this.#feeders) feeder.close(atMs);
    this.#transformer?.close(atMs);
  }

  transformerResult(): TransformerResult | null {
    return this.#transformer?.result() ?? null;
  }

  #taker(lane: number, of: ReplayedFeeder | ReplayedTransformer): RowTaker {
    return {
      take: (row) => {
        if (!of.comes(row)) return false;
        this.#rows.push(lane, row);
        return true;
      },
      brokenRow: () => of.brokenRow(),
    };
  }

  #begin(atMs: number): { readonly substation: Substation; readonly watched: readonly WatchedFeeder[] } {
    const watched = this.#feeders.map((feeder) => feeder.watch(atMs));
    const byId = new Map(watched.map((feeder) => [feeder.settings.id, feeder]));
    const transformer = this.#transformer?.watch(byId) ?? null;
    this.#stepped = { substation: { feeders: watched, transformer }, watched };
    return this.#stepped;
  }

  #instant(atMs: number, rows: readonly (Row | null)[]): void {
    const { substation, watched } = this.#stepped ?? this.#begin(atMs);
    this.#lastMs = atMs;
    this.#advance(substation, atMs, false);
    const taken: Taken[] = [];
    for (const [lane, row] of rows.entries()) {
      if (row === null) continue;
      const feeder = watched[lane] ?? null;
      const reading = feeder === null ? this.#transformer?.reading(row) : this.#feeders[lane]?.reading(row, feeder);
      if (reading !== undefined) taken.push({ feeder, reading });
    }
    stepReadings(substation, taken);
    this.#transformer?.taken(atMs, rows[watched.length] ?? null, true);
    for (const [lane, feeder] of watched.entries()) {
      const row = rows[lane] ?? null;
      if (row === null) this.#feeders[lane]?.drain();
      else this.#feeders[lane]?.taken(row, feeder);
    }
  }

  /** What falls due before `untilMs`, or with `isWhole` at it too: timers, and the calendars of settings groups. */
  #advance(substation: Substation, untilMs: number, isWhole: boolean): void {
    for (;;) {
      const dueMs = substationDueMs(substation);
      let calendarMs = Number.POSITIVE_INFINITY;
      for (const feeder of this.#feeders) calendarMs = Math.min(calendarMs, feeder.calendarMs);
      if (dueMs <= calendarMs && (isWhole ? dueMs <= untilMs : dueMs < untilMs)) {
        stepTimers(substation, dueMs);
        this.#transformer?.taken(dueMs, null, false);
        for (const feeder of this.#feeders) feeder.drain();
      } else if (calendarMs <= untilMs) {
        for (const feeder of this.#feeders) feeder.followCalendar(calendarMs);
      } else return;
    }
  }
}

/** Null for none, or for one that watches nothing. */
function transformerOf(input: JoinedInput): ReplayedTransformer | null {
  const { settings, survey, gapMs, note } = input;
  const { transformer: given } = settings;
  if (given === undefined || !hasElements(given)) return null;
  const own = given.currents === undefined ? null : survey.of(TRANSFORMER);
  const feeders = given.feeders.map((id) => ({ id, seen: survey.of(id) }));
  const unseen = feeders.filter(({ seen }) => seen === null).map(({ id }) => id);
  if (own === null) {
    if (given.currents !== undefined)
      note(`no row of ${TRANSFORMER}, which would be those of its meter: the sum of its feeders counts`);
    if (unseen.length > 0)
      note(`no row of ${unseen.join(', ')}: the sum for the transformer is a lower bound, which never releases`);
  }
  const longestMs = Math.max(0, ...feeders.map(({ seen }) => seen?.gapMs ?? 0));
  return new ReplayedTransformer({
    settings,
    given,
    isMetered: own !== null,
    gapMs: gapMs ?? own?.gapMs ?? longestMs,
    initialThermalPercent: input.initialThermalPercent,
    isSigned: input.isSigned,
    event: input.event,
    series: input.series(TRANSFORMER),
  });
}
