// The whole controller but for its meters: a clock moved by hand, a real journal, a real broker, and readings given as
// acquisition would give them.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { type CommandAck, commandAckSchema } from '../src/command-message.ts';
import { Controller } from '../src/controller.ts';
import type { FeederReading } from '../src/feeder.ts';
import { Journal } from '../src/journal/journal.ts';
import { readEvents, readStatus, verifyEvents } from '../src/journal/reader.ts';
import type { Batch } from '../src/journal/records.ts';
import { silentLog } from '../src/log.ts';
import {
  type Ack,
  type Curtailment,
  curtailmentSchema,
  type Event,
  eventSchema,
  parseMessage,
  type Status,
  statusSchema,
} from '../src/messages.ts';
import { settingsSchema } from '../src/settings.ts';
import { mountable, unmount } from './journal/mounts.ts';
import { type HandClock, handClock, whileTimeGoes } from './simulators/hand-clock.ts';
import { MqttBroker } from './simulators/mqtt-broker.ts';

const START_MS = Date.parse('2026-01-15T17:00:00.000Z');
/** Monotonic time then, of the first boot. */
const UPTIME_MS = 1_000_000;
const ROOT = 'headroom/v1/SUB-1';
const LEASE_S = 1800;
const REFRESH_S = 600;
const DELAY_S = 5;
const DAY_MS = 86_400_000;

