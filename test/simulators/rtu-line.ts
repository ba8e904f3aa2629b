// Modbus RTU on the simulated meter: the frames of a serial line with their CRC, right or wrong by script, over TCP as
// a device server passes them on, or on a pseudo-terminal where a test wants the serial driver too.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import crc16 from 'modbus-serial/utils/crc16.js';
import { type Framing, type ModbusRequest, ModbusServer, type Registers, type Script } from './modbus-server.ts';

export const RTU: Framing = {
  requestBytes: 8,
  parse: (frame, number) => ({
    number,
    transactionId: 0,
    unitId: frame.readUInt8(0),
    functionCode: frame.readUInt8(1),
    address: frame.readUInt16BE(2),
    count: frame.readUInt16BE(4),
  }),
};

export function startRtuServer(script: Script): Promise<ModbusServer> {
  return ModbusServer.start(script, 0, RTU);
}

/** The fields of an answer that a test may falsify; `crc` is added to the right one. */
export interface RtuFields {
  readonly unitId?: number;
  readonly functionCode?: number;
  readonly byteCount?: number;
  readonly crc?: number;
}

export function rtuFrame(request: ModbusRequest, registers: Registers, fields: RtuFields = {}): Buffer {
  const words = Array.from({ length: request.count }, (_, index) => registers.get(request.address + index) ?? 0);
  const head = [fields.unitId ?? request.unitId, fields.functionCode ?? request.functionCode];
  const body = [fields.byteCount ?? 2 * words.length, ...words.flatMap((word) => [word >> 8, word & 0xff])];
  return withCrc([...head, ...body], fields.crc);
}

function withCrc(bytes: readonly number[], error = 0): Buffer {
  const frame = Buffer.from([...bytes, 0, 0]);
  frame.writeUInt16LE((crc16(frame.subarray(0, -2)) + error) & 0xffff, frame.length - 2);
  return frame;
}

// ---- scripts

export const rtuAnswering =
  (registers: Registers, fields: RtuFields = {}): Script =>
  (request) => [{ bytes: rtuFrame(request, registers, fields) }];

export const rtuLate =
  (registers: Registers, delayMs: number): Script =>
  (request) => [{ delayMs, bytes: rtuFrame(request, registers) }];

export const rtuException =
  (code: number): Script =>
  ({ unitId, functionCode }) => [{ bytes: withCrc([unitId, functionCode | 0x80, code]) }];

// ---- a serial line

/** Whether this machine can make a pseudo-terminal that leads to a TCP server; in CI it must. */
export const hasSocat = spawnSync('socat', ['-V']).status === 0 || process.env['CI'] !== undefined;

export interface PseudoLine {
  /** Where a serial driver finds it. */
  readonly path: string;
  close(): Promise<void>;
}

/** A pseudo-terminal whose other end is the TCP server on `port`; at `path`, or a new one. */
export async function pseudoLine(
  port: number,
  path = join(mkdtempSync(join(tmpdir(), 'line-')), 'tty'),
): Promise<PseudoLine> {
  const socat = await spawned(['-d', '-d', `pty,raw,echo=0,link=${path}`, `tcp:127.0.0.1:${port},nodelay`]);
  return {
    path,
    close: () => ended(socat),
  };
}

async function spawned(args: readonly string[]): Promise<ChildProcess> {
  const socat = spawn('socat', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    socat.once('error', reject);
    socat.stderr?.on('data', (chunk) => {
      said += chunk;
      if (said.includes('starting data transfer loop')) resolve();
    });
    socat.once('exit', () => reject(new Error(`socat ended: ${said}`)));
  });
  return socat;
}

async function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exit = once(process, 'exit');
  process.kill();
  await exit;
}
