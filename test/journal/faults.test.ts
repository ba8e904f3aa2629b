// A disk that fails while the journal is in use, by the system's own calls: what could not be written is known to be
// undurable, nothing is given up but what memory does not hold, which is counted, and everything is there in its order once the disk works again.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Journal } from '../../src/journal/journal.ts';
import { verifyEvents } from '../../src/journal/reader.ts';
import { Keeper } from '../../src/keeper.ts';
import { silentLog } from '../../src/log.ts';
import { handClock } from '../simulators/hand-clock.ts';
import { breakable, fragileDisk } from './mounts.ts';
import { eventsOf, freshFolder, NOTHING, storedRequest } from './site.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-faults-'));
const library = join(scratch, 'faulty-disk.so');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function hasCompiler(): boolean {
  const found = spawnSync('gcc', ['--version']).status === 0;
  if (!found) process.stderr.write('skipped: gcc is not installed, no disk can be made to fail\n');
  return found || process.env.CI === 'true';
}

describe.skipIf(!hasCompiler())('a disk that fails', () => {
  beforeAll(() => {
    const source = join(import.meta.dirname, 'faulty-disk.c');
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  });

  test.each(['write EIO', 'write EROFS', 'write ENOSPC', 'sync EIO'])('with %s', (fault) => {
    const folder = freshFolder();
    const faultFile = join(scratch, 'fault');
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, 'faults-process.ts'), folder, faultFile, fault],
      { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: library, FAULT_FILE: faultFile } },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      during: expect.stringMatching(/disk I\/O error|disk is full|readonly/),
      after: null,
      isDurable: true,
      words: ['limit 1', 'limit 2', 'limit 3'],
      requests: [{ sequence: 3, ackStatus: null }],
      states: [{ number: 3 }],
      acks: 1_000,
      oldestAck: '"4"',
      news: [[], [{ kind: 'dropped', what: 'ack', count: 3 }], []],
      proof: { events: 3, broken: null, reason: null },
    });
    // And after a restart.
    const journal = new Journal(folder);
    expect(journal.takeNews()).toEqual([]);
    expect(journal.lastSequence()).toBe(3);
    expect(verifyEvents(folder)).toEqual({ events: 3, broken: null, reason: null });
    journal.close();
  });
});

test.skipIf(!breakable())(
  'a file system that the kernel makes read-only for good: from memory, then on the disk that is mounted in its place',
  () => {
    const root = join(scratch, 'ext4');
    const disk = fragileDisk(root);
    const folder = join(root, 'journal');
    const journal = new Journal(folder);
    const clock = handClock();
    const keeper = new Keeper(journal, clock, silentLog);
    const decide = (sequence: number) =>
      keeper.commit({
        ...NOTHING,
        states: [{ feederId: 'F1', state: { sequence } }],
        requests: [storedRequest(sequence, 'F1')],
        events: eventsOf(`limit ${sequence}`),
      });
    try {
      decide(1);
      keeper.settle();
      disk.breakDown();
      decide(2);
      const ack = { feederId: 'F1', requestId: 'request-2', sequence: 2, status: 'accepted', body: '"ok"' };
      keeper.keep('ack', (one) => one.keepAck(ack, 5));
      keeper.retry();
      expect(keeper.failure).toMatch(/disk I\/O error|readonly|read-only/);
      // What is kept can still be read, and is.
      expect(journal.latestRequests()).toMatchObject([{ sequence: 1 }]);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', root]);
      clock.advance(30_000);
      keeper.tidy();
      keeper.retry();
      keeper.keepProgress();
      expect(keeper.failure).toBeNull();
      expect(journal.latestRequests()).toMatchObject([{ sequence: 2, ackStatus: 'accepted' }]);
      expect(journal.states()).toMatchObject([{ state: { sequence: 2 } }]);
      expect(verifyEvents(folder)).toEqual({ events: 2, broken: null, reason: null });
    } finally {
      journal.close();
      spawnSync('umount', [root]);
      disk.remove();
    }
  },
);
