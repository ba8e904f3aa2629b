// What must survive a power cut, in one SQLite file: the state of control, every request with its acknowledgements,
// and the sequence of events, which is also the queue of what the head end has yet to hear. One call of `commit` is
// on stable storage when it returns, whole or not at all; what it returned from may be said. A batch with a request is
// first kept as one row (ahead.ts), which is quicker, and brought into the tables before anything else is done.
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Ahead } from './ahead.ts';
import { JOURNAL_STEPS, migrate } from './migrations.ts';
import { readSeal, type Seal, writeSeal } from './seal.ts';
import { lastHash, prepare, writeBatch } from './tables.ts';
import type { WrittenBatch } from './written-batch.ts';

/** When something was written, on every clock that may be needed to read it back. */
export interface Stamp {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly bootId: string;
  readonly clockSynchronised: boolean;
}

export interface StoredRequest {
  readonly requestId: string;
  readonly sequence: number;
  readonly feederId: string;
  readonly episodeId: string;
  readonly body: string;
  /** Whether it was ever handed to a broker, or may have been. */
  readonly offered: boolean;
  /** Why it was not said as curtailment, and never will be. */
  readonly withheld: 'superseded' | 'expired' | null;
  /** Status of the latest acknowledgement; null before the first. */
  readonly ackStatus: string | null;
}

export interface StoredState {
  readonly feederId: string;
  readonly state: unknown;
  readonly stamp: Stamp;
}

/** One entry of the sequence of events; `body` gets its sequence number from the journal. */
export interface NewEvent {
  readonly feederId: string | null;
  readonly body: (sequence: number) => string;
}
export interface StoredEvent {
  readonly sequence: number;
  readonly feederId: string | null;
  readonly body: string;
}

export interface Batch {
  readonly states: readonly { readonly feederId: string; readonly state: unknown }[];
  readonly requests: readonly Omit<StoredRequest, 'ackStatus'>[];
  /** Requests of this batch or an earlier one that will never be said. */
  readonly withheld: readonly { readonly requestId: string; readonly why: 'superseded' | 'expired' }[];
  readonly events: readonly NewEvent[];
  /** Commands that were answered: no id is ever taken twice. */
  readonly commands?: readonly AnsweredCommand[];
}

export interface AnsweredCommand {
  readonly commandId: string;
  readonly answer: string;
}

export interface ReceivedAck {
  readonly feederId: string;
  readonly requestId: string;
  readonly sequence: number;
  readonly status: string;
  readonly body: string;
}

/** Kept beyond what is unsent; the issue of space in the box, not of the head end. */
const EVENTS_KEPT = 100_000;
const REQUESTS_KEPT = 100_000;
const ACKS_KEPT = 300_000;
/** At the default pace of commands more than five days of nothing but commands; none stays valid for longer than one. */
const COMMANDS_KEPT = 100_000;
/** Left to itself SQLite checkpoints inside a commit, in the way of a decision; `tidy` does it in a quiet moment. */
const COMMITS_BEFORE_TIDY = 100;
/** What is too old or too much is looked for every few minutes. */
const TIDIES_PER_CLEANUP = 20;
const WAL_GROWN_BYTES = 4 * 1024 * 1024;
/** A commit touches a handful of pages: the library's 16 MB would only be resident. */
const CACHE_KIB = 1_024;

export class JournalInUse extends Error {}
class RolledBack extends Error {}

export class Journal {
  readonly #lock: Database.Database;
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #write: (batches: readonly WrittenBatch[]) => void;
  readonly #ahead: Ahead;
  /** Durable as the row ahead, and not in the tables yet. */
  #waiting: WrittenBatch | null;
  readonly #maxBytes: number;
  readonly #folder: string;
  /** Events that had been written and are not there: a WAL that went missing, an older copy of the file. */
  readonly lostEvents: { readonly first: number; readonly last: number } | null;
  #sealed: Seal | null;
  #nextEvent: number;
  #lastRequest: number;
  #lastHash: string;
  #commitsSinceTidy = 0;
  #tidied = 0;

