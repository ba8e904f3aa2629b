import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { bad } from '../../src/acquisition/quality.ts';
import { readRegisterMap } from '../../src/acquisition/register-map.ts';
import type { Conductor, FeederReading } from '../../src/feeder.ts';
import { settingsSchema } from '../../src/settings.ts';
import { handClock } from '../simulators/hand-clock.ts';
import {
  answering,
  closing,
  except,
  exception,
  float32,
  ModbusServer,
  type Registers,
  type Script,
  silent,
} from '../simulators/modbus-server.ts';

const MAP = join(import.meta.dirname, '../../hardware/meters/eastron-sdm630.yaml');
const ADDRESS = { L1: 0x06, L2: 0x08, L3: 0x0a, N: 0xe0 };
const POLL_MS = 200;
const TIMEOUT_MS = 500;
const NO_TIMEOUT_MS = 60_000;

/** The registers of an SDM630 that shows these currents. */
function meter(currents: Record<Conductor, number>): Registers {
  const entries = Object.entries(currents) as [Conductor, number][];
  return new Map(
    entries.flatMap(([conductor, currentA]) => {
      const [high, low] = float32(currentA);
      const address = ADDRESS[conductor];
      return [[address, high] as const, [address + 1, low] as const];
    }),
  );
}

const CURRENTS = { L1: 101.5, L2: 202.25, L3: 303.75, N: 12.5 };
const GOOD = answering(meter(CURRENTS));
const isNeutral: Parameters<typeof except>[0] = ({ address }) => address === ADDRESS.N;

const opened: { close(): unknown }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

type Feeder = { id: string; source: string; ctRatio?: { primaryA: number; secondaryA: number }; quality?: object };
type Source = { id: string; unitId: number };

interface Site {
  sources?: Source[];
  feeders?: Feeder[];
  timeoutMs?: number;
  pollMs?: number;
}

/** A meter by this script and an acquisition that reads it, on a clock moved by hand. */
async function site(script: Script, given: Site = {}) {
  const { sources, feeders, timeoutMs = NO_TIMEOUT_MS, pollMs = POLL_MS } = given;
  const server = await ModbusServer.start(script);
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: (sources ?? [{ id: 'meter', unitId: 1 }]).map((source) => ({
      ...source,
      type: 'modbus-tcp',
      host: '127.0.0.1',
      port: server.port,
      profile: 'eastron-sdm630',
      pollMs,
      timeoutMs,
    })),
    feeders: (feeders ?? [{ id: 'feeder', source: 'meter' }]).map(({ source, ...feeder }) => ({
      ...feeder,
      currents: { source },
      settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
    })),
  });
  const map = readRegisterMap(MAP).value ?? expect.fail();
  const clock = handClock(5_000);
  const scans: (readonly FeederReading[])[] = [];
  const changes: string[] = [];
  const acquisition = openAcquisition({
    dataFolder: '/nowhere',
    sources: settings.sources,
    feeders: settings.feeders,
    registerMaps: new Map(settings.sources.map(({ id }) => [id, map])),
    clock,
    random: () => 0.1,
    events: {
      readings: (readings) => void scans.push(readings),
      sourceChanged: (sourceId, answering) => void changes.push(`${sourceId} ${answering ? 'answers' : 'is silent'}`),
      alarm: () => {},
      changedOver: () => {},
    },
  });
  opened.push(acquisition, server);
  /** Polls until a reading of the feeder from then on is as `wanted`, or any at all. */
  const reading = async (wanted: (reading: FeederReading) => boolean = () => true, feederId?: string) => {
    const from = scans.length;
    const find = () => {
      const all = scans.slice(from).flat();
      return all.find((one) => (feederId === undefined || one.feederId === feederId) && wanted(one));
    };
    return vi.waitFor(
      () => {
        clock.advance(pollMs);
        return find() ?? expect.fail('no such reading yet');
      },
      // One step of the clock must not outlast the answer to the one before where a poll is longer than the time-out.
      { interval: pollMs > timeoutMs ? 20 : 2, timeout: 10_000 },
    );
  };
  return { server, clock, scans, changes, reading };
}

