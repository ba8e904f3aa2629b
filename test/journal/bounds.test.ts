// That the journal stays within its bounds: the WAL whatever readers do, and the rows by a written policy for what goes
// first. Nothing goes without being told of, and the chain of events holds throughout.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { Journal } from '../../src/journal/journal.ts';
import { readEvents, verifyEvents } from '../../src/journal/reader.ts';
import type { Batch } from '../../src/journal/records.ts';
import { eventsOf, freshFolder, NOTHING, STAMP, storedRequest } from './site.ts';

const PAGE_BYTES = 4096;

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0).reverse()) one.close();
});

function open(folder = freshFolder(), maxMegabytes?: number): { journal: Journal; folder: string } {
  const journal = new Journal(folder, maxMegabytes);
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

const walBytes = (folder: string) => statSync(join(folder, 'journal.db-wal')).size;

describe('bounds', () => {
  const PAGES = 1_000;
  const WAL_BYTES_MAX = 8 * 1024 * 1024;
  const filler = eventsOf('x'.repeat(20_000));

  /** Commits until the WAL holds more than `PAGES` pages that are not in the main file. */
  function overfill(journal: Journal): void {
    for (let n = 0; n * 6 < PAGES + 100; n++) commit(journal, { events: filler });
  }

  test('the WAL has its length from the start and, tidied, keeps it', () => {
    const { journal, folder } = open();
    const first = walBytes(folder);
    expect(first).toBeGreaterThan(PAGES * PAGE_BYTES * 0.9);
    const sizes: number[] = [];
    for (let round = 0; round < 5; round++) {
      overfill(journal);
      journal.tidy();
      sizes.push(walBytes(folder));
    }
    expect(sizes.slice(1)).toEqual(sizes.slice(1).map(() => sizes[0]));
    expect(sizes[0]).toBeLessThan(3 * PAGES * PAGE_BYTES);
  });

  test('a commit does not wait for a checkpoint', () => {
    const { journal, folder } = open();
    const main = () => statSync(join(folder, 'journal.db')).size;
    const before = main();
    overfill(journal);
    overfill(journal);
    expect(main()).toBe(before);
    journal.tidy();
    expect(main()).toBeGreaterThan(before);
  });

  test('a reader that holds on to an old picture does not stop the writer, and leaves no long WAL behind', () => {
    const { journal, folder } = open();
    commit(journal, { events: eventsOf('a') });
    const reader = connection(folder, { readonly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM event').get();
    overfill(journal);
    journal.tidy();
    // Nothing of the WAL can be used again meanwhile.
    for (let n = 0; n < 4; n++) overfill(journal);
    expect(walBytes(folder)).toBeGreaterThan(3 * WAL_BYTES_MAX);
    reader.exec('COMMIT');
    journal.tidy();
    commit(journal, { events: eventsOf('a') });
    expect(walBytes(folder)).toBeLessThanOrEqual(WAL_BYTES_MAX);
    expect(verifyEvents(folder).broken).toBeNull();
  });

  test('of old events only the sent ones go, of old requests never the newest of a feeder', () => {
    const { journal, folder } = open();
    const db = connection(folder);
    commit(journal, { requests: [storedRequest(1, 'F1'), storedRequest(2, 'F2')], events: eventsOf('a', 'b', 'c') });
    // As after years: the numbers are far ahead of the first ones.
    db.exec(`UPDATE event SET sequence = sequence + 0;
      WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 100100)
      INSERT INTO request (sequence, request_id, feeder_id, episode_id, body, offered, wall_ms)
      SELECT i, 'r' || i, 'F2', 'e', '{}', 1, 0 FROM n;
      WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 100100)
      INSERT INTO event SELECT i, NULL, '{}', 'h', 0 FROM n;`);
    journal.close();
    opened.splice(opened.indexOf(journal), 1);
    const { journal: later } = open(folder);
    later.setEventsSentTo(50);
    overfill(later);
    later.tidy();
    const least = (table: string) => db.prepare(`SELECT min(sequence) FROM ${table}`).pluck().get();
    expect(least('event')).toBe(51);
    expect(db.prepare(`SELECT sequence FROM request WHERE feeder_id = 'F1'`).pluck().all()).toEqual([1]);
    expect(db.prepare('SELECT count(*) FROM request').pluck().get()).toBeLessThanOrEqual(100_002);
    expect(later.latestRequests().map(({ sequence }) => sequence)).toEqual([1, 100_100]);
  });
});

describe('more than fits, and nobody to send it to', () => {
  const MEGABYTES = 2;
  const text = (word: string, n: number) => `${word} ${n} ${'x'.repeat(400)}`;
  const alarms = (from: number, count: number) =>
    eventsOf(...Array.from({ length: count }, (_, n) => text('alarm', from + n)));
  const ofEpisode = (count: number): Batch['events'] =>
    Array.from({ length: count }, (_, n) => ({
      feederId: 'F1',
      body: (sequence) => JSON.stringify({ sequence, episodeId: 'E', word: text('operate', n) }),
    }));

  /** A second of housekeeping, telling what is to be told as the controller does. */
  function housekeep(journal: Journal): boolean {
    const hasMore = journal.tidy();
    const events = journal.takeNews().map((news) => {
      if (news.kind !== 'shed') return expect.fail(JSON.stringify(news));
      const { first: firstSequence, last: lastSequence, count } = news;
      return {
        feederId: null,
        body: (sequence: number) => JSON.stringify({ sequence, type: 'gap', firstSequence, lastSequence, count }),
      };
    });
    if (events.length > 0) commit(journal, { events });
    return hasMore;
  }

  /** As long as there is more to do; gives in how many turns. */
  function settle(journal: Journal): number {
    let turns = 1;
    while (housekeep(journal)) turns += 1;
    return turns;
  }

  function bytes(folder: string): number {
    const db = connection(folder, { readonly: true });
    const number = (pragma: string) => db.pragma(pragma, { simple: true }) as number;
    return (number('page_count') - number('freelist_count')) * number('page_size');
  }
  type Said = { sequence: number; type?: string; episodeId?: string; word?: string; count: number };
  const left = (journal: Journal) => journal.eventsAfter(0, 100_000).map(({ body }) => JSON.parse(body) as Said);

  test('the oldest alarms give way first, an episode stays, and gap events stand for what went', () => {
    const { journal, folder } = open(freshFolder(), MEGABYTES);
    commit(journal, { requests: [storedRequest(1, 'F1')], events: ofEpisode(200) });
    commit(journal, { events: alarms(0, 6_000) });
    expect(bytes(folder)).toBeGreaterThan(MEGABYTES * 1e6);
    expect(settle(journal)).toBeGreaterThan(5);
    expect(bytes(folder)).toBeLessThanOrEqual(MEGABYTES * 1e6);
    const events = left(journal);
    const gaps = events.filter(({ type }) => type === 'gap');
    const kept = events.filter(({ word }) => word?.startsWith('alarm'));
    expect(events.filter(({ episodeId }) => episodeId === 'E')).toHaveLength(200);
    // Of the alarms the newest are left, and those that went are all counted.
    expect(kept.at(-1)?.word).toBe(text('alarm', 5_999));
    expect(kept).toHaveLength(6_000 - gaps.reduce((sum, { count }) => sum + count, 0));
    expect(kept[0]?.sequence).toBe(6_201 - kept.length);
    expect(journal.latestRequests()).toMatchObject([{ sequence: 1 }]);
    journal.seal();
    expect(verifyEvents(folder)).toEqual({ events: events.length, broken: null, reason: null });
    expect(readEvents(folder, 1)).toMatchObject([{ type: 'gap' }]);
  });

  test('an episode’s events go last, when there is nothing else', () => {
    const { journal, folder } = open(freshFolder(), MEGABYTES);
    commit(journal, { events: alarms(0, 500) });
    commit(journal, { events: ofEpisode(6_000) });
    settle(journal);
    expect(bytes(folder)).toBeLessThanOrEqual(MEGABYTES * 1e6);
    const events = left(journal);
    expect(events.filter(({ word }) => word?.startsWith('alarm'))).toEqual([]);
    const episode = events.filter(({ episodeId }) => episodeId === 'E');
    expect(episode.length).toBeGreaterThan(1_000);
    expect(episode.at(-1)?.word).toBe(text('operate', 5_999));
    expect(verifyEvents(folder).broken).toBeNull();
  });

  test('what was sent goes before anything that was not, and is told of by nobody', () => {
    const { journal, folder } = open(freshFolder(), MEGABYTES);
    commit(journal, { events: alarms(0, 5_000) });
    journal.setEventsSentTo(4_000);
    settle(journal);
    const events = left(journal);
    expect(events.filter(({ type }) => type === 'gap')).toEqual([]);
    expect(events.filter(({ sequence }) => sequence > 4_000)).toHaveLength(1_000);
    expect(verifyEvents(folder).broken).toBeNull();
  });

  test('a crash between the telling and the going leaves both, and the chain whole', () => {
    const { journal, folder } = open(freshFolder(), MEGABYTES);
    commit(journal, { events: alarms(0, 6_000) });
    while (left(journal).every(({ type }) => type !== 'gap')) housekeep(journal);
    journal.close();
    opened.splice(opened.indexOf(journal), 1);
    const { journal: next } = open(folder, MEGABYTES);
    expect(left(next).filter(({ type }) => type !== 'gap')).toHaveLength(6_000);
    expect(verifyEvents(folder)).toMatchObject({ events: 6_001, broken: null });
    settle(next);
    expect(bytes(folder)).toBeLessThanOrEqual(MEGABYTES * 1e6);
    expect(verifyEvents(folder).broken).toBeNull();
  });
});
