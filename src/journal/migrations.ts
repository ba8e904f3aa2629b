// The tables of the journal and of the history, as numbered steps: a file of any earlier version is brought up to date,
// one of a newer program is refused, and no step is ever changed once it has shipped.
import type Database from 'better-sqlite3';
import { CONDUCTORS } from '../feeder.ts';

export const JOURNAL_STEPS = [
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
  `CREATE TABLE command (id INTEGER PRIMARY KEY, command_id TEXT NOT NULL UNIQUE, answer TEXT NOT NULL, wall_ms REAL NOT NULL);`,
  // Its length is that of ROW_BYTES in ahead.ts, for good: a row that never changes its length is overwritten in place.
  `CREATE TABLE ahead (body BLOB NOT NULL);
   INSERT INTO ahead VALUES (zeroblob(16000));`,
  // The newest request of each feeder, without reading all that there ever were.
  'CREATE INDEX request_of_feeder ON request (feeder_id, sequence);',
];

/** Currents in hundredths of an ampere, then how many readings were usable, uncertain among them, and bad. */
const MINUTE_COLUMNS = CONDUCTORS.map(
  (name) => `${name}_min_cA INTEGER, ${name}_avg_cA INTEGER, ${name}_max_cA INTEGER,
     ${name}_usable INTEGER NOT NULL, ${name}_uncertain INTEGER NOT NULL, ${name}_bad INTEGER NOT NULL`,
);

export const HISTORY_STEPS = [
  `CREATE TABLE feeder (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
   CREATE TABLE minute (
     id INTEGER PRIMARY KEY, minute INTEGER NOT NULL, feeder_id INTEGER NOT NULL, clock_synchronised INTEGER NOT NULL,
     ${MINUTE_COLUMNS});
   CREATE INDEX minute_by_time ON minute (minute);
   CREATE TABLE disturbance (
     id INTEGER PRIMARY KEY, feeder_id INTEGER NOT NULL, "trigger" TEXT NOT NULL, trigger_wall_ms REAL NOT NULL,
     clock_synchronised INTEGER NOT NULL, beside_minute INTEGER NOT NULL, complete INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE piece (id INTEGER PRIMARY KEY, disturbance_id INTEGER NOT NULL, samples BLOB NOT NULL);
   CREATE INDEX piece_of_disturbance ON piece (disturbance_id);`,
  // What a record begins from, and what control was given beside its readings. Records of before have neither, and
  // their times in tenths of a millisecond.
  `ALTER TABLE disturbance ADD COLUMN trigger_monotonic_ms REAL;
   ALTER TABLE disturbance ADD COLUMN start TEXT;
   ALTER TABLE piece ADD COLUMN inputs TEXT NOT NULL DEFAULT '[]';`,
];

/** Throws in one clear line when the file is of a newer version than the program knows. */
export function migrate(db: Database.Database, steps: readonly string[]): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > steps.length) {
    throw new Error(`${db.name} is of version ${version}, expected at most ${steps.length}: a newer program wrote it`);
  }
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(step);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
