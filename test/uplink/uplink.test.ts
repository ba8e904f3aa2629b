// The uplink against brokers that behave and brokers that do not: what is said, in which order, how often, and what an
// acknowledgement does.
import { describe, expect, test } from 'vitest';
import { type Event, eventSchema, statusSchema } from '../../src/messages.ts';
import {
  ACK_TIMEOUT_MS,
  ackOf,
  event,
  idOf,
  LEASE_S,
  ROOT,
  request,
  type Site,
  START_MS,
  settled,
  site,
  startBroker,
  until,
} from './site.ts';

const CURTAILMENT = /\/curtailment$/;
const EVENT = /\/event$/;
const F1 = `${ROOT}/feeder/F1/curtailment`;

async function connected(options: Parameters<typeof site>[0] = {}): Promise<Site> {
  const made = await site(options);
  await until(() => made.uplink.isUp);
  return made;
}

const sequences = (texts: { text: string }[]) => texts.map(({ text }) => JSON.parse(text).sequence as number);

describe('what is said', () => {
  test('a request carries its meaning in the properties of MQTT 5 as well', async () => {
    const { broker, uplink, clock } = await connected();
    const limit = request('F1', 7);
    clock.advance(100_000);
    uplink.say(limit);
    await until(() => broker.publishes(F1).length === 1);
    const [said] = broker.publishes(F1);
    expect(said).toMatchObject({ retain: true, text: limit.payload });
    expect(said?.properties).toMatchObject({
      contentType: 'application/json',
      payloadFormatIndicator: true,
      responseTopic: `${F1}/ack`,
      messageExpiryInterval: LEASE_S - 100,
    });
    expect(String(said?.properties.correlationData)).toBe(idOf(7));
  });

  test('a broker of 3.1.1 is spoken to in 3.1.1, at once and without properties', async () => {
    const broker = await startBroker();
    broker.versions = [4];
    const { uplink } = await connected({ broker });
    uplink.say(request('F1', 7));
    await until(() => broker.publishes(F1).length === 1);
    expect(broker.connects.map(({ protocolVersion }) => protocolVersion)).toEqual([5, 4]);
    expect(broker.publishes(F1)[0]?.properties).toEqual({});
  });

  test('so is one that refuses with the reason code of MQTT 5, and it stays so', async () => {
    const broker = await startBroker();
    broker.refusals.push(0x84);
    const { uplink, advanceUntil } = await connected({ broker });
    broker.cut();
    await until(() => !uplink.isUp);
    await advanceUntil(() => uplink.isUp);
    expect(broker.connects.map(({ protocolVersion }) => protocolVersion)).toEqual([5, 4, 4]);
  });

  test('birth, last will and farewell are on status, retained, and hold to the schema', async () => {
    const { broker, uplink } = await connected();
    await until(() => broker.publishes(`${ROOT}/status`).length === 1);
    const will = broker.connects[0]?.will;
    expect(will).toMatchObject({ topic: `${ROOT}/status`, retain: true, qos: 1 });
    // A link that comes back soon was never offline to others.
    expect(will?.properties).toEqual({ willDelayInterval: 30 });
    expect(statusSchema.parse(JSON.parse(String(will?.payload)))).toMatchObject({
      state: 'offline',
      reason: 'connectionLost',
      health: null,
    });
    await uplink.close();
    const said = broker.publishes(`${ROOT}/status`);
    expect(said.map(({ retain }) => retain)).toEqual([true, true]);
    expect(
      said.map(({ text }) => statusSchema.parse(JSON.parse(text))).map(({ state, reason }) => [state, reason]),
    ).toEqual([
      ['online', 'connected'],
      ['offline', 'stopped'],
    ]);
    expect(broker.received.at(-1)?.packet.cmd).toBe('disconnect');
  });

  test('a change of health is said once there is room', async () => {
    const { broker, uplink } = await connected();
    uplink.sayStatus('changed');
    await until(() => broker.publishes(`${ROOT}/status`).length === 2);
    expect(JSON.parse(broker.retained.get(`${ROOT}/status`)?.text ?? '')).toMatchObject({ reason: 'changed' });
  });
});

