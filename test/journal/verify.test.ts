// The proof of the sequence of events: what it names, what it lets pass because a gap event stands for it, and that a
// journal without its newest part is noticed and goes on above it.
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { chainHash } from '../../src/journal/chain.ts';
import { Journal } from '../../src/journal/journal.ts';
import { verifyEvents } from '../../src/journal/reader.ts';
import type { Batch } from '../../src/journal/records.ts';
import { eventsOf, freshFolder, NOTHING, STAMP, storedRequest } from './site.ts';

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0).reverse()) one.close();
});

function open(folder = freshFolder()) {
  const journal = new Journal(folder);
  opened.push(journal);
  const close = () => {
    journal.close();
    opened.splice(opened.indexOf(journal), 1);
  };
  return { journal, folder, close, add: (...words: string[]) => commit(journal, eventsOf(...words)) };
}

function commit(journal: Journal, events: Batch['events']) {
  return journal.commit({ ...NOTHING, events }, STAMP);
}

function gap(firstSequence: number, lastSequence: number, count: number): Batch['events'] {
  const body = (sequence: number) => JSON.stringify({ type: 'gap', sequence, firstSequence, lastSequence, count });
  return [{ feederId: null, body }];
}

function change(folder: string, sql: string): void {
  const db = new Database(join(folder, 'journal.db'));
  db.exec(sql);
  db.close();
}

describe('a tail that was cut', () => {
  test.each([
    ['the last event', 5],
    ['the last three', 3],
    ['all of them', 1],
  ])('by %s is noticed', (_name, from) => {
    const { journal, folder, add } = open();
    add('a', 'b', 'c', 'd', 'e');
    journal.seal();
    change(folder, `DELETE FROM event WHERE sequence >= ${from}`);
    expect(verifyEvents(folder)).toEqual({
      events: from - 1,
      broken: from,
      reason: 'the newest are missing: event 5 had been written',
    });
  });

  test('and put back with another last event is noticed', () => {
    const { journal, folder, add } = open();
    add('a', 'b');
    journal.seal();
    const hash = chainHash(chainHash('', '{"sequence":1,"word":"a"}'), 'x');
    change(folder, `UPDATE event SET body = 'x', hash = '${hash}' WHERE sequence = 2`);
    expect(verifyEvents(folder)).toMatchObject({ broken: 2, reason: 'it is not the event that was sealed' });
  });

  test('within the second before the seal is written, or without one, is not: the head end has those', () => {
    const { journal, folder, add } = open();
    add('a', 'b');
    journal.seal();
    add('c');
    change(folder, 'DELETE FROM event WHERE sequence = 3');
    expect(verifyEvents(folder).broken).toBeNull();
    for (const content of ['', '{"eventSequence":9}', 'no JSON']) {
      writeFileSync(join(folder, 'seal'), content);
      expect(verifyEvents(folder).broken).toBeNull();
    }
  });
});

describe('a front that was cut', () => {
  test('by the clean-up is what the oldest event hangs on; anything more is named', () => {
    const { folder, add, close } = open();
    add('a', 'b', 'c', 'd');
    // As after years: the clean-up takes what was sent beyond the 100,000 that are kept.
    change(
      folder,
      `WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 100002)
       INSERT INTO event SELECT i, NULL, '', 'h', 0 FROM n`,
    );
    close();
    const later = open(folder);
    later.journal.setEventsSentTo(50);
    later.journal.tidy();
    const sequences = () => {
      const db = new Database(join(folder, 'journal.db'), { readonly: true });
      const all = db.prepare('SELECT sequence FROM event ORDER BY sequence LIMIT 3').pluck().all();
      db.close();
      return all;
    };
    expect(sequences()).toEqual([3, 4, 5]);
    // Leave the two that were written, and see that they hang on the one that went.
    change(folder, 'DELETE FROM event WHERE sequence > 4');
    expect(verifyEvents(folder)).toEqual({ events: 2, broken: null, reason: null });
    change(folder, `UPDATE event SET body = replace(body, 'c', 'x') WHERE sequence = 3`);
    expect(verifyEvents(folder)).toMatchObject({ events: 0, broken: 3 });
    change(folder, 'DELETE FROM event WHERE sequence = 3');
    expect(verifyEvents(folder)).toMatchObject({ broken: 4 });
  });
});

