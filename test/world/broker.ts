// The simulated broker and the wire to it. It keeps sessions and retained messages as MQTT 5 says, until it is told to
// forget; the wire keeps the order of one connection, takes its time, and can be cut at any moment with whatever is on
// it. A client here has the shape of an MQTT.js client as far as src/uplink/link.ts uses one.
import { EventEmitter } from 'node:events';
import type { IClientOptions, MqttClient } from 'mqtt';
import type { Random } from '../simulators/random.ts';
import type { Timeline } from './timeline.ts';

export interface Message {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
}

/** Told of everything, in order. */
export interface BrokerWatch {
  /** Our client hands a message to its socket. */
  handed(client: SimulatedClient, message: Message): void;
  /** The broker has taken it. */
  taken(client: SimulatedClient, message: Message): void;
  /** Our client has kept a message that it was sent, and confirmed it. */
  confirmed(message: Message): void;
}

interface Session {
  readonly filters: Set<string>;
  /** Sent to the client, or to be sent, and not confirmed by it. */
  readonly owed: Message[];
  client: SimulatedClient | null;
}

/** What is wrong with the broker or the wire just now. */
export interface Weather {
  /** Nobody answers. */
  isDown: boolean;
  /** Takes messages and never confirms them. */
  isMute: boolean;
  /** Confirms with reason code 0x97, quota exceeded. */
  refuses: boolean;
  slowestMs: number;
}

export class Broker {
  readonly weather: Weather = { isDown: false, isMute: false, refuses: false, slowestMs: 60 };
  readonly retained = new Map<string, string>();
  readonly #sessions = new Map<string, Session>();
  readonly #watch: BrokerWatch;
  readonly timeline: Timeline;
  readonly random: Random;
  /** The head end, which is on the broker's side of the wire. */
  subscriber: (message: Message) => void = () => {};

  constructor(timeline: Timeline, random: Random, watch: BrokerWatch) {
    this.timeline = timeline;
    this.random = random;
    this.#watch = watch;
  }

  connect(isRunning: () => boolean, options: IClientOptions): MqttClient {
    return new SimulatedClient(this, isRunning, options) as unknown as MqttClient;
  }

  /** From a client of ours or from the head end. */
  publish(message: Message, from: SimulatedClient | null): void {
    if (message.retain) {
      if (message.payload === '') this.retained.delete(message.topic);
      else this.retained.set(message.topic, message.payload);
    }
    if (from !== null) {
      this.#watch.taken(from, message);
      this.subscriber(message);
    }
    for (const session of this.#sessions.values()) {
      if (![...session.filters].some((filter) => matches(filter, message.topic))) continue;
      session.owed.push({ ...message, retain: false });
      session.client?.deliver({ ...message, retain: false });
    }
  }

  handed(client: SimulatedClient, message: Message): void {
    this.#watch.handed(client, message);
  }

  /** Takes over a session that another connection of the same name may still hold. */
  open(client: SimulatedClient): void {
    const session = this.#sessions.get(client.id) ?? { filters: new Set<string>(), owed: [], client: null };
    this.#sessions.set(client.id, session);
    session.client?.cut('taken over');
    session.client = client;
    for (const message of session.owed) client.deliver(message);
  }

  subscribe(client: SimulatedClient, filters: readonly string[]): void {
    const session = this.#sessions.get(client.id);
    if (session === undefined) return;
    for (const filter of filters) {
      session.filters.add(filter);
      for (const [topic, payload] of this.retained) {
        if (!matches(filter, topic)) continue;
        const message = { topic, payload, retain: true };
        session.owed.push(message);
        client.deliver(message);
      }
    }
  }

  unsubscribe(client: SimulatedClient, filter: string): void {
    this.#sessions.get(client.id)?.filters.delete(filter);
  }

  confirmed(client: SimulatedClient, message: Message): void {
    const owed = this.#sessions.get(client.id)?.owed ?? [];
    const place = owed.indexOf(message);
    if (place >= 0) owed.splice(place, 1);
    this.#watch.confirmed(message);
  }

  /** The connection is over as the broker sees it; without a farewell the last will is published. */
  closed(client: SimulatedClient, isFarewell: boolean): void {
    const session = this.#sessions.get(client.id);
    if (session?.client === client) session.client = null;
    const { will } = client.options;
    if (!isFarewell && will !== undefined)
      this.publish({ topic: will.topic, payload: String(will.payload), retain: will.retain === true }, null);
  }

