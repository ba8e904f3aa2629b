// What must survive a power cut, in one SQLite file: the state of control, every request with its acknowledgements,
// and the sequence of events, which is also the queue of what the head end has yet to hear. One call of `commit` is
// on stable storage when it returns, whole or not at all; what it returned from may be said. A batch with a request is
// first kept as one row (ahead.ts), which is quicker, and brought into the tables before anything else is done.
import type Database from 'better-sqlite3';
import {
  isDamage,
  isReplaced,
  isUnwritable,
  type JournalFile,
  lockFolder,
  makeFolder,
  memoryFile,
  openFile,
  salvageCopy,
  setAside,
} from './journal-file.ts';
import { restore, type Salvage, salvage } from './salvage.ts';
import { readSeal, type Seal, writeSeal } from './seal.ts';
import { lastHash, writeBatch } from './tables.ts';
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

/** Of events, sent or not. Those that were sent go beyond it; unsent ones give way beyond the other. */
const EVENTS_KEPT = 100_000;
const EVENTS_MAX = 110_000;
const REQUESTS_KEPT = 100_000;
const ACKS_KEPT = 300_000;
/** At the default pace of commands more than five days of nothing but commands; none stays valid for longer than one. */
const COMMANDS_KEPT = 100_000;
/** Left to itself SQLite checkpoints inside a commit, in the way of a decision; `tidy` does it in a quiet moment. */
const COMMITS_BEFORE_TIDY = 100;
/** Rows that one turn of clean-up takes, so that it is over in some milliseconds. */
const ROWS_PER_BITE = 500;
/** What is too old or too much is looked for every few minutes. */
const TIDIES_PER_CLEANUP = 20;

class RolledBack extends Error {}

/** What the controller is to tell: events that are lost, or a journal that began anew. */
export type JournalNews =
  | { readonly kind: 'lost' | 'shed'; readonly first: number; readonly last: number; readonly count: number }
  | { readonly kind: 'dropped'; readonly count: number }
  | { readonly kind: 'replaced'; readonly reason: string };

export class Journal {
  readonly #folder: string;
  readonly #maxBytes: number;
  /** Null while the journal is in memory. */
  #lock: Database.Database | null = null;
  #file: JournalFile;
  #write: (batches: readonly WrittenBatch[]) => void = () => {};
  /** Durable as the row ahead, and not in the tables yet. */
  #waiting: WrittenBatch | null = null;
  #news: JournalNews[] = [];
  #sealed: Seal | null;
  #nextEvent = 1;
  #lastRequest = 0;
  #lastHash = '';
  #commitsSinceTidy = 0;
  #tidied = 0;
  #isCleaning = false;
  /** Unsent events that are to give way once it is told; `before` is the next number at that time. */
  #shedding: { readonly sequences: readonly number[]; readonly before: number } | null = null;

  /**
   * Opens or makes the journal in `folder`. A damaged file is set aside, and where the disk cannot be written the
   * journal is in memory until `recover` succeeds. Throws JournalInUse when another process has it, and an Error in one
   * clear line when the file is from a newer program, storage does not sync or the folder may not be written.
   */
  constructor(folder: string, maxMegabytes = 512) {
    this.#folder = folder;
    this.#maxBytes = maxMegabytes * 1e6;
    this.#sealed = readSeal(folder);
    try {
      this.#file = this.#openOnDisk();
      this.#use(this.#file);
    } catch (error) {
      this.#unlock();
      if (!isUnwritable(error)) throw error;
      this.#file = this.#inMemory(salvageCopy(folder));
    }
  }

  /** False while the journal is in memory: what is committed does not outlive the process. */
  get isDurable(): boolean {
    return this.#file.fileId !== null;
  }

  #openOnDisk(): JournalFile {
    makeFolder(this.#folder);
    this.#lock = lockFolder(this.#folder);
    try {
      return openFile(this.#folder);
    } catch (error) {
      if (isDamage(error)) return this.#anew(salvageCopy(this.#folder));
      this.#unlock();
      throw error;
    }
  }

  #unlock(): void {
    this.#lock?.close();
    this.#lock = null;
  }

  /** The damaged file is set aside, and a new one begins with what could be read. */
  #anew(saved: Salvage, damaged?: Database.Database): JournalFile {
    const name = setAside(this.#folder);
    // Only now, and before there is another: SQLite takes a WAL away by the name that it had.
    damaged?.close();
    const file = openFile(this.#folder);
    this.#news.push({ kind: 'replaced', reason: `the journal was damaged: it is kept as ${name}, a new one begins` });
    this.#carry(file, saved);
    return file;
  }

  #inMemory(saved: Salvage): JournalFile {
    const file = memoryFile();
    this.#carry(file, saved);
    this.#use(file);
    return file;
  }