test('an offline that comes behind our birth, from another broker of the cluster, is answered with the truth', async () => {
  const { broker } = await connected();
  await until(() => broker.publishes(`${ROOT}/status`).length === 1);
  const will = JSON.parse(String(broker.connects[0]?.will?.payload));
  broker.publish(`${ROOT}/status`, { ...will, state: 'online' });
  await settled();
  expect(broker.publishes(`${ROOT}/status`)).toHaveLength(1);
  broker.publish(`${ROOT}/status`, will);
  await until(() => broker.publishes(`${ROOT}/status`).length === 2);
  await settled();
  const said = broker.publishes(`${ROOT}/status`).map(({ text }) => JSON.parse(text).state);
  expect(said).toEqual(['online', 'online']);
});

describe('an event that is larger than the broker takes', () => {
  const eventOf = (sequence: number, more: Partial<Event> = {}) => {
    const whole: Event = {
      schema: 'headroom/v1/event',
      sequence,
      at: new Date(START_MS).toISOString(),
      substationId: 'SUB-1',
      feederId: 'F1',
      type: 'limit',
      reason: 'superseded before it could be sent',
      clockSynchronised: true,
      ...more,
    };
    return { sequence, feederId: 'F1', body: JSON.stringify(eventSchema.parse(whole)) };
  };
  const historical = { historical: true, request: request('F1', 7).message, reason: 'é'.repeat(900) } as const;

  test('is said in its place without its request and with its reason cut, and those behind it follow', async () => {
    const broker = await startBroker();
    broker.maximumPacketSize = 1_200;
    const events = [eventOf(1), eventOf(2, historical), eventOf(3)];
    const { notes } = await connected({ broker, events });
    await until(() => notes.eventsSent === 3);
    const said = broker.publishes(EVENT).map(({ text }) => eventSchema.parse(JSON.parse(text)));
    expect(said.map(({ sequence, shortened }) => [sequence, shortened])).toEqual([
      [1, undefined],
      [2, true],
      [3, undefined],
    ]);
    expect(said[1]).toMatchObject({ type: 'limit', historical: true, reason: 'é'.repeat(100) });
    expect(said[1]).not.toHaveProperty('request');
    expect(notes.alarms).toHaveLength(1);
    expect(notes.alarms[0]).toMatch(/^tooLarge: .*\/event: \d+ bytes are more than the packets of 1200 bytes/);
  });

  test('even so, it is passed over, with the alarm', async () => {
    const broker = await startBroker();
    broker.maximumPacketSize = 800;
    const events = [eventOf(1), eventOf(2, { alarm: 'a'.repeat(64), reason: 'r'.repeat(900) }), eventOf(3)];
    const { notes } = await connected({ broker, events });
    await until(() => notes.eventsSent === 3);
    expect(sequences(broker.publishes(EVENT))).toEqual([1, 3]);
    expect(notes.alarms[0]).toMatch(/^tooLarge/);
  });
});

describe('Q2 and Q3: in flight', () => {
  test.each([
    ['what the broker announces', 3, 3],
    ['sixteen, however much the broker allows', 100, 16],
    ['sixteen where the broker says nothing', null, 16],
  ])('never more than %s', async (_name, receiveMaximum, most) => {
    const broker = await startBroker();
    broker.receiveMaximum = receiveMaximum;
    broker.pubackAfterMs = 3;
    const events = Array.from({ length: 40 }, (_, index) => event(index + 1));
    const { notes } = await connected({ broker, events });
    await until(() => notes.eventsSent === 40);
    expect(broker.mostInFlight).toBe(most);
    expect(sequences(broker.publishes(EVENT))).toEqual(events.map(({ sequence }) => sequence));
  });

  test('however much is decided while the broker is away, only the newest is left to be sent', async () => {
    const broker = await startBroker();
    await broker.stop();
    const { uplink, notes, advanceUntil } = await site({ broker });
    const pattern = request('F1', 1);
    for (let sequence = 1; sequence <= 70_000; sequence++)
      uplink.say({ ...pattern, message: { ...pattern.message, sequence, requestId: idOf(sequence) } });
    const newest = request('F1', 70_001);
    uplink.say(newest);
    await broker.resume();
    await advanceUntil(() => broker.retained.has(F1));
    await settled();
    expect(broker.publishes(F1).map(({ text }) => text)).toEqual([newest.payload]);
    expect(notes.offered).toEqual([idOf(70_001)]);
  });
});

