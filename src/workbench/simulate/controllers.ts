// The controllers that a plant can have, by name, and what can go wrong around them: each makes the loop of one year.
import type { Action } from '../../control/types.ts';
import { seededRandom } from '../seeded-random.ts';
import type { Chargers } from './chargers.ts';
import { Edge, Life } from './edge.ts';
import { CHAIN, type ChainOptions, HeadEndChain } from './head-end.ts';
import { wallMsOf } from './messenger.ts';
import { type MeteredPlace, meteredPlaces } from './metered-places.ts';
import type { Loop, Outage, Plant } from './plant.ts';
import { EveningCapLoop, ThresholdLoop } from './simple-controllers.ts';
import { thresholds } from './thresholds.ts';

/**
 * `threshold`: off and on with hysteresis (the kind of My Electric Avenue). `cap`: 4.2 kW on the same alarm (Germany's
 * section 14a). `evening`: half the rate on working days, 16:30 to 19:30 (Electric Nation, Flexpower).
 */
export const CONTROLLERS = ['none', 'threshold', 'cap', 'evening', 'onOff', 'proportional'] as const;
export type ControllerName = (typeof CONTROLLERS)[number];

/** What goes wrong around the controller, every day of the year. */
export interface Stress {
  readonly chain?: Partial<ChainOptions>;
  readonly meterFactor?: number;
  readonly diesAfterS?: number;
  readonly outage?: Outage;
}

export interface LoopOptions {
  readonly stress?: Stress | undefined;
  /** How many sections downstream have a meter as well, the weakest first. */
  readonly sections?: number | undefined;
  readonly action?: (action: Action, feederId: string) => void;
  /** Takes no reading as one that cannot matter: slower, and the same. */
  readonly everyReading?: boolean | undefined;
}

/** 4.2 kW at 230 V. */
const CAP_A = 18.3;
const EVENING_PERCENT = 50;

/** What makes the loop for the year of `seed`; null for no controller. */
export function loopOf(
  plant: Plant,
  name: ControllerName,
  seed: number,
  { stress = {}, sections = 0, action, everyReading }: LoopOptions = {},
): ((chargers: Chargers) => Loop) | null {
  if (name === 'none') return null;
  const kind = name === 'onOff' || name === 'threshold' ? 'hcalcs' : 'apc';
  const options = { ...CHAIN, ...stress.chain, leastA: name === 'cap' ? CAP_A : null };
  const [head, ...others] = meteredPlaces(plant.conductors, sections);
  const set = (place: MeteredPlace) => thresholds(place, name === 'onOff' ? 'onOff' : 'proportional');
  return (chargers) => {
    const everyone = Array.from({ length: chargers.count }, (_, car) => car);
    const group = chargers.group(everyone);
    const chain = new HeadEndChain(options, kind, group, seededRandom(`${seed}/chain`), wallMsOf);
    if (name === 'evening') return new EveningCapLoop(set(head), chain, group, EVENING_PERCENT);
    if (name === 'threshold' || name === 'cap') return new ThresholdLoop(set(head), chain, group, 0);
    const life = new Life();
    const edge = (place: MeteredPlace, its: HeadEndChain, reached: typeof group) => {
      const { meterFactor = 1, diesAfterS = null } = stress;
      const own = set(place);
      const told = action && { action: (one: Action) => action(one, own.feeder.id) };
      const { conductors } = place;
      return new Edge({ ...own, conductors, meterFactor, diesAfterS, life, everyReading, ...told }, its, reached);
    };
    const atHead = edge(head, chain, group);
    if (others.length === 0) return atHead;
    const below = others.map((place) => {
      const cars = chargers.behind(place.conductors);
      const deaf = cars.map((car) => chain.deaf[car] ?? false);
      const reached = chargers.group(cars);
      const random = seededRandom(`${seed}/chain ${place.id}`);
      return edge(place, new HeadEndChain(options, kind, reached, random, wallMsOf, deaf), reached);
    });
    return together([atHead, ...below]);
  };
}

/** One controller that watches several places. */
function together(edges: readonly Edge[]): Loop {
  return {
    read: (step, currentA) => {
      for (const edge of edges) edge.read(step, currentA);
    },
    run: (step) => {
      for (const edge of edges) edge.run(step);
    },
    nextStep: () => edges.reduce((next, edge) => Math.min(next, edge.nextStep()), Number.POSITIVE_INFINITY),
    get episodes() {
      return edges.reduce((sum, { episodes }) => sum + episodes, 0);
    },
  };
}
