// What stands around the controller while it is killed: the meter, the broker, a witness that keeps every message, and a
// head end that answers only some of the time.
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import type { Curtailment, Event } from '../../src/messages.ts';
import { endProcess, startMeter, startVerb } from '../end-to-end/headroom.ts';
import type { Random } from '../simulators/random.ts';

const RECORDED = join(import.meta.dirname, '../../../shared/data/feeders/nged_lv_feeders_10min_kw.csv.gz');
/** Ten minutes of the trace take 60 ms: half a day with its overloads lasts four seconds. */
const SPEED = 10_000;

const CALM_SCALE = 0.3;
const LAST_TOPIC = 'kill/last';

export const SUBSTATION = 'KILL-1';

/** One feeder's times, which the kills are aimed by. */
interface Times {
  readonly atRiskDelayS: number;
  readonly refreshS: number;
}

export interface Setup {
  readonly leaseS: number;
  readonly times: { readonly [feederId: string]: Times };
}

/** On one meter, each with thresholds of its own, so that requests of some come while others are asked for. */
const FEEDERS = 6;

/** Settings for the bench: the closed loop off, no spread, no cap, delays of a fraction of a second. */
export function drawSetup(random: Random): Setup {
  const leaseS = random.whole(5, 20);
  const times = (refreshS: number) => ({ atRiskDelayS: Math.round(random.between(0.05, 0.3) * 100) / 100, refreshS });
  const feeders = Array.from({ length: FEEDERS }, (_, index) => {
    const refreshS = index === 0 ? 1 : random.whole(1, Math.min(5, leaseS - 2));
    return [`F${index + 1}`, times(refreshS)] as const;
  });
  return { leaseS, times: Object.fromEntries(feeders) };
}

export function writeConfiguration(folder: string, setup: Setup, broker: string, meterPort: number): string {
  const file = join(folder, 'bench.yaml');
  const feeders = Object.entries(setup.times).map(([feederId, { atRiskDelayS, refreshS }], index) => {
    const pickupA = 310 - 12 * index;
    const atRisk = `pickupA: ${pickupA}, dropoutA: ${pickupA - 10}`;
    const emergency = `emergency: { pickupA: ${pickupA + 25}, dropoutA: ${pickupA + 5}, delayS: 0.02, resetDelayS: 0.15 }`;
    const more = index % 2 === 0 ? [emergency] : [];
    return `
  - id: ${feederId}
    currents: { source: meter-1 }
    targetGroup: { id: TG-${feederId}, version: 1 }
    settings:
      - name: bench
        ratingA: 400
        atRisk: { ${atRisk}, delayS: ${atRiskDelayS}, resetDelayS: 0.15 }${more.map((line) => `\n        ${line}`).join('')}
        curtailment: { mode: onOff, leaseS: ${setup.leaseS}, refreshS: ${refreshS}, responseTimeS: 0, ackTimeoutS: 1, endSpreadS: 0 }
        caps: { requestsPerHour: 0 }`;
  });
  const text = `substation: { id: ${SUBSTATION} }
uplink: { brokers: [{ url: "${broker}" }], allowInsecure: true, historyMessagesPerS: 200 }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, port: ${meterPort}, profile: eastron-sdm630, pollMs: 20 }
feeders:${feeders.join('')}
journal: { path: ./journal }
`;
  writeFileSync(file, text);
  return file;
}

/** The trace meter as a process of its own; `what` says which trace it plays. */
export async function playTrace(folder: string, random: Random) {
  const recorded = existsSync(RECORDED);
  const what = recorded
    ? 'recorded trace, substation 724374 feeder 2, 12 December 2022, 08:00 to 20:00'
    : 'the recorded feeders are not here: a synthetic trace of the same shape';
  const trace = recorded
    ? [RECORDED, '--mapping', recordedMapping(folder), '--from', '2022-12-12T08:00:00', '--to', '2022-12-12T20:00:00']
    : [syntheticTrace(folder, random)];
  const play = (...more: string[]) => startMeter(...trace, '--speed', String(SPEED), '--loop', ...more);
  let meter = await play();
  const { port } = meter;
  /** The same with so little that no element is picked up. */
  const calm = async () => {
    await endProcess(meter.process);
    meter = await play('--port', String(port), '--scale', String(CALM_SCALE));
  };
  return { what, port, calm, stop: () => endProcess(meter.process) };
}

/** How the recorded file becomes amperes of its heaviest feeder. */
function recordedMapping(folder: string): string {
  const file = join(folder, 'recorded.yaml');
  const text = `time: { column: timestamp }
where: { substation_id: 724374 }
unit: kW
voltageV: 240
powerFactor: 0.98
feeders: { F2: { where: { feeder: 2 }, L1: L1_kW, L2: L2_kW, L3: L3_kW } }
`;
  writeFileSync(file, text);
  return file;
}