const scratch = mkdtempSync(join(tmpdir(), 'headroom-controller-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const opened: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

// ---- the site

/** A hand clock whose wall time, boot and synchronisation can be changed apart from its monotonic time. */
interface SiteClock extends HandClock {
  wallOffsetMs: number;
  isSynchronised: boolean;
  bootId: string;
}
function siteClock(startMs = UPTIME_MS, bootId = 'boot-1'): SiteClock {
  const inner = handClock(startMs);
  return {
    ...inner,
    // Within one boot the wall clock goes on beside the monotonic one; another begins at the same wall time.
    wallOffsetMs: START_MS - (bootId === 'boot-1' ? UPTIME_MS : startMs),
    isSynchronised: true,
    bootId,
    wallMs() {
      return inner.monotonicMs() + this.wallOffsetMs;
    },
    synchronised() {
      return this.isSynchronised;
    },
  };
}

interface FeederGiven {
  readonly id: string;
  readonly targetGroup?: false;
}

function settingsOf(broker: MqttBroker, given: Given) {
  const { feeders = [{ id: 'F1' }], curtailment = {}, backup = false, transformer } = given;
  const spare = { id: 'spare', type: 'modbus-tcp', host: '127.0.0.2', profile: 'eastron-sdm630', staleAfterMs: 20_000 };
  return settingsSchema.parse({
    substation: { id: 'SUB-1' },
    uplink: { brokers: [{ url: broker.url }], allowInsecure: true, historyMessagesPerS: 0 },
    sources: [
      { id: 'meter', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630', staleAfterMs: 2_000 },
      ...(backup === true ? [spare] : []),
    ],
    feeders: feeders.map(({ id, targetGroup }) => ({
      id,
      currents: { source: 'meter' },
      ...(backup === true && { backup: { source: 'spare' } }),
      ...(targetGroup !== false && { targetGroup: { id: `TG-${id}`, version: 1 } }),
      ...(transformer !== undefined && { controllableA: { L1: 100, L2: 100, L3: 100 } }),
      settings: [
        {
          name: 'winter',
          ratingA: 400,
          atRisk: { pickupA: 345, dropoutA: 310, delayS: DELAY_S, resetDelayS: 5 },
          curtailment: {
            mode: 'onOff',
            leaseS: LEASE_S,
            refreshS: REFRESH_S,
            responseTimeS: 0,
            ackTimeoutS: 100_000,
            ...curtailment,
          },
          ...given.group,
        },
        ...(given.moreGroups ?? []),
      ],
    })),
    ...(transformer !== undefined && { transformer }),
  });
}

interface Given {
  readonly broker?: MqttBroker;
  readonly folder?: string;
  readonly clock?: SiteClock;
  readonly feeders?: readonly FeederGiven[];
  readonly curtailment?: object;
  /** With a second source for every feeder, `spare`. */
  readonly backup?: boolean;
  /** More of the settings group of every feeder. */
  readonly group?: object;
  /** Behind it, of every feeder. */
  readonly moreGroups?: readonly object[];
  readonly transformer?: object;
  /** Not waited for the link. */
  readonly offline?: boolean;
}

class Site {
  readonly broker: MqttBroker;
  readonly folder: string;
  readonly clock: SiteClock;
  readonly journal: Journal;
  readonly controller: Controller;
  readonly commits: Batch[] = [];
  readonly events: Event[] = [];
  readonly acks: Ack[] = [];
  readonly #feeders: readonly FeederGiven[];
  #closed = false;

  private constructor(broker: MqttBroker, folder: string, clock: SiteClock, given: Given) {
    const { feeders = [{ id: 'F1' }] } = given;
    this.broker = broker;
    this.folder = folder;
    this.clock = clock;
    this.#feeders = feeders;
    this.journal = new Journal(folder);
    const commit = this.journal.commit.bind(this.journal);
    this.journal.commit = (batch, stamp) => {
      this.commits.push(batch);
      return commit(batch, stamp);
    };
    this.controller = new Controller({
      configuration: {
        file: 'test.yaml',
        settings: settingsOf(broker, given),
        registerMaps: new Map(),
        hash: '0123456789abcdef',
      },
      journal: this.journal,
      clock,
      random: () => 0.5,
      log: silentLog,
      observer: { event: (event) => void this.events.push(event), ack: (ack) => void this.acks.push(ack) },
    });
    opened.push(() => this.stop());
  }

  static async start(given: Given = {}): Promise<Site> {
    const broker = given.broker ?? (await startBroker());
    const folder = given.folder ?? mkdtempSync(join(scratch, 'journal-'));
    const before = broker.publishes(`${ROOT}/status`).length;
    const site = new Site(broker, folder, given.clock ?? siteClock(), given);
    if (given.offline !== true) await until(() => broker.publishes(`${ROOT}/status`).length > before);
    return site;
  }

  /** One telegram with this current on L2 of every feeder named, or of all. */
  read(currentA: number | null, ...feederIds: string[]): void {
    const ids = feederIds.length === 0 ? this.#feeders.map(({ id }) => id) : feederIds;
    this.controller.readings(ids.map((feederId) => readingOf(feederId, currentA, this.clock.monotonicMs())));
  }

  /** Time goes on with a reading every second and a turn of the event loop after each. */
  async live(currentA: number, seconds: number, ...feederIds: string[]): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.clock.advance(1_000);
      this.read(currentA, ...feederIds);
      await turn();
    }
  }

  /** An overload until the limit is decided. */
  async overload(currentA = 400, ...feederIds: string[]): Promise<void> {
    this.read(currentA, ...feederIds);
    await this.live(currentA, DELAY_S, ...feederIds);
  }

  said(feederId = 'F1'): Curtailment[] {
    const texts = this.broker.publishes(`${ROOT}/feeder/${feederId}/curtailment`);
    return texts.map(({ text }) => curtailmentSchema.parse(JSON.parse(text)));
  }

  async saidCount(count: number, feederId = 'F1'): Promise<Curtailment[]> {
    await until(() => this.said(feederId).length >= count);
    await settled();
    expect(this.said(feederId)).toHaveLength(count);
    return this.said(feederId);
  }

  saidEvents(): Event[] {
    return this.broker.publishes(/\/event$/).map(({ text }) => eventSchema.parse(JSON.parse(text)));
  }

  statuses(): Status[] {
    return this.broker.publishes(`${ROOT}/status`).map(({ text }) => statusSchema.parse(JSON.parse(text)));
  }

  /** A planned stop. */
  async stop(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await whileTimeGoes(this.clock, this.controller.stop());
    this.journal.close();
  }

  /** As a kill leaves it: the journal as it is, and not a word more from this one. */
  async die(): Promise<void> {
    this.#closed = true;
    const gone = vi.fn();
    this.controller.readings = gone;
    this.broker.cut();
    // Let the program notice nothing: its journal closes under it and its clock stands still for ever.
    await settled();
    this.journal.close();
  }

  async reconnect(check: () => unknown): Promise<void> {
    for (let step = 0; step < 60 && !check(); step++) {
      this.clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await until(check);
  }
}

async function startBroker(): Promise<MqttBroker> {
  const broker = await MqttBroker.start();
  opened.push(() => broker.close());
  return broker;
}

function readingOf(feederId: string, currentA: number | null, atMs: number): FeederReading {
  const at = (amperes: number | null) =>
    amperes === null
      ? ({ currentA: null, quality: 'bad', reason: 'noAnswer' } as const)
      : ({ currentA: amperes, quality: 'good', reason: null } as const);
  const calm = currentA === null ? null : 100;
  return {
    feederId,
    sourceId: 'meter',
    atMs,
    L1: at(calm),
    L2: at(currentA),
    L3: at(calm),
    N: at(calm),
    exporting: [],
  };
}

function until(check: () => unknown): Promise<void> {
  return vi.waitFor(
    () => {
      if (!check()) throw new Error(`not in time: ${check}`);
    },
    { timeout: 4_000, interval: 2 },
  );
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const settled = () => new Promise((resolve) => setTimeout(resolve, 40));

// ---- keep, then say

describe('a limit', () => {
  test('is in the journal, with its state and its event, before the broker has it', async () => {
    const site = await Site.start();
    const found: unknown[] = [];
    // By a connection of its own, as after a power cut at this very moment.
    site.broker.onPublish = ({ topic, text }) => {
      if (!topic.endsWith('/curtailment')) return;
      const { requestId } = JSON.parse(text) as Curtailment;
      const [feeder] = readStatus(site.folder);
      const events = readEvents(site.folder, 10) as Event[];
      const told = events.some((event) => event.type === 'limit' && event.requestId === requestId);
      found.push([feeder?.request, feeder?.state.episode !== null, told]);
    };
    await site.overload();
    const [limit] = await site.saidCount(1);
    expect(found).toEqual([[limit, true, true]]);
    expect(limit).toMatchObject({
      action: 'limit',
      levelPercent: 0,
      phases: ['L2'],
      sequence: START_MS,
      supersedes: null,
      trigger: { element: 'atRisk', currentA: { L1: 100, L2: 400, L3: 100, N: 100 }, pickupA: 345 },
      end: new Date(site.clock.wallMs() + LEASE_S * 1000).toISOString(),
    });
  });

  test('is refreshed, superseding, and released in order, all in one episode', async () => {
    const site = await Site.start();
    await site.overload();
    await site.live(330, REFRESH_S);
    await site.saidCount(2);
    await site.live(200, 6);
    const said = await site.saidCount(3);
    expect(said.map(({ action }) => action)).toEqual(['limit', 'refresh', 'release']);
    expect(new Set(said.map(({ episodeId }) => episodeId)).size).toBe(1);
    expect(said.map(({ supersedes }) => supersedes)).toEqual([null, said[0]?.requestId, said[1]?.requestId]);
    expect(said.map(({ sequence }) => sequence)).toEqual([START_MS, START_MS + 1, START_MS + 2]);
    await site.overload();
    const [, , , again] = await site.saidCount(4);
    expect(again).toMatchObject({ action: 'limit', supersedes: null });
    expect(again?.episodeId).not.toBe(said[0]?.episodeId);
  });

  test('what several feeders decide in one turn is one transaction', async () => {
    const site = await Site.start({ feeders: ['F1', 'F2', 'F3'].map((id) => ({ id })) });
    await site.overload();
    await until(() => site.said('F3').length === 1);
    const deciding = site.commits.filter(({ requests }) => requests.length > 0);
    expect(deciding).toHaveLength(1);
    expect(deciding[0]?.requests.map(({ feederId }) => feederId)).toEqual(['F1', 'F2', 'F3']);
    expect(deciding[0]?.states).toHaveLength(3);
  });

  test('a feeder without a target group only alarms', async () => {
    const site = await Site.start({ feeders: [{ id: 'F1', targetGroup: false }] });
    await site.overload();
    await until(() => site.events.some(({ alarm }) => alarm === 'noTarget'));
    await site.live(400, 10);
    await settled();
    expect(site.said()).toEqual([]);
    expect(site.statuses().at(-1)?.health).toEqual({ state: 'degraded', alarms: ['F1/noTarget'] });
  });

  test('every message of an evening with trouble validates, and the events have no gap', async () => {
    const site = await Site.start({ feeders: [{ id: 'F1' }, { id: 'F2' }] });
    await site.overload();
    site.controller.sourceChanged('meter', false, 'no answer within 500 ms');
    site.clock.advance(5_000);
    site.controller.sourceChanged('meter', true, 'answers');
    await site.live(200, 15);
    await site.overload(500, 'F2');
    await site.live(200, 10);
    await site.stop();
    const all = site.broker.publishes();
    for (const { topic, text } of all) {
      const schema = topic.endsWith('status')
        ? statusSchema
        : topic.endsWith('event')
          ? eventSchema
          : curtailmentSchema;
      expect(parseMessage<typeof schema>(schema, Buffer.from(text)), topic).toBeTypeOf('object');
    }
    const numbers = site.saidEvents().map(({ sequence }) => sequence);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(new Set(site.saidEvents().map(({ type }) => type))).toEqual(
      new Set(['restart', 'pickup', 'operate', 'limit', 'source', 'blind', 'alarmEnd', 'dropout', 'release']),
    );
    expect(verifyEvents(site.folder).broken).toBeNull();
  });
});

describe('status', () => {
  test('is degraded while a feeder is blind, and well again when it sees', async () => {
    const site = await Site.start({ feeders: [{ id: 'F1' }, { id: 'F2' }] });
    site.read(200);
    await turn();
    site.clock.advance(1_500);
    site.read(200, 'F2');
    site.clock.advance(1_000);
    await until(() => site.statuses().at(-1)?.health?.state === 'degraded');
    expect(site.statuses().at(-1)).toMatchObject({
      state: 'online',
      reason: 'changed',
      health: { alarms: ['F1/blind'] },
    });
    site.read(200);
    await until(() => site.statuses().at(-1)?.health?.state === 'ok');
    expect(site.statuses().map(({ health }) => health?.state)).toEqual(['ok', 'degraded', 'ok']);
    expect(site.saidEvents().flatMap(({ type, feederId }) => (type === 'restart' ? [] : [[type, feederId]]))).toEqual([
      ['blind', 'F1'],
      ['alarmEnd', 'F1'],
    ]);
  });

  test('names a source that does not answer', async () => {
    const site = await Site.start();
    site.controller.sourceChanged('meter', false, 'refused');
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('meter/silent'));
    site.controller.sourceChanged('meter', true, 'answers');
    await until(() => site.statuses().at(-1)?.health?.state === 'ok');
    expect(
      site.events.flatMap(({ type, sourceId, reason }) => (type === 'source' ? [[sourceId, reason]] : [])),
    ).toEqual([
      ['meter', 'does not answer: refused'],
      ['meter', 'answers'],
    ]);
  });

  test('names what is odd about a measurement, until the last source that shows it no longer does', async () => {
    const site = await Site.start({ backup: true });
    const change = (sourceId: string, standing: boolean) =>
      site.controller.measurementAlarm({
        feederId: 'F1',
        sourceId,
        phase: 'L2',
        alarm: 'phasesApart',
        standing,
        reason: 'L2 at 0 A',
      });
    change('meter', true);
    change('spare', true);
    change('meter', false);
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('F1/phasesApart L2'));
    expect(site.statuses().at(-1)?.health?.alarms).toEqual(['F1/phasesApart L2']);
    change('spare', false);
    await until(() => site.statuses().at(-1)?.health?.state === 'ok');
    const told = site.events.filter(({ alarm }) => alarm === 'phasesApart');
    expect(told.map(({ type, phase, sourceId }) => [type, phase, sourceId])).toEqual([
      ['alarm', 'L2', 'meter'],
      ['alarm', 'L2', 'spare'],
      ['alarmEnd', 'L2', 'meter'],
      ['alarmEnd', 'L2', 'spare'],
    ]);
  });

  test('says that a feeder is on its backup, and its staleness limit is that of the source in use', async () => {
    const site = await Site.start({ backup: true });
    site.read(200);
    site.controller.changedOver('F1', 'spare', 'to the backup');
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('F1/onBackup'));
    // The meter's limit is 2 s, that of the backup 20 s.
    site.clock.advance(19_000);
    await settled();
    expect(site.controller.stateOf('F1')).toBe('normal');
    site.controller.changedOver('F1', 'meter', 'back');
    site.clock.advance(1_500);
    await until(() => site.controller.stateOf('F1') === 'blind');
    await until(() => site.events.filter(({ type }) => type === 'source').length > 1);
    expect(
      site.events.flatMap(({ type, sourceId, reason }) => (type === 'source' ? [[sourceId, reason]] : [])),
    ).toEqual([
      ['spare', 'to the backup'],
      ['meter', 'back'],
    ]);
  });

  test('a change of source keeps the delay that is running', async () => {
    const site = await Site.start({ backup: true });
    site.read(400);
    await site.live(400, DELAY_S - 1);
    site.controller.changedOver('F1', 'spare', 'to the backup');
    await site.live(400, 1);
    const [limit] = await site.saidCount(1);
    expect(limit?.action).toBe('limit');
  });

  test('a source that comes and goes is told four times, then once for ten minutes, and at a stop for the rest', async () => {
    const site = await Site.start();
    const flap = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        site.controller.sourceChanged('meter', second % 2 === 1, `answer ${second}`);
        await site.live(100, 1);
      }
    };
    const told = () => site.events.filter(({ type }) => type === 'source');
    await flap(30);
    expect(told().map(({ count }) => count)).toEqual([undefined, undefined, undefined, undefined]);
    site.clock.advance(10 * 60_000);
    await until(() => told().length > 4);
    expect(told().slice(4)).toMatchObject([{ count: 26, reason: 'answer 29', sourceId: 'meter' }]);
    await flap(2);
    await site.stop();
    expect(told().slice(5)).toMatchObject([{ count: 2 }]);
    expect(verifyEvents(site.folder).broken).toBeNull();
  });

  test('a planned stop says offline, and leaves the limit to its lease', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    await site.stop();
    expect(site.said()).toHaveLength(1);
    expect(site.statuses().at(-1)).toMatchObject({ state: 'offline', reason: 'stopped' });
  });
});

