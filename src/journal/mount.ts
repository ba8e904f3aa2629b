// What the file system under the journal promises. A commit is durable only if a sync is kept to, by the mount too.
import { readFileSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';

const IN_MEMORY = ['tmpfs', 'ramfs'];
const ON_A_NETWORK = ['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'fuse.sshfs', 'ceph', 'glusterfs'];

interface Mount {
  readonly at: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Why a commit in `folder` may not outlive a power cut, in one line; null where nothing says so. */
export function mountTrouble(folder: string, mountinfo = readMounts()): string | null {
  const mount = mountOf(realpathSync(folder), mountinfo);
  if (mount === null) return null;
  const { at, type, options } = mount;
  const has = (...some: string[]) => some.find((option) => options.includes(option));
  const found = has('data=writeback', 'nobarrier', 'barrier=0', 'volatile');
  if (IN_MEMORY.includes(type)) return `${at} is ${type}: the journal is in memory and ends with the machine`;
  if (ON_A_NETWORK.includes(type))
    return `${at} is ${type}: a journal on a network is neither locked nor synced safely`;
  return found === undefined ? null : `${at} is mounted with ${found}: a commit may be lost or torn by a power cut`;
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}

/** The mount with the longest path; of two at one place the later, which hides the other. */
function mountOf(path: string, mountinfo: string): Mount | null {
  let found: Mount | null = null;
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , , escaped, ofMount] = left.split(' ');
    const [type, , ofFileSystem] = right.split(' ');
    if (escaped === undefined || type === undefined) continue;
    const at = escaped.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    const isOver = path === at || path.startsWith(at.endsWith(sep) ? at : at + sep);
    if (!isOver || at.length < (found?.at.length ?? 0)) continue;
    found = { at, type, options: `${ofMount},${ofFileSystem}`.split(',') };
  }
  return found;
}
