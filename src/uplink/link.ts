// The connection to one broker at a time: connects, waits with jitter, tries the next broker of the list, and tells
// when it is up. MQTT 5 where the broker speaks it, else 3.1.1. Every connect is a new client object: MQTT.js stops
// for good after one refused CONNACK, reconnects in step with every other client, and reads certificates once.
import { readFileSync } from 'node:fs';
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import type { Clock, Timer } from '../clock.ts';
import type { UplinkSettings } from '../uplink-settings.ts';

interface LinkEvents {
  up(): void;
  down(reason: string): void;
  /** `done` sends the PUBACK, so it is called once the message is kept. */
  message(topic: string, payload: Uint8Array, retained: boolean, done: () => void): void;
}

/** Opens a connection to a broker; MQTT.js does in service. */
export type Connect = (url: string, options: IClientOptions) => MqttClient;

export interface LinkInput {
  readonly settings: UplinkSettings;
  readonly connect?: Connect | undefined;
  readonly clientId: string;
  readonly will: { readonly topic: string; readonly payload: () => string };
  readonly subscriptions: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  /** Something urgent waits: look for a broker more often. */
  readonly urgent: () => boolean;
  readonly events: LinkEvents;
}

export interface Publication {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  /** Seconds after which a broker of MQTT 5 forgets it. */
  readonly expiryS?: number;
  readonly responseTopic?: string;
  readonly correlationId?: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Full jitter up to here, so that ten thousand substations do not come back in the same second. */
const RECONNECT_LONGEST_MS = 60_000;
const RECONNECT_LONGEST_URGENT_MS = 5_000;
const RECONNECT_FIRST_MS = 500;
/** Only a link that has stood this long counts as recovered. */
const STABLE_MS = 60_000;
/** A PUBACK that takes longer than this belongs to a dead link: MQTT.js may never settle it. */
const PUBACK_TIMEOUT_MS = 15_000;
/** Even where the broker allows more: what is in flight is what has to be said again. */
const IN_FLIGHT_MAX = 8;
const SESSION_EXPIRY_S = 7 * 24 * 3600;
const PACKET_BYTES_MAX = 65_536;

export class Link {
  readonly #input: LinkInput;
  readonly #protocolOf = new Map<string, 4 | 5>();
  #client: MqttClient | null = null;
  #broker = 0;
  #up = false;
  #closed = false;
  #failures = 0;
  #upSinceMs = 0;
  #timer: Timer | null = null;
  #retryDueMs = 0;
  /** Every timer that runs, so that none holds up the program after `close`. */
  readonly #timers = new Set<Timer>();
  #inFlight = 0;
  #inFlightMax = IN_FLIGHT_MAX;

  constructor(input: LinkInput) {
    this.#input = input;
    this.#connect();
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** How many more publications the broker takes now. */
  get room(): number {
    return this.#up ? this.#inFlightMax - this.#inFlight : 0;
  }

  /**
   * Sends one message at QoS 1, at once. `done` is called at most once, with null when the broker took it or the reason
   * when it refused; when the link breaks it is not called, `down` is.
   */
  publish(publication: Publication, done: (refused: string | null) => void): void {
    const client = this.#client;
    if (client === null || !this.#up) return;
    this.#inFlight += 1;
    const deadline = this.#after(PUBACK_TIMEOUT_MS, () => this.#lost(client, 'no PUBACK in time'));
    const { topic, payload, retain } = publication;
    const properties = this.#protocol() === 5 ? propertiesOf(publication) : null;
    client.publish(topic, payload, { qos: 1, retain, ...(properties && { properties }) }, (error, packet) => {
      deadline.cancel();
      if (client !== this.#client || !this.#up) return;
      this.#inFlight -= 1;
      const reasonCode = (packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0;
      if (error === undefined || error === null) return done(reasonCode >= 0x80 ? `reason code ${reasonCode}` : null);
      if (!client.connected) return this.#lost(client, error.message);
      done(error.message);
    });
  }

  /** Subscribes for `ms`, then no more: for looking once at what is retained. */
  glance(topic: string, ms: number): void {
    const client = this.#client;
    if (client === null || !this.#up) return;
    client.subscribe(topic, { qos: 1 });
    this.#after(ms, () => {
      if (client === this.#client && this.#up) client.unsubscribe(topic);
    });
  }

  /** Ends the connection; with `last`, after that message has gone or a second has passed. */
  async close(last: Publication | null): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#end(last);
    for (const timer of this.#timers) timer.cancel();
  }

  async #end(last: Publication | null): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    if (last !== null && this.#up) {
      await new Promise<void>((resolve) => {
        this.publish(last, () => resolve());
        this.#after(1_000, resolve);
      });
    }
    this.#client = null;
    this.#up = false;
    await new Promise<void>((resolve) => {
      client.end(false, () => resolve());
      this.#after(500, () => {
        client.stream?.destroy();
        resolve();
      });
    });
  }

