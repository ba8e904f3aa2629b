// The mapping of docs/head-end.md, device by device: which service request, with which fields, and which never.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { presentLevel, serviceRequestOf } from '../../../src/workbench/headend/duis.ts';
import { type DeviceKind, makeFleet, newDevice, ratedByPhase } from '../../../src/workbench/headend/fleet.ts';
import { releaseOf, requestAt } from './requests.ts';

const AT_MS = Date.parse('2026-01-14T18:00:00.000Z');
const END_MS = AT_MS + 1_800_000;
const iso = (ms: number) => new Date(ms).toISOString();
const last = { share: 1, wallMs: AT_MS, endWallMs: END_MS };

function device(kind: DeviceKind, state: { levelPercent?: number; untilWallMs?: number } = {}) {
  return { ...newDevice('TG-F1', 0, kind, 'L2'), ...state };
}

test('option 2, a limit: 7.16 with its own end, and no flag for power from the load', () => {
  const limit = requestAt(AT_MS, 1, { levelPercent: 60 });
  const made = [0, 0.5, 1].map((share) => serviceRequestOf(limit, device('apc'), { ...last, share }));
  expect(made[2]).toEqual({
    srv: '7.16',
    name: 'Limit APC Level',
    deviceId: device('apc').deviceId,
    fields: {
      auxiliaryControllerN: 1,
      StartDateTime: iso(AT_MS),
      EndDateTime: iso(END_MS),
      CommandedStateLevel: 60,
    },
    levelPercent: 60,
    untilWallMs: END_MS,
    notBeforeWallMs: AT_MS,
  });
  expect(made.map((request) => request?.fields['EndDateTime'])).toEqual([
    iso(END_MS - 600_000),
    iso(END_MS - 300_000),
    iso(END_MS),
  ]);
});

test('the level of the device’s phase, and the lowest where the phase is not known', () => {
  const limit = requestAt(AT_MS, 1, {
    phases: ['L1', 'L2'],
    levelPercent: 40,
    levelPercentByPhase: { L1: 40, L2: 75 },
  });
  const level = (phase: 'L1' | 'L2' | 'L3' | null) =>
    serviceRequestOf(limit, newDevice('TG-F1', 0, 'apc', phase), last)?.levelPercent;
  expect([level('L1'), level('L2'), level('L3'), level(null)]).toEqual([40, 75, undefined, 40]);
});

test('7.13 only where it cannot raise the present level, and never to release', () => {
  const limit = requestAt(AT_MS, 1, { levelPercent: 60 });
  const held = { levelPercent: 40, untilWallMs: END_MS };
  expect(serviceRequestOf(limit, device('apcState'), last)?.srv).toBe('7.13');
  expect(serviceRequestOf(limit, device('apcState', held), last)).toBeNull();
  expect(serviceRequestOf(releaseOf(limit, 2), device('apcState', held), last)).toBeNull();
});

test('option 1, a limit at or below the threshold: 7.6 in whole minutes up to its own end', () => {
  const off = requestAt(AT_MS, 1, { levelPercent: 0 });
  expect(serviceRequestOf(off, device('hcalcs'), { ...last, endWallMs: END_MS + 59_000 })).toMatchObject({
    srv: '7.6',
    fields: { index: 1, Duration: 30 },
    untilWallMs: END_MS,
  });
  expect(serviceRequestOf(off, device('hcalcs'), { ...last, share: 0 })?.fields).toEqual({ index: 1, Duration: 20 });
});

test('option 1, as `binary` says: signalled by the same 7.6 from its level down, left alone by skip', () => {
  const at = (levelPercent: number, action: 'signal' | 'skip') =>
    serviceRequestOf(
      requestAt(AT_MS, 1, { levelPercent, binary: { action, atOrBelowPercent: 40 } }),
      device('hcalcs'),
      last,
    )?.srv;
  expect([41, 40, 0].map((level) => at(level, 'signal'))).toEqual([undefined, '7.6', '7.6']);
  expect([41, 40, 0].map((level) => at(level, 'skip'))).toEqual([undefined, undefined, undefined]);
  const held = device('hcalcs', { levelPercent: 0, untilWallMs: END_MS });
  const always = { binary: { action: 'signal' as const, atOrBelowPercent: 100 } };
  expect(serviceRequestOf(releaseOf(requestAt(AT_MS, 1, always), 2), held, last)?.srv).toBe('7.8');
});

test('option 1, above the threshold: nothing, and 7.8 where the device is off', () => {
  const limit = requestAt(AT_MS, 1, { levelPercent: 60 });
  expect(serviceRequestOf(limit, device('hcalcs'), last)).toBeNull();
  const off = device('hcalcs', { levelPercent: 0, untilWallMs: END_MS });
  expect(serviceRequestOf(limit, off, last)).toMatchObject({ srv: '7.8', fields: { index: 1 } });
});

test('a release: 7.16 of level 100 and 7.8, the switches one after the other', () => {
  const release = releaseOf(requestAt(AT_MS, 1), 2);
  const held = { levelPercent: 0, untilWallMs: END_MS };
  expect(serviceRequestOf(release, device('apc', held), last)).toMatchObject({
    srv: '7.16',
    fields: { CommandedStateLevel: 100 },
  });
  expect(serviceRequestOf(release, device('apc'), last)).toBeNull();
  const at = [0, 1].map((share) => serviceRequestOf(release, device('hcalcs', held), { ...last, share }));
  expect(at.map((request) => request?.notBeforeWallMs)).toEqual([AT_MS, AT_MS + 600_000]);
});

test('whatever is asked: never 7.5, never a 7.13 that raises, never an end behind that of the request', () => {
  const shares = fc.double({ min: 0, max: 1, noNaN: true });
  const cases = fc.record({
    level: fc.integer({ min: 0, max: 100 }),
    kind: fc.constantFrom<DeviceKind>('apc', 'apcState', 'hcalcs'),
    present: fc.integer({ min: 0, max: 100 }),
    endSpreadS: fc.integer({ min: 0, max: 4_000 }),
    share: shares,
    action: fc.constantFrom('limit', 'refresh', 'release' as const),
  });
  fc.assert(
    fc.property(cases, ({ level, kind, present, endSpreadS, share, action }) => {
      const limit = requestAt(AT_MS, 1, { levelPercent: level, endSpreadS });
      const message = action === 'release' ? releaseOf(limit, 2) : { ...limit, action };
      const before = device(kind, { levelPercent: present, untilWallMs: END_MS });
      const made = serviceRequestOf(message, before, { ...last, share });
      if (made === null) return;
      expect(['7.6', '7.8', '7.13', '7.16']).toContain(made.srv);
      expect(made.untilWallMs).toBeLessThanOrEqual(END_MS);
      if (made.srv === '7.13') expect(made.levelPercent).toBeLessThanOrEqual(presentLevel(before, AT_MS));
    }),
    { numRuns: 2_000 },
  );
});

test('a fleet is that of its target group and seed', () => {
  const options = { devices: 20, hcalcsShare: 0.3, stateShare: 0.2, unknownPhaseShare: 0.2 };
  const fleet = makeFleet('TG-F1', 1, options);
  expect(makeFleet('TG-F1', 1, options)).toEqual(fleet);
  expect(makeFleet('TG-F2', 1, options)).not.toEqual(fleet);
  expect(new Set(fleet.map(({ deviceId }) => deviceId)).size).toBe(20);
  const known = fleet.filter(({ phase }) => phase !== null).length;
  expect(Object.values(ratedByPhase(fleet)).reduce((sum, ratedA) => sum + ratedA, 0)).toBe(known * 32);
});
