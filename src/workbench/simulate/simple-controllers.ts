// What Headroom is compared with, in the same plant and through the same chain: a plain threshold with hysteresis, and a
// cap at fixed hours. Neither knows of heat, of relief that is on its way, or of what comes back.
import type { ControlRequest, Trigger } from '../../control/types.ts';
import { PHASES, type Phase } from '../../feeder.ts';
import { STEPS_PER_DAY } from './cars.ts';
import type { HeadEndChain } from './head-end.ts';
import { Messenger, STEP_MS } from './messenger.ts';
import type { Loop } from './plant.ts';
import type { TargetGroup } from './target-group.ts';
import type { Thresholds } from './thresholds.ts';

const LEASE_MS = 1_800_000;
const REFRESH_MS = 600_000;
const HOUR_STEPS = STEPS_PER_DAY / 24;

/** What both have in common: a level per phase, its end and its refresh. */
class Limits {
  readonly messenger: Messenger;
  readonly chain: HeadEndChain;
  readonly #levels: { [P in Phase]?: number } = {};
  #startedMs = 0;
  #endMs = 0;
  #saidMs = 0;

  constructor(thresholds: Thresholds, chain: HeadEndChain, group: TargetGroup) {
    this.messenger = new Messenger(thresholds, chain, group);
    this.chain = chain;
  }

  get limited(): readonly Phase[] {
    return PHASES.filter((name) => this.#levels[name] !== undefined);
  }

  get refreshMs(): number {
    return this.limited.length === 0 ? Number.POSITIVE_INFINITY : this.#saidMs + REFRESH_MS;
  }

  limit(name: Phase, levelPercent: number, endMs: number, step: number): void {
    if (this.limited.length === 0) this.#startedMs = step * STEP_MS;
    this.#levels[name] = levelPercent;
    this.#say('limit', this.limited, endMs, step);
  }

  refresh(step: number): void {
    if (step * STEP_MS >= this.refreshMs) this.#say('refresh', this.limited, step * STEP_MS + LEASE_MS, step);
  }

  release(name: Phase, step: number): void {
    delete this.#levels[name];
    this.#say('release', [name], this.#endMs, step);
  }

  /** The limits have ended by themselves. */
  forget(): void {
    for (const name of PHASES) delete this.#levels[name];
  }

  #say(action: ControlRequest['action'], phases: readonly Phase[], endMs: number, step: number): void {
    this.#endMs = endMs;
    if (action !== 'release') this.#saidMs = step * STEP_MS;
    const atMs = step * STEP_MS;
    const trigger: Trigger = {
      element: 'atRisk',
      phase: phases[0] ?? 'L1',
      pickupA: 0,
      pickedUpMs: atMs,
      isUrgent: false,
    };
    this.messenger.send(
      {
        kind: 'request',
        action,
        atMs,
        endMs,
        episodeStartedMs: this.#startedMs,
        levelPercent: Object.fromEntries(phases.map((name) => [name, this.#levels[name] ?? 100])),
        reductionA: Object.fromEntries(phases.map((name) => [name, 0])),
        trigger,
        thermalPercent: null,
        timeToLimitS: null,
        currentA: { L1: null, L2: null, L3: null, N: null },
        quality: { L1: 'good', L2: 'good', L3: 'good' },
        readingAgeMs: 0,
        reason: 'a simple controller',
        mode: 'live',
        group: 'study',
      },
      step,
    );
  }
}

/** Limits a phase to `levelPercent` at `pickupA`, and frees it under `dropoutA`. */
export class ThresholdLoop implements Loop {
  readonly #limits: Limits;
  readonly #pickupA: number;
  readonly #dropoutA: number;
  readonly #levelPercent: number;

  constructor(thresholds: Thresholds, chain: HeadEndChain, group: TargetGroup, levelPercent: number) {
    this.#limits = new Limits(thresholds, chain, group);
    this.#pickupA = thresholds.group.ratingA;
    this.#dropoutA = thresholds.group.ratingA * 0.8;
    this.#levelPercent = levelPercent;
  }

  get episodes(): number {
    return this.#limits.messenger.episodes;
  }

  read(step: number, currentA: (conductor: number) => number): void {
    for (const [conductor, name] of PHASES.entries()) this.#judge(name, currentA(conductor), step);
  }

  run(step: number): void {
    this.#limits.chain.run(step);
    this.#limits.refresh(step);
  }

  nextStep(): number {
    return Math.min(this.#limits.chain.nextStep, Math.ceil(this.#limits.refreshMs / STEP_MS));
  }

  #judge(name: Phase, currentA: number, step: number): void {
    const isLimited = this.#limits.limited.includes(name);
    if (!isLimited && currentA >= this.#pickupA)
      this.#limits.limit(name, this.#levelPercent, step * STEP_MS + LEASE_MS, step);
    if (isLimited && currentA < this.#dropoutA) this.#limits.release(name, step);
  }
}

const CAP_FROM_STEP = 16.5 * HOUR_STEPS;
const CAP_TO_STEP = 19.5 * HOUR_STEPS;

/** The same cap on every working day from 16:30 to 19:30, whatever is measured. */
export class EveningCapLoop implements Loop {
  readonly #limits: Limits;
  readonly #levelPercent: number;
  #nextStep = CAP_FROM_STEP;

  constructor(thresholds: Thresholds, chain: HeadEndChain, group: TargetGroup, levelPercent: number) {
    this.#limits = new Limits(thresholds, chain, group);
    this.#levelPercent = levelPercent;
  }

  get episodes(): number {
    return this.#limits.messenger.episodes;
  }

  read(): void {}

  run(step: number): void {
    this.#limits.chain.run(step);
    if (step < this.#nextStep) return;
    const day = Math.floor(step / STEPS_PER_DAY);
    this.#nextStep = (day + 1) * STEPS_PER_DAY + CAP_FROM_STEP;
    if (day % 7 >= 5) return;
    const endMs = (day * STEPS_PER_DAY + CAP_TO_STEP) * STEP_MS;
    this.#limits.forget();
    for (const name of PHASES) this.#limits.limit(name, this.#levelPercent, endMs, step);
  }

  nextStep(): number {
    return Math.min(this.#limits.chain.nextStep, this.#nextStep);
  }
}
