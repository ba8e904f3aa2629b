// Two meters that tell of one current, over real sockets: a feeder's preferred one goes silent, the backup is read, and
// back again; and a transformer's meter that disagrees with its feeders is told.
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { FeederInputs } from '../../src/acquisition/feeder-inputs.ts';
import { readRegisterMap } from '../../src/acquisition/register-map.ts';
import type { MeasurementAlarm, SourceAlarm, SourceReading } from '../../src/acquisition/source-reading.ts';
import type { FeederReading } from '../../src/feeder.ts';
import { settingsSchema } from '../../src/settings.ts';
import { measuredTransformer, summedTransformer } from '../../src/transformer-settings.ts';
import { handClock } from '../simulators/hand-clock.ts';
import { answering, exception, float32, ModbusServer, type Script } from '../simulators/modbus-server.ts';

const MAP = join(import.meta.dirname, '../../hardware/meters/eastron-sdm630.yaml');
const POLL_MS = 200;

const opened: { close(): unknown }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

/** An SDM630 that shows this current on every phase. */
function showing(currentA: number): Script {
  const [high, low] = float32(currentA);
  const registers = [0x06, 0x08, 0x0a, 0xe0].flatMap((address) => [
    [address, high] as const,
    [address + 1, low] as const,
  ]);
  return answering(new Map(registers));
}

async function site(feeder: object = {}) {
  const [preferred, backup] = await Promise.all([ModbusServer.start(showing(100)), ModbusServer.start(showing(4))]);
  const source = (id: string, port: number) => ({
    ...{ id, type: 'modbus-tcp', host: '127.0.0.1', port, profile: 'eastron-sdm630', pollMs: POLL_MS },
    timeoutMs: 60_000,
    staleAfterMs: 2_000,
  });
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [source('one', preferred.port), source('two', backup.port)],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'one' },
        backup: { source: 'two', ctRatio: { primaryA: 500, secondaryA: 5 }, backAfterS: 5 },
        settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
        ...feeder,
      },
    ],
  });
  const map = readRegisterMap(MAP).value ?? expect.fail();
  const clock = handClock(5_000);
  const readings: FeederReading[] = [];
  const changes: string[] = [];
  const acquisition = openAcquisition({
    dataFolder: '/nowhere',
    sources: settings.sources,
    feeders: settings.feeders,
    registerMaps: new Map(settings.sources.map(({ id }) => [id, map])),
    clock,
    random: () => 0.1,
    events: {
      readings: (some) => void readings.push(...some),
      sourceChanged: () => {},
      alarm: () => {},
      changedOver: (feederId, sourceId, reason) => void changes.push(`${feederId} ${sourceId}: ${reason}`),
    },
  });
  opened.push(acquisition, preferred, backup);
  /** Polls until a new reading is from this source, and good. */
  const from = (sourceId: string) => {
    const before = readings.length;
    return vi.waitFor(
      () => {
        clock.advance(POLL_MS);
        const isWanted = (one: FeederReading) => one.sourceId === sourceId && one.L1.quality === 'good';
        return readings.slice(before).find(isWanted) ?? expect.fail('no such reading yet');
      },
      { interval: 5, timeout: 10_000 },
    );
  };
  return { preferred, readings, changes, from };
}

test('readings come from the one source or the other, by its own CT, and never from between', async () => {
  const { preferred, readings, changes, from } = await site();
  expect((await from('one')).L1.currentA).toBe(100);
  preferred.script = exception(4);
  // 4 A on the secondary side of 500/5 A.
  expect((await from('two')).L1.currentA).toBe(400);
  expect(changes).toHaveLength(1);
  expect(changes[0]).toMatch(/^F1 two: to the backup: the preferred source is bad on L1 \(exception\), .* for \d+ ms$/);
  preferred.script = showing(100);
  expect((await from('one')).L1.currentA).toBe(100);
  expect(changes[1]).toBe('F1 one: back to the preferred source: good for 5 s');
  // Whether a bad reading was passed on before the change depends on how much time one step of the clock took.
  for (const { L1 } of readings) expect([100, null, 400]).toContain(L1.currentA);
  const used = readings.filter(({ L1 }) => L1.currentA !== null).map(({ sourceId }) => sourceId);
  expect(used.filter((sourceId, index) => sourceId !== used[index - 1])).toEqual(['one', 'two', 'one']);
});

test('a transformer’s meter that reads a part of what its feeders carry is told after half an hour', () => {
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: ['one', 'two'].map((id) => ({ id, type: 'modbus-tcp', host: 'meter', profile: 'eastron-sdm630' })),
    feeders: [
      {
        ...{ id: 'F1', currents: { source: 'one' } },
        settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
      },
    ],
    transformer: { ratingKva: 500, voltageV: 433, feeders: ['F1'], currents: { source: 'two' } },
  });
  const own = measuredTransformer(settings.transformer) ?? expect.fail();
  const alarms: (MeasurementAlarm | SourceAlarm)[] = [];
  const clock = handClock(5_000);
  const inputs = new FeederInputs(
    [...settings.feeders, own],
    settings.sources,
    summedTransformer(settings.transformer),
    clock,
    {
      readings: () => {},
      sourceChanged: () => {},
      alarm: (change) => void alarms.push(change),
      changedOver: () => {},
    },
  );
  const given = (feederId: string, sourceId: string, amperes: number): SourceReading => {
    const atMs = clock.monotonicMs();
    return { feederId, sourceId, atMs, L1: amperes, L2: amperes, L3: amperes, N: 'unavailable' };
  };
  for (let minute = 0; minute <= 30; minute++) {
    expect(alarms.filter(({ alarm }) => alarm === 'sumOff')).toEqual([]);
    inputs.readings([given('F1', 'one', 100 + minute)]);
    inputs.readings([given(own.id, 'two', 30 + minute / 10)]);
    clock.advance(60_000);
  }
  expect(alarms.filter(({ alarm }) => alarm === 'sumOff')).toMatchObject(
    (['L1', 'L2', 'L3'] as const).map((phase) => ({
      ...{ feederId: 'transformer', sourceId: 'two', phase, standing: true },
      reason: `33 A on ${phase} of the transformer and 130 A on its feeders together`,
    })),
  );
});
