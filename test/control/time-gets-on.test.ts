// Control can never spin: what falls due is used up by being run, and where settings or a fault would have it due again
// and again at one instant, its timers wait while readings go on. Every run here ends by `bounded`, should it not.
import { expect, test } from 'vitest';
import {
  newFeederState,
  nextDueMs,
  settleInto,
  stepReading,
  stepSettings,
  stepTime,
} from '../../src/control/feeder-control.ts';
import { stepReadings, stepTimers, substationDueMs } from '../../src/control/substation.ts';
import { settleTransformerInto } from '../../src/control/transformer.ts';
import type { Action, ControlReading, ControlSettings } from '../../src/control/types.ts';
import { bounded } from './bounded.ts';
import { worldOf } from './substation-trace.ts';
import { type SettingName, settingsWith } from './trace.ts';

const HOUR_MS = 3_600_000;

function reading(atMs: number, L1_A: number): ControlReading {
  const input = (currentA: number) => ({ currentA, quality: 'good' as const });
  return { atMs, L1: input(L1_A), L2: input(100), L3: input(100), N: input(0) };
}

const settingsOf = (values: Partial<Record<SettingName, string>>): ControlSettings => bounded(settingsWith(values));
const alarmsOf = (actions: readonly Action[]) =>
  actions.flatMap((action) => (action.kind === 'event' && action.alarm ? [`${action.type} ${action.alarm}`] : []));

test('a settings group without the thermal element, while heat is assumed', () => {
  const [before, after] = [settingsOf({ timeConstantMin: '60', alarmPercent: '40' }), settingsOf({})];
  const state = newFeederState();
  const out: Action[] = [];
  stepReading(state, before, reading(1_000, 300), out);
  expect(alarmsOf(out)).toEqual(['alarm thermalAlarm', 'alarm thermalAssumed']);
  stepSettings(state, before, after, 'by the calendar', 2_000, out);
  expect(alarmsOf(out).slice(2)).toEqual(['alarmEnd thermalAlarm', 'alarmEnd thermalAssumed']);
  stepTime(state, after, 24 * HOUR_MS, out);
  // Back again the heat is not what it was a day ago: it begins anew.
  stepSettings(state, after, before, 'by the calendar', 24 * HOUR_MS, out);
  stepReading(state, before, reading(24 * HOUR_MS + 1_000, 200), out);
  expect(state.L1.thermal.heatPercent).toBeCloseTo(25, 9);
});

test('a settings group with the closed loop off, while an effect is to be judged', () => {
  const values = { responseTimeS: '120', powerSign: 'confirmed', controllableA: '100', staleAfterS: '7200' };
  const [before, after] = [settingsOf(values), settingsOf({ ...values, responseTimeS: '0' })];
  const state = newFeederState();
  const out: Action[] = [];
  for (let atMs = 1_000; atMs <= 20_000; atMs += 1_000) stepReading(state, before, reading(atMs, 450), out);
  expect(state.L1.reach.judgeMs).not.toBeNull();
  stepSettings(state, before, after, 'by command', 21_000, out);
  stepTime(state, after, HOUR_MS, out);
  expect(state.L1.reach.judgeMs).toBeNull();
  expect(state.L1.reach.learnedA).toBeNull();
});

test('a feeder that was kept with elements which its settings no longer have', () => {
  const before = settingsOf({ timeConstantMin: '60', alarmPercent: '40', emergencyPickupA: '420' });
  const state = newFeederState();
  const out: Action[] = [];
  for (let atMs = 1_000; atMs <= 20_000; atMs += 1_000) stepReading(state, before, reading(atMs, 450), out);
  expect(state.L1.emergency.status).toBe('operated');
  const after = settingsOf({});
  settleInto(state, after);
  expect(state.L1.emergency.status).toBe('normal');
  for (let atMs = 21_000; atMs <= HOUR_MS; atMs += 30_000) stepReading(state, after, reading(atMs, 100), out);
  stepTime(state, after, 2 * HOUR_MS, out);
  expect(state.episode).toBeNull();
  expect(state.alarms).toEqual([]);
});

test('a transformer that was kept with heat which its settings no longer have', () => {
  const columns = ['t_s', 'F1_A'];
  const kept = worldOf('T.timeConstantMin 60  T.thermalRatingA 400  T.pickupA 500  T.dropoutA 450', columns);
  const [of] = kept.feeders;
  stepReadings(kept, of === undefined ? [] : [{ feeder: of, reading: reading(1_000, 300) }]);
  expect(kept.transformer.state.heatAssumed).toBe(true);
  const world = worldOf('T.pickupA 500  T.dropoutA 450', columns);
  world.transformer.state = kept.transformer.state;
  settleTransformerInto(world.transformer.state, world.transformer.settings);
  stepTimers(world, 24 * HOUR_MS);
  expect(substationDueMs(world)).toBe(Number.POSITIVE_INFINITY);
  expect(world.transformer.state.heatAssumed).toBe(false);
});

test('should something be due again and again at one instant, timers wait a second each, an alarm says so, and readings count', () => {
  // A limit that is to be refreshed every tenth of a picosecond: no check lets that pass, which stands for any fault.
  const settings = settingsOf({ refreshS: '1e-13', leaseS: '60', staleAfterS: '30' });
  const state = newFeederState();
  const out: Action[] = [];
  for (let atMs = 1_000; atMs <= 12_000; atMs += 1_000) stepReading(state, settings, reading(atMs, 450), out);
  expect(alarmsOf(out)).toEqual(['alarm dueAgain']);
  expect(out.length).toBeLessThan(200);
  expect(nextDueMs(state, settings)).toBe(13_000);
  // It drops out by readings as ever.
  for (let atMs = 13_000; atMs <= 200_000; atMs += 1_000) stepReading(state, settings, reading(atMs, 100), out);
  expect(state.episode).toBeNull();
  expect(alarmsOf(out)).toEqual(['alarm dueAgain', 'alarmEnd dueAgain']);
  // The same blind: the limit lapses at its end.
  for (let atMs = 210_000; atMs <= 230_000; atMs += 1_000) stepReading(state, settings, reading(atMs, 450), out);
  expect(state.episode).not.toBeNull();
  stepTime(state, settings, 500_000, out);
  expect(state.episode).toBeNull();
  expect(state.alarms).not.toContain('dueAgain');
});

test('the same on a transformer: its feeders are judged all the while', () => {
  const world = worldOf(
    'staleAfterS 30  refreshS 1e-13  F2.refreshS 600  T.pickupA 700  T.dropoutA 600  T.staleAfterS 30',
    ['t_s', 'F1_A', 'F2_A'],
  );
  for (let atMs = 1_000; atMs <= 60_000; atMs += 1_000)
    stepReadings(
      world,
      world.feeders.map((feeder) => ({ feeder, reading: reading(atMs, 450) })),
    );
  const [first, second] = world.feeders.map(({ actions }) => actions);
  expect(alarmsOf(first ?? [])).toEqual(['alarm dueAgain']);
  expect(alarmsOf(second ?? [])).toEqual([]);
  expect((second ?? []).filter(({ kind }) => kind === 'request')).toHaveLength(1);
  stepTimers(world, HOUR_MS);
  for (const { state } of world.feeders) expect(state.episode).toBeNull();
});
