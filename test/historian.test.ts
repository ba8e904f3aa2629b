// The historian on real files, with time moved by hand: what it makes of readings and events, when it writes, and what
// happens where it cannot.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { FeederReading } from '../src/feeder.ts';
import { Historian } from '../src/historian.ts';
import { disturbanceRecord, disturbances, historySpans } from '../src/journal/history-reader.ts';
import { silentLog } from '../src/log.ts';
import type { Event } from '../src/messages.ts';
import { handClock } from './simulators/hand-clock.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-historian-'));
const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0).reverse()) close();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const START_MS = 10_000_000 * 60_000;

function start(given: { folder?: string } = {}) {
  const folder = given.folder ?? mkdtempSync(join(scratch, 'journal-'));
  const clock = handClock(START_MS);
  const troubles: (string | null)[] = [];
  const mood = { quiet: true, atRest: true };
  const site = {
    folder,
    clock,
    troubles,
    mood,
    historian: new Historian({
      folder,
      bounds: { days: 30, feeders: 1, maxBytes: 1e8 },
      clock,
      log: silentLog,
      isQuiet: () => mood.quiet,
      controlNow: () => null,
      isFeederQuiet: () => mood.atRest,
      trouble: (reason) => void troubles.push(reason),
    }),
    /** Readings every `everyMs`. */
    live(currentA: number, seconds: number, everyMs = 1_000) {
      for (let ms = 0; ms < seconds * 1_000; ms += everyMs) {
        clock.advance(everyMs);
        site.historian.reading(readingOf(currentA, clock.monotonicMs()));
      }
    },
    minutes: () => [...historySpans(folder, { feederId: 'F1' })],
    records: () => disturbances(folder),
  };
  let closed = false;
  const close = () => {
    if (!closed) site.historian.close();
    closed = true;
  };
  opened.push(close);
  return { ...site, close };
}

function readingOf(currentA: number, atMs: number): FeederReading {
  const at = { currentA, quality: 'good', reason: null } as const;
  return { feederId: 'F1', sourceId: 'meter', atMs, L1: at, L2: at, L3: at, N: at, exporting: [] };
}

function eventOf(type: Event['type'], more: Partial<Event> = {}): Event {
  return {
    schema: 'headroom/v1/event',
    sequence: 1,
    at: '2026-01-15T17:00:00.000Z',
    substationId: 'SUB-1',
    feederId: 'F1',
    type,
    reason: 'test',
    clockSynchronised: true,
    ...more,
  };
}

describe('minutes', () => {
  test('wait for five minutes and a quiet moment, no longer than fifteen', () => {
    const { mood, clock, minutes, live } = start();
    live(100, 299);
    expect(minutes()).toHaveLength(0);
    live(100, 2);
    expect(minutes()).toHaveLength(5);
    mood.quiet = false;
    live(200, 600);
    expect(minutes()).toHaveLength(5);
    live(200, 301);
    expect(minutes()).toHaveLength(20);
    expect(minutes()[7]).toMatchObject({ startMs: START_MS + 7 * 60_000, L2: { minA: 200, avgA: 200, maxA: 200 } });
    expect(clock.monotonicMs() - START_MS).toBe(1_202_000);
  });

  test('of a stop are written, the begun one too', () => {
    const { live, close, minutes } = start();
    live(100, 90);
    close();
    expect(minutes().map(({ startMs }) => startMs - START_MS)).toEqual([0, 60_000]);
  });

  test('of a feeder that has fallen silent are written with the next batch', () => {
    const { live, clock, minutes } = start();
    live(100, 10);
    clock.advance(300_000);
    expect(minutes()).toHaveLength(1);
  });
});

