// The connection itself: refused, cut, swallowed, renewed with jitter, and ended in time.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { describe, expect, test, vi } from 'vitest';
import type { Clock, Timer } from '../../src/clock.ts';
import { type Connect, Link, type LinkInput } from '../../src/uplink/link.ts';
import { type HandClock, handClock } from '../simulators/hand-clock.ts';
import type { MqttBroker } from '../simulators/mqtt-broker.ts';
import { closeAfter, START_MS, settled, startBroker, until } from './site.ts';

const LAST = { topic: 'status', payload: 'stopped', retain: true };
const STABLE_MS = 60_000;

/** A hand clock that counts the timers that are running. */
function countingClock(): HandClock & { running(): number } {
  const clock = handClock(START_MS);
  const running = new Set<Timer>();
  return {
    ...clock,
    at(atMs, call) {
      const inner = clock.at(atMs, () => {
        running.delete(timer);
        call();
      });
      const timer: Timer = {
        cancel() {
          running.delete(timer);
          inner.cancel();
        },
      };
      running.add(timer);
      return timer;
    },
    running: () => running.size,
  };
}

interface Options {
  readonly brokers?: { url: string; protocol?: 'auto' | 'mqtt5' | 'mqtt311' }[];
  readonly broker?: MqttBroker;
  readonly user?: { name: string; passwordFile: string };
  readonly random?: () => number;
  readonly urgent?: () => boolean;
  readonly connect?: Connect;
  readonly clock?: HandClock;
  readonly onMessage?: (done: () => void) => void;
}

async function linked(options: Options = {}) {
  const broker = options.broker ?? (await startBroker());
  const clock = options.clock ?? handClock(START_MS);
  const downs: string[] = [];
  const alarms: string[] = [];
  const messages: string[] = [];
  let ups = 0;
  const input: LinkInput = {
    settings: {
      brokers: (options.brokers ?? [{ url: broker.url }]).map((one) => ({ protocol: 'auto', ...one })),
      allowInsecure: true,
      keepAliveS: 20,
      historyMessagesPerS: 0,
      telemetryS: 600,
      telemetryChangePercent: 20,
      commandsPerMinute: 12,
      ...(options.user && { user: options.user }),
    },
    clientId: 'headroom-SUB-1',
    will: { topic: 'status', payload: () => 'gone' },
    subscriptions: ['ack/+'],
    clock: clock as Clock,
    random: options.random ?? (() => 0.5),
    urgent: options.urgent ?? (() => false),
    connect: options.connect,
    events: {
      up() {
        ups += 1;
      },
      down: (reason) => void downs.push(reason),
      alarm: (alarm, reason) => void alarms.push(`${alarm}: ${reason}`),
      message(topic, payload, _retained, done) {
        messages.push(`${topic} ${Buffer.from(payload)}`);
        (options.onMessage ?? ((call) => call()))(done);
      },
    },
  };
  const link = new Link(input);
  closeAfter({ close: async () => void (await ended(link, clock)) });
  return { broker, clock, link, downs, alarms, messages, ups: () => ups };
}

/** Closes while the clock goes on; gives how long that took on it. */
async function ended(link: Link, clock: HandClock, last: typeof LAST | null = null): Promise<number> {
  const fromMs = clock.monotonicMs();
  let tookMs: number | null = null;
  const done = link.close(last).then(() => {
    tookMs = clock.monotonicMs() - fromMs;
  });
  while (tookMs === null) {
    await new Promise((resolve) => setTimeout(resolve, 4));
    if (tookMs === null) clock.advance(50);
  }
  await done;
  return tookMs;
}

/** The wait, to the millisecond, after which the next attempt comes. */
async function waitBeforeAttempt(broker: MqttBroker, clock: HandClock, expectedMs: number): Promise<void> {
  const before = broker.connects.length;
  clock.advance(expectedMs - 1);
  await settled();
  expect(broker.connects.length).toBe(before);
  clock.advance(1);
  await until(() => broker.connects.length === before + 1);
}