// ---- acknowledgements

describe('acknowledgements', () => {
  const ackTopic = `${ROOT}/feeder/F1/curtailment/ack`;
  const ackOf = ({ requestId, sequence }: Curtailment, given: Partial<Ack> = {}): Ack => ({
    schema: 'headroom/v1/curtailment/ack',
    requestId,
    sequence,
    status: 'accepted',
    at: '2026-01-15T17:00:10.000Z',
    ...given,
  });

  test('are in the journal before the broker is told that they were taken', async () => {
    const site = await Site.start();
    await site.overload();
    const [limit] = await site.saidCount(1);
    if (limit === undefined) return expect.fail();
    const order: number[] = [];
    const keepAck = site.journal.keepAck.bind(site.journal);
    site.journal.keepAck = (ack, wallMs) => {
      order.push(site.broker.pubacks.length);
      return keepAck(ack, wallMs);
    };
    site.broker.publish(ackTopic, ackOf(limit));
    await until(() => site.broker.pubacks.length === 1);
    expect(order).toEqual([0]);
    expect(site.journal.latestRequests()[0]?.ackStatus).toBe('accepted');
  });

  test('a rejection is one alarm, however often it comes', async () => {
    const site = await Site.start();
    await site.overload();
    const [limit] = await site.saidCount(1);
    if (limit === undefined) return expect.fail();
    for (let times = 0; times < 3; times++)
      site.broker.publish(ackTopic, ackOf(limit, { status: 'rejected', reason: 'no' }));
    await until(() => site.broker.pubacks.length === 3);
    await settled();
    expect(site.saidEvents().flatMap(({ alarm, reason }) => (alarm === undefined ? [] : [[alarm, reason]]))).toEqual([
      ['rejected', 'no'],
    ]);
    expect(site.said()).toHaveLength(1);
  });

  test('a rejection stands in status until the next request is taken on, whatever is said of the rejected one', async () => {
    const site = await Site.start();
    await site.overload();
    const [limit] = await site.saidCount(1);
    if (limit === undefined) return expect.fail();
    site.broker.publish(ackTopic, ackOf(limit, { status: 'rejected' }));
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('F1/rejected'));
    site.broker.publish(ackTopic, ackOf(limit, { status: 'applied' }));
    await until(() => site.events.at(-1)?.alarm === 'contradictoryAck');
    expect(site.statuses().at(-1)?.health?.alarms).toContain('F1/rejected');
    await site.live(200, 6);
    const [, release] = await site.saidCount(2);
    if (release === undefined) return expect.fail();
    site.broker.publish(ackTopic, ackOf(release, { status: 'accepted' }));
    await until(() => site.statuses().at(-1)?.health?.state === 'ok');
    const ended = site.events.at(-1);
    expect(ended).toMatchObject({ type: 'alarmEnd', alarm: 'rejected', requestId: release.requestId });
  });

  test('heard before a restart are known after it: the alarm stands, and what contradicts is told', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    if (limit === undefined) return expect.fail();
    for (const status of ['accepted', 'rejected'] as const) first.broker.publish(ackTopic, ackOf(limit, { status }));
    await until(() => first.acks.length === 2);
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 1_000);
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    expect(second.statuses().at(-1)?.health?.alarms).toContain('F1/rejected');
    second.broker.publish(ackTopic, ackOf(limit, { status: 'applied' }));
    await until(() => second.events.some(({ alarm }) => alarm === 'contradictoryAck'));
    expect(second.events.filter(({ alarm }) => alarm === 'rejected')).toEqual([]);
  });

  test('none, or none that it was done: told once, and standing after a restart without being told again', async () => {
    const curtailment = { ackTimeoutS: 20, responseTimeS: 100, leaseS: 7200, refreshS: 3600, maxEpisodeS: 14_400 };
    const given = { feeders: [{ id: 'F1' }, { id: 'F2' }], curtailment };
    const first = await Site.start(given);
    await first.overload();
    await until(() => first.said('F1').length === 1 && first.said('F2').length === 1);
    const [limit] = first.said('F1');
    if (limit === undefined) return expect.fail();
    first.broker.publish(ackTopic, ackOf(limit, { status: 'accepted' }));
    await until(() => first.acks.length === 1);
    const told = () => [first.events, second?.events ?? []].flat().filter(({ alarm }) => alarm !== undefined);
    let second: Site | null = null;
    const of = (site: Site) =>
      site
        .statuses()
        .at(-1)
        ?.health?.alarms.filter((name) => /\/(noAck|notApplied)$/.test(name));
    // A turn of the broker after each repeat, which counts from when it was taken.
    for (let repeat = 1; repeat <= 4; repeat++) {
      await first.live(330, 30);
      await until(() => first.said('F2').length >= Math.min(4, repeat + 1));
    }
    await until(() => of(first)?.length === 2);
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 1_000);
    second = await Site.start({ ...given, broker: first.broker, folder: first.folder, clock });
    expect(of(second)?.toSorted()).toEqual(['F1/notApplied', 'F2/noAck']);
    for (let repeat = 1; repeat <= 4; repeat++) {
      await second.live(330, 30);
      await settled();
    }
    expect(told().map(({ type, feederId, alarm }) => [type, feederId, alarm])).toEqual(
      expect.arrayContaining([
        ['alarm', 'F1', 'notApplied'],
        ['alarm', 'F2', 'noAck'],
      ]),
    );
    expect(told()).toHaveLength(2);
    second.broker.publish(ackTopic, ackOf(limit, { status: 'applied' }));
    await until(() => second?.events.some(({ type, feederId }) => type === 'alarmEnd' && feederId === 'F1'));
  });

  test('heard, and not told of before the program ended: told at the start', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    if (limit === undefined) return expect.fail();
    await first.die();
    // As a kill between the acknowledgement and the alarm leaves it.
    const journal = new Journal(first.folder);
    const { requestId, sequence } = limit;
    const body = JSON.stringify(ackOf(limit, { status: 'rejected' }));
    journal.keepAck({ feederId: 'F1', requestId, sequence, status: 'rejected', body }, START_MS);
    journal.close();
    const clock = siteClock(first.clock.monotonicMs() + 1_000);
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    await until(() => second.events.some(({ type, alarm }) => type === 'alarm' && alarm === 'rejected'));
    expect(second.statuses().at(-1)?.health?.alarms).toContain('F1/rejected');
  });

  test('one of an unknown request, and one on the wrong feeder, change nothing', async () => {
    const site = await Site.start({ feeders: [{ id: 'F1' }, { id: 'F2' }] });
    await site.overload();
    await until(() => site.said('F2').length === 1);
    const [limit] = site.said('F2');
    if (limit === undefined) return expect.fail();
    site.broker.publish(ackTopic, ackOf(limit, { status: 'rejected' }));
    site.broker.publish(ackTopic, ackOf(limit, { requestId: limit.episodeId, status: 'failed' }));
    await until(() => site.broker.pubacks.length === 2);
    await settled();
    expect(site.events.filter(({ type }) => type === 'alarm')).toEqual([]);
    expect(site.journal.latestRequests().map(({ ackStatus }) => ackStatus)).toEqual([null, null]);
  });

  test('none: said three times more with the same id, then the alarm noAck', async () => {
    const site = await Site.start({ curtailment: { ackTimeoutS: 20 } });
    await site.overload();
    await site.saidCount(1);
    for (let count = 2; count <= 4; count++) {
      await site.live(330, 21);
      await site.saidCount(count);
    }
    await site.live(330, 21);
    await until(() => site.events.some(({ alarm }) => alarm === 'noAck'));
    expect(new Set(site.said().map(({ requestId }) => requestId)).size).toBe(1);
  });
});

