// The batch that is durable but not in the tables yet, as one row of text. A request with its state and its events
// touches some seven pages by half a dozen statements, cold after idle; the row is one statement and two pages, so a
// request is said a fifth of a millisecond sooner (measured). Whoever opens the journal brings the row in; whoever
// only reads sees it as if it were in the tables.
import type Database from 'better-sqlite3';
import { chainHash } from './chain.ts';
import { lastHash } from './tables.ts';
import { decodeBatch, encodeBatch, type WrittenBatch } from './written-batch.ts';

/**
 * The row never changes its length (migrations.ts makes it), so SQLite overwrites in place and only the pages whose
 * content is new. A request takes some 7 kB; a turn that decides more than fits goes into the tables directly.
 */
const ROW_BYTES = 16_000;
const LENGTH_BYTES = 4;

export class Ahead {
  readonly #put: Database.Statement;
  readonly #db: Database.Database;
  readonly #row = Buffer.alloc(ROW_BYTES);

  constructor(db: Database.Database) {
    this.#db = db;
    this.#put = db.prepare('UPDATE ahead SET body = ?');
  }

  /** The batch in the row; null where there is none. */
  read(): WrittenBatch | null {
    return readAhead(this.#db);
  }

  /** One transaction, on stable storage when it returns true; false when the batch is too long. */
  write(batch: WrittenBatch): boolean {
    const text = encodeBatch(batch);
    if (Buffer.byteLength(text) > ROW_BYTES - LENGTH_BYTES) return false;
    this.#row.writeUInt32BE(this.#row.write(text, LENGTH_BYTES), 0);
    this.#put.run(this.#row);
    return true;
  }

  /** To be called in the transaction that brings the batch into the tables. */
  clear(): void {
    this.#row.writeUInt32BE(0, 0);
    this.#put.run(this.#row);
  }
}

/** The batch in the row of `db`; null where there is none. */
export function readAhead(db: Database.Database): WrittenBatch | null {
  const row = db.prepare('SELECT body FROM ahead').pluck().get() as Buffer;
  const length = row.readUInt32BE(0);
  return length === 0 ? null : decodeBatch(row.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length));
}

/** Lets a read-only connection see that batch in the tables `state`, `request` and `event`: views of this connection. */
export function showAhead(db: Database.Database): void {
  const batch = readAhead(db);
  if (batch === null) return;
  for (const table of ['state', 'request', 'event'])
    db.exec(`CREATE TEMP TABLE ahead_${table} AS SELECT * FROM main.${table} WHERE 0`);
  const { monotonicMs, wallMs, bootId, clockSynchronised } = batch.stamp;
  const state = db.prepare('INSERT INTO ahead_state VALUES (?, ?, ?, ?, ?, ?)');
  for (const { feederId, body } of batch.states)
    state.run(feederId, body, monotonicMs, wallMs, bootId, clockSynchronised ? 1 : 0);
  const request = db.prepare('INSERT INTO ahead_request VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)');
  for (const { requestId, sequence, feederId, episodeId, body, offered, withheld } of batch.requests)
    request.run(sequence, requestId, feederId, episodeId, body, offered ? 1 : 0, withheld, wallMs);
  const event = db.prepare('INSERT INTO ahead_event VALUES (?, ?, ?, ?, ?)');
  let link = lastHash(db);
  for (const { sequence, feederId, body } of batch.events) {
    link = chainHash(link, body);
    event.run(sequence, feederId, body, link, wallMs);
  }
  db.exec(`CREATE TEMP VIEW state AS SELECT * FROM ahead_state UNION ALL
      SELECT * FROM main.state WHERE feeder_id NOT IN (SELECT feeder_id FROM ahead_state);
    CREATE TEMP VIEW request AS SELECT * FROM main.request UNION ALL SELECT * FROM ahead_request;
    CREATE TEMP VIEW event AS SELECT * FROM main.event UNION ALL SELECT * FROM ahead_event`);
}