  cutAll(reason: string): void {
    for (const { client } of this.#sessions.values()) client?.cut(reason);
  }

  halfOpenAll(): void {
    for (const { client } of this.#sessions.values()) client?.halfOpen();
  }

  /** Restarted without what it had in memory. */
  forget(): void {
    this.cutAll('the broker restarted');
    this.#sessions.clear();
    this.retained.clear();
  }
}

type Done = (error?: Error | null, packet?: unknown) => void;

const TURN_MS = 0.05;

export class SimulatedClient extends EventEmitter {
  readonly id: string;
  readonly options: IClientOptions;
  readonly stream = { setNoDelay: () => {}, destroy: () => this.end(true) };
  connected = false;
  handleMessage: (packet: { topic: string; payload: Buffer; retain: boolean }, done: () => void) => void = () => {};
  readonly #broker: Broker;
  readonly #isRunning: () => boolean;
  #state: 'opening' | 'open' | 'halfOpen' | 'over' = 'opening';
  /** The wire keeps order: nothing overtakes what was sent before. */
  #upMs = 0;
  #downMs = 0;

  constructor(broker: Broker, isRunning: () => boolean, options: IClientOptions) {
    super();
    this.#broker = broker;
    this.#isRunning = isRunning;
    this.options = options;
    this.id = options.clientId ?? '';
    const { timeline, random } = broker;
    timeline.after(random.between(1, 40), () => this.#arrive());
  }

  publish(topic: string, payload: string, { retain }: { retain?: boolean }, done: Done): void {
    if (!this.#isRunning()) return;
    const message = { topic, payload, retain: retain === true };
    this.#broker.handed(this, message);
    if (!this.#isRunning()) return;
    this.#up(() => {
      const { weather } = this.#broker;
      if (weather.refuses) return this.#down(() => done(null, { reasonCode: 0x97 }));
      this.#broker.publish(message, this);
      if (!weather.isMute) this.#down(() => done(null, { reasonCode: 0 }));
    });
  }

  subscribe(filters: string | string[], _options: unknown, done: Done = () => {}): void {
    const all = typeof filters === 'string' ? [filters] : filters;
    this.#up(() => {
      this.#down(() =>
        done(
          null,
          all.map((topic) => ({ topic, qos: 1 })),
        ),
      );
      this.#broker.subscribe(this, all);
    });
  }

  unsubscribe(filter: string): void {
    this.#up(() => this.#broker.unsubscribe(this, filter));
  }

  /** Forced: the socket is destroyed, and the broker sees that. Otherwise what was handed goes out first. */
  end(forced: boolean, done: () => void = () => {}): void {
    if (this.#state === 'over') return;
    if (forced) {
      const isUnseen = this.#state === 'halfOpen';
      this.#over(() => isUnseen || this.#broker.closed(this, false));
      return;
    }
    this.#up(() => {
      this.#over(() => this.#broker.closed(this, true));
      done();
    });
  }

  deliver(message: Message): void {
    this.#down(() => {
      const packet = { topic: message.topic, payload: Buffer.from(message.payload), retain: message.retain };
      this.handleMessage(packet, () => this.#up(() => this.#broker.confirmed(this, message)));
    });
  }

  /** Both ends notice. */
  cut(reason: string): void {
    if (this.#state === 'over') return;
    this.#over(() => this.#broker.closed(this, false));
    this.#tell(() => this.#close(reason));
  }

  /** Neither end notices before its keep-alive runs out. */
  halfOpen(): void {
    if (this.#state !== 'open') return;
    this.#state = 'halfOpen';
    const keepAliveMs = (this.options.keepalive ?? 60) * 1000;
    this.#broker.timeline.after(1.5 * keepAliveMs, () => this.cut('Keepalive timeout'));
  }

  /** The machine is gone. Of what it had handed over in this very turn, nobody knows. */
  vanish(isPowerCut: boolean): void {
    if (this.#state === 'over') return;
    const { timeline, random } = this.#broker;
    const noticedMs = isPowerCut ? 1.5 * (this.options.keepalive ?? 60) * 1000 : this.#upMs - timeline.nowMs + 1;
    if (random.chance(0.5) && this.#state === 'open') this.#state = 'halfOpen';
    timeline.after(Math.max(1, noticedMs), () => this.#over(() => this.#broker.closed(this, false)));
  }

  #arrive(): void {
    if (this.#state !== 'opening' || !this.#isRunning()) return;
    const { weather, timeline } = this.#broker;
    if (weather.isDown) {
      timeline.after(weather.isMute ? (this.options.connectTimeout ?? 30_000) : 1, () => {
        if (this.#state !== 'opening') return;
        this.#state = 'over';
        this.#tell(() => {
          this.emit('error', new Error('connect ECONNREFUSED'));
          this.emit('close');
        });
      });
      return;
    }
    this.#state = 'open';
    this.#down(() => {
      this.connected = true;
      this.emit('connect', { sessionPresent: true, properties: {} });
    });
    this.#broker.open(this);
  }

  #close(reason: string): void {
    this.connected = false;
    if (reason.startsWith('Keepalive')) this.emit('error', new Error(reason));
    this.emit('close');
  }

  #over(then: () => void): void {
    const wasOpen = this.#state === 'open' || this.#state === 'halfOpen';
    this.#state = 'over';
    this.connected = false;
    if (wasOpen) then();
  }

  #tell(call: () => void): void {
    this.#broker.timeline.after(TURN_MS, () => this.#isRunning() && call());
  }

  #latencyMs(): number {
    const { random, weather } = this.#broker;
    return random.chance(0.02) ? random.between(0, weather.slowestMs) : random.between(0.1, 2);
  }

  /** To the broker, unless the wire breaks first. */
  #up(call: () => void): void {
    const { timeline } = this.#broker;
    this.#upMs = Math.max(this.#upMs, timeline.nowMs + TURN_MS + this.#latencyMs());
    timeline.at(this.#upMs, () => this.#state === 'open' && call());
  }

  #down(call: () => void): void {
    const { timeline } = this.#broker;
    this.#downMs = Math.max(this.#downMs, timeline.nowMs + this.#latencyMs());
    timeline.at(this.#downMs, () => this.#state === 'open' && this.#isRunning() && call());
  }
}

function matches(filter: string, topic: string): boolean {
  const [wanted, given] = [filter.split('/'), topic.split('/')];
  return wanted.length === given.length && wanted.every((part, index) => part === '+' || part === given[index]);
}
