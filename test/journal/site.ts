// Journals in temporary folders, and the batches that the tests of this folder put into them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Batch, Stamp, StoredRequest } from '../../src/journal/records.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-journal-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;

/** A folder that is not there yet. */
export function freshFolder(): string {
  folders += 1;
  return join(scratch, String(folders), 'journal');
}

export const STAMP: Stamp = {
  monotonicMs: 1_000.25,
  wallMs: 1_768_500_000_000,
  bootId: 'boot',
  clockSynchronised: true,
};
export const NOTHING: Batch = { states: [], requests: [], withheld: [], events: [] };

export function storedRequest(sequence: number, feederId: string, offered = true): Omit<StoredRequest, 'ackStatus'> {
  return {
    requestId: `request-${sequence}`,
    sequence,
    feederId,
    episodeId: 'episode',
    body: JSON.stringify({ sequence, feederId }),
    offered,
    withheld: null,
  };
}

/** Events with these words, which carry the number that the journal gives them. */
export function eventsOf(...words: string[]): Batch['events'] {
  return words.map((word) => ({ feederId: null, body: (sequence) => JSON.stringify({ sequence, word }) }));
}