// ---- without a broker

describe('while the broker is away', () => {
  test('refreshes supersede the unsent limit, which comes as a historical event with its id', async () => {
    const site = await Site.start();
    await site.broker.stop();
    await settled();
    await site.overload();
    await site.live(330, REFRESH_S + 1);
    expect(site.said()).toEqual([]);
    await site.broker.resume();
    await site.reconnect(() => site.said().length > 0);
    const [newest] = await site.saidCount(1);
    expect(newest).toMatchObject({ action: 'limit', supersedes: null, sequence: START_MS + 1 });
    await until(() => site.saidEvents().some(({ historical }) => historical));
    const told = site.saidEvents().filter(({ historical }) => historical);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ type: 'limit', request: { sequence: START_MS, action: 'limit' } });
    expect(told[0]?.requestId).toBe(told[0]?.request?.requestId);
    // Requests first, then the backlog.
    const order = site.broker.publishes().map(({ topic }) => topic.split('/').at(-1));
    expect(order.indexOf('curtailment')).toBe(order.lastIndexOf('status') + 1);
    expect(order.slice(order.indexOf('curtailment') + 1)).not.toContain('status');
    expect(site.journal.latestRequests()[0]).toMatchObject({ sequence: START_MS + 1, offered: true, withheld: null });
  });

  test('the release of a limit that never went out is not published, and both are told as historical', async () => {
    const site = await Site.start();
    await site.broker.stop();
    await settled();
    await site.overload();
    await site.live(200, 6);
    await site.broker.resume();
    await site.reconnect(() => site.saidEvents().some(({ type }) => type === 'release'));
    await settled();
    expect(site.said()).toEqual([]);
    const told = site.saidEvents().filter(({ historical }) => historical);
    expect(told.map(({ request }) => request?.action).sort()).toEqual(['limit', 'release']);
    expect(new Set(told.map(({ requestId }) => requestId)).size).toBe(2);
    expect(site.journal.latestRequests()[0]?.withheld).toBe('superseded');
  });

  test('two whole episodes unsent: each request of the first is told once', async () => {
    const site = await Site.start();
    await site.broker.stop();
    await settled();
    await site.overload();
    await site.live(200, 6);
    await site.overload();
    await site.broker.resume();
    await site.reconnect(() => site.said().length === 1);
    await until(() => site.saidEvents().filter(({ type }) => type === 'limit').length === 3);
    expect(site.said()[0]).toMatchObject({ action: 'limit', sequence: START_MS + 2 });
    const told = site.saidEvents().filter(({ historical }) => historical);
    expect(told.map(({ request }) => request?.sequence).sort()).toEqual([START_MS, START_MS + 1]);
  });

  test('the release of a limit that was heard is published when the broker is back', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    await site.broker.stop();
    await settled();
    await site.live(200, 6);
    await site.broker.resume();
    await site.reconnect(() => site.said().length === 2);
    expect(site.said().map(({ action }) => action)).toEqual(['limit', 'release']);
  });

  test('a release that a new episode overtook before it was sent is told as historical', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    await site.broker.stop();
    await settled();
    await site.live(200, 6);
    await site.overload();
    await site.broker.resume();
    await site.reconnect(() => site.said().length === 2);
    expect(site.said().map(({ action }) => action)).toEqual(['limit', 'limit']);
    await until(() => site.saidEvents().some(({ historical }) => historical));
    expect(site.saidEvents().flatMap(({ historical, request }) => (historical ? [request?.action] : []))).toEqual([
      'release',
    ]);
  });

  test('a limit that lapsed unsent is told once, as expired', async () => {
    const site = await Site.start();
    await site.broker.stop();
    await settled();
    await site.overload();
    // The meter falls silent: nothing is refreshed, and the limit lapses.
    for (let minute = 0; minute <= LEASE_S / 60; minute++) {
      site.clock.advance(60_000);
      await turn();
    }
    await site.broker.resume();
    // Nothing urgent waits any more, so the broker is looked for only once a minute.
    site.clock.advance(60_000);
    await site.reconnect(() => site.saidEvents().some(({ historical }) => historical));
    await site.overload();
    await site.saidCount(1);
    const told = site.saidEvents().filter(({ historical }) => historical);
    expect(told.map(({ reason }) => reason)).toEqual(['expired before it could be sent']);
    expect(site.said()[0]?.sequence).toBe(START_MS + 1);
  });
});

// ---- restart