describe('Q5: after an outage', () => {
  test("each feeder's present request goes out before any event, and the events follow in order", async () => {
    const events = Array.from({ length: 30 }, (_, index) => event(index + 1, index % 2 === 0 ? null : 'F1'));
    const broker = await startBroker();
    await broker.stop();
    const { uplink, notes, advanceUntil } = await site({ broker, events });
    uplink.say(request('F1', 1));
    uplink.say(request('F2', 2));
    uplink.say(request('F1', 3));
    await broker.resume();
    await advanceUntil(() => notes.eventsSent === 30);
    const said = broker.publishes().filter(({ topic }) => topic !== `${ROOT}/status`);
    expect(sequences(said.slice(0, 2))).toEqual([2, 3]);
    expect(said.slice(0, 2).map(({ topic }) => topic)).toEqual([`${ROOT}/feeder/F2/curtailment`, F1]);
    expect(sequences(said.slice(2))).toEqual(events.map(({ sequence }) => sequence));
  });

  test('a new request does not wait behind a backlog that a slow broker takes its time for', async () => {
    const broker = await startBroker();
    broker.pubackAfterMs = 15;
    const events = Array.from({ length: 400 }, (_, index) => event(index + 1));
    const { uplink, notes } = await connected({ broker, events });
    await until(() => notes.eventsSent > 0);
    uplink.say(request('F1', 1));
    const before = broker.publishes(EVENT).length;
    await until(() => broker.publishes(F1).length === 1);
    const order = broker.publishes().map(({ topic }) => topic);
    expect(order.slice(0, order.indexOf(F1)).filter((topic) => EVENT.test(topic)).length - before).toBeLessThanOrEqual(
      16,
    );
  });

  test('what was in flight when the link broke is said again from the oldest, in order', async () => {
    const events = Array.from({ length: 12 }, (_, index) => event(index + 1));
    const broker = await startBroker();
    broker.withholding = true;
    const { notes, uplink, advanceUntil } = await site({ broker, events });
    await until(() => broker.publishes(EVENT).length >= 12);
    expect(notes.eventsSent).toBe(0);
    broker.withholding = false;
    broker.cut();
    await until(() => !uplink.isUp);
    await advanceUntil(() => notes.eventsSent === 12);
    expect(sequences(broker.publishes(EVENT).filter(({ connection }) => connection === 2))).toEqual(
      events.map(({ sequence }) => sequence),
    );
  });

  test('the backlog keeps to its pace while requests do not', async () => {
    const events = Array.from({ length: 60 }, (_, index) => event(index + 1));
    const { broker, uplink, clock, notes } = await connected({ events, settings: { historyMessagesPerS: 20 } });
    await until(() => notes.eventsSent === 20);
    uplink.say(request('F1', 1));
    await until(() => broker.publishes(F1).length === 1);
    await settled();
    expect(broker.publishes(EVENT)).toHaveLength(20);
    clock.advance(500);
    await until(() => notes.eventsSent === 30);
    await settled();
    expect(broker.publishes(EVENT)).toHaveLength(30);
  });

  test('a broker that forgot everything gets the standing request again, but no answered release', async () => {
    const { broker, uplink, advanceUntil } = await connected();
    const limit = request('F1', 1);
    const release = request('F2', 2, { action: 'release', levelPercent: 100 });
    for (const one of [limit, release]) {
      uplink.say(one);
      await until(() => broker.publishes(`${ROOT}/feeder/${one.message.feederId}/curtailment`).length === 1);
      broker.publish(`${ROOT}/feeder/${one.message.feederId}/curtailment/ack`, ackOf(one));
    }
    await until(() => broker.pubacks.length === 2);
    await broker.stop();
    await until(() => !uplink.isUp);
    await broker.resume({ forget: true });
    await advanceUntil(() => broker.retained.has(F1));
    await settled();
    expect(sequences(broker.publishes(CURTAILMENT))).toEqual([1, 2, 1]);
    expect(broker.publishes(F1).map(({ text }) => JSON.parse(text).requestId)).toEqual([idOf(1), idOf(1)]);
    expect(broker.subscribes).toHaveLength(2);
  });
});