  /**
   * Opens or makes the journal in `folder`. Throws JournalInUse when another process has it, and an Error in one clear
   * line when the file is from a newer program or storage does not sync.
   */
  constructor(folder: string, maxMegabytes = 512) {
    this.#maxBytes = maxMegabytes * 1e6;
    mkdirSync(folder, { recursive: true });
    this.#lock = lockFolder(folder);
    this.#db = new Database(join(folder, 'journal.db'));
    try {
      prepareFile(this.#db, folder);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#statements = prepare(this.#db);
    this.#folder = folder;
    this.#ahead = new Ahead(this.#db);
    this.#write = this.#db.transaction((batches: readonly WrittenBatch[]) => this.#writeAll(batches)).immediate;
    this.#lastHash = lastHash(this.#db);
    this.#waiting = this.#ahead.read();
    this.#bringIn();
    const last = this.#statements.lastEvent.get() as { sequence: number } | undefined;
    this.#sealed = readSeal(folder);
    const kept = last?.sequence ?? 0;
    const sealed = this.#sealed?.eventSequence ?? 0;
    this.lostEvents = sealed > kept ? { first: kept + 1, last: sealed } : null;
    // Numbers that were said are never given again, whatever became of the rows.
    this.#nextEvent = Math.max(kept, sealed) + 1;
    const { sequence } = this.#statements.lastSequence.get() as { sequence: number | null };
    this.#lastRequest = Math.max(sequence ?? 0, this.#sealed?.requestSequence ?? 0);
  }

  /** One batch, on stable storage when it returns. Gives the events with the numbers that they got. */
  commit(batch: Batch, stamp: Stamp): StoredEvent[] {
    const [from, fromRequest] = [this.#nextEvent, this.#lastRequest];
    this.#commitsSinceTidy += 1;
    try {
      const written = this.#written(batch, stamp);
      const quick = batch.requests.length > 0 && this.#waiting === null && this.#ahead.write(written);
      if (quick) this.#waiting = written;
      else this.#bringIn(written);
      return [...written.events];
    } catch (error) {
      this.#nextEvent = from;
      this.#lastRequest = fromRequest;
      throw error;
    }
  }

  /** The batch as text. Throws where a number of a request does not grow: the row ahead would not notice. */
  #written(batch: Batch, stamp: Stamp): WrittenBatch {
    for (const { sequence } of batch.requests) {
      if (sequence <= this.#lastRequest) throw new Error(`request ${sequence} after ${this.#lastRequest}`);
      this.#lastRequest = sequence;
    }
    return {
      ...batch,
      stamp,
      commands: batch.commands ?? [],
      states: batch.states.map(({ feederId, state }) => ({ feederId, body: JSON.stringify(state) })),
      events: batch.events.map(({ feederId, body }) => {
        const sequence = this.#nextEvent++;
        return { sequence, feederId, body: body(sequence) };
      }),
    };
  }

  /** What is durable as the row ahead alone, and `batch` behind it, into the tables. */
  #bringIn(batch?: WrittenBatch): void {
    const batches = [this.#waiting, batch].filter((each) => each !== null && each !== undefined);
    if (batches.length === 0) return;
    const before = this.#lastHash;
    try {
      this.#write(batches);
    } catch (error) {
      this.#lastHash = before;
      throw error;
    }
    this.#waiting = null;
  }

  /** After what was committed has been said: brings it into the tables, where everything else looks. */
  settle(): void {
    this.#bringIn();
  }

  /** All of `commit` but that nothing is kept. */
  rehearse(batch: Batch): void {
    const [from, fromRequest, before] = [this.#nextEvent, this.#lastRequest, this.#lastHash];
    try {
      const written = this.#written(batch, { monotonicMs: 0, wallMs: 0, bootId: '', clockSynchronised: false });
      this.#db.transaction(() => {
        this.#ahead.write(written);
        this.#writeAll([written]);
        throw new RolledBack();
      })();
    } catch (error) {
      if (!(error instanceof RolledBack)) throw error;
    } finally {
      this.#nextEvent = from;
      this.#lastRequest = fromRequest;
      this.#lastHash = before;
    }
  }

  #writeAll(batches: readonly WrittenBatch[]): void {
    for (const batch of batches) this.#lastHash = writeBatch(this.#statements, batch, this.#lastHash);
    if (this.#waiting !== null) this.#ahead.clear();
  }

  /** The state of every feeder that was ever kept. */
  states(): StoredState[] {
    return (this.#statements.states.all() as StateRow[]).map((row) => ({
      feederId: row.feeder_id,
      state: JSON.parse(row.body),
      stamp: {
        monotonicMs: row.monotonic_ms,
        wallMs: row.wall_ms,
        bootId: row.boot_id,
        clockSynchronised: row.clock_synchronised === 1,
      },
    }));
  }