const phasesGood = ({ L1, L2, L3 }: FeederReading) => [L1, L2, L3].every(({ quality }) => quality === 'good');
const allGood = (reading: FeederReading) => phasesGood(reading) && reading.N.quality === 'good';
const phasesOf = ({ L1, L2, L3 }: FeederReading) => [L1, L2, L3];
const goodA = (currentA: number) => ({ currentA, quality: 'good', reason: null });

describe('the phases of a feeder', () => {
  test('come from one telegram', async () => {
    // Each answer shows its own number on all three phases: a mixture of two answers would show.
    const script: Script = (request) =>
      answering(meter({ L1: request.number, L2: request.number, L3: request.number, N: 0 }))(request);
    const { server, scans, reading } = await site(script);
    for (let n = 0; n < 10; n++) await reading(phasesGood);
    for (const { L1, L2, L3 } of scans.flat()) expect([L2, L3]).toEqual([L1, L1]);
    const telegrams = server.requests.filter(({ address }) => address <= ADDRESS.L3);
    expect(new Set(telegrams.map(({ address, count }) => `${address} + ${count}`))).toEqual(new Set(['6 + 12']));
  });

  test('are told with the source and the monotonic time of their arrival', async () => {
    const { clock, reading } = await site(GOOD);
    const { feederId, sourceId, atMs } = await reading(allGood);
    expect([feederId, sourceId]).toEqual(['feeder', 'meter']);
    expect(atMs).toBeGreaterThanOrEqual(5_000);
    expect(atMs).toBeLessThanOrEqual(clock.monotonicMs());
  });

  test('that are one NaN and two currents are one bad phase and two good ones', async () => {
    const { reading } = await site(answering(meter({ ...CURRENTS, L2: Number.NaN })));
    const { L1, L2, L3 } = await reading(({ L1 }) => L1.quality === 'good');
    expect([L1, L2, L3]).toEqual([goodA(101.5), bad('notANumber'), goodA(303.75)]);
  });

  test('are bad and never 0 A where the meter answers with an exception', async () => {
    const { server, reading } = await site(exception(2));
    const exceptional = await reading(({ L1 }) => L1.reason === 'exception');
    expect(phasesOf(exceptional)).toEqual([bad('exception'), bad('exception'), bad('exception')]);
    expect(exceptional.N.currentA).toBeNull();
    server.script = GOOD;
    expect(phasesOf(await reading(phasesGood))).toEqual([goodA(101.5), goodA(202.25), goodA(303.75)]);
    expect(server.connections).toBe(1);
  });

  test.each([
    ['noAnswer', silent],
    ['disconnected', closing],
    ['invalidFrame', answering(meter(CURRENTS), { unitId: 9 })],
  ] as const)('M7: are bad with the reason %s, never the last ones, and good again afterwards', async (reason, odd) => {
    const { server, scans, reading } = await site(GOOD, { timeoutMs: TIMEOUT_MS });
    await reading(phasesGood);
    server.script = odd;
    expect(phasesOf(await reading(({ L1 }) => L1.reason === reason))).toEqual([bad(reason), bad(reason), bad(reason)]);
    server.script = GOOD;
    await reading(allGood);
    const seen = scans.flat().flatMap(({ L1, L2, L3 }) => [L1.currentA, L2.currentA, L3.currentA]);
    expect(new Set(seen)).toEqual(new Set([null, 101.5, 202.25, 303.75]));
  });

  test('are in primary amperes by the ratio of the CT, for each feeder by its own', async () => {
    const feeders = [
      { id: 'plain', source: 'meter' },
      { id: 'small-ct', source: 'meter', ctRatio: { primaryA: 100, secondaryA: 5 } },
      { id: 'large-ct', source: 'meter', ctRatio: { primaryA: 400, secondaryA: 5 } },
    ];
    const { reading, scans } = await site(answering(meter({ L1: -4.5, L2: 6.5, L3: 0, N: 151 })), { feeders });
    await reading(({ feederId, N }) => feederId === 'large-ct' && N.reason === 'beyondRegister');
    const scan = scans.at(-1) ?? [];
    expect(
      scan.map(({ feederId, L1, L2, L3, N }) => [feederId, L1.currentA, L2.currentA, L3.currentA, N.currentA]),
    ).toEqual([
      ['plain', 4.5, 6.5, 0, 151],
      ['small-ct', 90, 130, 0, null],
      ['large-ct', 360, 520, 0, null],
    ]);
    expect(scan.map(({ L1, L2 }) => [L1.quality, L2.quality])).toEqual([
      ['good', 'good'],
      ['good', 'uncertain'],
      ['good', 'uncertain'],
    ]);
  });

  test('are asked for once and not again while the meter still thinks', async () => {
    const { server, clock, scans, reading } = await site(GOOD);
    await reading(allGood);
    server.script = silent;
    const [asked, told] = [server.requests.length, scans.length];
    await vi.waitFor(
      () => {
        clock.advance(POLL_MS);
        expect(server.requests.length).toBeGreaterThan(asked);
      },
      { interval: 2 },
    );
    clock.advance(20 * POLL_MS);
    await new Promise((done) => setImmediate(done));
    const telegrams = server.requests.slice(asked).filter((request) => !isNeutral(request));
    expect(telegrams).toHaveLength(1);
    expect(
      scans
        .slice(told)
        .flat()
        .filter((one) => !phasesGood(one)),
    ).toEqual([]);
  });
});

