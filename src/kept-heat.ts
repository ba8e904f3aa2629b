// The heat of the phases, kept once a minute: it changes with every reading, and a whole state per feeder and minute would
// be most of what a quiet day writes. Four numbers per phase go into one row; a restart puts them into the state that was
// kept at the last decision.
import type { FeederState } from './control/types.ts';
import { PHASES } from './feeder.ts';
import type { Stamp } from './journal/records.ts';

export const KEEP_HEAT_EVERY_MS = 60_000;

/** Per phase: percent, at, amperes since, assumed until. */
type Heat = readonly [number, number, number, number];
interface KeptHeat {
  readonly stamp: Stamp;
  readonly feeders: { readonly [feederId: string]: readonly (Heat | null)[] };
}

/** What is to be kept of the feeders that have a thermal element; null where none has. */
export function heatToKeep(
  feeders: Iterable<{
    readonly settings: { readonly id: string };
    readonly control: { readonly thermal?: unknown };
    readonly state: FeederState;
  }>,
  stamp: Stamp,
): string | null {
  const kept: Record<string, (Heat | null)[]> = {};
  for (const { settings, control, state } of feeders) {
    if (control.thermal === undefined) continue;
    kept[settings.id] = PHASES.map((name) => {
      const { known, heatPercent, heatMs, heatA, doubtUntilMs } = state[name].thermal;
      return known === 'yes' ? [heatPercent, heatMs, heatA, doubtUntilMs] : null;
    });
  }
  if (Object.keys(kept).length === 0) return null;
  return JSON.stringify({ stamp, feeders: kept } satisfies KeptHeat);
}

/** Puts heat that was kept later than the state, in the same boot, into that state. */
export function takeHeat(state: FeederState, feederId: string, keptAt: Stamp, body: string | null): void {
  if (body === null) return;
  const { stamp, feeders } = JSON.parse(body) as KeptHeat;
  if (stamp.bootId !== keptAt.bootId || stamp.monotonicMs < keptAt.monotonicMs) return;
  for (const [index, name] of PHASES.entries()) {
    const heat = feeders[feederId]?.[index];
    if (heat === undefined || heat === null || state[name]?.thermal === undefined) continue;
    const [heatPercent, heatMs, heatA, doubtUntilMs] = heat;
    Object.assign(state[name].thermal, { known: 'yes', heatPercent, heatMs, heatA, doubtUntilMs });
  }
}
