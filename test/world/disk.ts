// The simulated disk: real SQLite on real files, in memory where the system has such a place, and what a crash leaves of
// them. Every write of the journal passes a gate, which may fail it, or end the machine before it, after it, or in its
// midst: then of the sectors that had not been synced some are there and some are not, in no order.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '../../src/journal/journal.ts';
import type { Batch, ReceivedAck, Stamp, StoredEvent } from '../../src/journal/records.ts';
import type { Random } from '../simulators/random.ts';

/** What becomes of one write. */
export type Fate = 'done' | 'full' | 'ioError' | Defect | 'crashBefore' | 'crashTorn' | 'crashAfter';

/**
 * What a judge must see, and no plan has by itself: a journal that says that it has written and has not, one that writes
 * only after it has said so, and one that forgets to tell of what has expired.
 */
export type Defect = 'lies' | 'late' | 'forgetful';

export interface Gate {
  fate(): Fate;
  /** A commit begins. */
  deciding(batch: Batch): void;
  /** A commit came to its end; `events` is null where it failed. */
  committed(batch: Batch, events: readonly StoredEvent[] | null): void;
  /** The machine ends here; `before` is what was there before an unsynced write. */
  crash(before: Files | null): void;
  /** After this turn of the event loop. */
  later(call: () => void): void;
}

const MEMORY = '/dev/shm';
const SECTOR_BYTES = 512;
const PAGE_BYTES = 4_096;

export interface Files {
  readonly db: Buffer;
  readonly wal: Buffer;
}

export class Disk {
  readonly #root = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'headroom-world-'));
  readonly #random: Random;
  #life = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The journal's folder of the present life. */
  get folder(): string {
    return join(this.#root, String(this.#life));
  }

  open(gate: Gate): GatedJournal {
    mkdirSync(this.folder, { recursive: true });
    return new GatedJournal(this.folder, gate, this);
  }

  /**
   * Of a life that has ended: what was on the disk then is what the next one finds. The history is not synced as it is
   * written, so that a power cut takes the end of its WAL.
   */
  keep(before: Files | null = null, isPowerCut = false): void {
    const from = this.folder;
    this.#life += 1;
    mkdirSync(this.folder);
    for (const file of ['journal.db', 'journal.db-wal', 'seal', 'history.db', 'history.db-wal']) {
      if (existsSync(join(from, file))) copyFileSync(join(from, file), join(this.folder, file));
    }
    const wal = join(this.folder, 'history.db-wal');
    if (isPowerCut && existsSync(wal))
      truncateSync(wal, SECTOR_BYTES * this.#random.whole(0, Math.floor(statSync(wal).size / SECTOR_BYTES)));
    this.#tearJournal(before);
  }

  /** The history comes to harm under the running program. */
  spoilHistory(how: 'damaged' | 'gone'): void {
    const file = join(this.folder, 'history.db');
    if (!existsSync(file)) return;
    if (how === 'gone') return rmSync(file);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xa5, PAGE_BYTES));
  }

  #tearJournal(before: Files | null): void {
    if (before === null) return;
    const wal = join(this.folder, 'journal.db-wal');
    // A checkpoint syncs the log before it writes to the file, and begins the log anew only after that is synced too.
    if (readFileSync(wal).equals(before.wal)) this.#tear(join(this.folder, 'journal.db'), before.db);
    else this.#tear(wal, before.wal);
  }

  files(): Files {
    const read = (name: string) => {
      const file = join(this.folder, name);
      return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    };
    return { db: read('journal.db'), wal: read('journal.db-wal') };
  }

  /** When nothing of an earlier life is open any more. */
  forget(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** Of each sector that the unsynced write changed, the old or the new content. */
  #tear(file: string, before: Buffer): void {
    const after = readFileSync(file);
    const torn = Buffer.from(after);
    for (let at = 0; at < after.length; at += SECTOR_BYTES) {
      const end = Math.min(at + SECTOR_BYTES, after.length);
      const old = before.subarray(at, end);
      if (after.subarray(at, end).equals(old) || this.#random.chance(0.7)) continue;
      torn.fill(0, at, end);
      old.copy(torn, at);
    }
    writeFileSync(file, torn);
  }
}

