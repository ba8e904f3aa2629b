// Proves the sequence of events, or names the first event that does not fit: each event's hash covers its text and the
// hash before it, the oldest that is kept hangs on the newest that was cleaned away, and the newest is no older than the
// seal. Events that had to go are told of by a later `gap` event in the chain, which covers their numbers; an event
// without text is the hash that is left of them.
import type Database from 'better-sqlite3';
import { chainHash } from './chain.ts';
import type { Seal } from './seal.ts';

/** `broken` is the number of the first event that is not as it was written, or is missing; null where all hold. */
export interface Proof {
  readonly events: number;
  readonly broken: number | null;
  readonly reason: string | null;
}

interface Row {
  readonly sequence: number;
  readonly body: string;
  readonly hash: string;
}
interface Numbers {
  readonly first: number;
  readonly last: number;
}

/** What was cleaned away: the newest event of it. Null where nothing was, or nobody noted it. */
export type Cleaned = { readonly sequence: number; readonly hash: string } | null;

/** `seal` is read before the events are. */
export function prove(db: Database.Database, seal: Seal | null, cleaned: Cleaned): Proof {
  const missing: Numbers[] = [];
  const covered: (Numbers & { count: number })[] = [];
  let before: Row | null = null;
  let events = 0;
  const rows = db.prepare('SELECT sequence, body, hash FROM event ORDER BY sequence').iterate() as Iterable<Row>;
  for (const row of rows) {
    const fault = linkFault(row, before ?? cleaned);
    if (fault !== null) return { events, broken: row.sequence, reason: fault };
    const first = ((before ?? cleaned)?.sequence ?? row.sequence - 1) + 1;
    if (row.body === '') missing.push({ first, last: row.sequence });
    else if (first < row.sequence) missing.push({ first, last: row.sequence - 1 });
    if (row.body !== '') events += 1;
    const gap = gapOf(row.body);
    if (gap !== null) covered.push(gap);
    before = row;
  }
  const uncovered = uncoveredOf(missing, covered);
  if (uncovered !== null) return { events, broken: uncovered, reason: 'it is missing, and no gap event stands for it' };
  return { events, ...sealFault(before, seal) };
}

function linkFault(row: Row, before: Pick<Row, 'hash'> | null): string | null {
  // What is left of removed events is a hash that the next link proves. A journal of before it was noted what was
  // cleaned away begins with a link to nothing.
  if (row.body === '' || (before === null && row.sequence !== 1)) return null;
  return row.hash === chainHash(before?.hash ?? '', row.body) ? null : 'its text or its place is not what was written';
}

function gapOf(body: string): (Numbers & { count: number }) | null {
  if (!body.includes('"type":"gap"')) return null;
  const { type, firstSequence, lastSequence, count } = JSON.parse(body);
  return type === 'gap' ? { first: firstSequence, last: lastSequence, count } : null;
}

/** The first number that is missing with no gap event to stand for it; null where there is none. */
function uncoveredOf(missing: readonly Numbers[], covered: readonly (Numbers & { count: number })[]): number | null {
  let left = covered.reduce((sum, { count }) => sum + count, 0);
  for (const { first, last } of missing) {
    for (let sequence = first; sequence <= last; sequence++) {
      left -= 1;
      if (left < 0 || !covered.some((gap) => gap.first <= sequence && sequence <= gap.last)) return sequence;
    }
  }
  return null;
}

function sealFault(newest: Row | null, seal: Seal | null): Pick<Proof, 'broken' | 'reason'> {
  if (seal === null) return { broken: null, reason: null };
  const sequence = newest?.sequence ?? 0;
  if (sequence < seal.eventSequence)
    return { broken: sequence + 1, reason: `the newest are missing: event ${seal.eventSequence} had been written` };
  return sequence === seal.eventSequence && newest?.hash !== seal.hash
    ? { broken: sequence, reason: 'it is not the event that was sealed' }
    : { broken: null, reason: null };
}

export function readCleaned(db: Database.Database): Cleaned {
  const text = db.prepare(`SELECT value FROM meta WHERE name = 'eventsCleaned'`).pluck().get();
  return typeof text === 'string' ? JSON.parse(text) : null;
}
