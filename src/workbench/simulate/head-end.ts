// The head end, the DCC and the chargers' own delays, simulated for a year in steps: a request becomes service requests
// by the reference head end's own mapping (headend/duis.ts); each waits for its turn, takes two trips over the DCC and a
// fetch over the HAN, may fail, and is acted on after the charger's random delay. What comes later takes the place of
// what has not been acted on.
import { PHASES, type Phase } from '../../feeder.ts';
import type { Curtailment } from '../../messages.ts';
import { type ServiceRequest, serviceRequestOf } from '../headend/duis.ts';
import { type Device, type DeviceKind, newDevice, ratedByPhase } from '../headend/fleet.ts';
import { STEP_S } from './cars.ts';
import { NEVER, type TargetGroup } from './target-group.ts';

export interface ChainOptions {
  /** Mean of one trip over the DCC, s; each is from half to one and a half of it. A critical command takes two. */
  readonly roundTripS: number;
  /** Service requests a second of this head end; 0: no limit. */
  readonly perSecond: number;
  /** 0 to 1: how many get no answer from their device. */
  readonly failureShare: number;
  /** Until a device on the HAN fetches what is new, s at most. */
  readonly hanFetchS: number;
  /** The chargers' random delay at most, s. */
  readonly randomDelayS: number;
  /** 0 to 1: chargers that never act. */
  readonly deafShare: number;
  /** Nothing passes from the one hour of the day to the other. */
  readonly downHours: readonly [number, number] | null;
  /** No charger is limited under this, A: a cap on its power and not on its share; null for none. */
  readonly leastA: number | null;
  /** The phase that the head end's records have of a charger, by its real one. */
  readonly recordedPhase: readonly [number, number, number];
}

export const CHAIN: ChainOptions = {
  roundTripS: 25,
  perSecond: 5,
  failureShare: 0.01,
  hanFetchS: 60,
  randomDelayS: 600,
  deafShare: 0,
  downHours: null,
  leastA: null,
  recordedPhase: [0, 1, 2],
};

export interface ChainAck {
  readonly status: 'dispatched' | 'applied' | 'partial';
  readonly controllableA?: { [P in Phase]?: number };
  readonly step: number;
}

const HOUR_STEPS = 3600 / STEP_S;
const DAY_STEPS = 24 * HOUR_STEPS;

export class HeadEndChain {
  /** Service requests sent. */
  sent = 0;
  readonly #options: ChainOptions;
  readonly #group: TargetGroup;
  readonly #random: () => number;
  readonly #wallMs: (step: number) => number;
  readonly #devices: Device[];
  /** Those that never act, by place. */
  readonly deaf: readonly boolean[];
  /** On its way to the charger, and waiting in it: when, which level, until when. */
  readonly #coming: (ServiceRequest | null)[];
  readonly #comingStep: Int32Array;
  readonly #waitingStep: Int32Array;
  readonly #waitingLevel: Float64Array;
  readonly #waitingEnd: Int32Array;
  readonly #acks: ChainAck[] = [];
  #nextStep = NEVER;

