import { afterEach, describe, expect, test, vi } from 'vitest';
import { serialWire, tcpWire } from '../../src/acquisition/byte-wires.ts';
import type { ModbusConnection, ReadAnswer } from '../../src/acquisition/modbus-connection.ts';
import { ModbusLines, rtuConnection } from '../../src/acquisition/modbus-lines.ts';
import type { WireRead } from '../../src/acquisition/modbus-port.ts';
import { ModbusRtuPort } from '../../src/acquisition/modbus-rtu-port.ts';
import { OwedAnswers } from '../../src/acquisition/owed-answers.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import { source as sourceSettings } from '../../src/source-settings.ts';
import { handClock } from '../simulators/hand-clock.ts';
import {
  closing,
  except,
  halfClosing,
  type ModbusServer,
  type Registers,
  resetting,
  type Script,
  silent,
} from '../simulators/modbus-server.ts';
import {
  hasSocat,
  pseudoLine,
  type RtuFields,
  rtuAnswering,
  rtuException,
  rtuFrame,
  rtuLate,
  startRtuServer,
} from '../simulators/rtu-line.ts';

/** No two addresses hold the same word, so a value that belongs to another request shows. */
const WORDS: Registers = new Map(Array.from({ length: 2_000 }, (_, address) => [address, (address * 31 + 7) % 65_536]));
const NEVER_MS = 600_000;
const SHORT_MS = 20;
const good = rtuAnswering(WORDS);

const opened: { close(): unknown }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

async function serve(script: Script): Promise<ModbusServer> {
  const server = await startRtuServer(script);
  opened.push(server);
  return server;
}

function connectTo(port: number, clock: Clock = systemClock(), timeoutMs = SHORT_MS): ModbusConnection {
  const connection = rtuConnection(tcpWire('127.0.0.1', port), timeoutMs, clock, () => 0.05);
  opened.push(connection);
  return connection;
}

interface Ask {
  readonly unitId?: number;
  readonly timeoutMs?: number;
  readonly counts?: readonly number[];
}

/** Reads in any of `counts` words, and sees to it that the words, if any come, are those that were asked for. */
async function read(
  connection: ModbusConnection,
  address: number,
  { unitId = 1, timeoutMs = NEVER_MS, counts = [2, 4, 6] }: Ask = {},
): Promise<ReadAnswer> {
  const reads: WireRead[] = counts.map((count) => ({ functionCode: 4, address, count }));
  const answer = await new Promise<ReadAnswer>((done) =>
    connection.read({ unitId, reads, timeoutMs, pauseMs: 0 }, done),
  );
  if ('words' in answer) {
    const { count } = answer.read;
    expect(answer.words).toEqual(Array.from({ length: count }, (_, index) => WORDS.get(address + index)));
  }
  return answer;
}

const faultOf = (answer: ReadAnswer) => ('fault' in answer ? answer.fault : null);

function readUntilGood(connection: ModbusConnection, address: number, ask: Ask = {}): Promise<void> {
  // A head that came too late may hold the answer behind it back until the deadline.
  const attempt = async () => expect(faultOf(await read(connection, address, { timeoutMs: 300, ...ask }))).toBeNull();
  return vi.waitFor(attempt, { interval: 1, timeout: 20_000 });
}

