// The simulated meter on real sockets: read back by the program's own acquisition, by modbus-serial's stock client, and
// byte by byte.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import modbus from 'modbus-serial';
import { afterEach, describe, expect, test } from 'vitest';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { decode } from '../../src/acquisition/decode.ts';
import { type Register, type RegisterMap, readRegisterMap, WORDS_OF } from '../../src/acquisition/register-map.ts';
import { systemClock } from '../../src/clock.ts';
import type { FeederReading } from '../../src/feeder.ts';
import type { FeederSettings } from '../../src/feeder-settings.ts';
import { quality } from '../../src/input-settings.ts';
import type { SourceSettings } from '../../src/source-settings.ts';
import { encode } from '../../src/workbench/encode.ts';
import { openSimulatedMeter, type SimulatedMeter } from '../../src/workbench/simulated-meter.ts';

const SDM630_FILE = join(import.meta.dirname, '../../hardware/meters/eastron-sdm630.yaml');
const CURRENTS = { L1: 101.25, L2: 202.5, L3: 303.75, N: 40.5 };

const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

function sdm630(): RegisterMap {
  const map = readRegisterMap(SDM630_FILE).value;
  if (map === null) throw new Error('the map of the SDM630 is not readable');
  return map;
}

function currentRegister(conductor: 'L1' | 'L2' | 'L3', address: number, rest: Partial<Register>): Register {
  return {
    quantity: 'current',
    conductor,
    functionCode: 3,
    address,
    type: 'float32',
    order: 'ABCD',
    scale: 1,
    unit: 'A',
    sentinels: [],
    ...rest,
  };
}

const INTEGERS: RegisterMap = {
  maker: 'Test',
  model: 'integers',
  source: 'this test',
  verified: 'not yet',
  longestReadWords: 20,
  registers: [
    currentRegister('L1', 100, { type: 'int32', order: 'CDAB', scale: 0.001, sentinels: [-2147483648] }),
    currentRegister('L2', 102, { type: 'uint16', order: 'BADC', scale: 0.1, sentinels: [65535] }),
    currentRegister('L3', 104, { type: 'int16', order: 'ABCD', scale: -0.1, sentinels: [] }),
  ],
};

async function meterOf(map: RegisterMap): Promise<SimulatedMeter> {
  const meter = await openSimulatedMeter({ map, host: '127.0.0.1', port: 0 });
  toClose.push(() => meter.close());
  return meter;
}

/** The first reading with an answer for every conductor of the map, as the controller would get it. */
function readingOf(meter: SimulatedMeter, map: RegisterMap): Promise<FeederReading> {
  const { host, port } = meter;
  const source: SourceSettings = {
    id: 'meter',
    type: 'modbus-tcp',
    host,
    port,
    unitId: 1,
    profile: map.model,
    pollMs: 10,
    timeoutMs: 500,
    pauseMs: 0,
  };
  const hasNeutral = map.registers.some(({ quantity, conductor }) => quantity === 'current' && conductor === 'N');
  return new Promise((resolve) => {
    const acquisition = openAcquisition({
      dataFolder: '/nowhere',
      sources: [source],
      feeders: [
        {
          id: 'F1',
          currents: { source: 'meter', circuit: 1, neutral: 'measured' },
          powerSign: 'unknown',
          quality: quality.parse({}),
          settings: [{ ratingA: 1e6 }],
        } as FeederSettings,
      ],
      registerMaps: new Map([['meter', map]]),
      clock: systemClock(),
      random: () => 0.5,
      events: {
        readings: ([reading]) => {
          if (reading === undefined || reading.L1.reason === 'disconnected') return;
          const isNeutralRead = reading.N.reason !== 'unavailable' && reading.N.reason !== 'disconnected';
          if (!hasNeutral || isNeutralRead) resolve(reading);
        },
        sourceChanged: () => {},
        alarm: () => {},
        changedOver: () => {},
      },
    });
    toClose.push(() => acquisition.close());
  });
}

async function stockClient(meter: SimulatedMeter) {
  const client = new modbus.default();
  await client.connectTCP(meter.host, { port: meter.port });
  client.setID(1);
  client.setTimeout(2000);
  toClose.push(() => client.close(() => {}));
  return client;
}

