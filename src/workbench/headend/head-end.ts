// The reference head end: subscribes to the requests of every substation that is its own, checks each against the
// contract, keeps what is in force (ledger.ts), makes DUIS service requests of it (duis.ts), sends them through a
// simulated DCC (dcc.ts) to simulated devices (fleet.ts), and acknowledges in stages. What it keeps is in memory: after
// a restart the retained requests bring it all back, but for what its rules have counted (kept-counts.ts).
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import mqtt, { type MqttClient } from 'mqtt';
import type { Clock, Timer } from '../../clock.ts';
import {
  type Ack,
  type Curtailment,
  curtailmentSchema,
  type Event,
  eventSchema,
  parseMessage,
  topicsOf,
} from '../../messages.ts';
import { type Telemetry, telemetrySchema } from '../../telemetry-message.ts';
import { ackOf } from './ack.ts';
import { Dcc, type DccOptions } from './dcc.ts';
import { type ServiceRequest, serviceRequestOf } from './duis.ts';
import { type Device, ratedByPhase } from './fleet.ts';
import { type KeptCounts, writeCounts } from './kept-counts.ts';
import { Ledger, type Standing } from './ledger.ts';
import { NO_RULES, type Rules } from './rules.ts';

export interface HeadEndOptions extends DccOptions {
  /** mqtt:// or mqtts://host:port; several of one cluster, with commas between them, are tried in turn. */
  readonly broker: string;
  /** A client id with a persistent session: what is said while it is away comes when it is back. */
  readonly session?: string;
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** Longest time that a device takes to act, at random, s. */
  readonly effectDelayS: number;
  /** This is worker `worker` (from 0) of `workers`: a substation, and so a feeder, stays with one of them. */
  readonly worker: number;
  readonly workers: number;
  /** Events and telemetry too, shared out among all workers: nothing retained is among them. Not every broker can. */
  readonly hears?: boolean;
  /** What it lets a substation have whatever that asks for; without them everything. */
  readonly rules?: Rules;
  /** What the rules have counted, over restarts; without it they begin anew. */
  readonly counts?: KeptCounts;
  /** The devices of a target group. */
  readonly fleet: (targetGroupId: string) => Device[];
  readonly random: () => number;
  readonly clock: Clock;
}

export interface HeadEndEvents {
  request?(message: Curtailment): void;
  ack?(ack: Ack): void;
  /** The first of the devices is being sent to. */
  dispatched?(message: Curtailment): void;
  serviceRequest?(request: ServiceRequest): void;
  event?(event: Event): void;
  telemetry?(telemetry: Telemetry): void;
  refused?(topic: string, reason: string): void;
  /** What the rules have counted cannot be written. */
  unkept?(reason: string): void;
}

export interface HeadEnd {
  /** The requests that limit something now. */
  inForce(): Curtailment[];
  /** Other rules from now on: what somebody has decided against is let go. */
  changeRules(rules: Rules): void;
  close(): Promise<void>;
}

/** Which of `workers` a substation belongs to: the same on every machine. */
export function workerOf(substationId: string, workers: number): number {
  return crc32(substationId) % workers;
}

/** Connects and serves. Rejects when the broker cannot be reached. */
export async function openHeadEnd(options: HeadEndOptions, events: HeadEndEvents): Promise<HeadEnd> {
  const { broker, session, tls, worker, workers, clock } = options;
  const servers = broker.split(',').map(serverOf);
  const client = await mqtt.connectAsync({
    servers,
    // MQTT.js wants it beside the servers as soon as there is a certificate.
    ...(servers[0] && { protocol: servers[0].protocol }),
    protocolVersion: 4,
    clientId: session ?? `headend-${worker}-${process.pid}`,
    clean: session === undefined,
    reconnectPeriod: 1_000,
    reconnectOnConnackError: true,
    ...(tls?.caFile && { ca: readFileSync(tls.caFile) }),
    ...(tls?.certFile && { cert: readFileSync(tls.certFile) }),
    ...(tls?.keyFile && { key: readFileSync(tls.keyFile) }),
  });
  const work = new Work(options, events, client);
  client.on('message', (topic, payload) => {
    if (payload.length === 0) return;
    if (!topic.endsWith('/curtailment')) return hear(topic, payload, events);
    const [, , substationId = ''] = topic.split('/');
    if (workerOf(substationId, workers) !== worker) return;
    const message = parseMessage(curtailmentSchema, payload);
    if (typeof message === 'string') return events.refused?.(topic, message);
    if (topic !== `headroom/v1/${message.substationId}/feeder/${message.feederId}/curtailment`)
      return events.refused?.(topic, `a request for ${message.substationId}/${message.feederId}`);
    work.take(topic, message);
  });
  // An ordinary subscription: a shared one gets no retained messages, and those are what a restart lives on.
  await client.subscribeAsync('headroom/v1/+/feeder/+/curtailment', { qos: 1 });
  if (options.hears === true) await client.subscribeAsync(SHARED, { qos: 1 });
  return {
    inForce: () => work.ledger.inForce(clock.wallMs()).map(({ message }) => message),
    changeRules: (rules) => work.changeRules(rules),
    async close() {
      work.close();
      await client.endAsync(true);
    },
  };
}

