// The verb `headend`: what it is given wrongly is said in one line that names the option and what was expected.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../../src/main.ts');
const headend = (...args: string[]) => spawnSync(process.execPath, [main, 'headend', ...args], { encoding: 'utf8' });

test.each(['foo', 'http://127.0.0.1:1883', 'mqtt://127.0.0.1:1883,127.0.0.1:1884'])('--broker %s', (broker) => {
  const { status, stderr } = headend('--broker', broker);
  const wrong = broker.split(',').at(-1);
  expect([status, stderr]).toEqual([2, `--broker is ${wrong}, expected mqtt://HOST:PORT or mqtts://HOST:PORT\n`]);
});

test('--counts where no file can be', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-counts-'));
  const file = join(folder, 'none', 'counts.json');
  const { status, stderr } = headend('--broker', 'mqtt://127.0.0.1:1', '--counts', file);
  rmSync(folder, { recursive: true });
  expect(status).toBe(2);
  expect(stderr).toContain(`${file}: cannot be written: ENOENT`);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
