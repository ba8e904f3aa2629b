// The connection to one broker at a time: connects, waits with jitter, tries the next broker of the list, goes back to
// the preferred one, and tells when it is up. MQTT 5 where the broker speaks it, else 3.1.1. Every connect is a new
// client object: MQTT.js stops for good after one refused CONNACK, reconnects in step with every other client, and
// reads certificates once.
import { createRequire } from 'node:module';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import type { Clock, Timer } from '../clock.ts';
import type { UplinkSettings } from '../uplink-settings.ts';
import { BrokerList } from './broker-list.ts';
import { type CertificateEnd, CertificateEnds } from './certificate-ends.ts';
import { type Credentials, endsOf, fingerprintOf, readCredentials } from './credentials.ts';
import { CONNECT_TIMEOUT_MS, connectOptions, type Publication, propertiesOf } from './packets.ts';
import { type Probe, probe } from './probe.ts';
import { alarmOf, type LinkAlarm, reasonOf, TAKEN_OVER, wantsOlder, wordsOf } from './refusals.ts';

interface LinkEvents {
  up(): void;
  down(reason: string): void;
  /** Something that people have to see to; null when it is well again. */
  alarm(alarm: LinkAlarm, reason: string | null): void;
  /** `done` sends the PUBACK, so it is called once the message is kept. */
  message(topic: string, payload: Uint8Array, retained: boolean, done: () => void): void;
}

/** Opens a connection to a broker; MQTT.js does in service. */
export type Connect = (url: string, options: IClientOptions) => MqttClient;

export interface LinkInput {
  readonly settings: UplinkSettings;
  readonly connect?: Connect | undefined;
  /** At once unless given. */
  readonly connectAfterMs?: number | undefined;
  /** Looks whether a broker can be reached; where `connect` is given there is none unless given. */
  readonly probe?: Probe | undefined;
  readonly clientId: string;
  readonly will: { readonly topic: string; readonly payload: () => string };
  readonly subscriptions: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  /** Something urgent waits: look for a broker more often. */
  readonly urgent: () => boolean;
  readonly events: LinkEvents;
}

/** Loaded with the first connection: loading takes longer than the meters take to answer. */
const library = createRequire(import.meta.url);
const mqttJs: Connect = (url, options) => (library('mqtt') as typeof import('mqtt')).connect(url, options);

const HUNG_UP = 'the connection closed';
/** Waits are drawn between nothing and these, so that ten thousand substations do not come back in the same second. */
const RECONNECT_LONGEST_MS = 60_000;
const RECONNECT_LONGEST_URGENT_MS = 5_000;
const RECONNECT_FIRST_MS = 500;
/** A link that stood and broke may have broken for everybody at once: a twentieth of them a second is what a broker takes. */
const RECONNECT_SPREAD_MS = 20_000;
/** Only a link that has stood this long counts as recovered. */
const STABLE_MS = 60_000;
/** A PUBACK that takes longer than this belongs to a dead link: MQTT.js may never settle it. */
const PUBACK_TIMEOUT_MS = 15_000;
/** Even where the broker allows more: what is in flight is what has to be said again. */
const IN_FLIGHT_MAX = 16;
/** What topic, properties and header of a packet come to at most, beside its payload. */
const PROPERTIES_BYTES = 512;
/** Another client has this substation's id: to come back at once would only take the session back and forth. */
const TAKEN_OVER_WAIT_MS = 300_000;
/** How often the files of `tls` and `user` are looked at, and the ends of all certificates. */
const LOOK_EVERY_MS = 60_000;
/** How long a link to a lesser broker stands before the preferred one is looked for; doubled while that leads to none. */
const RETURN_AFTER_MS = 600_000;
const RETURN_LONGEST_MS = 4 * 3_600_000;

export class Link {
  readonly #input: LinkInput;
  readonly #brokers: BrokerList;
  readonly #probe: Probe | null;
  #client: MqttClient | null = null;
  #up = false;
  /** The client had a CONNACK: what fails later is not for the want of another version. */
  #answered = false;
  /** 3.1.1 is tried for the one reason that the broker hung up. */
  #guessedOlder = false;
  #closed = false;
  /** How often the whole list has been tried in vain. */
  #rounds = 0;
  /** A link has stood since the program began. */
  #stood = false;
  /** That there is no link has been said. */
  #saidDown = false;
  #upSinceMs = 0;
  #timer: Timer | null = null;
  #retryDueMs = 0;
  #notBeforeMs = 0;
  /** Every timer that runs, so that none holds up the program after `close`. */
  readonly #timers = new Set<Timer>();
  #inFlight = 0;
  #inFlightMax = IN_FLIGHT_MAX;
  #packetBytesMax = Number.POSITIVE_INFINITY;
  /** Of the files that the present connection was begun with. */
  #fingerprint = '';
  readonly #ends = new CertificateEnds();
  #returnAfterMs = RETURN_AFTER_MS;
  /** Those that stand, with what was said of them. */
  readonly #alarms = new Map<LinkAlarm, string>();
  /** Topics that the broker did not let us publish on. */
  readonly #refusedTopics = new Set<string>();