describe('a restart', () => {
  test('within the boot goes on with the episode, and says the same request again', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 30_000);
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    await until(() => second.said().length === 2);
    expect(second.said()[1]).toEqual(limit);
    await second.live(200, 7);
    const said = await second.saidCount(3);
    expect(said[2]).toMatchObject({
      action: 'release',
      episodeId: limit?.episodeId,
      supersedes: limit?.requestId,
      // A restart counts on from its clock, above what may have been said and not kept.
      sequence: START_MS + 35_000,
    });
    expect(second.saidEvents().filter(({ type }) => type === 'restart')).toHaveLength(2);
  });

  test('with a refresh that never went out still releases the limit that did', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    await first.broker.stop();
    await settled();
    await first.live(330, REFRESH_S + 1);
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 1_000);
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock, offline: true });
    await second.live(200, 7);
    await first.broker.resume();
    await second.reconnect(() => second.said().length === 2);
    expect(second.said()[1]).toMatchObject({ action: 'release', supersedes: limit?.requestId });
  });

  test('after an unknown time away takes the limit as lapsed, and says so', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    await first.die();
    const clock = siteClock(5_000, 'boot-2');
    clock.isSynchronised = false;
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    await until(() => second.saidEvents().filter(({ type }) => type === 'restart').length === 3);
    expect(second.saidEvents().at(-1)).toMatchObject({ feederId: 'F1', reason: expect.stringContaining('lapsed') });
    await settled();
    expect(second.said()).toHaveLength(1);
    await second.overload();
    const [, again] = await second.saidCount(2);
    expect(again).toMatchObject({ action: 'limit', supersedes: null, sequence: (limit?.sequence ?? 0) + 1 });
    expect(again?.episodeId).not.toBe(limit?.episodeId);
  });

  test('after an unknown time away tells of a limit that never went out', async () => {
    const first = await Site.start();
    await first.broker.stop();
    await settled();
    await first.overload();
    await first.die();
    const clock = siteClock(5_000, 'boot-2');
    clock.isSynchronised = false;
    await first.broker.resume();
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    await until(() => second.saidEvents().some(({ historical }) => historical));
    await settled();
    expect(second.said()).toEqual([]);
    expect(second.saidEvents().filter(({ historical }) => historical)).toMatchObject([
      { type: 'limit', reason: 'expired before it could be sent', request: { sequence: START_MS } },
    ]);
  });

  test('over a boot with a right clock goes on as within one', async () => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    await first.die();
    const clock = siteClock(5_000, 'boot-2');
    clock.wallOffsetMs = first.clock.wallMs() + 60_000 - 5_000;
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    await until(() => second.said().length === 2);
    expect(second.said()[1]?.requestId).toBe(limit?.requestId);
    await second.live(200, 7);
    expect((await second.saidCount(3))[2]).toMatchObject({ action: 'release', end: limit?.end });
  });

  test('with a new journal counts on above what this substation left retained', async () => {
    const first = await Site.start();
    await first.overload();
    await first.saidCount(1);
    await first.die();
    // The clock has been set back since, so the clock alone would count too low.
    const clock = siteClock();
    clock.wallOffsetMs -= 86_400_000;
    const second = await Site.start({ broker: first.broker, clock });
    // The retained status of before, and the retained request.
    await until(() => second.broker.pubacks.length === 2);
    await second.overload();
    expect((await second.saidCount(2))[1]?.sequence).toBe(START_MS + 1);
  });

  test('events that were not confirmed are said again with their numbers, and none is lost', async () => {
    const first = await Site.start();
    await first.overload();
    await first.saidCount(1);
    await until(() => first.saidEvents().length >= 4);
    await first.die();
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock: siteClock(2_000_000) });
    await until(() => second.saidEvents().filter(({ type }) => type === 'restart').length >= 2);
    await settled();
    const numbers = new Set(second.saidEvents().map(({ sequence }) => sequence));
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: numbers.size }, (_, index) => index + 1));
    const texts = new Map<number, string>();
    for (const event of second.saidEvents()) {
      const text = JSON.stringify(event);
      expect(texts.get(event.sequence) ?? text).toBe(text);
      texts.set(event.sequence, text);
    }
  });
});

describe('a step of the wall clock', () => {
  test.each([
    ['forward', 3_600_000],
    ['back', -3_600_000],
  ])('%s says the limit again with an end that is right on the new clock', async (_name, stepMs) => {
    const site = await Site.start();
    await site.overload();
    const [limit] = await site.saidCount(1);
    site.clock.wallOffsetMs += stepMs;
    await site.live(330, 1);
    const [, again] = await site.saidCount(2);
    expect(Date.parse(again?.end ?? '') - Date.parse(limit?.end ?? '')).toBe(stepMs);
    expect(again).toMatchObject({ action: 'refresh', supersedes: limit?.requestId });
    expect(site.events.filter(({ alarm }) => alarm === 'clockStep')).toHaveLength(1);
    await site.live(330, 5);
    await site.saidCount(2);
  });

  test.each([
    ['forward', 3_600_000],
    ['back', -3_600_000],
  ])('%s while the program is away: the limit that stands is said again with a right end', async (_name, stepMs) => {
    const first = await Site.start();
    await first.overload();
    const [limit] = await first.saidCount(1);
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 2_000);
    clock.wallOffsetMs += stepMs;
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock });
    const [, again] = await second.saidCount(2);
    expect(Date.parse(again?.end ?? '') - Date.parse(limit?.end ?? '')).toBe(stepMs);
    // Nobody has acknowledged the first, so what takes its place is a limit too.
    expect(again).toMatchObject({ action: 'limit', supersedes: limit?.requestId });
    expect(second.events.filter(({ alarm }) => alarm === 'clockStep')).toHaveLength(1);
  });

  test.each([
    ['back by a day', -86_400_000],
    ['forward by a year', 365 * 86_400_000],
  ])('%s in an episode: limits keep their length, delays and events their order', async (_name, stepMs) => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    site.clock.wallOffsetMs += stepMs;
    await site.live(330, 1);
    const [, again] = await site.saidCount(2);
    const leftMs = Date.parse(again?.end ?? '') - site.clock.wallMs();
    expect(leftMs).toBeGreaterThan((LEASE_S - 3) * 1000);
    expect(leftMs).toBeLessThanOrEqual(LEASE_S * 1000);
    await site.live(330, REFRESH_S + 1);
    await site.saidCount(3);
    await site.live(200, 6);
    expect((await site.saidCount(4)).map(({ action }) => action)).toEqual(['limit', 'refresh', 'refresh', 'release']);
    const sequences = (await site.saidCount(4)).map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(site.events.filter(({ alarm }) => alarm === 'clockStep')).toHaveLength(1);
    expect(verifyEvents(site.folder).broken).toBeNull();
  });

  test('from 1970, where there is no clock at the start, to the present: all the same', async () => {
    const clock = siteClock();
    clock.wallOffsetMs = 60_000 - clock.monotonicMs();
    clock.isSynchronised = false;
    const site = await Site.start({ clock });
    await site.overload();
    const [limit] = await site.saidCount(1);
    expect(limit).toMatchObject({ action: 'limit', clock: { synchronised: false }, durationS: LEASE_S });
    expect(limit?.issuedAt.startsWith('1970-01-01T00:01')).toBe(true);
    clock.wallOffsetMs = START_MS - clock.monotonicMs();
    clock.isSynchronised = true;
    await site.live(330, 1);
    const [, again] = await site.saidCount(2);
    expect(again).toMatchObject({ action: 'refresh', clock: { synchronised: true } });
    expect(again?.sequence).toBeGreaterThan(limit?.sequence ?? Number.POSITIVE_INFINITY);
    expect(Date.parse(again?.end ?? '')).toBeGreaterThan(START_MS);
    expect(site.events.find(({ alarm }) => alarm === 'clockStep')).toBeDefined();
  });

  /** A limit that lapses for want of readings, on a clock that is a day ahead. */
  async function lapsedAhead(): Promise<{ site: Site; limit: Curtailment }> {
    const clock = siteClock();
    clock.wallOffsetMs += DAY_MS;
    const site = await Site.start({ clock });
    await site.overload();
    const [limit] = await site.saidCount(1);
    if (limit === undefined) return expect.fail();
    for (let minute = 0; minute <= LEASE_S / 60; minute++) {
      clock.advance(60_000);
      await turn();
    }
    await until(() => site.events.some(({ alarm }) => alarm === 'lapsed'));
    await site.saidCount(1);
    return { site, limit };
  }
  const released = ({ requestId, episodeId, end }: Curtailment, wallMs: number) => ({
    action: 'release',
    supersedes: requestId,
    episodeId,
    levelPercent: 100,
    durationS: Math.round((Date.parse(end) - wallMs) / 1000),
    end,
    validUntil: end,
  });

  test('back, after a limit has lapsed: what is retained says release, and nothing more is said', async () => {
    const { site, limit } = await lapsedAhead();
    site.clock.wallOffsetMs -= DAY_MS;
    await site.live(200, 1);
    const [, release] = await site.saidCount(2);
    expect(release).toMatchObject(released(limit, site.clock.wallMs()));
    expect(Object.keys(release ?? {})).toEqual(Object.keys(limit));
    expect(site.events.find(({ type }) => type === 'release')?.requestId).toBe(release?.requestId);
    await site.live(200, 5);
    site.broker.cut();
    await settled();
    site.clock.advance(60_000);
    await site.reconnect(() => site.said().length === 3);
    expect((await site.saidCount(3))[2]).toEqual(release);
    await site.overload();
    expect((await site.saidCount(4))[3]).toMatchObject({ action: 'limit', supersedes: null });
  });

  test('back, after a limit has lapsed, while the program is away: released at the start', async () => {
    const { site, limit } = await lapsedAhead();
    await site.die();
    const clock = siteClock(site.clock.monotonicMs() + 30_000);
    const later = await Site.start({ broker: site.broker, folder: site.folder, clock });
    await later.live(200, 1);
    const [, release] = await later.saidCount(2);
    expect(release).toMatchObject({ action: 'release', supersedes: limit.requestId });
    expect(Date.parse(release?.issuedAt ?? '')).toBeLessThanOrEqual(clock.wallMs());
  });

  test('back, with a limit of which nobody knows whether it has lapsed: released once it is over for certain', async () => {
    const clock = siteClock();
    clock.wallOffsetMs += DAY_MS;
    const first = await Site.start({ clock });
    await first.overload();
    await first.saidCount(1);
    await first.die();
    const unsure = siteClock(5_000, 'boot-2');
    unsure.isSynchronised = false;
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock: unsure });
    await second.live(200, LEASE_S - 2);
    await second.saidCount(1);
    await second.live(200, 4);
    expect((await second.saidCount(2))[1]).toMatchObject({ action: 'release' });
  });

  test('of less than two seconds changes nothing', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    site.clock.wallOffsetMs += 1_900;
    await site.live(330, 3);
    await site.saidCount(1);
    expect(site.events.filter(({ type }) => type === 'alarm')).toEqual([]);
  });
});

