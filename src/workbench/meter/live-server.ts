// An OPC UA source as an engineer looks at it: a session as the controller makes it, under the same trust, read round by
// round; status code and source time stamp of every node beside what becomes of its value. Nothing is subscribed.
import { openSession, type Session } from '../../acquisition/opcua-session.ts';
import { trustFolder } from '../../acquisition/opcua-trust.ts';
import type { NodeValue } from '../../acquisition/opcua-value.ts';
import { type Clock, isoTime, systemClock } from '../../clock.ts';
import { CONDUCTORS, PHASES, type QualityReason, rounded } from '../../feeder.ts';
import type { FeederSettings } from '../../feeder-settings.ts';
import type { InputSettings } from '../../input-settings.ts';
import type { Settings } from '../../settings.ts';
import type { OpcuaSettings } from '../../source-settings.ts';
import { judged, type LiveSource, type MeterRound, type NodeRow, type Taker } from './round.ts';

/** One node that a feeder names. */
interface NamedNode {
  readonly nodeId: string;
  readonly quantity: string;
  readonly conductor: string | null;
  readonly unit: string;
  readonly taker: Taker;
}

export class LiveServer implements LiveSource {
  readonly #settings: OpcuaSettings;
  readonly #folder: string;
  readonly #nodes: readonly NamedNode[];
  readonly #clock: Clock = systemClock();
  readonly #faults: Record<string, number> = {};
  #session: Session | null = null;
  #lost: string | null = null;
  #reads = 0;

  constructor(settings: Settings, source: OpcuaSettings) {
    this.#settings = { ...source, mode: 'poll' };
    this.#folder = settings.journal.path;
    this.#nodes = settings.feeders.flatMap((feeder) => namedNodes(feeder, source.id));
  }

  close(): void {
    this.#session?.close();
  }

  async round(): Promise<MeterRound> {
    let values: readonly NodeValue[] | null = null;
    let [roundTripMs, detail]: [number | null, string | null] = [null, null];
    try {
      const session = await this.#open();
      const sentMs = this.#clock.monotonicMs();
      values = await this.#read(session);
      roundTripMs = rounded(this.#clock.monotonicMs() - sentMs, 1);
      this.#reads += 1;
      detail = session.agreed;
    } catch (error) {
      detail = this.#lost ?? (error as Error).message.split('\n')[0] ?? '';
      this.#faults['noAnswer'] = (this.#faults['noAnswer'] ?? 0) + 1;
      // Whatever it was, the next round begins anew.
      this.#session?.close();
      this.#session = null;
    }
    const nodes = this.#nodes.map((node, index) => rowOf(node, values?.[index] ?? null));
    return {
      source: this.#settings.id,
      at: isoTime(this.#clock.wallMs()),
      ok: values !== null && nodes.every(({ quality }) => quality !== 'bad'),
      roundTripMs,
      reads: this.#reads,
      faults: this.#faults,
      detail,
      nodes,
    };
  }

  async #open(): Promise<Session> {
    if (this.#session !== null) return this.#session;
    this.#lost = null;
    const lost = (detail: string) => {
      this.#lost = detail;
      this.#session = null;
    };
    const nodeIds = this.#nodes.map(({ nodeId }) => nodeId);
    const input = { settings: this.#settings, folder: trustFolder(this.#folder), nodeIds, clock: this.#clock };
    this.#session = await openSession(input, { changed() {}, unchanged() {}, lost });
    return this.#session;
  }

  async #read(session: Session): Promise<readonly NodeValue[]> {
    const { timeoutMs } = this.#settings;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const error = new Error(`no answer within ${timeoutMs} ms`);
    const timer = this.#clock.at(this.#clock.monotonicMs() + timeoutMs, () => reject(error));
    return await Promise.race([session.read(), late]).finally(() => timer.cancel());
  }
}

function namedNodes(feeder: FeederSettings, sourceId: string): NamedNode[] {
  const { currents, backup, ctRatio } = feeder;
  const of = (input: InputSettings, taker: Taker): NamedNode[] => {
    const named = (nodeId: string | undefined, quantity: string, conductor: string | null, unit: string) =>
      nodeId === undefined ? [] : [{ nodeId, quantity, conductor, unit, taker }];
    return [
      ...CONDUCTORS.flatMap((conductor) => named(input[conductor], 'current', conductor, 'A')),
      ...PHASES.flatMap((phase) => named(input.power?.[phase], 'power', phase, 'W')),
      ...named(input.liveness, 'liveness', null, ''),
    ];
  };
  return [
    ...(currents.source === sourceId ? of(currents, { feeder, ratio: ctRatio }) : []),
    ...(backup?.source === sourceId ? of(backup, { feeder, ratio: backup.ctRatio }) : []),
  ];
}

const SILENT: QualityReason = 'noAnswer';

function rowOf({ nodeId, quantity, conductor, unit, taker }: NamedNode, value: NodeValue | null): NodeRow {
  return {
    quantity,
    conductor,
    nodeId,
    status: value === null ? null : `0x${value.status.toString(16).toUpperCase().padStart(8, '0')}`,
    sourceAt: value?.sourceWallMs == null ? null : isoTime(value.sourceWallMs),
    unit,
    ...judged(quantity, value?.given ?? SILENT, taker),
  };
}
