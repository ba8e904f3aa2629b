// The settings group of a watched feeder over calendar, command and restart; time is given.
import { describe, expect, test } from 'vitest';
import { followCalendar, resumeGroup, selectGroup } from '../src/group-in-force.ts';
import { settingsSchema } from '../src/settings.ts';
import { type WatchedFeeder, watchedFeeder } from '../src/watched-feeder.ts';

const HOUR_MS = 3_600_000;
const atRisk = { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 };
const { feeders, sources } = settingsSchema.parse({
  substation: { id: 'SUB-1' },
  uplink: { brokers: [{ url: 'mqtts://headend.example:8883' }] },
  sources: [{ id: 'meter', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630', staleAfterMs: 2_000 }],
  feeders: [
    {
      id: 'F1',
      currents: { source: 'meter' },
      targetGroup: { id: 'TG-F1', version: 1 },
      settings: [
        {
          name: 'winter',
          ratingA: 385,
          atRisk,
          calendar: { timeZone: 'Europe/London', from: '11-01', to: '03-31' },
        },
        { name: 'outage', ratingA: 300, atRisk: { ...atRisk, pickupA: 280, dropoutA: 250 }, byCommand: true },
        { name: 'summer', ratingA: 350, atRisk: { ...atRisk, pickupA: 320, dropoutA: 290 } },
      ],
    },
  ],
});

/** With the group of the calendar at that time; monotonic time is wall time less that of the start. */
const START_MS = Date.parse('2026-03-31T12:00:00Z');
function feederAt(wallMs: number): WatchedFeeder {
  const [settings] = feeders;
  return watchedFeeder(settings ?? expect.fail(), sources, wallMs);
}
const moment = (wallMs: number) => ({ wallMs, monotonicMs: wallMs - START_MS, clockSynchronised: true });
const said = ({ actions }: WatchedFeeder) => actions.splice(0).map(({ reason }) => reason);

function select(feeder: WatchedFeeder, wallMs: number, group?: string, untilMs?: number): void {
  const common = { schema: 'headroom/v1/command', commandId: 'c-1', issuedAt: '', expiresAt: '' } as const;
  const until = untilMs === undefined ? undefined : new Date(untilMs).toISOString();
  selectGroup({ ...common, action: 'settingsGroup', group, until }, moment(wallMs), [feeder]);
}

describe('a calendar', () => {
  test('changes the group at local midnight, once, as an event; what is counted goes by the new settings', () => {
    const feeder = feederAt(START_MS);
    expect(feeder.group.name).toBe('winter');
    // British summer time: the last day of March ends at 23:00 UTC.
    const changeMs = Date.parse('2026-03-31T23:00:00Z');
    followCalendar(feeder, 'by the calendar', moment(changeMs - 1_000));
    expect(said(feeder)).toEqual([]);
    followCalendar(feeder, 'by the calendar', moment(changeMs));
    followCalendar(feeder, 'by the calendar', moment(changeMs + 1_000));
    expect(said(feeder)).toEqual(['group summer: by the calendar']);
    expect(feeder.control).toMatchObject({ group: 'summer', ratingA: 350, staleAfterMs: 2_000 });
  });
});

describe('a command', () => {
  test('puts a group in force for its time, against the calendar, and then the calendar holds', () => {
    const feeder = feederAt(START_MS);
    select(feeder, START_MS, 'outage', START_MS + HOUR_MS);
    followCalendar(feeder, 'by the calendar', moment(START_MS + HOUR_MS - 1));
    expect(feeder.group.name).toBe('outage');
    expect(feeder.state).toMatchObject({ groupByCommand: true, groupUntilMs: HOUR_MS });
    followCalendar(feeder, 'by the calendar', moment(START_MS + HOUR_MS));
    expect(said(feeder)).toEqual(['group outage: by command', 'group winter: by the calendar']);
    expect(feeder.state).toMatchObject({ groupByCommand: false, groupUntilMs: null });
  });

  test('without an end holds over a change of the calendar, until the calendar is asked for', () => {
    const feeder = feederAt(START_MS);
    select(feeder, START_MS, 'outage');
    followCalendar(feeder, 'by the calendar', moment(START_MS + 24 * HOUR_MS));
    expect(feeder.group.name).toBe('outage');
    select(feeder, START_MS + 24 * HOUR_MS);
    expect(said(feeder)).toEqual(['group outage: by command', 'group summer: the calendar holds again, by command']);
  });
});

describe('a restart', () => {
  /** The same state in a program that has just read its configuration at `wallMs`. */
  function restarted(before: WatchedFeeder, wallMs: number): WatchedFeeder {
    const feeder = feederAt(wallMs);
    feeder.state = JSON.parse(JSON.stringify(before.state));
    resumeGroup(feeder, wallMs - START_MS);
    return feeder;
  }

  test('keeps a group that a command had put in force', () => {
    const before = feederAt(START_MS);
    select(before, START_MS, 'outage', START_MS + HOUR_MS);
    const feeder = restarted(before, START_MS + 60_000);
    expect([feeder.group.name, feeder.control.group]).toEqual(['outage', 'outage']);
    followCalendar(feeder, 'by the calendar', moment(START_MS + HOUR_MS));
    expect(feeder.group.name).toBe('winter');
  });

  test('over a change of the calendar puts the new group in force, and says so', () => {
    const feeder = restarted(feederAt(START_MS), START_MS + 24 * HOUR_MS);
    expect(feeder.group.name).toBe('summer');
    expect(said(feeder)).toEqual(['group summer: by the calendar']);
  });

  test('forgets a group that the settings no longer have', () => {
    const before = feederAt(START_MS);
    before.state.group = 'gone';
    before.state.groupByCommand = true;
    const feeder = restarted(before, START_MS);
    expect(feeder.group.name).toBe('winter');
    expect(feeder.state).toMatchObject({ group: 'winter', groupByCommand: false });
  });
});
