// The devices behind a target group: HCALCS that know off and on, and smart chargers that take a level. They are made
// up from a seed, so that a run can be repeated; a real head end has them in its inventory, and the edge never sees
// one of them.
import { PHASES, type Phase } from '../../feeder.ts';
import { seededRandom } from '../seeded-random.ts';

/**
 * `apc`: a proportional controller that takes 7.16 (Limit APC Level). `apcState`: one that only takes 7.13 (Set
 * Auxiliary Controller State). `hcalcs`: a switch (7.6 and 7.8).
 */
export type DeviceKind = 'apc' | 'apcState' | 'hcalcs';

export interface Device {
  /** In the form of an EUI-64. */
  readonly deviceId: string;
  readonly kind: DeviceKind;
  /** 1 to 5: which auxiliary controller of its meter. */
  readonly controller: number;
  /** Null where the records do not say, which is common. */
  readonly phase: Phase | null;
  readonly ratedA: number;
  /** The permitted level that it was last sent, percent; 100 without a limit. */
  levelPercent: number;
  /** When that ends by itself, wall time. */
  untilWallMs: number;
}

export interface FleetOptions {
  readonly devices: number;
  /** 0 to 1: how many of them are switches, and how many of the rest take only a state. */
  readonly hcalcsShare: number;
  readonly stateShare: number;
  /** 0 to 1: how many stand on a phase that nobody knows. */
  readonly unknownPhaseShare: number;
}

const RATED_A = 32;

/** The same target group and seed give the same devices. */
export function makeFleet(targetGroupId: string, seed: number, options: FleetOptions): Device[] {
  const random = seededRandom(`${targetGroupId}/${seed}`);
  return Array.from({ length: options.devices }, (_, index) => {
    const kind = random() < options.hcalcsShare ? 'hcalcs' : random() < options.stateShare ? 'apcState' : 'apc';
    const known = random() >= options.unknownPhaseShare;
    return newDevice(targetGroupId, index, kind, known ? (PHASES[index % PHASES.length] ?? null) : null);
  });
}

export function newDevice(targetGroupId: string, index: number, kind: DeviceKind, phase: Phase | null): Device {
  const group = [...targetGroupId].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 65_536, 7);
  const digits = `90B3D5${group.toString(16).padStart(4, '0')}${index.toString(16).padStart(6, '0')}`.toUpperCase();
  const deviceId = digits.match(/../g)?.join('-') ?? digits;
  return { deviceId, kind, controller: 1, phase, ratedA: RATED_A, levelPercent: 100, untilWallMs: 0 };
}

/** Rated amperes per phase of these devices; those whose phase is not known are in none. */
export function ratedByPhase(devices: readonly Device[]): { [P in Phase]?: number } {
  const rated: { [P in Phase]?: number } = {};
  for (const { phase, ratedA } of devices) if (phase !== null) rated[phase] = (rated[phase] ?? 0) + ratedA;
  return rated;
}