describe('Q1: a CONNACK that refuses', () => {
  test.each([
    ['0x88 server unavailable', [4, 5] as const, 0x88],
    ['0x97 quota exceeded', [4, 5] as const, 0x97],
    ['3.1.1 code 3 server unavailable', [4] as const, 3],
    ['3.1.1 code 5 not authorized', [4] as const, 5],
  ])('%s: the next attempt comes all the same', async (_name, versions, code) => {
    const broker = await startBroker();
    broker.versions = versions;
    // A broker of 3.1.1 refuses the version first.
    broker.refusals.push(...(versions.length === 1 ? [1, code] : [code]));
    const { link, clock, downs } = await linked({ broker });
    await until(() => downs.length === 1);
    expect(link.isUp).toBe(false);
    clock.advance(250);
    await until(() => link.isUp);
  });

  test('many times in a row', async () => {
    const broker = await startBroker();
    broker.refusals.push(...Array.from({ length: 8 }, () => 0x88));
    const { link, clock } = await linked({ broker, random: () => 0.01 });
    for (let n = 0; n < 8; n++) {
      await until(() => broker.connects.length === n + 1);
      await settled();
      clock.advance(600);
    }
    await until(() => link.isUp);
    expect(broker.connects).toHaveLength(9);
  });
});

describe('Q8: waiting', () => {
  test('grows with every failure up to a minute, each time by a draw of its own', async () => {
    const draws = [0.5, 1, 0.25, 0.75, 0.5, 1, 0.125, 0.5, 0.1, 1];
    const broker = await startBroker();
    broker.refusals.push(...draws.map(() => 0x88));
    const left = [...draws];
    const { clock } = await linked({ broker, random: () => left.shift() ?? 0 });
    await until(() => broker.connects.length === 1);
    for (const [failures, draw] of draws.entries()) {
      await settled();
      await waitBeforeAttempt(broker, clock, draw * Math.min(60_000, 500 * 2 ** failures));
    }
  });

  test('two links that lose their broker in the same moment do not come back in step', async () => {
    const broker = await startBroker();
    const clock = handClock(START_MS);
    const one = await linked({ broker, clock, random: () => 0.2 });
    const other = await linked({ broker, clock, random: () => 0.7 });
    await until(() => one.link.isUp && other.link.isUp);
    broker.cut();
    await until(() => !one.link.isUp && !other.link.isUp);
    clock.advance(4_000);
    await until(() => one.link.isUp);
    clock.advance(9_999);
    await settled();
    expect(other.link.isUp).toBe(false);
    clock.advance(1);
    await until(() => other.link.isUp);
  });

  test('a link that stands a moment only has not recovered; one that stands a minute has', async () => {
    const { broker, clock, link } = await linked({ random: () => 1 });
    // A link that has stood gives the others their time: from 20 s on.
    for (const expectedMs of [20_000, 20_000, 20_000, 20_000, 20_000, 20_000, 32_000, 60_000, 60_000]) {
      await until(() => link.isUp);
      clock.advance(STABLE_MS / 2);
      broker.cut();
      await until(() => !link.isUp);
      await waitBeforeAttempt(broker, clock, expectedMs);
    }
    await until(() => link.isUp);
    clock.advance(STABLE_MS + 1);
    broker.cut();
    await until(() => !link.isUp);
    await waitBeforeAttempt(broker, clock, 20_000);
  });

  test('is at most five seconds while something urgent waits', async () => {
    const broker = await startBroker();
    broker.refusals.push(...Array.from({ length: 6 }, () => 0x88));
    const { clock } = await linked({ broker, random: () => 1, urgent: () => true });
    for (const waitMs of [500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      await settled();
      await waitBeforeAttempt(broker, clock, waitMs);
    }
  });

  test('something urgent makes a long wait short, and never a short one long', async () => {
    const broker = await startBroker();
    broker.refusals.push(...Array.from({ length: 8 }, () => 0x88));
    let draw = 0.01;
    const { clock, link } = await linked({ broker, random: () => draw });
    for (let attempts = 1; attempts < 8; attempts++) {
      await until(() => broker.connects.length === attempts);
      await settled();
      clock.advance(0.01 * 60_000);
    }
    draw = 1;
    await until(() => broker.connects.length === 8);
    await settled();
    draw = 0.5;
    link.hurry();
    draw = 1;
    clock.advance(2_000);
    link.hurry();
    clock.advance(499);
    await settled();
    expect(broker.connects).toHaveLength(8);
    clock.advance(1);
    await until(() => link.isUp);
    link.hurry();
    clock.advance(10_000);
    await settled();
    expect(broker.connects).toHaveLength(9);
  });
});

describe('Q6: silence', () => {
  test('a broker that takes the connection and never answers is given up after ten seconds', async () => {
    const broker = await startBroker();
    broker.blackHole = true;
    // This one time is counted by the client itself.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { downs } = await linked({ broker });
      while (broker.connects.length === 0) await new Promise((resolve) => setImmediate(resolve));
      await vi.advanceTimersByTimeAsync(9_900);
      expect(downs).toEqual([]);
      await vi.advanceTimersByTimeAsync(200);
      expect(downs).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('so is one that falls silent before the SUBACK', async () => {
    const broker = await startBroker();
    broker.unanswered.add('subscribe');
    const { clock, downs, link } = await linked({ broker });
    await until(() => broker.subscribes.length === 1);
    clock.advance(9_999);
    expect(downs).toEqual([]);
    clock.advance(1);
    expect(downs[0]).toContain('no SUBACK');
    broker.unanswered.clear();
    clock.advance(250);
    await until(() => link.isUp);
  });

  test('a subscription that is refused is no link: acknowledgements could not come in', async () => {
    const broker = await startBroker();
    broker.granted = 0x87;
    const { clock, downs, link, ups } = await linked({ broker });
    await until(() => downs.length === 1);
    expect(downs[0]).toContain('subscription refused');
    expect(ups()).toBe(0);
    broker.granted = 1;
    clock.advance(250);
    await until(() => link.isUp);
  });

  test('a DISCONNECT with a reason code is told, and the next attempt comes', async () => {
    const { broker, clock, downs, link } = await linked();
    await until(() => link.isUp);
    broker.disconnect(0x8b);
    await until(() => !link.isUp);
    expect(downs[0]).toContain('139');
    clock.advance(10_000);
    await until(() => link.isUp);
  });
});

test('CONNECT of MQTT 5 asks for a session of a week, 16 messages at once and packets of 64 KiB, byte for byte', async () => {
  const bytes: Buffer[] = [];
  const server = createServer((socket) => void socket.on('data', (chunk) => bytes.push(chunk)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeAfter({ close: async () => void server.close() });
  const { port } = server.address() as { port: number };
  await linked({ brokers: [{ url: `mqtt://127.0.0.1:${port}` }] });
  await until(() => bytes.length > 0);
  const packet = Buffer.concat(bytes);
  expect(packet[0]).toBe(0x10);
  // Behind the remaining length, which one or two bytes hold.
  const body = packet.subarray((packet[1] ?? 0) < 0x80 ? 2 : 3);
  expect(body.subarray(0, 7).toString('hex')).toBe(`0004${Buffer.from('MQTT').toString('hex')}05`);
  // Flags: will retained at QoS 1, and no clean start. Keep-alive 20 s.
  expect(body.subarray(7, 10).toString('hex')).toBe('2c0014');
  const properties = body.subarray(11, 11 + (body[10] ?? 0)).toString('hex');
  // Session Expiry Interval 604,800 s, Receive Maximum 16, Maximum Packet Size 65,536: in whatever order.
  for (const property of ['1100093a80', '210010', '2700010000']) expect(properties).toContain(property);
  expect(properties).toHaveLength(2 * (5 + 3 + 5));
});

describe('Q11: every connect', () => {
  test('is a new client: the will, the password and the certificates are read anew', async () => {
    const { broker, clock, link } = await linked();
    await until(() => link.isUp);
    const messageIds = () => broker.subscribes.map(({ messageId }) => messageId);
    broker.cut();
    await until(() => !link.isUp);
    clock.advance(10_000);
    await until(() => link.isUp);
    expect(broker.connects.map(({ clientId, clean }) => [clientId, clean])).toEqual([
      ['headroom-SUB-1', false],
      ['headroom-SUB-1', false],
    ]);
    expect(messageIds()).toHaveLength(2);
  });

  test('has the password as its file holds it, and a new one is used within a minute', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-password-'));
    closeAfter({ close: async () => rmSync(folder, { recursive: true, force: true }) });
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'one\n');
    const { broker, clock, link, downs } = await linked({ user: { name: 'SUB-1', passwordFile } });
    await until(() => link.isUp);
    clock.advance(60_000);
    expect(link.isUp).toBe(true);
    writeFileSync(passwordFile, 'another\n');
    clock.advance(60_000);
    expect(downs).toEqual(['the files of tls or user have changed']);
    for (let n = 0; n < 200 && !link.isUp; n++) {
      clock.advance(10);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await until(() => link.isUp);
    const shown = broker.connects.map(({ username, password }) => `${username} ${password}`);
    expect(shown).toEqual(['SUB-1 one', 'SUB-1 another']);
  });

  test('that was begun with files of before notices those of after once it stands', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-password-'));
    closeAfter({ close: async () => rmSync(folder, { recursive: true, force: true }) });
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'one\n');
    let meanwhile = () => {};
    const connect: Connect = (url, options) => {
      const client = mqtt.connect(url, options);
      meanwhile();
      return client;
    };
    const { broker, clock, link, downs } = await linked({ user: { name: 'SUB-1', passwordFile }, connect });
    await until(() => link.isUp);
    clock.advance(45_000);
    broker.cut();
    await until(() => !link.isUp);
    meanwhile = () => writeFileSync(passwordFile, 'another\n');
    // The wait is 10 s; the files are looked at 5 s later, when the answer to the CONNECT is still to come.
    clock.advance(16_000);
    await until(() => link.isUp);
    clock.advance(60_000);
    expect(downs.at(-1)).toBe('the files of tls or user have changed');
    for (let n = 0; n < 200 && !link.isUp; n++) {
      clock.advance(10);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    expect(broker.connects.map(({ password }) => String(password))).toEqual(['one', 'one', 'another']);
  });

  test('tries the next broker of the list after a failure, and the first again once a link was up', async () => {
    const first = await startBroker();
    const second = await startBroker();
    await first.stop();
    const { clock, link } = await linked({ broker: first, brokers: [{ url: first.url }, { url: second.url }] });
    await settled();
    clock.advance(500);
    await until(() => link.isUp);
    expect(second.connects).toHaveLength(1);
    await first.resume();
    second.cut();
    await until(() => !link.isUp);
    clock.advance(10_000);
    await until(() => link.isUp);
    expect(first.connects).toHaveLength(1);
  });
});

describe('Q10: keep-alive', () => {
  /** Lets the client's own timers run on by `seconds` while sockets take their turns. */
  async function pass(seconds: number): Promise<void> {
    for (let tenth = 0; tenth < seconds * 10; tenth++) {
      await vi.advanceTimersByTimeAsync(100);
      for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  async function standing(broker: MqttBroker, harm: (link: Link) => Promise<void>) {
    const made = await linked({ broker });
    await until(() => made.link.isUp);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    try {
      // The client that is looked at has to have its timers from the fake ones.
      broker.cut();
      while (made.link.isUp) await new Promise((resolve) => setImmediate(resolve));
      made.clock.advance(10_000);
      while (!made.link.isUp) await new Promise((resolve) => setImmediate(resolve));
      await harm(made.link);
    } finally {
      vi.useRealTimers();
    }
    return made;
  }

  test('a broker that falls silent with nothing on its way is given up within one and a half keep-alives', async () => {
    const broker = await startBroker();
    const { downs } = await standing(broker, async () => {
      broker.blackHole = true;
      await pass(31);
    });
    expect(downs).toHaveLength(2);
    expect(downs[1]).toContain('Keepalive timeout');
  });

  test('and the next of the list serves, though the first still takes connections', async () => {
    const [first, second] = [await startBroker(), await startBroker()];
    const made = await linked({ broker: first, brokers: [{ url: first.url }, { url: second.url }] });
    await until(() => made.link.isUp);
    expect(made.link.broker).toBe(first.url);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    try {
      first.cut();
      while (made.link.isUp) await new Promise((resolve) => setImmediate(resolve));
      made.clock.advance(10_000);
      while (!made.link.isUp) await new Promise((resolve) => setImmediate(resolve));
      first.blackHole = true;
      await pass(31);
      expect(made.link.isUp).toBe(false);
      // The first again, which says nothing to the CONNECT; then the second.
      for (let seconds = 0; seconds < 60 && !made.link.isUp; seconds++) {
        made.clock.advance(1_000);
        await pass(1);
      }
    } finally {
      vi.useRealTimers();
    }
    await until(() => made.link.isUp);
    expect(made.link.broker).toBe(second.url);
    expect(made.downs.at(-1)).toContain('Keepalive timeout');
  });

  test('one that answers is never given up: quiet for ten minutes, then with messages at awkward times', async () => {
    const broker = await startBroker();
    const { downs, link } = await standing(broker, async (link) => {
      await pass(600);
      for (const seconds of [19, 20, 21, 29, 30, 31]) {
        link.publish({ topic: 'a', payload: '{}', retain: false }, () => {});
        await pass(seconds);
      }
    });
    expect(downs).toHaveLength(1);
    expect(link.isUp).toBe(true);
  });
});

test('a message of Q13: is confirmed when it is kept, and not before', async () => {
  const owed: (() => void)[] = [];
  const { broker, link } = await linked({ onMessage: (done) => void owed.push(done) });
  await until(() => link.isUp);
  const messageId = broker.publish('ack/F1', '{}');
  await until(() => owed.length === 1);
  await settled();
  expect(broker.pubacks).toEqual([]);
  owed[0]?.();
  await until(() => broker.pubacks.includes(messageId));
});

describe('Q7: the end', () => {
  test('says the last message and goes', async () => {
    const { broker, clock, link } = await linked();
    await until(() => link.isUp);
    expect(await ended(link, clock, LAST)).toBeLessThan(2_000);
    expect(broker.publishes('status').map(({ text }) => text)).toEqual(['stopped']);
  });

  test.each([
    ['in a black hole', (broker: MqttBroker) => Object.assign(broker, { blackHole: true })],
    ['while PUBACKs are owed', (broker: MqttBroker) => Object.assign(broker, { withholding: true })],
    ['after a cut', (broker: MqttBroker) => broker.cut()],
  ])('comes within two seconds %s, and leaves no timer', async (_name, harm) => {
    const clock = countingClock();
    const { broker, link } = await linked({ clock });
    await until(() => link.isUp);
    harm(broker);
    for (let n = 0; n < 3; n++) link.publish({ topic: `t${n}`, payload: '', retain: false }, () => {});
    expect(await ended(link, clock, LAST)).toBeLessThanOrEqual(2_000);
    expect(clock.running()).toBe(0);
  });

  test('comes within two seconds where nothing ever answered', async () => {
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const clock = countingClock();
    const { link } = await linked({ clock, brokers: [{ url: `mqtt://127.0.0.1:${port}` }] });
    await until(() => sockets.size === 1);
    expect(await ended(link, clock, LAST)).toBeLessThanOrEqual(2_000);
    expect(clock.running()).toBe(0);
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test('while waiting for the next attempt comes at once, and nothing is tried afterwards', async () => {
    const clock = countingClock();
    const broker = await startBroker();
    broker.refusals.push(0x88);
    const { link, downs } = await linked({ broker, clock });
    await until(() => downs.length === 1);
    expect(await ended(link, clock)).toBe(0);
    clock.advance(600_000);
    await settled();
    expect(broker.connects).toHaveLength(1);
    expect(clock.running()).toBe(0);
  });
});
