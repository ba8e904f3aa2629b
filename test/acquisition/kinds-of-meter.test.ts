// Meters that are not read plainly: found by walking a SunSpec chain, several circuits in one, currents that are derived
// or neutrals that are estimated, meters that refuse what is beside the phases; on TCP and on a serial line alike.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { readRegisterMap } from '../../src/acquisition/register-map.ts';
import type { FeederReading } from '../../src/feeder.ts';
import { settingsSchema } from '../../src/settings.ts';
import { showProblem } from '../../src/yaml-file.ts';
import { handClock } from '../simulators/hand-clock.ts';
import {
  answering,
  except,
  exception,
  float32,
  type ModbusRequest,
  ModbusServer,
  type Registers,
  type Script,
} from '../simulators/modbus-server.ts';
import { rtuAnswering, rtuException, startRtuServer } from '../simulators/rtu-line.ts';

const METERS = join(import.meta.dirname, '../../hardware/meters');
const folder = mkdtempSync(join(tmpdir(), 'meters-'));
afterAll(() => rmSync(folder, { recursive: true }));
const opened: { close(): unknown }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

interface Site {
  readonly type?: 'modbus-tcp' | 'modbus-rtu-over-tcp';
  readonly mapFile: string;
  readonly feeders?: Record<string, object>;
}

async function site(server: ModbusServer, { type = 'modbus-tcp', mapFile, feeders = { F1: {} } }: Site) {
  opened.push(server);
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [{ id: 'meter', type, host: '127.0.0.1', port: server.port, profile: mapFile, timeoutMs: 60_000 }],
    feeders: Object.entries(feeders).map(([id, currents]) => ({
      id,
      currents: { source: 'meter', ...currents },
      settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
    })),
  });
  const { value, problems } = readRegisterMap(mapFile);
  expect(problems.map(showProblem)).toEqual([]);
  const clock = handClock(5_000);
  const readings: FeederReading[] = [];
  const details: string[] = [];
  const acquisition = openAcquisition({
    sources: settings.sources,
    feeders: settings.feeders,
    registerMaps: new Map([['meter', value ?? expect.fail()]]),
    dataFolder: folder,
    clock,
    random: () => 0.1,
    events: {
      readings: (some) => void readings.push(...some),
      sourceChanged: (_, __, detail) => void details.push(detail),
      alarm: () => {},
      changedOver: () => {},
    },
  });
  opened.push(acquisition);
  const reading = (wanted: (reading: FeederReading) => boolean) => {
    const from = readings.length;
    const find = () => {
      clock.advance(200);
      return readings.slice(from).find(wanted) ?? expect.fail('no such reading yet');
    };
    return vi.waitFor(find, { interval: 2, timeout: 10_000 });
  };
  return { reading, readings, details };
}

const isGood = ({ L1, L2, L3 }: FeederReading) => [L1, L2, L3].every(({ quality }) => quality === 'good');
const amperes = ({ L1, L2, L3 }: FeederReading) => [L1.currentA, L2.currentA, L3.currentA];

function ownMap(name: string, registers: string, more = ''): string {
  const file = join(folder, `${name}.yaml`);
  const head = 'maker: M\nmodel: M\nsource: a test\nverified: not yet\nlongestReadWords: 60\n';
  writeFileSync(file, `${head}${more}registers:\n${registers}`);
  return file;
}

const floats = (quantity: string, from: number, conductors: string[], more = '') =>
  conductors
    .map(
      (conductor, index) =>
        `  - { quantity: ${quantity}, conductor: ${conductor}, functionCode: 4, address: ${from + 2 * index}, type: float32, unit: A${more} }\n`,
    )
    .join('');
const table = (from: number, values: number[]): [number, number][] =>
  values.flatMap((value, index) =>
    float32(value).map((word, half) => [from + 2 * index + half, word] as [number, number]),
  );

describe('a SunSpec meter', () => {
  const common = [0x5375, 0x6e53, 1, 66, ...new Array(66).fill(0)];
  const model203 = [203, 105, 0xffff, 3450, 2002, 5, 0xffff, ...new Array(100).fill(0)];
  const model213 = [213, 124, 0, 0, ...float32(345), ...float32(200.25), ...float32(0.5), ...new Array(116).fill(0)];
  const device = (base: number, ...models: number[][]): Registers =>
    new Map([...common, ...models.flat(), 0xffff, 0].map((word, index) => [base + index, word]));
  /** Any address that the table has not is refused, as a device does. */
  const strict = (registers: Registers): Script =>
    except(
      ({ address, count }) => !registers.has(address) || !registers.has(address + count - 1),
      exception(2),
      answering(registers),
    );
  const mapFile = join(METERS, 'sunspec.yaml');

  test.each([40_000, 50_000, 0])('is found by walking the chain from %d', async (base) => {
    const inverter = [103, 50, ...new Array(50).fill(7)];
    const { reading } = await site(await ModbusServer.start(strict(device(base, inverter, model203))), { mapFile });
    expect(amperes(await reading(isGood))).toEqual([345, 200.2, 0.5]);
  });

  test('may be one of floats', async () => {
    const { reading } = await site(await ModbusServer.start(strict(device(40_000, model213))), { mapFile });
    expect(amperes(await reading(isGood))).toEqual([345, 200.25, 0.5]);
  });

  test('that is none is told so, and looked for again', async () => {
    const server = await ModbusServer.start(strict(device(40_000, [103, 50, ...new Array(50).fill(7)])));
    const { reading, details } = await site(server, { mapFile });
    await reading(({ L1 }) => L1.reason === 'noAnswer');
    expect(details).toEqual(['no meter among the SunSpec models 1, 103']);
    server.script = strict(device(40_000, model203));
    await reading(isGood);
  });

  test('whose chain moves is never read at its old place', async () => {
    const server = await ModbusServer.start(strict(device(40_000, model203)));
    const { reading, readings } = await site(server, { mapFile });
    await reading(isGood);
    server.script = strict(device(40_000, [120, 26, ...new Array(26).fill(999)], model203));
    await reading(({ L1 }) => L1.reason === 'invalidFrame');
    await reading(isGood);
    expect(new Set(readings.map(({ L1 }) => L1.currentA))).toEqual(new Set([null, 345]));
  });

  test('without its scale factor has no current', async () => {
    const without = model203.with(6, 0x8000);
    const { reading } = await site(await ModbusServer.start(strict(device(40_000, without))), { mapFile });
    expect(amperes(await reading(({ L1 }) => L1.reason === 'sentinel'))).toEqual([null, null, null]);
  });
});

