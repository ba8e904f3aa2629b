import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ModbusConnection, ReadAnswer } from '../../src/acquisition/modbus-connection.ts';
import { tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import type { WireRead } from '../../src/acquisition/modbus-port.ts';
import { ModbusTcpPort } from '../../src/acquisition/modbus-tcp-port.ts';
import { systemClock } from '../../src/clock.ts';
import { handClock } from '../simulators/hand-clock.ts';
import {
  type AnswerFields,
  answerFrame,
  answering,
  byteByByte,
  closing,
  except,
  exception,
  halfAnswer,
  halfClosing,
  late,
  ModbusServer,
  type Registers,
  resetting,
  type Script,
  silent,
  twice,
  twoInOneSegment,
} from '../simulators/modbus-server.ts';

/** No two addresses hold the same word, so a value that belongs to another request shows. */
const WORDS: Registers = new Map(Array.from({ length: 2_000 }, (_, address) => [address, (address * 31 + 7) % 65_536]));
const COUNT = 2;
const wordsAt = (address: number, count = COUNT) => Array.from({ length: count }, (_, i) => WORDS.get(address + i));

/** Longer than any test may take: what ends such a read is not its deadline. */
const NEVER_MS = 600_000;
const SHORT_MS = 20;

const good = answering(WORDS);

const opened: { close(): unknown }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

async function serve(script: Script, port?: number): Promise<ModbusServer> {
  const server = await ModbusServer.start(script, port);
  opened.push(server);
  return server;
}

function connectTo(port: number, random = () => 0.05, clock = systemClock()): ModbusConnection {
  const connection = tcpConnection('127.0.0.1', port, clock, random);
  opened.push(connection);
  return connection;
}

type Odd = { unitId?: number; timeoutMs?: number } & Partial<Pick<WireRead, 'functionCode' | 'count'>>;

/** Reads, and sees to it that words, if any come, are those of the address that was asked for. */
async function read(
  connection: ModbusConnection,
  address: number,
  { unitId = 1, timeoutMs = NEVER_MS, functionCode = 4, count = COUNT }: Odd = {},
): Promise<ReadAnswer> {
  const request = { unitId, reads: [{ functionCode, address, count }], timeoutMs, pauseMs: 0 };
  const answer = await new Promise<ReadAnswer>((done) => connection.read(request, done));
  if ('words' in answer) expect(answer.words).toEqual(wordsAt(address, count));
  return answer;
}

const faultOf = (answer: ReadAnswer) => ('fault' in answer ? answer.fault : null);

/** Reads until there are words, through whatever time the connection needs to come back. */
function readUntilGood(connection: ModbusConnection, address: number): Promise<void> {
  const attempt = async () => expect(faultOf(await read(connection, address))).toBeNull();
  return vi.waitFor(attempt, { interval: 1, timeout: 20_000 });
}

async function connected(port: number): Promise<ModbusConnection> {
  const connection = connectTo(port);
  await readUntilGood(connection, 0);
  return connection;
}

describe('a meter that misbehaves once gives a fault and no value, and is read right afterwards', () => {
  const falsified = (fields: AnswerFields) => answering(WORDS, fields);
  const falsifiedHead =
    (fields: AnswerFields, bytes: number): Script =>
    (request) => [{ bytes: answerFrame(request, WORDS, fields).subarray(0, bytes) }];
  test.each<[string, Script, ReturnType<typeof faultOf>, number?]>([
    ['no answer in time (M3)', silent, 'noAnswer', SHORT_MS],
    ['an answer after its time (M1)', late(WORDS, 3 * SHORT_MS), 'noAnswer', SHORT_MS],
    ['a closed connection, at once and not at the deadline (M5)', closing, 'disconnected'],
    ['a connection that is reset', resetting, 'disconnected'],
    ['a connection of which only our half is still open', halfClosing, 'disconnected'],
    ...Array.from({ length: 11 }, (_, index): [string, Script, 'exception'] => [
      `exception ${index + 1}`,
      exception(index + 1),
      'exception',
    ]),
    ['the answer of another unit (M8)', falsified({ unitId: 2 }), 'invalidFrame'],
    ['the answer to another transaction (M2)', falsified({ transactionId: 4_711 }), 'invalidFrame'],
    ['another protocol id (M6)', falsified({ protocolId: 0xdead }), 'invalidFrame'],
    ['a length of 65535 (M6)', falsified({ length: 0xffff }), 'invalidFrame'],
    ['a length of 0 (M6)', falsified({ length: 0 }), 'invalidFrame'],
    ['a length of 2, and no more than that (M6)', falsifiedHead({ length: 2 }, 8), 'invalidFrame'],
    ['a length of one byte too many (M6)', falsified({ length: 8 }), 'noAnswer', SHORT_MS],
    ['a length of one byte too few (M6)', falsified({ length: 6 }), 'invalidFrame'],
    ['a byte count of one register too few (M6)', falsified({ byteCount: 2 }), 'invalidFrame'],
    ['a byte count of one register too many (M6)', falsified({ byteCount: 6 }), 'invalidFrame'],
    ['another register count, consistently (M6)', (r) => good({ ...r, count: 1 }), 'invalidFrame'],
    ['the answer of another function code', falsified({ functionCode: 3 }), 'invalidFrame'],
    ['an exception of another function code', (r) => exception(2)({ ...r, functionCode: 3 }), 'invalidFrame'],
    ['two answers in one segment', twoInOneSegment(WORDS), 'invalidFrame'],
    ['the header of an answer, then nothing (M6)', halfAnswer(WORDS, 7), 'noAnswer', SHORT_MS],
    ['all of an answer but its last byte', halfAnswer(WORDS, 12), 'noAnswer', SHORT_MS],
  ])('%s', async (_, odd, fault, timeoutMs = NEVER_MS) => {
    const server = await serve(good);
    const connection = await connected(server.port);
    const number = server.requests.length;
    server.script = except((request) => request.number === number, odd, good);
    expect(faultOf(await read(connection, 100, { timeoutMs }))).toBe(fault);
    await readUntilGood(connection, 200);
    for (const address of [300, 400, 500]) expect(faultOf(await read(connection, address))).toBeNull();
    expect(server.connections).toBe(fault === 'exception' ? 1 : 2);
  });

  test.each(Array.from({ length: 11 }, (_, index) => index + 1))('exception %i by its code', async (code) => {
    const connection = connectTo((await serve(exception(code))).port);
    expect(await read(connection, 100)).toMatchObject({ exception: { code, read: { address: 100 } } });
  });
});

describe('a meter is read right', () => {
  test('with its holding registers as with its input registers', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    await read(connection, 100, { functionCode: 3 });
    await read(connection, 200, { functionCode: 4 });
    expect(server.requests.slice(-2).map(({ functionCode, address }) => [functionCode, address])).toEqual([
      [3, 100],
      [4, 200],
    ]);
  });

  test('with the longest telegram there is', async () => {
    const connection = await connected((await serve(good)).port);
    expect(faultOf(await read(connection, 100, { count: 125 }))).toBeNull();
  });

  test('when its answer comes byte by byte', async () => {
    const server = await serve(byteByByte(WORDS));
    const connection = await connected(server.port);
    expect(faultOf(await read(connection, 100))).toBeNull();
    expect(server.connections).toBe(1);
  });

  test('when it says everything twice: the second is never the answer to the next request', async () => {
    const server = await serve(twice(WORDS));
    const connection = connectTo(server.port);
    for (let address = 0; address < 40; address++) await readUntilGood(connection, address);
    expect(server.connections).toBeGreaterThan(1);
  });

  test('when the transaction id runs over its 16 bits', async () => {
    const server = await serve(good);
    const connection = connectTo(server.port, () => 65_534.5 / 65_536);
    await readUntilGood(connection, 0);
    for (const address of [100, 200, 300]) expect(faultOf(await read(connection, address))).toBeNull();
    expect(server.requests.map(({ transactionId }) => transactionId)).toEqual([65_534, 65_535, 0, 1]);
  });
});