describe('a meter on a serial line that misbehaves once gives a fault and no value, and is read right afterwards', () => {
  const falsified = (fields: RtuFields) => rtuAnswering(WORDS, fields);
  const cut =
    (bytes: number): Script =>
    (request) => [{ bytes: rtuFrame(request, WORDS).subarray(0, bytes) }];
  test.each<[string, Script, string, number?]>([
    ['no answer in time', silent, 'noAnswer', SHORT_MS],
    ['an answer after its time (M1)', rtuLate(WORDS, 3 * SHORT_MS), 'noAnswer', SHORT_MS],
    ['a CRC that is wrong', falsified({ crc: 1 }), 'invalidFrame'],
    ['the answer of another unit', falsified({ unitId: 2 }), 'invalidFrame'],
    ['the answer of another function code', falsified({ functionCode: 3 }), 'invalidFrame'],
    ['a byte count of one register too few', falsified({ byteCount: 2 }), 'invalidFrame'],
    ['a byte count of one register too many', falsified({ byteCount: 14 }), 'invalidFrame'],
    ['another register count, consistently', (r) => good({ ...r, count: r.count + 1 }), 'invalidFrame'],
    ['an exception of another function code', (r) => rtuException(2)({ ...r, functionCode: 3 }), 'invalidFrame'],
    ['the head of an answer, then nothing', cut(3), 'noAnswer', SHORT_MS],
    ['all of an answer but its last byte', cut(8), 'noAnswer', SHORT_MS],
    ['noise', () => [{ bytes: Buffer.from([0xff, 0x00, 0xff, 0x12]) }], 'invalidFrame'],
    [
      'our own request (local echo)',
      (r) => [{ bytes: Buffer.from([r.unitId, 4, 0, 100, 0, 2, 0, 0]) }],
      'invalidFrame',
    ],
    ['a closed connection', closing, 'disconnected'],
    ['a connection that is reset', resetting, 'disconnected'],
    ['a connection of which only our half is still open', halfClosing, 'disconnected'],
    ...Array.from({ length: 11 }, (_, index): [string, Script, string] => [
      `exception ${index + 1}`,
      rtuException(index + 1),
      'exception',
    ]),
  ])('%s', async (_, odd, fault, timeoutMs = NEVER_MS) => {
    const server = await serve(good);
    const connection = connectTo(server.port);
    await readUntilGood(connection, 0);
    const number = server.requests.length;
    server.script = except((request) => request.number === number, odd, good);
    expect(faultOf(await read(connection, 100, { timeoutMs }))).toBe(fault);
    await readUntilGood(connection, 200);
    for (const address of [300, 400, 500]) expect(faultOf(await read(connection, address))).toBeNull();
    expect(server.connections).toBe(fault === 'disconnected' ? 2 : 1);
  });
});

test.each(Array.from({ length: 11 }, (_, index) => index + 1))('exception %i by its code', async (code) => {
  const connection = connectTo((await serve(rtuException(code))).port);
  const answer = await read(connection, 100, { counts: [2] });
  expect(answer).toMatchObject({ exception: { code, read: { address: 100 } } });
});

test('M10: a source of RTU over TCP sends the bytes of a serial line, without a header of Modbus TCP', async () => {
  const server = await serve(good);
  const lines = new ModbusLines(systemClock(), () => 0.05);
  opened.push(lines);
  const settings = sourceSettings.parse({
    ...{ id: 'meter', type: 'modbus-rtu-over-tcp', host: '127.0.0.1', port: server.port },
    ...{ unitId: 7, profile: 'eastron-sdm630' },
  });
  if (settings.type === 'opcua') throw new Error('another type');
  expect(faultOf(await read(lines.of(settings), 100, { unitId: 7 }))).toBeNull();
  expect(server.requests).toMatchObject([{ unitId: 7, functionCode: 4, address: 100, count: 2 }]);
});