const KEEP_COUNT_AFTER_MS = 1_000;

const SHARED = ['feeder/+/event', 'event', 'feeder/+/telemetry'].map(
  (topic) => `$share/headroom-headend/headroom/v1/+/${topic}`,
);

/** What the substations tell: checked as everything is, and told on. */
function hear(topic: string, payload: Uint8Array, events: HeadEndEvents): void {
  const isEvent = topic.endsWith('/event');
  const heard = parseMessage<typeof eventSchema | typeof telemetrySchema>(
    isEvent ? eventSchema : telemetrySchema,
    payload,
  );
  if (typeof heard === 'string') events.refused?.(topic, heard);
  else if (heard.schema === 'headroom/v1/event') events.event?.(heard);
  else events.telemetry?.(heard);
}

function serverOf(url: string): { host: string; port: number; protocol: 'mqtt' | 'mqtts' } {
  const { hostname, port, protocol } = new URL(url);
  const secure = protocol === 'mqtts:';
  return {
    host: hostname,
    port: port === '' ? (secure ? 8883 : 1883) : Number(port),
    protocol: secure ? 'mqtts' : 'mqtt',
  };
}

/** What became of the devices of one request. */
interface Count {
  readonly targeted: number;
  readonly reached: Device[];
  failed: number;
  sent: boolean;
}

class Work {
  readonly ledger: Ledger;
  readonly #options: HeadEndOptions;
  readonly #events: HeadEndEvents;
  readonly #client: MqttClient;
  readonly #dcc: Dcc;
  readonly #fleets = new Map<string, Device[]>();
  readonly #timers = new Set<Timer>();
  #isCountDue = false;

  constructor(options: HeadEndOptions, events: HeadEndEvents, client: MqttClient) {
    this.#options = options;
    this.#events = events;
    this.#client = client;
    this.ledger = new Ledger(options.rules ?? NO_RULES, options.counts?.tracks);
    this.#dcc = new Dcc(options, options.clock, options.random);
  }

  take(topic: string, message: Curtailment): void {
    const { clock } = this.#options;
    const verdict = this.ledger.take(message, clock.wallMs());
    if (verdict.kind === 'refused') return this.#events.refused?.(topic, verdict.reason);
    if (verdict.kind === 'repeat') {
      if (verdict.latestAck !== null) this.#send(topic, verdict.latestAck);
      return;
    }
    this.#keepCountSoon();
    const { standing } = verdict;
    this.#events.request?.(message);
    if (verdict.kind === 'turnedDown') return this.#say(topic, standing, verdict.status, verdict.reason);
    const { before, remark } = verdict;
    if (before?.latestAck?.status === 'accepted' || before?.latestAck?.status === 'dispatched')
      this.#say(topic, before, 'superseded', `by ${message.requestId}`);
    if (message.mode === 'test') return this.#say(topic, standing, 'accepted', 'test: nothing is dispatched');
    this.#say(topic, standing, 'accepted', remark ?? undefined);
    this.#fanOut(topic, standing);
    if (message.action !== 'release') this.#endBy(topic, standing);
  }

  changeRules(rules: Rules): void {
    const wallMs = this.#options.clock.wallMs();
    for (const { standing, reason } of this.ledger.changeRules(rules, wallMs)) {
      const { substationId, feederId } = standing.message;
      this.#say(topicsOf(substationId).curtailment(feederId), standing, 'overridden', reason);
      this.#letGo(standing);
    }
    this.#keepCountSoon();
  }

  close(): void {
    this.#dcc.close();
    for (const timer of this.#timers) timer.cancel();
    if (this.#isCountDue) this.#keepCount();
  }

  #keepCountSoon(): void {
    if (this.#isCountDue) return;
    this.#isCountDue = true;
    this.#after(KEEP_COUNT_AFTER_MS, () => this.#keepCount());
  }

  #keepCount(): void {
    this.#isCountDue = false;
    const { counts } = this.#options;
    try {
      if (counts !== undefined) writeCounts(counts);
    } catch (error) {
      this.#events.unkept?.((error as Error).message);
    }
  }

  #fleetOf(targetGroupId: string): Device[] {
    const known = this.#fleets.get(targetGroupId);
    if (known !== undefined) return known;
    const made = this.#options.fleet(targetGroupId);
    this.#fleets.set(targetGroupId, made);
    return made;
  }

