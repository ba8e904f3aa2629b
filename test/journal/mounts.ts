// Small file systems of their own, for what only a file system can show. Mounting needs root, and a container may
// forbid it even so: then the tests that need it are skipped with a line that says so.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
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

const IMAGE_BYTES = 48 * 1024 * 1024;

interface FragileDisk {
  /** The kernel finds an error in it, as far as it knows, and makes it read-only for good. */
  breakDown(): void;
  remove(): void;
}

/** An ext4 of its own at `folder`, on a file beside it. Throws where that cannot be had. */
export function fragileDisk(folder: string): FragileDisk {
  const image = `${folder}.image`;
  writeFileSync(image, '');
  truncateSync(image, IMAGE_BYTES);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', image]);
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, folder], { stdio: 'pipe' });
  const device = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === folder)
    ?.match(/\/dev\/(loop\d+)/)?.[1];
  return {
    breakDown: () => writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, '1'),
    remove() {
      unmount(folder);
      rmSync(image);
    },
  };
}

/** Whether this machine lets a file be mounted and its file system be broken. */
export function breakable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-ext4-'));
  try {
    fragileDisk(folder).remove();
    return existsSync('/sys/fs/ext4');
  } catch (error) {
    process.stderr.write(`skipped: a file cannot be mounted here (${(error as Error).message.split('\n')[0]})\n`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.image`, { force: true });
  }
}
