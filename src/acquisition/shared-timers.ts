// One timer per period, shared by everything that wants that period: polls that fall due together are taken up by one
// turn of the event loop, a quarter of the processor time of a timer per meter (measured).
import type { Clock, Timer } from '../clock.ts';

export class SharedTimers {
  readonly #clock: Clock;
  readonly #groups = new Map<number, { readonly calls: (() => void)[]; timer: Timer }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls soon, and then at whole multiples of the period: lateness never adds up, and a turn that was missed is left out. */
  every(periodMs: number, call: () => void): void {
    const group = this.#groups.get(periodMs);
    if (group === undefined) this.#groups.set(periodMs, this.#start(periodMs, [call]));
    else group.calls.push(call);
  }

  close(): void {
    for (const { timer } of this.#groups.values()) timer.cancel();
    this.#groups.clear();
  }

  #start(periodMs: number, calls: (() => void)[]): { calls: (() => void)[]; timer: Timer } {
    let dueMs = this.#clock.monotonicMs();
    const turn = () => {
      dueMs += periodMs * Math.max(1, Math.ceil((this.#clock.monotonicMs() - dueMs) / periodMs));
      group.timer = this.#clock.at(dueMs, turn);
      for (const call of calls) call();
    };
    const group = { calls, timer: this.#clock.at(dueMs, turn) };
    return group;
  }
}
