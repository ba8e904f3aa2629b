// The heat of the phases, kept once a minute: it changes with every reading, and a whole state per feeder and minute would
// be most of what a quiet day writes. Five numbers per phase go into one row; a restart puts them into the state that was
// kept at the last decision.
import type { ThreePhases } from './control/types.ts';
import { PHASES } from './feeder.ts';
import type { Stamp } from './journal/records.ts';

export const KEEP_HEAT_EVERY_MS = 60_000;

/** Per phase: percent, at, amperes since, assumed until, percent of a transformer's winding. */
type Heat = readonly [number, number, number, number, number];
interface KeptHeat {
  readonly stamp: Stamp;
  readonly feeders: { readonly [feederId: string]: readonly (Heat | null)[] };
}

/** A feeder or the transformer. */
export interface Heated {
  readonly id: string;
  readonly thermal: unknown;
  readonly state: ThreePhases;
}

/** What is to be kept of those that have a thermal element; null where none has. */
export function heatToKeep(all: Iterable<Heated>, stamp: Stamp): string | null {
  const kept: Record<string, (Heat | null)[]> = {};
  for (const { id, thermal, state } of all) {
    if (thermal === undefined) continue;
    kept[id] = PHASES.map((name) => {
      const { known, heatPercent, heatMs, heatA, doubtUntilMs, windingPercent } = state[name].thermal;
      return known === 'yes' ? [heatPercent, heatMs, heatA, doubtUntilMs, windingPercent] : null;
    });
  }
  if (Object.keys(kept).length === 0) return null;
  return JSON.stringify({ stamp, feeders: kept } satisfies KeptHeat);
}

/** Puts heat that was kept later than the state, in the same boot, into that state. */
export function takeHeat(state: ThreePhases, id: string, keptAt: Stamp, body: string | null): void {
  if (body === null) return;
  const { stamp, feeders } = JSON.parse(body) as KeptHeat;
  if (stamp.bootId !== keptAt.bootId || stamp.monotonicMs < keptAt.monotonicMs) return;
  for (const [index, name] of PHASES.entries()) {
    const heat = feeders[id]?.[index];
    if (heat === undefined || heat === null || state[name]?.thermal === undefined) continue;
    const [heatPercent, heatMs, heatA, doubtUntilMs, windingPercent = 0] = heat;
    Object.assign(state[name].thermal, { known: 'yes', heatPercent, heatMs, heatA, doubtUntilMs, windingPercent });
  }
}
