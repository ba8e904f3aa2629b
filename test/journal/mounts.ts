// Small file systems of their own, for what only a file system can show. Mounting needs root, and a container may
// forbid it even so: then the tests that need it are skipped with a line that says so.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function mountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-mount-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder], { encoding: 'utf8' });
  if (status === 0) unmount(folder);
  else process.stderr.write(`skipped: a file system cannot be mounted here (${stderr?.trim() || 'no mount'})\n`);
  rmdirSync(folder);
  return status === 0;
}

export function unmount(folder: string): void {
  execFileSync('umount', [folder]);
}