describe('a late answer on a serial line', () => {
  test('M1: does not shift the answers after it', async () => {
    const server = await serve(good);
    const connection = connectTo(server.port);
    await readUntilGood(connection, 0);
    server.script = except(({ address }) => address === 100, rtuLate(WORDS, 2 * SHORT_MS), good);
    expect(faultOf(await read(connection, 100, { timeoutMs: SHORT_MS }))).toBe('noAnswer');
    for (let address = 200; address < 260; address++) expect(faultOf(await read(connection, address))).toBeNull();
    expect(server.connections).toBe(1);
  });

  test('is not taken for the answer to a request that it fits: such a request is not sent', async () => {
    const clock = handClock();
    const server = await serve(good);
    const connection = connectTo(server.port, clock);
    expect(faultOf(await read(connection, 0))).toBeNull();
    server.script = silent;
    const asked = server.requests.length;
    const silentRead = read(connection, 100, { counts: [6], timeoutMs: SHORT_MS });
    await vi.waitFor(() => expect(server.requests.length).toBe(asked + 1), { interval: 1 });
    clock.advance(SHORT_MS);
    expect(await silentRead).toHaveProperty('fault', 'noAnswer');
    server.script = good;
    expect(await read(connection, 200, { counts: [6] })).toMatchObject({
      detail: expect.stringContaining('not asked'),
    });
    expect(server.requests.length).toBe(asked + 1);
    expect(faultOf(await read(connection, 200, { counts: [6, 8] }))).toBeNull();
    expect(server.requests.at(-1)?.count).toBe(8);
    server.babble(rtuFrame({ ...(server.requests[asked] ?? expect.fail()) }, WORDS));
    await readUntilGood(connection, 200, { counts: [6] });
  });

  test('is forgotten when no meter can still give it', async () => {
    const clock = handClock();
    const server = await serve(silent);
    const connection = connectTo(server.port, clock, 100);
    const first = read(connection, 100, { counts: [6], timeoutMs: 100 });
    await vi.waitFor(() => expect(server.requests.length).toBe(1), { interval: 1 });
    clock.advance(100);
    expect(faultOf(await first)).toBe('noAnswer');
    server.script = good;
    clock.advance(4_999);
    expect(faultOf(await read(connection, 100, { counts: [6] }))).toBe('noAnswer');
    clock.advance(1);
    expect(faultOf(await read(connection, 100, { counts: [6] }))).toBeNull();
  });

  test('of one unit comes while another is asked, and harms neither', async () => {
    const server = await serve(good);
    const connection = connectTo(server.port);
    await readUntilGood(connection, 0);
    const lateOne = rtuLate(WORDS, 2 * SHORT_MS);
    server.script = (request) => {
      if (request.unitId === 1) return lateOne(request);
      return [{ delayMs: 4 * SHORT_MS, bytes: rtuFrame(request, WORDS) }];
    };
    const [one, two] = await Promise.all([
      read(connection, 100, { unitId: 1, timeoutMs: SHORT_MS }),
      read(connection, 200, { unitId: 2 }),
    ]);
    expect([faultOf(one), faultOf(two)]).toEqual(['noAnswer', null]);
  });

  test('that comes in one segment with the answer after it is told from that', async () => {
    const server = await serve(good);
    const connection = connectTo(server.port);
    await readUntilGood(connection, 0);
    let owed: Buffer | null = null;
    server.script = (request) => {
      const bytes = rtuFrame(request, WORDS);
      if (owed === null) {
        owed = bytes;
        return 'silence';
      }
      return [{ bytes: Buffer.concat([owed, bytes]) }];
    };
    expect(faultOf(await read(connection, 100, { timeoutMs: SHORT_MS }))).toBe('noAnswer');
    expect(faultOf(await read(connection, 200))).toBeNull();
  });

  test('makes the exception that follows ambiguous: the present answer then counts as owed too', async () => {
    const server = await serve(silent);
    const connection = connectTo(server.port);
    expect(faultOf(await read(connection, 100, { counts: [2], timeoutMs: SHORT_MS }))).toBe('noAnswer');
    server.script = rtuException(6);
    expect(faultOf(await read(connection, 200, { counts: [4] }))).toBe('exception');
    server.script = good;
    expect(faultOf(await read(connection, 300, { counts: [4] }))).toBe('noAnswer');
    expect(faultOf(await read(connection, 300, { counts: [4, 6] }))).toBeNull();
  });

  test('that comes twice is not the answer to the next request: no two in a row are alike', async () => {
    const server = await serve((request) => {
      const bytes = rtuFrame(request, WORDS);
      return [{ bytes }, { bytes }];
    });
    const connection = connectTo(server.port);
    let taken = 0;
    const counts = [2, 4, 6, 8, 10, 12, 14, 16];
    for (let address = 0; address < 200; address++) {
      if (faultOf(await read(connection, address, { counts, timeoutMs: 300 })) === null) taken += 1;
    }
    expect(taken).toBeGreaterThan(2);
    const asked = server.requests.map(({ count }) => count);
    expect(asked.slice(1).filter((count, index) => count === asked[index])).toEqual([]);
  });
});

