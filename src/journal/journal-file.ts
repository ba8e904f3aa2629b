// The journal's SQLite file: opened so that a commit is on stable storage when it returns, set aside where it is
// damaged, and stood in for by memory where the disk cannot be written. What is in it is journal.ts's business.
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { Ahead } from './ahead.ts';
import { JOURNAL_STEPS, migrate } from './migrations.ts';
import { NOTHING_SALVAGED, type Salvage, salvage } from './salvage.ts';
import { lastHash, prepare, type Statements, writeBatch } from './tables.ts';

const JOURNAL_FILE = 'journal.db';
const LOCK_FILE = 'lock.db';
const ENDINGS = ['', '-wal', '-shm'];
/** Damaged files are kept for whoever wants to look into them, as many as this; then the newest takes the last place. */
const SET_ASIDE_MAX = 3;
const WAL_GROWN_BYTES = 4 * 1024 * 1024;
const WAL_BYTES_MAX = 2 * WAL_GROWN_BYTES;
/** A commit touches a handful of pages: the library's 16 MB would only be resident. */
const CACHE_KIB = 1_024;

export class JournalInUse extends Error {}

/** One open file with the statements on it. */
export interface JournalFile {
  readonly db: Database.Database;
  readonly statements: Statements;
  readonly ahead: Ahead;
  /** File system and inode; null where it is in memory. */
  readonly fileId: string | null;
}

/** The file itself is not what was written. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/** The disk does not take what is written: it is full, read-only or broken. */
export function isUnwritable(error: unknown): boolean {
  return /^(SQLITE_(READONLY|FULL|IOERR|CANTOPEN)|EROFS|ENOSPC|EDQUOT|EIO)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? '';
}

/** Throws what the system says where the folder cannot be made or written; mkdir alone says of a read-only disk ENOENT. */
export function makeFolder(folder: string): void {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  accessSync(there, constants.W_OK);
  mkdirSync(folder, { recursive: true });
}

/** An exclusive transaction on a file of its own: the system lets go of it when the process dies, however it dies. */
export function lockFolder(folder: string): Database.Database {
  const lock = new Database(join(folder, LOCK_FILE), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (codeOf(error).startsWith('SQLITE_BUSY')) throw new JournalInUse(`${folder} is in use by another controller`);
    throw error;
  }
  return lock;
}

export function openFile(folder: string): JournalFile {
  const path = join(folder, JOURNAL_FILE);
  const db = new Database(path);
  try {
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('wal_autocheckpoint = 0');
    // A reader that holds on to an old picture lengthens the WAL; when it is gone, the WAL is cut to this again.
    db.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);
    db.pragma(`cache_size = -${CACHE_KIB}`);
    migrate(db, JOURNAL_STEPS);
    growWal(db, path);
    // better-sqlite3 is built with NORMAL as the WAL's default and falls back to it at the first write.
    if (db.pragma('synchronous', { simple: true }) !== 2)
      throw new Error(`${folder}: SQLite does not keep synchronous = FULL`);
    const file = { db, statements: prepare(db), ahead: new Ahead(db), fileId: idOf(path) };
    bringIn(file);
    return file;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** What a crash has left as the row ahead. */
function bringIn({ db, statements, ahead }: JournalFile): void {
  const waiting = ahead.read();
  if (waiting === null) return;
  db.transaction(() => {
    writeBatch(statements, waiting, lastHash(db));
    ahead.clear();
  }).immediate();
}

/** For as long as the disk cannot be written. */
export function memoryFile(): JournalFile {
  const db = new Database(':memory:');
  migrate(db, JOURNAL_STEPS);
  return { db, statements: prepare(db), ahead: new Ahead(db), fileId: null };
}

/** Somebody has moved the file away or put another in its place: what is written now is in no journal. */
export function isReplaced({ fileId }: JournalFile, folder: string): boolean {
  if (fileId === null) return false;
  return idOf(join(folder, JOURNAL_FILE)) !== fileId;
}

/** Empty where there is no such file. */
function idOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.dev}:${stats.ino}`;
}

/** Length of the WAL; 0 where there is none. */
export function walBytes(folder: string): number {
  return statSync(join(folder, `${JOURNAL_FILE}-wal`), { throwIfNoEntry: false })?.size ?? 0;
}

/** Renames the damaged file with its WAL; gives the name that it has now. */
export function setAside(folder: string): string {
  const nameOf = (number: number) => `${JOURNAL_FILE}.damaged-${number}`;
  let number = 1;
  while (number < SET_ASIDE_MAX && existsSync(join(folder, nameOf(number)))) number += 1;
  for (const ending of ENDINGS) {
    const from = join(folder, `${JOURNAL_FILE}${ending}`);
    const to = join(folder, `${nameOf(number)}${ending}`);
    rmSync(to, { force: true });
    if (existsSync(from)) renameSync(from, to);
  }
  return nameOf(number);
}

/** What a copy of the file in `folder` gives away: SQLite cannot read a WAL where it may not write. */
export function salvageCopy(folder: string): Salvage {
  let scratch: string | null = null;
  try {
    scratch = mkdtempSync(join(tmpdir(), 'headroom-salvage-'));
    for (const ending of ['', '-wal']) {
      const from = join(folder, `${JOURNAL_FILE}${ending}`);
      if (existsSync(from)) copyFileSync(from, join(scratch, `${JOURNAL_FILE}${ending}`));
    }
    const db = new Database(join(scratch, JOURNAL_FILE), { fileMustExist: true });
    try {
      migrate(db, JOURNAL_STEPS);
      return salvage(db, 'newest');
    } finally {
      db.close();
    }
  } catch (error) {
    if (isDamage(error) || isUnwritable(error)) return NOTHING_SALVAGED;
    throw error;
  } finally {
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * A commit that has to lengthen the WAL costs about 0.1 ms more (measured), so it gets its length once, here; a commit
 * of a request with its events is some six pages. After a kill it still has it.
 */
function growWal(db: Database.Database, path: string): void {
  const hasLength = statSync(`${path}-wal`).size >= WAL_GROWN_BYTES;
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
