// The statements on the journal's tables, how a batch is brought into them, and what their rows mean.
import type Database from 'better-sqlite3';
import { chainHash } from './chain.ts';
import type { StoredEvent, StoredRequest, StoredState } from './records.ts';
import type { WrittenBatch } from './written-batch.ts';

/** Brings one batch into the tables that `statements` write; gives the hash of its last event. */
export function writeBatch(statements: Statements, batch: WrittenBatch, before: string): string {
  const { putState, putRequest, putCommand, withhold, putEvent } = statements;
  const { monotonicMs, wallMs, bootId, clockSynchronised } = batch.stamp;
  for (const { feederId, body } of batch.states) {
    putState.run(feederId, body, monotonicMs, wallMs, bootId, clockSynchronised ? 1 : 0);
  }
  for (const request of batch.requests) {
    const { requestId, sequence, feederId, episodeId, body, offered, withheld } = request;
    putRequest.run(sequence, requestId, feederId, episodeId, body, offered ? 1 : 0, withheld, wallMs);
  }
  for (const { commandId, answer } of batch.commands) putCommand.run(commandId, answer, wallMs);
  // After the requests: one turn can decide a request and supersede it.
  for (const { requestId, why } of batch.withheld) withhold.run(why, requestId);
  let link = before;
  for (const { sequence, feederId, body } of batch.events) {
    link = chainHash(link, body);
    putEvent.run(sequence, feederId, body, link, wallMs);
  }
  return link;
}

export function lastHash(db: Database.Database): string {
  const last = db.prepare('SELECT hash FROM event ORDER BY sequence DESC LIMIT 1').get() as
    | { hash: string }
    | undefined;
  return last?.hash ?? '';
}

export type Statements = ReturnType<typeof prepare>;