describe('read by acquisition', () => {
  test('the phases and the neutral are good', async () => {
    const meter = await meterOf(sdm630());
    meter.set(CURRENTS);
    const reading = await readingOf(meter, sdm630());
    for (const conductor of ['L1', 'L2', 'L3', 'N'] as const) {
      expect(reading[conductor]).toEqual({ currentA: CURRENTS[conductor], quality: 'good', reason: null });
    }
  });

  test('a phase without a value is bad and leaves the others good', async () => {
    const meter = await meterOf(sdm630());
    meter.set({ ...CURRENTS, L2: Number.NaN });
    const reading = await readingOf(meter, sdm630());
    expect(reading.L2).toEqual({ currentA: null, quality: 'bad', reason: 'notANumber' });
    expect([reading.L1.quality, reading.L3.quality]).toEqual(['good', 'good']);
  });

  test('before the first value there is none', async () => {
    const meter = await meterOf(sdm630());
    expect((await readingOf(meter, sdm630())).L1.reason).toBe('notANumber');
  });

  test('any map: integers, word orders, scales and sentinels', async () => {
    const meter = await meterOf(INTEGERS);
    meter.set({ L1: 123.456, L2: Number.NaN, L3: 78.9, N: 0 });
    const reading = await readingOf(meter, INTEGERS);
    expect(reading.L1.currentA).toBeCloseTo(123.456, 6);
    expect(reading.L2.reason).toBe('sentinel');
    expect(reading.L3.currentA).toBeCloseTo(78.9, 6);
  });

  test('what a register cannot say is an exception, never a number', async () => {
    const meter = await meterOf(INTEGERS);
    meter.set({ L1: 1, L2: 2, L3: Number.NaN, N: 0 });
    expect((await readingOf(meter, INTEGERS)).L1.reason).toBe('exception');
  });
});

