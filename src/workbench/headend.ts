// A small reference head end: checks every request against the contract, keeps the newest per feeder, acknowledges in
// stages, and moves simulated chargers after the delays of the chain. A repeated request is answered with its latest
// acknowledgement and never dispatched twice.
import mqtt, { type MqttClient } from 'mqtt';
import { isoTime } from '../clock.ts';
import { type Ack, type Curtailment, curtailmentSchema, parseMessage } from '../messages.ts';

export interface HeadEndOptions {
  readonly broker: string;
  /** Seconds until the devices have a request. */
  readonly dccDelay: number;
  /** Seconds after that until they have all acted. */
  readonly effectDelay: number;
}

export interface HeadEndEvents {
  request?(message: Curtailment): void;
  ack?(ack: Ack): void;
  /** The devices begin to act; they are done after `effectDelay`. */
  dispatched?(message: Curtailment): void;
  refused?(topic: string, reason: string): void;
}

export interface HeadEnd {
  close(): Promise<void>;
}

interface InForce {
  readonly message: Curtailment;
  latestAck: Ack | null;
}

/** Connects and serves every substation of the broker. Rejects when the broker cannot be reached. */
export async function openHeadEnd(options: HeadEndOptions, events: HeadEndEvents): Promise<HeadEnd> {
  const client = await mqtt.connectAsync(options.broker, {
    protocolVersion: 4,
    clientId: `headend-${process.pid}`,
    reconnectPeriod: 1_000,
  });
  const inForce = new Map<string, InForce>();
  const timers = new Set<NodeJS.Timeout>();
  const after = (seconds: number, call: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      call();
    }, seconds * 1000);
    timers.add(timer);
  };
  client.on('message', (topic, payload) => {
    if (payload.length === 0) return;
    const message = parseMessage(curtailmentSchema, payload);
    if (typeof message === 'string') return events.refused?.(topic, message);
    const known = inForce.get(topic);
    if (known?.message.requestId === message.requestId) {
      if (known.latestAck !== null) send(client, topic, known.latestAck);
      return;
    }
    if (known !== undefined && message.sequence <= known.message.sequence)
      return events.refused?.(topic, `sequence ${message.sequence} is not new`);
    const standing: InForce = { message, latestAck: null };
    inForce.set(topic, standing);
    events.request?.(message);
    const stage = (status: Ack['status']) => {
      if (inForce.get(topic) !== standing) return;
      standing.latestAck = ackOf(message, status);
      send(client, topic, standing.latestAck);
      events.ack?.(standing.latestAck);
    };
    if (Date.now() > Date.parse(message.validUntil)) return stage('expired');
    stage('accepted');
    if (message.action === 'refresh') return;
    after(options.dccDelay, () => {
      if (inForce.get(topic) !== standing) return;
      stage('dispatched');
      events.dispatched?.(message);
    });
    after(options.dccDelay + options.effectDelay, () => stage(message.action === 'release' ? 'ended' : 'applied'));
  });
  await client.subscribeAsync('headroom/v1/+/feeder/+/curtailment', { qos: 1 });
  return {
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await client.endAsync(true);
    },
  };
}

function send(client: MqttClient, topic: string, ack: Ack): void {
  client.publish(`${topic}/ack`, JSON.stringify(ack), { qos: 1 });
}

function ackOf({ requestId, sequence }: Curtailment, status: Ack['status']): Ack {
  return { schema: 'headroom/v1/curtailment/ack', requestId, sequence, status, at: isoTime(Date.now()) };
}

/** The verb: prints a line per request and acknowledgement until SIGINT or SIGTERM. */
export async function headend(options: HeadEndOptions): Promise<number> {
  const print = (line: string) => void process.stdout.write(`${isoTime(Date.now())} ${line}\n`);
  const headEnd = await openHeadEnd(options, {
    request: ({ feederId, action, phases, levelPercent, sequence, end }) =>
      print(`<- ${feederId} ${action} ${levelPercent} % on ${phases.join(' ')} until ${end}, sequence ${sequence}`),
    ack: ({ status, sequence }) => print(`-> ${status}, sequence ${sequence}`),
    refused: (topic, reason) => print(`not taken: ${topic}: ${reason}`),
  });
  print(`head end on ${options.broker}`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await headEnd.close();
  return 0;
}
