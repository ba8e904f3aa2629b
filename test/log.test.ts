// That a line which was logged is there, whatever happens to the program the next moment.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { rationed } from '../src/log.ts';

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

test('a flood of messages is no flood of lines: sixty a minute of each kind, and how many were left out', () => {
  const lines: { msg: string; n: number; leftOut?: number }[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let nowMs = 0;
  const outside = rationed(log, () => nowMs);
  for (let n = 1; n <= 200; n++) outside.warn({ n }, 'message not taken');
  outside.info({ n: 0 }, 'ack');
  expect(lines.map(({ n }) => n)).toEqual([...Array.from({ length: 60 }, (_, index) => index + 1), 0]);
  nowMs = 60_000;
  for (let n = 201; n <= 202; n++) outside.warn({ n }, 'message not taken');
  expect(lines.slice(61)).toMatchObject([{ n: 201, leftOut: 140 }, { n: 202 }]);
  expect(lines.at(-1)?.leftOut).toBeUndefined();
});
