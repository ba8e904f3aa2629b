// Reads the journal of a running or stopped controller without being in its way: a connection of its own, read-only,
// one short query at a time.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { showAhead } from './ahead.ts';
import { readSeal } from './seal.ts';
import { type Proof, prove, readCleaned } from './verify.ts';

/** Touched by completed scans. Once a minute: each touch is a write to the card. */
export const HEARTBEAT_FILE = 'alive';
export const HEARTBEAT_EVERY_MS = 60_000;
const HEARTBEAT_STALE_MS = 2.5 * HEARTBEAT_EVERY_MS;

export interface FeederSummary {
  readonly feederId: string;
  readonly state: { readonly episode: unknown; readonly blind: boolean; readonly alarms: readonly string[] };
  readonly keptAtMs: number;
  readonly request: unknown;
  readonly ackStatus: string | null;
}

/** Throws in one clear line where there is no journal. */
function open(folder: string): Database.Database {
  const file = join(folder, 'journal.db');
  if (!existsSync(file)) throw new Error(`${folder} has no journal.db, expected the journal folder of a controller`);
  const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2_000 });
  showAhead(db);
  return db;
}

/** What the heartbeat file says of the controller that beats. */
export interface Running {
  readonly version: string;
  readonly settings: string;
  /** allowInsecure is in force. */
  readonly insecure: boolean;
}

/** Null where no controller has run since the last planned stop. */
export function readRunning(folder: string): Running | null {
  const file = join(folder, HEARTBEAT_FILE);
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8');
  return text === '' ? null : JSON.parse(text);
}

/** Whether a scan completed lately. `nowMs` is wall time. */
export function heartbeatFresh(folder: string, nowMs: number): boolean {
  const file = join(folder, HEARTBEAT_FILE);
  return existsSync(file) && Math.abs(nowMs - statSync(file).mtimeMs) < HEARTBEAT_STALE_MS;
}

export function readStatus(folder: string): FeederSummary[] {
  const db = open(folder);
  try {
    const rows = db
      .prepare(
        `SELECT state.feeder_id, state.body, state.wall_ms, request.body AS request, request.ack_status FROM state
         LEFT JOIN request ON request.sequence = (SELECT max(sequence) FROM request WHERE request.feeder_id = state.feeder_id)
         ORDER BY state.feeder_id`,
      )
      .all() as {
      feeder_id: string;
      body: string;
      wall_ms: number;
      request: string | null;
      ack_status: string | null;
    }[];
    return rows.map((row) => ({
      feederId: row.feeder_id,
      state: JSON.parse(row.body),
      keptAtMs: row.wall_ms,
      request: row.request === null ? null : JSON.parse(row.request),
      ackStatus: row.ack_status,
    }));
  } finally {
    db.close();
  }
}

/** Every request since `fromWallMs` that a broker was or may have been given, oldest first, with its acknowledgements. */
export function readSentRequests(folder: string, fromWallMs: number): { body: string; acks: string[] }[] {
  const db = open(folder);
  try {
    const requests = db
      .prepare(
        `SELECT request_id, body FROM request WHERE offered = 1 AND withheld IS NULL AND wall_ms >= ? ORDER BY sequence`,
      )
      .all(fromWallMs) as { request_id: string; body: string }[];
    const acksOf = db.prepare('SELECT body FROM ack WHERE request_id = ? ORDER BY id').pluck();
    return requests.map(({ request_id, body }) => ({ body, acks: acksOf.all(request_id) as string[] }));
  } finally {
    db.close();
  }
}

/** The last `count` events as they were said, oldest first. */
export function readEvents(folder: string, count: number): unknown[] {
  const db = open(folder);
  try {
    const rows = db.prepare('SELECT body FROM event ORDER BY sequence DESC LIMIT ?').all(count) as { body: string }[];
    return rows.reverse().map(({ body }) => JSON.parse(body));
  } finally {
    db.close();
  }
}

/** The events of one feeder, and those of no single one, that were kept in a span of wall time, oldest first. */
export function readEventsBetween(folder: string, feederId: string, fromWallMs: number, toWallMs: number): unknown[] {
  const db = open(folder);
  try {
    const rows = db
      .prepare(
        `SELECT body FROM event WHERE (feeder_id = ? OR feeder_id IS NULL) AND wall_ms BETWEEN ? AND ? AND body <> ''
         ORDER BY sequence`,
      )
      .pluck()
      .all(feederId, fromWallMs, toWallMs) as string[];
    return rows.map((body) => JSON.parse(body));
  } finally {
    db.close();
  }
}

/** Id of the substation whose journal it is; null before the first event. */
export function readSubstation(folder: string): string | null {
  const db = open(folder);
  try {
    const body = db.prepare(`SELECT body FROM event WHERE body <> '' ORDER BY sequence DESC LIMIT 1`).pluck().get();
    return typeof body === 'string' ? (JSON.parse(body) as { substationId: string }).substationId : null;
  } finally {
    db.close();
  }
}

/** Walks the hash chain; one second for some 100,000 events. */
export function verifyEvents(folder: string): Proof {
  const seal = readSeal(folder);
  const db = open(folder);
  try {
    // In one picture of the file, in which what was cleaned away and what is left fit together.
    return db.transaction(() => prove(db, seal, readCleaned(db)))();
  } finally {
    db.close();
  }
}
