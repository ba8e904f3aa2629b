// The measurement history on real files: what goes in comes out, in minutes and in longer spans, it is bounded whatever
// the clock says, and a damaged file is set aside.
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConductorReading, FeederReading } from '../../src/feeder.ts';
import { History, setHistoryAside } from '../../src/journal/history.ts';
import { disturbanceRecord, disturbances, historyFeeders, historySpans } from '../../src/journal/history-reader.ts';
import { type FeederMinute, MINUTE_MS, Minutes } from '../../src/journal/minutes.ts';
import { RING_READINGS, Ring, unpack } from '../../src/journal/samples.ts';
import { freshFolder } from './site.ts';

const opened: History[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function open(bounds = {}, folder = freshFolder()): { history: History; folder: string } {
  mkdirSync(folder, { recursive: true });
  const history = new History(folder, { days: 30, feeders: 1, maxBytes: 1e9, ...bounds });
  opened.push(history);
  return { history, folder };
}

const good = (currentA: number): ConductorReading => ({ currentA, quality: 'good', reason: null });
const uncertain = (currentA: number): ConductorReading => ({ currentA, quality: 'uncertain', reason: 'overCtRange' });
const BAD: ConductorReading = { currentA: null, quality: 'bad', reason: 'noAnswer' };

function reading(L1: ConductorReading, atMs = 0, feederId = 'F1'): FeederReading {
  return { feederId, sourceId: 'meter', atMs, L1, L2: good(20), L3: good(30), N: BAD, exporting: [] };
}

/** One minute with these currents on L1. */
function minute(at: number, currents: ConductorReading[], { feederId = 'F1', synchronised = true } = {}): FeederMinute {
  const minutes = new Minutes(feederId);
  for (const one of currents) minutes.add(reading(one), at * MINUTE_MS, synchronised);
  const over = minutes.end();
  if (over === null) throw new Error('no reading');
  return over;
}

const NEUTRAL = { minA: null, avgA: null, maxA: null, quality: 'bad' };

describe('a minute', () => {
  test('ends with the first reading of another one, whichever way the clock went', () => {
    const minutes = new Minutes('F1');
    expect(minutes.add(reading(good(10)), 5.5 * MINUTE_MS, true)).toBeNull();
    expect(minutes.add(reading(uncertain(40)), 5.9 * MINUTE_MS, true)).toBeNull();
    expect(minutes.add(reading(BAD), 6.0 * MINUTE_MS, true)).toMatchObject({
      startMs: 5 * MINUTE_MS,
      L1: { minA: 10, avgA: 25, maxA: 40, usable: 2, uncertain: 1, bad: 0 },
    });
    expect(minutes.add(reading(good(1)), 2 * MINUTE_MS, false)).toMatchObject({
      startMs: 6 * MINUTE_MS,
      clockSynchronised: true,
      L1: { minA: null, avgA: null, maxA: null, usable: 0, uncertain: 0, bad: 1 },
    });
    expect(minutes.isOver(2.5 * MINUTE_MS)).toBe(false);
    expect(minutes.isOver(3 * MINUTE_MS)).toBe(true);
    expect(minutes.end()).toMatchObject({ startMs: 2 * MINUTE_MS, clockSynchronised: false });
    expect(minutes.end()).toBeNull();
  });
});

describe('spans', () => {
  test('minutes come back as they went in, to a hundredth of an ampere, and nothing unknown is 0', () => {
    const { history, folder } = open();
    history.keepMinutes([
      minute(100, [good(0), good(10.004), good(385.126)]),
      minute(101, [BAD]),
      minute(102, [uncertain(7)], { synchronised: false }),
      minute(100, [good(99)], { feederId: 'F2' }),
    ]);
    expect(historyFeeders(folder)).toEqual(['F1', 'F2']);
    const calm = (currentA: number) => ({ minA: currentA, avgA: currentA, maxA: currentA, quality: 'good' });
    expect([...historySpans(folder, { feederId: 'F1' })]).toEqual([
      {
        feederId: 'F1',
        startMs: 100 * MINUTE_MS,
        clockSynchronised: true,
        L1: { minA: 0, avgA: 131.71, maxA: 385.13, quality: 'good' },
        L2: calm(20),
        L3: calm(30),
        N: NEUTRAL,
      },
      expect.objectContaining({ startMs: 101 * MINUTE_MS, L1: { minA: null, avgA: null, maxA: null, quality: 'bad' } }),
      expect.objectContaining({
        startMs: 102 * MINUTE_MS,
        clockSynchronised: false,
        L1: { minA: 7, avgA: 7, maxA: 7, quality: 'uncertain' },
      }),
    ]);
    expect([...historySpans(folder, { feederId: 'F9' })]).toEqual([]);
  });

  test('longer ones join minutes by their readings, also minutes with the same label', () => {
    const { history, folder } = open();
    history.keepMinutes([
      minute(119, [good(1)]),
      minute(120, [good(10), good(20), good(30)]),
      minute(150, [good(60)]),
      // The clock was set back by an hour: this minute is lived a second time.
      minute(120, [BAD]),
      minute(180, [good(5)]),
    ]);
    const hours = [...historySpans(folder, { feederId: 'F1', everyMin: 60 })];
    expect(hours.map(({ startMs, L1 }) => [startMs / MINUTE_MS, L1.minA, L1.avgA, L1.maxA, L1.quality])).toEqual([
      [60, 1, 1, 1, 'good'],
      [120, 10, 30, 60, 'uncertain'],
      [180, 5, 5, 5, 'good'],
    ]);
    const some = [...historySpans(folder, { feederId: 'F1', fromMs: 120 * MINUTE_MS, toMs: 180 * MINUTE_MS })];
    expect(some.map(({ startMs }) => startMs / MINUTE_MS)).toEqual([120, 150]);
  });

  test('a month is read in pieces, in order and whole', () => {
    const { history, folder } = open();
    const all = Array.from({ length: 43_200 }, (_, n) => minute(29_000_000 + n, [good(n % 400)]));
    history.keepMinutes(all);
    let next = 29_000_000;
    for (const { startMs } of historySpans(folder, { feederId: 'F1' })) expect(startMs).toBe(next++ * MINUTE_MS);
    expect(next).toBe(29_043_200);
    // Some 90 bytes a minute of a feeder.
    expect(history.bytes() / 43_200).toBeLessThan(120);
  });

  test('a folder without history is said to be one', () => {
    expect(() => historyFeeders('/nowhere')).toThrow(
      '/nowhere has no history.db, expected the journal folder of a controller',
    );
  });
});

describe('a disturbance record', () => {
  test('holds what was read, at the pace at which it was read', () => {
    const { history, folder } = open();
    const ring = new Ring();
    for (let n = 0; n < 4; n++) ring.push(reading(n === 2 ? BAD : good(n * 100 + 0.5), 1_000 + n * 200.125));
    const record = history.beginDisturbance({
      feederId: 'F1',
      trigger: 'pickup atRisk L1',
      triggerMs: 1_400,
      triggerWallMs: 5_000,
      start: null,
      clockSynchronised: true,
    });
    history.keepPiece({ record, samples: ring.pack(ring.since(1_150), 1_400), inputs: [], last: false });
    expect(disturbances(folder)).toMatchObject([{ id: record, complete: false }]);
    ring.push(reading(uncertain(450), 1_800.25));
    history.keepPiece({ record, samples: ring.pack(4, 1_400), inputs: [], last: true });
    expect(disturbances(folder, 'F1')).toEqual([
      {
        id: record,
        feederId: 'F1',
        trigger: 'pickup atRisk L1',
        triggerMs: 5_000,
        clockSynchronised: true,
        complete: true,
      },
    ]);
    expect(disturbances(folder, 'F2')).toEqual([]);
    const samples = disturbanceRecord(folder, record).samples;
    expect(samples.map(({ offsetMs, L1 }) => [offsetMs, L1.currentA, L1.quality])).toEqual([
      [-199.875, 100.5, 'good'],
      [0.25, null, 'bad'],
      [200.375, 300.5, 'good'],
      [400.25, 450, 'uncertain'],
    ]);
    expect(samples[0]?.N).toEqual({ currentA: null, quality: 'bad' });
  });

  test('from a ring that has come round begins with the oldest that is left', () => {
    const ring = new Ring();
    for (let n = 0; n < RING_READINGS + 10; n++) ring.push(reading(good(n), n));
    expect(ring.since(0)).toBe(10);
    expect(ring.since(RING_READINGS + 9)).toBe(RING_READINGS + 9);
    expect(ring.since(RING_READINGS + 10)).toBe(ring.count);
    const samples = unpack(ring.pack(0, 0));
    expect(samples).toHaveLength(RING_READINGS);
    expect(samples[0]).toMatchObject({ offsetMs: 10, L1: { currentA: 10 } });
    expect(samples.at(-1)?.offsetMs).toBe(RING_READINGS + 9);
  });

  test('half a sample is no sample', () => {
    expect(() => unpack(new Uint8Array(30))).toThrow(/has 30 bytes, expected a multiple of 24/);
  });
});

describe('bounds', () => {
  const cleaned = (history: History) => {
    let bites = 1;
    while (history.clean()) bites += 1;
    return bites;
  };

  test('what is older than the days goes with its disturbance records, a bite at a time', () => {
    const { history, folder } = open({ days: 1 });
    const add = (from: number, count: number) =>
      history.keepMinutes(Array.from({ length: count }, (_, n) => minute(from + n, [good(1)])));
    const record = (wallMs: number) =>
      history.beginDisturbance({
        feederId: 'F1',
        trigger: 'pickup',
        triggerMs: 1_400,
        triggerWallMs: wallMs,
        start: null,
        clockSynchronised: true,
      });
    add(1_000, 100);
    history.keepPiece({ record: record(1), samples: new Uint8Array(24), inputs: [], last: true });
    add(1_100, 2_000);
    history.keepPiece({ record: record(2), samples: new Uint8Array(24), inputs: [], last: true });
    expect(cleaned(history)).toBeGreaterThan(1);
    const left = [...historySpans(folder, { feederId: 'F1' })];
    expect(left).toHaveLength(1_440);
    expect(left.at(-1)?.startMs).toBe(3_099 * MINUTE_MS);
    expect(disturbances(folder).map(({ triggerMs }) => triggerMs)).toEqual([2]);
    expect(disturbanceRecord(folder, 1)).toEqual({ samples: [], start: null, inputs: [] });
    expect(disturbanceRecord(folder, 2).samples).toHaveLength(1);
  });

  test('a clock that is a year ahead for an hour empties nothing, and one a day back neither', () => {
    const { history, folder } = open({ days: 1 });
    const lived = [...span(1_000, 60), ...span(526_600, 60), ...span(1_120, 60), ...span(-320, 60)];
    history.keepMinutes(lived.map((at) => minute(at, [good(1)])));
    expect(cleaned(history)).toBe(1);
    expect([...historySpans(folder, { feederId: 'F1' })]).toHaveLength(240);
  });

  test('what is larger than allowed gives up its oldest, and the file does not grow on', () => {
    const maxBytes = 400_000;
    const { history, folder } = open({ maxBytes });
    const sizes: number[] = [];
    for (let round = 0; round < 30; round++) {
      history.keepMinutes(span(round * 1_000, 1_000).map((at) => minute(at, [good(1)])));
      cleaned(history);
      history.checkpoint();
      sizes.push(statSync(join(folder, 'history.db')).size);
    }
    expect(history.bytes()).toBeLessThanOrEqual(maxBytes);
    expect(Math.max(...sizes)).toBeLessThan(maxBytes + 250_000);
    expect([...historySpans(folder, { feederId: 'F1' })].at(-1)?.startMs).toBe(29_999 * MINUTE_MS);
  });

  test('records alone are bounded too', () => {
    const { history, folder } = open({ maxBytes: 300_000 });
    for (let n = 0; n < 50; n++) {
      const record = history.beginDisturbance({
        feederId: 'F1',
        trigger: 'pickup',
        triggerMs: 1_400,
        triggerWallMs: n,
        start: null,
        clockSynchronised: true,
      });
      history.keepPiece({ record, samples: new Uint8Array(24 * 1_000), inputs: [], last: true });
      cleaned(history);
    }
    expect(history.bytes()).toBeLessThanOrEqual(300_000);
    expect(disturbances(folder).at(-1)?.triggerMs).toBe(49);
  });

  test('the WAL is asked to go into the file, and is empty after', () => {
    const { history, folder } = open();
    expect(history.wantsCheckpoint).toBe(false);
    history.keepMinutes(span(0, 50_000).map((at) => minute(at, [good(1)])));
    expect(history.wantsCheckpoint).toBe(true);
    history.checkpoint();
    expect(statSync(join(folder, 'history.db-wal')).size).toBe(0);
  });
});

function span(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => from + n);
}

describe('a file that will not do', () => {
  test('of a newer program is refused in one line', () => {
    const { history, folder } = open();
    history.close();
    opened.length = 0;
    const db = new Database(join(folder, 'history.db'));
    db.pragma('user_version = 99');
    db.close();
    expect(() => open({}, folder)).toThrow(
      /history.db is of version 99, expected at most 2: a newer program wrote it$/,
    );
  });

  test('is set aside, one at a time, and a new one begins', () => {
    const folder = freshFolder();
    mkdirSync(folder, { recursive: true });
    for (const word of ['first', 'second']) {
      writeFileSync(join(folder, 'history.db'), `${word} no database`.repeat(100));
      expect(() => open({}, folder)).toThrow(/not a database/);
      setHistoryAside(folder);
      expect(existsSync(join(folder, 'history.db'))).toBe(false);
      expect(statSync(join(folder, 'history.db.damaged')).size).toBe(`${word} no database`.length * 100);
    }
    open({}, folder).history.keepMinutes([minute(1, [good(1)])]);
    expect(historyFeeders(folder)).toEqual(['F1']);
  });
});
