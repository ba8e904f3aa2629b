// The head end of the bench: one subscriber that notes everything that is said, as it comes, in evening time. It takes
// Headroom's contract and the bench's own small one (JOB.md), and acknowledges where there is something to acknowledge.
import mqtt from 'mqtt';

/** A request as it arrived, or one that is told of afterwards, which asks nobody for anything. */
export interface Said {
  readonly feeder: string;
  readonly id: string;
  readonly sequence: number;
  readonly action: 'limit' | 'refresh' | 'release';
  /** The id of the request that it openly takes the place of. */
  readonly supersedes: string | null;
  /** When the contestant decided, by its own clock, ms since 1970. */
  readonly decidedWallMs: number;
  readonly validUntilWallMs: number;
  readonly arrivedMs: number;
  readonly afterwards: boolean;
}

export class HeadEnd {
  readonly said: Said[] = [];
  /** Messages that the head end could not read. */
  readonly unread: string[] = [];
  readonly #client: mqtt.MqttClient;
  readonly #now: () => number;

  private constructor(client: mqtt.MqttClient, now: () => number) {
    this.#client = client;
    this.#now = now;
    client.on('message', (topic, payload, { retain }) => {
      if (!retain) this.#take(topic, payload);
    });
  }

  static async start(brokerPort: number, now: () => number): Promise<HeadEnd> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${brokerPort}`, { protocolVersion: 5 });
    const headEnd = new HeadEnd(client, now);
    await client.subscribeAsync('#', { qos: 1 });
    return headEnd;
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }

  #take(topic: string, payload: Buffer): void {
    const arrivedMs = this.#now();
    try {
      const message = JSON.parse(payload.toString());
      const [root, , , , feeder, kind, ...more] = topic.split('/');
      if (root === 'evening') this.#small(topic.split('/')[1] ?? '', message, arrivedMs);
      else if (kind === 'curtailment' && more.length === 0)
        this.#request(topic, feeder ?? '', message, arrivedMs, false);
      else if (kind === 'event' && message.historical === true && message.request !== undefined)
        this.#request(topic, feeder ?? '', message.request, arrivedMs, true);
    } catch (error) {
      this.unread.push(`${topic}: ${(error as Error).message}`);
    }
  }

  #small(feeder: string, message: Record<string, unknown>, arrivedMs: number): void {
    const { id, at } = message;
    this.#keep(feeder, message, { id, at, arrivedMs, afterwards: false });
  }

  #request(
    topic: string,
    feeder: string,
    message: Record<string, unknown>,
    arrivedMs: number,
    afterwards: boolean,
  ): void {
    const { requestId, sequence, issuedAt } = message;
    if (!afterwards) {
      const ack = {
        schema: 'headroom/v1/curtailment/ack',
        requestId,
        sequence,
        status: 'applied',
        at: new Date().toISOString(),
      };
      this.#client.publish(`${topic}/ack`, JSON.stringify(ack), { qos: 1 });
    }
    this.#keep(feeder, message, { id: requestId, at: issuedAt, arrivedMs, afterwards });
  }

  #keep(
    feeder: string,
    { sequence, action, validUntil, supersedes = null }: Record<string, unknown>,
    { id, at, ...rest }: { id: unknown; at: unknown; arrivedMs: number; afterwards: boolean },
  ): void {
    this.said.push({
      feeder,
      id: String(id),
      sequence: Number(sequence),
      action: action === 'limit' || action === 'refresh' ? action : 'release',
      supersedes: supersedes === null ? null : String(supersedes),
      decidedWallMs: Date.parse(String(at)),
      validUntilWallMs: Date.parse(String(validUntil)),
      ...rest,
    });
  }
}