describe('events that a gap stands for', () => {
  function withGap(count = 2) {
    const { journal, folder, add } = open();
    add('a', 'b', 'c', 'd');
    commit(journal, gap(2, 3, count));
    add('e');
    return { folder };
  }

  test('may be missing, with what is left of their hashes', () => {
    const { folder } = withGap();
    change(folder, `UPDATE event SET body = '' WHERE sequence IN (2, 3)`);
    expect(verifyEvents(folder)).toEqual({ events: 4, broken: null, reason: null });
    // Of a run only the last hash is needed.
    change(folder, 'DELETE FROM event WHERE sequence = 2');
    expect(verifyEvents(folder)).toEqual({ events: 4, broken: null, reason: null });
  });

  test.each([
    ['one more than it counts', 1, `UPDATE event SET body = '' WHERE sequence IN (2, 3)`, 3],
    ['one outside of it', 2, `UPDATE event SET body = '' WHERE sequence IN (2, 4)`, 4],
    ['one whose hash is gone as well', 2, 'DELETE FROM event WHERE sequence = 3', 4],
    ['one with another hash', 2, `UPDATE event SET body = '', hash = 'f00' WHERE sequence = 3`, 4],
  ])('but not %s', (_name, count, sql, broken) => {
    const { folder } = withGap(count);
    change(folder, sql);
    expect(verifyEvents(folder).broken).toBe(broken);
  });
});

describe('a journal that has lost its newest part', () => {
  /** A killed program's files, with ten events in the WAL only. */
  function killed() {
    const { journal, folder, add } = open();
    add('a', 'b');
    journal.tidy();
    for (const word of 'cdefghijkl') add(word);
    journal.commit({ ...NOTHING, requests: [storedRequest(77, 'F1')] }, STAMP);
    commit(journal, eventsOf('m'));
    journal.seal();
    const copy = freshFolder();
    return { folder, copy: copyOf(folder, copy) };
  }

  function copyOf(folder: string, to: string): string {
    new Journal(to).close();
    for (const name of ['journal.db', 'journal.db-wal', 'seal']) copyFileSync(join(folder, name), join(to, name));
    return to;
  }

  test('is whole with its WAL', () => {
    const { copy } = killed();
    const { journal } = open(copy);
    expect(journal.takeNews()).toEqual([]);
    expect(verifyEvents(copy)).toEqual({ events: 13, broken: null, reason: null });
  });

  test.each([
    ['whose WAL is missing', (wal: string) => rmSync(wal), 2],
    ['whose WAL is empty', (wal: string) => truncateSync(wal, 0), 2],
    ['whose WAL ends in the middle', cutWal, null],
  ])('%s is noticed, and its numbers are not given again', (_name, harm, left) => {
    const { copy } = killed();
    harm(join(copy, 'journal.db-wal'));
    const { journal } = open(copy);
    const [lost] = journal.takeNews();
    if (lost?.kind !== 'lost') return expect.fail();
    expect(lost.last).toBe(13);
    expect(lost.first).toBeGreaterThan(2);
    if (left !== null) expect(lost.first).toBe(left + 1);
    expect(journal.lastSequence()).toBe(77);
    expect(verifyEvents(copy)).toMatchObject({ broken: lost.first });
    const [event] = commit(journal, gap(lost.first, lost.last, lost.count));
    expect(event?.sequence).toBe(14);
    journal.seal();
    expect(verifyEvents(copy)).toEqual({ events: lost.first, broken: null, reason: null });
  });

  /** Somewhere between its first and its last frame; the WAL is longer than what is in it. */
  function cutWal(wal: string): void {
    const bytes = readFileSync(wal);
    const at = bytes.indexOf('"word":"h"');
    expect(at).toBeGreaterThan(0);
    truncateSync(wal, at);
  }

  test('because an older copy was put back is noticed too', () => {
    const { folder, add, close } = open();
    add('a', 'b');
    close();
    const older = readFileSync(join(folder, 'journal.db'));
    const again = open(folder);
    again.add('c', 'd');
    again.journal.seal();
    again.close();
    writeFileSync(join(folder, 'journal.db'), older);
    expect(open(folder).journal.takeNews()).toEqual([{ kind: 'lost', first: 3, last: 4, count: 2 }]);
  });
});
