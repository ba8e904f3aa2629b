// The journal on real files: what a commit means, what is read back, what is refused, and that it stays bounded.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { chainHash } from '../../src/journal/chain.ts';
import { Journal } from '../../src/journal/journal.ts';
import { JournalInUse } from '../../src/journal/journal-file.ts';
import { heartbeatFresh, readEvents, readStatus, verifyEvents } from '../../src/journal/reader.ts';
import type { Batch } from '../../src/journal/records.ts';
import { eventsOf, freshFolder, NOTHING, STAMP, storedRequest } from './site.ts';

const PROCESS = join(import.meta.dirname, 'journal-process.ts');

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0).reverse()) one.close();
});

function open(folder = freshFolder()): { journal: Journal; folder: string } {
  const journal = new Journal(folder);
  opened.push(journal);
  return { journal, folder };
}

/** A second connection, as of another program. */
function connection(folder: string, options: Database.Options = {}): Database.Database {
  const db = new Database(join(folder, 'journal.db'), options);
  opened.push(db);
  return db;
}

function commit(journal: Journal, batch: Partial<Batch>) {
  return journal.commit({ ...NOTHING, ...batch }, STAMP);
}

describe('a commit', () => {
  test('is seen as a whole by another connection as soon as it returns', () => {
    const { journal, folder } = open();
    commit(journal, {
      states: [{ feederId: 'F1', state: { level: 40 } }],
      requests: [storedRequest(1, 'F1')],
      events: eventsOf('limit', 'operate'),
    });
    expect(readStatus(folder)).toMatchObject([
      { feederId: 'F1', state: { level: 40 }, request: { sequence: 1 }, ackStatus: null, keptAtMs: STAMP.wallMs },
    ]);
    expect(readEvents(folder, 10)).toEqual([
      { sequence: 1, word: 'limit' },
      { sequence: 2, word: 'operate' },
    ]);
    expect(readEvents(folder, 1)).toEqual([{ sequence: 2, word: 'operate' }]);
  });

  test('gives the events their numbers, without a gap over commits and openings', () => {
    const { journal, folder } = open();
    expect(commit(journal, { events: eventsOf('a', 'b') }).map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(commit(journal, { events: eventsOf('c') })).toEqual([
      { sequence: 3, feederId: null, body: '{"sequence":3,"word":"c"}' },
    ]);
    journal.close();
    opened.length = 0;
    expect(commit(open(folder).journal, { events: eventsOf('d') })[0]?.sequence).toBe(4);
    expect(verifyEvents(folder)).toEqual({ events: 4, broken: null, reason: null });
  });

  test.each([
    ['an event whose text cannot be made', { events: [...eventsOf('a'), failing()] }],
    ['a request whose number is taken', { events: eventsOf('a'), requests: [storedRequest(1, 'F1')] }],
  ])('with %s leaves nothing behind, and the next one goes on from before', (_name, batch) => {
    const { journal, folder } = open();
    commit(journal, { events: eventsOf('first'), requests: [storedRequest(1, 'F9')] });
    expect(() => commit(journal, { states: [{ feederId: 'F1', state: {} }], ...batch })).toThrow();
    expect(readStatus(folder)).toEqual([]);
    expect(readEvents(folder, 10)).toHaveLength(1);
    expect(journal.lastSequence()).toBe(1);
    expect(commit(journal, { events: eventsOf('next') })[0]?.sequence).toBe(2);
    expect(verifyEvents(folder)).toEqual({ events: 2, broken: null, reason: null });
  });

  test('is on stable storage: FULL, still after the first write', () => {
    const { journal, folder } = open();
    commit(journal, { events: eventsOf('first') });
    // The pragma is of the connection, so it is read where the commits are made.
    const pragmas = spied(() => new Journal(freshFolder()));
    expect(pragmas.after).toEqual(['synchronous']);
    expect(connection(folder).pragma('journal_mode', { simple: true })).toBe('wal');
  });
});

describe('a batch with a request, which waits as one row', () => {
  const batch = () => ({
    states: [{ feederId: 'F1', state: { level: 40 } }],
    requests: [storedRequest(2, 'F1')],
    events: eventsOf('operate', 'limit'),
  });
  /** What a power cut at this moment leaves behind. */
  const crashImage = (folder: string) => {
    const image = freshFolder();
    cpSync(folder, image, { recursive: true });
    return image;
  };
  const rowsOf = (folder: string) =>
    connection(folder, { readonly: true }).prepare('SELECT count(*) FROM request').pluck().get();

  test('is whole after a kill at that moment, for a reader and for the next controller', () => {
    const { journal, folder } = open();
    commit(journal, { requests: [storedRequest(1, 'F1')], events: eventsOf('earlier') });
    journal.settle();
    commit(journal, { ...batch(), commands: [{ commandId: 'C-1', answer: '{"status":"done"}' }] });
    const image = crashImage(folder);
    expect(rowsOf(image)).toBe(1);
    for (const seen of [folder, image]) {
      expect(readStatus(seen)).toMatchObject([{ feederId: 'F1', state: { level: 40 }, request: { sequence: 2 } }]);
      expect(readEvents(seen, 2)).toMatchObject([{ word: 'operate' }, { word: 'limit' }]);
      expect(verifyEvents(seen)).toMatchObject({ events: 3, broken: null });
    }
    const { journal: next } = open(image);
    expect(rowsOf(image)).toBe(2);
    expect(next.lastSequence()).toBe(2);
    expect(next.answerTo('C-1')).toBe('{"status":"done"}');
    expect(next.latestRequests()).toMatchObject([{ requestId: 'request-2', sequence: 2 }]);
    expect(commit(next, { events: eventsOf('next') })[0]?.sequence).toBe(4);
    expect(verifyEvents(image)).toMatchObject({ events: 4, broken: null });
  });

  test('is brought in once, however it comes to that', () => {
    const { journal, folder } = open();
    commit(journal, batch());
    expect(journal.eventsAfter(0, 10).map(({ sequence }) => sequence)).toEqual([1, 2]);
    journal.settle();
    const { journal: next } = open(crashImage(folder));
    expect(next.eventsAfter(0, 10)).toHaveLength(2);
  });

  test('a second one before the first is in the tables goes in behind it', () => {
    const { journal, folder } = open();
    commit(journal, batch());
    commit(journal, { requests: [storedRequest(3, 'F1')], events: eventsOf('deeper') });
    expect(rowsOf(folder)).toBe(2);
    expect(readEvents(folder, 3)).toMatchObject([{ word: 'operate' }, { word: 'limit' }, { word: 'deeper' }]);
  });

  test('one that is longer than the row goes into the tables at once', () => {
    const { journal, folder } = open();
    commit(journal, { ...batch(), states: [{ feederId: 'F1', state: { text: 'x'.repeat(20_000) } }] });
    expect(rowsOf(folder)).toBe(1);
  });

  test('a request whose number does not grow is refused, and what waits stays', () => {
    const { journal } = open();
    commit(journal, batch());
    expect(() => commit(journal, { requests: [storedRequest(2, 'F2')] })).toThrow('request 2 after 2');
    expect(journal.eventsAfter(0, 10)).toHaveLength(2);
    expect(journal.lastSequence()).toBe(2);
  });
});

/** Opens a journal and notes which pragmas are read back after the last write. */
function spied(make: () => Journal): { after: string[] } {
  const { exec, pragma } = Database.prototype;
  const calls: string[] = [];
  Database.prototype.exec = function (this: Database.Database, sql: string) {
    calls.push('write');
    return exec.call(this, sql);
  };
  Database.prototype.pragma = function (this: Database.Database, source: string, options?: Database.PragmaOptions) {
    if (!/[=(]/.test(source)) calls.push(source);
    const value = pragma.call(this, source, options);
    if (source === 'synchronous') expect(value).toBe(2);
    return value;
  };
  try {
    opened.push(make());
  } finally {
    Object.assign(Database.prototype, { exec, pragma });
  }
  return { after: calls.slice(calls.lastIndexOf('write') + 1) };
}

function failing(): Batch['events'][number] {
  return {
    feederId: null,
    body() {
      throw new Error('no text');
    },
  };
}

describe('the chain of events', () => {
  function chained(): { folder: string; db: Database.Database } {
    const { journal, folder } = open();
    commit(journal, { events: eventsOf('a', 'b', 'c') });
    commit(journal, { events: eventsOf('d', 'e') });
    return { folder, db: connection(folder) };
  }

  test('holds as written', () => {
    expect(verifyEvents(chained().folder)).toEqual({ events: 5, broken: null, reason: null });
  });

  test.each([
    ['a changed text', `UPDATE event SET body = replace(body, 'c', 'x') WHERE sequence = 3`, 3],
    ['a changed first text', `UPDATE event SET body = replace(body, 'a', 'x') WHERE sequence = 1`, 1],
    ['a changed last text', `UPDATE event SET body = replace(body, 'e', 'x') WHERE sequence = 5`, 5],
    ['a changed hash', `UPDATE event SET hash = 'f00' WHERE sequence = 2`, 2],
    ['a dropped row', 'DELETE FROM event WHERE sequence = 3', 4],
    [
      'a dropped row with the rest moved up',
      'DELETE FROM event WHERE sequence = 3; UPDATE event SET sequence = sequence - 1 WHERE sequence > 3',
      3,
    ],
    [
      'two rows that changed places',
      'UPDATE event SET sequence = 99 WHERE sequence = 2; UPDATE event SET sequence = 2 WHERE sequence = 3; UPDATE event SET sequence = 3 WHERE sequence = 99',
      2,
    ],
  ])('names %s', (_name, sql, broken) => {
    const { folder, db } = chained();
    db.exec(sql);
    expect(verifyEvents(folder).broken).toBe(broken);
  });

  test('is proven from the oldest on once older ones were cleaned away', () => {
    const { folder, db } = chained();
    db.exec('DELETE FROM event WHERE sequence <= 2');
    expect(verifyEvents(folder)).toEqual({ events: 3, broken: null, reason: null });
  });

  test('is what anybody can compute: SHA-256 over the hash before, a line end and the text', () => {
    expect(chainHash('', 'a')).toBe('7361a6f4b374745deaf896ac72887d55e04107d1a1ff14e5e4d829fb47e82426');
    const { db } = chained();
    const rows = db.prepare('SELECT body, hash FROM event ORDER BY sequence').all() as { body: string; hash: string }[];
    let before = '';
    for (const { body, hash } of rows) {
      before = chainHash(before, body);
      expect(hash).toBe(before);
    }
  });
});

describe('opening', () => {
  test('makes the folder where it is missing', () => {
    const { folder } = open();
    expect(existsSync(join(folder, 'journal.db'))).toBe(true);
  });

  test('refuses the file of a newer program in one line', () => {
    const { journal, folder } = open();
    journal.close();
    opened.length = 0;
    const db = new Database(join(folder, 'journal.db'));
    const version = db.pragma('user_version', { simple: true });
    db.pragma('user_version = 99');
    db.close();
    expect(() => new Journal(folder)).toThrow(/version 99, expected at most \d+: a newer program wrote it$/);
    // The refusal lets go of the folder.
    const later = new Database(join(folder, 'journal.db'));
    later.pragma(`user_version = ${version}`);
    later.close();
    open(folder);
  });

  test('twice in one process is refused', () => {
    const { folder } = open();
    expect(() => new Journal(folder)).toThrow(JournalInUse);
    expect(() => new Journal(folder)).toThrow(/is in use by another controller$/);
  });

  test('is refused while another process has it, and lets in at once when that is killed', async () => {
    const folder = freshFolder();
    const child: ChildProcess = spawn(process.execPath, [PROCESS, folder, 'hold'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.stdout === null) return expect.fail();
    await once(child.stdout, 'data');
    expect(() => new Journal(folder)).toThrow(JournalInUse);
    // Reading is no opening: a running controller can be looked at.
    expect(verifyEvents(folder)).toEqual({ events: 1, broken: null, reason: null });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    const { journal } = open(folder);
    expect(journal.eventsAfter(0, 10).map(({ body }) => body)).toEqual(['1 before the kill']);
  });
});

describe('reading back', () => {
  test('states come with the stamp of their last commit', () => {
    const { journal, folder } = open();
    commit(journal, { states: [{ feederId: 'F1', state: { level: 40 } }] });
    journal.commit(
      {
        ...NOTHING,
        states: [
          { feederId: 'F1', state: { level: 60 } },
          { feederId: 'F2', state: null },
        ],
      },
      { monotonicMs: 0.125, wallMs: 5, bootId: 'other', clockSynchronised: false },
    );
    journal.close();
    opened.length = 0;
    const stamp = { monotonicMs: 0.125, wallMs: 5, bootId: 'other', clockSynchronised: false };
    expect(open(folder).journal.states()).toEqual([
      { feederId: 'F1', state: { level: 60 }, stamp },
      { feederId: 'F2', state: null, stamp },
    ]);
  });

  test('of each feeder the newest request, with what became of it', () => {
    const { journal } = open();
    expect(journal.lastSequence()).toBeNull();
    expect(journal.latestRequests()).toEqual([]);
    commit(journal, { requests: [storedRequest(1, 'F1'), storedRequest(2, 'F2', false)] });
    commit(journal, {
      requests: [storedRequest(3, 'F1', false)],
      withheld: [{ requestId: 'request-2', why: 'expired' }],
    });
    expect(journal.latestRequests()).toEqual([
      { ...storedRequest(2, 'F2', false), withheld: 'expired', ackStatus: null },
      { ...storedRequest(3, 'F1', false), ackStatus: null },
    ]);
    journal.offer('request-3');
    expect(journal.latestRequests()[1]?.offered).toBe(true);
    expect(journal.lastSequence()).toBe(3);
  });

  test('acknowledgements are kept for the requests of their feeder, each once', () => {
    const { journal, folder } = open();
    commit(journal, { requests: [storedRequest(1, 'F1'), storedRequest(2, 'F2')] });
    const ack = { feederId: 'F1', requestId: 'request-1', sequence: 1, status: 'accepted', body: '"accepted"' };
    expect(journal.keepAck(ack, 5)).toBe('kept');
    expect(journal.keepAck({ ...ack, status: 'applied', body: '"applied"' }, 6)).toBe('kept');
    // The first once more, late: it does not turn the status back.
    expect(journal.keepAck(ack, 7)).toBe('repeated');
    expect(journal.keepAck({ ...ack, sequence: 2 }, 8)).toBe('unknown');
    expect(journal.keepAck({ ...ack, feederId: 'F2' }, 8)).toBe('unknown');
    expect(journal.keepAck({ ...ack, requestId: 'request-9' }, 8)).toBe('unknown');
    expect(journal.latestRequests().map(({ ackStatus }) => ackStatus)).toEqual(['applied', null]);
    expect(connection(folder).prepare('SELECT status, wall_ms FROM ack').raw().all()).toEqual([
      ['accepted', 5],
      ['applied', 6],
    ]);
  });

  test('how far the events were sent, and those after it', () => {
    const { journal, folder } = open();
    expect(journal.eventsSentTo()).toBe(0);
    commit(journal, { events: eventsOf('a', 'b', 'c') });
    journal.setEventsSentTo(1);
    journal.setEventsSentTo(2);
    journal.close();
    opened.length = 0;
    const again = open(folder).journal;
    expect(again.eventsSentTo()).toBe(2);
    expect(again.eventsAfter(again.eventsSentTo(), 10).map(({ sequence }) => sequence)).toEqual([3]);
    expect(again.eventsAfter(0, 2).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  test('a folder without a journal is said to be one', () => {
    const folder = freshFolder();
    expect(() => readStatus(folder)).toThrow(/has no journal.db, expected the journal folder of a controller$/);
    expect(heartbeatFresh(folder, 0)).toBe(false);
  });

  test('the heartbeat is fresh for two and a half minutes, whichever way the clock is wrong', () => {
    const { folder } = open();
    const file = join(folder, 'alive');
    writeFileSync(file, '');
    utimesSync(file, 1_000, 1_000);
    const at = (seconds: number) => heartbeatFresh(folder, 1_000_000 + seconds * 1000);
    expect([0, 149, 151, -149, -151].map(at)).toEqual([true, true, false, true, false]);
  });
});

describe('storage without room', () => {
  test('a commit throws, leaves nothing, and what was kept stays readable', () => {
    const folder = freshFolder();
    const { stdout, stderr, status } = spawnSync(
      'prlimit',
      [`--fsize=${6_000_000}`, process.execPath, PROCESS, folder, 'fill'],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { before, kept, code, again } = JSON.parse(stdout);
    expect(before).toBe(0);
    expect(kept).toBeGreaterThan(10);
    expect(code).toMatch(/^SQLITE_(IOERR|FULL)/);
    expect(again).toMatch(/^SQLITE_(IOERR|FULL)/);
    // With room again it goes on where it was.
    const { journal } = open(folder);
    expect(verifyEvents(folder)).toEqual({ events: kept, broken: null, reason: null });
    expect(commit(journal, { events: eventsOf('room again') })[0]?.sequence).toBe(kept + 1);
    expect(verifyEvents(folder)).toEqual({ events: kept + 1, broken: null, reason: null });
  });
});
