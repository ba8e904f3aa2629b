// What a simulated feeder is made of: the homes' profiles, the season, the drivers and their charging sessions, the
// feeders, and the measured average that the fleet is held against. From recorded data where its folder is given; else
// a synthetic set that is made here. Which of the two, and what is assumed, goes with every result.
import type { FeederModel } from './feeder-model.ts';

export const DAYS = 365;
/** Profiles are in slots of five minutes. */
export const SLOTS_PER_DAY = 288;
/** Phase to neutral, V, and the homes' power factor, as in the IEEE European LV test feeder; chargers are at 1. */
export const VOLTAGE_V = 230;
export const HOME_POWER_FACTOR = 0.95;

/** Profiles of one day each, kW in every slot. */
export interface HomeProfiles {
  readonly winter: readonly Float32Array[];
  readonly summer: readonly Float32Array[];
  /** Of the IEEE European LV feeder, a day of winter; none in synthetic data. */
  readonly ieee: readonly Float32Array[];
  readonly heatPump: readonly Float32Array[];
  /** Energy of the average home on each day of a year that begins on a Monday, kWh: turns days into a year. */
  readonly seasonKwh: Float32Array;
}

export interface Session {
  /** Minutes after midnight. */
  readonly plugInMin: number;
  readonly connectedH: number;
  readonly energyKwh: number;
  readonly isWeekend: boolean;
}

/** One driver's habits: the sessions that were seen, and how many there are a day. */
export interface Driver {
  readonly chargerA: number;
  readonly sessionsPerDay: number;
  readonly sessions: readonly Session[];
}

/** Measured average demand per car over a day, kW in every minute. */
export interface FleetCurve {
  readonly name: string;
  readonly chargerA: number;
  readonly isWeekend: boolean;
  readonly kw: Float32Array;
}

export interface StudyData {
  readonly origin: 'recorded' | 'synthetic';
  readonly homes: HomeProfiles;
  readonly drivers: readonly Driver[];
  /** The IEEE European LV feeder first. */
  readonly feeders: readonly FeederModel[];
  readonly fleetCurves: readonly FleetCurve[];
  readonly assumptions: readonly string[];
}
