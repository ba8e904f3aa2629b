// Traces played into a real socket: at the pace of the test's own clock where values are compared, at the system's
// where only the end counts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import modbus from 'modbus-serial';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type PlayOptions, play } from '../../src/workbench/play.ts';
import { handClock } from '../simulators/hand-clock.ts';

const RECORDED = join(import.meta.dirname, '../../../shared/data/feeders/nged_lv_feeders_10min_kw.csv.gz');

let folder: string;
let traceFile: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headroom-play-'));
  traceFile = join(folder, 'trace.csv');
  const rows = ['0,F1,100,50,10,5', '10,F1,200,,10,6', '20,F1,300,70,oops,7', '30,F1,400,80,-30,8'];
  writeFileSync(traceFile, `${['time,feeder,L1_A,L2_A,L3_A,N_A', ...rows].join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const toClose: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of toClose.splice(0).reverse()) await close();
});

/** Plays by a clock of the test's own, once the meter listens; `currentsA` reads it. */
async function playByHand(options: Partial<PlayOptions>) {
  const clock = handClock();
  const lines: string[] = [];
  const abort = new AbortController();
  const listening = Promise.withResolvers<void>();
  const ended = play({
    trace: traceFile,
    clock,
    signal: abort.signal,
    print: (line) => {
      lines.push(line);
      listening.resolve();
    },
    ...options,
  });
  await Promise.race([listening.promise, ended]);
  const client = new modbus.default();
  const port = Number(/port (\d+)/.exec(lines[0] ?? '')?.[1]);
  await client.connectTCP('127.0.0.1', { port });
  client.setTimeout(1000);
  toClose.push(async () => {
    abort.abort();
    await ended;
    client.close(() => {});
  });
  const currentsA = async () => {
    const { buffer } = await client.readInputRegisters(6, 6);
    return [buffer.readFloatBE(0), buffer.readFloatBE(4), buffer.readFloatBE(8)];
  };
  return { clock, lines, port, abort, ended, currentsA };
}

test('each row holds until the next, and the last as long as the one before it', async () => {
  const { clock, currentsA, ended } = await playByHand({ speed: 10 });
  expect(await currentsA()).toEqual([100, 50, 10]);
  clock.advance(999);
  expect(await currentsA()).toEqual([100, 50, 10]);
  clock.advance(1);
  expect(await currentsA()).toEqual([200, Number.NaN, 10]);
  clock.advance(1999);
  expect(await currentsA()).toEqual([200, Number.NaN, 10]);
  clock.advance(1);
  expect(await currentsA()).toEqual([400, 80, 30]);
  clock.advance(1999);
  expect(await currentsA()).toEqual([400, 80, 30]);
  clock.advance(1);
  expect(await ended).toBe(0);
});

test('interpolated, a value slopes; towards no value it holds', async () => {
  const { clock, currentsA } = await playByHand({ interpolate: true });
  clock.advance(2500);
  expect(await currentsA()).toEqual([125, 50, 10]);
  clock.advance(17_500);
  expect(await currentsA()).toEqual([300, Number.NaN, 20]);
});

test('looped, it begins again and goes on', async () => {
  const { clock, currentsA, lines } = await playByHand({ loop: true, verbose: true });
  clock.advance(50_000);
  expect(await currentsA()).toEqual([100, 50, 10]);
  clock.advance(110_000);
  expect(await currentsA()).toEqual([200, Number.NaN, 10]);
  expect(lines).toHaveLength(1 + 3 * 3 + 2);
});

test('a part of it, scaled', async () => {
  const { currentsA, lines } = await playByHand({ from: '10', to: '20', scale: 0.5 });
  expect(await currentsA()).toEqual([100, Number.NaN, 5]);
  expect(lines[0]).toContain('feeder F1, 1 rows, 10 s to 10 s');
  expect(lines[0]).toContain('peak L1 100, L2 none, L3 5 A (scaled by 0.5)');
});

test('the first line says it all, the others one row each', async () => {
  const { clock, lines, ended } = await playByHand({ speed: 1000, verbose: true });
  clock.advance(50);
  await ended;
  expect(lines[0]?.replace(/port \d+/, 'port P').replaceAll(folder, '…')).toBe(
    'meter eastron-sdm630 on 127.0.0.1 port P; feeder F1, 3 rows, 0 s to 30 s (30 s) at speed 1000; ' +
      'peak L1 400, L2 80, L3 30 A; ' +
      'skipped 1 rows, first …/trace.csv:4:1: L3_A is "oops", expected a number, or nothing, ' +
      'blank cells 1 (served as no value); ' +
      "assumed 240 V and power factor 0.98 (for the meter's watts), wrong sign in negative cells (1)",
  );
  expect(lines.slice(1)).toEqual([
    '0 s L1 100, L2 50, L3 10, N 5 A',
    '10 s L1 200, L2 none, L3 10, N 6 A',
    '30 s L1 400, L2 80, L3 30, N 8 A',
  ]);
});

test('an abort ends it, with the meter', async () => {
  const listenersBefore = process.listenerCount('SIGINT');
  const { port, abort, ended } = await playByHand({ loop: true });
  abort.abort();
  expect(await ended).toBe(0);
  await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(process.listenerCount('SIGINT')).toBe(listenersBefore);
});

test('by the system’s clock it ends by itself', async () => {
  const lines: string[] = [];
  expect(await play({ trace: traceFile, speed: 500, verbose: true, print: (line) => lines.push(line) })).toBe(0);
  expect(lines).toHaveLength(4);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the process with 0', async (signal) => {
  const program =
    'process.exitCode = await (await import(process.argv[1])).play({ trace: process.argv[2], loop: true });';
  const source = new URL('../../src/workbench/play.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, source, traceFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  toClose.push(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  child.kill(signal);
  expect(await exited).toEqual([0, null]);
});

describe('a mistake is one line and exit code 2:', () => {
  test.each<[string, Partial<PlayOptions>, RegExp]>([
    ['no such file', { trace: 'nowhere.csv' }, /^nowhere\.csv: not found, expected a readable trace/],
    ['no such feeder', { feeder: 'F9' }, /feeder is "F9", expected one of F1\n$/],
    ['no such profile', { profile: 'nothing' }, /nothing\.yaml: .*, expected a readable file\n$/],
    ['a speed of 0', { speed: 0 }, /^speed is 0, expected a number above 0\n$/],
    ['a scale that is none', { scale: Number.NaN }, /^scale is NaN, expected/],
    ['a power factor over 1', { powerFactor: 1.1 }, /^power factor is 1\.1, expected/],
    ['a port that is none', { port: 70_000 }, /^port is 70000, expected/],
    ['a time of the other form', { from: '2026-01-05' }, /^from is "2026-01-05", expected seconds, as in the trace\n$/],
    ['nothing in that part', { from: '31' }, /^no row from 31 to 30 s, expected a part of 0 s to 30 s\n$/],
  ])('%s', async (_, options, message) => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await play({ trace: traceFile, print: () => {}, ...options })).toBe(2);
    expect(stderr).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(message));
  });

  test('a port in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    toClose.push(() => holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await play({ trace: traceFile, port, print: () => {} })).toBe(2);
    expect(stderr).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^no meter on 127\.0\.0\.1 port \d+: .*EADDRINUSE/),
    );
  });
});

describe.skipIf(!existsSync(RECORDED))(
  'a recorded week (skipped where shared/data/feeders is not beside the tree)',
  () => {
    test('its heaviest feeder, at 240 V and a power factor of 1', async () => {
      const mapping = join(folder, 'nged.yaml');
      writeFileSync(
        mapping,
        `time: { column: timestamp }
where: { substation_id: 724374 }
unit: kW
voltageV: 240
feeders:
  F2: { where: { feeder: 2 }, L1: L1_kW, L2: L2_kW, L3: L3_kW }
`,
      );
      const { lines, clock, currentsA } = await playByHand({ trace: RECORDED, mapping, speed: 600 });
      const peaks = [...(lines[0] ?? '').matchAll(/L\d ([\d.]+)/g)].map(([, peakA]) => Number(peakA));
      expect(Math.round(Math.max(...peaks))).toBe(378);
      expect(lines[0]).toContain('1008 rows, 2022-12-12T00:00:00.000Z to 2022-12-18T23:50:00.000Z');
      expect(lines[0]).toContain('amperes from kW by 240 V from phase to neutral and power factor 1');
      clock.advance(1000);
      expect((await currentsA())[0]).toBeCloseTo(15_580 / 240, 3);
    });
  },
);
