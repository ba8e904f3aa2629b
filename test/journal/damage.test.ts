// A journal whose file is damaged, moved away or on a disk that cannot be written: what the controller goes on with,
// what is told, and that the sequence of events is whole once there is a file again. Real damage on real files.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import { Journal } from '../../src/journal/journal.ts';
import { isDamage } from '../../src/journal/journal-file.ts';
import { readEvents, readSentRequests, verifyEvents } from '../../src/journal/reader.ts';
import type { Batch } from '../../src/journal/records.ts';
import { Keeper } from '../../src/keeper.ts';
import { silentLog } from '../../src/log.ts';
import { handClock } from '../simulators/hand-clock.ts';
import { mountable, unmount } from './mounts.ts';
import { eventsOf, freshFolder, NOTHING, STAMP, storedRequest } from './site.ts';

const PAGE_BYTES = 4096;
const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0).reverse()) close();
});

function open(folder = freshFolder()): { journal: Journal; folder: string; close: () => void } {
  const journal = new Journal(folder);
  let isOpen = true;
  const close = () => {
    if (isOpen) journal.close();
    isOpen = false;
  };
  opened.push(close);
  return { journal, folder, close };
}

function commit(journal: Journal, batch: Partial<Batch>) {
  return journal.commit({ ...NOTHING, ...batch }, STAMP);
}

/** What a controller goes on with: a state, a request with an acknowledgement, a command, events sent and unsent. */
function fill(journal: Journal): void {
  commit(journal, {
    states: [{ feederId: 'F1', state: { level: 40 } }],
    requests: [storedRequest(7, 'F1')],
    commands: [{ commandId: 'command-1', answer: '"done"' }],
    events: eventsOf('a', 'b', 'c'),
  });
  journal.settle();
  journal.keepAck({ feederId: 'F1', requestId: 'request-7', sequence: 7, status: 'applied', body: '"applied"' }, 5);
  journal.setEventsSentTo(2);
  journal.seal();
}

function expectOnward(journal: Journal): void {
  expect(journal.states()).toMatchObject([{ feederId: 'F1', state: { level: 40 } }]);
  expect(journal.latestRequests()).toMatchObject([{ sequence: 7, ackStatus: 'applied', offered: true }]);
  expect(journal.answerTo('command-1')).toBe('"done"');
}

function expectFilled(journal: Journal): void {
  expectOnward(journal);
  expect(journal.eventsAfter(journal.eventsSentTo(), 10).map(({ sequence }) => sequence)).toContain(3);
}

/** Overwrites pages of the file, the first one having number 1. */
function damage(folder: string, ...pages: number[]): void {
  const file = join(folder, 'journal.db');
  const bytes = readFileSync(file);
  for (const page of pages) bytes.fill(0xa5, (page - 1) * PAGE_BYTES, page * PAGE_BYTES);
  writeFileSync(file, bytes);
}

describe('a damaged file at the start', () => {
  test('that is no database at all: a new one begins above the seal, the old one is kept', () => {
    const { journal, folder, close } = open();
    fill(journal);
    close();
    writeFileSync(join(folder, 'journal.db'), 'no database, whatever it is called'.repeat(100));
    const later = open(folder).journal;
    expect(later.takeNews()).toEqual([
      { kind: 'replaced', reason: expect.stringMatching(/it is kept as journal.db.damaged-1, a new one begins$/) },
      { kind: 'lost', first: 1, last: 3, count: 3 },
    ]);
    expect(statSync(join(folder, 'journal.db.damaged-1')).size).toBe(3_400);
    expect(later.isDurable).toBe(true);
    expect(later.lastSequence()).toBe(7);
    expect(commit(later, { events: eventsOf('d') })[0]?.sequence).toBe(4);
    expect(verifyEvents(folder)).toEqual({ events: 1, broken: null, reason: null });
  });

  test('with a damaged table: what can be read is gone on with', () => {
    const { journal, folder, close } = open();
    fill(journal);
    // Acknowledgements and their index take the pages that are damaged.
    const pages = pagesOf(folder, 'ack', 'ack_of_request');
    close();
    damage(folder, ...pages);
    const later = open(folder);
    expect(() => later.journal.keepAck(ackOf('late'), 6)).toThrow(/malformed/);
    later.journal.beginAnew();
    expect(later.journal.takeNews()).toMatchObject([{ kind: 'replaced' }]);
    expect(later.journal.states()).toHaveLength(1);
    expect(later.journal.latestRequests()).toMatchObject([{ sequence: 7, ackStatus: 'applied' }]);
    expect(later.journal.keepAck(ackOf('late'), 6)).toBe('kept');
    expect(commit(later.journal, { events: eventsOf('d') })[0]?.sequence).toBe(4);
    expect(verifyEvents(folder).broken).toBeNull();
  });

  test('three are kept, then the newest takes the last place', () => {
    const folder = freshFolder();
    mkdirSync(folder, { recursive: true });
    for (let n = 1; n <= 5; n++) {
      writeFileSync(join(folder, 'journal.db'), `${n} is no database`.repeat(100 * n));
      open(folder).close();
    }
    const kept = [1, 2, 3].map((n) => readFileSync(join(folder, `journal.db.damaged-${n}`), 'utf8')[0]);
    expect(kept).toEqual(['1', '2', '5']);
  });
});