describe('Q4: expiry', () => {
  test('what a request had to wait is gone from its expiry', async () => {
    const broker = await startBroker();
    await broker.stop();
    const { uplink, clock, advanceUntil } = await site({ broker });
    uplink.say(request('F1', 1));
    clock.advance(600_000);
    await broker.resume();
    await advanceUntil(() => broker.publishes(F1).length === 1, 1_000);
    const left = broker.publishes(F1)[0]?.properties.messageExpiryInterval ?? 0;
    const waitedS = (clock.monotonicMs() - START_MS) / 1000;
    expect(left).toBeLessThanOrEqual(LEASE_S - 600);
    expect(left).toBeGreaterThanOrEqual(LEASE_S - waitedS - 1);
  });

  test('a broker keeps a limit until its end, though it is too late to begin before that', async () => {
    const { broker, uplink, clock } = await connected();
    const spread = request('F1', 1, { endSpreadS: 600, validUntil: new Date(START_MS + 1_200_000).toISOString() });
    uplink.say(spread);
    await until(() => broker.publishes(F1).length === 1);
    expect(broker.publishes(F1)[0]?.properties.messageExpiryInterval).toBe(LEASE_S);
    clock.advance(1_200_000);
    uplink.say(request('F2', 2, { endSpreadS: 600, validUntil: new Date(START_MS + 1_200_000).toISOString() }));
    await settled();
    expect(broker.publishes(`${ROOT}/feeder/F2/curtailment`)).toEqual([]);
  });

  test('what has expired is never sent', async () => {
    const broker = await startBroker();
    await broker.stop();
    const { uplink, clock, notes, advanceUntil } = await site({ broker });
    uplink.say(request('F1', 1));
    uplink.say(request('F2', 2, { nowMs: START_MS + 600_000 }));
    clock.advance(LEASE_S * 1000);
    await broker.resume();
    await advanceUntil(() => broker.publishes(CURTAILMENT).length > 0);
    await settled();
    expect(sequences(broker.publishes(CURTAILMENT))).toEqual([2]);
    expect(notes.expired).toEqual([idOf(1)]);
    expect(notes.offered).toEqual([idOf(2)]);
  });

  test('a release is no exception: what it releases has ended by itself', async () => {
    const broker = await startBroker();
    await broker.stop();
    const { uplink, clock, notes, advanceUntil } = await site({ broker });
    uplink.say(request('F1', 1, { action: 'release', levelPercent: 100 }));
    clock.advance(LEASE_S * 1000);
    await broker.resume();
    await advanceUntil(() => notes.expired.length > 0);
    expect(broker.publishes(CURTAILMENT)).toEqual([]);
  });

  test('a broker keeps a release an hour longer than what it releases, for clocks that run late', async () => {
    const { broker, uplink } = await connected();
    uplink.say(request('F1', 1, { action: 'release', levelPercent: 100 }));
    await until(() => broker.publishes(F1).length === 1);
    expect(broker.publishes(F1)[0]?.properties.messageExpiryInterval).toBe(LEASE_S + 3600);
  });
});

describe('Q6: a PUBACK that never comes', () => {
  test('renews the link and says the same id again', async () => {
    const { broker, uplink, clock, notes, advanceUntil } = await connected();
    await until(() => broker.retained.has(`${ROOT}/status`));
    broker.withholding = true;
    uplink.say(request('F1', 1));
    await until(() => broker.publishes(F1).length === 1);
    clock.advance(14_999);
    await settled();
    expect(uplink.isUp).toBe(true);
    clock.advance(1);
    expect(uplink.isUp).toBe(false);
    expect(notes.links.at(-1)?.reason).toContain('no PUBACK');
    broker.withholding = false;
    await advanceUntil(() => broker.retained.has(F1));
    expect(broker.publishes(F1).map(({ text }) => JSON.parse(text).requestId)).toEqual([idOf(1), idOf(1)]);
    expect(broker.publishes(F1).map(({ connection }) => connection)).toEqual([1, 2]);
    expect(notes.offered).toEqual([idOf(1)]);
  });
});