describe('a disturbance record', () => {
  test('goes from half a minute before the pickup to half a minute after the last event', () => {
    const { historian, clock, live, records, folder } = start();
    live(300, 60, 200);
    historian.event(eventOf('pickup', { element: 'atRisk', phase: 'L2' }));
    const triggerMs = clock.monotonicMs();
    live(360, 20, 200);
    historian.event(eventOf('operate', { element: 'atRisk', phase: 'L2' }));
    live(290, 29, 200);
    expect(records()).toEqual([
      {
        id: 1,
        feederId: 'F1',
        trigger: 'pickup atRisk L2',
        triggerMs,
        clockSynchronised: true,
        complete: false,
      },
    ]);
    live(290, 10, 200);
    expect(records()).toMatchObject([{ complete: true }]);
    const samples = disturbanceRecord(folder, 1).samples;
    expect([samples[0]?.offsetMs, samples[0]?.L1.currentA]).toEqual([-30_000, 300]);
    expect(samples.at(-1)?.offsetMs).toBeGreaterThanOrEqual(49_800);
    expect(samples).toHaveLength((30_000 + (samples.at(-1)?.offsetMs ?? 0)) / 200 + 1);
    const peak = samples.filter(({ L2 }) => L2.currentA === 360);
    expect([peak[0]?.offsetMs, peak.at(-1)?.offsetMs]).toEqual([200, 20_000]);
  });

  test('is there within a second of the pickup, with what was before it, should the program be killed then', () => {
    const { historian, live, records, folder } = start();
    live(300, 60);
    historian.event(eventOf('pickup'));
    live(360, 1);
    expect(records()).toMatchObject([{ complete: false }]);
    expect(disturbanceRecord(folder, 1).samples.length).toBeGreaterThan(29);
  });

  test('of a long episode ends; the next event begins another', () => {
    const { historian, live, records, folder } = start();
    historian.event(eventOf('limit'));
    for (let n = 0; n < 20; n++) {
      live(360, 20, 20);
      historian.event(eventOf('limit'));
    }
    live(100, 40, 20);
    expect(records().length).toBeGreaterThan(1);
    for (const { id, complete } of records()) {
      expect(complete).toBe(true);
      expect(disturbanceRecord(folder, id).samples.length).toBeLessThan(18_300);
    }
  });

  test.each([
    ['an alarm', eventOf('alarm', { alarm: 'noAck' })],
    ['an event of no feeder', eventOf('restart', { feederId: null })],
    ['a request told of later', eventOf('limit', { historical: true })],
  ])('is not begun by %s', (_name, event) => {
    const { historian, live, close, folder } = start();
    live(100, 5);
    historian.event(event);
    live(100, 5);
    close();
    expect(disturbances(folder)).toEqual([]);
  });
});

describe('a file that fails', () => {
  test('and is no database is set aside, with an alarm that ends at once', () => {
    const folder = mkdtempSync(join(scratch, 'journal-'));
    writeFileSync(join(folder, 'history.db'), 'no database'.repeat(1_000));
    const { live, minutes, troubles } = start({ folder });
    live(100, 301);
    expect(existsSync(join(folder, 'history.db.damaged'))).toBe(true);
    expect(troubles).toEqual([expect.stringContaining('not a database: the file is set aside'), null]);
    expect(minutes()).toHaveLength(5);
  });

  test('with damaged pages is set aside when they are met; what waits is kept in the new one', () => {
    const { folder, live, close } = start();
    live(100, 1_000);
    close();
    const bytes = readFileSync(join(folder, 'history.db'));
    writeFileSync(join(folder, 'history.db'), bytes.fill(0xa5, 4_096));
    const later = start({ folder });
    later.live(100, 303);
    expect(later.troubles).toEqual([expect.stringMatching(/malformed: the file is set aside/), null]);
    expect(later.minutes()).toHaveLength(5);
    expect(readFileSync(join(folder, 'history.db.damaged'))).toEqual(bytes);
  });

  test('moved away while it is in use begins anew, the old one is whole', () => {
    const { folder, live, minutes, troubles } = start();
    live(100, 301);
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    for (const ending of ['', '-wal', '-shm'])
      renameSync(join(folder, `history.db${ending}`), join(elsewhere, `history.db${ending}`));
    live(100, 300);
    expect(minutes()).toHaveLength(5);
    expect([...historySpans(elsewhere, { feederId: 'F1' })]).toHaveLength(5);
    expect(troubles).toEqual([]);
  });

  test('for want of its folder is tried again every minute, and what waited is kept then', () => {
    const { folder, live, minutes, troubles } = start();
    rmSync(folder, { recursive: true });
    live(100, 3_600);
    expect(troubles).toEqual([expect.stringMatching(/ENOENT/)]);
    mkdirSync(folder);
    live(100, 361);
    expect(troubles).toHaveLength(2);
    expect(troubles[1]).toBeNull();
    expect(minutes().length).toBeGreaterThanOrEqual(61);
  });
});
