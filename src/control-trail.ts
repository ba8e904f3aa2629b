// What a disturbance record needs of one feeder to be lived through again: all that its control rested on now and then,
// and every input since the oldest of these that is kept. In memory; the historian writes what a record asks for.
import type { ControlInput } from './control-input.ts';
import type { ControlNow, PlacedInput } from './journal/history.ts';

/** So often the state of control is written out, which costs some microseconds: every so long, or so many readings. */
const EVERY_MS = 15_000;
const EVERY_READINGS = 256;
/** Acknowledgements and commands while no reading comes; beyond it the oldest go, and what began before them. */
const INPUTS_MAX = 2_000;

/** Where a record may begin: before the reading of this number. */
interface Start {
  readonly number: number;
  readonly atMs: number;
  /** Number of the first input after it. */
  readonly input: number;
  /** A `ControlNow` in JSON, since the state is stepped in place. */
  readonly body: string;
}

export class ControlTrail {
  readonly #controlNow: () => ControlNow | null;
  readonly #starts: Start[] = [];
  #inputs: PlacedInput[] = [];
  /** Of the first input in the list. */
  #firstInput = 0;

  constructor(controlNow: () => ControlNow | null) {
    this.#controlNow = controlNow;
  }

  /**
   * Before control is given reading `number`. A record begins at most `keepMs` before its trigger, or at `oldest`; one
   * that is being made has yet to write the inputs from `unwritten` on.
   */
  beforeReading(number: number, atMs: number, keepMs: number, oldest: number, unwritten: number | null): void {
    const last = this.#starts.at(-1);
    if (last !== undefined && atMs - last.atMs < EVERY_MS && number - last.number < EVERY_READINGS) return;
    const now = this.#controlNow();
    if (now === null) return;
    this.#starts.push({ number, atMs, input: this.#firstInput + this.#inputs.length, body: JSON.stringify(now) });
    this.#forget(atMs - keepMs, oldest, unwritten ?? Number.POSITIVE_INFINITY);
  }

  /** Before control is given it, `number` readings having come. */
  input(number: number, input: ControlInput): void {
    // What counts before the reading that was given last is told of after it.
    const isBefore = 'isWithReading' in input && input.isWithReading;
    this.#inputs.push({ after: isBefore ? number - 1 : number, input });
    if (this.#inputs.length <= INPUTS_MAX) return;
    this.#inputs.shift();
    this.#firstInput++;
    if ((this.#starts[0]?.input ?? Number.POSITIVE_INFINITY) < this.#firstInput) this.#starts.shift();
  }

  /** The latest start not after `sinceMs`, or else the first that there is from reading `oldest` on; null before any. */
  start(sinceMs: number, oldest: number): { number: number; input: number; control: ControlNow } | null {
    const usable = this.#starts.filter(({ number }) => number >= oldest);
    const found = usable.findLast(({ atMs }) => atMs <= sinceMs) ?? usable[0];
    if (found === undefined) return null;
    return { number: found.number, input: found.input, control: JSON.parse(found.body) as ControlNow };
  }

  /** The inputs from number `from` on, and the number of the next. */
  inputsFrom(from: number): { inputs: PlacedInput[]; next: number } {
    const inputs = this.#inputs.slice(Math.max(0, from - this.#firstInput));
    return { inputs, next: this.#firstInput + this.#inputs.length };
  }

  #forget(sinceMs: number, oldest: number, unwritten: number): void {
    for (let next = this.#starts[1]; next !== undefined; next = this.#starts[1]) {
      const [first] = this.#starts;
      if (next.atMs > sinceMs && (first?.number ?? 0) >= oldest) break;
      this.#starts.shift();
    }
    const keep = Math.min(this.#starts[0]?.input ?? this.#firstInput, Math.max(unwritten, this.#firstInput));
    this.#inputs = this.#inputs.slice(keep - this.#firstInput);
    this.#firstInput = keep;
  }
}