test('a request that was in flight when the link broke makes the way back short', async () => {
  const { broker, uplink, clock } = await connected({ random: () => 1 });
  await until(() => broker.retained.has(`${ROOT}/status`));
  broker.withholding = true;
  broker.refusals.push(...Array.from({ length: 5 }, () => 0x88));
  uplink.say(request('F1', 1));
  await until(() => broker.publishes(F1).length === 1);
  broker.cut();
  await until(() => !uplink.isUp);
  for (const [failures, waitMs] of [5_000, 5_000, 5_000, 5_000, 5_000].entries()) {
    clock.advance(waitMs);
    await until(() => broker.connects.length === failures + 2);
    await settled();
  }
  broker.withholding = false;
  clock.advance(5_000);
  await until(() => broker.retained.has(F1));
});

describe('a broker that refuses', () => {
  test('a request: it is tried again after a while, and no other feeder waits for it', async () => {
    const { broker, uplink, clock, notes } = await connected();
    broker.reasonCode = ({ topic }) => (topic === F1 ? 0x87 : 0);
    uplink.say(request('F1', 1));
    await until(() => notes.trouble.length === 1);
    expect(notes.trouble[0]).toContain(F1);
    uplink.say(request('F2', 2));
    await until(() => broker.retained.has(`${ROOT}/feeder/F2/curtailment`));
    await settled();
    expect(broker.publishes(F1)).toHaveLength(1);
    broker.reasonCode = () => 0;
    clock.advance(5_000);
    await until(() => broker.retained.has(F1));
    await settled();
    expect(sequences(broker.publishes(CURTAILMENT))).toEqual([1, 2, 1]);
    expect(broker.connects).toHaveLength(1);
  });

  test('events: they wait and go on in order from there, and requests pass them', async () => {
    const events = Array.from({ length: 5 }, (_, index) => event(index + 1));
    const broker = await startBroker();
    broker.reasonCode = ({ topic }) => (EVENT.test(topic) ? 0x87 : 0);
    const { uplink, clock, notes } = await connected({ broker, events });
    await until(() => notes.trouble.length > 0);
    uplink.say(request('F1', 1));
    await until(() => broker.retained.has(F1));
    await settled();
    expect(notes.eventsSent).toBe(0);
    const refused = broker.publishes(EVENT).length;
    broker.reasonCode = () => 0;
    clock.advance(5_000);
    await until(() => notes.eventsSent === 5);
    expect(sequences(broker.publishes(EVENT)).slice(refused)).toEqual([1, 2, 3, 4, 5]);
    expect(broker.publishes(F1)).toHaveLength(1);
  });
});

