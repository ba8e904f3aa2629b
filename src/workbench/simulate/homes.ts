// What the homes of a feeder draw in a seed's year: each home takes a profile a day, at random. The profiles of all sets
// lie in one table of amperes, so that a home of a day is an offset into it and a factor.
import { seededRandom } from '../seeded-random.ts';
import { DAYS, HOME_POWER_FACTOR, type HomeProfiles, SLOTS_PER_DAY, VOLTAGE_V } from './data.ts';
import type { FeederModel } from './feeder-model.ts';

export interface HomesOfYear {
  /** Amperes: the profiles one after the other, of SLOTS_PER_DAY each. */
  readonly table: Float32Array;
  /** Where in the table each home's day begins: day × homes + home. */
  readonly offset: Int32Array;
  /** The same for its heat pump; -1 for none. Null where no home has one. */
  readonly heatPumpOffset: Int32Array | null;
  /** What the profiles of a day are multiplied by. */
  readonly factor: Float32Array;
  /** What heat pumps are multiplied by: with the season, 1 on the coldest days. */
  readonly heatFactor: Float32Array;
}

/** Makes years for one feeder: the table is shared by all of them. */
export function homesMaker(
  feeder: FeederModel,
  profiles: HomeProfiles,
  heatPumpShare: number,
): (seed: number) => HomesOfYear {
  const { winter, summer, heatPump, seasonKwh } = profiles;
  const table = tableOf([...winter, ...summer, ...heatPump]);
  const season = seasonOf(seasonKwh);
  const homes = feeder.phaseOf.length;
  const random = seededRandom(`${feeder.name}/heat pumps`);
  const hasHeatPump = Array.from({ length: homes }, () => random() < heatPumpShare);
  return (seed) => {
    const draw = seededRandom(`${feeder.name}/${seed}/homes`);
    const offset = new Int32Array(DAYS * homes);
    const heatPumpOffset = heatPumpShare > 0 ? new Int32Array(DAYS * homes).fill(-1) : null;
    for (let day = 0; day < DAYS; day++) {
      const isWinter = season.isWinter[day] === 1;
      const first = isWinter ? 0 : winter.length;
      const count = isWinter ? winter.length : summer.length;
      for (let home = 0; home < homes; home++) {
        offset[day * homes + home] = (first + Math.floor(draw() * count)) * SLOTS_PER_DAY;
        if (heatPumpOffset === null) continue;
        const which = winter.length + summer.length + Math.floor(draw() * heatPump.length);
        if (hasHeatPump[home]) heatPumpOffset[day * homes + home] = which * SLOTS_PER_DAY;
      }
    }
    return { table, offset, heatPumpOffset, factor: season.factor, heatFactor: season.heatFactor };
  };
}

/** The root mean square of any one home over the thermal time constant, A: the highest that a day of one brings. */
export function heaviestHomeA({ winter, summer }: HomeProfiles, decayPerSlot: number): number {
  let highest = 0;
  for (const profile of [...winter, ...summer]) {
    let heat = 0;
    // Twice: the second day begins as hot as the first left it.
    for (let slot = 0; slot < 2 * SLOTS_PER_DAY; slot++) {
      const currentA = amperes(profile[slot % SLOTS_PER_DAY] ?? 0);
      heat = currentA * currentA + (heat - currentA * currentA) * decayPerSlot;
      highest = Math.max(highest, heat);
    }
  }
  return Math.sqrt(highest);
}

function seasonOf(seasonKwh: Float32Array) {
  const highest = Math.max(...seasonKwh);
  const lowest = Math.min(...seasonKwh);
  const isWinter = Uint8Array.from(seasonKwh, (kwh) => (kwh >= (highest + lowest) / 2 ? 1 : 0));
  const meanOf = (winter: number) => {
    const days = [...seasonKwh].filter((_, day) => isWinter[day] === winter);
    return days.reduce((sum, kwh) => sum + kwh, 0) / Math.max(1, days.length);
  };
  // Winter profiles are of a day of the highest season, summer profiles of the mean of the lower half.
  const reference = [meanOf(0), highest];
  return {
    isWinter,
    factor: Float32Array.from(seasonKwh, (kwh, day) => kwh / (reference[isWinter[day] ?? 0] ?? 1)),
    heatFactor: Float32Array.from(seasonKwh, (kwh) => (kwh - lowest) / (highest - lowest)),
  };
}

function tableOf(profiles: readonly Float32Array[]): Float32Array {
  const table = new Float32Array(profiles.length * SLOTS_PER_DAY);
  for (const [index, profile] of profiles.entries()) table.set(profile.map(amperes), index * SLOTS_PER_DAY);
  return table;
}

function amperes(kw: number): number {
  return (kw * 1000) / (VOLTAGE_V * HOME_POWER_FACTOR);
}
