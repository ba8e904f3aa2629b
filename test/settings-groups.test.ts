// Which settings group is in force when: calendars in local time, over summer time, the ends of year and day, and the
// order in which groups hold.
import { describe, expect, test } from 'vitest';
import { type SettingsGroup, settingsGroupSchema } from '../src/feeder-settings.ts';
import { groupByCalendar, groupsByCommand, isTimeZone, uncoveredMs } from '../src/settings-groups.ts';

const atRisk = { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 };

function group(name: string, calendar?: object, more: object = {}): SettingsGroup {
  return settingsGroupSchema.parse({ name, ratingA: 385, atRisk, ...(calendar && { calendar }), ...more });
}

const at = (groups: readonly SettingsGroup[], utc: string) => groupByCalendar(groups, Date.parse(utc)).name;

describe('seasons in London', () => {
  const timeZone = 'Europe/London';
  const groups = [group('winter', { timeZone, from: '11-01', to: '03-31' }), group('summer')];

  test.each([
    ['2026-10-31T23:59:59Z', 'summer'],
    ['2026-11-01T00:00:00Z', 'winter'],
    ['2026-12-31T23:59:59Z', 'winter'],
    ['2027-01-01T00:00:00Z', 'winter'],
    // The last day belongs to it, and ends in summer time, an hour before UTC's midnight.
    ['2027-03-31T22:59:59Z', 'winter'],
    ['2027-03-31T23:00:00Z', 'summer'],
    ['2028-02-29T12:00:00Z', 'winter'],
  ])('at %s: %s', (utc, name) => expect(at(groups, utc)).toBe(name));
});

describe('an evening in London, over both changes of the clocks', () => {
  const timeZone = 'Europe/London';
  const groups = [group('evening', { timeZone, fromTime: '16:30', toTime: '19:30' }), group('else')];

  test.each([
    // Greenwich time the day before, summer time from 29 March 2026, 01:00 UTC.
    ['2026-03-28T16:29:59Z', 'else'],
    ['2026-03-28T16:30:00Z', 'evening'],
    ['2026-03-29T15:30:00Z', 'evening'],
    ['2026-03-29T18:29:59Z', 'evening'],
    ['2026-03-29T18:30:00Z', 'else'],
    // Back on 25 October 2026, 01:00 UTC.
    ['2026-10-24T15:30:00Z', 'evening'],
    ['2026-10-25T15:30:00Z', 'else'],
    ['2026-10-25T16:30:00Z', 'evening'],
  ])('at %s: %s', (utc, name) => expect(at(groups, utc)).toBe(name));
});

describe('hours that the clocks skip and repeat', () => {
  const groups = [group('night', { timeZone: 'Europe/London', fromTime: '01:15', toTime: '01:45' }), group('else')];

  test('01:15 to 01:45 does not come on the day that skips it', () => {
    for (let minute = 0; minute < 180; minute++) {
      const utc = new Date(Date.parse('2026-03-29T00:00:00Z') + minute * 60_000).toISOString();
      expect(at(groups, utc)).toBe('else');
    }
  });

  test('and comes twice on the day that repeats it', () => {
    const names = Array.from({ length: 180 }, (_, minute) =>
      at(groups, new Date(Date.parse('2026-10-25T00:00:00Z') + minute * 60_000).toISOString()),
    );
    const changes = names.flatMap((name, minute) => (minute > 0 && name !== names[minute - 1] ? [[minute, name]] : []));
    expect(changes).toEqual([
      [15, 'night'],
      [45, 'else'],
      [75, 'night'],
      [105, 'else'],
    ]);
  });
});

describe('a night over midnight, on days of the week', () => {
  const calendar = { timeZone: 'Europe/Berlin', days: ['fri', 'sat'], fromTime: '22:00', toTime: '06:00' };
  const groups = [group('weekend', calendar), group('else')];

  test.each([
    // A day of the week is that of the instant itself: Friday 00:30 belongs to Friday.
    ['2026-01-15T21:30:00Z', 'else'], // Thursday 22:30
    ['2026-01-15T23:30:00Z', 'weekend'], // Friday 00:30
    ['2026-01-16T12:00:00Z', 'else'],
    ['2026-01-16T21:00:00Z', 'weekend'], // Friday 22:00
    ['2026-01-17T04:59:59Z', 'weekend'], // Saturday 05:59
    ['2026-01-17T05:00:00Z', 'else'],
    ['2026-01-17T22:59:59Z', 'weekend'],
    ['2026-01-17T23:00:00Z', 'else'], // Sunday 00:00
  ])('at %s: %s', (utc, name) => expect(at(groups, utc)).toBe(name));
});

test.each([
  ['Pacific/Kiritimati', '2025-12-31T10:00:00Z', 'new-year'],
  ['Pacific/Pago_Pago', '2026-01-01T10:59:59Z', 'old-year'],
  ['Asia/Kathmandu', '2025-12-31T18:15:00Z', 'new-year'],
  ['Asia/Kathmandu', '2025-12-31T18:14:59Z', 'old-year'],
])('the year begins in %s by its own clock: at %s %s', (timeZone, utc, name) => {
  const groups = [group('new-year', { timeZone, from: '01-01', to: '01-01' }), group('old-year')];
  expect(at(groups, utc)).toBe(name);
});

describe('order', () => {
  const timeZone = 'UTC';

  test('the first calendar that covers holds, wherever the group without one stands', () => {
    const groups = [
      group('default'),
      group('january', { timeZone, from: '01-01', to: '01-31' }),
      group('winter', { timeZone, from: '11-01', to: '03-31' }),
    ];
    expect(at(groups, '2026-01-15T00:00:00Z')).toBe('january');
    expect(at(groups, '2026-02-15T00:00:00Z')).toBe('winter');
    expect(at(groups, '2026-06-15T00:00:00Z')).toBe('default');
  });

  test('a group by command alone never holds by itself, one with a calendar too does', () => {
    const groups = [
      group('backfeed', undefined, { byCommand: true }),
      group('july', { timeZone, from: '07-01', to: '07-31' }, { byCommand: true }),
      group('default'),
    ];
    expect(at(groups, '2026-01-15T00:00:00Z')).toBe('default');
    expect(at(groups, '2026-07-15T00:00:00Z')).toBe('july');
    expect(groupsByCommand(groups)).toEqual(['backfeed', 'july']);
  });
});

describe('gaps', () => {
  const fromMs = Date.UTC(2028, 0, 1);

  test('an hour without a group is found, of a leap day too', () => {
    const timeZone = 'UTC';
    const seasons = [
      group('first', { timeZone, from: '01-01', to: '02-28' }),
      group('rest', { timeZone, from: '03-01', to: '12-31' }),
    ];
    expect(uncoveredMs(seasons, fromMs)).toBe(Date.UTC(2028, 1, 29));
    expect(uncoveredMs([...seasons, group('default')], fromMs)).toBeNull();
    expect(() => groupByCalendar(seasons, Date.UTC(2028, 1, 29))).toThrow('2028-02-29');
  });

  test('seasons that meet leave none', () => {
    const timeZone = 'Europe/London';
    const seasons = [
      group('winter', { timeZone, from: '11-01', to: '03-31' }),
      group('summer', { timeZone, from: '04-01', to: '10-31' }),
    ];
    expect(uncoveredMs(seasons, fromMs)).toBeNull();
  });
});

test('a time zone is one that is known', () => {
  expect(['Europe/London', 'UTC', 'America/St_Johns'].every(isTimeZone)).toBe(true);
  expect(['Europe/Atlantis', '', 'GMT+99'].some(isTimeZone)).toBe(false);
});