describe('a meter of three circuits', () => {
  const mapFile = () =>
    ownMap('multi', [1, 2, 3].map((n) => floats('current', n * 40, ['L1', 'L2', 'L3'], `, circuit: ${n}`)).join(''));
  const words = new Map([1, 2, 3].flatMap((n) => table(n * 40, [n * 10 + 1, n * 10 + 2, n * 10 + 3])));
  const feeders = { A: { circuit: 1 }, B: { circuit: 2 }, C: { circuit: 3 } };

  test('gives each feeder its own', async () => {
    const { reading } = await site(await ModbusServer.start(answering(words)), { mapFile: mapFile(), feeders });
    for (const [index, feederId] of ['A', 'B', 'C'].entries()) {
      const base = (index + 1) * 10;
      const own = await reading((one) => one.feederId === feederId && isGood(one));
      expect(amperes(own)).toEqual([base + 1, base + 2, base + 3]);
    }
  });

  test('of which one refuses leaves the others good', async () => {
    const script = except(({ address }) => address >= 80 && address < 120, exception(4), answering(words));
    const { reading } = await site(await ModbusServer.start(script), { mapFile: mapFile(), feeders });
    await reading((one) => one.feederId === 'B' && one.L1.reason === 'exception');
    await reading((one) => one.feederId === 'C' && isGood(one));
  });
});

test('a current is derived from apparent power and voltage where the meter gives none, and marked', async () => {
  const mapFile = ownMap(
    'derived',
    floats('apparentPower', 20, ['L1', 'L2', 'L3']) + floats('voltage', 0, ['L1', 'L2', 'L3']),
  );
  const words = new Map([...table(0, [240, 250, 0]), ...table(20, [24_000, 50_000, 0])]);
  const { reading } = await site(await ModbusServer.start(answering(words)), { mapFile });
  const { L1, L2, L3 } = await reading(({ L1 }) => L1.quality === 'good');
  expect(L1).toEqual({ currentA: 100, quality: 'good', reason: 'derived' });
  expect(L2).toEqual({ currentA: 200, quality: 'good', reason: 'derived' });
  // Without a voltage there is no current to derive: unknown, not 0.
  expect(L3).toEqual({ currentA: null, quality: 'bad', reason: 'notANumber' });
});

test('a neutral that the meter does not give is unavailable, or estimated where that is asked for, and then never good', async () => {
  const mapFile = ownMap('no-neutral', floats('current', 6, ['L1', 'L2', 'L3']));
  const server = await ModbusServer.start(answering(new Map(table(6, [100, 100, 40]))));
  const { reading } = await site(server, { mapFile, feeders: { A: {}, B: { neutral: 'estimated' } } });
  expect((await reading((one) => one.feederId === 'A' && isGood(one))).N).toMatchObject({ reason: 'unavailable' });
  expect((await reading((one) => one.feederId === 'B' && isGood(one))).N).toEqual({
    currentA: 60,
    quality: 'uncertain',
    reason: 'estimated',
  });
});

describe.each(['modbus-tcp', 'modbus-rtu-over-tcp'] as const)(
  'a meter that has nothing but currents, over %s',
  (type) => {
    test('is read from its first poll on: what it refuses beside them is not asked for again', async () => {
      const words = new Map(table(6, [345, 200.25, 0.5]));
      const isRefused = ({ address, count }: ModbusRequest) => !words.has(address) || !words.has(address + count - 1);
      const server =
        type === 'modbus-tcp'
          ? await ModbusServer.start(except(isRefused, exception(2), answering(words)))
          : await startRtuServer(except(isRefused, rtuException(2), rtuAnswering(words)));
      const { reading, readings } = await site(server, { type, mapFile: join(METERS, 'eastron-sdm630.yaml') });
      expect(amperes(await reading(({ L1 }) => L1.reason !== 'disconnected'))).toEqual([345, 200.25, 0.5]);
      const asked = server.requests.length;
      for (let n = 0; n < 5; n++) await reading(isGood);
      const phases = server.requests.slice(asked).filter(({ address }) => address === 6);
      expect(phases.length).toBeGreaterThan(3);
      if (type === 'modbus-tcp') expect(new Set(phases.map(({ count }) => count))).toEqual(new Set([6]));
      expect(readings.filter(({ L1 }) => L1.reason === 'exception')).toEqual([]);
    });
  },
);
