// What a controller goes on with, taken out of one journal file and put into another: when a file is damaged and a new
// one begins, when the journal was in memory because the disk could not be written, and when somebody has moved the
// file away under a running controller. What cannot be read is left behind; a damaged file is kept.
import type Database from 'better-sqlite3';
import { Ahead } from './ahead.ts';
import { chainHash } from './chain.ts';
import { lastHash, type Statements, writeBatch } from './tables.ts';
import type { WrittenBatch } from './written-batch.ts';

type Row = Record<string, unknown>;

export interface Salvage {
  /** `eventsSentTo` alone. */
  readonly meta: readonly Row[];
  readonly states: readonly Row[];
  /** The newest of each feeder, or all, and their acknowledgements. */
  readonly requests: readonly Row[];
  readonly acks: readonly Row[];
  /** The newest that were answered: none is taken twice. */
  readonly commands: readonly Row[];
  /** Those that were not sent yet, behind the last that was: the chain goes on from there. */
  readonly events: readonly Row[];
  /** What is durable as the row ahead, and in no table. */
  readonly waiting: WrittenBatch | null;
}

export const NOTHING_SALVAGED: Salvage = {
  meta: [],
  states: [],
  requests: [],
  acks: [],
  commands: [],
  events: [],
  waiting: null,
};

interface Target {
  readonly db: Database.Database;
  readonly statements: Statements;
}

/** As much as one turn of the event loop may carry over; of a longer backlog the newest. */
const EVENTS_MAX = 20_000;
const COMMANDS_MAX = 5_000;
const NEWEST = 'SELECT max(sequence) FROM request GROUP BY feeder_id';

/** Takes what can be read, of requests the newest of each feeder or all; a table ends at its first row that cannot be. */
export function salvage(db: Database.Database, requests: 'newest' | 'all'): Salvage {
  const wanted = requests === 'all' ? 'SELECT sequence FROM request' : NEWEST;
  const meta = readable(db, `SELECT * FROM meta WHERE name = 'eventsSentTo'`);
  const sentTo = Number(meta[0]?.value ?? 0);
  const unsent = 'SELECT * FROM event WHERE sequence >= ? ORDER BY sequence';
  const newest = readable(db, `${unsent} DESC LIMIT ?`, sentTo, EVENTS_MAX).reverse();
  return {
    meta,
    states: readable(db, 'SELECT * FROM state'),
    requests: readable(db, `SELECT * FROM request WHERE sequence IN (${wanted})`),
    acks: readable(
      db,
      `SELECT request_id, sequence, status, body, wall_ms FROM ack WHERE sequence IN (${wanted}) ORDER BY id`,
    ),
    commands: readable(db, 'SELECT command_id, answer, wall_ms FROM command ORDER BY id DESC LIMIT ?', COMMANDS_MAX),
    // Where the end of the table is what is damaged, its beginning can still be read.
    events: newest.length > 0 ? newest : readable(db, `${unsent} LIMIT ?`, sentTo, EVENTS_MAX),
    waiting: attempt(() => new Ahead(db).read()) ?? null,
  };
}

/** Adds what the other file does not have; of a state the salvaged one is the newer. One transaction. */
export function restore({ db, statements }: Target, saved: Salvage): void {
  const { meta, states, requests, acks, commands, events, waiting } = saved;
  db.transaction(() => {
    put(db, 'INSERT OR REPLACE INTO meta', meta);
    put(db, 'INSERT OR REPLACE INTO state', states);
    put(db, 'INSERT OR REPLACE INTO request', requests);
    const known = db.prepare('SELECT 1 FROM ack WHERE request_id = ? AND body = ?');
    const fresh = acks.filter(({ request_id, body }) => known.get(request_id, body) === undefined);
    put(db, 'INSERT INTO ack', fresh);
    put(db, 'INSERT OR IGNORE INTO command', commands.toReversed());
    put(db, 'INSERT INTO event', chained(db, events));
    if (waiting !== null) writeBatch(statements, waiting, lastHash(db));
  })();
}

/** The events that come after those of the file, hanging on its last one. */
function chained(db: Database.Database, events: readonly Row[]): Row[] {
  const last = db.prepare('SELECT sequence, hash FROM event ORDER BY sequence DESC LIMIT 1').get() as Row | undefined;
  if (last === undefined) return [...events];
  let before = String(last.hash);
  return events
    .filter(({ sequence }) => Number(sequence) > Number(last.sequence))
    .map((row) => {
      const hash = row.body === '' ? String(row.hash) : chainHash(before, String(row.body));
      before = hash;
      return { ...row, hash };
    });
}

function readable(db: Database.Database, sql: string, ...values: number[]): Row[] {
  const rows: Row[] = [];
  attempt(() => {
    for (const row of db.prepare(sql).iterate(...values)) rows.push(row as Row);
  });
  return rows;
}

/** Damage is what this is for; anything else is a fault of the program. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (error instanceof SyntaxError || /^SQLITE_/.test(code)) return undefined;
    throw error;
  }
}

function put(db: Database.Database, insert: string, rows: readonly Row[]): void {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const statement = db.prepare(`${insert} (${columns}) VALUES (${columns.map(() => '?')})`);
  for (const row of rows) statement.run(...columns.map((column) => row[column]));
}
