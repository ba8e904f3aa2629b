// Keeps what the controller decides, also when storage does not: what a commit could not write is tried again with the
// next one, control and uplink go on from memory meanwhile, and an alarm stands. Small writes that can wait (how far
// the events have been sent, checkpoints) are done in housekeeping.
import type { Clock } from './clock.ts';
import type { Batch, Journal, Stamp } from './journal/journal.ts';
import type { Log } from './log.ts';

/** Of each kind, while storage fails. */
const UNKEPT_MAX = 1_000;
const TIDY_EVERY_MS = 30_000;

export class Keeper {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #log: Log;
  #unkept: Batch | null = null;
  #failing = false;
  #eventsSentTo: number;
  #eventsKeptTo: number;
  #tidyDueMs: number;

  constructor(journal: Journal, clock: Clock, log: Log) {
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
    this.#eventsSentTo = journal.eventsSentTo();
    this.#eventsKeptTo = this.#eventsSentTo;
    this.#tidyDueMs = clock.monotonicMs() + TIDY_EVERY_MS;
  }

  /** The last write did not succeed: what is said is not durable. */
  get isFailing(): boolean {
    return this.#failing;
  }

  get eventsSentTo(): number {
    return this.#eventsSentTo;
  }

  stamp(): Stamp {
    return {
      monotonicMs: this.#clock.monotonicMs(),
      wallMs: this.#clock.wallMs(),
      bootId: this.#clock.bootId,
      clockSynchronised: this.#clock.synchronised(),
    };
  }

  /** Durable when it returns, unless storage fails; then it is tried again with the next batch. */
  commit(batch: Batch): void {
    this.#unkept = this.#unkept === null ? batch : joined(this.#unkept, batch);
    try {
      this.#journal.commit(this.#unkept, this.stamp());
      this.#unkept = null;
      this.#failing = false;
    } catch (error) {
      this.#failed(error as Error);
      // A batch that can never be kept must not keep out all that follow.
      if (/CONSTRAINT/.test((error as { code?: string }).code ?? 'CONSTRAINT')) this.#unkept = null;
    }
  }

  /** A single write; undefined when storage fails. */
  attempt<T>(write: (journal: Journal) => T): T | undefined {
    try {
      return write(this.#journal);
    } catch (error) {
      this.#failed(error as Error);
      return undefined;
    }
  }

  /** What was committed has been said: storage has time to put it in its place. */
  settle(): void {
    this.attempt((journal) => journal.settle());
  }

  /** The broker has every event up to here. */
  eventsSent(sequence: number): void {
    this.#eventsSentTo = sequence;
  }

  /** How far events have been written and sent. Not worth a commit of its own per event: after a crash a few are said twice, with the same number. */
  keepProgress(): void {
    this.attempt((journal) => journal.seal());
    if (this.#eventsSentTo === this.#eventsKeptTo) return;
    this.attempt((journal) => {
      journal.setEventsSentTo(this.#eventsSentTo);
      this.#eventsKeptTo = this.#eventsSentTo;
    });
  }

  /** For a quiet moment. */
  tidy(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#tidyDueMs && !this.#journal.wantsTidy) return;
    this.#tidyDueMs = nowMs + TIDY_EVERY_MS;
    this.attempt((journal) => journal.tidy());
  }

  #failed({ message }: Error): void {
    this.#failing = true;
    this.#log.error({ error: message }, 'the journal cannot be written');
  }
}

/** Two batches as one, with the newest of what there is no end of. */
function joined(a: Batch, b: Batch): Batch {
  return {
    states: [...new Map([...a.states, ...b.states].map((state) => [state.feederId, state])).values()],
    requests: [...a.requests, ...b.requests].slice(-UNKEPT_MAX),
    withheld: [...a.withheld, ...b.withheld].slice(-UNKEPT_MAX),
    events: [...a.events, ...b.events].slice(-UNKEPT_MAX),
    commands: [...(a.commands ?? []), ...(b.commands ?? [])].slice(-UNKEPT_MAX),
  };
}
