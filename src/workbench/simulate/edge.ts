// The real control of one metered place of a simulated feeder, its head or a section downstream: its readings are the
// plant's currents, its requests go out as the real messages to the simulated head end, whose acknowledgements it hears.

import { newFeederState, nextDueMs, stepAck, stepReading, stepTime } from '../../control/feeder-control.ts';
import type { Action, ControlSettings, FeederState } from '../../control/types.ts';
import { controlSettings } from '../../control-settings.ts';
import { PHASES } from '../../feeder.ts';
import { STEP_S, STEPS_PER_DAY } from './cars.ts';
import type { HeadEndChain } from './head-end.ts';
import { Messenger, STEP_MS } from './messenger.ts';
import type { Loop } from './plant.ts';
import { type Reading, Rest } from './rest.ts';
import { NEVER, type TargetGroup } from './target-group.ts';
import type { Thresholds } from './thresholds.ts';

/** Readings come when a current changes, at least every slot of five minutes: one that holds is none that is stale. */
const STALE_AFTER_MS = 600_000;

/** Of one controller, whatever it watches. */
export class Life {
  diesStep = NEVER;
  /** 0 while it lives. */
  deadUntilStep = 0;
}

export interface EdgeOptions extends Thresholds {
  /** Of the plant, for L1 to L3; null for a phase that the section does not have, or that cannot be overloaded there. */
  readonly conductors: readonly (number | null)[];
  /** What the meter shows of a current: 1 is right. */
  readonly meterFactor: number;
  /** From this time after the first limit of an episode on the controller is dead for the rest of the day, s; null: never. */
  readonly diesAfterS: number | null;
  readonly life: Life;
  readonly action?: (action: Action) => void;
  readonly everyReading?: boolean | undefined;
}

export class Edge implements Loop {
  readonly #options: EdgeOptions;
  readonly #settings: ControlSettings;
  readonly #state: FeederState = newFeederState();
  readonly #chain: HeadEndChain;
  readonly #messenger: Messenger;
  readonly #out: Action[] = [];
  readonly #reading: Reading;
  readonly #rest: Rest;
  readonly #life: Life;
  #dueStep = 0;

  constructor(options: EdgeOptions, chain: HeadEndChain, group: TargetGroup) {
    this.#options = options;
    this.#life = options.life;
    this.#settings = controlSettings(options.feeder, options.group, STALE_AFTER_MS, 0);
    this.#chain = chain;
    this.#messenger = new Messenger(options, chain, group);
    const input = () => ({ currentA: 0, quality: 'good' as const });
    this.#reading = { atMs: 0, L1: input(), L2: input(), L3: input(), N: input() };
    this.#rest = new Rest(this.#state, this.#settings, options.everyReading === true);
  }

  get episodes(): number {
    return this.#messenger.episodes;
  }

  read(step: number, currentA: (conductor: number) => number): void {
    if (step < this.#life.deadUntilStep) return;
    this.#life.deadUntilStep = 0;
    const { meterFactor, conductors } = this.#options;
    const reading = this.#reading;
    reading.atMs = step * STEP_MS;
    for (const [phase, name] of PHASES.entries()) {
      const conductor = conductors[phase] ?? null;
      reading[name].currentA = conductor === null ? 0 : currentA(conductor) * meterFactor;
    }
    if (this.#rest.take(reading)) {
      this.#dueStep = NEVER;
      return;
    }
    stepReading(this.#state, this.#settings, reading, this.#out);
    if (this.#out.length > 0) this.#carryOut(step);
    this.#dueStep = Math.ceil(nextDueMs(this.#state, this.#settings) / STEP_MS);
  }

  run(step: number): void {
    if (step >= this.#chain.nextStep) {
      for (const { status, controllableA } of this.#chain.run(step)) {
        stepAck(this.#state, this.#settings, { status, controllableA }, step * STEP_MS, this.#out);
      }
    }
    if (step >= this.#life.diesStep) this.#die(step);
    if (step < this.#life.deadUntilStep) return;
    if (step >= this.#dueStep) stepTime(this.#state, this.#settings, step * STEP_MS, this.#out);
    if (this.#out.length > 0) this.#carryOut(step);
  }

  nextStep(): number {
    const ownStep =
      this.#life.deadUntilStep > 0 ? this.#life.deadUntilStep : Math.min(this.#dueStep, this.#life.diesStep);
    return Math.min(this.#chain.nextStep, ownStep);
  }

  #die(step: number): void {
    this.#life.diesStep = NEVER;
    this.#life.deadUntilStep = (Math.floor(step / STEPS_PER_DAY) + 1) * STEPS_PER_DAY;
  }

  #carryOut(step: number): void {
    for (const action of this.#out) {
      this.#options.action?.(action);
      if (action.kind !== 'request') continue;
      const { episodes } = this;
      this.#messenger.send(action, step);
      const { diesAfterS } = this.#options;
      if (diesAfterS !== null && this.episodes > episodes) this.#life.diesStep = step + Math.round(diesAfterS / STEP_S);
    }
    this.#out.length = 0;
  }
}