describe('a neutral in a telegram of its own', () => {
  test('is read after the phases, and at most once a second', async () => {
    const { server, clock, reading } = await site(GOOD);
    const startMs = clock.monotonicMs();
    for (let n = 0; n < 40; n++) await reading();
    expect((await reading(allGood)).N).toEqual(goodA(12.5));
    const neutrals = server.requests.filter(isNeutral).length;
    expect(neutrals).toBeGreaterThan(2);
    expect(neutrals).toBeLessThanOrEqual(1 + (clock.monotonicMs() - startMs) / 1_000);
    for (const [index, request] of server.requests.entries())
      if (isNeutral(request)) expect(server.requests[index - 1]?.address).toBe(ADDRESS.L1);
  });

  test('is bad, and the phases good, until it has been read', async () => {
    const { scans, reading } = await site(GOOD);
    await reading(allGood);
    const before = scans.flat().filter((one) => phasesGood(one) && !allGood(one));
    expect(before.length).toBeGreaterThan(0);
    for (const { N } of before) expect([N.currentA, N.quality]).toEqual([null, 'bad']);
  });

  test('that the meter does not have leaves the phases good', async () => {
    const { reading } = await site(except(isNeutral, exception(2), GOOD));
    const without = await reading((one) => one.N.reason === 'exception' && phasesGood(one));
    expect(phasesOf(without)).toEqual([goodA(101.5), goodA(202.25), goodA(303.75)]);
  });

  test('is usable however seldom the meter is polled', async () => {
    const { reading } = await site(GOOD, { pollMs: 2 * NO_TIMEOUT_MS });
    expect((await reading(allGood)).N).toEqual(goodA(12.5));
  });

  test('is unavailable once it is old, and the phases good, where the program was held up', async () => {
    const { server, clock, reading } = await site(GOOD, { timeoutMs: TIMEOUT_MS });
    await reading(allGood);
    server.script = (request) => {
      if (!isNeutral(request)) clock.stall(10_000);
      return GOOD(request);
    };
    const { N } = await reading((one) => phasesGood(one) && one.N.quality === 'bad');
    expect(N).toEqual(bad('unavailable'));
  });

  test('that is no longer answered is bad, and never the last one for ever', async () => {
    const { server, reading } = await site(GOOD, { timeoutMs: TIMEOUT_MS });
    await reading(allGood);
    server.script = except(isNeutral, silent, GOOD);
    const { N } = await reading((one) => one.N.quality === 'bad' && phasesGood(one));
    expect(N.currentA).toBeNull();
    server.script = GOOD;
    await reading(allGood);
  });
});