  /** Into the file that is gone on with, what it is to have from the one before. */
  #carry(file: JournalFile, saved: Salvage): void {
    restore(file.db, saved);
    this.#waiting ??= saved.waiting;
    const sentTo = Number(saved.meta[0]?.value ?? 0);
    const first = Number(saved.events[0]?.sequence ?? 0);
    if (first > sentTo + 1) this.#lose(sentTo + 1, first - 1);
  }

  /** From here on this is the file; the numbers go on above all that were ever given. */
  #use(file: JournalFile): void {
    this.#file = file;
    this.#write = file.db.transaction((batches: readonly WrittenBatch[]) => this.#writeAll(batches)).immediate;
    this.#lastHash = lastHash(file.db);
    this.#waiting ??= file.ahead.read();
    this.#bringIn();
    const last = (file.statements.lastEvent.get() as { sequence: number } | undefined)?.sequence ?? 0;
    const reached = Math.max(this.#nextEvent - 1, this.#sealed?.eventSequence ?? 0);
    if (reached > last) this.#lose(last + 1, reached);
    this.#nextEvent = Math.max(last, reached) + 1;
    const request = (file.statements.lastSequence.get() as { sequence: number | null }).sequence ?? 0;
    this.#lastRequest = Math.max(request, this.#lastRequest, this.#sealed?.requestSequence ?? 0);
  }

  #lose(first: number, last: number): void {
    this.#news.push({ kind: 'lost', first, last, count: last - first + 1 });
  }

  /** What is to be told; once. */
  takeNews(): JournalNews[] {
    return this.#news.splice(0);
  }

  /** The file turned out to be damaged while it was in use. Throws where no other can be had, not even in memory. */
  beginAnew(): void {
    const { db } = this.#file;
    const saved = salvage(db);
    try {
      this.#use(this.#anew(saved, db));
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      this.#unlock();
      this.#inMemory(saved);
    }
    this.#sealed = null;
  }

  /**
   * Gets the journal back onto the disk where it is not there, or where somebody has moved it away. Throws as long as
   * that is not possible; does nothing where all is well.
   */
  recover(): void {
    if (this.isDurable && !isReplaced(this.#file, this.#folder)) return;
    const { db } = this.#file;
    const wasDurable = this.isDurable;
    const saved = salvage(db);
    this.#unlock();
    const file = this.#openOnDisk();
    this.#carry(file, saved);
    this.#use(file);
    db.close();
    this.#sealed = null;
    if (wasDurable) this.#news.push({ kind: 'replaced', reason: 'the journal was moved away: a new one begins' });
  }

  /** One batch, on stable storage when it returns. Gives the events with the numbers that they got. */
  commit(batch: Batch, stamp: Stamp): StoredEvent[] {
    const [from, fromRequest] = [this.#nextEvent, this.#lastRequest];
    this.#commitsSinceTidy += 1;
    try {
      const written = this.#written(batch, stamp);
      const quick = batch.requests.length > 0 && this.#waiting === null && this.#file.ahead.write(written);
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
      this.#file.db.transaction(() => {
        this.#file.ahead.write(written);
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
    for (const batch of batches) this.#lastHash = writeBatch(this.#file.statements, batch, this.#lastHash);
    if (this.#waiting !== null) this.#file.ahead.clear();
  }

  /** The state of every feeder that was ever kept. */
  states(): StoredState[] {
    return (this.#file.statements.states.all() as StateRow[]).map((row) => ({
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
    return (this.#file.statements.latestRequests.all() as RequestRow[]).map((row) => ({
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
    if (this.isDurable) writeSeal(this.#folder, this.#sealed);
  }

  /** Before a request that was decided without a link is handed to a broker: from here on it may have been heard. */
  offer(requestId: string): void {
    this.#bringIn();
    this.#file.statements.offer.run(requestId);
  }

  /** Keeps an acknowledgement; `unknown` when the feeder has no such request, `repeated` when it is kept already. */
  keepAck(ack: ReceivedAck, wallMs: number): 'kept' | 'repeated' | 'unknown' {
    this.#bringIn();
    const { requestExists, ackExists } = this.#file.statements;
    if (requestExists.get(ack.requestId, ack.sequence, ack.feederId) === undefined) return 'unknown';
    if (ackExists.get(ack.requestId, ack.body) !== undefined) return 'repeated';
    this.#file.db.transaction(() => {
      this.#file.statements.putAck.run(ack.requestId, ack.sequence, ack.status, ack.body, wallMs);
      this.#file.statements.setAckStatus.run(ack.status, ack.requestId);
    })();
    return 'kept';
  }

  /** The answer that a command has had; null for one that was never taken. */
  answerTo(commandId: string): string | null {
    this.#bringIn();
    return (this.#file.statements.answerTo.get(commandId) as { answer: string } | undefined)?.answer ?? null;
  }

  /** Events after `sequence`, in order. */
  eventsAfter(sequence: number, count: number): StoredEvent[] {
    this.#bringIn();
    return (this.#file.statements.eventsAfter.all(sequence, count) as EventRow[]).map((row) => ({
      sequence: row.sequence,
      feederId: row.feeder_id,
      body: row.body,
    }));
  }

  /** Up to which event the head end's broker has taken over. */
  eventsSentTo(): number {
    return (this.#file.statements.sentTo.get() as { value: number } | undefined)?.value ?? 0;
  }

  setEventsSentTo(sequence: number): void {
    this.#bringIn();
    this.#file.statements.setSentTo.run(sequence);
  }

  /** The heat of the phases as it was kept last; null before the first time. */
  heat(): string | null {
    return (this.#file.statements.heat.get() as string | undefined) ?? null;
  }

  keepHeat(body: string): void {
    this.#bringIn();
    this.#file.statements.setHeat.run(body);
  }

  /** The WAL is getting longer than it was made, beyond which commits are slower. */
  get wantsTidy(): boolean {
    return this.#commitsSinceTidy >= COMMITS_BEFORE_TIDY;
  }

  /** Checkpoint and some clean-up, for a quiet moment; true while there is more to clean up. */
  tidy(): boolean {
    this.#bringIn();
    this.#commitsSinceTidy = 0;
    this.#file.db.pragma('wal_checkpoint(PASSIVE)');
    if (!this.#isCleaning && this.#tidied++ % TIDIES_PER_CLEANUP !== 0) return false;
    this.#isCleaning = this.#clean();
    return this.#isCleaning;
  }

  /** A bite of what is too much. What was sent goes first, then unsent alarms, then what else was not sent. */
  #clean(): boolean {
    const { firstEvent, dropRequests, dropAcks, dropCommands } = this.#file.statements;
    dropCommands.run(COMMANDS_KEPT);
    const isTooLarge = this.#bytes() > this.#maxBytes;
    const oldest = (firstEvent.get() as { sequence: number | null }).sequence ?? this.#nextEvent;
    const keptFrom = isTooLarge ? this.#nextEvent : this.#nextEvent - EVENTS_KEPT;
    const upTo = Math.min(keptFrom - 1, this.eventsSentTo(), oldest + ROWS_PER_BITE - 1);
    if (upTo >= oldest) this.#cleanEvents(upTo);
    const requests = dropRequests.run({ kept: isTooLarge ? 0 : REQUESTS_KEPT, bite: ROWS_PER_BITE }).changes;
    const acks = dropAcks.run({ kept: isTooLarge ? 0 : ACKS_KEPT, bite: ROWS_PER_BITE }).changes;
    if (upTo >= oldest || requests > 0 || acks > 0) return true;
    return (isTooLarge || this.#nextEvent - oldest > EVENTS_MAX) && this.#shed(isTooLarge);
  }

  /**
   * Unsent events give way: first it is told which, and once the gap event is durable they go. What is left of a run of
   * them is its last hash, on which the next event hangs.
   */
  #shed(isTooLarge: boolean): boolean {
    const { countEvents, unsentAlarms, unsentEvents, emptyEvents, dropEmpty } = this.#file.statements;
    if (this.#shedding !== null) {
      const { sequences, before } = this.#shedding;
      if (this.#nextEvent === before) return true;
      this.#file.db.transaction(() => {
        emptyEvents.run(JSON.stringify(sequences));
        dropEmpty.run(sequences[0], sequences.at(-1));
      })();
      this.#shedding = null;
      return true;
    }
    if (!isTooLarge && (countEvents.pluck().get() as number) <= EVENTS_MAX) return false;
    const sentTo = this.eventsSentTo();
    let sequences = unsentAlarms.pluck().all(sentTo, ROWS_PER_BITE) as number[];
    if (sequences.length === 0) sequences = unsentEvents.pluck().all(sentTo, ROWS_PER_BITE) as number[];
    const [first, last] = [sequences[0], sequences.at(-1)];
    if (first === undefined || last === undefined) return false;
    this.#shedding = { sequences, before: this.#nextEvent };
    this.#news.push({ kind: 'shed', first, last, count: sequences.length });
    return true;
  }

  /** The events up to `sequence` go; what the next one hangs on is noted. */
  #cleanEvents(sequence: number): void {
    const { eventHash, setCleaned, dropEvents } = this.#file.statements;
    const newest = eventHash.get(sequence) as { sequence: number; hash: string } | undefined;
    if (newest === undefined) return;
    this.#file.db.transaction(() => {
      setCleaned.run(JSON.stringify(newest));
      dropEvents.run(newest.sequence);
    })();
  }

  /** In use, without the pages that are free to be used again. */
  #bytes(): number {
    const number = (pragma: string) => this.#file.db.pragma(pragma, { simple: true }) as number;
    return (number('page_count') - number('freelist_count')) * number('page_size');
  }

  close(): void {
    this.#file.db.close();
    this.#lock?.close();
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