describe('a serial line', () => {
  test('that is never quiet ends a read all the same', async () => {
    const server = await serve(silent);
    const connection = connectTo(server.port);
    await read(connection, 0, { timeoutMs: SHORT_MS });
    const babbling = setInterval(() => server.babble(Buffer.from([0x55, 0xaa, 0x55])), 2);
    const neverQuiet = async () => {
      const answer = await read(connection, 100, { timeoutMs: SHORT_MS });
      expect('detail' in answer && answer.detail).toBe('the line is never quiet');
    };
    await vi.waitFor(neverQuiet, { interval: 1, timeout: 20_000 });
    clearInterval(babbling);
    server.script = good;
    await readUntilGood(connection, 200, { timeoutMs: 500 });
  });

  test('is read byte by byte as in one piece', async () => {
    const script: Script = (request) =>
      Array.from(rtuFrame(request, WORDS), (byte) => ({ delayMs: 1, bytes: Uint8Array.of(byte) }));
    const connection = connectTo((await serve(script)).port);
    expect(faultOf(await read(connection, 100))).toBeNull();
  });

  test('serves its units in turn: a dead one costs the others a fifth of the time and no more', async () => {
    const clock = handClock();
    const server = await serve(except(({ unitId }) => unitId === 1, silent, good));
    const connection = connectTo(server.port, clock, 100);
    let [living, dead] = [0, 0];
    const next = (unitId: number) => {
      connection.read({ unitId, reads: [2, 4, 6, 8].map(of), timeoutMs: 100, pauseMs: 0 }, (answer) => {
        if ('words' in answer) living += 1;
        else dead += 1;
      });
    };
    const of = (count: number) => ({ functionCode: 4, address: 0, count }) as const;
    const startMs = clock.monotonicMs();
    let deadMs = 0;
    while (clock.monotonicMs() < startMs + 20_000) {
      const before = living + dead;
      const asked = server.requests.length;
      next(1);
      next(2);
      await vi.waitFor(
        () => {
          const last = server.requests.at(-1);
          if (server.requests.length > asked && last?.unitId === 1 && living + dead === before) {
            clock.advance(100);
            deadMs += 100;
          }
          expect(living + dead).toBe(before + 2);
        },
        { interval: 1 },
      );
      clock.advance(50);
    }
    expect(deadMs / 20_000).toBeLessThan(0.25);
    expect(living).toBeGreaterThan(100);
    expect(server.connections).toBe(1);
  });

  test('serves its units in turn: a slow one that answers gets its turn, and no more turns than the others', async () => {
    const server = await serve(except(({ unitId }) => unitId === 1, rtuLate(WORDS, 15), good));
    const connection = connectTo(server.port, systemClock(), 1_000);
    const answered = new Map([1, 2, 3].map((unitId) => [unitId, 0]));
    const poll = (unitId: number) => {
      const reads = [2, 4, 6, 8].map((count) => ({ functionCode: 4, address: 0, count }) as const);
      connection.read({ unitId, reads, timeoutMs: 1_000, pauseMs: 0 }, (answer) => {
        const before = answered.get(unitId) ?? 0;
        if ('words' in answer) answered.set(unitId, before + 1);
        if (before < 10) poll(unitId);
      });
    };
    for (const unitId of answered.keys()) poll(unitId);
    // The slow one is answered for the tenth time before the others are asked for it.
    await vi.waitFor(
      () => {
        expect(answered.get(1)).toBeGreaterThanOrEqual(10);
        expect(server.requests.length).toBeGreaterThanOrEqual(30);
      },
      { interval: 1 },
    );
    const turns = server.requests.slice(0, 30).map(({ unitId }) => unitId);
    expect(turns).toEqual(Array.from({ length: 30 }, (_, turn) => 1 + (turn % 3)));
  });

  test('is asked for the dead unit at every poll where that is alone', async () => {
    const server = await serve(silent);
    const connection = connectTo(server.port);
    for (let n = 0; n < 4; n++)
      expect(await read(connection, 0, { timeoutMs: 5, counts: [2, 4, 6, 8, 10] })).not.toHaveProperty('words');
    expect(server.requests.length).toBeGreaterThanOrEqual(3);
  });

  test('behind a device server that has gone dumb is connected anew', async () => {
    const server = await serve(silent);
    const connection = connectTo(server.port);
    for (let n = 0; n < 3; n++) await read(connection, 0, { timeoutMs: SHORT_MS, counts: [2, 4, 6, 8] });
    await vi.waitFor(() => expect(server.connections).toBe(2), { interval: 1 });
  });

  test('that does not exist is a fault in words, and is looked for again', async () => {
    const wire = serialWire({ path: '/dev/no-such-line', baudRate: 9600, parity: 'none', stopBits: 2 });
    const connection = rtuConnection(wire, SHORT_MS, systemClock(), () => 0.05);
    opened.push(connection);
    const refused = async () => {
      const answer = await read(connection, 0);
      expect(answer).toMatchObject({ fault: 'disconnected', detail: expect.stringContaining('No such file') });
    };
    await vi.waitFor(refused, { interval: 1 });
  });
});