function ackOf(word: string) {
  return { feederId: 'F1', requestId: 'request-7', sequence: 7, status: 'ended', body: JSON.stringify(word) };
}

function pagesOf(folder: string, ...names: string[]): number[] {
  const db = new Database(join(folder, 'journal.db'), { readonly: true });
  const holes = names.map(() => '?');
  const pages = db
    .prepare(`SELECT DISTINCT pageno FROM dbstat WHERE name IN (${holes})`)
    .pluck()
    .all(...names);
  db.close();
  return pages as number[];
}

describe('a file that is damaged while it is in use', () => {
  test('is replaced when that is met; what could be read, and what is written then, is kept', () => {
    const { journal, folder } = open();
    fill(journal);
    // More than the cache holds, so that pages are read again.
    for (let n = 0; n < 30; n++) commit(journal, { events: eventsOf(...Array(100).fill('x'.repeat(1_000))) });
    journal.tidy();
    const keeper = new Keeper(journal, handClock(), silentLog);
    damage(folder, ...pagesOf(folder, 'event').filter((_, n) => n > 0 && n % 7 === 0));
    expect(keeper.attempt((one) => one.eventsAfter(2, 3_000))?.length).toBeGreaterThan(0);
    expect(existsSync(join(folder, 'journal.db.damaged-1'))).toBe(true);
    expect(keeper.failure).toBeNull();
    expectOnward(journal);
    keeper.commit({ ...NOTHING, states: [{ feederId: 'F1', state: { level: 60 } }], events: eventsOf('d') });
    expect(keeper.failure).toBeNull();
    expect(journal.states()).toMatchObject([{ state: { level: 60 } }]);
    const news = keeper.takeNews();
    expect(news).toContainEqual(expect.objectContaining({ kind: 'replaced' }));
    expect(news).toContainEqual(expect.objectContaining({ kind: 'lost' }));
    expect(commit(journal, { events: eventsOf('e') })[0]?.sequence).toBe(3_005);
  });

  test('is known by its error', () => {
    expect(isDamage(Object.assign(new Error(), { code: 'SQLITE_CORRUPT_INDEX' }))).toBe(true);
    expect(isDamage(Object.assign(new Error(), { code: 'SQLITE_FULL' }))).toBe(false);
    expect(isDamage(new Error())).toBe(false);
  });
});

test('a file that is moved away while it is in use: a new one has what is gone on with, and the chain goes on', () => {
  const { journal, folder } = open();
  fill(journal);
  const elsewhere = join(folder, 'elsewhere');
  mkdirSync(elsewhere);
  for (const ending of ['', '-wal', '-shm'])
    renameSync(join(folder, `journal.db${ending}`), join(elsewhere, `journal.db${ending}`));
  commit(journal, { events: eventsOf('d') });
  journal.recover();
  expect(journal.takeNews()).toEqual([{ kind: 'replaced', reason: 'the journal was moved away: a new one begins' }]);
  expectFilled(journal);
  expect(commit(journal, { events: eventsOf('e') })[0]?.sequence).toBe(5);
  journal.seal();
  expect(readEvents(folder, 10)).toMatchObject([2, 3, 4, 5].map((sequence) => ({ sequence })));
  expect(verifyEvents(folder)).toEqual({ events: 4, broken: null, reason: null });
  journal.recover();
  expect(journal.takeNews()).toEqual([]);
  expect(() => new Journal(folder)).toThrow(/in use by another controller/);
});