describe('what only shows that the meter lives', () => {
  const isFrequency: typeof isNeutral = ({ address }) => address === 0x46;

  test.each([
    ['ten seconds', undefined, 10_000],
    ['tenth of the time after which a still current counts', 40, 4_000],
  ])('is read once in every %s', async (_, frozenS, everyMs) => {
    const quality = frozenS === undefined ? {} : { frozenS };
    const { server, clock, reading } = await site(GOOD, { feeders: [{ id: 'feeder', source: 'meter', quality }] });
    await reading(allGood);
    const startMs = clock.monotonicMs();
    const from = server.requests.filter(isFrequency).length;
    while (clock.monotonicMs() < startMs + 60_000) await reading();
    const read = server.requests.filter(isFrequency).length - from;
    expect(read).toBeLessThanOrEqual(1 + (clock.monotonicMs() - startMs) / everyMs);
    expect(read).toBeGreaterThan(3);
  });

  test('and never moves while the currents stand still makes the meter bad', async () => {
    const frozen = { feeders: [{ id: 'feeder', source: 'meter', quality: { frozenS: 30 } }] };
    const words = new Map([...meter(CURRENTS), [0x46, 0x4248] as const, [0x47, 0] as const]);
    const { server, reading } = await site(answering(words), frozen);
    expect(phasesOf(await reading(({ L1 }) => L1.reason === 'frozen'))).toEqual([
      bad('frozen'),
      bad('frozen'),
      bad('frozen'),
    ]);
    // A frequency that moves: what stands still is a secondary injection, and is in use.
    server.script = (request) => answering(new Map([...words, [0x47, request.number % 100]]))(request);
    await reading(phasesGood);
  });
});

describe('two meters behind one gateway', () => {
  const sources = [
    { id: 'east', unitId: 1 },
    { id: 'west', unitId: 2 },
  ];
  const feeders = [
    { id: 'east-feeder', source: 'east' },
    { id: 'west-feeder', source: 'west' },
  ];
  const tables = new Map([
    [1, meter({ L1: 11, L2: 12, L3: 13, N: 14 })],
    [2, meter({ L1: 21, L2: 22, L3: 23, N: 24 })],
  ]);
  const both: Script = (request) => answering(tables.get(request.unitId) ?? new Map())(request);

  test('share one connection, and their units never mix', async () => {
    const { server, scans, reading } = await site(both, { sources, feeders });
    for (let n = 0; n < 20; n++) {
      await reading(allGood, 'east-feeder');
      await reading(allGood, 'west-feeder');
    }
    expect(server.connections).toBe(1);
    for (const { feederId, L1, L2, L3, N } of scans.flat()) {
      const base = feederId === 'east-feeder' ? 10 : 20;
      const currents = [L1, L2, L3, N].map(({ currentA }) => currentA);
      for (const [index, currentA] of currents.entries()) expect([null, base + index + 1]).toContain(currentA);
    }
  });

  test('are heard one by one: a silent one is told once and does not blind the other', async () => {
    const script = except(({ unitId }) => unitId === 1, silent, both);
    const { server, changes, reading } = await site(script, { sources, feeders, timeoutMs: TIMEOUT_MS });
    for (let n = 0; n < 5; n++) await reading(phasesGood, 'west-feeder');
    await reading(({ L1 }) => L1.reason === 'noAnswer', 'east-feeder');
    server.script = both;
    await reading(phasesGood, 'east-feeder');
    expect(changes.filter((change) => change.startsWith('east'))).toEqual(['east is silent', 'east answers']);
  });
});
