// Requests for the tests of the head end: the example of the documents with what a test changes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Curtailment, curtailmentSchema } from '../../../src/messages.ts';

const EXAMPLE = join(import.meta.dirname, '../../../docs/examples/curtailment-limit.json');
const example = curtailmentSchema.parse(JSON.parse(readFileSync(EXAMPLE, 'utf8')));

/** A limit of 60 % on L2 that begins at `atMs` and lasts half an hour. */
export function requestAt(atMs: number, sequence: number, changes: Partial<Curtailment> = {}): Curtailment {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    ...example,
    requestId: `019bbdaa-8ef8-7000-8000-${String(sequence).padStart(12, '0')}`,
    sequence,
    issuedAt: iso(atMs),
    start: iso(atMs),
    end: iso(atMs + 1_800_000),
    durationS: 1800,
    endSpreadS: 600,
    validUntil: iso(atMs + 1_200_000),
    ...changes,
  };
}

export function releaseOf(limit: Curtailment, sequence: number): Curtailment {
  return {
    ...limit,
    requestId: `019bbdaa-8ef8-7000-8000-${String(sequence).padStart(12, '0')}`,
    sequence,
    action: 'release',
    levelPercent: 100,
    supersedes: limit.requestId,
    validUntil: limit.end,
  };
}