export function prepare(db: Database.Database) {
  return {
    putState: db.prepare('INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?)'),
    states: db.prepare('SELECT * FROM state'),
    putRequest: db.prepare(
      'INSERT INTO request (sequence, request_id, feeder_id, episode_id, body, offered, withheld, wall_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    withhold: db.prepare('UPDATE request SET withheld = ? WHERE request_id = ?'),
    offer: db.prepare('UPDATE request SET offered = 1 WHERE request_id = ?'),
    latestRequests: db.prepare(
      'SELECT * FROM request WHERE sequence IN (SELECT max(sequence) FROM request GROUP BY feeder_id)',
    ),
    lastSequence: db.prepare('SELECT max(sequence) AS sequence FROM request'),
    requestExists: db.prepare('SELECT 1 FROM request WHERE request_id = ? AND sequence = ? AND feeder_id = ?'),
    ackExists: db.prepare('SELECT 1 FROM ack WHERE request_id = ? AND body = ?'),
    acksOf: db.prepare('SELECT body FROM ack WHERE request_id = ? ORDER BY id').pluck(),
    putAck: db.prepare('INSERT INTO ack (request_id, sequence, status, body, wall_ms) VALUES (?, ?, ?, ?, ?)'),
    setAckStatus: db.prepare('UPDATE request SET ack_status = ? WHERE request_id = ?'),
    putCommand: db.prepare('INSERT INTO command (command_id, answer, wall_ms) VALUES (?, ?, ?)'),
    answerTo: db.prepare('SELECT answer FROM command WHERE command_id = ?'),
    dropCommands: db.prepare('DELETE FROM command WHERE id < (SELECT max(id) FROM command) - ?'),
    putEvent: db.prepare('INSERT INTO event VALUES (?, ?, ?, ?, ?)'),
    lastEvent: db.prepare('SELECT sequence, hash FROM event ORDER BY sequence DESC LIMIT 1'),
    firstEvent: db.prepare('SELECT min(sequence) AS sequence FROM event'),
    eventsAfter: db.prepare(
      `SELECT sequence, feeder_id, body FROM event WHERE sequence > ? AND body <> '' ORDER BY sequence LIMIT ?`,
    ),
    eventHash: db.prepare('SELECT sequence, hash FROM event WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1'),
    alarmsAfter: db
      .prepare(`SELECT body FROM event WHERE sequence > ? AND body LIKE '%"type":"alarm%' ORDER BY sequence`)
      .pluck(),
    dropEvents: db.prepare('DELETE FROM event WHERE sequence <= ?'),
    countEvents: db.prepare('SELECT count(*) FROM event'),
    unsentAlarms: db.prepare(
      `SELECT sequence FROM event WHERE sequence > ? AND body <> '' AND body NOT LIKE '%"episodeId"%'
       AND body NOT LIKE '%"type":"gap"%' ORDER BY sequence LIMIT ?`,
    ),
    unsentEvents: db.prepare(
      `SELECT sequence FROM event WHERE sequence > ? AND body <> '' AND body NOT LIKE '%"type":"gap"%'
       ORDER BY sequence LIMIT ?`,
    ),
    emptyEvents: db.prepare(`UPDATE event SET body = '' WHERE sequence IN (SELECT value FROM json_each(?))`),
    dropEmpty: db.prepare(
      `DELETE FROM event WHERE sequence BETWEEN ? AND ? AND body = ''
       AND EXISTS (SELECT 1 FROM event AS next WHERE next.sequence = event.sequence + 1 AND next.body = '')`,
    ),
    dropRequests: db.prepare(
      `DELETE FROM request WHERE sequence IN (SELECT sequence FROM request ORDER BY sequence
         LIMIT max(0, min($bite, (SELECT count(*) FROM request) - $kept)))
       AND sequence NOT IN (SELECT max(sequence) FROM request GROUP BY feeder_id)`,
    ),
    dropAcks: db.prepare(
      `DELETE FROM ack WHERE id <= (SELECT min((SELECT min(id) FROM ack) + $bite - 1, (SELECT max(id) FROM ack) - $kept))`,
    ),
    sentTo: db.prepare(`SELECT value FROM meta WHERE name = 'eventsSentTo'`),
    heat: db.prepare(`SELECT value FROM meta WHERE name = 'heat'`).pluck(),
    setHeat: db.prepare(`INSERT OR REPLACE INTO meta VALUES ('heat', ?)`),
    setCleaned: db.prepare(`INSERT OR REPLACE INTO meta VALUES ('eventsCleaned', ?)`),
    setSentTo: db.prepare(
      `INSERT INTO meta VALUES ('eventsSentTo', ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
    ),
  };
}

export interface StateRow {
  feeder_id: string;
  body: string;
  monotonic_ms: number;
  wall_ms: number;
  boot_id: string;
  clock_synchronised: number;
}
export interface RequestRow {
  sequence: number;
  request_id: string;
  feeder_id: string;
  episode_id: string;
  body: string;
  offered: number;
  withheld: string | null;
  ack_status: string | null;
}
export interface EventRow {
  sequence: number;
  feeder_id: string | null;
  body: string;
}

export function storedState(row: StateRow): StoredState {
  return {
    feederId: row.feeder_id,
    state: JSON.parse(row.body),
    stamp: {
      monotonicMs: row.monotonic_ms,
      wallMs: row.wall_ms,
      bootId: row.boot_id,
      clockSynchronised: row.clock_synchronised === 1,
    },
  };
}

export function storedRequest(row: RequestRow): StoredRequest {
  return {
    requestId: row.request_id,
    sequence: row.sequence,
    feederId: row.feeder_id,
    episodeId: row.episode_id,
    body: row.body,
    offered: row.offered === 1,
    withheld: row.withheld as StoredRequest['withheld'],
    ackStatus: row.ack_status,
  };
}

export function storedEvent({ sequence, feeder_id, body }: EventRow): StoredEvent {
  return { sequence, feederId: feeder_id, body };
}