  constructor(input: LinkInput) {
    this.#input = input;
    this.#brokers = new BrokerList(input.settings.brokers);
    this.#probe = input.probe ?? (input.connect === undefined ? probe : null);
    if (input.connectAfterMs === undefined) this.#connect();
    else this.#connectAfter(input.connectAfterMs);
    this.#lookLater();
  }

  /** The broker of the present or the next connection. */
  get broker(): string {
    return this.#brokers.url;
  }

  /** When the certificates of this substation, its authority and the broker end. */
  get certificateEnds(): readonly CertificateEnd[] {
    return this.#ends.all;
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** How many more publications the broker takes now. */
  get room(): number {
    return this.#up ? this.#inFlightMax - this.#inFlight : 0;
  }

  /** Whether the broker would take a message of this size; it ends the connection for a larger one. */
  fits({ payload }: Publication): boolean {
    return Buffer.byteLength(payload) + PROPERTIES_BYTES <= this.#packetBytesMax;
  }

  /** Raises the alarm for a message that does not fit, and gives its words. */
  tooLarge({ topic, payload }: Publication): string {
    const words = `${Buffer.byteLength(payload)} bytes are more than the packets of ${this.#packetBytesMax} bytes that the broker takes`;
    this.#raise('tooLarge', `${this.#brokers.url}: ${topic}: ${words}`);
    return words;
  }

  /**
   * Sends one message at QoS 1, at once. `done` is called at most once, with null when the broker took it or the reason
   * when it refused; when the link breaks it is not called, `down` is.
   */
  publish(publication: Publication, done: (refused: string | null) => void): void {
    const client = this.#client;
    if (client === null || !this.#up) return;
    if (!this.fits(publication)) return this.#input.clock.afterTurn(() => done(this.tooLarge(publication)));
    this.#inFlight += 1;
    const deadline = this.#after(PUBACK_TIMEOUT_MS, () => this.#lost(client, 'no PUBACK in time'));
    const { topic, payload, retain } = publication;
    const properties = this.#brokers.version === 5 ? propertiesOf(publication) : null;
    client.publish(topic, payload, { qos: 1, retain, ...(properties && { properties }) }, (error, packet) => {
      deadline.cancel();
      if (client !== this.#client || !this.#up) return;
      this.#inFlight -= 1;
      // MQTT.js makes an error of a PUBACK that refuses.
      const code = (error as { code?: unknown } | null)?.code;
      if (error === undefined || error === null || typeof code === 'number') {
        const reasonCode =
          typeof code === 'number' ? code : (packet as { reasonCode?: number } | undefined)?.reasonCode;
        return done(this.#verdict(topic, reasonCode ?? 0));
      }
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
    const credentials = this.#readFiles();
    if (typeof credentials === 'string') return this.#retry(credentials, true);
    this.#fingerprint = fingerprintOf(credentials);
    this.#warnOfEnds();
    this.#inFlight = 0;
    this.#answered = false;
    const { connect = mqttJs } = this.#input;
    const { settings, clientId, will } = this.#input;
    const { url, version } = this.#brokers;
    const said = { topic: will.topic, payload: will.payload() };
    const given = { url, version, clientId, keepAliveS: settings.keepAliveS, will: said };
    const client = connect(url, connectOptions(given, credentials));
    this.#client = client;
    client.on('connect', (packet) => {
      if (client !== this.#client) return;
      const { receiveMaximum, maximumPacketSize } = packet.properties ?? {};
      this.#inFlightMax = Math.max(1, Math.min(IN_FLIGHT_MAX, receiveMaximum ?? IN_FLIGHT_MAX));
      this.#packetBytesMax = maximumPacketSize ?? Number.POSITIVE_INFINITY;
      this.#answered = true;
      (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
      this.#noteBrokerCertificate(client);
      this.#subscribe(client);
    });
    client.on('error', (error) => this.#lost(client, wordsOf(error), (error as { code?: number | string }).code));
    client.on('disconnect', ({ reasonCode = 0 }) =>
      this.#lost(client, `disconnected by the broker: ${reasonOf(reasonCode)}`, reasonCode),
    );
    client.on('close', () => this.#lost(client, HUNG_UP));
    client.handleMessage = (packet: IPublishPacket, done) => {
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      this.#input.events.message(packet.topic, payload, packet.retain, () => done());
    };
  }

  /** The link is up when the acknowledgements can come in as well. */
  #subscribe(client: MqttClient): void {
    const deadline = this.#after(CONNECT_TIMEOUT_MS, () => this.#lost(client, 'no SUBACK in time'));
    // What we say ourselves is not to come back to us.
    const noLocal = this.#brokers.version === 5 && { nl: true };
    client.subscribe([...this.#input.subscriptions], { qos: 1, ...noLocal }, (error, granted) => {
      deadline.cancel();
      if (client !== this.#client) return;
      const refused = granted?.find((grant) => grant.qos >= 0x80);
      if (error !== null || refused !== undefined) {
        const code = refused?.qos ?? (error as { code?: number | string } | null)?.code;
        // 3.1.1 knows one code for all refusals of a subscription, and as a rule it is the ACL's.
        return this.#lost(
          client,
          `subscription refused: ${error?.message ?? refused?.topic}`,
          refused !== undefined && code === 0x80 ? 0x87 : code,
        );
      }
      this.#up = true;
      this.#stood = true;
      this.#saidDown = false;
      this.#upSinceMs = this.#input.clock.monotonicMs();
      for (const alarm of ['notTrusted', 'sessionTakenOver', 'notAuthorised', 'tooLarge'] as const)
        this.#raise(alarm, null);
      this.#returnLater(client);
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
    const told = `${this.#brokers.url}: ${reason}`;
    const alarm = alarmOf(code);
    if (alarm !== null) this.#raise(alarm, told);
    const older = this.#tryOlder(code, reason === HUNG_UP);
    if (wasUp && this.#input.clock.monotonicMs() - this.#upSinceMs > STABLE_MS) this.#rounds = 0;
    if (wasUp) this.#brokers.restart();
    const roundOver = wasUp || (older === 'no' && this.#brokers.next());
    if (wasUp) this.#sayDown(reason);
    if (older === 'now') this.#connect();
    else this.#retry(told, roundOver, code === TAKEN_OVER ? TAKEN_OVER_WAIT_MS : 0);
  }

  /**
   * A broker that says that it has no MQTT 5 is spoken to in 3.1.1 at once. One that only hangs up before its CONNACK
   * may be such a one: it gets one try in 3.1.1, and is begun with 5 again after that.
   */
  #tryOlder(code: number | string | undefined, hungUp: boolean): 'now' | 'later' | 'no' {
    const guessed = this.#guessedOlder;
    this.#guessedOlder = false;
    if (guessed) this.#brokers.speak(5);
    if (guessed || this.#answered || !this.#brokers.mayBeOlder) return 'no';
    if (!wantsOlder(code) && !hungUp) return 'no';
    this.#brokers.speak(4);
    this.#guessedOlder = !wantsOlder(code);
    return this.#guessedOlder ? 'later' : 'now';
  }

  /** The brokers of the list are tried one soon after the other; before the list is begun again comes the long wait. */
  #retry(reason: string, roundOver: boolean, leastMs = 0): void {
    if (this.#closed) return;
    this.#sayDown(reason);
    this.#notBeforeMs = this.#input.clock.monotonicMs() + leastMs;
    this.#connectAfter(leastMs + this.#input.random() * (roundOver ? this.#longestWaitMs() : RECONNECT_FIRST_MS));
    if (roundOver) this.#rounds += 1;
  }

  /** Once for each time without a link, with its first reason. */
  #sayDown(reason: string): void {
    if (!this.#saidDown) this.#input.events.down(reason);
    this.#saidDown = true;
  }

  #longestWaitMs(): number {
    const grownMs = RECONNECT_FIRST_MS * 2 ** Math.min(this.#rounds, 10);
    const wantedMs = this.#stood ? Math.max(RECONNECT_SPREAD_MS, grownMs) : grownMs;
    return Math.min(this.#input.urgent() ? RECONNECT_LONGEST_URGENT_MS : RECONNECT_LONGEST_MS, wantedMs);
  }

  /** Something urgent has come: if a long wait is under way, make it a short one. */
  hurry(): void {
    if (this.#client !== null || this.#closed || this.#input.clock.monotonicMs() < this.#notBeforeMs) return;
    const waitMs = this.#input.random() * RECONNECT_LONGEST_URGENT_MS;
    if (this.#input.clock.monotonicMs() + waitMs < this.#retryDueMs) this.#connectAfter(waitMs);
  }

  #connectAfter(waitMs: number): void {
    this.#timer?.cancel();
    this.#retryDueMs = this.#input.clock.monotonicMs() + waitMs;
    this.#timer = this.#after(waitMs, () => this.#connect());
  }

  // ── files, certificates and the way back to the preferred broker ────────────────────────────────────────────────

  /** The alarm says what is wrong with them, and so does the answer. */
  #readFiles(): Credentials | string {
    try {
      const { settings } = this.#input;
      const credentials = readCredentials(settings);
      this.#ends.ofFiles(endsOf(settings, credentials));
      this.#raise('credentials', null);
      return credentials;
    } catch (error) {
      const { message } = error as Error;
      this.#raise('credentials', message);
      return message;
    }
  }

  /** New files are used at once where they fit together; else the link that stands is kept. */
  #lookLater(): void {
    this.#after(LOOK_EVERY_MS, () => {
      this.#lookLater();
      const credentials = this.#readFiles();
      this.#warnOfEnds();
      if (typeof credentials === 'string' || !this.#up) return;
      if (fingerprintOf(credentials) !== this.#fingerprint) this.#leave('the files of tls or user have changed');
    });
  }

  #noteBrokerCertificate(client: MqttClient): void {
    const stream = client.stream as { getPeerX509Certificate?: () => { validTo: string } | undefined };
    const certificate = stream.getPeerX509Certificate?.();
    if (certificate === undefined) return;
    this.#ends.ofBroker(this.#brokers.url, Date.parse(certificate.validTo));
    this.#warnOfEnds();
  }

  #warnOfEnds(): void {
    const due = this.#ends.due(this.#input.clock.wallMs());
    // One more that comes due is named, though the alarm stands.
    if (due !== this.#alarms.get('certificateExpiry')) this.#raise('certificateExpiry', due, 'anew');
  }

  /** While a lesser broker serves, the preferred ones are looked for now and then. */
  #returnLater(client: MqttClient): void {
    const { preferred } = this.#brokers;
    const look = this.#probe;
    if (preferred.length === 0) this.#returnAfterMs = RETURN_AFTER_MS;
    if (preferred.length === 0 || look === null) return;
    this.#after(this.#returnAfterMs * (1 + this.#input.random()), async () => {
      if (client !== this.#client || !this.#up) return;
      const url = await this.#firstReached(preferred, look);
      if (client !== this.#client || !this.#up) return;
      if (url === null) return this.#returnLater(client);
      this.#returnAfterMs = Math.min(RETURN_LONGEST_MS, this.#returnAfterMs * 2);
      this.#leave(`back to ${url}`, url);
    });
  }

  async #firstReached(urls: readonly string[], look: Probe): Promise<string | null> {
    const credentials = this.#readFiles();
    if (typeof credentials === 'string') return null;
    for (const url of urls) if (await look(url, credentials)) return url;
    return null;
  }

  /** Ends a good link and makes another, never both at once. */
  #leave(reason: string, url?: string): void {
    const client = this.#client;
    if (client === null) return;
    this.#client = null;
    this.#up = false;
    this.#sayDown(reason);
    let gone = false;
    const go = () => {
      if (gone || this.#closed) return;
      gone = true;
      if (url === undefined) this.#brokers.restart();
      else this.#brokers.choose(url);
      this.#connectAfter(0);
    };
    client.end(false, () => go());
    this.#after(1_000, () => {
      client.stream?.destroy();
      go();
    });
  }

  /** Null where the broker took it; what it refuses for want of permission is an alarm until it takes something again. */
  #verdict(topic: string, reasonCode: number): string | null {
    if (reasonCode < 0x80) {
      if (this.#refusedTopics.delete(topic) && this.#refusedTopics.size === 0) this.#raise('notAuthorised', null);
      return null;
    }
    if (alarmOf(reasonCode) === 'notAuthorised') {
      this.#refusedTopics.add(topic);
      this.#raise('notAuthorised', `${this.#brokers.url} refuses ${topic}: ${reasonOf(reasonCode)}`);
    }
    return reasonOf(reasonCode);
  }

  /** Once while it stands, unless it is to be said `anew`. */
  #raise(alarm: LinkAlarm, reason: string | null, again?: 'anew'): void {
    const stood = this.#alarms.has(alarm);
    if (reason === null ? !stood : stood && again === undefined) return;
    if (reason === null) this.#alarms.delete(alarm);
    else this.#alarms.set(alarm, reason);
    this.#input.events.alarm(alarm, reason);
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
}
