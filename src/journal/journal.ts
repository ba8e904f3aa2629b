// What must survive a power cut, in one SQLite file: the state of control, every request with its acknowledgements,
// and the sequence of events, which is also the queue of what the head end has yet to hear. One call of `commit` is
// on stable storage when it returns, whole or not at all; what it returned from may be said. A batch with a request is
// first kept as one row (ahead.ts), which is quicker, and brought into the tables before anything else is done.
import { CleanUp } from './clean-up.ts';
import { type JournalFile, walBytes } from './journal-file.ts';
import { Place } from './place.ts';
import type { Batch, JournalNews, ReceivedAck, Stamp, StoredEvent, StoredRequest, StoredState } from './records.ts';
import { readSeal, type Seal, writeSeal } from './seal.ts';
import {
  type EventRow,
  lastHash,
  type RequestRow,
  type StateRow,
  storedEvent,
  storedRequest,
  storedState,
  writeBatch,
} from './tables.ts';
import type { WrittenBatch } from './written-batch.ts';

/** Left to itself SQLite checkpoints inside a commit, in the way of a decision; `tidy` does it in a quiet moment. */
const COMMITS_BEFORE_TIDY = 100;

class RolledBack extends Error {}

export class Journal {
  readonly #folder: string;
  readonly #place: Place;
  readonly #cleanUp: CleanUp;
  #write: (batches: readonly WrittenBatch[]) => void = () => {};
  /** Durable as the row ahead, and not in the tables yet. */
  #waiting: WrittenBatch | null = null;
  #news: JournalNews[] = [];
  #sealed: Seal | null;
  #nextEvent = 1;
  #lastRequest = 0;
  #lastHash = '';
  #commitsSinceTidy = 0;

  /**
   * Opens or makes the journal in `folder`. A damaged file is set aside, and where the disk cannot be written the
   * journal is in memory until `recover` succeeds. Throws JournalInUse when another process has it, and an Error in one
   * clear line when the file is from a newer program, storage does not sync or the folder may not be written.
   */
  constructor(folder: string, maxMegabytes = 512) {
    const tell = (news: JournalNews) => this.#news.push(news);
    this.#folder = folder;
    this.#sealed = readSeal(folder);
    this.#cleanUp = new CleanUp(maxMegabytes * 1e6, tell);
    this.#place = new Place(folder, tell);
    this.#goOn();
  }

  get #file(): JournalFile {
    return this.#place.file;
  }

  /** False while the journal is in memory: what is committed does not outlive the process. */
  get isDurable(): boolean {
    return this.#place.isDurable;
  }

  /** In the file of now; the numbers go on above all that were ever given. */
  #goOn(): void {
    const { db, statements } = this.#file;
    this.#write = db.transaction((batches: readonly WrittenBatch[]) => this.#writeAll(batches)).immediate;
    this.#waiting = null;
    this.#lastHash = lastHash(db);
    const last = (statements.lastEvent.get() as { sequence: number } | undefined)?.sequence ?? 0;
    const reached = Math.max(this.#nextEvent - 1, this.#sealed?.eventSequence ?? 0);
    if (reached > last) this.#news.push({ kind: 'lost', first: last + 1, last: reached, count: reached - last });
    this.#nextEvent = Math.max(last, reached) + 1;
    const request = (statements.lastSequence.get() as { sequence: number | null }).sequence ?? 0;
    this.#lastRequest = Math.max(request, this.#lastRequest, this.#sealed?.requestSequence ?? 0);
  }

  /** What is to be told; once. */
  takeNews(): JournalNews[] {
    return this.#news.splice(0);
  }

  /** The file turned out to be damaged while it was in use. Throws where no other can be had, not even in memory. */
  beginAnew(): void {
    this.#place.beginAnew(this.#waiting);
    this.#goOn();
    this.#sealed = null;
  }

  /**
   * Gets the journal back onto the disk where it is not there, or where somebody has moved it away. Throws as long as
   * that is not possible; does nothing where all is well.
   */
  recover(): void {
    if (!this.#place.recover(this.#waiting)) return;
    this.#goOn();
    this.#sealed = null;
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
    return (this.#file.statements.states.all() as StateRow[]).map(storedState);
  }

  /** The newest request of each feeder. */
  latestRequests(): StoredRequest[] {
    return (this.#file.statements.latestRequests.all() as RequestRow[]).map(storedRequest);
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

  /** What was acknowledged of a request, oldest first. */
  acksOf(requestId: string): string[] {
    return this.#file.statements.acksOf.all(requestId) as string[];
  }

  /** Of the newest `count` events those that an alarm began or ended with, oldest first. */
  alarmsOfLate(count: number): string[] {
    this.#bringIn();
    return this.#file.statements.alarmsAfter.all(this.lastEvent - count) as string[];
  }

  /** The answer that a command has had; null for one that was never taken. */
  answerTo(commandId: string): string | null {
    this.#bringIn();
    return (this.#file.statements.answerTo.get(commandId) as { answer: string } | undefined)?.answer ?? null;
  }

  /** Events after `sequence`, in order. */
  eventsAfter(sequence: number, count: number): StoredEvent[] {
    this.#bringIn();
    return (this.#file.statements.eventsAfter.all(sequence, count) as EventRow[]).map(storedEvent);
  }

  /** The number of the newest event. */
  get lastEvent(): number {
    return this.#nextEvent - 1;
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

  /** Of the WAL on the disk, which only a reader that holds on makes longer than it was made. */
  get walBytes(): number {
    return this.isDurable ? walBytes(this.#folder) : 0;
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
    return this.#cleanUp.turn(this.#file, this.eventsSentTo(), this.#nextEvent);
  }

  close(): void {
    this.#place.close();
  }
}
