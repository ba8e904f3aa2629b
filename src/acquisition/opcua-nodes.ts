// Which node carries what, the latest value of each, and the readings that they make. Also notices a subscription that
// has gone deaf: one whose items stay quiet while the check reads keep showing another value.
import { CONDUCTORS, PHASES, type QualityReason } from '../feeder.ts';
import type { InputSettings } from '../input-settings.ts';
import type { NodeValue } from './opcua-value.ts';
import type { Given, SourceReading } from './source-reading.ts';

interface Node {
  latest: NodeValue | null;
  /** What the subscription told last. */
  notified: Given | null;
  /** Since when the check reads show something else, without a word of the subscription since; null while they do not. */
  contradictedSinceMs: number | null;
}

/** A feeder that takes its currents from this source, and by which nodes. */
export interface NodeBinding {
  readonly feederId: string;
  readonly input: InputSettings;
}

export class NodeBook {
  readonly #sourceId: string;
  readonly #bindings: readonly NodeBinding[];
  readonly #nodes = new Map<string, Node>();
  readonly nodeIds: readonly string[];

  constructor(sourceId: string, bindings: readonly NodeBinding[]) {
    this.#sourceId = sourceId;
    this.#bindings = bindings;
    for (const { input } of bindings) {
      const { L1, L2, L3, N, power, liveness } = input;
      for (const id of [L1, L2, L3, N, power?.L1, power?.L2, power?.L3, liveness])
        if (id !== undefined) this.#nodes.set(id, { latest: null, notified: null, contradictedSinceMs: null });
    }
    this.nodeIds = [...this.#nodes.keys()];
  }

  /** Before a new session: what an earlier one gave is no reading of this one. */
  forget(): void {
    for (const node of this.#nodes.values()) {
      node.latest = null;
      node.notified = null;
      node.contradictedSinceMs = null;
    }
  }

  /** Takes values by their place in `nodeIds`. */
  take(values: ReadonlyMap<number, NodeValue>, how: 'notification' | 'read', atMs: number): void {
    for (const [index, value] of values) {
      const node = this.#nodes.get(this.nodeIds[index] ?? '');
      if (node === undefined) continue;
      node.latest = value;
      if (how === 'notification') {
        node.notified = value.given;
        node.contradictedSinceMs = null;
        // A node that the server does not have is never told of, and that is no fault of the subscription.
      } else if (value.given === 'unavailable' || (node.notified !== null && isSame(node.notified, value.given)))
        node.contradictedSinceMs = null;
      else node.contradictedSinceMs ??= atMs;
    }
  }

  isComplete(): boolean {
    for (const { latest } of this.#nodes.values()) if (latest === null) return false;
    return true;
  }

  /** The subscription has been silent about a node for longer than `graceMs` while the reads contradicted it. */
  isForgotten(nowMs: number, graceMs: number): boolean {
    for (const { contradictedSinceMs } of this.#nodes.values())
      if (contradictedSinceMs !== null && nowMs - contradictedSinceMs > graceMs) return true;
    return false;
  }

  /** Of every feeder, from the latest values. */
  readings(atMs: number): SourceReading[] {
    return this.#bindings.map(({ feederId, input }) => {
      const of = (id: string | undefined) =>
        id === undefined ? undefined : (this.#nodes.get(id)?.latest ?? undefined);
      const given = (id: string | undefined): Given => of(id)?.given ?? 'unavailable';
      const [L1, L2, L3, N] = CONDUCTORS.map((conductor) => given(input[conductor]));
      const power = PHASES.flatMap((phase) => {
        const watts = of(input.power?.[phase])?.given;
        return typeof watts === 'number' ? [[phase, watts] as const] : [];
      });
      const liveness = of(input.liveness)?.given;
      // The newest of the phases: that of a phase whose value has not changed may be as old as the value.
      const stamps = PHASES.flatMap((phase) => of(input[phase])?.sourceWallMs ?? []);
      return {
        feederId,
        sourceId: this.#sourceId,
        atMs,
        L1: L1 ?? 'unavailable',
        L2: L2 ?? 'unavailable',
        L3: L3 ?? 'unavailable',
        N: N ?? 'unavailable',
        ...(power.length > 0 && { powerW: Object.fromEntries(power) }),
        ...(typeof liveness === 'number' && { liveness }),
        ...(stamps.length > 0 && { sourceWallMs: Math.max(...stamps) }),
      };
    });
  }

  /** Of every feeder, while there are none. */
  faults(fault: QualityReason, atMs: number): SourceReading[] {
    const all = { L1: fault, L2: fault, L3: fault, N: fault };
    return this.#bindings.map(({ feederId }) => ({ feederId, sourceId: this.#sourceId, atMs, ...all }));
  }
}

function isSame(a: Given, b: Given): boolean {
  if (typeof a === 'object' && typeof b === 'object') return a.value === b.value;
  return a === b;
}
