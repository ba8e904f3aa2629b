// Times of foreign CSV files: a pattern and a zone become milliseconds since 1970. A zone by name has its summer time; of
// the hour that an autumn night has twice a row is in the first, unless the row before it was at or after that.

import { SECONDS_ZERO_MS, type TimeForm } from './sink.ts';
import { parseNumber, parseTraceTime } from './time.ts';

export interface TimeReader {
  readonly form: TimeForm;
  /** NaN where the text is no such time. `beforeMs` is the row before. */
  read(text: string, beforeMs: number): number;
}

const TOKENS: Record<string, string> = {
  yyyy: '(?<yyyy>\\d{4})',
  yy: '(?<yy>\\d{2})',
  MMM: '(?<MMM>[A-Za-z]{3})',
  MM: '(?<MM>\\d{1,2})',
  dd: '(?<dd>\\d{1,2})',
  HH: '(?<HH>\\d{1,2})',
  mm: '(?<mm>\\d{2})',
  ss: '(?<ss>\\d{2}(?:\\.\\d+)?)',
};
const TOKEN = /yyyy|yy|MMM|MM|dd|HH|mm|ss/g;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const TIME_FORMATS =
  'iso, seconds, milliseconds, or a pattern of yyyy or yy, MM or MMM, dd, HH, mm and ss, like dd/MM/yyyy HH:mm:ss';
export const ZONES = 'UTC, an offset like +01:00, or a name like Europe/London';

export function isTimeFormat(format: string): boolean {
  const tokens = format.match(TOKEN) ?? [];
  const kinds = tokens.map((token) => token.slice(0, 2));
  const isDate = ['yy', 'MM', 'dd'].every((kind) => kinds.includes(kind)) && new Set(kinds).size === kinds.length;
  return (
    ['iso', 'seconds', 'milliseconds'].includes(format) || (isDate && !/[A-SU-Ya-z]/.test(format.replace(TOKEN, '')))
  );
}

export function isZone(zone: string): boolean {
  try {
    offsetsOf(zone);
    return true;
  } catch {
    return false;
  }
}

/** `format` and `zone` are such. */
export function timeReader(format: string, zone: string): TimeReader {
  if (format === 'seconds') return { form: 'seconds', read: (text) => SECONDS_ZERO_MS + 1000 * numberOf(text) };
  if (format === 'milliseconds') return { form: 'utc', read: (text) => numberOf(text) };
  const offsets = offsetsOf(zone);
  const local = format === 'iso' ? isoTime : patternTime(format);
  return {
    form: 'utc',
    read: (text, beforeMs) => {
      const { atMs, isLocal } = local(text.trim());
      if (!isLocal) return atMs;
      const instants = offsets(atMs).map((offsetMs) => atMs - offsetMs);
      return instants.find((instant) => instant > beforeMs) ?? instants[0] ?? Number.NaN;
    },
  };
}

function numberOf(text: string): number {
  return parseNumber(text.trim()) ?? Number.NaN;
}

interface ReadTime {
  readonly atMs: number;
  /** Of the zone; else it is UTC, or none. */
  readonly isLocal: boolean;
}
const NONE: ReadTime = { atMs: Number.NaN, isLocal: false };

/** A stamp that names its zone keeps it. */
function isoTime(text: string): ReadTime {
  const time = parseTraceTime(text);
  if (time === null || time.form !== 'utc') return NONE;
  return { atMs: time.atMs, isLocal: !(/(?:Z|[+-]\d{2}:?\d{2})$/.test(text) && text.includes(':')) };
}

function patternTime(format: string): (text: string) => ReadTime {
  const source = format.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(TOKEN, (token) => TOKENS[token] ?? token);
  const pattern = new RegExp(`^${source}$`);
  return (text) => {
    const { yyyy, yy, MMM, MM, dd, HH = '0', mm = '0', ss = '0' } = pattern.exec(text)?.groups ?? {};
    const year = yyyy === undefined ? 2000 + Number(yy) : Number(yyyy);
    const month = MMM === undefined ? Number(MM) - 1 : MONTHS.indexOf(MMM.toLowerCase());
    const dayMs = Date.UTC(year, month, Number(dd));
    const real = new Date(dayMs);
    if (real.getUTCMonth() !== month || real.getUTCDate() !== Number(dd)) return NONE;
    const [hours, minutes, seconds] = [Number(HH), Number(mm), Number(ss)];
    if (hours > 24 || minutes > 59 || seconds >= 61) return NONE;
    return { atMs: dayMs + ((hours * 60 + minutes) * 60 + seconds) * 1000, isLocal: true };
  };
}

/**
 * Milliseconds that a zone is ahead of UTC at a local time, the earlier instant first: two in the hour that comes twice
 * when summer ends, none in the hour that is left out when it begins. Throws an Error for a zone that is none.
 */
function offsetsOf(zone: string): (localMs: number) => readonly number[] {
  const fixed = /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  const fixedMs = fixed === null ? 0 : (Number(fixed[2]) * 60 + Number(fixed[3])) * MINUTE_MS;
  if (fixed !== null || zone === 'UTC' || zone === 'Z') return () => [fixed?.[1] === '-' ? -fixedMs : fixedMs];
  const options = { timeZone: zone, hourCycle: 'h23', dateStyle: 'short', timeStyle: 'medium' } as const;
  const format = new Intl.DateTimeFormat('en-GB', options);
  // Asked once per quarter of an hour: no zone changes in between.
  const known = new Map<number, readonly number[]>();
  return (localMs) => {
    const quarter = Math.floor(localMs / (15 * MINUTE_MS));
    const found = known.get(quarter);
    if (found !== undefined) return found;
    const offsets = zoneOffsets(format, localMs);
    if (known.size > 10_000) known.clear();
    known.set(quarter, offsets);
    return offsets;
  };
}

function zoneOffsets(format: Intl.DateTimeFormat, localMs: number): number[] {
  const around = [localMs - DAY_MS, localMs + DAY_MS].map((atMs) => shownMs(format, atMs) - atMs);
  const fitting = around.filter((offsetMs) => shownMs(format, localMs - offsetMs) === localMs);
  return [...new Set(fitting)].sort((a, b) => b - a);
}

function shownMs(format: Intl.DateTimeFormat, atMs: number): number {
  const wholeMs = Math.floor(atMs / 1000) * 1000;
  const parts = Object.fromEntries(format.formatToParts(wholeMs).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (atMs - wholeMs);
}