describe('no answer is ever taken for another', () => {
  test('M1: one answer too late does not shift the answers after it', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    server.script = except(({ address }) => address === 100, late(WORDS, 2 * SHORT_MS), good);
    expect(faultOf(await read(connection, 100, { timeoutMs: SHORT_MS }))).toBe('noAnswer');
    for (let address = 200; address < 260; address++) await readUntilGood(connection, address);
  });

  test('M1, M2: in 3000 reads of which 1 in 50 is answered about when its time is up, none has a wrong value', async () => {
    const around: Script = (request) => late(WORDS, SHORT_MS - 4 + (request.number % 12))(request);
    const server = await serve(except(({ number }) => number % 50 === 49, around, good));
    const connection = connectTo(server.port, () => 0.01);
    let faults = 0;
    for (let n = 0; n < 3_000; n++) {
      const answer = await read(connection, (n * 7) % 1_900, { timeoutMs: SHORT_MS });
      if (faultOf(answer) === null) continue;
      faults += 1;
      await readUntilGood(connection, (n * 7 + 3) % 1_900);
    }
    expect(faults).toBeGreaterThan(10);
    expect(server.requests.length).toBeGreaterThan(3_000);
  });

  test('M2: an answer from 256 requests ago is no answer', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    for (let address = 1; address < 300; address++) expect(faultOf(await read(connection, address))).toBeNull();
    const old = server.requests.at(-256) ?? expect.fail();
    server.script = () => [{ bytes: answerFrame(old, WORDS) }];
    expect(faultOf(await read(connection, 1_000))).toBe('invalidFrame');
    expect(new Set(server.requests.map(({ transactionId }) => transactionId)).size).toBe(server.requests.length);
    server.script = good;
    await readUntilGood(connection, 1_001);
  });

  test('an answer before any request ends the connection', async () => {
    const server = await serve(good);
    // What a client that counts from 1 would take: ours starts anywhere, by `random`.
    const stray = { number: 0, transactionId: 1, unitId: 1, functionCode: 4, address: 700, count: COUNT };
    server.greeting = answerFrame(stray, WORDS);
    const connection = connectTo(server.port);
    await vi.waitFor(() => expect(server.connections).toBeGreaterThan(3), { interval: 1 });
    expect(faultOf(await read(connection, 100))).not.toBeNull();
    server.greeting = null;
    await readUntilGood(connection, 200);
  });

  test('M8: reads of two units over one connection never mix', async () => {
    const shifted = (unitId: number): Registers => new Map([...WORDS].map(([a, word]) => [a, word + unitId * 100]));
    const tables = new Map([1, 2].map((unitId) => [unitId, shifted(unitId)]));
    const server = await serve((request) => answering(tables.get(request.unitId) ?? WORDS)(request));
    const connection = connectTo(server.port);
    const ask = (unitId: number, address: number) =>
      new Promise<ReadAnswer>((done) =>
        connection.read(
          { unitId, reads: [{ functionCode: 4, address, count: 1 }], timeoutMs: NEVER_MS, pauseMs: 0 },
          done,
        ),
      );
    await vi.waitFor(async () => expect(await ask(1, 0)).toHaveProperty('words'), { interval: 1 });
    const asked = Array.from({ length: 200 }, (_, n) => ({ unitId: 1 + (n % 2), address: 100 + (n % 3) }));
    const answers = await Promise.all(asked.map(({ unitId, address }) => ask(unitId, address)));
    expect(answers).toMatchObject(asked.map(({ unitId, address }) => ({ words: [tables.get(unitId)?.get(address)] })));
    expect(server.connections).toBe(1);
  });
});

