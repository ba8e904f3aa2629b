// The fastest readings of one feeder: a ring in memory that always holds the last ones, and the form in which a piece
// of it is kept in a disturbance record. 24 bytes a reading, so a ring costs 24 KiB whatever the poll period.
import {
  CONDUCTORS,
  type Conductor,
  type ConductorReading,
  type FeederReading,
  PHASES,
  type Phase,
  type Quality,
  rounded,
} from '../feeder.ts';

/** 205 s at the default poll of 200 ms, 10 s at the shortest useful one. */
export const RING_READINGS = 1_024;
const QUALITIES: readonly Quality[] = ['good', 'uncertain', 'bad'];
const COUNT = CONDUCTORS.length;
/** Times are kept as eighths of a millisecond from the trigger, which is how the clock counts: ±74 hours. */
const STEPS_PER_MS = 8;
/** Control is given whole milliamperes, which 32 bits of a float hold exactly up to 8,388 A. */
const AMPERE_DECIMALS = 3;
/** Beside the quality of a phase: it feeds back. */
const EXPORTS = 4;
const BYTES_PER_SAMPLE = 4 + 4 * COUNT + COUNT;

/** One reading of a record; `offsetMs` counts from the trigger and is negative before it. */
export interface Sample extends Readonly<Record<Conductor, Pick<ConductorReading, 'currentA' | 'quality'>>> {
  readonly offsetMs: number;
  readonly exporting: readonly Phase[];
}

export class Ring {
  readonly #atMs = new Float64Array(RING_READINGS);
  readonly #currentA = new Float32Array(RING_READINGS * COUNT);
  readonly #quality = new Uint8Array(RING_READINGS * COUNT);
  #count = 0;

  /** How many readings ever came in; the newest has the number `count - 1`. */
  get count(): number {
    return this.#count;
  }

  push(reading: FeederReading): void {
    const slot = this.#count++ % RING_READINGS;
    this.#atMs[slot] = reading.atMs;
    for (const [index, name] of CONDUCTORS.entries()) {
      const { currentA, quality } = reading[name];
      this.#currentA[slot * COUNT + index] = currentA ?? Number.NaN;
      this.#quality[slot * COUNT + index] = QUALITIES.indexOf(quality);
    }
    for (const name of reading.exporting) {
      const at = slot * COUNT + CONDUCTORS.indexOf(name);
      this.#quality[at] = (this.#quality[at] ?? 0) | EXPORTS;
    }
  }

  /** The number of the oldest reading that is still here and not older than `atMs`. */
  since(atMs: number): number {
    let number = this.#count;
    while (number > Math.max(0, this.#count - RING_READINGS) && this.#at(number - 1) >= atMs) number -= 1;
    return number;
  }

  /** The readings from number `from` on, packed; those that the ring has lost already are left out. */
  pack(from: number, triggerMs: number): Uint8Array {
    const first = Math.max(from, this.#count - RING_READINGS);
    const samples = Math.max(0, this.#count - first);
    const bytes = new Uint8Array(samples * BYTES_PER_SAMPLE);
    const view = new DataView(bytes.buffer);
    for (let n = 0; n < samples; n++) {
      const slot = (first + n) % RING_READINGS;
      const at = n * BYTES_PER_SAMPLE;
      view.setInt32(at, Math.round((this.#at(first + n) - triggerMs) * STEPS_PER_MS), true);
      for (let index = 0; index < COUNT; index++) {
        view.setFloat32(at + 4 + 4 * index, this.#currentA[slot * COUNT + index] ?? Number.NaN, true);
        view.setUint8(at + 4 + 4 * COUNT + index, this.#quality[slot * COUNT + index] ?? 2);
      }
    }
    return bytes;
  }

  #at(number: number): number {
    return this.#atMs[number % RING_READINGS] ?? Number.NEGATIVE_INFINITY;
  }
}

/**
 * The samples of one packed piece, oldest first; `stepsPerMs` is that of records of before where it is given. Throws
 * where the piece is no whole number of samples.
 */
export function unpack(bytes: Uint8Array, stepsPerMs = STEPS_PER_MS): Sample[] {
  if (bytes.length % BYTES_PER_SAMPLE !== 0)
    throw new Error(
      `a piece of a disturbance record has ${bytes.length} bytes, expected a multiple of ${BYTES_PER_SAMPLE}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / BYTES_PER_SAMPLE }, (_, n) => {
    const at = n * BYTES_PER_SAMPLE;
    const conductor = (index: number) => {
      const currentA = view.getFloat32(at + 4 + 4 * index, true);
      const quality = QUALITIES[kept(index) & ~EXPORTS] ?? 'bad';
      return { currentA: Number.isNaN(currentA) ? null : rounded(currentA, AMPERE_DECIMALS), quality };
    };
    const kept = (index: number) => view.getUint8(at + 4 + 4 * COUNT + index);
    return {
      offsetMs: view.getInt32(at, true) / stepsPerMs,
      L1: conductor(0),
      L2: conductor(1),
      L3: conductor(2),
      N: conductor(3),
      exporting: PHASES.filter((_, index) => (kept(index) & EXPORTS) !== 0),
    };
  });
}