/** The journal as the controller knows it, each write through the gate. */
export class GatedJournal extends Journal {
  readonly #gate: Gate;
  readonly #disk: Disk;
  #isAhead = false;
  #isTidy = false;
  #isSealed = false;

  constructor(folder: string, gate: Gate, disk: Disk) {
    super(folder);
    this.#gate = gate;
    this.#disk = disk;
  }

  override commit(batch: Batch, stamp: Stamp): StoredEvent[] {
    let events: StoredEvent[] | null = null;
    this.#isSealed = false;
    this.#gate.deciding(batch);
    try {
      events = this.#pass(
        () => super.commit(batch, stamp),
        (defect) => this.#commitWrongly(defect, batch, stamp),
      );
      this.#isAhead = batch.requests.length > 0;
      return events;
    } finally {
      this.#gate.committed(batch, events);
    }
  }

  #commitWrongly(defect: Defect, batch: Batch, stamp: Stamp): StoredEvent[] {
    if (defect === 'late') this.#gate.later(() => super.commit(batch, stamp));
    if (defect !== 'forgetful') return numbered(batch);
    const isExpiry = batch.withheld.some(({ why }) => why === 'expired');
    return super.commit(isExpiry ? { ...batch, events: [] } : batch, stamp);
  }

  /** Where nothing was decided since, there is nothing to bring in. */
  override settle(): void {
    if (!this.#isAhead) return;
    this.#pass(() => super.settle());
    this.#isAhead = false;
  }

  /** Nobody moves the file away in this world. */
  override recover(): void {
    if (!this.isDurable) super.recover();
  }

  override keepHeat(body: string): void {
    this.#pass(() => super.keepHeat(body));
  }

  override offer(requestId: string): void {
    this.#pass(() => super.offer(requestId));
  }

  override keepAck(ack: ReceivedAck, wallMs: number): 'kept' | 'repeated' | 'unknown' {
    return this.#pass(() => super.keepAck(ack, wallMs));
  }

  override setEventsSentTo(sequence: number): void {
    this.#pass(() => super.setEventsSentTo(sequence));
  }

  override seal(): void {
    if (this.#isSealed) return;
    this.#pass(() => super.seal());
    this.#isSealed = true;
  }

  /** Where nothing was written there is nothing to tidy, and years of it would be most of the work. */
  override tidy(): boolean {
    if (this.#isTidy) return false;
    this.#isTidy = !this.#pass(() => super.tidy());
    return !this.#isTidy;
  }

  #pass<T>(write: () => T, wrongly?: (defect: Defect) => T): T {
    const fate = this.#gate.fate();
    this.#isTidy = false;
    if (fate === 'lies' || fate === 'late' || fate === 'forgetful') return wrongly?.(fate) ?? write();
    if (fate === 'done') return write();
    if (fate === 'full') throw failure('SQLITE_FULL', 'database or disk is full');
    if (fate === 'ioError') throw failure('SQLITE_IOERR_WRITE', 'disk I/O error');
    if (fate === 'crashBefore') return this.#end(null);
    const before = fate === 'crashTorn' ? this.#disk.files() : null;
    write();
    return this.#end(before);
  }

  /** The program never learns what became of the write: nothing that it still does has any effect. */
  #end(before: Files | null): never {
    this.#gate.crash(before);
    throw failure('SQLITE_IOERR', 'the machine has ended');
  }
}

/** What a commit would have given, as far as the caller looks. */
function numbered({ events }: Batch): StoredEvent[] {
  return events.map(({ feederId, body }) => ({ sequence: 1, feederId, body: body(1) }));
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
