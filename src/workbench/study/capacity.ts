// How many cars a feeder can host: the largest of the nested sets with no violation in any seed's year, and with a
// controller only within the customers' budget. A set is given up at its first violation, or when more customer-years
// are over the budget than all that are left could make good.
import type { Car } from '../simulate/cars.ts';
import { type ControllerName, loopOf, type Stress } from '../simulate/controllers.ts';
import type { Plant, YearResult } from '../simulate/plant.ts';

const BUDGET = { occasions: 4, minutes: 40 };
/** Of customer-years; the rest may be over. */
const WITHIN_SHARE = 0.95;

export interface Probe {
  readonly plant: Plant;
  readonly cars: readonly Car[];
  readonly controller: ControllerName;
  readonly seeds: number;
  /** Of the first of them; 1 unless given. */
  readonly firstSeed?: number | undefined;
  readonly stress?: Stress | undefined;
  /** How many sections downstream have a meter of their own; none unless given. */
  readonly sections?: number | undefined;
}

export interface Outcome {
  readonly evs: number;
  readonly violatedYears: number;
  readonly occasionsPerCustomerYearMean: number;
  readonly occasionsPerCustomerYearP95: number;
  readonly minutesPerCustomerYearMean: number;
  readonly minutesPerCustomerYearP95: number;
  readonly minutesPerOccasionMean: number;
  readonly minutesPerOccasionP95: number;
  readonly unfinishedSharePercent: number;
  readonly peakThermalPercent: number;
  readonly overRatingHalfHoursPerYear: number;
  readonly overFuseSPerYear: number;
  readonly lowestVoltageV: number;
  readonly episodesPerYear: number;
}

/** Without a controller more cars are never better, so each seed can only lower what the ones before left. −1: too many without any. */
export function capacityWithout(probe: Probe): number {
  const { cars } = probe;
  let best = cars.length;
  const bare = { ...probe, controller: 'none' } as const;
  const holds = (evs: number, seed: number) => !yearOf(bare, seed, cars.slice(0, evs), true).isViolated;
  for (const seed of seedsOf(probe)) {
    if (best < 0) break;
    if (holds(best, seed)) continue;
    best = largest(-1, best, (evs) => holds(evs, seed));
  }
  return best;
}

/** −1 where not even `from` cars can be hosted. */
export function capacityWith(probe: Probe, from: number, isBudgeted: boolean): number {
  const most = probe.cars.length;
  const holds = (evs: number) => isHosted(probe, evs, isBudgeted);
  if (holds(most)) return most;
  // What a good controller reaches is tried first, since a set that fails is known soon and one that holds is not.
  const guess = Math.min(most - 1, Math.ceil(from * 1.6));
  return climb(holds(guess) ? largest(guess, most, holds) : largest(-1, guess, holds), most, holds);
}

/** With control a set that fails may have one above it that holds: a few are looked at. */
function climb(found: number, most: number, holds: (evs: number) => boolean): number {
  for (let evs = found + 2; evs <= Math.min(most, found + 4); evs++) if (holds(evs)) found = evs;
  return found;
}

/** The largest count from `holding` (known to hold) to under `failing`, by halves. */
function largest(holding: number, failing: number, holds: (evs: number) => boolean): number {
  while (failing - holding > 1) {
    const middle = (holding + failing) >> 1;
    if (holds(middle)) holding = middle;
    else failing = middle;
  }
  return holding;
}

function isHosted(probe: Probe, evs: number, isBudgeted: boolean): boolean {
  const { cars, seeds } = probe;
  const mayBeOver = (1 - WITHIN_SHARE) * evs * seeds;
  let overOccasions = 0;
  let overMinutes = 0;
  const set = cars.slice(0, evs);
  for (const seed of seedsOf(probe)) {
    const { isViolated, occasions, minutes } = yearOf(probe, seed, set, true);
    if (isViolated) return false;
    if (!isBudgeted) continue;
    overOccasions += count(occasions, BUDGET.occasions);
    overMinutes += count(minutes, BUDGET.minutes);
    if (overOccasions > mayBeOver || overMinutes > mayBeOver) return false;
  }
  return true;
}

/** Everything that is told of a set over all seeds. */
export function outcomeOf(probe: Probe, evs: number): Outcome {
  const { cars, seeds } = probe;
  const set = cars.slice(0, evs);
  const years = seedsOf(probe).map((seed) => yearOf(probe, seed, set, false));
  const occasions = years.flatMap((year) => [...year.occasions]);
  const minutes = years.flatMap((year) => [...year.minutes]);
  // What an occasion took of a customer, as the mean over that customer's year.
  const perOccasion = minutes.flatMap((taken, at) => ((occasions[at] ?? 0) > 0 ? [taken / (occasions[at] ?? 1)] : []));
  const sum = (of: (year: YearResult) => number) => years.reduce((total, year) => total + of(year), 0);
  return {
    evs,
    violatedYears: years.filter(({ isViolated }) => isViolated).length,
    occasionsPerCustomerYearMean: mean(occasions),
    occasionsPerCustomerYearP95: quantile(occasions, WITHIN_SHARE),
    minutesPerCustomerYearMean: mean(minutes),
    minutesPerCustomerYearP95: quantile(minutes, WITHIN_SHARE),
    minutesPerOccasionMean: total(minutes) / Math.max(1, total(occasions)),
    minutesPerOccasionP95: quantile(perOccasion, WITHIN_SHARE),
    unfinishedSharePercent:
      (100 * sum(({ unfinished }) => unfinished)) /
      Math.max(
        1,
        sum(({ sessions }) => sessions),
      ),
    peakThermalPercent: Math.max(...years.map(({ peakThermalPercent }) => peakThermalPercent)),
    overRatingHalfHoursPerYear: sum(({ overRatingHalfHours }) => overRatingHalfHours) / seeds,
    overFuseSPerYear: sum(({ overFuseS }) => overFuseS) / seeds,
    lowestVoltageV: Math.min(...years.map(({ lowestVoltageV }) => lowestVoltageV)),
    episodesPerYear: sum(({ episodes }) => episodes) / seeds,
  };
}

function yearOf(
  { plant, controller, stress, sections }: Probe,
  seed: number,
  set: readonly Car[],
  stopAtViolation: boolean,
): YearResult {
  return plant.run(seed, set, {
    stopAtViolation,
    loop: loopOf(plant, controller, seed, { stress, sections }),
    outage: stress?.outage,
  });
}

function seedsOf({ seeds, firstSeed = 1 }: Probe): number[] {
  return Array.from({ length: seeds }, (_, at) => firstSeed + at);
}

function count(values: Iterable<number>, over: number): number {
  let sum = 0;
  for (const value of values) if (value > over) sum++;
  return sum;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : total(values) / values.length;
}

/** The value that the share of all values are at or under. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