  /** What each device of the target group is to be sent, if anything. */
  #requestsOf(message: Curtailment, endWallMs: number): { device: Device; request: ServiceRequest }[] {
    const devices = this.#fleetOf(message.targetGroup.id);
    const wallMs = this.#options.clock.wallMs();
    return devices.flatMap((device, index) => {
      const share = devices.length < 2 ? 1 : index / (devices.length - 1);
      const request = serviceRequestOf(message, device, { share, wallMs, endWallMs });
      return request === null ? [] : [{ device, request }];
    });
  }

  /** The devices are freed as by a release that nobody waits for. */
  #letGo({ allowed, endWallMs }: Standing): void {
    for (const { device, request } of this.#requestsOf({ ...allowed, action: 'release' }, endWallMs)) {
      const always = () => true;
      this.#dcc.send(request, true, always, (outcome) => void (outcome === 'sent' && this.#sent(device, request)));
    }
  }

  /** Whether it has arrived is not known yet: to be on the safe side it counts from now on. */
  #sent(device: Device, request: ServiceRequest): void {
    device.levelPercent = request.levelPercent;
    device.untilWallMs = request.untilWallMs;
    this.#events.serviceRequest?.(request);
  }

  #fanOut(topic: string, standing: Standing): void {
    const requests = this.#requestsOf(standing.allowed, standing.endWallMs);
    const count: Count = { targeted: requests.length, reached: [], failed: 0, sent: false };
    if (requests.length === 0) return this.#finish(topic, standing, count, 'no device is to be sent anything');
    for (const { device, request } of requests) this.#sendTo(topic, standing, device, request, count);
  }

  #sendTo(topic: string, standing: Standing, device: Device, request: ServiceRequest, count: Count): void {
    const wanted = () => this.ledger.stands(standing);
    this.#dcc.send(request, standing.message.priority === 'emergency', wanted, (outcome) => {
      if (outcome === 'sent') {
        this.#sent(device, request);
        if (count.sent) return;
        count.sent = true;
        this.#say(topic, standing, 'dispatched', undefined, count);
        return this.#events.dispatched?.(standing.message);
      }
      if (outcome === 'failed') {
        count.failed += 1;
        return this.#finish(topic, standing, count);
      }
      this.#after(this.#options.effectDelayS * 1000 * this.#options.random(), () => {
        count.reached.push(device);
        this.#finish(topic, standing, count);
      });
    });
  }

  /** Once every device has answered or failed. Unknown is not success: what has not answered yet is waited for. */
  #finish(topic: string, standing: Standing, count: Count, reason?: string): void {
    const { targeted, reached, failed } = count;
    if (!this.ledger.stands(standing) || reached.length + failed < targeted) return;
    const done = standing.message.action === 'release' ? 'ended' : 'applied';
    if (failed === 0) this.#say(topic, standing, done, reason, count);
    else if (reached.length === 0) this.#say(topic, standing, 'failed', 'no device answered', count);
    else this.#say(topic, standing, 'partial', `${failed} of ${targeted} devices did not answer`, count);
  }

  /** The limit ends by itself when nothing has taken its place. */
  #endBy(topic: string, standing: Standing): void {
    this.#after(standing.endWallMs - this.#options.clock.wallMs(), () => {
      if (this.ledger.stands(standing)) this.#say(topic, standing, 'ended', 'came to its end');
    });
  }

  #say(topic: string, standing: Standing, status: Ack['status'], reason?: string, count?: Count): void {
    const finished = status === 'applied' || status === 'partial';
    standing.latestAck = ackOf(standing.message, status, this.#options.clock.wallMs(), {
      ...(count && {
        devices: { targeted: count.targeted, acknowledged: count.reached.length, failed: count.failed },
      }),
      ...(reason !== undefined && { reason }),
      ...(finished && count && count.reached.length > 0 && { controllableA: ratedByPhase(count.reached) }),
    });
    this.#send(topic, standing.latestAck);
    this.#events.ack?.(standing.latestAck);
  }

  #send(topic: string, ack: Ack): void {
    this.#client.publish(`${topic}/ack`, JSON.stringify(ack), { qos: 1 });
  }

  #after(ms: number, call: () => void): void {
    const { clock } = this.#options;
    const timer = clock.at(clock.monotonicMs() + Math.max(0, ms), () => {
      this.#timers.delete(timer);
      call();
    });
    this.#timers.add(timer);
  }
}
