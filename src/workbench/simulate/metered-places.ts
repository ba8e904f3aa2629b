// Where the currents of a feeder are metered, and what each place may carry: its head, and the sections downstream that
// the head shows least, where they are given a meter of their own.
import type { Conductor } from './feeder-model.ts';

export interface MeteredPlace {
  /** `F1` for the head; `F1-S12` for section 12. */
  readonly id: string;
  /** Indices of its conductors for L1 to L3; null for a phase that it does not have, or that cannot be overloaded there. */
  readonly conductors: readonly (number | null)[];
  /** At which it and everything below it that has no meter of its own is within its ratings, A. */
  readonly ratingA: number;
}

/** A section whose standard deviation is more than this of its mean says nothing of the current at the meter. */
const CHANCE_SHARE = 0.5;
/** By how many standard deviations of its share a weak section may be above the mean. */
const SPREAD_DEVIATIONS = 0.75;
/** A charger draws this, A: the lump in which a section's share varies. */
const LUMP_A = 32;

/** The head, then `sections` of those downstream, the one first that would lower the head's rating the most. */
export function meteredPlaces(
  conductors: readonly Conductor[],
  sections: number,
): readonly [MeteredPlace, ...MeteredPlace[]] {
  const headA = new Map<number, number>();
  for (const conductor of conductors.slice(3)) {
    const equivalent = equivalentA(conductor, conductors[conductor.phase]);
    headA.set(conductor.section, Math.min(headA.get(conductor.section) ?? equivalent, equivalent));
  }
  const weakest = [...headA].sort(([, a], [, b]) => a - b).map(([section]) => section);
  const metered = new Set([0, ...weakest.slice(0, sections)]);
  const place = (section: number) => placeOf(conductors, metered, section);
  return [place(0), ...[...metered].slice(1).map(place)];
}

function placeOf(conductors: readonly Conductor[], metered: ReadonlySet<number>, section: number): MeteredPlace {
  const own = [0, 1, 2].map((phase) => {
    const index = conductors.findIndex((one) => one.section === section && one.phase === phase);
    return index < 0 ? null : index;
  });
  let ratingA = Number.POSITIVE_INFINITY;
  for (const conductor of conductors) {
    const meter = conductors[meterOf(conductors, metered, conductor)];
    if (meter?.section !== section) continue;
    const equivalent = equivalentA(conductor, meter);
    const share = conductor.homes / meter.homes;
    if (Math.sqrt((LUMP_A * (1 - share)) / (share * equivalent)) > CHANCE_SHARE) continue;
    ratingA = Math.min(ratingA, equivalent);
  }
  return { id: section === 0 ? 'F1' : `F1-S${section}`, conductors: own, ratingA };
}

/** The nearest conductor towards the head whose current is metered. */
function meterOf(conductors: readonly Conductor[], metered: ReadonlySet<number>, conductor: Conductor): number {
  let index = conductors.indexOf(conductor);
  while (!metered.has(conductors[index]?.section ?? 0)) index = conductors[index]?.parent ?? 0;
  return index;
}

/**
 * The current at a meter at which the conductor below it may be at its own rating. One with a share p of the homes of
 * its phase carries p of the meter's current on average, and more by chance: cars come in lumps of 32 A, so its current
 * spreads by the square root of 32·I·p·(1 − p). Infinite where there are no homes.
 */
function equivalentA({ ratingA, homes }: Conductor, meter: Conductor | undefined): number {
  const all = meter?.homes ?? 0;
  if (all === 0) return Number.POSITIVE_INFINITY;
  const share = homes / all;
  // share·x + deviations·sqrt(32·share·(1 − share)·x) = rating, for the square root of x
  const spread = SPREAD_DEVIATIONS * Math.sqrt(LUMP_A * share * (1 - share));
  const root = (-spread + Math.sqrt(spread * spread + 4 * share * ratingA)) / (2 * share);
  return root * root;
}