// ---- storage

describe('storage without room', () => {
  /** From here on the file may not grow; the journal's own connection is the only one that can be told so. */
  function full(site: Site): { room(): void } {
    const { commit, keepAck, offer, setEventsSentTo, tidy } = site.journal;
    const none = () => {
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    };
    Object.assign(site.journal, { commit: none, keepAck: none, offer: none, setEventsSentTo: none, tidy: none });
    return { room: () => void Object.assign(site.journal, { commit, keepAck, offer, setEventsSentTo, tidy }) };
  }

  test('control goes on, the limit is said and its ack is taken, and status says what is wrong', async () => {
    const site = await Site.start();
    full(site);
    await site.overload();
    const [limit] = await site.saidCount(1);
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('journal/undurable'));
    site.broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, {
      schema: 'headroom/v1/curtailment/ack',
      requestId: limit?.requestId,
      sequence: limit?.sequence,
      status: 'accepted',
      at: '2026-01-15T17:00:10.000Z',
    });
    await until(() => site.broker.pubacks.length === 1);
    await site.live(330, 40);
    await site.live(200, 6);
    expect((await site.saidCount(2)).map(({ action }) => action)).toEqual(['limit', 'release']);
  });

  test('with room again, what was decided meanwhile is kept, and the events come in order', async () => {
    const site = await Site.start();
    const storage = full(site);
    await site.overload();
    const [limit] = await site.saidCount(1);
    storage.room();
    await site.live(200, 6);
    await site.saidCount(2);
    await until(() => site.saidEvents().some(({ type }) => type === 'release'));
    const alarms = site.saidEvents().filter(({ alarm }) => alarm === 'undurable');
    expect(alarms.map(({ type }) => type)).toEqual(['alarm', 'alarmEnd']);
    const others = site.saidEvents().filter(({ alarm }) => alarm !== 'undurable');
    expect(others.map(({ type }) => type)).toEqual(['restart', 'pickup', 'operate', 'limit', 'dropout', 'release']);
    expect(others[3]?.requestId).toBe(limit?.requestId);
    expect(site.journal.lastSequence()).toBe(START_MS + 1);
    await until(() => site.statuses().at(-1)?.health?.state === 'ok');
    expect(verifyEvents(site.folder).broken).toBeNull();
  });

  test('the acknowledgements that memory did not hold are counted once there is room, in one event', async () => {
    const site = await Site.start();
    const storage = full(site);
    await site.overload();
    const [limit] = await site.saidCount(1);
    for (let n = 1; n <= 1_002; n++)
      site.broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, {
        schema: 'headroom/v1/curtailment/ack',
        requestId: limit?.requestId,
        sequence: limit?.sequence,
        status: 'partial',
        devices: { targeted: 2_000, acknowledged: n, failed: 0 },
        at: '2026-01-15T17:00:10.000Z',
      });
    await until(() => site.broker.pubacks.length === 1_002);
    expect(site.events.filter(({ type }) => type === 'gap')).toEqual([]);
    storage.room();
    await site.live(330, 3);
    await until(() => site.saidEvents().some(({ type }) => type === 'gap'));
    await site.live(330, 3);
    expect(site.saidEvents().filter(({ type }) => type === 'gap')).toMatchObject([
      { feederId: null, count: 2, reason: expect.stringMatching(/the oldest acknowledgements of that time/) },
    ]);
    expect(site.journal.acksOf(limit?.requestId ?? '')).toHaveLength(1_000);
    expect(verifyEvents(site.folder).broken).toBeNull();
  });
});

// ---- the transformer

describe('a transformer', () => {
  const transformer = {
    ratingKva: 500,
    voltageV: 433,
    feeders: ['F1', 'F2'],
    atRisk: { pickupA: 600, dropoutA: 540, delayS: DELAY_S, resetDelayS: 5 },
    thermal: { timeConstantMin: 60, leadTimeMin: 0 },
  };
  const feeders = [{ id: 'F1' }, { id: 'F2' }];
  const given = { feeders, transformer, curtailment: { mode: 'proportional', releaseStepPercent: 100 } };

  test('that is over while its feeders are not asks each of them once, in one transaction, and says so', async () => {
    const site = await Site.start(given);
    await site.overload(310);
    const [one] = await site.saidCount(1, 'F1');
    const [two] = await site.saidCount(1, 'F2');
    expect(one?.trigger).toMatchObject({ element: 'transformer', phase: 'L2', pickupA: 600, currentA: { L2: 310 } });
    expect([one?.levelPercent, two?.levelPercent]).toEqual([60, 60]);
    const batch = site.commits.find(({ requests }) => requests.length > 0);
    expect(batch?.requests).toHaveLength(2);
    expect(batch?.states.map(({ feederId }) => feederId).sort()).toEqual(['F1', 'F2', 'transformer']);
    const told = site.saidEvents().filter(({ element }) => element === 'transformer');
    expect(told.map(({ feederId, type }) => [feederId, type])).toEqual([
      [null, 'pickup'],
      [null, 'operate'],
      ['F1', 'limit'],
      ['F2', 'limit'],
    ]);
    expect(told[0]).toMatchObject({ phase: 'L2', currentA: 620, reason: 'atRisk: at or above pickupA 600' });
    expect(told[2]?.reason).toBe('transformer atRisk at 620.0 A, pickup 600.0 A, share 40.0 A on L2');
    await until(() => site.statuses().at(-1)?.transformer?.state === 'over');
    await site.live(240, 6);
    expect((await site.saidCount(2, 'F1')).at(-1)?.action).toBe('release');
    await site.saidCount(2, 'F2');
    await until(() => site.statuses().at(-1)?.transformer?.state === 'normal');
  });

  test('goes on after a kill: its element stands, its heat is kept, and nothing is asked twice', async () => {
    const first = await Site.start(given);
    await first.overload(310);
    await first.saidCount(1, 'F1');
    await first.die();
    const clock = siteClock(first.clock.monotonicMs() + 1_000);
    const second = await Site.start({ broker: first.broker, folder: first.folder, clock, ...given });
    await until(() => second.said('F1').length === 2);
    await second.live(310, 3);
    const said = await second.saidCount(2, 'F1');
    expect(said[1]?.requestId).toBe(said[0]?.requestId);
    await second.live(240, 6);
    expect((await second.saidCount(3, 'F1')).at(-1)?.action).toBe('release');
    const kept = second.journal.states().find(({ feederId }) => feederId === 'transformer')?.state;
    expect(kept).toMatchObject({ L2: { thermal: { known: 'yes' } } });
  });

  test('with a meter of its own goes by that', async () => {
    const metered = { ...transformer, currents: { source: 'meter' } };
    const site = await Site.start({ ...given, transformer: metered });
    for (let second = 0; second <= DELAY_S; second++) {
      const atMs = site.clock.monotonicMs();
      site.controller.readings([readingOf('F1', 310, atMs), readingOf('F2', 310, atMs)]);
      site.controller.readings([readingOf('transformer', second < 2 ? 500 : 640, atMs)]);
      site.clock.advance(1_000);
      await turn();
    }
    await site.saidCount(0, 'F1');
    site.clock.advance(1_000);
    await site.saidCount(1, 'F1');
  });
});

