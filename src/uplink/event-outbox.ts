// Which event goes out next, and up to which the broker has them all: in the order of their numbers, read ahead from
// the journal, and begun anew from the oldest that was in flight when the link broke. Pure, but for the reading.

export interface OutgoingEvent {
  readonly sequence: number;
  readonly feederId: string | null;
  readonly body: string;
}

/** Some 30 kB. One query for each event would be a third of what a backlog costs. */
const READ_AHEAD = 64;

export class EventOutbox {
  readonly #read: (afterSequence: number, count: number) => OutgoingEvent[];
  /** The newest that was handed out. */
  #handedTo: number;
  #inFlight: number[] = [];
  #ahead: OutgoingEvent[] = [];
  /** The journal may have events beyond those. */
  #hasMore = true;

  /** The broker has every event up to `sentTo`. */
  constructor(sentTo: number, read: (afterSequence: number, count: number) => OutgoingEvent[]) {
    this.#handedTo = sentTo;
    this.#read = read;
  }

  /** The journal has new ones. */
  added(): void {
    this.#hasMore = true;
  }

  get isWaiting(): boolean {
    return this.#ahead.length > 0 || this.#hasMore;
  }

  /** The next event, which is in flight from now on. */
  next(): OutgoingEvent | undefined {
    if (this.#ahead.length === 0 && this.#hasMore) {
      this.#ahead = this.#read(this.#handedTo, READ_AHEAD);
      this.#hasMore = this.#ahead.length === READ_AHEAD;
    }
    const event = this.#ahead.shift();
    if (event === undefined) return undefined;
    this.#handedTo = event.sequence;
    this.#inFlight.push(event.sequence);
    return event;
  }

  /** The broker has it; gives the number up to which it has every one. */
  taken(sequence: number): number {
    this.#inFlight = this.#inFlight.filter((waiting) => waiting !== sequence);
    const [oldest] = this.#inFlight;
    return oldest === undefined ? this.#handedTo : oldest - 1;
  }

  /** What was in flight goes out again, from the oldest, so that order is kept. */
  rewind(): void {
    const [oldest] = this.#inFlight;
    if (oldest !== undefined) this.#handedTo = oldest - 1;
    this.#inFlight = [];
    this.#ahead = [];
    this.#hasMore = true;
  }
}
