// The caps between control and what is said: kept whatever control decides, and never in the way of less.
import { describe, expect, test } from 'vitest';
import type { ControlRequest } from '../src/control/types.ts';
import type { PerPhase } from '../src/feeder.ts';
import { HarmCaps } from '../src/harm-caps.ts';

const MINUTE_MS = 60_000;
const caps = { operationsPerDay: 2, requestsPerHour: 3, deepestLevelPercent: 20, longestLeaseS: 1800 };

function request(atMin: number, levelPercent: PerPhase<number>, more: Partial<ControlRequest> = {}): ControlRequest {
  const atMs = atMin * MINUTE_MS;
  const trigger = { element: 'atRisk', isUrgent: false, phase: 'L1', pickupA: 400, pickedUpMs: 0 };
  return {
    kind: 'request',
    action: 'limit',
    atMs,
    endMs: atMs + 20 * MINUTE_MS,
    levelPercent,
    trigger,
    ...more,
  } as ControlRequest;
}

const release = (atMin: number) => request(atMin, { L1: 100 }, { action: 'release' });
const refresh = (atMin: number, level: number, more: Partial<ControlRequest> = {}) =>
  request(atMin, { L1: level }, { action: 'refresh', ...more });

describe('what control says too much of', () => {
  test('is cut: the level and the lease', () => {
    const passed = new HarmCaps(0).pass('F1', caps, request(1, { L1: 0 }, { endMs: 999 * MINUTE_MS }));
    expect(passed).toMatchObject({ levelPercent: { L1: 20 }, endMs: 31 * MINUTE_MS });
  });

  test('is refused: requests in an hour, which a new hour forgives', () => {
    const guard = new HarmCaps(0);
    for (const level of [80, 70, 60])
      expect(guard.pass('F1', caps, request(90 - level, { L1: level }))).toBeTypeOf('object');
    expect(guard.pass('F1', caps, request(40, { L1: 50 }))).toBe('requestsPerHour 3');
    expect(guard.pass('F1', caps, refresh(41, 60))).toBe('requestsPerHour 3');
    expect(guard.pass('F1', caps, request(71, { L1: 50 }))).toBeTypeOf('object');
  });

  test('is not refused at the very instant that control waits for, whatever its fraction of a millisecond', () => {
    for (let n = 0; n < 100; n++) {
      const guard = new HarmCaps(0);
      const atMs = n / 7;
      for (const level of [80, 70, 60]) guard.pass('F1', caps, request(0, { L1: level }, { atMs, endMs: 8e6 }));
      const dueMs = atMs + 60 * MINUTE_MS;
      expect(guard.pass('F1', caps, request(0, { L1: 50 }, { atMs: dueMs, endMs: 8e6 }))).toBeTypeOf('object');
    }
  });

  test('is refused: first limits in a day, but for emergency and thermal', () => {
    const guard = new HarmCaps(0);
    for (const atMin of [0, 100]) {
      guard.pass('F1', caps, request(atMin, { L1: 50 }));
      guard.pass('F1', caps, release(atMin + 10));
    }
    expect(guard.pass('F1', caps, request(200, { L1: 50 }))).toBe('operationsPerDay 2');
    const trigger = {
      element: 'emergency' as const,
      isUrgent: true,
      phase: 'L1' as const,
      pickupA: 450,
      pickedUpMs: 0,
    };
    expect(guard.pass('F1', caps, request(201, { L1: 50 }, { trigger }))).toBeTypeOf('object');
  });

  test('is refused: more feeders at once, until one is free again', () => {
    const guard = new HarmCaps(1);
    expect(guard.pass('F1', caps, request(0, { L1: 50 }))).toBeTypeOf('object');
    expect(guard.pass('F2', caps, request(1, { L1: 50 }))).toBe('feedersAtOnce 1');
    expect(guard.pass('F1', caps, request(2, { L1: 40 }))).toBeTypeOf('object');
    guard.pass('F1', caps, release(3));
    expect(guard.pass('F2', caps, request(4, { L1: 50 }))).toBeTypeOf('object');
    // A limit that ended by itself counts no longer.
    expect(guard.pass('F1', caps, request(25, { L1: 50 }))).toBeTypeOf('object');
  });
});

test('a release, a shallower level and a repeat always pass', () => {
  const guard = new HarmCaps(1);
  for (const level of [80, 70, 60]) guard.pass('F1', caps, request(90 - level, { L1: level }));
  const repeat = refresh(31, 60, { endMs: 45 * MINUTE_MS });
  expect(guard.pass('F1', caps, repeat)).toEqual(repeat);
  expect(guard.pass('F1', caps, request(32, { L1: 80 }))).toBeTypeOf('object');
  expect(guard.pass('F1', caps, release(33))).toBeTypeOf('object');
});