// ---- caps

describe('one box can only do so much harm: with a control that knows no caps', () => {
  /** Takes the caps out of control, so that only those between control and what is said are left. */
  async function uncapped(given: Given): Promise<Site> {
    const site = await Site.start(given);
    for (const feeder of site.controller.figures().feeders) {
      const none = { requestsPerHour: 0, operationsPerDay: 0, deepestLevelPercent: 0, longestLeaseS: 1e6 };
      feeder.control = { ...feeder.control, caps: { ...feeder.control.caps, ...none } };
    }
    return site;
  }
  const forbidden = (site: Site) => site.events.filter(({ alarm }) => alarm === 'harmCap').map(({ reason }) => reason);

  test('requests in an hour are counted, told of and not said, but for the release', async () => {
    const curtailment = { leaseS: 60, refreshS: 5, endSpreadS: 0 };
    const site = await uncapped({ curtailment, group: { caps: { requestsPerHour: 3 } } });
    await site.overload();
    await site.live(330, 20);
    await site.saidCount(3);
    expect(forbidden(site)[0]).toBe('a refresh was not said: requestsPerHour 3');
    await site.live(200, 6);
    expect((await site.saidCount(4)).map(({ action }) => action)).toEqual(['limit', 'refresh', 'refresh', 'release']);
    expect(site.journal.latestRequests()).toHaveLength(1);
  });

  test('a level is as deep, and a lease as long, as the caps let it be', async () => {
    const caps = { deepestLevelPercent: 30, longestLeaseS: 700 };
    const site = await uncapped({ group: { caps }, curtailment: { leaseS: 1800, refreshS: 600, endSpreadS: 0 } });
    await site.overload();
    const [limit] = await site.saidCount(1);
    expect(limit).toMatchObject({ levelPercent: 30, durationS: 700 });
    expect(forbidden(site)).toEqual([]);
  });

  test('new limits in a day are counted, told of and not said', async () => {
    const site = await uncapped({ group: { caps: { operationsPerDay: 1 } } });
    await site.overload();
    await site.live(200, 6);
    await site.saidCount(2);
    await site.overload();
    await site.saidCount(2);
    expect(forbidden(site)).toEqual(['a limit was not said: operationsPerDay 1']);
  });
});

// ---- the link

describe('an alarm of the link', () => {
  const linkEvents = ({ events }: Site) =>
    events.flatMap(({ type, alarm, feederId }) => (alarm === 'notAuthorised' ? [`${feederId} ${type}`] : []));

  test('is an event and stands in status while a topic is refused, and ends in both', async () => {
    const site = await Site.start();
    site.broker.reasonCode = ({ topic }) => (topic.endsWith('/curtailment') ? 0x87 : 0);
    await site.overload();
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('uplink/notAuthorised'));
    expect(site.statuses().at(-1)).toMatchObject({ reason: 'changed', health: { state: 'degraded' } });
    const [alarm] = site.saidEvents().filter((event) => event.alarm === 'notAuthorised');
    expect(alarm).toMatchObject({ type: 'alarm', feederId: null });
    expect(alarm?.reason).toMatch(/refuses headroom\/v1\/SUB-1\/feeder\/F1\/curtailment: not authorised/);
    site.broker.reasonCode = () => 0;
    await site.live(400, 6);
    await until(() => site.statuses().at(-1)?.health?.alarms.includes('uplink/notAuthorised') === false);
    expect(linkEvents(site)).toEqual(['null alarm', 'null alarmEnd']);
    expect(site.said().at(-1)?.action).toBe('limit');
  });

  test('while no broker lets us in is told when one does', async () => {
    const broker = await startBroker();
    broker.refusals.push(0x87, 0x87);
    const site = await Site.start({ broker, offline: true });
    await until(() => linkEvents(site).length === 1);
    expect(site.controller.figures().alarms).toContain('uplink/notAuthorised');
    await site.reconnect(() =>
      site.saidEvents().some(({ type, alarm }) => type === 'alarmEnd' && alarm === 'notAuthorised'),
    );
    expect(linkEvents(site)).toEqual(['null alarm', 'null alarmEnd']);
    expect(site.saidEvents().find(({ alarm }) => alarm === 'notAuthorised')?.type).toBe('alarm');
  });
});

// ---- commands

