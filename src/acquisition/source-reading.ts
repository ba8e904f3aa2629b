// What a source gives for one feeder in one turn, before anybody has judged it, and what the rest of the program hears
// from acquisition. Every kind of source speaks in these words, so that quality is decided in one place for all of them.
import type { FeederReading, PerPhase, Phase, QualityReason } from '../feeder.ts';

/** A current as the source gives it, in its own amperes; why there is none; or a number that the source itself doubts. */
export type Given = number | QualityReason | { readonly value: number; readonly doubt: QualityReason };

/** One turn of one source for one feeder. */
export interface SourceReading {
  readonly feederId: string;
  readonly sourceId: string;
  /** Monotonic arrival in milliseconds since boot. */
  readonly atMs: number;
  readonly L1: Given;
  readonly L2: Given;
  readonly L3: Given;
  readonly N: Given;
  /** Active power in watts, signed as the source gives it; a phase that is not read is absent. */
  readonly powerW?: PerPhase<number>;
  /** A value of the same meter that moves while it lives (frequency, a counter); absent where none is read. */
  readonly liveness?: number;
  /** When the source says that it measured, in wall milliseconds. */
  readonly sourceWallMs?: number;
}

/** What a source says. */
export interface SourceEvents {
  /** All feeders of one source, from one turn; called at every poll or notification, whether it succeeded or not. */
  readings(readings: readonly SourceReading[]): void;
  /** The source began to answer, or ceased to; `detail` says why. */
  sourceChanged(sourceId: string, answering: boolean, detail: string): void;
  /** What is odd about the source itself. */
  alarm(change: SourceAlarm): void;
}

/** What the rest of the program hears from acquisition. */
export interface AcquisitionEvents {
  /** Judged readings of the feeders that one source carries, all of one turn. */
  readings(readings: readonly FeederReading[]): void;
  /** A source began to answer, or ceased to; `detail` says why. */
  sourceChanged(sourceId: string, answering: boolean, detail: string): void;
  /** What is odd about the measurement of a feeder, or about a source: begins and ends once each. */
  alarm(change: MeasurementAlarm | SourceAlarm): void;
  /** A feeder takes its readings from another source from now on. */
  changedOver(feederId: string, sourceId: string, reason: string): void;
}

/**
 * `badReading`: a phase is bad while others are not. `wiring`: power of the wrong sign. `noLoad`: a way that carries
 * nothing. `sumOff`: the transformer's meter and its feeders disagree. The others are the reasons of an uncertain or bad reading.
 */
export type MeasurementAlarmName =
  | 'badReading'
  | 'overCtRange'
  | 'step'
  | 'phasesApart'
  | 'neutralTooLarge'
  | 'frozen'
  | 'sourceTime'
  | 'sourceDoubts'
  | 'wiring'
  | 'noLoad'
  | 'sumOff';

export interface SourceAlarm {
  readonly feederId: null;
  readonly sourceId: string;
  readonly phase: null;
  readonly alarm: 'certificateExpiry';
  readonly standing: boolean;
  readonly reason: string;
}

export interface MeasurementAlarm {
  readonly feederId: string;
  readonly sourceId: string;
  readonly phase: Phase | null;
  readonly alarm: MeasurementAlarmName;
  readonly standing: boolean;
  readonly reason: string;
}
