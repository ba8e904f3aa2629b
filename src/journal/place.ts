// Where the journal is: in its file, under the folder's lock; in a new file, because the old one was damaged or moved
// away; or in memory for as long as the disk cannot be written. Whatever it changes to has what a controller goes on with.
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
import type { JournalNews } from './records.ts';
import { restore, type Salvage, salvage } from './salvage.ts';
import type { WrittenBatch } from './written-batch.ts';

export class Place {
  readonly #folder: string;
  readonly #tell: (news: JournalNews) => void;
  /** Null while the journal is in memory. */
  #lock: Database.Database | null = null;
  #file: JournalFile;

  /** Throws as the constructor of Journal does. */
  constructor(folder: string, tell: (news: JournalNews) => void) {
    this.#folder = folder;
    this.#tell = tell;
    try {
      this.#file = this.#openOnDisk();
    } catch (error) {
      this.#unlock();
      if (!isUnwritable(error)) throw error;
      this.#file = this.#inMemory(salvageCopy(folder));
    }
  }

  get file(): JournalFile {
    return this.#file;
  }

  /** False while the journal is in memory: what is committed does not outlive the process. */
  get isDurable(): boolean {
    return this.#file.fileId !== null;
  }

  /**
   * The file turned out to be damaged while it was in use; `waiting` is what is durable as the row ahead alone. Throws
   * where no other can be had, not even in memory.
   */
  beginAnew(waiting: WrittenBatch | null): void {
    const { db } = this.#file;
    const saved = salvaged(this.#file, waiting);
    try {
      this.#file = this.#anew(saved, db);
    } catch (error) {
      if (!isUnwritable(error)) throw error;
      this.#unlock();
      this.#file = this.#inMemory(saved);
    }
  }

  /**
   * Gets the journal back onto the disk where it is not there, or where somebody has moved it away; true when it was
   * not there. Throws as long as that is not possible.
   */
  recover(waiting: WrittenBatch | null): boolean {
    const wasDurable = this.isDurable;
    if (wasDurable && !isReplaced(this.#file, this.#folder)) return false;
    const { db } = this.#file;
    const saved = salvaged(this.#file, waiting);
    this.#unlock();
    const file = this.#openOnDisk();
    try {
      this.#carry(file, saved);
    } catch (error) {
      file.db.close();
      throw error;
    }
    this.#file = file;
    db.close();
    if (wasDurable) this.#tell({ kind: 'replaced', reason: 'the journal was moved away: a new one begins' });
    return true;
  }

  close(): void {
    this.#file.db.close();
    this.#lock?.close();
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
    this.#tell({ kind: 'replaced', reason: `the journal was damaged: it is kept as ${name}, a new one begins` });
    this.#carry(file, saved);
    return file;
  }

  #inMemory(saved: Salvage): JournalFile {
    const file = memoryFile();
    this.#carry(file, saved);
    return file;
  }

  /** Into the file that is gone on with, what it is to have from the one before. */
  #carry(file: JournalFile, saved: Salvage): void {
    restore(file, saved);
    const sentTo = Number(saved.meta[0]?.value ?? 0);
    const first = Number(saved.events[0]?.sequence ?? 0);
    if (first > sentTo + 1) this.#tell({ kind: 'lost', first: sentTo + 1, last: first - 1, count: first - 1 - sentTo });
  }
}

/** Of a file in use. What is in memory is nowhere else, so all of it is taken. */
function salvaged({ db, fileId }: JournalFile, waiting: WrittenBatch | null): Salvage {
  const saved = salvage(db, fileId === null ? 'all' : 'newest');
  return { ...saved, waiting: waiting ?? saved.waiting };
}
