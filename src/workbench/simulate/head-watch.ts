// What is reported beside the thermal state: half hours over the rating and time above the fuse at the head, and the lowest
// voltage at a home, looked for whenever a phase is higher than it ever was.
import { STEP_S, STEPS_PER_DAY } from './cars.ts';
import { SLOTS_PER_DAY, VOLTAGE_V } from './data.ts';
import type { FeederModel } from './feeder-model.ts';
import type { YearResult } from './plant.ts';
import { lowestVoltageV } from './voltage.ts';

export const SLOT_STEPS = STEPS_PER_DAY / SLOTS_PER_DAY;
const SLOTS_PER_HALF_HOUR = 6;

export class HeadWatch {
  readonly #fuseA: number;
  readonly #feeder: FeederModel;
  #overHalfHours = 0;
  #overFuseSteps = 0;
  readonly #halfHour = new Float64Array(3);
  readonly #highest = new Float64Array(3);
  #lowestV = VOLTAGE_V;

  constructor(feeder: FeederModel, fuseA: number) {
    this.#feeder = feeder;
    this.#fuseA = fuseA;
  }

  /** True where a phase is higher than ever before, which may make the lowest voltage. */
  add(step: number, next: number, currentsA: Float64Array): boolean {
    const halfHour = this.#halfHour;
    let over = false;
    let isHighest = false;
    for (let phase = 0; phase < 3; phase++) {
      const currentA = currentsA[phase] as number;
      halfHour[phase] = (halfHour[phase] as number) + currentA * (next - step);
      if (currentA > 1.25 * this.#fuseA) over = true;
      if (currentA <= (this.#highest[phase] as number)) continue;
      this.#highest[phase] = currentA;
      isHighest = true;
    }
    if (over) this.#overFuseSteps += next - step;
    if (next % (SLOT_STEPS * SLOTS_PER_HALF_HOUR) !== 0) return isHighest;
    const limit = this.#feeder.headRatingA * SLOT_STEPS * SLOTS_PER_HALF_HOUR;
    if ((halfHour[0] as number) > limit || (halfHour[1] as number) > limit || (halfHour[2] as number) > limit)
      this.#overHalfHours++;
    halfHour.fill(0);
    return isHighest;
  }

  voltage(homeA: Float64Array): void {
    this.#lowestV = Math.min(this.#lowestV, lowestVoltageV(this.#feeder, homeA));
  }

  result(): Pick<YearResult, 'overRatingHalfHours' | 'overFuseS' | 'lowestVoltageV'> {
    return {
      overRatingHalfHours: this.#overHalfHours,
      overFuseS: this.#overFuseSteps * STEP_S,
      lowestVoltageV: this.#lowestV,
    };
  }
}
