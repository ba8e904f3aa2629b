// The pieces of a study that stand for themselves: each is one row of a table, computed by a worker, and known by its own
// content, so that what is done already is not done again.
import type { ControllerName, Stress } from '../simulate/controllers.ts';
import type { StudyData } from '../simulate/data.ts';
import type { PlantOptions } from '../simulate/plant.ts';
import { feederOf, type Half, scenarioOf } from '../simulate/scenario.ts';
import { capacityWith, capacityWithout, type Outcome, outcomeOf } from './capacity.ts';

export interface Job {
  readonly feeder: string;
  readonly plant: PlantOptions;
  /** Whose drivers; those of the feeder's own half unless given. */
  readonly half?: Half | undefined;
  readonly controller: ControllerName;
  readonly stress?: Stress | undefined;
  /** How many sections downstream have a meter of their own; none unless given. */
  readonly sections?: number | undefined;
  readonly seeds: number;
  /** 1 unless given. */
  readonly firstSeed?: number | undefined;
  /** How many cars: as many as can be hosted, within the budget or at any cost to customers; or a number. */
  readonly evs: 'budgeted' | 'safe' | number;
}

export interface JobResult {
  readonly half: Half;
  readonly homes: number;
  readonly ratingA: number;
  /** The most cars that there could be. */
  readonly carsMax: number;
  /** −1: too many without any; so is the outcome's. */
  readonly evs: number;
  readonly outcome: Outcome | null;
}

/** What a feeder hosts without control, which every controller's search starts from: found once. */
const bareCapacities = new Map<string, number>();

export function runJob(
  data: StudyData,
  { feeder: name, plant: options, half, controller, stress, sections, seeds, firstSeed, evs: wanted }: Job,
): JobResult {
  const feeder = feederOf(data, name);
  const scenario = scenarioOf(data, feeder, options, half);
  const { plant, cars } = scenario;
  const probe = { plant, cars, controller, stress, sections, seeds, firstSeed };
  const found = () => {
    const key = JSON.stringify([name, options, half, stress, seeds, firstSeed]);
    const bare = bareCapacities.get(key) ?? capacityWithout(probe);
    bareCapacities.set(key, bare);
    return controller === 'none' ? bare : capacityWith(probe, Math.max(1, bare), wanted === 'budgeted');
  };
  const evs = typeof wanted === 'number' ? wanted : found();
  return {
    half: scenario.half,
    homes: feeder.phaseOf.length,
    ratingA: feeder.headRatingA,
    carsMax: cars.length,
    evs,
    outcome: evs < 0 ? null : outcomeOf(probe, evs),
  };
}
