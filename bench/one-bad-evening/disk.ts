// A small file system in memory for one contestant's folder, so that it can be full without anybody else noticing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

const SIZE_MB = 24;
const PIECE = Buffer.alloc(64 * 1024);

/** Null where this user may not mount. */
export function mountDisk(folder: string): string | null {
  mkdirSync(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m`, 'evening', folder]);
  return mounted.status === 0 ? folder : null;
}

export function unmountDisk(folder: string): void {
  spawnSync('umount', [folder]);
}

/** Takes what is free; called again and again, since what a contestant deletes it does not get back. */
export async function fillDisk(folder: string): Promise<void> {
  if (statfsSync(folder).bavail === 0) return;
  const file = await open(ballast(folder), 'a');
  try {
    // Piece by piece and not at once: the meters of everybody answer meanwhile.
    for (;;) await file.writeFile(PIECE);
  } catch {
    // That there is no room left is what is wanted.
  } finally {
    await file.close();
  }
}

export function freeDisk(folder: string): void {
  rmSync(ballast(folder), { force: true });
}

function ballast(folder: string): string {
  return join(folder, 'ballast');
}
