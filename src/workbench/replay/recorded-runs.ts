// The part of an export's inputs that one feeder lives through again: before each reading, what control was given before
// it; for each reading, the quality that it had; and where one record ends and the next begins.
import type { ControlInput } from '../../control-input.ts';
import type { Conductor, Phase, Quality } from '../../feeder.ts';
import type { RecordedRun } from '../trace/inputs-file.ts';

const NONE: readonly Phase[] = [];

export class RecordedRuns {
  readonly #runs: readonly RecordedRun[];
  #current = -1;
  /** Readings of the present run that have been taken. */
  #taken = 0;
  #input = 0;
  #stretch = 0;

  /** In order of time. */
  constructor(runs: readonly RecordedRun[]) {
    this.#runs = runs.toSorted((a, b) => a.firstMs - b.firstMs);
  }

  /** The run that begins with the reading at `atMs`; null where none does. */
  begin(atMs: number): RecordedRun | null {
    const next = this.#runs[this.#current + 1];
    if (next === undefined || atMs < next.firstMs) return null;
    this.#current++;
    this.#taken = 0;
    this.#input = 0;
    this.#stretch = 0;
    return next;
  }

  /** What control was given since the reading before. */
  inputs(): ControlInput[] {
    const { inputs = [] } = this.#runs[this.#current] ?? {};
    const given: ControlInput[] = [];
    for (let next = inputs[this.#input]; next !== undefined && next.after <= this.#taken; next = inputs[this.#input]) {
      given.push(next.input);
      this.#input++;
    }
    return given;
  }

  /** The quality of a value of the next reading, where it is not that of a number or of none. */
  quality(conductor: Conductor): Quality | null {
    return this.#at()?.[conductor] ?? null;
  }

  get exporting(): readonly Phase[] {
    return this.#at()?.exporting ?? NONE;
  }

  /** The next reading has been taken. */
  advance(): void {
    this.#taken++;
  }

  #at(): RecordedRun['quality'][number] | null {
    const { quality = [] } = this.#runs[this.#current] ?? {};
    while ((quality[this.#stretch]?.to ?? Number.POSITIVE_INFINITY) < this.#taken) this.#stretch++;
    const stretch = quality[this.#stretch];
    return stretch !== undefined && stretch.from <= this.#taken ? stretch : null;
  }
}