describe('read by the stock client', () => {
  test('every register of the map, by both function codes', async () => {
    const map = sdm630();
    const meter = await meterOf(map);
    meter.set(CURRENTS);
    const client = await stockClient(meter);
    const expected: Record<string, number> = {
      'voltage L1': 240,
      'voltage L2': 240,
      'voltage L3': 240,
      'current L1': 101.25,
      'current L2': 202.5,
      'current L3': 303.75,
      'current N': 40.5,
      'power L1': 24_300,
      'power L2': 48_600,
      'power L3': 72_900,
      frequency: 50,
    };
    for (const { quantity, conductor, address } of map.registers) {
      const input = await client.readInputRegisters(address, 2);
      const holding = await client.readHoldingRegisters(address, 2);
      expect(input.buffer.readFloatBE(0)).toBe(expected[`${quantity} ${conductor ?? ''}`.trim()]);
      expect(holding.data).toEqual(input.data);
    }
  });

  test('a new value is in the next answer', async () => {
    const meter = await meterOf(sdm630());
    const client = await stockClient(meter);
    meter.set(CURRENTS);
    expect((await client.readInputRegisters(6, 2)).buffer.readFloatBE(0)).toBe(101.25);
    meter.set({ ...CURRENTS, L1: 400 });
    expect((await client.readInputRegisters(6, 2)).buffer.readFloatBE(0)).toBe(400);
  });

  test('exceptions: writes and coils 1, addresses outside the map 2, too many words 3', async () => {
    const meter = await meterOf(sdm630());
    const client = await stockClient(meter);
    await expect(client.writeRegister(6, 1)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.writeRegisters(6, [1, 2])).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.readCoils(0, 1)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.readInputRegisters(0xe2, 1)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(client.readInputRegisters(0xe1, 2)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(client.readInputRegisters(0, 81)).rejects.toMatchObject({ modbusCode: 3 });
    expect((await client.readInputRegisters(0, 80)).data).toHaveLength(80);
  });
});

describe('the wire', () => {
  const request = (transactionId: number) => {
    const frame = Buffer.from([0, 0, 0, 0, 0, 6, 9, 4, 0, 6, 0, 2]);
    frame.writeUInt16BE(transactionId, 0);
    return frame;
  };
  /** L1 at 101.25 A. */
  const answer = (transactionId: number) => [
    ...[transactionId >> 8, transactionId & 0xff, 0, 0, 0, 7],
    ...[9, 4, 4, 0x42, 0xca, 0x80, 0x00],
  ];

  async function rawSocket(meter: SimulatedMeter): Promise<Socket> {
    const socket = connect({ host: meter.host, port: meter.port, noDelay: true });
    toClose.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  }

  async function receive(socket: Socket, byteCount: number): Promise<number[]> {
    const received: number[] = [];
    while (received.length < byteCount) received.push(...((await once(socket, 'data'))[0] as Buffer));
    return received;
  }

  test('a frame that comes byte by byte', async () => {
    const meter = await meterOf(sdm630());
    meter.set(CURRENTS);
    const socket = await rawSocket(meter);
    for (const byte of request(0xabcd)) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(await receive(socket, 13)).toEqual(answer(0xabcd));
  });

  test('frames that come joined, and two and a half of them', async () => {
    const meter = await meterOf(sdm630());
    meter.set(CURRENTS);
    const socket = await rawSocket(meter);
    socket.write(Buffer.concat([request(1), request(2), request(3).subarray(0, 5)]));
    expect(await receive(socket, 26)).toEqual([...answer(1), ...answer(2)]);
    socket.write(request(3).subarray(5));
    expect(await receive(socket, 13)).toEqual(answer(3));
  });

  test('what is no Modbus ends the connection, and only that one', async () => {
    const meter = await meterOf(sdm630());
    meter.set(CURRENTS);
    const socket = await rawSocket(meter);
    const other = await rawSocket(meter);
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await closed;
    other.write(request(1));
    expect(await receive(other, 13)).toEqual(answer(1));
  });

  test('a read of a wrong length is refused', async () => {
    const meter = await meterOf(sdm630());
    const socket = await rawSocket(meter);
    socket.write(Buffer.from([0, 1, 0, 0, 0, 4, 9, 4, 0, 6]));
    expect(await receive(socket, 9)).toEqual([0, 1, 0, 0, 0, 3, 9, 0x84, 3]);
  });

  test('close ends connections and frees the port; a port in use is refused', async () => {
    const meter = await openSimulatedMeter({ map: sdm630(), host: '127.0.0.1', port: 0 });
    const socket = await rawSocket(meter);
    const again = { map: sdm630(), host: meter.host, port: meter.port };
    await expect(openSimulatedMeter(again)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const closed = once(socket, 'close');
    await meter.close();
    await closed;
    const second = await openSimulatedMeter(again);
    expect(second.port).toBe(meter.port);
    await second.close();
  });
});

describe('encode', () => {
  const register = fc
    .record({
      type: fc.constantFrom(...(Object.keys(WORDS_OF) as Register['type'][])),
      order: fc.constantFrom<Register['order']>('ABCD', 'CDAB', 'BADC', 'DCBA'),
      scale: fc.constantFrom(1, 0.1, 0.001, 10, -1),
      sentinels: fc.constantFrom<number[]>([], [0], [-32768], [65535], [-9999.9, 0]),
    })
    .map((rest) => currentRegister('L1', 0, rest));

  test('decode gives the value back, to the step of the register, or encode gives none', () => {
    fc.assert(
      fc.property(register, fc.double({ min: -1e6, max: 1e6, noNaN: true }), (given, value) => {
        const words = encode(value, given);
        if (words === null) return;
        const decoded = decode(words, 0, given);
        const isFloat = given.type.startsWith('float');
        const withinA = isFloat ? Math.abs(value) * 1e-6 + 1e-30 : Math.abs(given.scale) * 0.500_001;
        expect(words).toHaveLength(WORDS_OF[given.type]);
        expect(typeof decoded).toBe('number');
        expect(Math.abs(Number(decoded) - value)).toBeLessThanOrEqual(withinA);
      }),
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])(
    '%d is a reason at the other end, or there are no words',
    (value) => {
      fc.assert(
        fc.property(register, (given) => {
          const words = encode(value, given);
          if (words !== null) expect(typeof decode(words, 0, given)).toBe('string');
          else expect(given.type).toMatch(/int/);
        }),
      );
    },
  );

  test('beyond the type, or on a sentinel, there are no words', () => {
    expect(encode(3276.8, currentRegister('L1', 0, { type: 'int16', scale: 0.1 }))).toBeNull();
    expect(encode(3276.7, currentRegister('L1', 0, { type: 'int16', scale: 0.1 }))).toEqual([0x7fff]);
    expect(encode(-1, currentRegister('L1', 0, { type: 'uint32' }))).toBeNull();
    expect(encode(1e39, currentRegister('L1', 0, { type: 'float32' }))).toBeNull();
    expect(encode(-9999.9, currentRegister('L1', 0, { type: 'float32', sentinels: [-9999.9] }))).toBeNull();
    expect(encode(6553.5, currentRegister('L1', 0, { type: 'uint16', scale: 0.1, sentinels: [65535] }))).toBeNull();
  });
});