/** Half a day in ten-minute steps around the pickups, with the noise of a real feeder. */
function syntheticTrace(folder: string, random: Random): string {
  const file = join(folder, 'trace.csv');
  const rows = Array.from({ length: 72 }, (_, index) => {
    const shapeA = 100 + 220 * Math.sin((Math.PI * index) / 72) ** 0.6;
    const currents = [0, 0, 0].map(() => (shapeA + random.between(-30, 30)).toFixed(1));
    return [index * 600, 'F1', ...currents].join();
  });
  writeFileSync(file, `time,feeder,L1_A,L2_A,L3_A\n${rows.join('\n')}\n`);
  return file;
}

/** The controller as a process of its own; what it logs is added to controller.log. */
export function startController(folder: string, configuration: string): ChildProcess {
  appendFileSync(join(folder, 'controller.log'), '--- start\n');
  const log = openSync(join(folder, 'controller.log'), 'a');
  return startVerb(['run', configuration], log);
}

/** A message as the witness saw it. */
export interface Seen {
  readonly atMs: number;
  readonly topic: string;
  readonly payload: string;
}

export class Witness {
  readonly seen: Seen[] = [];
  readonly #client: MqttClient;
  #listeners: ((seen: Seen) => void)[] = [];

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload) => {
      const seen = { atMs: Date.now(), topic, payload: payload.toString() };
      this.seen.push(seen);
      for (const listener of this.#listeners) listener(seen);
    });
  }

  static async connect(broker: string): Promise<Witness> {
    const client = await mqtt.connectAsync(broker, { protocolVersion: 5, clientId: 'witness' });
    const witness = new Witness(client);
    await client.subscribeAsync('headroom/v1/#', { qos: 1 });
    return witness;
  }

  /** Every message from now on, until the function that it gives is called. */
  listen(listener: (seen: Seen) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  curtailments(): Seen[] {
    return this.seen.filter(({ topic }) => topic.endsWith('/curtailment'));
  }

  events(): Seen[] {
    return this.seen.filter(({ topic }) => topic.endsWith('/event'));
  }

  close(): Promise<void> {
    return this.#client.endAsync();
  }
}

/** Accepts six requests in ten, after up to 50 ms; the rest it lets be repeated. */
export class HeadEnd {
  /** Requests whose acknowledgement the broker has. */
  readonly acked = new Set<string>();
  answers = true;
  /** Answers that the broker does not have yet. */
  onTheirWay = 0;
  readonly #client: MqttClient;

  private constructor(client: MqttClient, random: Random) {
    this.#client = client;
    client.on('message', (topic, payload) => {
      if (!this.answers || !random.chance(0.6)) return;
      const { requestId, sequence } = JSON.parse(payload.toString()) as Curtailment;
      this.onTheirWay += 1;
      setTimeout(
        () => {
          const at = new Date().toISOString();
          const ack = { schema: 'headroom/v1/curtailment/ack', requestId, sequence, status: 'accepted', at };
          client.publish(`${topic}/ack`, JSON.stringify(ack), { qos: 1 }, (error) => {
            this.onTheirWay -= 1;
            if (!error) this.acked.add(requestId);
          });
        },
        random.between(0, 50),
      );
    });
  }

  static async connect(broker: string, random: Random): Promise<HeadEnd> {
    const client = await mqtt.connectAsync(broker, { protocolVersion: 5, clientId: 'headend' });
    const headEnd = new HeadEnd(client, random);
    await client.subscribeAsync('headroom/v1/+/feeder/+/curtailment', { qos: 1 });
    return headEnd;
  }

  close(): Promise<void> {
    return this.#client.endAsync();
  }
}

/** What a client that connects now is given: the newest retained message of every topic. */
export async function retainedNow(broker: string): Promise<Map<string, string>> {
  const retained = new Map<string, string>();
  const client = await mqtt.connectAsync(broker, { protocolVersion: 5 });
  // What is said now comes after all that was retained.
  const isAll = new Promise<void>((resolve) => {
    client.on('message', (topic, payload) => {
      if (topic === LAST_TOPIC) resolve();
      else retained.set(topic, payload.toString());
    });
  });
  await client.subscribeAsync(['headroom/v1/#', LAST_TOPIC], { qos: 1 });
  await client.publishAsync(LAST_TOPIC, '', { qos: 1 });
  await isAll;
  await client.endAsync();
  return retained;
}

export function curtailmentOf(seen: Seen): Curtailment {
  return JSON.parse(seen.payload) as Curtailment;
}

export function eventOf(seen: Seen): Event {
  return JSON.parse(seen.payload) as Event;
}
