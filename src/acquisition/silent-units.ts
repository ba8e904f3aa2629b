// The units of one wire that do not answer, as our own time-out or the gateway before them says. Where others share the
// wire, a unit that has been silent several times is left alone for some times as long as it was waited for: it keeps
// the others from being read for a small part of the time only, and is found again within seconds. A unit that has the
// wire to itself is asked at every poll.
import type { Clock } from '../clock.ts';
import type { Fault } from './modbus-connection.ts';

/** One lost answer is no dead meter. */
const SILENT_IN_ROW = 3;
/** A dead unit may hold the wire for a fifth of the time. */
const REST_TIMES = 4;
const LONGEST_REST_MS = 5_000;

export class SilentUnits {
  readonly #clock: Clock;
  readonly #units = new Map<number, { inRow: number; restUntilMs: number; fault: Fault | null }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why the unit is not to be asked now; null when it is. */
  fault(unitId: number): Fault | null {
    const unit = this.#unit(unitId);
    return this.#units.size > 1 && this.#clock.monotonicMs() < unit.restUntilMs ? unit.fault : null;
  }

  answered(unitId: number): void {
    this.#unit(unitId).inRow = 0;
  }

  /** `waitedMs`: how long the wire was held for it. */
  silent(unitId: number, waitedMs: number, fault: Fault): void {
    const unit = this.#unit(unitId);
    unit.fault = fault;
    unit.inRow += 1;
    if (unit.inRow < SILENT_IN_ROW) return;
    unit.restUntilMs = this.#clock.monotonicMs() + Math.min(LONGEST_REST_MS, REST_TIMES * waitedMs);
  }

  #unit(unitId: number) {
    const unit = this.#units.get(unitId) ?? { inRow: 0, restUntilMs: Number.NEGATIVE_INFINITY, fault: null };
    this.#units.set(unitId, unit);
    return unit;
  }
}
