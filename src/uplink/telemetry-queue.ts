// Telemetry that waits for its time and for the link: in memory, in order, the newest only, marked where it is late.
// Pure.
import type { Telemetry } from '../telemetry-message.ts';

/** Two weeks of one feeder, or a day of 14; what is older than that is in the substation's own history. */
const WAITING_MAX = 2_000;
/** Said later than this after its end, it is marked as late. */
const LATE_MS = 120_000;

interface Waiting {
  readonly message: Telemetry;
  readonly endMs: number;
  readonly notBeforeMs: number;
  inFlight: boolean;
}

export class TelemetryQueue {
  #waiting: Waiting[] = [];

  /** An interval that ended at `nowMs` and is not to be said before `waitMs` have passed. */
  add(message: Telemetry, nowMs: number, waitMs: number): void {
    this.#waiting.push({ message, endMs: nowMs, notBeforeMs: nowMs + waitMs, inFlight: false });
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }

  /** The next message whose time has come, which is in flight from now on; `done` forgets it. */
  next(nowMs: number): { readonly message: Telemetry; done(): void } | null {
    const next = this.#waiting.find(({ inFlight }) => !inFlight);
    if (next === undefined || nowMs < next.notBeforeMs) return null;
    next.inFlight = true;
    const { message, endMs } = next;
    return {
      message: nowMs - endMs > LATE_MS ? { ...message, historical: true } : message,
      done: () => {
        this.#waiting = this.#waiting.filter((other) => other !== next);
      },
    };
  }

  /** The link broke: what was in flight waits for the next one. */
  interrupted(): void {
    for (const waiting of this.#waiting) waiting.inFlight = false;
  }

  /** When the next one may go; Infinity when there is none. */
  dueMs(): number {
    return this.#waiting.find(({ inFlight }) => !inFlight)?.notBeforeMs ?? Number.POSITIVE_INFINITY;
  }
}
