// Programs of the system that some tests need beside them.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where many systems keep servers, though it is on no ordinary user's path. */
const MORE_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin', '/opt/homebrew/bin'];

/** The path of an installed program; null where it is not. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}

/**
 * Whether tests that need these programs can run. Where they cannot it says so in one line; with CI=true it throws, so
 * that a build server never passes by skipping.
 */
export function programsOrSkip(...names: string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === null);
  if (missing.length === 0) return true;
  const line = `${missing.join(' and ')} not found`;
  if (process.env['CI'] === 'true') throw new Error(line);
  console.log(`skipped, ${line}`);
  return false;
}
