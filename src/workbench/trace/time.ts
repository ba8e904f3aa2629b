// Times as traces, mapping files and the command line write them.
import { SECONDS_ZERO_MS, type TimeForm } from './sink.ts';

export interface TraceTime {
  readonly atMs: number;
  readonly form: TimeForm;
}

const ISO_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** ISO 8601, UTC where no zone stands, or plain seconds; null where it is neither. */
export function parseTraceTime(text: string): TraceTime | null {
  const seconds = parseNumber(text);
  if (seconds !== null) return { atMs: SECONDS_ZERO_MS + seconds * 1000, form: 'seconds' };
  const parts = ISO_TIME.exec(text);
  if (parts === null) return null;
  const [, date = '', time = '00:00', zone = 'Z'] = parts;
  const atMs = Date.parse(`${date}T${time}${zone}`);
  // Date.parse takes 31 February for 3 March.
  const isRealDate = new Date(Date.parse(`${date}T00:00Z`)).toJSON()?.startsWith(date) === true;
  return Number.isNaN(atMs) || !isRealDate ? null : { atMs, form: 'utc' };
}

/** A decimal number; null where it is none, or is not finite. */
export function parseNumber(text: string): number | null {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : null;
}
