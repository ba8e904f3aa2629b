// Times as traces, mapping files and the command line write them.
import { SECONDS_ZERO_MS, type TimeForm } from './sink.ts';

export interface TraceTime {
  readonly atMs: number;
  readonly form: TimeForm;
}

/** Before 1970 and after 2318 nothing was recorded: a clock that was never set, or numbers in another unit. */
const TIME_MAX_MS = SECONDS_ZERO_MS + 1e13;

/** Whether a reading may have this time, of whichever form. */
export function isTraceTime(atMs: number): boolean {
  return atMs >= 0 && atMs < TIME_MAX_MS;
}

const ISO_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** ISO 8601, UTC where no zone stands, or plain seconds; null where it is neither, or no time of a reading. */
export function parseTraceTime(text: string): TraceTime | null {
  const time = timeOf(text);
  return time !== null && isTraceTime(time.atMs) ? time : null;
}

function timeOf(text: string): TraceTime | null {
  const seconds = parseNumber(text);
  if (seconds !== null) return { atMs: SECONDS_ZERO_MS + seconds * 1000, form: 'seconds' };
  const parts = ISO_TIME.exec(text);
  if (parts === null) return null;
  const [, date = '', time = '00:00', zone = 'Z'] = parts;
  // Date.parse ends at milliseconds.
  const [whole = '', fraction = ''] = time.split('.');
  const atMs = Date.parse(`${date}T${whole}${zone}`) + Number(`0.${fraction || 0}`) * 1000;
  // Date.parse takes 31 February for 3 March.
  const isRealDate = new Date(Date.parse(`${date}T00:00Z`)).toJSON()?.startsWith(date) === true;
  return Number.isNaN(atMs) || !isRealDate ? null : { atMs, form: 'utc' };
}

/** A decimal number; null where it is none, or is not finite. */
export function parseNumber(text: string): number | null {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : null;
}

/** ISO 8601 to the microsecond, where milliseconds do not say it. */
export function preciseTime(atMs: number): string {
  const wholeMs = Math.floor(atMs);
  const micros = Math.round((atMs - wholeMs) * 1000);
  const stamp = new Date(wholeMs).toISOString();
  return micros === 0 ? stamp : `${stamp.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
