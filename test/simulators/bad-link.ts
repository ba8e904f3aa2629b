// A TCP wire between an edge and its broker that behaves as cellular links do: it takes its time, lets through so many
// bytes a second, breaks, breaks for one side only, or swallows everything for a while. What the edge hands to it is read
// as MQTT on the way, so that what was published, and when, is known apart from what the broker got.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Packet } from 'mqtt';

/** What `mqtt` itself reads packets with. */
interface Codec {
  parser(options: object): { on(event: string, call: (packet: Packet) => void): void; parse(chunk: Buffer): number };
}
const codec = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet') as Codec;

/** A message as the edge gave it to the wire. */
export interface Handed {
  readonly atMs: number;
  readonly topic: string;
  readonly payload: string;
}

/** A connection as the edge had it, from its CONNECT on; `closedMs` is Infinity while it stands. */
export interface EdgeSession {
  readonly openedMs: number;
  closedMs: number;
}

/** One direction of a connection: bytes in order, each when its time has come. */
class Direction {
  readonly #link: BadLink;
  readonly #to: Socket;
  readonly #waiting: { readonly chunk: Buffer | null; readonly dueMs: number }[] = [];
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Bytes go nowhere: the other side of a half-open connection. */
  isDeaf = false;

  constructor(link: BadLink, to: Socket) {
    this.#link = link;
    this.#to = to;
  }

  /** null is the end of the stream. */
  push(chunk: Buffer | null): void {
    if (this.isDeaf) return;
    const { leastDelayMs, mostDelayMs, bytesPerS } = this.#link.weather;
    const delayMs = leastDelayMs + this.#link.random() * (mostDelayMs - leastDelayMs);
    const takesMs = bytesPerS === null ? 0 : ((chunk?.length ?? 0) * 1000) / bytesPerS;
    this.#lastDueMs = Math.max(this.#lastDueMs, Date.now() + delayMs) + takesMs;
    this.#waiting.push({ chunk, dueMs: this.#lastDueMs });
    this.pass();
  }

  /** Lets through what is due; in a black hole nothing is. */
  pass(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#link.isBlackHole) return;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const waitMs = next.dueMs - Date.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pass(), Math.ceil(waitMs));
        return;
      }
      this.#waiting.shift();
      if (next.chunk === null) this.#to.destroy();
      else if (!this.#to.destroyed) this.#to.write(next.chunk);
    }
  }

  stop(): void {
    this.isDeaf = true;
    this.#waiting.length = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

interface Connection {
  readonly edge: Socket;
  readonly broker: Socket;
  readonly up: Direction;
  readonly down: Direction;
}

export class BadLink {
  readonly weather: { leastDelayMs: number; mostDelayMs: number; bytesPerS: number | null } = {
    leastDelayMs: 0,
    mostDelayMs: 0,
    bytesPerS: null,
  };
  readonly handed: Handed[] = [];
  readonly sessions: EdgeSession[] = [];
  readonly random: () => number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #isBlackHole = false;
  #brokerPort: number;

  private constructor(brokerPort: number, random: () => number) {
    this.#brokerPort = brokerPort;
    this.random = random;
    this.#server = createServer({ noDelay: true }, (edge) => this.#join(edge));
  }

  static async start(brokerPort: number, random: () => number): Promise<BadLink> {
    const link = new BadLink(brokerPort, random);
    link.#server.listen(0, '127.0.0.1');
    await once(link.#server, 'listening');
    return link;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get isBlackHole(): boolean {
    return this.#isBlackHole;
  }

  /** Nothing passes, and neither side is told. What it held comes through when it ends, as TCP would say it again. */
  set isBlackHole(on: boolean) {
    this.#isBlackHole = on;
    for (const { up, down } of this.#connections) {
      up.pass();
      down.pass();
    }
  }

  /** Both sides are told. */
  cut(): void {
    for (const connection of this.#connections) {
      connection.edge.resetAndDestroy();
      connection.broker.resetAndDestroy();
      this.#forget(connection);
    }
  }

  /** One side is told, and the other goes on into nothing. */
  halfOpen(unaware: 'edge' | 'broker'): void {
    for (const { edge, broker, up, down } of this.#connections) {
      up.stop();
      down.stop();
      (unaware === 'edge' ? broker : edge).resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(edge: Socket): void {
    const broker = connect({ port: this.#brokerPort, host: '127.0.0.1', noDelay: true });
    const connection = { edge, broker, up: new Direction(this, broker), down: new Direction(this, edge) };
    this.#connections.add(connection);
    const session = this.#read(edge);
    edge.on('data', (chunk) => connection.up.push(chunk));
    broker.on('data', (chunk) => connection.down.push(chunk));
    edge.on('error', () => {});
    broker.on('error', () => {});
    edge.on('close', () => {
      session().closedMs = Date.now();
      connection.up.push(null);
      if (broker.destroyed) this.#forget(connection);
    });
    broker.on('close', () => {
      connection.down.push(null);
      if (edge.destroyed) this.#forget(connection);
    });
  }

  /** Notes the edge's CONNECT and what it publishes; gives its session, an empty one before the CONNECT. */
  #read(edge: Socket): () => EdgeSession {
    let session: EdgeSession = { openedMs: 0, closedMs: 0 };
    const aliases = new Map<number, string>();
    // MQTT 5 until a CONNECT says otherwise; the parser itself takes the version from that.
    const parser = codec.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') {
        session = { openedMs: Date.now(), closedMs: Number.POSITIVE_INFINITY };
        this.sessions.push(session);
      } else if (packet.cmd === 'publish') {
        const alias = packet.properties?.topicAlias;
        if (alias !== undefined && packet.topic !== '') aliases.set(alias, packet.topic);
        const topic = packet.topic === '' && alias !== undefined ? (aliases.get(alias) ?? '') : packet.topic;
        this.handed.push({ atMs: Date.now(), topic, payload: packet.payload.toString() });
      }
    });
    edge.on('data', (chunk) => parser.parse(chunk));
    return () => session;
  }

  #forget(connection: Connection): void {
    connection.up.stop();
    connection.down.stop();
    this.#connections.delete(connection);
  }
}