describe('a read always ends', () => {
  test('M3, M7: when a meter that answered becomes a black hole, with a fault and never with the last value', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    server.script = silent;
    expect(faultOf(await read(connection, 100, { timeoutMs: SHORT_MS }))).toBe('noAnswer');
    for (let n = 0; n < 20; n++) expect(faultOf(await read(connection, 100, { timeoutMs: SHORT_MS }))).not.toBeNull();
    server.script = good;
    await readUntilGood(connection, 200);
  });

  test('M4: when the connection is closed by us, for the read that is open and for those that wait', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    server.script = silent;
    const reads = [100, 200, 300].map((address) => read(connection, address));
    connection.close();
    expect((await Promise.all(reads)).map(faultOf)).toEqual(['disconnected', 'disconnected', 'disconnected']);
    expect(faultOf(await read(connection, 400))).toBe('disconnected');
  });

  test('M5: when the meter closes, for the read that is open and for those that wait', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    server.script = closing;
    const reads = [100, 200, 300].map((address) => read(connection, address));
    expect((await Promise.all(reads)).map(faultOf)).toEqual(['disconnected', 'disconnected', 'disconnected']);
  });

  test('when the gateway goes away altogether, for the read that is open and for those that wait', async () => {
    const server = await serve(silent);
    const connection = connectTo(server.port);
    await vi.waitFor(() => expect(server.connections).toBe(1), { interval: 1 });
    const asked = async () => {
      const reads = [100, 200].map((address) => read(connection, address));
      await new Promise((done) => setImmediate(done));
      expect(server.requests.length).toBe(1);
      return reads;
    };
    const reads = await vi.waitFor(asked, { interval: 1 });
    opened.splice(opened.indexOf(server), 1);
    await server.close();
    expect((await Promise.all(reads)).map(faultOf)).toEqual(['disconnected', 'disconnected']);
  });

  test('over the first connection when that is still being made', async () => {
    const connection = connectTo((await serve(good)).port);
    expect(await read(connection, 100)).toMatchObject({ words: [3107, 3138] });
  });

  test('when nothing accepts the connection in time', async () => {
    const clock = handClock();
    const connection = connectTo((await serve(good)).port, () => 0.5, clock);
    clock.advance(3_000);
    expect(await read(connection, 100)).toEqual({ fault: 'disconnected', detail: 'no connection in time' });
  });
});