  /** The newest request of each feeder. */
  latestRequests(): StoredRequest[] {
    return (this.#statements.latestRequests.all() as RequestRow[]).map((row) => ({
      requestId: row.request_id,
      sequence: row.sequence,
      feederId: row.feeder_id,
      episodeId: row.episode_id,
      body: row.body,
      offered: row.offered === 1,
      withheld: row.withheld as StoredRequest['withheld'],
      ackStatus: row.ack_status,
    }));
  }

  /** The highest sequence number ever used; null in a new journal. */
  lastSequence(): number | null {
    return this.#lastRequest === 0 ? null : this.#lastRequest;
  }

  /** Notes beside the journal how far it has come; once a second is often enough. */
  seal(): void {
    this.#bringIn();
    const eventSequence = this.#nextEvent - 1;
    if (eventSequence === this.#sealed?.eventSequence) return;
    this.#sealed = { eventSequence, hash: this.#lastHash, requestSequence: this.#lastRequest };
    writeSeal(this.#folder, this.#sealed);
  }

  /** Before a request that was decided without a link is handed to a broker: from here on it may have been heard. */
  offer(requestId: string): void {
    this.#bringIn();
    this.#statements.offer.run(requestId);
  }

  /** Keeps an acknowledgement; `unknown` when the feeder has no such request, `repeated` when it is kept already. */
  keepAck(ack: ReceivedAck, wallMs: number): 'kept' | 'repeated' | 'unknown' {
    this.#bringIn();
    const { requestExists, ackExists } = this.#statements;
    if (requestExists.get(ack.requestId, ack.sequence, ack.feederId) === undefined) return 'unknown';
    if (ackExists.get(ack.requestId, ack.body) !== undefined) return 'repeated';
    this.#db.transaction(() => {
      this.#statements.putAck.run(ack.requestId, ack.sequence, ack.status, ack.body, wallMs);
      this.#statements.setAckStatus.run(ack.status, ack.requestId);
    })();
    return 'kept';
  }

  /** The answer that a command has had; null for one that was never taken. */
  answerTo(commandId: string): string | null {
    this.#bringIn();
    return (this.#statements.answerTo.get(commandId) as { answer: string } | undefined)?.answer ?? null;
  }

  /** Events after `sequence`, in order. */
  eventsAfter(sequence: number, count: number): StoredEvent[] {
    this.#bringIn();
    return (this.#statements.eventsAfter.all(sequence, count) as EventRow[]).map((row) => ({
      sequence: row.sequence,
      feederId: row.feeder_id,
      body: row.body,
    }));
  }

  /** Up to which event the head end's broker has taken over. */
  eventsSentTo(): number {
    return (this.#statements.sentTo.get() as { value: number } | undefined)?.value ?? 0;
  }

  setEventsSentTo(sequence: number): void {
    this.#bringIn();
    this.#statements.setSentTo.run(sequence);
  }

  /** The WAL is getting longer than it was made, beyond which commits are slower. */
  get wantsTidy(): boolean {
    return this.#commitsSinceTidy >= COMMITS_BEFORE_TIDY;
  }

  /** Checkpoint and clean-up, for a quiet moment. */
  tidy(): void {
    this.#bringIn();
    this.#commitsSinceTidy = 0;
    this.#db.pragma('wal_checkpoint(PASSIVE)');
    if (this.#tidied++ % TIDIES_PER_CLEANUP !== 0) return;
    const oldest = (this.#statements.firstEvent.get() as { sequence: number | null }).sequence ?? this.#nextEvent;
    // A journal that is too large gives up a tenth of its events, the oldest, at a time.
    const tooLarge = this.#bytes() > this.#maxBytes ? oldest + Math.ceil((this.#nextEvent - oldest) / 10) : 0;
    this.#cleanEvents(Math.min(Math.max(this.#nextEvent - EVENTS_KEPT, tooLarge) - 1, this.eventsSentTo()));
    this.#statements.dropRequests.run(REQUESTS_KEPT);
    this.#statements.dropAcks.run(ACKS_KEPT);
    this.#statements.dropCommands.run(COMMANDS_KEPT);
  }

  /** The events up to `sequence` go; what the next one hangs on is noted. */
  #cleanEvents(sequence: number): void {
    const { eventHash, setCleaned, dropEvents } = this.#statements;
    const newest = eventHash.get(sequence) as { sequence: number; hash: string } | undefined;
    if (newest === undefined) return;
    this.#db.transaction(() => {
      setCleaned.run(JSON.stringify(newest));
      dropEvents.run(newest.sequence);
    })();
  }

  /** In use, without the pages that are free to be used again. */
  #bytes(): number {
    const number = (pragma: string) => this.#db.pragma(pragma, { simple: true }) as number;
    return (number('page_count') - number('freelist_count')) * number('page_size');
  }

  close(): void {
    this.#db.close();
    this.#lock.close();
  }
}