describe.skipIf(!mountable())('a disk that is read-only at the start', () => {
  function readOnlyDisk(prepare: (folder: string) => void) {
    const disk = freshFolder();
    mkdirSync(disk, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', disk]);
    opened.push(() => {
      unmount(disk);
      rmdirSync(disk);
    });
    const folder = join(disk, 'journal');
    prepare(folder);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    return { folder, writable: () => execFileSync('mount', ['-o', 'remount,rw', disk]) };
  }

  test('the journal is in memory with what was on the disk, and goes back to it', () => {
    const { folder, writable } = readOnlyDisk((made) => {
      const { journal, close } = open(made);
      fill(journal);
      close();
    });
    const { journal } = open(folder);
    const clock = handClock();
    const keeper = new Keeper(journal, clock, silentLog);
    expect(journal.isDurable).toBe(false);
    expect(keeper.failure).toMatch(/the journal is in memory/);
    expect(journal.takeNews()).toEqual([]);
    expectFilled(journal);
    keeper.commit({
      ...NOTHING,
      states: [{ feederId: 'F1', state: { level: 70 } }],
      requests: [storedRequest(8, 'F1')],
      events: eventsOf('d'),
    });
    keeper.settle();
    keeper.retry();
    expect(keeper.failure).not.toBeNull();
    writable();
    clock.advance(10_000);
    keeper.retry();
    expect(keeper.failure).toBeNull();
    expect(journal.isDurable).toBe(true);
    expect(journal.latestRequests()).toMatchObject([{ sequence: 8 }]);
    expect(journal.states()).toMatchObject([{ state: { level: 70 } }]);
    keeper.keepProgress();
    expect(verifyEvents(folder)).toEqual({ events: 4, broken: null, reason: null });
    expect(() => new Journal(folder)).toThrow(/in use by another controller/);
  });

  test('what a power cut has left as the row ahead is there, and goes back to the disk once', () => {
    const { folder, writable } = readOnlyDisk((made) => {
      const { journal, close } = open(made);
      fill(journal);
      commit(journal, { requests: [storedRequest(8, 'F1')], events: eventsOf('d') });
      close();
    });
    const { journal } = open(folder);
    expect(journal.latestRequests()).toMatchObject([{ sequence: 8 }]);
    writable();
    journal.recover();
    expect(journal.isDurable).toBe(true);
    expect(journal.latestRequests()).toMatchObject([{ sequence: 8 }]);
    expect(commit(journal, { events: eventsOf('e') })[0]?.sequence).toBe(5);
    journal.seal();
    expect(verifyEvents(folder)).toEqual({ events: 5, broken: null, reason: null });
  });

  test('every request and acknowledgement of the time in memory goes back to the disk', () => {
    const { folder, writable } = readOnlyDisk((made) => {
      const { journal, close } = open(made);
      fill(journal);
      close();
    });
    const { journal } = open(folder);
    for (const sequence of [8, 9, 10]) {
      commit(journal, { requests: [storedRequest(sequence, 'F1')], events: eventsOf(`limit ${sequence}`) });
      const ack = { feederId: 'F1', requestId: `request-${sequence}`, sequence, status: 'applied', body: '"yes"' };
      if (sequence < 10) expect(journal.keepAck(ack, 6)).toBe('kept');
    }
    writable();
    journal.recover();
    const sent = readSentRequests(folder, 0).map(({ body, acks }) => ({ ...JSON.parse(body), acks: acks.length }));
    expect(sent).toEqual([7, 8, 9, 10].map((sequence) => ({ sequence, feederId: 'F1', acks: sequence < 10 ? 1 : 0 })));
  });

  test('where there was no journal it begins in memory, and is made once the disk is writable', () => {
    const { folder, writable } = readOnlyDisk(() => {});
    const { journal } = open(folder);
    expect(journal.isDurable).toBe(false);
    commit(journal, { events: eventsOf('a') });
    expect(() => journal.recover()).toThrow(/EROFS|read-only|readonly/);
    writable();
    journal.recover();
    expect(existsSync(join(folder, 'journal.db'))).toBe(true);
    commit(journal, { events: eventsOf('b') });
    expect(verifyEvents(folder)).toEqual({ events: 2, broken: null, reason: null });
  });
});
