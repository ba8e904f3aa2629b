// Which broker, in which version, and when again: failover, the way back, a session that another takes over, a broker
// that does not want us, and the limits that a broker announces.
import { expect, test, vi } from 'vitest';
import { Link } from '../../src/uplink/link.ts';
import type { Publication } from '../../src/uplink/packets.ts';
import { uplink as uplinkSchema } from '../../src/uplink-settings.ts';
import { handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import type { MqttBroker } from '../simulators/mqtt-broker.ts';
import { closeAfter, START_MS, settled, startBroker, until } from './site.ts';

type Given = { url: string; protocol?: 'auto' | 'mqtt5' | 'mqtt311' };

function linked(brokers: Given[], options: { urgent?: boolean; random?: () => number } = {}) {
  const clock = handClock(START_MS);
  const words: string[] = [];
  const link = new Link({
    settings: uplinkSchema.parse({ brokers, allowInsecure: true }),
    clientId: 'headroom-SUB-1',
    will: { topic: 'status', payload: () => '{}' },
    subscriptions: ['ack'],
    clock,
    random: options.random ?? (() => 0.5),
    urgent: () => options.urgent ?? false,
    events: {
      up: () => void words.push('up'),
      down: (reason) => void words.push(`down: ${reason}`),
      alarm: (alarm, reason) => void words.push(reason === null ? `end of ${alarm}` : `${alarm}: ${reason}`),
      message: (_topic, _payload, _retained, done) => done(),
    },
  });
  const close = () => whileTimeGoes(clock, link.close(null), { waitMs: 4, stepMs: 50 });
  closeAfter({ close });
  const live = async (check: () => unknown, stepMs = 250) => {
    for (let step = 0; step < 400 && !check(); step++) {
      clock.advance(stepMs);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await until(check);
  };
  return { link, clock, words, live };
}

const said = (link: Link, given: Partial<Publication>) =>
  new Promise<string | null>((resolve) =>
    link.publish({ topic: 'a/long/topic/of/some/feeder', payload: '{}', retain: false, ...given }, resolve),
  );
const connected = (broker: MqttBroker) => broker.connects.length;

test('Q9: a session that another client takes over is left to it for five minutes, however urgent it is', async () => {
  const broker = await startBroker();
  const { link, clock, words } = linked([{ url: broker.url }], { urgent: true });
  await until(() => link.isUp);
  broker.disconnect(0x8e);
  await until(() => !link.isUp);
  expect(words.at(-2)).toMatch(/^sessionTakenOver: .*taken over by another client of the same id/);
  link.hurry();
  clock.advance(299_000);
  link.hurry();
  await settled();
  expect(connected(broker)).toBe(1);
  clock.advance(6_000);
  await until(() => link.isUp);
  expect(words).toContain('end of sessionTakenOver');
});

test.each([
  ['MQTT 5', { protocol: 'mqtt5' as const }, 0x87, /not authorised \(|Not authorized/],
  ['3.1.1', { protocol: 'mqtt311' as const }, 5, /not authorised|Not authorized/],
])('a broker of %s that does not want us is an alarm, once, until it does', async (_name, given, code, expected) => {
  const broker = await startBroker();
  broker.refusals.push(code, code, code);
  const { link, words, live } = linked([{ url: broker.url, ...given }]);
  await live(() => link.isUp);
  expect(words.filter((word) => word.startsWith('notAuthorised'))).toHaveLength(1);
  expect(words.find((word) => word.startsWith('notAuthorised'))).toMatch(expected);
  expect(words.indexOf('end of notAuthorised')).toBeLessThan(words.indexOf('up'));
});

test.each([
  ['mqtt5', [5]],
  ['mqtt311', [4]],
] as const)('what is set is spoken: %s', async (protocol, versions) => {
  const broker = await startBroker();
  const { link } = linked([{ url: broker.url, protocol }]);
  await until(() => link.isUp);
  expect(broker.connects.map(({ protocolVersion }) => protocolVersion)).toEqual(versions);
});

test('a broker that hangs up at MQTT 5 gets a try in 3.1.1, and 5 again after the next loss', async () => {
  const broker = await startBroker();
  broker.deafTo = 5;
  const { link, live } = linked([{ url: broker.url }]);
  await live(() => link.isUp);
  expect(broker.connects.map(({ protocolVersion }) => protocolVersion)).toEqual([5, 4]);
  broker.deafTo = null;
  broker.cut();
  await until(() => !link.isUp);
  await live(() => link.isUp);
  expect(broker.connects.map(({ protocolVersion }) => protocolVersion)).toEqual([5, 4, 5]);
});

test.each<[string, (broker: MqttBroker) => unknown]>([
  ['is not there', (broker) => broker.stop()],
  ['refuses', (broker) => broker.refusals.push(0x88)],
  ['is not to be had by us', (broker) => broker.refusals.push(0x87)],
  ['does not grant the subscription', (broker) => Object.assign(broker, { granted: 0x87 })],
])('where the preferred broker %s the next one serves', async (_name, harm) => {
  const first = await startBroker();
  const second = await startBroker();
  await harm(first);
  const { link, live } = linked([{ url: first.url }, { url: second.url }]);
  await live(() => link.isUp);
  expect(link.broker).toBe(second.url);
});

test('where the preferred broker takes the connection and never answers the next one serves, in ten seconds', async () => {
  const [first, second] = [await startBroker(), await startBroker()];
  first.blackHole = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  try {
    const { link, clock, words } = linked([{ url: first.url }, { url: second.url }]);
    const pass = async (ms: number) => {
      for (let passedMs = 0; passedMs < ms; passedMs += 100) {
        clock.advance(100);
        await vi.advanceTimersByTimeAsync(100);
        for (let turns = 0; turns < 8; turns++) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await pass(9_900);
    expect(words).toEqual([]);
    await pass(1_000);
    for (let turns = 0; turns < 2_000 && !link.isUp; turns++) await new Promise((resolve) => setImmediate(resolve));
    expect(words).toEqual([`down: ${first.url}: connack timeout`, 'up']);
    expect(link.broker).toBe(second.url);
  } finally {
    vi.useRealTimers();
  }
});

test('the preferred broker is gone back to once it can be reached, with one session at a time', async () => {
  const first = await startBroker();
  const second = await startBroker();
  await first.stop();
  const { link, clock, words, live } = linked([{ url: first.url }, { url: second.url }]);
  await live(() => link.isUp);
  clock.advance(20 * 60_000);
  await settled();
  expect(link.broker).toBe(second.url);
  await first.resume();
  const leavings = () => words.filter((word) => word.startsWith('down: back to'));
  await live(() => leavings().length > 0, 60_000);
  // The session is ended before the other begins, if it can be within a second.
  await until(() => second.received.at(-1)?.packet.cmd === 'disconnect');
  await live(() => link.broker === first.url && link.isUp);
  expect(leavings()).toHaveLength(1);
  clock.advance(24 * 3_600_000);
  await settled();
  expect(connected(first)).toBe(1);
});

test('a topic is sent in full once and by its alias after that, as far as the broker has room', async () => {
  const broker = await startBroker();
  broker.topicAliasMaximum = 2;
  const { link } = linked([{ url: broker.url }]);
  await until(() => link.isUp);
  for (const topic of ['one', 'one', 'two', 'one']) expect(await said(link, { topic })).toBeNull();
  const sent = broker.publishes().map(({ topic, properties }) => [topic, properties.topicAlias]);
  expect(sent).toEqual([
    ['one', 1],
    ['', 1],
    ['two', 2],
    ['', 1],
  ]);
});

test('a message that the broker would end the connection for is not sent', async () => {
  const broker = await startBroker();
  broker.maximumPacketSize = 2_000;
  const { link, words, live } = linked([{ url: broker.url }]);
  await until(() => link.isUp);
  expect(await said(link, { payload: 'x'.repeat(2_000) })).toMatch(/^2000 bytes are more than the packets of 2000/);
  expect(await said(link, { payload: 'x'.repeat(1_000) })).toBeNull();
  expect(link.isUp).toBe(true);
  expect(broker.publishes()).toHaveLength(1);
  expect(words.at(-1)).toMatch(/^tooLarge: .*: a\/long\/topic.*: 2000 bytes/);
  broker.maximumPacketSize = null;
  broker.cut();
  await until(() => !link.isUp);
  await live(() => link.isUp);
  expect(words).toContain('end of tooLarge');
});
