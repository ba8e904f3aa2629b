// An MQTT broker on a real socket that speaks 3.1.1 and 5, keeps every packet that it got, and misbehaves on demand:
// refuses a CONNACK, withholds or refuses PUBACKs, falls silent, cuts, and forgets everything. One edge at a time is
// enough for the tests; the head end speaks through `publish`.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { IPublishPacket, Packet } from 'mqtt';

type Of<C extends Packet['cmd']> = Extract<Packet, { cmd: C }>;

/** What `mqtt` itself reads and writes packets with. */
interface Codec {
  parser(options: object): { on(event: string, call: (packet: Packet) => void): void; parse(chunk: Buffer): number };
  generate(packet: object, options: object): Buffer;
}
const codec = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet') as Codec;

/** A packet from the edge. */
export interface Received {
  /** Counts connections from 1. */
  readonly connection: number;
  readonly packet: Packet;
}

export interface Publish {
  readonly connection: number;
  readonly topic: string;
  readonly text: string;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly messageId: number;
  readonly properties: NonNullable<IPublishPacket['properties']>;
}

interface Connection {
  readonly number: number;
  readonly socket: Socket;
  version: 4 | 5;
  clientId: string;
  /** Message ids that have had no PUBACK. */
  readonly inFlight: Set<number>;
  nextMessageId: number;
}

export class MqttBroker {
  /** Bytes that came in over all connections, and that went out. */
  bytesIn = 0;
  bytesOut = 0;
  /** Everything that came in, in order. */
  readonly received: Received[] = [];
  readonly retained = new Map<string, Publish>();
  /** The most that was unacknowledged at once. */
  mostInFlight = 0;
  versions: readonly (4 | 5)[] = [4, 5];
  /** Answers to the next CONNECTs; when they are used up, CONNECTs are accepted. */
  readonly refusals: number[] = [];
  receiveMaximum: number | null = null;
  topicAliasMaximum: number | null = null;
  maximumPacketSize: number | null = null;
  /** Hangs up without a CONNACK where this version is asked for. */
  deafTo: 4 | 5 | null = null;
  /** PUBACKs are kept back while true. */
  withholding = false;
  /** The PUBACK's reason code. */
  reasonCode: (publish: Publish) => number = () => 0;
  /** Called as soon as a message is in, before its PUBACK. */
  onPublish: (publish: Publish) => void = () => {};
  /** Reads on and says nothing. */
  blackHole = false;
  /** Commands that get no answer. */
  readonly unanswered = new Set<Packet['cmd']>();
  /** What a subscription is granted; 0x80 and above refuses it. */
  granted = 1;
  /** Milliseconds before each PUBACK. */
  pubackAfterMs = 0;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #subscriptions = new Map<string, Set<string>>();
  #accepted = 0;
  #port = 0;

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  static async start(): Promise<MqttBroker> {
    const broker = new MqttBroker();
    broker.#server.listen(0, '127.0.0.1');
    await once(broker.#server, 'listening');
    broker.#port = (broker.#server.address() as AddressInfo).port;
    return broker;
  }
  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  /** Connections that were opened, refused ones too. */
  get connects(): Of<'connect'>[] {
    return this.#of('connect');
  }

  get subscribes(): Of<'subscribe'>[] {
    return this.#of('subscribe');
  }

  /** Message ids of the PUBACKs that the edge has sent. */
  get pubacks(): number[] {
    return this.#of('puback').map(({ messageId }) => messageId ?? 0);
  }

  /** What the edge published, in the order of arrival. */
  publishes(topic?: string | RegExp): Publish[] {
    const all = this.received.flatMap(({ connection, packet }) =>
      packet.cmd === 'publish' ? [publishOf(connection, packet)] : [],
    );
    if (topic === undefined) return all;
    return all.filter((one) => (typeof topic === 'string' ? one.topic === topic : topic.test(one.topic)));
  }

  /** Says a message to whoever has subscribed, at QoS 1; gives its message id, 0 when nobody listens. */
  publish(topic: string, payload: string | Buffer | object, messageId?: number): number {
    let sent = 0;
    const bytes =
      typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.from(payload) : JSON.stringify(payload);
    for (const connection of this.#connections) {
      const filters = [...(this.#subscriptions.get(connection.clientId) ?? [])];
      if (!filters.some((filter) => matches(filter, topic))) continue;
      sent = messageId ?? nextId(connection);
      this.#send(connection, {
        cmd: 'publish',
        topic,
        payload: bytes,
        qos: 1,
        retain: false,
        dup: messageId !== undefined,
        messageId: sent,
      });
    }
    return sent;
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** Ends every connection with the reason code of MQTT 5. */
  disconnect(reasonCode: number): void {
    for (const connection of this.#connections) {
      this.#send(connection, { cmd: 'disconnect', reasonCode });
      connection.socket.end();
    }
  }

  /** Stops to listen, and cuts. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** Listens again on the same port, with all that was kept or, with `forget`, with nothing. */
  async resume({ forget = false } = {}): Promise<void> {
    if (forget) {
      this.retained.clear();
      this.#subscriptions.clear();
    }
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close(): Promise<void> {
    return this.stop();
  }

  #of<C extends Packet['cmd']>(cmd: C): Of<C>[] {
    return this.received.flatMap(({ packet }) => (packet.cmd === cmd ? [packet as Of<C>] : []));
  }

  #serve(socket: Socket): void {
    const connection: Connection = {
      number: ++this.#accepted,
      socket,
      version: 4,
      clientId: '',
      inFlight: new Set(),
      nextMessageId: 1,
    };
    this.#connections.add(connection);
    const parser = codec.parser({});
    parser.on('packet', (packet) => this.#take(connection, packet));
    parser.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      this.bytesIn += chunk.length;
      parser.parse(chunk);
    });
    // An edge that gives up is what many tests are about.
    socket.on('error', () => {});
    socket.on('close', () => this.#connections.delete(connection));
  }

  #take(connection: Connection, packet: Packet): void {
    this.received.push({ connection: connection.number, packet });
    if (this.blackHole || this.unanswered.has(packet.cmd)) return;
    switch (packet.cmd) {
      case 'connect':
        return this.#connect(connection, packet);
      case 'subscribe':
        return this.#subscribe(connection, packet);
      case 'unsubscribe':
        this.#send(connection, { cmd: 'unsuback', messageId: packet.messageId, granted: [0] });
        for (const topic of packet.unsubscriptions) this.#subscriptions.get(connection.clientId)?.delete(topic);
        return;
      case 'publish':
        return this.#publish(connection, publishOf(connection.number, packet));
      case 'pingreq':
        return this.#send(connection, { cmd: 'pingresp' });
      case 'disconnect':
        connection.socket.end();
    }
  }

