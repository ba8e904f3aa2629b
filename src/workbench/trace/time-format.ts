// Times of foreign CSV files: a pattern and a zone become milliseconds since 1970. A zone by name has its summer time;
// the hour that an autumn night has twice is taken as the first.

import { SECONDS_ZERO_MS, type TimeForm } from './sink.ts';
import { parseNumber, parseTraceTime } from './time.ts';

export interface TimeReader {
  readonly form: TimeForm;
  /** NaN where the text is no such time. */
  read(text: string): number;
}

const TOKENS: Record<string, string> = {
  yyyy: '(?<yyyy>\\d{4})',
  yy: '(?<yy>\\d{2})',
  MM: '(?<MM>\\d{1,2})',
  dd: '(?<dd>\\d{1,2})',
  HH: '(?<HH>\\d{1,2})',
  mm: '(?<mm>\\d{2})',
  ss: '(?<ss>\\d{2}(?:\\.\\d+)?)',
};
const MINUTE_MS = 60_000;

/** Throws an Error in one line for a format or a zone that is none. */
export function timeReader(format: string, zone: string): TimeReader {
  if (format === 'seconds') return { form: 'seconds', read: (text) => SECONDS_ZERO_MS + 1000 * numberOf(text) };
  if (format === 'milliseconds') return { form: 'utc', read: (text) => numberOf(text) };
  const offset = offsetOf(zone);
  if (format === 'iso') return { form: 'utc', read: (text) => isoTime(text, offset) };
  const pattern = patternOf(format);
  return { form: 'utc', read: (text) => patternTime(text, pattern, offset) };
}

function numberOf(text: string): number {
  return parseNumber(text.trim()) ?? Number.NaN;
}

/** A stamp that names its zone keeps it. */
function isoTime(text: string, offset: (localMs: number) => number): number {
  const time = parseTraceTime(text.trim());
  if (time === null || time.form !== 'utc') return Number.NaN;
  return /(?:Z|[+-]\d{2}:?\d{2})$/.test(text.trim()) && text.includes(':') ? time.atMs : time.atMs - offset(time.atMs);
}

function patternOf(format: string): RegExp {
  const source = format
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/yyyy|yy|MM|dd|HH|mm|ss/g, (token) => TOKENS[token] ?? token);
  if (!/<dd>/.test(source) || !/<MM>/.test(source) || !/<yy/.test(source))
    throw new Error(`"${format}", expected iso, seconds, milliseconds, or a pattern of yyyy, MM, dd, HH, mm and ss`);
  return new RegExp(`^${source}$`);
}

function patternTime(text: string, pattern: RegExp, offset: (localMs: number) => number): number {
  const parts = pattern.exec(text.trim())?.groups;
  if (parts === undefined) return Number.NaN;
  const year = parts['yyyy'] === undefined ? 2000 + Number(parts['yy']) : Number(parts['yyyy']);
  const [month, day] = [Number(parts['MM']), Number(parts['dd'])];
  const dayMs = Date.UTC(year, month - 1, day);
  const real = new Date(dayMs);
  if (real.getUTCMonth() !== month - 1 || real.getUTCDate() !== day) return Number.NaN;
  const [hours, minutes, seconds] = ['HH', 'mm', 'ss'].map((name) => Number(parts[name] ?? 0)) as [
    number,
    number,
    number,
  ];
  if (hours > 24 || minutes > 59 || seconds >= 61) return Number.NaN;
  const localMs = dayMs + ((hours * 60 + minutes) * 60 + seconds) * 1000;
  return localMs - offset(localMs);
}

/** Milliseconds that a zone is ahead of UTC, at a local time. */
function offsetOf(zone: string): (localMs: number) => number {
  const fixed = /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  if (zone === 'UTC' || zone === 'Z') return () => 0;
  if (fixed !== null) {
    const offsetMs = (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * MINUTE_MS;
    return () => offsetMs;
  }
  const format = zoneFormat(zone);
  // Asked once per quarter of an hour: no zone changes in between.
  const known = new Map<number, number>();
  return (localMs) => {
    const quarter = Math.floor(localMs / (15 * MINUTE_MS));
    const found = known.get(quarter);
    if (found !== undefined) return found;
    const offsetMs = zoneOffset(format, localMs);
    if (known.size > 10_000) known.clear();
    known.set(quarter, offsetMs);
    return offsetMs;
  };
}

function zoneFormat(zone: string): Intl.DateTimeFormat {
  const options = { timeZone: zone, hourCycle: 'h23' } as const;
  try {
    return new Intl.DateTimeFormat('en-GB', { ...options, dateStyle: 'short', timeStyle: 'medium' });
  } catch {
    throw new Error(`"${zone}", expected UTC, an offset like +01:00, or a name like Europe/London`);
  }
}

/** The earlier of the instants that have this local time is the one with the greater offset. */
function zoneOffset(format: Intl.DateTimeFormat, localMs: number): number {
  const dayMs = 24 * 60 * MINUTE_MS;
  const candidates = [localMs - dayMs, localMs + dayMs].map((atMs) => shownMs(format, atMs) - atMs);
  const fitting = candidates.filter((offsetMs) => shownMs(format, localMs - offsetMs) === localMs);
  return Math.max(...(fitting.length > 0 ? fitting : candidates));
}

function shownMs(format: Intl.DateTimeFormat, atMs: number): number {
  const wholeMs = Math.floor(atMs / 1000) * 1000;
  const parts = Object.fromEntries(format.formatToParts(wholeMs).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (atMs - wholeMs);
}
