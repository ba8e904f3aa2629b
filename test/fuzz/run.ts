// `npm run test:fuzz -- [--count 100000] [--seed N]`: a controller with a standing limit under hostile commands and
// acknowledgements over a real socket. None may be acted on, none may end the program, and memory stays flat. The
// controller's clock is moved by hand, so that every command is looked at in spite of the limit on their rate.
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Controller } from '../../src/controller.ts';
import { Journal } from '../../src/journal/journal.ts';
import { silentLog } from '../../src/log.ts';
import { type Ack, type Curtailment, curtailmentSchema } from '../../src/messages.ts';
import { settingsSchema } from '../../src/settings.ts';
import { handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import { MqttBroker } from '../simulators/mqtt-broker.ts';
import { seeded } from '../simulators/random.ts';
import { hostile, type Target } from './hostile.ts';

export interface FuzzOutcome {
  readonly count: number;
  readonly byKind: { readonly [kind: string]: number };
  readonly refused: number;
  readonly heapGrownMb: number;
  /** What was acted on, or broke. */
  readonly breaches: readonly string[];
}

const ROOT = 'headroom/v1/SUB-1';
const START_MS = Date.parse('2026-01-15T17:00:00.000Z');
/** Twice as slow as the most commands a minute that the settings allow; a batch is shorter than any deadline of the link. */
const STEP_MS = 200;
const AT_ONCE = 20;
/** Young garbage and tables that have found their size are no leak. */
const GROWTH_MB_MAX = 8;

export async function fuzz(count: number, seed: number): Promise<FuzzOutcome> {
  const random = seeded(seed);
  const folder = mkdtempSync(join(tmpdir(), 'headroom-fuzz-'));
  const broker = await MqttBroker.start();
  const clock = handClock(START_MS);
  const journal = new Journal(folder);
  const controller = new Controller({
    configuration: {
      file: 'fuzz.yaml',
      settings: settingsOf(broker.url),
      registerMaps: new Map(),
      hash: '0'.repeat(16),
    },
    journal,
    clock,
    random: () => 0.5,
    log: silentLog,
  });
  const heard = { sayings: [] as string[], accepted: 0, refused: 0 };
  let acked: (topic: string, text: string) => void = () => {};
  broker.onPublish = ({ topic, text }) => acked(topic, text);
  const breaches: string[] = [];
  const byKind: { [kind: string]: number } = {};
  try {
    const target = await standingLimit(broker, controller, clock);
    acked = (topic, text) => {
      if (topic.endsWith('/curtailment')) heard.sayings.push(text);
      if (!topic.endsWith('/command/ack')) return;
      const { commandId, status } = JSON.parse(text);
      if (status === 'accepted' && commandId !== target.command['commandId']) heard.accepted += 1;
      if (status !== 'accepted') heard.refused += 1;
    };
    const before = standing(controller);
    let settledMb = 0;
    for (let number = 0; number < count; number += AT_ONCE) {
      broker.received.length = 0;
      const most = Math.min(AT_ONCE, count - number);
      for (let one = 0; one < most; one++) {
        clock.advance(STEP_MS);
        const { kind, topic, payload } = hostile(random, { ...target, wallMs: clock.wallMs() }, number + one);
        byKind[kind] = (byKind[kind] ?? 0) + 1;
        if (broker.publish(topic, payload) === 0) breaches.push(`the edge was gone before message ${number + one}`);
      }
      await answered(broker, most);
      controller.readings([readingOf(clock.monotonicMs())]);
      const now = standing(controller);
      if (now !== before) breaches.push(`what stands has changed: ${before} is ${now}, after message ${number + most}`);
      if (breaches.length > 0) break;
      if (number <= count / 4 && number + AT_ONCE > count / 4) settledMb = heapMb();
    }
    if (heard.accepted > 0) breaches.push(`${heard.accepted} commands were accepted`);
    if (heard.sayings.length > 0) breaches.push(`said as curtailment meanwhile: ${heard.sayings[0]}`);
    const heapGrownMb = Math.round((heapMb() - settledMb) * 10) / 10;
    if (heapGrownMb > GROWTH_MB_MAX) breaches.push(`the heap grew by ${heapGrownMb} MB over the last three quarters`);
    return { count, byKind, refused: heard.refused, heapGrownMb, breaches };
  } finally {
    await whileTimeGoes(clock, controller.stop());
    journal.close();
    await broker.close();
    rmSync(folder, { recursive: true });
  }
}

/** The overload, its limit, an acknowledgement that says that it has ended, and a command that was carried out. */
async function standingLimit(
  broker: MqttBroker,
  controller: Controller,
  clock: ReturnType<typeof handClock>,
): Promise<Target> {
  controller.readings([readingOf(clock.monotonicMs())]);
  const limit = await found(() => broker.publishes(`${ROOT}/feeder/F1/curtailment`)[0]?.text);
  const message: Curtailment = curtailmentSchema.parse(JSON.parse(limit));
  const ack: Ack = {
    schema: 'headroom/v1/curtailment/ack',
    requestId: message.requestId,
    sequence: message.sequence,
    status: 'ended',
    at: new Date(clock.wallMs()).toISOString(),
  };
  broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, ack);
  const command = {
    schema: 'headroom/v1/command',
    commandId: 'taken-once',
    action: 'sayAgain',
    issuedAt: new Date(clock.wallMs()).toISOString(),
    expiresAt: new Date(clock.wallMs() + 86_000_000).toISOString(),
  };
  broker.publish(`${ROOT}/command`, command);
  await found(() => broker.publishes(`${ROOT}/command/ack`)[0]?.text);
  await found(() => broker.publishes(`${ROOT}/feeder/F1/curtailment`)[1]?.text);
  return { root: ROOT, wallMs: clock.wallMs(), limit: message, command, ack };
}

