// The words of a COMTRADE record (IEEE C37.111 / IEC 60255-24): what its configuration says, in all three editions.

export type DataFormat = 'ASCII' | 'BINARY' | 'BINARY32' | 'FLOAT32';
export type Revision = 1991 | 1999 | 2013;

export interface AnalogChannel {
  readonly name: string;
  /** As the recorder names it: A, L1, R, 1, or nothing. */
  readonly phase: string;
  readonly unit: string;
  /** A value is `factor × stored + offset`, in the unit. */
  readonly factor: number;
  readonly offset: number;
  /** Of the stored number. */
  readonly min: number;
  readonly max: number;
  readonly primary: number;
  readonly secondary: number;
  /** Whether the unit is that of the secondary side. */
  readonly isSecondary: boolean;
}

export interface SamplingRate {
  readonly hz: number;
  /** The number, from 1, of the last sample at this rate. */
  readonly lastSample: number;
}

export interface RecordConfiguration {
  readonly file: string;
  readonly station: string;
  readonly device: string;
  readonly revision: Revision;
  readonly analog: readonly AnalogChannel[];
  readonly statusCount: number;
  /** Null where the record does not say. */
  readonly lineFrequencyHz: number | null;
  /** Empty where the time stamps of the samples are all there is. */
  readonly rates: readonly SamplingRate[];
  /** UTC of the first sample; null where there is no date that can be read. */
  readonly startMs: number | null;
  readonly format: DataFormat;
  readonly timeMultiplier: number;
  /** Nanoseconds in the time stamps, instead of microseconds. */
  readonly isNanoseconds: boolean;
  /** What was not as the standard has it, and how it was taken. */
  readonly notes: readonly string[];
}

/** Bytes of one sample in a binary format. */
export function sampleBytes({ analog, statusCount, format }: RecordConfiguration): number {
  return 8 + analog.length * (format === 'BINARY' ? 2 : 4) + 2 * Math.ceil(statusCount / 16);
}
