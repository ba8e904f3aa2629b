// What the head end's rules have counted, in a file (--counts), so that a restart forgets none of it: a box that can
// make the head end restart would else begin anew each time. Written a second after it has changed, so that a storm of
// requests is one write; a kill forgets that second.
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { replaceFile } from '../../replace-file.ts';
import { type Tracks, trackSchema } from './caps.ts';

export interface KeptCounts {
  readonly file: string;
  readonly tracks: Tracks;
}

/** Nothing yet where the file is not there; it is made. Throws in one line that names the file and what is wrong. */
export function openCounts(file: string): KeptCounts {
  const counts = { file, tracks: existsSync(file) ? readTracks(file) : new Map() };
  try {
    writeCounts(counts);
  } catch (error) {
    throw new Error(`${file}: cannot be written: ${(error as Error).message}`);
  }
  return counts;
}

function readTracks(file: string): Tracks {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`);
  }
  const parsed = z.record(z.string(), trackSchema).safeParse(given);
  if (parsed.success) return new Map(Object.entries(parsed.data));
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join('.') || 'counts'}: ${issue?.message}`);
}

/** Whenever the power goes, it is the old file or the new one. */
export function writeCounts({ file, tracks }: KeptCounts): void {
  replaceFile(file, JSON.stringify(Object.fromEntries(tracks)), { flush: true });
}
