// A trace as `play` holds it: all rows of one feeder in memory, in amperes, with what was left out. The reading is that
// of replay, so whatever replay reads can be played.
import { CONDUCTORS, type PerPhase } from '../feeder.ts';
import type { Problem } from '../yaml-file.ts';
import type { Mapping } from './trace/mapping.ts';
import { pairedRecords, readTraceFile } from './trace/open-trace.ts';
import { TraceProblem } from './trace/problem.ts';
import type { Row, TimeForm, TraceSink } from './trace/sink.ts';

export interface PlayedRow {
  /** As the trace layer counts milliseconds: `showTime` shows them. */
  readonly atMs: number;
  /** Magnitudes; NaN where there is no value. */
  readonly currents: Required<PerPhase<number>> & { readonly N: number };
}

export interface PlayedTrace {
  readonly feeder: string;
  readonly form: TimeForm;
  /** In order of time, at least one. */
  readonly rows: readonly PlayedRow[];
  readonly leftOut: { readonly count: number; readonly first: Problem | null };
  readonly blankCells: number;
  /** Cells of the wrong sign, read as magnitudes. */
  readonly negativeCells: number;
  readonly hasNeutral: boolean;
  /** How power became current, and what else the reader did. */
  readonly notes: readonly string[];
}

/** `feeder` is needed where the file holds several. Throws a `TraceProblem` where there is no row of one feeder. */
export async function readPlayedTrace(
  file: string,
  mapping: Mapping | null,
  feeder: string | undefined,
): Promise<PlayedTrace> {
  const sink = new PlayedSink(file, feeder);
  for (const trace of pairedRecords([file]))
    await readTraceFile(trace, { mapping, onlyFeeder: feeder ?? 'record' }, sink, () => {});
  return sink.trace();
}

class PlayedSink implements TraceSink {
  readonly #file: string;
  readonly #wanted: string | undefined;
  readonly #names: string[] = [];
  #chosen: string | null = null;
  readonly #rows: PlayedRow[] = [];
  readonly #notes: string[] = [];
  #form: TimeForm = 'seconds';
  #leftOut = 0;
  #firstLeftOut: Problem | null = null;
  #blankCells = 0;
  #negativeCells = 0;
  #hasNeutral = false;

  constructor(file: string, wanted: string | undefined) {
    this.#file = file;
    this.#wanted = wanted;
  }

  slotOf(feeder: string): number {
    return this.#names.push(feeder) - 1;
  }

  reading(slot: number, row: Row): boolean {
    const feeder = this.#names[slot] ?? '';
    if (this.#wanted !== undefined && feeder !== this.#wanted) return true;
    this.#chosen ??= feeder;
    if (feeder !== this.#chosen)
      throw this.#refuse(`both ${this.#chosen} and ${feeder}`, 'one of them to be named, by --feeder');
    const atMs = row[0] ?? Number.NaN;
    if (atMs <= (this.#rows.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY)) return false;
    const [L1, L2, L3, N] = row.subarray(1).map(Math.abs) as unknown as [number, number, number, number];
    if (!Number.isNaN(N)) this.#hasNeutral = true;
    for (let column = 1; column <= CONDUCTORS.length; column++) {
      const value = row[column] ?? Number.NaN;
      if (Number.isNaN(value) && column < CONDUCTORS.length) this.#blankCells++;
      if (value < 0) this.#negativeCells++;
    }
    this.#rows.push({ atMs, currents: { L1, L2, L3, N } });
    return true;
  }

  broken(problem: Problem, slot: number | null): void {
    const feeder = slot === null ? null : this.#names[slot];
    if (feeder !== null && this.#wanted !== undefined && feeder !== this.#wanted) return;
    this.#leftOut++;
    this.#firstLeftOut ??= problem;
  }

  timeForm(form: TimeForm): void {
    this.#form = form;
  }

  note(text: string): void {
    this.#notes.push(text);
  }

  trace(): PlayedTrace {
    if (this.#chosen === null) throw this.#nothing();
    return {
      feeder: this.#chosen,
      form: this.#form,
      rows: this.#rows,
      leftOut: { count: this.#leftOut, first: this.#firstLeftOut },
      blankCells: this.#blankCells,
      negativeCells: this.#negativeCells,
      hasNeutral: this.#hasNeutral,
      notes: this.#notes,
    };
  }

  #nothing(): TraceProblem {
    if (this.#firstLeftOut !== null) return new TraceProblem(this.#firstLeftOut);
    if (this.#names.length === 0) return this.#refuse('no row', 'at least one under the header');
    const more = this.#names.length > 12 ? ` and ${this.#names.length - 12} more` : '';
    return this.#refuse(JSON.stringify(this.#wanted), `one of ${this.#names.slice(0, 12).join(', ')}${more}`);
  }

  #refuse(value: string, expected: string): TraceProblem {
    return new TraceProblem({ file: this.#file, line: 0, column: 0, path: 'feeder', value, expected });
  }
}