  #connect(connection: Connection, packet: Of<'connect'>): void {
    const version = packet.protocolVersion === 5 ? 5 : 4;
    if (this.deafTo === version) return void connection.socket.destroy();
    const spoken = this.versions.includes(version);
    // A broker that knows no MQTT 5 refuses in the older form.
    connection.version = spoken ? version : 4;
    connection.clientId = packet.clientId;
    const code = this.refusals.shift() ?? (spoken ? 0 : 1);
    const known = this.#subscriptions.has(packet.clientId);
    const { receiveMaximum, topicAliasMaximum, maximumPacketSize } = this;
    const announced = Object.entries({ receiveMaximum, topicAliasMaximum, maximumPacketSize });
    const maximum = version === 5 ? Object.fromEntries(announced.filter(([, value]) => value !== null)) : {};
    this.#send(connection, {
      cmd: 'connack',
      sessionPresent: code === 0 && known,
      reasonCode: code,
      returnCode: code,
      properties: maximum,
    });
    if (code !== 0) connection.socket.end();
  }

  #subscribe(connection: Connection, packet: Of<'subscribe'>): void {
    const filters = this.#subscriptions.get(connection.clientId) ?? new Set();
    this.#subscriptions.set(connection.clientId, filters);
    for (const { topic } of packet.subscriptions) filters.add(topic);
    this.#send(connection, {
      cmd: 'suback',
      messageId: packet.messageId,
      granted: packet.subscriptions.map(() => this.granted),
    });
    for (const { topic, text } of this.retained.values()) {
      if (!packet.subscriptions.some((subscription) => matches(subscription.topic, topic))) continue;
      const messageId = nextId(connection);
      this.#send(connection, { cmd: 'publish', topic, payload: text, qos: 1, retain: true, dup: false, messageId });
    }
  }

  #publish(connection: Connection, publish: Publish): void {
    connection.inFlight.add(publish.messageId);
    this.mostInFlight = Math.max(this.mostInFlight, connection.inFlight.size);
    this.onPublish(publish);
    if (this.withholding) return;
    const reasonCode = this.reasonCode(publish);
    if (publish.retain && reasonCode < 0x80) this.retained.set(publish.topic, publish);
    const answer = () => {
      connection.inFlight.delete(publish.messageId);
      this.#send(connection, { cmd: 'puback', messageId: publish.messageId, reasonCode });
    };
    if (this.pubackAfterMs > 0) setTimeout(answer, this.pubackAfterMs);
    else answer();
  }

  #send(connection: Connection, packet: object): void {
    if (this.blackHole || connection.socket.destroyed) return;
    const bytes = codec.generate(packet, { protocolVersion: connection.version });
    this.bytesOut += bytes.length;
    connection.socket.write(bytes);
  }
}

/** Ids are two bytes, and never 0. */
function nextId(connection: Connection): number {
  const id = connection.nextMessageId;
  connection.nextMessageId = (id % 65_535) + 1;
  return id;
}

function publishOf(connection: number, packet: IPublishPacket): Publish {
  const { topic, payload, retain, dup, messageId = 0, properties = {} } = packet;
  return { connection, topic, text: payload.toString(), retain, dup, messageId, properties };
}

/** Whether a topic falls under a subscription. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const given = topic.split('/');
  if (wanted.at(-1) === '#') return wanted.slice(0, -1).every((part, index) => part === '+' || part === given[index]);
  return wanted.length === given.length && wanted.every((part, index) => part === '+' || part === given[index]);
}
