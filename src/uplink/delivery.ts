// What goes to the broker next, and what is still owed an answer: the outbox's order, held in one place and pure but
// for the ports it is given. Requests first, only the newest of each feeder; then events in order, the backlog paced.
// The MQTT client's own queue is never used: it forgets its order, its limits and the age of what is in it.
import type { Curtailment } from '../messages.ts';

/** A request as the uplink carries it. */
export interface OutgoingRequest {
  readonly message: Curtailment;
  readonly payload: string;
  /** False only while it is certain that no broker has it: none was ever given it, or the one that was refused it. */
  offered: boolean;
  /** A broker has taken it. */
  confirmed: boolean;
}

interface Standing {
  readonly request: OutgoingRequest;
  /** To be published as soon as there is room. */
  wanted: boolean;
  inFlight: boolean;
  /** Refused by the broker: not before this time (monotonic). */
  heldUntilMs: number;
  /** When the broker took it (monotonic); null before. */
  takenMs: number | null;
  repeats: number;
  acked: boolean;
  alarmed: boolean;
}

const REPEATS_MAX = 3;

/** The newest request of each feeder, on its way. */
export class Delivery {
  readonly #standing = new Map<string, Standing>();
  readonly #ackTimeoutMs: (feederId: string) => number;

  constructor(ackTimeoutMs: (feederId: string) => number) {
    this.#ackTimeoutMs = ackTimeoutMs;
  }

  /** A new request takes the place of the feeder's former one. */
  put(request: OutgoingRequest, options: { readonly acked: boolean; readonly wanted: boolean }): void {
    const { acked, wanted } = options;
    const standing = {
      request,
      wanted,
      inFlight: false,
      heldUntilMs: 0,
      takenMs: null,
      repeats: 0,
      acked,
      alarmed: false,
    };
    this.#standing.set(request.message.feederId, standing);
  }

  /** A feeder's request was ended without being said. */
  drop(feederId: string): void {
    this.#standing.delete(feederId);
  }

  /**
   * After every connect: each feeder's present request goes out before anything else, because the broker may have
   * forgotten it; a release that the head end has answered need not. What a broker refused on the last connection does
   * not wait either, for events would overtake it.
   */
  sayAllAgain(): void {
    for (const standing of this.#standing.values()) {
      standing.inFlight = false;
      standing.heldUntilMs = 0;
      standing.wanted = standing.request.message.action !== 'release' || !standing.acked;
    }
  }

  /** The oldest request that is to be published now. */
  next(nowMs: number): OutgoingRequest | null {
    let oldest: Standing | null = null;
    for (const standing of this.#standing.values()) {
      if (!standing.wanted || standing.inFlight || nowMs < standing.heldUntilMs) continue;
      if (oldest === null || standing.request.message.sequence < oldest.request.message.sequence) oldest = standing;
    }
    return oldest?.request ?? null;
  }

  sending(request: OutgoingRequest): void {
    const standing = this.#of(request);
    if (standing === null) return;
    standing.wanted = false;
    standing.inFlight = true;
  }

  /** The broker took it. */
  taken(request: OutgoingRequest, nowMs: number): void {
    const standing = this.#of(request);
    if (standing === null) return;
    standing.inFlight = false;
    standing.takenMs = nowMs;
  }

  /** The broker did not take it, though the link stands: it is tried again at `againMs`, and no other waits for it. */
  refused(request: OutgoingRequest, againMs: number): void {
    const standing = this.#of(request);
    if (standing === null) return;
    standing.inFlight = false;
    standing.wanted = true;
    standing.heldUntilMs = againMs;
  }

  /** The link broke: what was in flight waits for the next one. */
  interrupted(): void {
    for (const standing of this.#standing.values()) {
      standing.wanted ||= standing.inFlight;
      standing.inFlight = false;
    }
  }

  /** An acknowledgement of any status, from the feeder's own topic: nothing more is repeated. */
  acked(feederId: string, requestId: string, sequence: number): void {
    const standing = this.#standing.get(feederId);
    const message = standing?.request.message;
    if (standing !== undefined && message?.requestId === requestId && message.sequence === sequence)
      standing.acked = true;
  }

  /** Whether a request waits for the link. */
  waiting(): boolean {
    return this.next(Number.POSITIVE_INFINITY) !== null;
  }

  /** When the next acknowledgement is overdue, or a refused request is due again; Infinity when there is none. */
  nextDueMs(nowMs: number): number {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const standing of this.#standing.values()) {
      dueMs = Math.min(dueMs, this.#dueMs(standing));
      if (standing.wanted && standing.heldUntilMs > nowMs) dueMs = Math.min(dueMs, standing.heldUntilMs);
    }
    return dueMs;
  }

  /** Repeats what is overdue; gives the requests whose repeats are used up, each once. */
  overdue(nowMs: number): Curtailment[] {
    const silent: Curtailment[] = [];
    for (const standing of this.#standing.values()) {
      if (nowMs < this.#dueMs(standing)) continue;
      if (standing.repeats < REPEATS_MAX) {
        standing.repeats += 1;
        standing.wanted = true;
      } else {
        standing.alarmed = true;
        silent.push(standing.request.message);
      }
    }
    return silent;
  }

  #dueMs(standing: Standing): number {
    const { takenMs, acked, alarmed, wanted, inFlight, request } = standing;
    if (takenMs === null || acked || alarmed || wanted || inFlight) return Number.POSITIVE_INFINITY;
    return takenMs + this.#ackTimeoutMs(request.message.feederId);
  }

  /** Null when a newer request has taken its place. */
  #of(request: OutgoingRequest): Standing | null {
    const standing = this.#standing.get(request.message.feederId);
    return standing?.request === request ? standing : null;
  }
}

/** Lets `perSecond` messages a second through, and as many at once after a quiet second; 0 lets everything through. */
export class Pace {
  readonly #perSecond: number;
  #tokens: number;
  #filledMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = Math.max(1, perSecond);
  }

  /** How many may go now. */
  allowance(nowMs: number): number {
    if (this.#perSecond === 0) return Number.POSITIVE_INFINITY;
    this.#tokens = Math.min(
      Math.max(1, this.#perSecond),
      this.#tokens + ((nowMs - this.#filledMs) / 1000) * this.#perSecond,
    );
    this.#filledMs = nowMs;
    return Math.floor(this.#tokens);
  }

  spend(): void {
    this.#tokens -= 1;
  }

  /** When one more may go; in whole milliseconds, because a fraction may be too small to move a clock on. */
  nextMs(nowMs: number): number {
    if (this.#perSecond === 0) return nowMs;
    return nowMs + Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }
}
