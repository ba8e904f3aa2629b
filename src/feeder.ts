// The shared nouns of the data path: phases, readings and their quality, and the names that control, journal, uplink
// and the workbench use for the same things. It imports nothing, so that every folder may import it.

/** The phase conductors of an LV feeder, in the order in which they are always shown. */
export const PHASES = ['L1', 'L2', 'L3'] as const;
export type Phase = (typeof PHASES)[number];

/** The conductors that a meter may give a current for. */
export const CONDUCTORS = ['L1', 'L2', 'L3', 'N'] as const;
export type Conductor = (typeof CONDUCTORS)[number];

/**
 * `good`: may do everything. `uncertain`: usable, so it may pick up and hold, but it never releases and is never
 * headroom. `bad`: there is no ampere at all, and never a 0 in its place.
 */
export type Quality = 'good' | 'uncertain' | 'bad';

/** Why a reading is not `good`; `derived` alone says where a good one is from. */
export type QualityReason =
  | 'noAnswer'
  | 'exception'
  | 'invalidFrame'
  | 'disconnected'
  | 'sentinel'
  | 'notANumber'
  | 'beyondRegister'
  | 'overCtRange'
  | 'unavailable'
  | 'frozen'
  | 'step'
  | 'phasesApart'
  | 'neutralTooLarge'
  | 'sourceTime'
  | 'sourceDoubts'
  | 'sourceBad'
  /** Of apparent power and voltage; as good as they are. */
  | 'derived'
  /** A neutral that was not measured. */
  | 'estimated';

/** One conductor at one instant. `currentA` is the magnitude in primary amperes, and null exactly when `quality` is `bad`. */
export interface ConductorReading {
  readonly currentA: number | null;
  readonly quality: Quality;
  readonly reason: QualityReason | null;
}

/** What one scan knows of one feeder: taken from one telegram, so the phases belong to one instant. */
export interface FeederReading {
  readonly feederId: string;
  readonly sourceId: string;
  /** Monotonic arrival in milliseconds since boot. */
  readonly atMs: number;
  readonly L1: ConductorReading;
  readonly L2: ConductorReading;
  readonly L3: ConductorReading;
  /** The latest neutral, which may be older than the phases where it needs a telegram of its own. */
  readonly N: ConductorReading;
  /** The phases that feed back, as far as the sign of their power is confirmed: a magnitude alone has no direction. */
  readonly exporting: readonly Phase[];
}

/** What watches a conductor: each picks up, operates and drops out by itself. In the order in which they are shown. */
export const ELEMENTS = ['atRisk', 'emergency', 'inverse', 'thermal', 'transformer'] as const;
export type Element = (typeof ELEMENTS)[number];

/** Those with a delay of their own, and so a pickup and a dropout in amperes. */
export const DELAYED_ELEMENTS = ['atRisk', 'emergency', 'inverse'] as const satisfies readonly Element[];

/** What a curtailment request does: `limit` sets a level, `refresh` keeps it longer, `release` ends it. */
export type RequestAction = 'limit' | 'refresh' | 'release';

/** Amperes (or percent) per phase; a phase that is not concerned is absent. */
export type PerPhase<T> = { readonly [P in Phase]?: T };

/** A milliamp-exact number for people and messages: floats of the meter carry digits that mean nothing. */
export function rounded(value: number, decimals = 2): number {
  const scale = 10 ** decimals;
  return Math.round(value * scale) / scale;
}