describe.runIf(hasSocat)('over the serial driver and a pseudo-terminal', () => {
  test('meters are read right, and again after the line was gone', async () => {
    const server = await serve(good);
    let line = await pseudoLine(server.port);
    const settings = { path: line.path, baudRate: 19_200, parity: 'even', stopBits: 1 } as const;
    const connection = rtuConnection(serialWire(settings), 200, systemClock(), () => 0.05);
    opened.push(connection, { close: () => line.close() });
    for (let n = 0; n < 20; n++) await readUntilGood(connection, n, { unitId: 1 + (n % 3), timeoutMs: 1_000 });
    await line.close();
    await vi.waitFor(async () => expect(faultOf(await read(connection, 0, { timeoutMs: 100 }))).toBe('disconnected'), {
      interval: 5,
      timeout: 10_000,
    });
    line = await pseudoLine(server.port, settings.path);
    await readUntilGood(connection, 100, { timeoutMs: 1_000 });
  });
});

test('nothing but a read can be written to a serial line', async () => {
  const server = await serve(good);
  const owed = new OwedAnswers(systemClock(), 1_000);
  const port = new ModbusRtuPort(tcpWire('127.0.0.1', server.port), owed, systemClock(), () => {});
  opened.push({ close: () => port.destroy() });
  await new Promise<void>((done) => port.open(() => done()));
  for (let code = 0; code < 256; code++) {
    if (code === 3 || code === 4) continue;
    const frame = Buffer.from([1, code, 0, 0, 0, 1, 0, 0]);
    expect(() => port.write(frame), `function code ${code}`).toThrow('would not be a read');
  }
  const answered = new Promise((done) => port.once('data', done));
  port.write(Buffer.from([1, 4, 0, 0, 0, 1, 0, 0]));
  expect(() => port.write(Buffer.from([1, 4, 0, 0, 0, 1, 0, 0]))).toThrow('still open');
  await answered;
  expect(server.requests.map(({ functionCode }) => functionCode)).toEqual([4]);
});
