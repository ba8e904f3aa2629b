// What may be lost with no harm to anybody: the measurement history by the minute and the disturbance records, in a file
// of its own. It is written in batches that nobody waits for (synchronous = NORMAL: after a power cut the last minutes
// may be missing, the file is whole), bounded by age and size, and thrown aside for a new one where it is damaged. The
// journal beside it never notices.
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CONDUCTORS } from '../feeder.ts';
import { HISTORY_STEPS, migrate } from './migrations.ts';
import { type ConductorMinute, type FeederMinute, MINUTE_MS } from './minutes.ts';

export const HISTORY_FILE = 'history.db';
const MINUTES_PER_DAY = 1_440;
/** Rows that one turn of clean-up removes, so that it is over in a millisecond. */
const ROWS_PER_BITE = 500;
const CACHE_KIB = 256;
/** The WAL goes into the file when it has this length; at 12 feeders that is about twice a day. */
const WAL_BYTES_MAX = 2 * 1024 * 1024;

export interface NewDisturbance {
  readonly feederId: string;
  /** What the record was started for, such as `pickup atRisk L2`. */
  readonly trigger: string;
  readonly triggerMs: number;
  readonly triggerWallMs: number;
  readonly clockSynchronised: boolean;
  /** Before its first sample; null where nobody knows. */
  readonly start: ControlNow | null;
}
/** Packed samples (samples.ts) of a record, and what control was given beside them; `last` ends it. */
export interface DisturbancePiece {
  readonly record: number;
  readonly samples: Uint8Array;
  readonly inputs: readonly PlacedInput[];
  readonly last: boolean;
}

/** All that the next decision about a feeder rests on; `state` is that of control, its times monotonic. */
export interface ControlNow {
  readonly settingsHash: string;
  readonly group: string;
  readonly staleAfterMs: number;
  readonly state: unknown;
}

/** What control was given after so many samples of the record. */
export interface PlacedInput {
  readonly after: number;
  readonly input: unknown;
}

export interface HistoryBounds {
  readonly days: number;
  readonly feeders: number;
  readonly maxBytes: number;
}

export class History {
  readonly #path: string;
  readonly #bounds: HistoryBounds;
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #fileId: number;
  readonly #feederIds = new Map<string, number>();

  /** Opens or makes the file; throws SQLite's error where that cannot be, or one clear line for a newer program's file. */
  constructor(folder: string, bounds: HistoryBounds) {
    this.#path = join(folder, HISTORY_FILE);
    this.#bounds = bounds;
    this.#db = new Database(this.#path);
    try {
      this.#db.pragma('journal_mode = WAL');
      this.#db.pragma('synchronous = NORMAL');
      this.#db.pragma('wal_autocheckpoint = 0');
      this.#db.pragma(`journal_size_limit = ${2 * WAL_BYTES_MAX}`);
      this.#db.pragma(`cache_size = -${CACHE_KIB}`);
      migrate(this.#db, HISTORY_STEPS);
      this.#statements = prepare(this.#db);
    } catch (error) {
      this.#db.close();
      throw error;
    }
    this.#fileId = statSync(this.#path).ino;
  }

  /** Somebody has moved the file away or put another in its place: what is written now goes nowhere. */
  get isReplaced(): boolean {
    return !existsSync(this.#path) || statSync(this.#path).ino !== this.#fileId;
  }

  /** One transaction. */
  keepMinutes(minutes: readonly FeederMinute[]): void {
    this.#db.transaction(() => {
      for (const minute of minutes) {
        const values = CONDUCTORS.flatMap((name) => columnsOf(minute[name]));
        const at = minute.startMs / MINUTE_MS;
        this.#statements.putMinute.run(at, this.#feeder(minute.feederId), minute.clockSynchronised ? 1 : 0, ...values);
      }
    })();
  }

  /** Gives the number under which the pieces of the record are kept. */
  beginDisturbance(begun: NewDisturbance): number {
    const { feederId, trigger, triggerMs, triggerWallMs, clockSynchronised, start } = begun;
    const { putDisturbance, lastMinute } = this.#statements;
    const beside = (lastMinute.get() as { id: number | null }).id ?? 0;
    const { lastInsertRowid } = putDisturbance.run(
      this.#feeder(feederId),
      trigger,
      triggerWallMs,
      clockSynchronised ? 1 : 0,
      beside,
      triggerMs,
      start === null ? null : JSON.stringify(start),
    );
    return Number(lastInsertRowid);
  }