describe('Q12 and Q13: acknowledgements', () => {
  test('a PUBACK ends the sending; without an ack the same id is said three times more, then the alarm', async () => {
    const { broker, uplink, clock, notes } = await connected();
    uplink.say(request('F1', 1));
    for (let times = 1; times <= 4; times++) {
      await until(() => broker.publishes(F1).length === times);
      await settled();
      expect(notes.noAck).toEqual([]);
      clock.advance(ACK_TIMEOUT_MS - 1);
      await settled();
      expect(broker.publishes(F1)).toHaveLength(times);
      clock.advance(1);
    }
    expect(notes.noAck).toEqual([idOf(1)]);
    for (let n = 0; n < 10; n++) clock.advance(ACK_TIMEOUT_MS);
    await settled();
    expect(new Set(broker.publishes(F1).map(({ text }) => text)).size).toBe(1);
    expect(broker.publishes(F1)).toHaveLength(4);
    expect(notes.noAck).toHaveLength(1);
  });

  test('the first ack retires the request', async () => {
    const { broker, uplink, clock, notes } = await connected();
    const limit = request('F1', 1);
    uplink.say(limit);
    await until(() => broker.publishes(F1).length === 1);
    broker.publish(`${F1}/ack`, ackOf(limit));
    await until(() => notes.acks.length === 1);
    expect(notes.acks).toEqual([{ ack: ackOf(limit), feederId: 'F1' }]);
    for (let n = 0; n < 6; n++) clock.advance(ACK_TIMEOUT_MS);
    await settled();
    expect(broker.publishes(F1)).toHaveLength(1);
    expect(notes.noAck).toEqual([]);
  });

  test('an ack is handed over before the broker gets its PUBACK', async () => {
    const broker = await startBroker();
    const order: string[] = [];
    const { uplink } = await connected({
      broker,
      onAck: () => void order.push(`kept, ${broker.pubacks.length} confirmed`),
    });
    const limit = request('F1', 1);
    uplink.say(limit);
    const messageId = broker.publish(`${F1}/ack`, ackOf(limit));
    await until(() => broker.pubacks.includes(messageId));
    expect(order).toEqual(['kept, 0 confirmed']);
  });

  test.each([
    [
      'of another request',
      (limit: ReturnType<typeof request>) => JSON.stringify(ackOf(limit, { requestId: idOf(99) })),
    ],
    ['with another sequence', (limit) => JSON.stringify(ackOf(limit, { sequence: 99 }))],
    ['malformed', () => '{"requestId":'],
    ['empty', () => ''],
    ['of no known status', (limit) => JSON.stringify({ ...ackOf(limit), status: 'fine' })],
    ['without its schema', (limit) => JSON.stringify({ ...ackOf(limit), schema: undefined })],
    ['huge', (limit) => JSON.stringify(ackOf(limit, { reason: 'x'.repeat(50_000) }))],
  ] satisfies [string, (limit: ReturnType<typeof request>) => string][])(
    'an ack %s retires nothing, and is confirmed so that it does not come again',
    async (_name, text) => {
      const { broker, uplink, clock } = await connected();
      const limit = request('F1', 1);
      uplink.say(limit);
      await until(() => broker.publishes(F1).length === 1);
      const messageId = broker.publish(`${F1}/ack`, text(limit));
      await until(() => broker.pubacks.includes(messageId));
      clock.advance(ACK_TIMEOUT_MS);
      await until(() => broker.publishes(F1).length === 2);
    },
  );

  test("an ack on another feeder's topic retires nothing", async () => {
    const { broker, uplink, clock } = await connected();
    const limit = request('F1', 1);
    uplink.say(limit);
    await until(() => broker.publishes(F1).length === 1);
    broker.publish(`${ROOT}/feeder/F2/curtailment/ack`, ackOf(limit));
    await until(() => broker.pubacks.length === 1);
    clock.advance(ACK_TIMEOUT_MS);
    await until(() => broker.publishes(F1).length === 2);
  });

  test('a message on a topic that was not asked for is noted and left', async () => {
    const { broker, notes } = await connected();
    broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, 'no JSON');
    await until(() => notes.trouble.length === 1);
    expect(notes.trouble[0]).toContain('no JSON');
    expect(notes.acks).toEqual([]);
  });
});

test('with a new journal the own retained requests are looked at once, and only those', async () => {
  const broker = await startBroker();
  const former = await connected({ broker });
  former.uplink.say(request('F1', 41));
  await until(() => broker.retained.has(F1));
  await former.uplink.close();
  const { notes, clock, uplink } = await connected({ broker, learnRetained: true });
  await until(() => notes.seen.length === 1);
  expect(notes.seen[0]?.sequence).toBe(41);
  uplink.say(request('F2', 42));
  await until(() => broker.retained.has(`${ROOT}/feeder/F2/curtailment`));
  clock.advance(2_000);
  await until(() => broker.received.some(({ packet }) => packet.cmd === 'unsubscribe'));
  expect(notes.seen).toHaveLength(1);
});