  #connect(): void {
    if (this.#closed) return;
    let options: IClientOptions;
    try {
      options = this.#options();
    } catch (error) {
      return this.#retry(`${(error as Error).message}`);
    }
    this.#inFlight = 0;
    const { connect = mqtt.connect } = this.#input;
    const client = connect(this.#url(), options);
    this.#client = client;
    client.on('connect', (packet) => {
      if (client !== this.#client) return;
      const max = packet.properties?.receiveMaximum ?? IN_FLIGHT_MAX;
      this.#inFlightMax = Math.max(1, Math.min(IN_FLIGHT_MAX, max));
      (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
      this.#subscribe(client);
    });
    client.on('error', (error) => this.#lost(client, error.message, (error as { code?: number | string }).code));
    client.on('disconnect', (packet) =>
      this.#lost(client, `disconnected by the broker, reason code ${packet.reasonCode}`),
    );
    client.on('close', () => this.#lost(client, 'the connection closed'));
    client.handleMessage = (packet: IPublishPacket, done) => {
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      this.#input.events.message(packet.topic, payload, packet.retain, () => done());
    };
  }

  /** The link is up when the acknowledgements can come in as well. */
  #subscribe(client: MqttClient): void {
    const deadline = this.#after(CONNECT_TIMEOUT_MS, () => this.#lost(client, 'no SUBACK in time'));
    client.subscribe([...this.#input.subscriptions], { qos: 1 }, (error, granted) => {
      deadline.cancel();
      if (client !== this.#client) return;
      const refused = granted?.find((grant) => grant.qos >= 0x80);
      if (error !== null || refused !== undefined)
        return this.#lost(client, `subscription refused: ${error?.message ?? refused?.topic}`);
      this.#up = true;
      this.#upSinceMs = this.#input.clock.monotonicMs();
      this.#input.events.up();
    });
  }

  #lost(client: MqttClient, reason: string, code?: number | string): void {
    if (client !== this.#client) return;
    this.#client = null;
    // Its listeners stay: MQTT.js ends its own timers by them (one of 10 s else holds up a stop), and ours know by
    // `#client` that what a dead client still has to say is of no interest.
    client.end(true);
    const wasUp = this.#up;
    this.#up = false;
    const url = this.#url();
    // 3.1.1 refuses with return code 1, MQTT 5 with reason code 0x84: unacceptable protocol version.
    const tryOlder = !wasUp && this.#protocol() === 5 && (code === 1 || code === 0x84);
    if (tryOlder) this.#protocolOf.set(url, 4);
    if (wasUp && this.#input.clock.monotonicMs() - this.#upSinceMs > STABLE_MS) this.#failures = 0;
    if (wasUp) this.#broker = 0;
    else if (!tryOlder) this.#broker = (this.#broker + 1) % this.#input.settings.brokers.length;
    if (wasUp) this.#input.events.down(reason);
    if (tryOlder) this.#connect();
    else this.#retry(`${url}: ${reason}`, wasUp);
  }

  #retry(reason: string, told = false): void {
    if (this.#closed) return;
    if (this.#failures === 0 && !told) this.#input.events.down(reason);
    const longestMs = this.#input.urgent() ? RECONNECT_LONGEST_URGENT_MS : RECONNECT_LONGEST_MS;
    const waitMs = this.#input.random() * Math.min(longestMs, RECONNECT_FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#connectAfter(waitMs);
  }

  /** Something urgent has come: if a long wait is under way, make it a short one. */
  hurry(): void {
    if (this.#client !== null || this.#closed) return;
    const waitMs = this.#input.random() * RECONNECT_LONGEST_URGENT_MS;
    if (this.#input.clock.monotonicMs() + waitMs < this.#retryDueMs) this.#connectAfter(waitMs);
  }

  #connectAfter(waitMs: number): void {
    this.#timer?.cancel();
    this.#retryDueMs = this.#input.clock.monotonicMs() + waitMs;
    this.#timer = this.#after(waitMs, () => this.#connect());
  }

  #url(): string {
    return this.#input.settings.brokers[this.#broker]?.url ?? '';
  }

  #protocol(): 4 | 5 {
    return this.#protocolOf.get(this.#url()) ?? 5;
  }

  #after(ms: number, call: () => void): Timer {
    const { clock } = this.#input;
    const running = clock.at(clock.monotonicMs() + ms, () => {
      this.#timers.delete(timer);
      call();
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        running.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  #options(): IClientOptions {
    const { settings, clientId, will } = this.#input;
    const { tls, user } = settings;
    const five = this.#protocol() === 5;
    return {
      protocolVersion: this.#protocol(),
      clientId,
      clean: false,
      keepalive: settings.keepAliveS,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      queueQoSZero: false,
      resubscribe: false,
      will: { topic: will.topic, payload: Buffer.from(will.payload()), qos: 1, retain: true },
      ...(user && { username: user.name, password: readFileSync(user.passwordFile, 'utf8').replace(/\r?\n$/, '') }),
      ...(tls && { ca: readFileSync(tls.caFile), rejectUnauthorized: true, minVersion: 'TLSv1.2' as const }),
      ...(tls?.certFile && tls.keyFile && { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }),
      ...(five && {
        properties: {
          sessionExpiryInterval: SESSION_EXPIRY_S,
          receiveMaximum: 16,
          maximumPacketSize: PACKET_BYTES_MAX,
        },
      }),
    };
  }
}

/** MQTT 5 repeats in its properties what the payload says. */
function propertiesOf({ expiryS, responseTopic, correlationId }: Publication) {
  return {
    contentType: 'application/json',
    payloadFormatIndicator: true,
    ...(expiryS !== undefined && { messageExpiryInterval: expiryS }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationId !== undefined && { correlationData: Buffer.from(correlationId) }),
  };
}