  keepPiece({ record, samples, inputs, last }: DisturbancePiece): void {
    this.#db.transaction(() => {
      this.#statements.putPiece.run(record, samples, JSON.stringify(inputs));
      if (last) this.#statements.completeDisturbance.run(record);
    })();
  }

  /** The WAL has grown to where it is to go into the file. */
  get wantsCheckpoint(): boolean {
    const wal = `${this.#path}-wal`;
    return existsSync(wal) && statSync(wal).size >= WAL_BYTES_MAX;
  }

  /** Waits for storage: for a quiet moment. */
  checkpoint(): void {
    this.#db.pragma('wal_checkpoint(TRUNCATE)');
  }

  /**
   * Removes some of what is too old or too much; true while there is more. Age is counted in minutes that were kept, not
   * by the clock: one that is wrong by a year must not empty the history.
   */
  clean(): boolean {
    const { firstMinute, lastMinute } = this.#statements;
    const first = (firstMinute.get() as { id: number | null }).id;
    const last = (lastMinute.get() as { id: number | null }).id;
    if (first === null || last === null) return this.#cleanRecords();
    const keptRows = this.#bounds.days * MINUTES_PER_DAY * this.#bounds.feeders;
    const tooOld = last - keptRows;
    const tooMuch = this.bytes() > this.#bounds.maxBytes ? first + Math.ceil((last - first) / 10) : 0;
    const upTo = Math.min(Math.max(tooOld, tooMuch), first + ROWS_PER_BITE - 1);
    if (upTo < first) return false;
    this.#dropUpTo(upTo);
    return upTo < Math.max(tooOld, tooMuch);
  }

  #dropUpTo(minute: number): void {
    this.#db.transaction(() => {
      this.#statements.dropMinutes.run(minute);
      if (this.#statements.dropDisturbances.run(minute).changes > 0) this.#statements.dropPieces.run();
    })();
  }

  /** Records alone, where there are no minutes: the oldest goes. */
  #cleanRecords(): boolean {
    if (this.bytes() <= this.#bounds.maxBytes) return false;
    return this.#db.transaction(() => {
      const dropped = this.#statements.dropOldestDisturbance.run().changes > 0;
      this.#statements.dropPieces.run();
      return dropped;
    })();
  }

  /** In use, without the pages that are free to be used again. */
  bytes(): number {
    const number = (pragma: string) => this.#db.pragma(pragma, { simple: true }) as number;
    return (number('page_count') - number('freelist_count')) * number('page_size');
  }

  close(): void {
    this.#db.close();
  }

  #feeder(name: string): number {
    const known = this.#feederIds.get(name);
    if (known !== undefined) return known;
    this.#statements.putFeeder.run(name);
    const { id } = this.#statements.feederId.get(name) as { id: number };
    this.#feederIds.set(name, id);
    return id;
  }
}

/** A damaged file is kept aside under another name for whoever wants to look into it; one that is there already goes. */
export function setHistoryAside(folder: string): string {
  const aside = join(folder, `${HISTORY_FILE}.damaged`);
  for (const ending of ['', '-wal', '-shm']) {
    rmSync(`${aside}${ending}`, { force: true });
    const from = join(folder, `${HISTORY_FILE}${ending}`);
    if (existsSync(from)) renameSync(from, `${aside}${ending}`);
  }
  return aside;
}

/** Hundredths of an ampere: whole numbers take three bytes where a float takes eight. */
function columnsOf({ minA, avgA, maxA, usable, uncertain, bad }: ConductorMinute): (number | null)[] {
  const hundredths = (valueA: number | null) => (valueA === null ? null : Math.round(valueA * 100));
  return [hundredths(minA), hundredths(avgA), hundredths(maxA), usable, uncertain, bad];
}

function prepare(db: Database.Database) {
  const values = Array(3 + 6 * CONDUCTORS.length).fill('?');
  return {
    putFeeder: db.prepare('INSERT OR IGNORE INTO feeder (name) VALUES (?)'),
    feederId: db.prepare('SELECT id FROM feeder WHERE name = ?'),
    putMinute: db.prepare(`INSERT INTO minute VALUES (NULL, ${values})`),
    firstMinute: db.prepare('SELECT min(id) AS id FROM minute'),
    lastMinute: db.prepare('SELECT max(id) AS id FROM minute'),
    dropMinutes: db.prepare('DELETE FROM minute WHERE id <= ?'),
    putDisturbance: db.prepare(
      `INSERT INTO disturbance (feeder_id, "trigger", trigger_wall_ms, clock_synchronised, beside_minute, trigger_monotonic_ms, start)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    putPiece: db.prepare('INSERT INTO piece (disturbance_id, samples, inputs) VALUES (?, ?, ?)'),
    completeDisturbance: db.prepare('UPDATE disturbance SET complete = 1 WHERE id = ?'),
    dropPieces: db.prepare('DELETE FROM piece WHERE disturbance_id NOT IN (SELECT id FROM disturbance)'),
    dropDisturbances: db.prepare('DELETE FROM disturbance WHERE beside_minute < ?'),
    dropOldestDisturbance: db.prepare('DELETE FROM disturbance WHERE id = (SELECT min(id) FROM disturbance)'),
  };
}
