// Averages, extremes and quality over an interval; when one is said, and how late.
import { describe, expect, test } from 'vitest';
import type { ConductorReading, FeederReading } from '../src/feeder.ts';
import { Interval } from '../src/interval.ts';
import { TelemetryIntervals } from '../src/telemetry.ts';
import { type Telemetry, telemetrySchema } from '../src/telemetry-message.ts';
import { type HandClock, handClock } from './simulators/hand-clock.ts';

const FRESH_MS = 2_000;
const START_MS = Date.parse('2026-01-15T17:03:20.000Z');

function conductor(currentA: number | null, quality?: 'uncertain'): ConductorReading {
  if (currentA === null) return { currentA, quality: 'bad', reason: 'noAnswer' };
  return quality === undefined
    ? { currentA, quality: 'good', reason: null }
    : { currentA, quality, reason: 'overCtRange' };
}
function reading(atMs: number, L1: ConductorReading, rest: ConductorReading = conductor(100)): FeederReading {
  return { feederId: 'F1', sourceId: 'm', atMs, L1, L2: rest, L3: rest, N: conductor(null), exporting: [] };
}

describe('an interval', () => {
  test.each<[string, [atMs: number, currentA: number | null][], number, Partial<Telemetry>]>([
    [
      'a steady current',
      [
        [0, 200],
        [1_000, 200],
      ],
      2_000,
      { L1: { averageA: 200, minA: 200, maxA: 200, quality: 'good' } },
    ],
    [
      'time, not the number of readings',
      [
        [0, 100],
        [1_000, 300],
        [1_100, 300],
        [1_200, 300],
        [1_300, 300],
      ],
      2_000,
      { L1: { averageA: 200, minA: 100, maxA: 300, quality: 'good' } },
    ],
    [
      'no gap longer than readings stay fresh',
      [
        [0, 100],
        [100_000, 300],
      ],
      102_000,
      { L1: { averageA: 200, minA: 100, maxA: 300, quality: 'good' } },
    ],
    ['one reading alone', [[0, 250]], 0, { L1: { averageA: 250, minA: 250, maxA: 250, quality: 'good' } }],
    ['nothing', [], 1_000, { L1: null, L2: null, readings: 0 }],
    [
      'nothing usable',
      [
        [0, null],
        [1_000, null],
      ],
      2_000,
      { L1: null, N: null, readings: 2 },
    ],
    [
      'what is usable between what is not',
      [
        [0, 100],
        [1_000, null],
        [2_000, 200],
      ],
      3_000,
      { L1: { averageA: 150, minA: 100, maxA: 200, quality: 'bad' } },
    ],
  ])('counts %s', (_name, readings, closeMs, expected) => {
    const interval = new Interval(FRESH_MS);
    for (const [atMs, currentA] of readings) interval.take(reading(atMs, conductor(currentA)));
    expect(interval.close(closeMs)).toMatchObject(expected);
  });

  test('a single doubtful reading in a thousand is not the quality of them all', () => {
    const interval = new Interval(FRESH_MS);
    for (let n = 0; n < 1_000; n++) interval.take(reading(n, conductor(100, n < 10 ? 'uncertain' : undefined)));
    expect(interval.close(1_000).L1?.quality).toBe('good');
    for (let n = 0; n < 1_000; n++) interval.take(reading(n, conductor(100, n < 11 ? 'uncertain' : undefined)));
    expect(interval.close(2_000).L1?.quality).toBe('uncertain');
  });

  test('the last reading of one holds on into the next', () => {
    const interval = new Interval(FRESH_MS);
    interval.take(reading(0, conductor(100)));
    interval.close(1_000);
    interval.take(reading(2_000, conductor(300)));
    expect(interval.close(3_000).L1).toEqual({ averageA: 200, minA: 300, maxA: 300, quality: 'good' });
  });
});

interface Said {
  readonly message: Telemetry;
  readonly waitMs: number;
}

