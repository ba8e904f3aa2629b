// How far the sequence of events has come, noted beside the journal: a chain of hashes shows what was changed within
// it, not what was cut off its end. The note says so, be it that rows were deleted, that an older copy was put back,
// or that a WAL went missing or lost its end with a power cut. It is written a second after the events, so it may lag
// behind the journal and never runs ahead of it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../replace-file.ts';

const SEAL_FILE = 'seal';

const sealSchema = z.strictObject({
  /** The newest event, and its hash. */
  eventSequence: z.int().min(0),
  hash: z.string(),
  /** The newest request. */
  requestSequence: z.int().min(0),
});
export type Seal = z.output<typeof sealSchema>;

/** Null where there is none that can be read: a new journal, or a power cut in the middle of writing it. */
export function readSeal(folder: string): Seal | null {
  try {
    return sealSchema.parse(JSON.parse(readFileSync(join(folder, SEAL_FILE), 'utf8')));
  } catch {
    return null;
  }
}

/** Without a sync: after a power cut it is the old one or the new one, by the rename. */
export function writeSeal(folder: string, seal: Seal): void {
  replaceFile(join(folder, SEAL_FILE), `${JSON.stringify(seal)}\n`);
}