  constructor(
    options: ChainOptions,
    kind: DeviceKind,
    group: TargetGroup,
    random: () => number,
    wallMs: (step: number) => number,
    deaf?: readonly boolean[],
  ) {
    this.#options = options;
    this.#group = group;
    this.#random = random;
    this.#wallMs = wallMs;
    const { count } = group;
    this.#devices = Array.from({ length: count }, (_, place) => ({
      ...newDevice('TG', place, kind, PHASES[options.recordedPhase[group.phase[place] ?? 0] ?? 0] ?? null),
      ratedA: group.ratedA[place] ?? 0,
    }));
    this.deaf = deaf ?? Array.from({ length: count }, () => random() < options.deafShare);
    this.#coming = new Array(count).fill(null);
    this.#comingStep = new Int32Array(count).fill(NEVER);
    this.#waitingStep = new Int32Array(count).fill(NEVER);
    this.#waitingLevel = new Float64Array(count);
    this.#waitingEnd = new Int32Array(count);
  }

  get nextStep(): number {
    return this.#nextStep;
  }

  /** Takes a request at `step` and sends it on to every device that it concerns. */
  take(message: Curtailment, step: number): void {
    const { roundTripS, perSecond, failureShare, hanFetchS } = this.#options;
    const wallMs = this.#wallMs(step);
    const fromStep = this.#upAgain(step);
    const endWallMs = Date.parse(message.end);
    let turnS = 0;
    let lastStep = fromStep;
    const reached: Device[] = [];
    let targeted = 0;
    for (const [place, device] of this.#devices.entries()) {
      const share = this.#devices.length < 2 ? 1 : place / (this.#devices.length - 1);
      const request = this.#atLeast(serviceRequestOf(message, device, { share, wallMs, endWallMs }), device);
      if (request === null) continue;
      targeted++;
      this.sent++;
      const waitS = Math.max(0, (request.notBeforeWallMs - wallMs) / 1000);
      const tripsS = roundTripS * (0.5 + this.#random()) + roundTripS * (0.5 + this.#random());
      const answeredStep = fromStep + Math.ceil((waitS + turnS + tripsS) / STEP_S);
      const fetchedStep = answeredStep + Math.ceil((hanFetchS * this.#random()) / STEP_S);
      if (perSecond > 0) turnS += 1 / perSecond;
      if (this.deaf[place] || this.#random() < failureShare) continue;
      lastStep = Math.max(lastStep, answeredStep);
      reached.push(device);
      this.#coming[place] = request;
      this.#comingStep[place] = fetchedStep;
      this.#nextStep = Math.min(this.#nextStep, fetchedStep);
    }
    if (targeted === 0) return;
    this.#say({ status: 'dispatched', step: fromStep + 1 });
    if (reached.length === 0 || message.action !== 'limit') return;
    const status = reached.length < targeted ? 'partial' : 'applied';
    this.#say({ status, step: lastStep, controllableA: ratedByPhase(reached) });
  }

  /** What reaches chargers, and what they act on, at `step`. Acknowledgements that have come by then are given back. */
  run(step: number): readonly ChainAck[] {
    if (step < this.#nextStep) return [];
    let next = NEVER;
    for (let place = 0; place < this.#group.count; place++) {
      if ((this.#comingStep[place] as number) <= step) this.#arrive(place, step);
      if ((this.#waitingStep[place] as number) <= step) this.#act(place, step);
      next = Math.min(next, this.#comingStep[place] as number, this.#waitingStep[place] as number);
    }
    const due = this.#acks.filter((ack) => ack.step <= step);
    if (due.length > 0) this.#acks.splice(0, this.#acks.length, ...this.#acks.filter((ack) => ack.step > step));
    for (const ack of this.#acks) next = Math.min(next, ack.step);
    this.#nextStep = next;
    return due;
  }

  #atLeast(request: ServiceRequest | null, { ratedA }: Device): ServiceRequest | null {
    const { leastA } = this.#options;
    if (request === null || leastA === null) return request;
    return { ...request, levelPercent: Math.min(100, Math.max(request.levelPercent, (100 * leastA) / ratedA)) };
  }

  #say(ack: ChainAck): void {
    this.#acks.push(ack);
    this.#nextStep = Math.min(this.#nextStep, ack.step);
  }

  #arrive(place: number, step: number): void {
    const request = this.#coming[place];
    this.#coming[place] = null;
    this.#comingStep[place] = NEVER;
    const device = this.#devices[place];
    if (request == null || device === undefined) return;
    device.levelPercent = request.levelPercent;
    device.untilWallMs = request.untilWallMs;
    const endStep = request.levelPercent < 100 ? this.#stepOf(request.untilWallMs, step) : NEVER;
    const isWaiting = this.#waitingStep[place] !== NEVER;
    const goal = isWaiting ? (this.#waitingLevel[place] as number) : this.#group.levelPercent(place);
    if (request.levelPercent === goal) {
      // The same again is no change of rate: only its end is new.
      if (isWaiting) this.#waitingEnd[place] = endStep;
      this.#group.extend(place, endStep);
      return;
    }
    this.#waitingStep[place] = step + Math.floor((this.#options.randomDelayS * this.#random()) / STEP_S);
    this.#waitingLevel[place] = request.levelPercent;
    this.#waitingEnd[place] = endStep;
    // What it keeps until then does not end before.
    this.#group.extend(place, Math.max(endStep, this.#waitingStep[place] as number));
  }

  #act(place: number, step: number): void {
    this.#waitingStep[place] = NEVER;
    const endStep = this.#waitingEnd[place] as number;
    if (endStep > step) this.#group.setLevel(place, this.#waitingLevel[place] as number, endStep, step);
  }

  #stepOf(wallMs: number, step: number): number {
    return step + Math.round((wallMs - this.#wallMs(step)) / 1000 / STEP_S);
  }

  /** When the DCC passes anything again. */
  #upAgain(step: number): number {
    const { downHours } = this.#options;
    if (downHours === null) return step;
    const [from, to] = downHours;
    const ofDay = step % DAY_STEPS;
    return ofDay >= from * HOUR_STEPS && ofDay < to * HOUR_STEPS ? step - ofDay + to * HOUR_STEPS : step;
  }
}