interface StateRow {
  feeder_id: string;
  body: string;
  monotonic_ms: number;
  wall_ms: number;
  boot_id: string;
  clock_synchronised: number;
}
interface RequestRow {
  sequence: number;
  request_id: string;
  feeder_id: string;
  episode_id: string;
  body: string;
  offered: number;
  withheld: string | null;
  ack_status: string | null;
}
interface EventRow {
  sequence: number;
  feeder_id: string | null;
  body: string;
}

/** An exclusive transaction on a file of its own: the system lets go of it when the process dies, however it dies. */
function lockFolder(folder: string): Database.Database {
  const lock = new Database(join(folder, 'lock.db'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY'))
      throw new JournalInUse(`${folder} is in use by another controller`);
    throw error;
  }
  return lock;
}

function prepareFile(db: Database.Database, folder: string): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma(`cache_size = -${CACHE_KIB}`);
  migrate(db, JOURNAL_STEPS);
  growWal(db, folder);
  // better-sqlite3 is built with NORMAL as the WAL's default and falls back to it at the first write.
  if (db.pragma('synchronous', { simple: true }) !== 2)
    throw new Error(`${folder}: SQLite does not keep synchronous = FULL`);
}

/**
 * A commit that has to lengthen the WAL costs about 0.1 ms more (measured), so it gets its length once, here; a commit
 * of a request with its events is some six pages. After a kill it still has it.
 */
function growWal(db: Database.Database, folder: string): void {
  const hasLength = statSync(join(folder, 'journal.db-wal')).size >= WAL_GROWN_BYTES;
  const grow = db.transaction(() => {
    // In pieces: one blob of that size would stay in the process's memory.
    db.prepare(
      `WITH RECURSIVE piece(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM piece WHERE n < ?)
       INSERT OR REPLACE INTO meta SELECT 'padding' || n, zeroblob(65536) FROM piece`,
    ).run(WAL_GROWN_BYTES / 65_536);
    db.exec(`DELETE FROM meta WHERE name LIKE 'padding%'`);
  });
  if (!hasLength) grow();
  db.pragma('wal_checkpoint(RESTART)');
}