describe('the connection comes back', () => {
  test('M9: when the server appears after it was refused', async () => {
    const gone = await serve(good);
    const { port } = gone;
    await gone.close();
    opened.length = 0;
    const connection = connectTo(port);
    const refused = async () => expect(await read(connection, 0)).toHaveProperty('detail', 'ECONNREFUSED');
    await vi.waitFor(refused, { interval: 1 });
    await serve(good, port);
    await readUntilGood(connection, 100);
  });

  test('M9: every time, however often the meter hangs up', async () => {
    const server = await serve(except(({ address }) => address === 1_999, closing, good));
    const connection = connectTo(server.port);
    for (let n = 1; n <= 30; n++) {
      await readUntilGood(connection, n);
      expect(faultOf(await read(connection, 1_999))).toBe('disconnected');
    }
    await readUntilGood(connection, 100);
    expect(server.connections).toBe(31);
  });

  test('M11: by itself, when an idle gateway has dropped it', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    server.dropAll();
    await vi.waitFor(() => expect(server.connections).toBe(2), { interval: 1 });
    await readUntilGood(connection, 100);
  });

  test.runIf(process.platform === 'linux')('M11: and keeps itself alive while idle', async () => {
    const server = await serve(good);
    await connected(server.port);
    const peer = `0100007F:${server.port.toString(16).toUpperCase().padStart(4, '0')}`;
    const sockets = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    // Columns: number, local, remote, state, queues, timer; timer 02 is the keep-alive.
    const ours = sockets.filter(([, , remote, state]) => remote === peer && state === '01');
    expect(ours.map(([, , , , , timer]) => timer?.slice(0, 2))).toEqual(['02']);
  });

  test('and asks no more than once at a time, after waits that grow and are jittered', async () => {
    const clock = handClock();
    const gone = await serve(silent);
    const { port } = gone;
    await gone.close();
    opened.length = 0;
    const random = vi.fn(() => 0.999);
    const connection = connectTo(port, random, clock);
    const waits: number[] = [];
    for (let n = 0; n < 8; n++) {
      // Once per connection for its first transaction id, once for the wait after it.
      await vi.waitFor(() => expect(random).toHaveBeenCalledTimes(2 * n + 2), { interval: 1 });
      const fromMs = clock.monotonicMs();
      while (random.mock.calls.length < 2 * n + 3) clock.advance(10);
      waits.push(clock.monotonicMs() - fromMs);
    }
    connection.close();
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });
});

