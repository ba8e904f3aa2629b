// The chain between the head end and a device, simulated: each service request waits for its turn (the DCC is
// throttled), takes two trips (transform and sign, then the command itself), comes back after a spread round trip, and
// may fail. `emergency` goes before what waits.
import type { Clock, Timer } from '../../clock.ts';
import type { ServiceRequest } from './duis.ts';

export interface DccOptions {
  /** Mean of the round trip, s; each one is from half to one and a half of it. */
  readonly roundTripS: number;
  /** Service requests a second; 0: no limit. */
  readonly perSecond: number;
  /** 0 to 1: how many get no answer from their device. */
  readonly failureShare: number;
}

interface Waiting {
  readonly request: ServiceRequest;
  readonly urgent: boolean;
  readonly wanted: () => boolean;
  readonly done: (outcome: 'sent' | 'answered' | 'failed') => void;
}

export class Dcc {
  readonly #options: DccOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #waiting: Waiting[] = [];
  readonly #timers = new Set<Timer>();
  #nextTurnMs = 0;
  #turning = false;

  constructor(options: DccOptions, clock: Clock, random: () => number) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Sends when its time and its turn have come, unless it is not `wanted` any more then. `done` says `sent` once, then
   * `answered` or `failed` once.
   */
  send(request: ServiceRequest, urgent: boolean, wanted: Waiting['wanted'], done: Waiting['done']): void {
    const waitMs = request.notBeforeWallMs - this.#clock.wallMs();
    const waiting = { request, urgent, wanted, done };
    if (waitMs > 0) this.#after(waitMs, () => this.#queue(waiting));
    else this.#queue(waiting);
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#waiting.length = 0;
  }

  #queue(waiting: Waiting): void {
    const behind = waiting.urgent ? this.#waiting.findIndex(({ urgent }) => !urgent) : -1;
    this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiting);
    this.#turn();
  }

  #turn(): void {
    if (this.#turning) return;
    const next = this.#waiting[0];
    if (next === undefined) return;
    const { perSecond } = this.#options;
    const waitMs = perSecond === 0 ? 0 : this.#nextTurnMs - this.#clock.monotonicMs();
    if (waitMs > 0) {
      this.#turning = true;
      this.#after(waitMs, () => {
        this.#turning = false;
        this.#turn();
      });
      return;
    }
    this.#waiting.shift();
    if (next.wanted()) this.#dispatch(next);
    this.#turn();
  }

  #dispatch({ done }: Waiting): void {
    const { roundTripS, perSecond, failureShare } = this.#options;
    if (perSecond > 0) this.#nextTurnMs = this.#clock.monotonicMs() + 1000 / perSecond;
    const failed = this.#random() < failureShare;
    done('sent');
    this.#after(roundTripS * 1000 * (0.5 + this.#random()), () => done(failed ? 'failed' : 'answered'));
  }

  #after(ms: number, call: () => void): void {
    const timer = this.#clock.at(this.#clock.monotonicMs() + ms, () => {
      this.#timers.delete(timer);
      call();
    });
    this.#timers.add(timer);
  }
}
