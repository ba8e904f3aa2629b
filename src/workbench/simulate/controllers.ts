// The controllers that a plant can have, by name, and what can go wrong around them: each makes the loop of one year.
import type { Action } from '../../control/types.ts';
import { seededRandom } from '../seeded-random.ts';
import type { Chargers } from './chargers.ts';
import { Edge } from './edge.ts';
import { CHAIN, type ChainOptions, HeadEndChain } from './head-end.ts';
import { wallMsOf } from './messenger.ts';
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

/** 4.2 kW at 230 V. */
const CAP_A = 18.3;
const EVENING_PERCENT = 50;

/** What makes the loop for the year of `seed`; null for no controller. */
export function loopOf(
  plant: Plant,
  name: ControllerName,
  seed: number,
  { chain: chainChanges, meterFactor = 1, diesAfterS }: Stress = {},
  action?: (action: Action) => void,
): ((chargers: Chargers) => Loop) | null {
  if (name === 'none') return null;
  const set = thresholds(plant.conductors, name === 'onOff' ? 'onOff' : 'proportional');
  const kind = name === 'onOff' || name === 'threshold' ? 'hcalcs' : 'apc';
  const options = { ...CHAIN, ...chainChanges, leastA: name === 'cap' ? CAP_A : null };
  return (chargers) => {
    const chain = new HeadEndChain(options, kind, chargers, seededRandom(`${seed}/chain`), wallMsOf);
    if (name === 'evening') return new EveningCapLoop(set, chain, chargers, EVENING_PERCENT);
    if (name === 'threshold' || name === 'cap') return new ThresholdLoop(set, chain, chargers, 0);
    return new Edge(
      { ...set, meterFactor, diesAfterS: diesAfterS ?? null, ...(action && { action }) },
      chain,
      chargers,
    );
  };
}