function feeder(settings: object = {}, random = 0.5) {
  const clock = handClock(START_MS);
  const said: Said[] = [];
  const outlook = { state: 'normal', levelPercent: 100 };
  const intervals = new TelemetryIntervals(
    'SUB-1',
    { telemetryS: 600, telemetryChangePercent: 20, ...settings },
    [{ feederId: 'F1', ratingA: 400, freshMs: FRESH_MS, outlook: () => ({ ...outlook }) }],
    clock,
    () => random,
    (message, waitMs) => void said.push({ message: telemetrySchema.parse(message), waitMs }),
  );
  return {
    clock,
    said,
    outlook,
    live: (seconds: number, currentA: number) => live(intervals, clock, seconds, currentA),
  };
}

function live(intervals: TelemetryIntervals, clock: HandClock, seconds: number, currentA: number): void {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1_000);
    intervals.take(reading(clock.monotonicMs(), conductor(currentA)));
    intervals.tick();
  }
}

describe('what is said', () => {
  test('ends on whole multiples of the interval, goes out by a draw, and leaves no time out', () => {
    const { said, live } = feeder();
    live(1_600, 200);
    expect(said.map(({ message }) => [message.start, message.end, message.reason])).toEqual([
      ['2026-01-15T17:03:20.000Z', '2026-01-15T17:10:00.000Z', 'interval'],
      ['2026-01-15T17:10:00.000Z', '2026-01-15T17:20:00.000Z', 'interval'],
      ['2026-01-15T17:20:00.000Z', '2026-01-15T17:30:00.000Z', 'interval'],
    ]);
    expect(said.map(({ waitMs }) => waitMs)).toEqual([30_000, 30_000, 30_000]);
    expect(said[1]?.message).toMatchObject({
      readings: 600,
      L1: { averageA: 200 },
      state: 'normal',
      levelPercent: 100,
    });
  });

  test('comes sooner when the level changes, at most once a minute', () => {
    const { said, outlook, live } = feeder();
    live(400, 200);
    outlook.levelPercent = 0;
    live(10, 200);
    outlook.levelPercent = 50;
    live(30, 200);
    expect(said.map(({ message }) => message.reason)).toEqual(['interval', 'change']);
    expect(said[1]?.waitMs).toBe(0);
    live(30, 200);
    expect(said.map(({ message }) => message.levelPercent)).toEqual([100, 0, 50]);
    expect(said.map(({ message }) => message.start).slice(1)).toEqual(
      said.map(({ message }) => message.end).slice(0, 2),
    );
  });

  test.each([
    ['79 A of 400 A', {}, 279, 0],
    ['81 A of 400 A', {}, 281, 1],
    ['81 A, where only states count', { telemetryChangePercent: 0 }, 281, 0],
  ])('a move by %s', (_name, settings, toA, extras) => {
    const { said, live } = feeder(settings);
    live(400, 200);
    live(100, toA);
    expect(said.filter(({ message }) => message.reason === 'change')).toHaveLength(extras);
  });

  test('a pickup that comes to nothing is worth no message', () => {
    const { said, outlook, live } = feeder();
    live(400, 200);
    outlook.state = 'pickingUp';
    live(100, 200);
    expect(said).toHaveLength(1);
    outlook.state = 'blind';
    live(1, 200);
    expect(said).toHaveLength(2);
  });

  test('a wall clock that is set back does not silence it', () => {
    const clock = handClock(START_MS);
    let wallOffsetMs = 0;
    const said: Telemetry[] = [];
    const intervals = new TelemetryIntervals(
      'SUB-1',
      { telemetryS: 600, telemetryChangePercent: 20 },
      [{ feederId: 'F1', ratingA: 400, freshMs: FRESH_MS, outlook: () => ({ state: 'normal', levelPercent: 100 }) }],
      { ...clock, wallMs: () => clock.monotonicMs() + wallOffsetMs },
      () => 0,
      (message) => void said.push(message),
    );
    live(intervals, clock, 100, 200);
    wallOffsetMs = -86_400_000;
    live(intervals, clock, 700, 200);
    expect(said.length).toBeGreaterThanOrEqual(2);
  });

  test('nothing at all where it is off', () => {
    const { said, outlook, live } = feeder({ telemetryS: 0 });
    live(700, 200);
    outlook.levelPercent = 0;
    live(700, 400);
    expect(said).toEqual([]);
  });
});
