// What a replay found, as data: the sequence of events, and per feeder its episodes, extremes and how good the trace
// was. Times are in milliseconds as the trace layer counts them; who shows them asks `showTime`.
import type { Conductor, Element, Phase } from '../../feeder.ts';
import type { Event } from '../../messages.ts';
import type { Problem } from '../../yaml-file.ts';
import type { TimeForm } from '../trace/sink.ts';
import type { AsItRan } from './as-it-ran.ts';
import type { Series } from './series.ts';

export interface ReplayEvent {
  readonly atMs: number;
  /** Or `transformer`. */
  readonly feederId: string;
  readonly type: Event['type'];
  readonly element?: Element | undefined;
  readonly phase?: Conductor | undefined;
  readonly currentA?: number | undefined;
  readonly levelPercent?: number | undefined;
  readonly thermalPercent?: number | undefined;
  readonly reason: string;
}

/** From the first pickup that operated to the full release, or to the dropout where nothing could be asked. */
export interface ReplayEpisode {
  readonly startMs: number;
  /** Null where the trace ends first. */
  readonly endMs: number | null;
  readonly element: Element;
  readonly phase: Conductor;
  readonly peakA: number;
  /** Null where nothing was asked. */
  readonly deepestLevelPercent: number | null;
  /** From start to end, or to the end of the trace. */
  readonly minutes: number;
  /** Of them, those with a limit in force: the customers' minutes. */
  readonly limitedMinutes: number;
}

/** Of one feeder, or of the transformer. */
export interface CountedResult {
  readonly readings: number;
  /** Readings with a phase that has no usable value, and rows that could not be read. */
  readonly bad: number;
  readonly wrongSigns: number;
  readonly gaps: number;
  readonly gapMinutes: number;
  readonly gapS: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  readonly episodes: readonly ReplayEpisode[];
  readonly overRatingMinutes: number;
  readonly peakA: number | null;
  readonly peakAtMs: number | null;
  readonly peakPhase: Phase | null;
  readonly peakThermalPercent: number | null;
}

export interface FeederResult extends CountedResult {
  readonly feederId: string;
  readonly budget: { readonly episodesPerYear: number; readonly minutesPerYear: number };
}

/** An episode lasts from the pickup of an element that operated to the dropout of the last; the levels are its feeders'. */
export interface TransformerResult extends CountedResult {
  /** By the sum of its feeders: it has no meter, or the trace has none of its rows. */
  readonly isSum: boolean;
}

export interface ReplayResult {
  readonly form: TimeForm;
  readonly feeders: readonly FeederResult[];
  /** Null where the configuration has none that watches anything, and for an export as it ran. */
  readonly transformer: TransformerResult | null;
  readonly events: readonly ReplayEvent[];
  /** Events beyond what is kept. */
  readonly eventsLeftOut: number;
  readonly broken: { readonly count: number; readonly first: readonly Problem[] };
  /** Rows of feeders that the configuration does not have, by name. */
  readonly unknown: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
  readonly readings: number;
  /** Null for an open loop. */
  readonly asItRan: AsItRan | null;
  /** By feeder, and under its own id the transformer's; empty unless asked for. */
  readonly series: ReadonlyMap<string, Series>;
}
