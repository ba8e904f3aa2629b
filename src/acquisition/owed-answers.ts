// The answers that a serial line still owes. An RTU answer does not say which request it answers: unit, function code
// and length are all there is. So a request whose answer did not come is remembered, and until that answer has come or
// has become impossible the unit is asked only what would be answered in another length. A late answer is then seen
// for what it is, however late, and never taken for the present one.
import type { Clock } from '../clock.ts';
import type { Asked, WireRead } from './modbus-port.ts';

interface Debt extends Asked {
  readonly untilMs: number;
}

/** A repeater or a reflection gives an answer a second time at once, if ever. */
const TWIN_MS = 100;

export class OwedAnswers {
  readonly #clock: Clock;
  /** After this a meter has dropped the request: ten of its time-outs, and at least some seconds. */
  readonly #longestMs: number;
  #debts: Debt[] = [];
  /** When each length was asked last, by unit and function code, and which was the last of all. */
  readonly #askedMs = new Map<number, number>();
  #last = -1;

  constructor(clock: Clock, longestMs: number) {
    this.#clock = clock;
    this.#longestMs = longestMs;
  }

  add({ unitId, functionCode, byteCount }: Asked): void {
    this.#debts.push({ unitId, functionCode, byteCount, untilMs: this.#clock.monotonicMs() + this.#longestMs });
  }

  /** The debt that such an answer pays, if there is one, is gone. */
  pay(answer: Asked): void {
    const index = this.#debts.findIndex((debt) => alike(debt, answer));
    if (index >= 0) this.#debts.splice(index, 1);
  }

  /** Whether such an answer may come although it is not the one that is waited for: late, or a second time. */
  mayCome(answer: Asked): boolean {
    const askedMs = this.#askedMs.get(keyOf(answer));
    return this.#owes(answer) || (askedMs !== undefined && this.#clock.monotonicMs() - askedMs < this.#longestMs);
  }

  #owes(answer: Asked): boolean {
    return this.#debts.some((debt) => alike(debt, answer));
  }

  /** Whether the unit owes any answer to this function code: an exception may then be a late one. */
  owesAny(unitId: number, functionCode: number): boolean {
    return this.#debts.some((debt) => debt.unitId === unitId && debt.functionCode === functionCode);
  }

  /**
   * The read to ask next. Where there is a choice it is the one that was asked longest ago, and never the last one in
   * quick succession: an answer that a line gives twice is then not taken for the next one.
   */
  choose<R extends WireRead>(unitId: number, reads: readonly R[]): R | null {
    const nowMs = this.#clock.monotonicMs();
    this.#debts = this.#debts.filter(({ untilMs }) => nowMs < untilMs);
    const askedMs = (read: R) => this.#askedMs.get(keyOf(answerTo(unitId, read))) ?? Number.NEGATIVE_INFINITY;
    const isTwin = (read: R) => nowMs - askedMs(read) < TWIN_MS && keyOf(answerTo(unitId, read)) === this.#last;
    const free = reads.filter((read) => !this.#owes(answerTo(unitId, read)));
    const told = reads.length > 1 ? free.filter((read) => !isTwin(read)) : free;
    const sure = told.filter(({ isGuess }) => isGuess !== true);
    const [first = null, ...others] = sure.length > 0 ? sure : told;
    if (first === null) return null;
    const read = others.reduce((best, other) => (askedMs(other) < askedMs(best) ? other : best), first);
    this.#last = keyOf(answerTo(unitId, read));
    this.#askedMs.set(this.#last, nowMs);
    return read;
  }
}

function answerTo(unitId: number, { functionCode, count }: WireRead): Asked {
  return { unitId, functionCode, byteCount: 2 * count };
}

function keyOf({ unitId, functionCode, byteCount }: Asked): number {
  return (unitId * 256 + functionCode) * 256 + byteCount;
}

function alike(a: Asked, b: Asked): boolean {
  return keyOf(a) === keyOf(b);
}
