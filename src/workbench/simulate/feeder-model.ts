// A radial LV feeder as the plant needs it: which home hangs on which phase, and of all its sections those that could
// be the first to be overloaded. Currents add up by magnitude from the homes to the head; losses and charging currents
// are left out.

/** A line as in the network models: between two buses, with a rating in A where that is known. */
export interface Line {
  readonly bus1: string;
  readonly bus2: string;
  readonly ratingA: number | null;
  readonly lengthM: number;
  /** Positive and zero sequence, ohm/km. */
  readonly r1: number;
  readonly r0: number;
}

export interface Load {
  readonly bus: string;
  /** 0, 1, 2. */
  readonly phase: number;
}

/** One phase of one section that is kept: `parent` is the next kept one towards the head, itself at the head. */
export interface Conductor {
  readonly phase: number;
  readonly ratingA: number;
  readonly parent: number;
  readonly homes: number;
  /** The same for the phases of one section; 0 for the head's. */
  readonly section: number;
}

export interface FeederModel {
  readonly name: string;
  /** Phase of each home, 0 to 2, and its deepest kept conductor. */
  readonly phaseOf: Uint8Array;
  readonly conductorOf: Int32Array;
  /** Parents before children; the first three are the head, L1 to L3. */
  readonly conductors: readonly Conductor[];
  /** Of the head section. */
  readonly headRatingA: number;
  /** All of its branches for the voltage, parents first; of each the own and mutual resistance of a phase, ohm. */
  readonly branches: {
    readonly parent: Int32Array;
    readonly ownOhm: Float32Array;
    readonly mutualOhm: Float32Array;
    /** The branch that each home hangs on. */
    readonly ofHome: Int32Array;
  };
}

const PHASE_COUNT = 3;

interface Branch {
  readonly bus: string;
  readonly parent: number;
  readonly line: Line | null;
  readonly homes: Int32Array;
}

/** Null where the head section has no known rating, or a home hangs on nothing. */
export function buildFeeder(
  name: string,
  lines: readonly Line[],
  loads: readonly Load[],
  sourceBus: string,
): FeederModel | null {
  const branches = branchesOf(lines, loads, sourceBus);
  const at = new Map(branches.map(({ bus }, index) => [bus, index]));
  if (loads.some(({ bus }) => !at.has(bus))) return null;
  const head = branches.find(({ parent }) => parent === 0);
  const headRatingA = head?.line?.ratingA ?? null;
  if (headRatingA === null) return null;
  const conductors: Conductor[] = [0, 1, 2].map((phase) => ({
    phase,
    ratingA: headRatingA,
    parent: phase,
    homes: branches[0]?.homes[phase] ?? 0,
    section: 0,
  }));
  const deepest = keepConductors(branches, conductors);
  const placed = loads.map(({ bus, phase }) => deepest[at.get(bus) ?? 0]?.[phase] ?? phase);
  return {
    name,
    phaseOf: Uint8Array.from(loads, ({ phase }) => phase),
    conductorOf: Int32Array.from(placed),
    conductors,
    headRatingA,
    branches: {
      parent: Int32Array.from(branches, ({ parent }) => parent),
      // Of sequence values: own (z0 + 2·z1)/3, mutual (z0 − z1)/3.
      ownOhm: Float32Array.from(branches, ({ line }) => ohms(line, (r1, r0) => (r0 + 2 * r1) / 3)),
      mutualOhm: Float32Array.from(branches, ({ line }) => ohms(line, (r1, r0) => (r0 - r1) / 3)),
      ofHome: Int32Array.from(loads, ({ bus }) => at.get(bus) ?? 0),
    },
  };
}

/** The tree from the source outwards, parents first, with the homes behind each branch per phase. */
function branchesOf(lines: readonly Line[], loads: readonly Load[], sourceBus: string): Branch[] {
  const near = new Map<string, Line[]>();
  for (const line of lines) {
    for (const bus of [line.bus1, line.bus2]) near.set(bus, [...(near.get(bus) ?? []), line]);
  }
  const branches: Branch[] = [{ bus: sourceBus, parent: -1, line: null, homes: new Int32Array(PHASE_COUNT) }];
  const seen = new Set([sourceBus]);
  for (let index = 0; index < branches.length; index++) {
    const bus = branches[index]?.bus ?? '';
    for (const line of near.get(bus) ?? []) {
      const far = line.bus1 === bus ? line.bus2 : line.bus1;
      if (seen.has(far)) continue;
      seen.add(far);
      branches.push({ bus: far, parent: index, line, homes: new Int32Array(PHASE_COUNT) });
    }
  }
  const at = new Map(branches.map(({ bus }, index) => [bus, index]));
  for (const { bus, phase } of loads) {
    for (let index = at.get(bus) ?? -1; index >= 0; index = branches[index]?.parent ?? -1) {
      const homes = branches[index]?.homes;
      if (homes !== undefined) homes[phase] = (homes[phase] ?? 0) + 1;
    }
  }
  return branches;
}

/**
 * A section is kept where it is rated lower than everything between it and the head: else what flows in it flows in
 * something no stronger as well, together with more. Gives the deepest kept conductor of each branch per phase.
 */
function keepConductors(branches: readonly Branch[], conductors: Conductor[]): number[][] {
  const deepest: number[][] = [[0, 1, 2]];
  for (const [index, { parent, line, homes }] of branches.entries()) {
    if (index === 0) continue;
    deepest.push(
      [0, 1, 2].map((phase) => {
        const above = deepest[parent]?.[phase] ?? phase;
        const kept = conductors[above];
        const ratingA = line?.ratingA ?? null;
        const count = homes[phase] ?? 0;
        if (ratingA === null || count === 0 || kept === undefined || ratingA >= kept.ratingA) return above;
        if (kept.homes === count) {
          // The same homes behind a weaker section: it takes the place of the stronger one.
          conductors[above] = { ...kept, ratingA };
          return above;
        }
        return conductors.push({ phase, ratingA, parent: above, homes: count, section: index }) - 1;
      }),
    );
  }
  return deepest;
}

function ohms(line: Line | null, perKm: (r1: number, r0: number) => number): number {
  return line === null ? 0 : (perKm(line.r1, line.r0) * line.lengthM) / 1000;
}