describe('behind one gateway', () => {
  test.each<[string, Script]>([
    ['never answers', silent],
    ['answers nonsense', answering(WORDS, { byteCount: 6 })],
    ['makes the gateway hang up', closing],
  ])('a meter that %s does not keep the others from being read', async (_, odd) => {
    const server = await serve(except(({ unitId }) => unitId === 1, odd, good));
    const connection = connectTo(server.port);
    let goodOnes = 0;
    const round = async () => {
      const broken = read(connection, 100, { unitId: 1, timeoutMs: SHORT_MS });
      const alive = read(connection, 200, { unitId: 2 });
      expect(faultOf(await broken)).not.toBeNull();
      if (faultOf(await alive) === null) goodOnes += 1;
      expect(goodOnes).toBeGreaterThan(5);
    };
    await vi.waitFor(round, { interval: 1, timeout: 20_000 });
  });

  test('a dead meter of which the gateway itself says so, after its own wait, costs the others a fifth of the time', async () => {
    const clock = handClock();
    const WAIT_MS = 400;
    let waitedMs = 0;
    const inVain: Script = (request) => {
      clock.stall(WAIT_MS);
      waitedMs += WAIT_MS;
      return exception(11)(request);
    };
    const server = await serve(except(({ unitId }) => unitId === 1, inVain, good));
    const connection = connectTo(server.port, undefined, clock);
    let goodOnes = 0;
    while (clock.monotonicMs() < 20_000) {
      const dead = read(connection, 100, { unitId: 1 });
      const alive = read(connection, 200, { unitId: 2 });
      expect(faultOf(await dead)).toBe('exception');
      if (faultOf(await alive) === null) goodOnes += 1;
      clock.advance(50);
    }
    expect(waitedMs / 20_000).toBeLessThan(0.25);
    expect(goodOnes).toBeGreaterThan(200);
    expect(server.connections).toBe(1);
  });

  test('a consumer that throws does not end the connection, nor hide its error as a fault of the meter', async () => {
    const server = await serve(good);
    const connection = await connected(server.port);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    const reads = [{ functionCode: 4, address: 100, count: COUNT } as const];
    const request = { unitId: 1, reads, timeoutMs: NEVER_MS, pauseMs: 0 };
    connection.read(request, () => {
      throw new Error('a bug of ours');
    });
    const next = read(connection, 200);
    expect(await thrown).toHaveProperty('message', 'a bug of ours');
    for (const listener of listeners) process.on('uncaughtException', listener);
    expect(faultOf(await next)).toBeNull();
    expect(server.connections).toBe(1);
  });
});

describe('nothing but a read can be written to a meter', () => {
  const frame = (functionCode: number, bytes = 8) =>
    Buffer.from([1, functionCode, 0, 0, 0, 1, 0, 0, 0]).subarray(0, bytes);

  async function openPort(server: ModbusServer): Promise<ModbusTcpPort> {
    const port = new ModbusTcpPort('127.0.0.1', server.port, 0, () => {});
    opened.push({ close: () => port.destroy() });
    await new Promise<void>((done) => port.open(() => done()));
    return port;
  }

  test('every function code but 3 and 4 is refused before it reaches the wire', async () => {
    const server = await serve(good);
    const port = await openPort(server);
    for (let code = 0; code < 256; code++) {
      if (code === 3 || code === 4) continue;
      expect(() => port.write(frame(code)), `function code ${code}`).toThrow('would not be a read');
    }
    expect(() => port.write(frame(4, 9))).toThrow('would not be a read');
    const answered = new Promise((done) => port.once('data', done));
    port.write(frame(3));
    await answered;
    expect(server.requests.map(({ functionCode }) => functionCode)).toEqual([3]);
  });

  test('a second request while one is open is refused too', async () => {
    const port = await openPort(await serve(silent));
    port.write(frame(4));
    expect(() => port.write(frame(4))).toThrow('still open');
  });
});
