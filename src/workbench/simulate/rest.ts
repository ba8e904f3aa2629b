// Readings that cannot matter are not stepped: while control is at rest and every phase is under its rating, no element
// can pick up, since the thermal state cannot reach 100 % there; a reading only warms or cools the thermal elements. That
// is done here, by the same formula, and written into control's state before the next reading that could matter. A year
// is nearly all such readings.
import type { ControlSettings, FeederState } from '../../control/types.ts';
import { PHASES } from '../../feeder.ts';
import { STEP_S } from './cars.ts';

interface Input {
  currentA: number;
  readonly quality: 'good';
}

export interface Reading {
  atMs: number;
  readonly L1: Input;
  readonly L2: Input;
  readonly L3: Input;
  readonly N: Input;
}

const STEP_MS = STEP_S * 1000;
/** Readings are at most this many steps apart. */
const STEPS_MAX = 60;

export class Rest {
  readonly #state: FeederState;
  readonly #underA: number;
  readonly #ratingA: number;
  readonly #decay: Float64Array;
  readonly #never: boolean;
  readonly #heat = new Float64Array(3);
  readonly #currentA = new Float64Array(3);
  #isResting = false;
  #atMs = 0;

  constructor(state: FeederState, { atRisk, thermal, emergency }: ControlSettings, never: boolean) {
    this.#state = state;
    this.#never = never || thermal === undefined || thermal.timeConstantMin !== thermal.coolingTimeConstantMin;
    this.#ratingA = thermal?.ratingA ?? 1;
    this.#underA = Math.min(this.#ratingA, atRisk.pickupA, emergency?.pickupA ?? Number.POSITIVE_INFINITY);
    const tauS = (thermal?.timeConstantMin ?? 1) * 60;
    this.#decay = Float64Array.from({ length: STEPS_MAX + 1 }, (_, steps) => Math.exp((-steps * STEP_S) / tauS));
  }

  /** Whether the reading cannot matter, and has been taken care of here. */
  take(reading: Reading): boolean {
    const { L1, L2, L3, atMs } = reading;
    const under = L1.currentA < this.#underA && L2.currentA < this.#underA && L3.currentA < this.#underA;
    if (this.#isResting) {
      const factor = this.#decay[(atMs - this.#atMs) / STEP_MS] as number;
      for (let phase = 0; phase < 3; phase++) {
        const share = (this.#currentA[phase] as number) / this.#ratingA;
        const steady = 100 * share * share;
        this.#heat[phase] = steady + ((this.#heat[phase] as number) - steady) * factor;
      }
      this.#isResting = under;
      if (!under) this.#wake(atMs);
    } else if (under && !this.#never && isAtRest(this.#state)) {
      this.#isResting = true;
      for (let phase = 0; phase < 3; phase++) this.#heat[phase] = this.#heatOf(phase, atMs);
    }
    this.#currentA[0] = L1.currentA;
    this.#currentA[1] = L2.currentA;
    this.#currentA[2] = L3.currentA;
    this.#atMs = atMs;
    return this.#isResting;
  }

  /** Heat of the state's element at `atMs`, its last reading having held until then. */
  #heatOf(phase: number, atMs: number): number {
    const { heatPercent, heatMs, heatA } = this.#state[PHASES[phase] ?? 'L1'].thermal;
    const steady = 100 * (heatA / this.#ratingA) ** 2;
    return steady + (heatPercent - steady) * Math.exp(Math.log(this.#decay[1] as number) * ((atMs - heatMs) / STEP_MS));
  }

  /** What the readings that were not stepped would have left in the state: the last of them, holding until `atMs`. */
  #wake(atMs: number): void {
    for (const [index, name] of PHASES.entries()) {
      const phase = this.#state[name];
      phase.usableMs = this.#atMs;
      phase.goodMs = this.#atMs;
      phase.currentA = this.#currentA[index] as number;
      phase.lastA = phase.currentA;
      phase.thermal.heatPercent = this.#heat[index] as number;
      phase.thermal.heatMs = atMs;
      phase.thermal.heatA = phase.currentA;
    }
    this.#state.steppedToMs = this.#atMs;
  }
}

function isAtRest(state: FeederState): boolean {
  if (state.episode !== null || state.alarms.length > 0 || state.heatAssumed) return false;
  return PHASES.every((name) => {
    const { fresh, quality, thermal, atRisk, emergency } = state[name];
    const isNormal = thermal.status === 'normal' && atRisk.status === 'normal' && emergency.status === 'normal';
    return fresh && quality === 'good' && thermal.known === 'yes' && isNormal;
  });
}
