// What is looked at in the storage itself: how it is mounted, and the whole file some time after the start.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { checkIntegrity } from '../../src/journal/integrity.ts';
import { Journal } from '../../src/journal/journal.ts';
import { mountTrouble } from '../../src/journal/mount.ts';
import { verifyEvents } from '../../src/journal/reader.ts';
import { Keeper } from '../../src/keeper.ts';
import { silentLog } from '../../src/log.ts';
import { handClock } from '../simulators/hand-clock.ts';
import { eventsOf, freshFolder, NOTHING, STAMP } from './site.ts';

describe('the mount', () => {
  const folder = freshFolder();
  mkdirSync(folder, { recursive: true });
  const root = '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw';
  const over = (type: string, options = 'rw', path = folder) =>
    `${root}\n23 22 0:3 / ${path.replaceAll(' ', '\\040')} rw,noatime shared:2 - ${type} /dev/x ${options}`;

  test.each([
    ['an ordinary file system', root],
    ['ext4 in order', over('ext4', 'rw,data=ordered')],
    ['another place with a bad one', over('ext4', 'rw,data=writeback', `${folder}-other`)],
    ['nothing known', ''],
  ])('%s: nothing is said', (_name, mounts) => {
    expect(mountTrouble(folder, mounts)).toBeNull();
  });

  test.each([
    ['data=writeback', over('ext4', 'rw,data=writeback'), /mounted with data=writeback: a commit may be lost or torn/],
    ['no barriers', over('ext4', 'rw,barrier=0'), /mounted with barrier=0/],
    ['no barriers on xfs', over('xfs', 'rw,nobarrier'), /mounted with nobarrier/],
    ['a volatile overlay', over('overlay', 'rw,volatile'), /mounted with volatile/],
    ['a tmpfs', over('tmpfs'), /is tmpfs: the journal is in memory/],
    ['a network', over('nfs4'), /is nfs4: a journal on a network/],
    ['the mount that hides another', `${over('ext4')}\n${over('tmpfs').split('\n')[1]}`, /is tmpfs/],
  ])('%s is told of, with its place', (_name, mounts, told) => {
    expect(mountTrouble(folder, mounts)).toMatch(told);
    expect(mountTrouble(folder, mounts)).toContain(folder);
  });

  test('of this machine can be read', () => {
    expect(() => mountTrouble(folder)).not.toThrow();
  });
});

/** The process that looks gives way to everything else. */
describe('the whole file', { timeout: 120_000 }, () => {
  function filled(): { folder: string; journal: Journal } {
    const folder = freshFolder();
    const journal = new Journal(folder);
    for (let n = 0; n < 5; n++)
      journal.commit({ ...NOTHING, events: eventsOf(...Array(100).fill('x'.repeat(500))) }, STAMP);
    journal.tidy();
    return { folder, journal };
  }

  /** In the middle of the table, where no start looks. */
  function damage(folder: string): void {
    const db = new Database(join(folder, 'journal.db'), { readonly: true });
    const pages = db
      .prepare(`SELECT pageno FROM dbstat WHERE name = 'event' ORDER BY pageno`)
      .pluck()
      .all() as number[];
    db.close();
    const page = pages[Math.floor(pages.length / 2)] ?? 1;
    const bytes = readFileSync(join(folder, 'journal.db'));
    writeFileSync(join(folder, 'journal.db'), bytes.fill(0xa5, (page - 1) * 4096, page * 4096));
  }

  test('that is sound is found to be so, also while it is in use', async () => {
    const { folder, journal } = filled();
    expect(await checkIntegrity(folder).found).toBeNull();
    journal.close();
  });

  test('with a damaged page that nobody has read is found out, and a new one begins', async () => {
    const { folder, journal: first } = filled();
    first.setEventsSentTo(499);
    first.close();
    damage(folder);
    const journal = new Journal(folder);
    expect(journal.takeNews()).toEqual([]);
    const found = await checkIntegrity(folder).found;
    expect(found).toMatch(/malformed|btree|page/i);
    const keeper = new Keeper(journal, handClock(), silentLog);
    keeper.beginAnew(found ?? '');
    expect(keeper.failure).toBeNull();
    expect(keeper.takeNews()).toMatchObject([{ kind: 'replaced' }]);
    expect(await checkIntegrity(folder).found).toBeNull();
    expect(journal.commit({ ...NOTHING, events: eventsOf('next') }, STAMP)[0]?.sequence).toBe(501);
    expect(verifyEvents(folder).broken).toBeNull();
    journal.close();
  });

  test('is given up at a stop', async () => {
    const { folder, journal } = filled();
    const check = checkIntegrity(folder);
    check.stop();
    expect(await check.found).toBeNull();
    journal.close();
  });
});