describe('a command of the head end', () => {
  const COMMAND = `${ROOT}/command`;
  let sent = 0;

  /** Sends it and gives its answer. */
  async function order(site: Site, given: object): Promise<CommandAck> {
    const commandId = `c-${++sent}`;
    const message = {
      schema: 'headroom/v1/command',
      commandId,
      issuedAt: new Date(site.clock.wallMs()).toISOString(),
      expiresAt: new Date(site.clock.wallMs() + 60_000).toISOString(),
      ...given,
    };
    site.broker.publish(COMMAND, message);
    const answers = () =>
      site.broker
        .publishes(`${COMMAND}/ack`)
        .map(({ text }) => commandAckSchema.parse(JSON.parse(text)))
        .filter((answer) => answer.commandId === commandId);
    await until(() => answers().length > 0);
    const [answer] = answers();
    return answer ?? expect.fail();
  }

  test('blocks at once: the limit is released, nothing more is asked, and status says until when', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    const endsAt = new Date(site.clock.wallMs() + 600_000).toISOString();
    const answer = await order(site, { action: 'block', feederId: 'F1', until: endsAt, immediate: true });
    expect(answer).toMatchObject({ status: 'accepted', reason: `block: F1 until ${endsAt}` });
    const said = await site.saidCount(2);
    expect(said.map(({ action }) => action)).toEqual(['limit', 'release']);
    await until(() => site.statuses().at(-1)?.feeders?.[0]?.blockedUntil === endsAt);
    await site.live(400, 60);
    await site.saidCount(2);
    expect(site.events.filter(({ type }) => type === 'command').map(({ reason }) => reason)).toEqual([
      `accepted: block: F1 until ${endsAt}`,
    ]);
    await order(site, { action: 'unblock' });
    await site.live(400, DELAY_S + 1);
    expect((await site.saidCount(3)).at(-1)?.action).toBe('limit');
  });

  test('blocks one element of a feeder until its end, and status says so', async () => {
    const site = await Site.start();
    const until_ = new Date(site.clock.wallMs() + 60_000).toISOString();
    await order(site, { action: 'block', feederId: 'F1', element: 'atRisk', until: until_ });
    await until(() => site.statuses().at(-1)?.feeders?.[0]?.blockedElements?.[0]?.until === until_);
    expect(site.statuses().at(-1)?.feeders?.[0]).toMatchObject({ blockedUntil: null });
    await site.overload();
    await site.saidCount(0);
    const wrong = await order(site, { action: 'unblock', element: 'emergency' });
    expect(wrong).toMatchObject({ status: 'rejected', reason: 'unblock: F1: nothing is blocked' });
    await site.live(400, 61);
    await site.saidCount(1);
  });

  test('is kept with what it did before the broker is told that it was taken', async () => {
    const site = await Site.start();
    await site.overload();
    await site.saidCount(1);
    const before = site.commits.length;
    await order(site, { action: 'release', immediate: true });
    const [batch] = site.commits.slice(before);
    expect(batch?.commands).toHaveLength(1);
    expect(batch?.requests.map(({ body }) => JSON.parse(body).action)).toEqual(['release']);
    expect(batch?.events.length).toBeGreaterThan(1);
  });

  test('is answered the same after a restart, and not done again', async () => {
    const folder = mkdtempSync(join(scratch, 'journal-'));
    const broker = await startBroker();
    const site = await Site.start({ folder, broker });
    const given = {
      commandId: 'once',
      action: 'sayAgain',
      issuedAt: new Date(site.clock.wallMs()).toISOString(),
      expiresAt: new Date(site.clock.wallMs() + 3_600_000).toISOString(),
      schema: 'headroom/v1/command',
    };
    const answers = () => broker.publishes(`${COMMAND}/ack`).map(({ text }) => text);
    broker.publish(COMMAND, given);
    await until(() => answers().length === 1);
    await site.stop();
    const again = await Site.start({ folder, broker, clock: siteClock(2_000_000) });
    broker.publish(COMMAND, given);
    await until(() => answers().length === 2);
    expect(answers()[1]).toBe(answers()[0]);
    expect(again.events.filter(({ type }) => type === 'command')).toEqual([]);
  });

  test('puts test mode on: its requests are marked, and not retained', async () => {
    const site = await Site.start();
    const { reason } = await order(site, {
      action: 'testMode',
      until: new Date(site.clock.wallMs() + 600_000).toISOString(),
    });
    expect(reason).toMatch(/^testMode: F1 until/);
    await site.overload();
    const [limit] = await site.saidCount(1);
    expect(limit?.mode).toBe('test');
    expect(site.broker.retained.has(`${ROOT}/feeder/F1/curtailment`)).toBe(false);
    await order(site, { action: 'testMode' });
    // The overload is still there, and asks in earnest as soon as the test is over.
    expect((await site.saidCount(3)).map(({ action, mode }) => `${action} ${mode}`)).toEqual([
      'limit test',
      'release test',
      'limit live',
    ]);
  });

  test.each([
    ['release', /no limit stands/],
    ['unblock', /nothing is blocked/],
    ['testMode', /not on/],
  ])('%s where there is nothing of the kind is rejected', async (action, reason) => {
    const site = await Site.start();
    expect(await order(site, { action })).toMatchObject({ status: 'rejected', reason: expect.stringMatching(reason) });
  });

  test('puts a settings group in force that is marked for it, until its end, and status says so', async () => {
    const summer = {
      name: 'summer',
      byCommand: true,
      ratingA: 300,
      atRisk: { pickupA: 250, dropoutA: 220, delayS: DELAY_S, resetDelayS: 5 },
      curtailment: { mode: 'onOff', leaseS: LEASE_S, refreshS: REFRESH_S, responseTimeS: 0, ackTimeoutS: 100_000 },
    };
    const site = await Site.start({ moreGroups: [summer] });
    const inForce = () => site.statuses().at(-1)?.feeders?.[0];
    await site.overload(300);
    await site.saidCount(0);
    expect(await order(site, { action: 'settingsGroup', group: 'autumn' })).toMatchObject({
      status: 'rejected',
      reason: 'no settings group autumn that a command may put in force',
    });
    const endsAt = new Date(site.clock.wallMs() + 600_000).toISOString();
    expect(await order(site, { action: 'settingsGroup', group: 'summer', until: endsAt })).toMatchObject({
      status: 'accepted',
    });
    await until(() => inForce()?.settingsGroup === 'summer');
    expect(inForce()).toMatchObject({ groupByCommand: true, groupUntil: endsAt });
    await site.overload(300);
    const [limit] = await site.saidCount(1);
    expect(limit).toMatchObject({ action: 'limit', settings: { group: 'summer' }, trigger: { pickupA: 250 } });
    await site.live(100, 600);
    await until(() => inForce()?.settingsGroup === 'winter');
    expect(inForce()).toMatchObject({ groupByCommand: false, groupUntil: null });
    expect(site.events.filter(({ type }) => type === 'settings')).toHaveLength(2);
  });

  test('says everything again', async () => {
    const site = await Site.start();
    await site.overload();
    const [limit] = await site.saidCount(1);
    await order(site, { action: 'sayAgain' });
    const said = await site.saidCount(2);
    expect(said[1]).toEqual(limit);
    expect(site.statuses().at(-1)?.reason).toBe('asked');
  });

  test('is refused with a clock that nobody keeps, but for a release and a block', async () => {
    const site = await Site.start();
    site.clock.isSynchronised = false;
    await site.overload();
    expect(await order(site, { action: 'sayAgain' })).toMatchObject({ status: 'rejected' });
    expect(await order(site, { action: 'release', immediate: true })).toMatchObject({ status: 'accepted' });
    expect(await order(site, { action: 'block' })).toMatchObject({ status: 'accepted' });
  });
});

describe('a full file system', () => {
  test.skipIf(!mountable())(
    'a file system that is full under an episode: the limit goes out, and all is kept later',
    async () => {
      const disk = mkdtempSync(join(scratch, 'disk-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', disk]);
      opened.push(() => unmount(disk));
      const site = await Site.start({ folder: join(disk, 'journal') });
      const filler = join(disk, 'filler');
      execFileSync('sh', ['-c', 'head -c 64M /dev/zero > "$0" 2>/dev/null; true', filler]);
      // What the WAL has of its own takes some hundred commits more.
      const isFull = () => site.statuses().at(-1)?.health?.alarms.includes('journal/undurable');
      for (let n = 0; n < 2_000 && !isFull(); n++) {
        const reason = 'x'.repeat(900);
        const odd = { feederId: `X${n}`, sourceId: 'meter', phase: null, alarm: 'frozen', reason } as const;
        site.controller.measurementAlarm({ ...odd, standing: true });
        site.controller.measurementAlarm({ ...odd, standing: false });
        await turn();
        if (n % 50 === 0) await site.live(100, 1);
      }
      await until(isFull);
      await site.overload();
      const [limit] = await site.saidCount(1);
      expect(limit?.action).toBe('limit');
      rmSync(filler);
      await site.live(330, 2);
      await site.live(200, 6);
      await site.saidCount(2);
      await until(() => site.statuses().at(-1)?.health?.state === 'ok');
      await until(() => site.saidEvents().some(({ type }) => type === 'release'));
      const told = site.saidEvents().filter(({ alarm }) => alarm === 'undurable');
      // On the brink a smaller batch may still find room.
      expect(told.map(({ type }) => type)).toEqual(told.map((_, n) => (n % 2 === 0 ? 'alarm' : 'alarmEnd')));
      expect(told.at(-1)?.type).toBe('alarmEnd');
      const numbers = site.saidEvents().map(({ sequence }) => sequence);
      expect(numbers).toEqual(numbers.map((_, n) => n + 1));
      expect(site.journal.latestRequests()).toMatchObject([{ sequence: START_MS + 1, withheld: null }]);
      expect(verifyEvents(site.folder).broken).toBeNull();
      await site.stop();
    },
  );
});