/** Everything of control that a command or an acknowledgement may change, but for what time alone changes. */
function standing(controller: Controller): string {
  return JSON.stringify(
    [...controller.figures().feeders].map(({ settings, group, state }) => ({
      feeder: settings.id,
      group: group.name,
      byCommand: state.groupByCommand,
      blocks: state.blocks,
      testUntilMs: state.testUntilMs,
      episode: state.episode,
      levels: [state.L1.levelPercent, state.L2.levelPercent, state.L3.levelPercent],
      reach: [state.L1.reach, state.L2.reach, state.L3.reach],
      usage: state.usage,
    })),
  );
}

async function found(look: () => string | undefined): Promise<string> {
  for (let tries = 0; tries < 4_000; tries++) {
    const text = look();
    if (text !== undefined) return text;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`never came: ${look}`);
}

/** Until the edge has confirmed so many. */
async function answered(broker: MqttBroker, count: number): Promise<void> {
  for (let tries = 0; broker.pubacks.length < count; tries++) {
    if (tries > 10_000) throw new Error(`${broker.pubacks.length} of ${count} messages were confirmed in 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function readingOf(atMs: number) {
  const at = (currentA: number) => ({ currentA, quality: 'good', reason: null }) as const;
  const L2 = at(400);
  return { feederId: 'F1', sourceId: 'meter', atMs, L1: at(100), L2, L3: at(100), N: at(100), exporting: [] };
}

function settingsOf(url: string) {
  const group = (name: string, byCommand: boolean) => ({
    name,
    byCommand,
    ratingA: 400,
    atRisk: { pickupA: 345, dropoutA: 310, delayS: 0, resetDelayS: 60 },
    // Nothing falls due by itself while the attack lasts.
    curtailment: { mode: 'onOff', leaseS: 1e6, refreshS: 9e5, responseTimeS: 0, ackTimeoutS: 1e6, maxEpisodeS: 1e7 },
    caps: { longestLeaseS: 1e6 },
    budget: { episodesPerYear: 0, minutesPerYear: 0 },
  });
  return settingsSchema.parse({
    substation: { id: 'SUB-1' },
    uplink: { brokers: [{ url }], allowInsecure: true, historyMessagesPerS: 0, telemetryS: 0, commandsPerMinute: 600 },
    sources: [{ id: 'meter', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630', staleAfterMs: 3e7 }],
    feeders: ['F1', 'F2'].map((id) => ({
      id,
      currents: { source: 'meter' },
      targetGroup: { id: `TG-${id}`, version: 1 },
      controllableA: { L1: 96, L2: 128, L3: 96 },
      settings: [group('winter', false), group('summer', id === 'F2')],
    })),
  });
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / 1e6;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(randomInt(1e6)) },
    },
  });
  const [count, seed] = [Number(values.count), Number(values.seed)];
  const startedMs = Date.now();
  const { breaches, byKind, refused, heapGrownMb } = await fuzz(count, seed);
  for (const [kind, times] of Object.entries(byKind).sort()) console.log(`${String(times).padStart(7)} ${kind}`);
  for (const breach of breaches) console.error(`breach: ${breach}`);
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  console.log(
    `${count} messages, seed ${seed}, ${seconds} s: ${refused} answered as refused, heap grown by ${heapGrownMb} MB, breaches ${breaches.length}`,
  );
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
