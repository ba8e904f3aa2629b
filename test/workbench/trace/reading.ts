// Reads any trace into memory, for tests: what was taken, what was broken and what was noted.
import { type HowToRead, readTraceFile, type TraceFile } from '../../../src/workbench/trace/open-trace.ts';
import { IS_WHOLE, type TimeForm, type TraceSink } from '../../../src/workbench/trace/sink.ts';
import { showProblem } from '../../../src/yaml-file.ts';

/** Feeder, time in milliseconds, and amperes of L1, L2, L3 and N. */
type Taken = readonly [feeder: string, atMs: number, L1_A: number, L2_A: number, L3_A: number, N_A: number];

export interface Reading {
  readonly taken: Taken[];
  readonly broken: string[];
  readonly notes: string[];
  form: TimeForm | null;
}

export async function readAll(trace: TraceFile, how: Partial<HowToRead> = {}): Promise<Reading> {
  const names: string[] = [];
  const reading: Reading = { taken: [], broken: [], notes: [], form: null };
  const sink: TraceSink = {
    slotOf: (feeder) => names.push(feeder) - 1,
    reading(slot, row) {
      reading.taken.push([names[slot] ?? '', ...row.subarray(0, IS_WHOLE)] as unknown as Taken);
      return true;
    },
    broken: (problem) => void reading.broken.push(showProblem(problem)),
    timeForm(form) {
      reading.form = form;
    },
    note: (text) => void reading.notes.push(text),
  };
  await readTraceFile(trace, { mapping: null, onlyFeeder: 'F1', ...how }, sink, () => {});
  return reading;
}
