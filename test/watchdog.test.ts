// The watchdog on a clock moved by hand: what it sees of a program that stands still, and of sources whose scans stop.
import { expect, test } from 'vitest';
import { Watchdog } from '../src/watchdog.ts';
import { handClock } from './simulators/hand-clock.ts';

/** Two sources polled once a second, overdue after 3.5 s; the program ends after 60 s. */
function site() {
  const clock = handClock(1_000);
  const alarms: string[] = [];
  const expired: string[] = [];
  let scans = 0;
  const expected = { periodMs: 1_000, overdueMs: 3_500 };
  const watchdog = new Watchdog({
    clock,
    sources: new Map([
      ['meter-1', expected],
      ['meter-2', expected],
    ]),
    stallMs: 1_000,
    limitMs: 60_000,
    alarm: (alarm, what, standing) => void alarms.push(`${what}/${alarm}${standing ? '' : ' over'}`),
    scanned: () => {
      scans += 1;
    },
    expired: (reason) => void expired.push(reason),
  });
  const live = (seconds: number, ...sourceIds: string[]) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      for (const sourceId of sourceIds) watchdog.scanned(sourceId);
    }
  };
  return { clock, watchdog, alarms, expired, live, scans: () => scans };
}

test('scans that go on are no alarm, and each is passed on', () => {
  const { alarms, expired, live, scans, watchdog } = site();
  live(300, 'meter-1', 'meter-2');
  expect(alarms).toEqual([]);
  expect(expired).toEqual([]);
  expect(scans()).toBe(600);
  expect(watchdog.figures).toEqual({ stalls: 0, longestStallMs: 0, missedScans: 0 });
});

test('a source that completes none is named, and its missed scans are counted', () => {
  const { alarms, expired, live, watchdog } = site();
  live(10, 'meter-1', 'meter-2');
  live(90, 'meter-1');
  expect(alarms).toEqual(['meter-2/scansMissed']);
  live(1, 'meter-1', 'meter-2');
  expect(alarms).toEqual(['meter-2/scansMissed', 'meter-2/scansMissed over']);
  expect(watchdog.figures.missedScans).toBe(91);
  // The other source goes on: no new start would help.
  expect(expired).toEqual([]);
});

test('of a source that does not answer no scans are missed: that it is silent is an alarm already', () => {
  const { alarms, live, watchdog } = site();
  live(10, 'meter-1', 'meter-2');
  watchdog.answering('meter-2', false);
  live(90, 'meter-1');
  expect(alarms).toEqual([]);
  watchdog.answering('meter-2', true);
  live(10, 'meter-1');
  expect(alarms).toEqual(['meter-2/scansMissed']);
});

test('a program that stood still says for how long, once it goes on', () => {
  const { clock, alarms, expired, live, watchdog } = site();
  live(10, 'meter-1', 'meter-2');
  clock.stall(5_000);
  live(30, 'meter-1', 'meter-2');
  expect(alarms).toEqual(['program/stalled']);
  expect(watchdog.figures.stalls).toBe(1);
  expect(watchdog.figures.longestStallMs).toBeGreaterThan(4_700);
  live(60, 'meter-1', 'meter-2');
  expect(alarms).toEqual(['program/stalled', 'program/stalled over']);
  expect(expired).toEqual([]);
});

test('a pause shorter than the limit of a stall is none', () => {
  const { clock, alarms, live } = site();
  live(10, 'meter-1', 'meter-2');
  clock.stall(900);
  live(100, 'meter-1', 'meter-2');
  expect(alarms).toEqual([]);
});

test('without any scan for longer than the limit the program has to end, once', () => {
  const { clock, expired, live } = site();
  live(10, 'meter-1', 'meter-2');
  clock.advance(60_000);
  expect(expired).toEqual([]);
  clock.advance(250);
  expect(expired).toEqual(['no scan of any source completed for 60 s']);
  clock.advance(600_000);
  expect(expired).toHaveLength(1);
});

test('the limit counts from the start, where no scan ever comes', () => {
  const { clock, expired } = site();
  clock.advance(59_000);
  expect(expired).toEqual([]);
  clock.advance(2_000);
  expect(expired).toHaveLength(1);
});

test('after a standstill longer than the limit the sources get their turn before it is judged', () => {
  const { clock, expired, live } = site();
  live(10, 'meter-1', 'meter-2');
  clock.stall(120_000);
  clock.advance(0);
  live(10, 'meter-1', 'meter-2');
  expect(expired).toEqual([]);
});

test('closed, it says nothing more', () => {
  const { clock, watchdog, alarms, expired } = site();
  watchdog.close();
  clock.advance(600_000);
  expect([alarms, expired]).toEqual([[], []]);
});
