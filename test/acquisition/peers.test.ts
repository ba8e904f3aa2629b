// Servers of other makes, read by every register type and word order: Debian's pymodbus on TCP and as RTU over a
// pseudo-terminal, with a dead unit on the same line, and libmodbus. In CI they must be there.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { serialWire } from '../../src/acquisition/byte-wires.ts';
import { decode } from '../../src/acquisition/decode.ts';
import type { ModbusConnection, ReadAnswer } from '../../src/acquisition/modbus-connection.ts';
import { rtuConnection, tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import { type Register, WORDS_OF } from '../../src/acquisition/register-map.ts';
import { systemClock } from '../../src/clock.ts';
import { hasSocat, pseudoLine } from '../simulators/rtu-line.ts';
import { encode } from '../simulators/words.ts';

const PYTHON = '/usr/bin/python3';
const isCi = process.env['CI'] !== undefined;
const hasPymodbus = isCi || spawnSync(PYTHON, ['-c', 'import pymodbus']).status === 0;
const hasLibmodbus = isCi || spawnSync('pkg-config', ['--exists', 'libmodbus']).status === 0;
const SIMULATORS = join(import.meta.dirname, '../simulators');
const folder = mkdtempSync(join(tmpdir(), 'peers-'));
afterAll(() => rmSync(folder, { recursive: true }));

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const ORDERS = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
const VALUES: Record<Register['type'], number> = {
  int16: -345,
  uint16: 54_321,
  int32: -1_234_567,
  uint32: 3_456_789_012,
  float32: 200.25,
  float64: 345.678_901_234,
};

/** Every type in every order, one behind the other. */
const REGISTERS: Register[] = [];
const WORDS = new Map<number, number>();
for (const order of ORDERS) {
  for (const type of Object.keys(VALUES) as Register['type'][]) {
    const address = 100 + WORDS.size;
    REGISTERS.push({ quantity: 'current', functionCode: 3, address, type, order, scale: 1, unit: 'A', sentinels: [] });
    for (const [index, word] of encode(VALUES[type], type, order).entries()) WORDS.set(address + index, word);
  }
}
/** Room behind them: on a serial line a register may be read with some more words. */
for (const last = 100 + WORDS.size + 8; 100 + WORDS.size < last; ) WORDS.set(100 + WORDS.size, 0);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function keep(child: ChildProcess): void {
  opened.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill();
    await exit;
  });
}

async function startPymodbus(form: 'tcp' | 'rtu'): Promise<number> {
  const port = await freePort();
  const file = join(folder, 'words.json');
  writeFileSync(file, JSON.stringify(Object.fromEntries(WORDS)));
  keep(spawn(PYTHON, [join(SIMULATORS, 'pymodbus-server.py'), form, String(port), file], { stdio: 'ignore' }));
  return port;
}

function read(connection: ModbusConnection, functionCode: 3 | 4, address: number, count: number, unitId = 1) {
  const reads = [0, 1, 2, 3].map((more) => ({ functionCode, address, count: count + more }));
  return new Promise<ReadAnswer>((done) => connection.read({ unitId, reads, timeoutMs: 1_000, pauseMs: 0 }, done));
}

/** Waits for the server, then reads every register, alone and all in one. */
async function readsAll(connection: ModbusConnection): Promise<void> {
  opened.push(() => connection.close());
  const there = async () => expect(await read(connection, 3, 100, 1)).toHaveProperty('words');
  await vi.waitFor(there, { interval: 50, timeout: 20_000 });
  for (const functionCode of [3, 4] as const) {
    for (const register of REGISTERS) {
      const { address, type } = register;
      const answer = await read(connection, functionCode, address, WORDS_OF[type]);
      const words = 'words' in answer ? answer.words : expect.fail(JSON.stringify(answer));
      expect(decode(words, 0, register)).toBe(VALUES[type]);
    }
  }
}

describe.runIf(hasPymodbus)('pymodbus', () => {
  test('on TCP is read by every type and word order', async () => {
    await readsAll(tcpConnection('127.0.0.1', await startPymodbus('tcp'), systemClock(), () => 0.1));
  });

  test.runIf(hasSocat)(
    'on a serial line is read so too, and a dead unit on the line does not keep it from that',
    async () => {
      const port = await startPymodbus('rtu');
      let path = '';
      const joined = async () => {
        const line = await pseudoLine(port);
        opened.push(() => line.close());
        path = line.path;
      };
      await vi.waitFor(joined, { interval: 100, timeout: 20_000 });
      const wire = serialWire({ path, baudRate: 19_200, parity: 'even', stopBits: 1 });
      const connection = rtuConnection(wire, 1_000, systemClock(), () => 0.1);
      const dead: ReadAnswer[] = [];
      const ask = () => read(connection, 3, 100, 1, 9).then((answer) => void dead.push(answer));
      const asking = setInterval(ask, 300);
      opened.push(() => clearInterval(asking));
      await readsAll(connection);
      await vi.waitFor(() => expect(dead.length).toBeGreaterThan(0), { timeout: 10_000 });
      expect(dead.filter((answer) => 'words' in answer)).toEqual([]);
    },
    60_000,
  );
});

test.runIf(hasLibmodbus)('libmodbus is read by every type and word order', async () => {
  const binary = join(folder, 'libmodbus-server');
  const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'libmodbus'], { encoding: 'utf8' })
    .trim()
    .split(/\s+/);
  execFileSync('gcc', ['-O1', '-Wall', '-o', binary, join(SIMULATORS, 'libmodbus-server.c'), ...flags]);
  const port = await freePort();
  const server = spawn(binary, [String(port)], { stdio: ['pipe', 'ignore', 'ignore'] });
  keep(server);
  server.stdin.end([...WORDS].map(([address, word]) => `${address} ${word}\n`).join(''));
  await readsAll(tcpConnection('127.0.0.1', port, systemClock(), () => 0.1));
});
