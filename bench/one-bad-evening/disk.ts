// A small file system in memory for one contestant's folder, so that it can be full without anybody else noticing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SIZE_MB = 24;

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
export function fillDisk(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail === 0) return;
  try {
    writeFileSync(ballast(folder), Buffer.alloc(bavail * bsize), { flag: 'a' });
  } catch {
    // That it has no room for all of it is what is wanted.
  }
}

export function freeDisk(folder: string): void {
  rmSync(ballast(folder), { force: true });
}

function ballast(folder: string): string {
  return join(folder, 'ballast');
}
