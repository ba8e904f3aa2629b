// The reference head end on a real broker: what it answers to each request, what it sends to its devices, and what is
// left of it after a restart. The delays of the chain are short, and only the order of things is looked at.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { type Ack, ackSchema, type Curtailment } from '../../../src/messages.ts';
import type { ServiceRequest } from '../../../src/workbench/headend/duis.ts';
import { newDevice } from '../../../src/workbench/headend/fleet.ts';
import { type HeadEnd, type HeadEndOptions, openHeadEnd, workerOf } from '../../../src/workbench/headend/head-end.ts';
import { NO_RULES, type Rules } from '../../../src/workbench/headend/rules.ts';
import { endProcess, startVerb } from '../../end-to-end/headroom.ts';
import { handClock } from '../../simulators/hand-clock.ts';
import { Mosquitto, mosquittoOrSkip } from '../../simulators/mosquitto.ts';
import { releaseOf, requestAt } from './requests.ts';

const EXAMPLES = join(import.meta.dirname, '../../../docs/examples');

describe.skipIf(!mosquittoOrSkip())('the reference head end', () => {
  let broker: Mosquitto;
  let edge: MqttClient;
  const acks: Ack[] = [];
  const opened: HeadEnd[] = [];
  const sent: ServiceRequest[] = [];
  const refused: string[] = [];
  let sequence = 0;

  beforeEach(async () => {
    broker = await Mosquitto.start();
    edge = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
    edge.on('message', (_topic, payload) => acks.push(ackSchema.parse(JSON.parse(payload.toString()))));
    await edge.subscribeAsync('headroom/v1/+/feeder/+/curtailment/ack', { qos: 1 });
  });
  afterEach(async () => {
    for (const headEnd of opened.splice(0)) await headEnd.close();
    await edge.endAsync(true);
    await broker.remove();
    for (const list of [acks, sent, refused]) list.length = 0;
  });

  const base = (): HeadEndOptions => ({
    broker: broker.url,
    roundTripS: 0.02,
    perSecond: 0,
    failureShare: 0,
    effectDelayS: 0.03,
    worker: 0,
    workers: 1,
    fleet: (group) => (['L1', 'L2', 'L2'] as const).map((phase, index) => newDevice(group, index, 'apc', phase)),
    random: Math.random,
    clock: systemClock(),
  });

  async function open(changes: Partial<HeadEndOptions> = {}): Promise<HeadEnd> {
    const headEnd = await openHeadEnd(
      { ...base(), ...changes },
      { serviceRequest: (request) => void sent.push(request), refused: (_topic, reason) => void refused.push(reason) },
    );
    opened.push(headEnd);
    return headEnd;
  }

  function limit(changes: Partial<Curtailment> = {}): Curtailment {
    sequence += 1;
    return requestAt(Date.now(), sequence, { feederId: `F${sequence}`, ...changes });
  }
  const say = (message: Curtailment) =>
    edge.publishAsync(
      `headroom/v1/${message.substationId}/feeder/${message.feederId}/curtailment`,
      JSON.stringify(message),
      { qos: 1, retain: message.mode === 'live' },
    );
  const statuses = () => acks.map(({ status }) => status);
  const until = (...wanted: Ack['status'][]) => vi.waitFor(() => expect(statuses()).toEqual(wanted), 5_000);

  test('a limit: accepted, dispatched, applied, with the devices and the amperes that it reached', async () => {
    await open();
    const message = limit({ levelPercent: 60 });
    await say(message);
    await until('accepted', 'dispatched', 'applied');
    expect(new Set(acks.map(({ requestId }) => requestId))).toEqual(new Set([message.requestId]));
    expect(acks[2]).toMatchObject({
      sequence: message.sequence,
      devices: { targeted: 2, acknowledged: 2, failed: 0 },
      controllableA: { L2: 64 },
    });
    expect(sent.map(({ srv, levelPercent }) => [srv, levelPercent])).toEqual([
      ['7.16', 60],
      ['7.16', 60],
    ]);
  });

  test('applied comes when the last device has had its random delay, and not before', async () => {
    const clock = handClock(Date.now());
    const draws = [0.5, 0.5, 0.5, 0.5, 0.25, 0.75];
    await open({ clock, roundTripS: 2, effectDelayS: 600, random: () => draws.shift() ?? 0.5 });
    const message = requestAt(clock.wallMs(), ++sequence, { feederId: `F${sequence}` });
    await say(message);
    await until('accepted', 'dispatched');
    // The round trip of 2 s, then a quarter and three quarters of 600 s.
    clock.advance(2_000 + 449_999);
    await say(message);
    await until('accepted', 'dispatched', 'dispatched');
    expect(acks[2]?.devices).toMatchObject({ targeted: 2 });
    clock.advance(1);
    await until('accepted', 'dispatched', 'dispatched', 'applied');
    expect(acks[3]?.devices).toEqual({ targeted: 2, acknowledged: 2, failed: 0 });
  });

  test('the verb: its options reach the chain, and SIGHUP reads the rules again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-verb-'));
    const rules = join(folder, 'rules.json');
    writeFileSync(rules, '{}');
    const args = ['headend', '--broker', broker.url, '--rules', rules, '--dcc-delay', '0', '--devices', '2'];
    // Nobody waits for devices that take a year.
    const child = startVerb([...args, '--hcalcs', '0', '--effect-delay', '31536000']);
    try {
      const message = limit();
      await say(message);
      await vi.waitFor(() => expect(statuses()).toContain('dispatched'), 20_000);
      const { substationId, feederId } = message;
      writeFileSync(rules, JSON.stringify({ overridden: [{ substationId, feederId, reason: 'works' }] }));
      child.kill('SIGHUP');
      await until('accepted', 'dispatched', 'overridden');
      expect(acks[2]).toMatchObject({ requestId: message.requestId, reason: 'works' });
      writeFileSync(rules, '{');
      child.kill('SIGHUP');
      await say(limit({ feederId }));
      await until('accepted', 'dispatched', 'overridden', 'overridden');
    } finally {
      await endProcess(child);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a repeat is answered with the latest acknowledgement and not dispatched again', async () => {
    await open();
    const message = limit();
    await say(message);
    await until('accepted', 'dispatched', 'applied');
    await say(message);
    await until('accepted', 'dispatched', 'applied', 'applied');
    expect(sent).toHaveLength(2);
  });

  test('a release ends it, and the devices are free', async () => {
    const headEnd = await open();
    const message = limit();
    await say(message);
    await until('accepted', 'dispatched', 'applied');
    expect(headEnd.inForce().map(({ requestId }) => requestId)).toContain(message.requestId);
    await say(releaseOf(message, ++sequence));
    await until('accepted', 'dispatched', 'applied', 'accepted', 'dispatched', 'ended');
    expect(headEnd.inForce().map(({ requestId }) => requestId)).not.toContain(message.requestId);
    expect(sent.at(-1)?.fields['CommandedStateLevel']).toBe(100);
  });

  test('devices that do not answer: partial, or failed where none does', async () => {
    const outcomes = [0.9, 0.9, 0.1, 0.9, 0.9];
    await open({ failureShare: 0.5, random: () => outcomes.shift() ?? 0.9 });
    await say(limit());
    await until('accepted', 'dispatched', 'partial');
    expect(acks[2]).toMatchObject({
      devices: { targeted: 2, acknowledged: 1, failed: 1 },
      controllableA: { L2: 32 },
      reason: '1 of 2 devices did not answer',
    });
    await opened.splice(0)[0]?.close();
    acks.length = 0;
    await open({ failureShare: 1, random: () => 0.5 });
    // The limit of before is retained, so this head end finds it and tries again.
    await until('accepted', 'dispatched', 'failed');
  });

  test('a newer request supersedes one that is still on its way', async () => {
    await open({ roundTripS: 60 });
    const first = limit();
    await say(first);
    await until('accepted', 'dispatched');
    await say({ ...limit({ feederId: first.feederId }), levelPercent: 30 });
    await until('accepted', 'dispatched', 'superseded', 'accepted', 'dispatched');
    expect(acks[2]?.requestId).toBe(first.requestId);
  });

  test('a limit that nothing refreshes ends by itself', async () => {
    await open();
    const message = limit({ durationS: 0.3, endSpreadS: 0 });
    await say(message);
    await until('accepted', 'dispatched', 'applied', 'ended');
    expect(acks[3]?.reason).toBe('came to its end');
    await say(releaseOf(message, ++sequence));
  });

  test('too late: nothing is dispatched, and it says so', async () => {
    await open();
    await say(limit({ validUntil: new Date(Date.now() - 1_000).toISOString() }));
    await until('expired');
    expect(sent).toEqual([]);
  });

  test('what its rules forbid is rejected, what they cut or an old target group has a reason beside the yes', async () => {
    const rules: Rules = {
      ...NO_RULES,
      caps: { ...NO_RULES.caps, deepestLevelPercent: 25, requestsPerHour: 1 },
      targetGroups: { 'TG-F1': { substationId: 'SUB-4711', feederId: 'F-rules', version: 4 } },
    };
    await open({ rules });
    const first = limit({ feederId: 'F-rules', levelPercent: 0 });
    await say(first);
    await until('accepted', 'dispatched', 'applied');
    expect(acks[0]?.reason).toBe(
      "target group TG-F1 is version 4 here, not 3: its present devices; cut to the head end's deepestLevelPercent 25",
    );
    expect(sent.map(({ levelPercent }) => levelPercent)).toEqual([25, 25]);
    await say(limit({ feederId: 'F-rules', action: 'refresh' }));
    await until('accepted', 'dispatched', 'applied', 'rejected');
    expect(acks[3]?.reason).toBe("the head end's requestsPerHour 1");
    expect(sent).toHaveLength(2);
  });

  test('where somebody decides otherwise the devices are freed, and it says overridden', async () => {
    const headEnd = await open();
    const message = limit();
    await say(message);
    await until('accepted', 'dispatched', 'applied');
    const { substationId, feederId } = message;
    const overridden = [{ substationId, feederId, reason: 'the supplier has bought this hour' }];
    headEnd.changeRules({ ...NO_RULES, overridden });
    await until('accepted', 'dispatched', 'applied', 'overridden');
    expect(acks[3]).toMatchObject({ requestId: message.requestId, reason: 'the supplier has bought this hour' });
    await vi.waitFor(() => expect(sent.slice(2).map(({ levelPercent }) => levelPercent)).toEqual([100, 100]));
    expect(headEnd.inForce().map(({ requestId }) => requestId)).not.toContain(message.requestId);
    await say(limit({ feederId }));
    await until('accepted', 'dispatched', 'applied', 'overridden', 'overridden');
    expect(sent).toHaveLength(4);
  });

  test('a release that overtakes its limit on the way frees the devices that the limit is on its way to', async () => {
    await open({ roundTripS: 60 });
    const message = limit();
    await say(message);
    await until('accepted', 'dispatched');
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    await say(releaseOf(message, ++sequence));
    await vi.waitFor(() => expect(sent.slice(2).map(({ levelPercent }) => levelPercent)).toEqual([100, 100]));
  });

  test('test mode: nothing is dispatched', async () => {
    await open();
    await say(limit({ mode: 'test' }));
    await until('accepted');
    expect(acks[0]?.reason).toBe('test: nothing is dispatched');
    expect(sent).toEqual([]);
  });

  test('what is no request, or is on the wrong topic, is not taken', async () => {
    await open();
    await edge.publishAsync('headroom/v1/SUB-4711/feeder/X/curtailment', '{"schema":1}', { qos: 1 });
    await edge.publishAsync('headroom/v1/SUB-4711/feeder/Y/curtailment', JSON.stringify(limit()), { qos: 1 });
    await vi.waitFor(() => expect(refused.filter((reason) => reason.startsWith('a request for'))).toHaveLength(1));
    expect(refused.length).toBe(2);
    expect(acks).toEqual([]);
  });

  test('after a restart the retained requests bring back what is in force', async () => {
    const first = await open();
    const message = limit({ feederId: 'F-restart' });
    await say(message);
    await vi.waitFor(() => expect(statuses()).toContain('applied'), 5_000);
    await first.close();
    opened.length = 0;
    const second = await open();
    await vi.waitFor(
      () => expect(second.inForce().map(({ requestId }) => requestId)).toContain(message.requestId),
      5_000,
    );
  });

  test('the verb, killed and started again, goes on counting where it was', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-counts-'));
    const [rules, counts] = [join(folder, 'rules.json'), join(folder, 'counts.json')];
    writeFileSync(rules, JSON.stringify({ caps: { requestsPerHour: 1 } }));
    const start = () => startVerb(['headend', '--broker', broker.url, '--rules', rules, '--counts', counts]);
    const message = limit();
    const { feederId } = message;
    try {
      const first = start();
      await say(message);
      await vi.waitFor(() => expect(readFileSync(counts, 'utf8')).toContain(message.requestId), 20_000);
      await endProcess(first, 'SIGKILL');
      acks.length = 0;
      const second = start();
      // The retained one is no second one.
      await vi.waitFor(() => expect(statuses()[0]).toBe('accepted'), 20_000);
      const next = limit({ feederId, levelPercent: 10 });
      await say(next);
      await vi.waitFor(
        () =>
          expect(acks.filter(({ requestId }) => requestId === next.requestId)).toMatchObject([
            { status: 'rejected', reason: "the head end's requestsPerHour 1" },
          ]),
        20_000,
      );
      await endProcess(second);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('workers divide the substations, and each stays with one of them', async () => {
    const substations = Array.from({ length: 12 }, (_, index) => `SUB-W${index}`);
    await open({ workers: 2, worker: 0 });
    await open({ workers: 2, worker: 1 });
    for (const substationId of substations) await say(limit({ substationId }));
    const accepted = () => acks.filter(({ status }) => status === 'accepted');
    await vi.waitFor(() => expect(accepted().length).toBeGreaterThanOrEqual(12), 5_000);
    expect(new Set(accepted().map((ack) => ack.sequence)).size).toBe(12);
    expect(accepted()).toHaveLength(12);
    expect(new Set(substations.map((substationId) => workerOf(substationId, 2)))).toEqual(new Set([0, 1]));
  });

  test('events and telemetry are shared out: each is heard by one of the workers', async () => {
    const heard: string[] = [];
    for (const worker of [0, 1]) {
      const options = { ...base(), hears: true, worker, workers: 2 };
      const headEnd = await openHeadEnd(options, {
        event: ({ sequence }) => void heard.push(`event ${sequence}`),
        telemetry: ({ feederId }) => void heard.push(`telemetry ${feederId}`),
        refused: (topic, reason) => void refused.push(`${topic}: ${reason}`),
      });
      opened.push(headEnd);
    }
    const example = (name: string) => JSON.parse(readFileSync(join(EXAMPLES, `${name}.json`), 'utf8'));
    const root = 'headroom/v1/SUB-4711';
    for (let sequence = 1; sequence <= 20; sequence++)
      await edge.publishAsync(`${root}/event`, JSON.stringify({ ...example('event'), sequence }), { qos: 1 });
    await edge.publishAsync(`${root}/feeder/F1/telemetry`, JSON.stringify(example('telemetry')), { qos: 1 });
    await edge.publishAsync(`${root}/event`, '{}', { qos: 1 });
    await vi.waitFor(() => expect(heard.length + refused.length).toBe(22), 5_000);
    expect(new Set(heard).size).toBe(21);
    expect(refused).toHaveLength(1);
  });

  test('what the DCC throttles goes out one by one, and emergency before what waits', async () => {
    const fleet = (group: string) => [0, 1, 2].map((index) => newDevice(group, index, 'apc', 'L2'));
    await open({ perSecond: 10, fleet });
    const [slow, urgent] = [limit({ targetGroup: { id: 'TG-A', version: 1 } }), limit({ priority: 'emergency' })];
    await say(slow);
    await say(urgent);
    await vi.waitFor(() => expect(acks.filter(({ status }) => status === 'applied')).toHaveLength(2), 5_000);
    const mine = newDevice('TG-A', 0, 'apc', 'L2').deviceId.slice(0, 14);
    const order = sent
      .filter(({ levelPercent }) => levelPercent === 60)
      .map(({ deviceId }) => deviceId.startsWith(mine));
    // The first of the slow one was out already; the three of the urgent one come before its other two.
    expect(order.slice(-6)).toEqual([true, false, false, false, true, true]);
  });
});
