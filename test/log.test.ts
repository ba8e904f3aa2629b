// That a line which was logged is there, whatever happens to the program the next moment.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const LINES = 1_000;

test('every line of a program that is killed right after it is in the file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-log-'));
  const file = join(folder, 'log');
  const out = openSync(file, 'w');
  const program = `
    const { standardLog } = await import(${JSON.stringify(join(import.meta.dirname, '../src/log.ts'))});
    const log = standardLog();
    for (let n = 1; n <= ${LINES}; n++) log.info({ n }, 'line');
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', out, 'inherit'],
  });
  closeSync(out);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  expect(signal).toBe('SIGKILL');
  expect(lines.map((line) => JSON.parse(line).n)).toEqual(Array.from({ length: LINES }, (_, n) => n + 1));
  rmSync(folder, { recursive: true });
});
