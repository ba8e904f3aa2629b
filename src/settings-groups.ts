// Which settings group of a feeder is in force: one selected by command while it lasts, else the first whose calendar
// covers the local time, else the first that has no calendar and is not by command alone. Calendars are in local time
// of their zone, to the minute, so summer time is theirs to know.
import type { SettingsGroup } from './feeder-settings.ts';

type Calendar = NonNullable<SettingsGroup['calendar']>;

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const zones = new Map<string, Intl.DateTimeFormat>();

/** Throws where no group would be in force, which the configuration's checks rule out. */
export function groupByCalendar(groups: readonly SettingsGroup[], wallMs: number): SettingsGroup {
  const group = findGroup(groups, wallMs);
  if (group === null) throw new Error(`no settings group is in force at ${new Date(wallMs).toISOString()}`);
  return group;
}

/** The groups that a command may select, by name. */
export function groupsByCommand(groups: readonly SettingsGroup[]): string[] {
  return groups.filter(({ byCommand }) => byCommand).map(({ name }) => name);
}

/** An hour of the year that is coming, from `fromMs` on, at which no group is in force; null where there is none. */
export function uncoveredMs(groups: readonly SettingsGroup[], fromMs: number): number | null {
  if (groups.some(isDefault)) return null;
  for (let wallMs = fromMs; wallMs < fromMs + 366 * 24 * 3_600_000; wallMs += 3_600_000) {
    if (findGroup(groups, wallMs) === null) return wallMs;
  }
  return null;
}

/** Whether all of a calendar's time is certainly another's too. */
export function isWithin(inner: Calendar, outer: Calendar): boolean {
  if (inner.timeZone !== outer.timeZone) return false;
  if (outer.days !== undefined && !(inner.days ?? WEEKDAYS).every((day) => outer.days?.includes(day))) return false;
  const isSame = (from: 'from' | 'fromTime', to: 'to' | 'toTime') =>
    outer[from] === undefined || (outer[from] === inner[from] && outer[to] === inner[to]);
  return isSame('from', 'to') && isSame('fromTime', 'toTime');
}

/** Whether a time zone is one that is known here. */
export function isTimeZone(timeZone: string): boolean {
  try {
    zoneOf(timeZone);
    return true;
  } catch {
    return false;
  }
}

function findGroup(groups: readonly SettingsGroup[], wallMs: number): SettingsGroup | null {
  const covered = groups.find(({ calendar }) => calendar !== undefined && covers(calendar, wallMs));
  return covered ?? groups.find(isDefault) ?? null;
}

function isDefault({ calendar, byCommand }: SettingsGroup): boolean {
  return calendar === undefined && !byCommand;
}

function covers({ timeZone, from, to, days, fromTime, toTime }: Calendar, wallMs: number): boolean {
  const { monthDay, weekday, time } = localTime(timeZone, wallMs);
  if (from !== undefined && to !== undefined && !within(monthDay, from, to, true)) return false;
  if (days !== undefined && !days.includes(weekday)) return false;
  return fromTime === undefined || toTime === undefined || within(time, fromTime, toTime, false);
}

/** Ranges may go over the end of the year or of the day. The last day belongs to them, the last minute does not. */
function within(value: string, from: string, to: string, inclusive: boolean): boolean {
  const before = inclusive ? value <= to : value < to;
  return from <= to ? value >= from && before : value >= from || before;
}

function localTime(timeZone: string, wallMs: number) {
  const parts = Object.fromEntries(
    zoneOf(timeZone)
      .formatToParts(wallMs)
      .map(({ type, value }) => [type, value]),
  );
  const { month = '', day = '', weekday = '', hour = '', minute = '' } = parts;
  const index = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(weekday);
  return {
    monthDay: `${month}-${day}`,
    weekday: WEEKDAYS[index] ?? 'sun',
    time: `${hour}:${minute}`,
  };
}

function zoneOf(timeZone: string): Intl.DateTimeFormat {
  let zone = zones.get(timeZone);
  if (zone === undefined) {
    zone = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      month: '2-digit',
      day: '2-digit',
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    zones.set(timeZone, zone);
  }
  return zone;
}
