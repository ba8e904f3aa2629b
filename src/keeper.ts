// Keeps what the controller decides, also when storage does not: what could not be written is tried again with the next
// batch and every second, in its order; control and uplink go on from memory meanwhile, and an alarm stands. Small
// writes that can wait (how far the events have been sent, checkpoints) are done in housekeeping.
import type { Clock } from './clock.ts';
import type { Journal } from './journal/journal.ts';
import { isDamage } from './journal/journal-file.ts';
import type { Batch, JournalNews, NeverKept, Stamp } from './journal/records.ts';
import type { Log } from './log.ts';

/** Of each kind, while storage fails. */
const UNKEPT_MAX = 1_000;
const TIDY_EVERY_MS = 30_000;
const RECOVER_EVERY_MS = 10_000;

interface Later {
  readonly what: NeverKept;
  readonly write: (journal: Journal) => unknown;
}

export class Keeper {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #log: Log;
  #unkept: Batch | null = null;
  /** Small writes that have to follow it. */
  #later: Later[] = [];
  readonly #dropped = new Map<NeverKept, number>();
  #failure: string | null = null;
  #failures = 0;
  #eventsSentTo: number;
  #eventsKeptTo: number;
  #tidyDueMs: number;
  #recoverDueMs = 0;

  constructor(journal: Journal, clock: Clock, log: Log) {
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
    this.#eventsSentTo = journal.eventsSentTo();
    this.#eventsKeptTo = this.#eventsSentTo;
    this.#tidyDueMs = clock.monotonicMs() + TIDY_EVERY_MS;
  }

  /** Why what is said is not durable; null where it is. */
  get failure(): string | null {
    return this.#failure ?? (this.#journal.isDurable ? null : 'the disk cannot be written: the journal is in memory');
  }

  /** Events that no broker has taken yet. */
  get eventsWaiting(): number {
    return this.#journal.lastEvent - this.#eventsSentTo;
  }

  get walBytes(): number {
    return this.#journal.walBytes;
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

  /** Durable when it returns, unless storage fails; then it is tried again. */
  commit(batch: Batch): void {
    this.#unkept = this.#unkept === null ? batch : this.#joined(this.#unkept, batch);
    this.#catchUp();
  }

  /** A single write or read; undefined when storage fails. */
  attempt<T>(work: (journal: Journal) => T): T | undefined {
    try {
      return work(this.#journal);
    } catch (error) {
      if (!this.#mended(error as Error)) return undefined;
    }
    try {
      return work(this.#journal);
    } catch (error) {
      this.#failed(error as Error);
      return undefined;
    }
  }

  /** A small write that is not to be lost: where storage fails it is done in its turn, later. */
  keep<T>(what: NeverKept, write: (journal: Journal) => T): T | undefined {
    const failures = this.#failures;
    if (this.#unkept !== null || this.#later.length > 0) this.#catchUp();
    const result = this.#failures === failures ? this.attempt(write) : undefined;
    if (this.#failures === failures) return result;
    this.#later.push({ what, write });
    if (this.#later.length > UNKEPT_MAX) this.#dropLater();
    return result;
  }

  /** Once a second: gets done what could not be done. */
  retry(): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#journal.isDurable && nowMs >= this.#recoverDueMs) {
      this.#recoverDueMs = nowMs + RECOVER_EVERY_MS;
      this.attempt((journal) => journal.recover());
    }
    if (this.#failure === null) return;
    this.#catchUp();
  }

  /** What is to be told of the journal; once. */
  takeNews(): JournalNews[] {
    const news = this.#journal.takeNews();
    if (this.#failure !== null) return news;
    for (const [what, count] of this.#dropped) news.push({ kind: 'dropped', what, count });
    this.#dropped.clear();
    return news;
  }

  #catchUp(): void {
    const failures = this.#failures;
    this.attempt((journal) => {
      // Where nothing waits, a write that means nothing shows whether storage takes one.
      if (this.#unkept === null && this.#later.length === 0) journal.setEventsSentTo(this.#eventsSentTo);
      if (this.#unkept !== null) journal.commit(this.#unkept, this.stamp());
      this.#unkept = null;
      for (let next = this.#later[0]; next !== undefined; next = this.#later[0]) {
        next.write(journal);
        this.#later.shift();
      }
    });
    if (this.#failures === failures) this.#failure = null;
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
    if (this.#unkept === null) this.attempt((journal) => journal.seal());
    if (this.#eventsSentTo === this.#eventsKeptTo) return;
    this.attempt((journal) => {
      journal.setEventsSentTo(this.#eventsSentTo);
      this.#eventsKeptTo = this.#eventsSentTo;
    });
  }

  get isTidyDue(): boolean {
    return this.#clock.monotonicMs() >= this.#tidyDueMs || this.#journal.wantsTidy;
  }

  /** For a quiet moment. */
  tidy(): void {
    const nowMs = this.#clock.monotonicMs();
    this.attempt((journal) => journal.recover());
    const isMore = this.attempt((journal) => journal.tidy()) === true;
    this.#tidyDueMs = nowMs + (isMore ? 0 : TIDY_EVERY_MS);
  }

  /** Somebody has looked through the file and found it damaged. */
  beginAnew(reason: string): void {
    this.#mended(Object.assign(new Error(reason), { code: 'SQLITE_CORRUPT' }));
  }

  /** A damaged file has been replaced, and what failed is worth another try. */
  #mended(error: Error): boolean {
    if (isDamage(error)) {
      try {
        this.#journal.beginAnew();
        this.#log.error({ error: error.message }, 'the journal was damaged: a new one begins');
        return true;
      } catch (again) {
        this.#failed(again as Error);
        return false;
      }
    }
    this.#failed(error);
    return false;
  }

  #failed(error: Error): void {
    const { message } = error;
    if (message !== this.#failure) this.#log.error({ error: message }, 'the journal cannot be written');
    this.#failure = message;
    this.#failures += 1;
    // A batch that can never be kept must not keep out all that follow.
    if (/CONSTRAINT/.test((error as { code?: string }).code ?? 'CONSTRAINT')) this.#giveUp();
  }

  #giveUp(): void {
    if (this.#unkept === null) this.#dropLater();
    else {
      this.#drop('event', this.#unkept.events.length);
      this.#drop('request', this.#unkept.requests.length);
      this.#drop('withheld', this.#unkept.withheld.length);
      this.#drop('command', this.#unkept.commands?.length ?? 0);
    }
    this.#unkept = null;
  }

  #dropLater(): void {
    const oldest = this.#later.shift();
    if (oldest !== undefined) this.#drop(oldest.what, 1);
  }

  #drop(what: NeverKept, count: number): void {
    if (count > 0) this.#dropped.set(what, (this.#dropped.get(what) ?? 0) + count);
  }

  /** Two batches as one, with the newest of what there is no end of. */
  #joined(a: Batch, b: Batch): Batch {
    const newest = <T>(what: NeverKept, all: readonly T[]): readonly T[] => {
      this.#drop(what, all.length - UNKEPT_MAX);
      return all.slice(-UNKEPT_MAX);
    };
    return {
      states: [...new Map([...a.states, ...b.states].map((state) => [state.feederId, state])).values()],
      requests: newest('request', [...a.requests, ...b.requests]),
      withheld: newest('withheld', [...a.withheld, ...b.withheld]),
      events: newest('event', [...a.events, ...b.events]),
      commands: newest('command', [...(a.commands ?? []), ...(b.commands ?? [])]),
    };
  }
}
