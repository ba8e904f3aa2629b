// The journal's tables, as numbered steps: a file of any earlier version is brought up to date, one of a newer program
// is refused, and no step is ever changed once it has shipped.
import type Database from 'better-sqlite3';

const STEPS = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
   CREATE TABLE state (
     feeder_id TEXT PRIMARY KEY, body TEXT NOT NULL,
     monotonic_ms REAL NOT NULL, wall_ms REAL NOT NULL, boot_id TEXT NOT NULL, clock_synchronised INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE request (
     sequence INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, feeder_id TEXT NOT NULL, episode_id TEXT NOT NULL,
     body TEXT NOT NULL, offered INTEGER NOT NULL, withheld TEXT, ack_status TEXT, wall_ms REAL NOT NULL);
   CREATE TABLE ack (
     id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, sequence INTEGER NOT NULL, status TEXT NOT NULL,
     body TEXT NOT NULL, wall_ms REAL NOT NULL);
   CREATE INDEX ack_of_request ON ack (request_id);
   CREATE TABLE event (
     sequence INTEGER PRIMARY KEY, feeder_id TEXT, body TEXT NOT NULL, hash TEXT NOT NULL, wall_ms REAL NOT NULL);`,
];

/** Throws in one clear line when the file is of a newer version than the program knows. */
export function migrate(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > STEPS.length) {
    throw new Error(
      `${db.name} is of journal version ${version}, expected at most ${STEPS.length}: a newer program wrote it`,
    );
  }
  for (const [index, step] of STEPS.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(step);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
