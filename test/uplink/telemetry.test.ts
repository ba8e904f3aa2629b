// Telemetry on its way: behind requests and events, marked when late, bounded while there is no link, and what a day of
// one feeder costs on the wire.
import { expect, test } from 'vitest';
import { isoTime } from '../../src/clock.ts';
import { type Telemetry, telemetrySchema } from '../../src/telemetry-message.ts';
import { event, ROOT, request, START_MS, settled, site, startBroker, until } from './site.ts';

const TELEMETRY = `${ROOT}/feeder/F1/telemetry`;

function message(number: number, feederId = 'F1'): Telemetry {
  const conductor = { averageA: 187.4 + number, minA: 171.2, maxA: 203.9, quality: 'good' } as const;
  return {
    schema: 'headroom/v1/telemetry',
    substationId: 'SUB-1',
    feederId,
    start: isoTime(START_MS + number * 600_000),
    end: isoTime(START_MS + (number + 1) * 600_000),
    reason: 'interval',
    readings: 3000,
    L1: conductor,
    L2: conductor,
    L3: conductor,
    N: conductor,
    state: 'normal',
    levelPercent: 100,
    clockSynchronised: true,
  };
}
const numbers = (texts: { text: string }[]) =>
  texts.map(({ text }) => Math.round((telemetrySchema.parse(JSON.parse(text)).L1?.averageA ?? 0) - 187.4));

test('requests and events go before it', async () => {
  const broker = await startBroker();
  await broker.stop();
  const events = Array.from({ length: 20 }, (_, index) => event(index + 1));
  const { uplink, advanceUntil } = await site({ broker, events });
  for (let number = 0; number < 5; number++) uplink.telemetry(message(number), 0);
  uplink.say(request('F1', 1));
  await broker.resume();
  await advanceUntil(() => broker.publishes(TELEMETRY).length === 5);
  const kinds = broker.publishes().map(({ topic }) => topic.split('/').at(-1));
  expect(kinds.indexOf('telemetry')).toBeGreaterThan(kinds.lastIndexOf('event'));
  expect(kinds.indexOf('event')).toBeGreaterThan(kinds.indexOf('curtailment'));
  expect(numbers(broker.publishes(TELEMETRY))).toEqual([0, 1, 2, 3, 4]);
});

test('it waits for its draw, and is not late for that', async () => {
  const { broker, uplink, clock } = await site();
  await until(() => uplink.isUp);
  uplink.telemetry(message(0), 60_000);
  await settled();
  clock.advance(59_999);
  await settled();
  expect(broker.publishes(TELEMETRY)).toEqual([]);
  clock.advance(1);
  await until(() => broker.publishes(TELEMETRY).length === 1);
  expect(JSON.parse(broker.publishes(TELEMETRY)[0]?.text ?? '')).not.toHaveProperty('historical');
});

test('what an outage held back is historical, and the oldest goes where it is too much', async () => {
  const broker = await startBroker();
  await broker.stop();
  const { uplink, clock, advanceUntil } = await site({ broker });
  for (let number = 0; number < 2_010; number++) uplink.telemetry(message(number), 0);
  clock.advance(180_000);
  uplink.telemetry(message(3_000), 0);
  await broker.resume();
  await advanceUntil(() => broker.publishes(TELEMETRY).length === 2_000);
  const said = broker.publishes(TELEMETRY);
  expect(numbers(said)).toEqual([...Array.from({ length: 1_999 }, (_, index) => index + 11), 3_000]);
  expect(said.map(({ text }) => JSON.parse(text).historical === true).lastIndexOf(true)).toBeGreaterThanOrEqual(1_998);
});

test('what was in flight when the link broke is said again, in order', async () => {
  const { broker, uplink, advanceUntil } = await site();
  await until(() => broker.retained.has(`${ROOT}/status`));
  broker.withholding = true;
  for (let number = 0; number < 4; number++) uplink.telemetry(message(number), 0);
  await until(() => broker.publishes(TELEMETRY).length === 4);
  broker.withholding = false;
  broker.cut();
  await until(() => !uplink.isUp);
  await advanceUntil(() => broker.publishes(TELEMETRY).length === 8);
  const again = broker.publishes(TELEMETRY).filter(({ connection }) => connection === 2);
  expect(numbers(again)).toEqual([0, 1, 2, 3]);
});

test('a day of one feeder at the defaults is under 100 kB of MQTT', async () => {
  const { broker, uplink } = await site();
  await until(() => broker.retained.has(`${ROOT}/status`));
  await settled();
  const before = broker.bytesIn + broker.bytesOut;
  for (let number = 0; number < 144; number++) {
    uplink.telemetry(message(number), 0);
    await until(() => broker.publishes(TELEMETRY).length === number + 1);
  }
  await settled();
  const bytes = broker.bytesIn + broker.bytesOut - before;
  // Each message and its PUBACK are a packet each: 40 bytes of TCP and IP, 22 to 29 of TLS, and the TCP acknowledgements.
  const onTheWire = bytes + 144 * 2 * (40 + 29 + 40);
  console.log(`telemetry: ${bytes} bytes of MQTT a day and feeder, about ${onTheWire} with TLS, TCP and IP`);
  expect(bytes).toBeLessThan(100_000);
});
