// What a service manager hears: the controller as a process of its own, and a real datagram socket where systemd's
// would be, read by a program that shares no code with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { endProcess, startMeter, startVerb, verb } from './end-to-end/headroom.ts';
import { programsOrSkip } from './simulators/programs.ts';

const canRun = programsOrSkip('systemd-notify', 'python3');

let folder: string;
const toEnd: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headroom-notify-'));
});
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
});

/** A listener at a datagram socket, and the states that it was told. */
async function listen(): Promise<{ socket: string; states: string[] }> {
  const socket = join(folder, 'notify');
  const child = spawn('python3', [join(import.meta.dirname, 'notify-listener.py'), socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  toEnd.push(() => endProcess(child));
  const states: string[] = [];
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  lines.on('line', (line) => states.push(line));
  return { socket, states };
}

function configuration(port: number, pollMs = 50): string {
  const file = join(folder, 'site.yaml');
  writeFileSync(
    file,
    `substation: { id: NOTIFY-1 }
uplink: { brokers: [{ url: "mqtt://127.0.0.1:1" }], allowInsecure: true }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, port: ${port}, profile: eastron-sdm630, pollMs: ${pollMs} }
feeders:
  - id: F1
    currents: { source: meter-1 }
    settings:
      - { name: notify, ratingA: 400, atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 } }
journal: { path: ./journal }
watchdog: { stallMs: 400 }
`,
  );
  return file;
}

async function startController(file: string, env: { [name: string]: string }): Promise<ChildProcess> {
  const child = startVerb(['run', file], 'ignore', { ...process.env, ...env });
  toEnd.push(() => endProcess(child));
  return child;
}

const until = (check: () => unknown) =>
  vi.waitFor(
    () => {
      if (!check()) throw new Error(`not so: ${check}`);
    },
    { timeout: 15_000, interval: 20 },
  );

describe.skipIf(!canRun)('the service manager', () => {
  test('hears of the start, of scans for as long as they complete, and of the stop', async () => {
    writeFileSync(join(folder, 'trace.csv'), 'time,feeder,L1_A,L2_A,L3_A\n0,F1,100,100,100\n3600,F1,100,100,100\n');
    const meter = await startMeter(join(folder, 'trace.csv'));
    toEnd.push(() => endProcess(meter.process));
    const { socket, states } = await listen();
    const file = configuration(meter.port);
    const controller = await startController(file, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' });
    const fed = () => states.filter((state) => state === 'WATCHDOG=1').length;
    await until(() => fed() >= 3);
    expect(states[0]).toBe('READY=1');

    // A program that stands still feeds nobody, and tells of it when it goes on.
    controller.kill('SIGSTOP');
    await sleep(300);
    const before = fed();
    await sleep(1_500);
    expect(fed()).toBe(before);
    controller.kill('SIGCONT');
    await until(() => fed() > before + 2);
    const { stdout } = await verb('events', join(folder, 'journal'), '--json');
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ type: 'alarm', alarm: 'stalled' }));

    await endProcess(controller);
    expect(controller.exitCode).toBe(0);
    await until(() => states.at(-1) === 'STOPPING=1');
  });

  test('hears of scans whose meter does not answer: they complete too', async () => {
    const { socket, states } = await listen();
    await startController(configuration(1), { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' });
    await until(() => states.filter((state) => state === 'WATCHDOG=1').length >= 3);
  });

  test('is not told of scans where another process is watched', async () => {
    const { socket, states } = await listen();
    const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000', WATCHDOG_PID: '1' };
    const controller = await startController(configuration(1), env);
    await until(() => states.includes('READY=1'));
    await sleep(700);
    await endProcess(controller);
    await until(() => states.includes('STOPPING=1'));
    expect(states).toEqual(['READY=1', 'STOPPING=1']);
  });
});

test('a program without a completed scan ends by itself, and says so', async () => {
  const watched = join(import.meta.dirname, 'watchdog-process.ts');
  const child = spawn(process.execPath, [watched, configuration(1, 3_600_000)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  toEnd.push(() => endProcess(child));
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(70);
  const { stdout } = await verb('events', join(folder, 'journal'), '--json');
  const last = JSON.parse(stdout).at(-1);
  expect(last).toMatchObject({ type: 'alarm', alarm: 'watchdog' });
});
