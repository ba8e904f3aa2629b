// The chargers of a feeder and the cars at them, stepped by events: a car starts, has enough or leaves, a level begins or
// ends. Each charger keeps beside what its car gets what it would have got without limits, so that what a limit costs is
// known to the ampere. Typed arrays, nothing is allocated while a year runs.

import type { Car, YearOfSessions } from './cars.ts';
import type { Conductor, FeederModel } from './feeder-model.ts';
import { NEVER, TargetGroup } from './target-group.ts';

/** A charger cannot go under 6 A: it pauses (docs.zaptec.com). */
const LEAST_A = 6;
/** What the chargers of one home may draw together: two cars share it. */
export const HOME_LIMIT_A = 32;
/** A car that leaves with less than this of what it wanted missing has what it wanted. */
const UNFINISHED_SHARE = 0.01;

export class Chargers {
  readonly count: number;
  /** Amperes of charging in each conductor. */
  readonly chargeA: Float64Array;
  /** Of each charger. */
  readonly ratedA: Float64Array;
  readonly phase: Uint8Array;
  /** What limits have cost: energy withheld in ampere-steps, and episodes in which any was. */
  readonly withheld: Float64Array;
  readonly occasions: Int32Array;
  /** Sessions that ended short of what the car wanted. */
  readonly unfinishedOf: Int32Array;
  sessions = 0;
  /** What no longer comes before a start, a finish, a departure or the end of a limit. */
  nextStep = NEVER;

  readonly #groups: TargetGroup[] = [];
  readonly #parent: Int32Array;
  readonly #conductorOf: Int32Array;
  readonly #mate: Int32Array;
  readonly #year: YearOfSessions;
  /** What each obeys: the lowest of its groups' levels, percent; and whose that is, −1 without a limit. */
  readonly #level: Float64Array;
  readonly #obeys: Int32Array;
  readonly #drawA: Float64Array;
  readonly #wouldA: Float64Array;
  readonly #want: Float64Array;
  readonly #left: Float64Array;
  readonly #wouldLeft: Float64Array;
  readonly #settled: Int32Array;
  readonly #finish: Int32Array;
  readonly #depart: Int32Array;
  readonly #place: Int32Array;
  readonly #active: Int32Array;
  #activeCount = 0;
  #at = 0;
  #isSupplied = true;

  constructor(
    feeder: FeederModel,
    conductors: readonly Conductor[],
    conductorOf: Int32Array,
    cars: readonly Car[],
    year: YearOfSessions,
    fromStep = 0,
  ) {
    const count = cars.length;
    this.count = count;
    this.#year = year;
    this.#parent = Int32Array.from(conductors, ({ parent }) => parent);
    this.chargeA = new Float64Array(conductors.length);
    this.ratedA = Float64Array.from(cars, ({ driver }) => driver.chargerA);
    this.phase = Uint8Array.from(cars, ({ home }) => feeder.phaseOf[home] ?? 0);
    this.#conductorOf = Int32Array.from(cars, ({ home }) => conductorOf[home] ?? 0);
    this.#mate = new Int32Array(count).fill(-1);
    const atHome = new Map<number, number>();
    for (const [car, { home }] of cars.entries()) {
      const mate = atHome.get(home);
      if (mate !== undefined) {
        this.#mate[car] = mate;
        this.#mate[mate] = car;
      }
      atHome.set(home, car);
    }
    const floats = () => new Float64Array(count);
    const ints = (value: number) => new Int32Array(count).fill(value);
    this.withheld = floats();
    this.occasions = ints(0);
    this.unfinishedOf = ints(0);
    this.#level = floats().fill(100);
    this.#obeys = ints(-1);
    this.#drawA = floats();
    this.#wouldA = floats();
    this.#want = floats();
    this.#left = floats();
    this.#wouldLeft = floats();
    this.#settled = ints(0);
    this.#finish = ints(NEVER);
    this.#depart = ints(NEVER);
    this.#place = ints(-1);
    this.#active = ints(0);
    while (this.#at < year.count && (year.startStep[this.#at] as number) < fromStep) this.#at++;
    this.nextStep = year.startStep[this.#at] ?? NEVER;
  }

  /** Amperes that the charger draws now. */
  drawA(car: number): number {
    return this.#drawA[car] as number;
  }

  /** The chargers behind any of these conductors, by their cars. */
  behind(conductors: readonly (number | null)[]): number[] {
    const parent = this.#parent;
    const isBehind = (at: number): boolean =>
      conductors.includes(at) || (parent[at] !== at && isBehind(parent[at] as number));
    return Array.from({ length: this.count }, (_, car) => car).filter((car) =>
      isBehind(this.#conductorOf[car] as number),
    );
  }

  /** Makes a target group of these cars' chargers. A charger in several groups obeys the lowest of their levels. */
  group(cars: readonly number[]): TargetGroup {
    const group = new TargetGroup(this, cars, (car, endStep, step) => this.#obey(car, endStep, step));
    this.#groups.push(group);
    return group;
  }

  /** A level of one of the groups of `car` is new, until `endStep`. */
  #obey(car: number, endStep: number, step: number): void {
    let levelPercent = 100;
    let by = -1;
    for (const [index, group] of this.#groups.entries()) {
      const wanted = group.levelOfCar(car);
      if (wanted >= levelPercent) continue;
      levelPercent = wanted;
      by = index;
    }
    const isSame = this.#level[car] === levelPercent;
    const isPresent = (this.#place[car] as number) >= 0;
    // What has been withheld until now is the doing of the group that was obeyed until now.
    if (isPresent && (!isSame || this.#obeys[car] !== by)) this.#settle(car, step);
    this.#level[car] = levelPercent;
    this.#obeys[car] = by;
    if (!isSame && isPresent) this.#change(car, step);
    this.nextStep = Math.min(this.nextStep, endStep, this.#finish[car] as number);
  }

  /** The supply goes, or comes back: whoever waits begins at once, with no random delay. */
  setSupply(isSupplied: boolean, step: number): void {
    this.#isSupplied = isSupplied;
    for (let place = 0; place < this.#activeCount; place++) this.#change(this.#active[place] as number, step);
    this.#schedule();
  }

  /** Everything that happens at `step`. */
  run(step: number): void {
    if (step < this.nextStep) return;
    for (const group of this.#groups) group.end(step);
    for (let place = this.#activeCount - 1; place >= 0; place--) {
      const car = this.#active[place] as number;
      if (step >= (this.#finish[car] as number) || step >= (this.#depart[car] as number)) this.#end(car, step);
    }
    const { startStep } = this.#year;
    for (; this.#at < this.#year.count && (startStep[this.#at] as number) <= step; this.#at++)
      this.#start(this.#at, step);
    this.#schedule();
  }

  /** Adds up what has run until the end of the year. */
  settleAll(step: number): void {
    for (let place = 0; place < this.#activeCount; place++) this.#settle(this.#active[place] as number, step);
  }

  #schedule(): void {
    let next = this.#at < this.#year.count ? (this.#year.startStep[this.#at] as number) : NEVER;
    for (let place = 0; place < this.#activeCount; place++) {
      const car = this.#active[place] as number;
      const finish = this.#finish[car] as number;
      const depart = this.#depart[car] as number;
      if (finish < next) next = finish;
      if (depart < next) next = depart;
    }
    for (const group of this.#groups) next = Math.min(next, group.nextEnd());
    this.nextStep = next;
  }

  #start(session: number, step: number): void {
    const { car: cars, departStep, wantAmpereSteps } = this.#year;
    const car = cars[session] as number;
    if ((this.#place[car] as number) >= 0) this.#end(car, step);
    this.sessions++;
    this.#place[car] = this.#activeCount;
    this.#active[this.#activeCount++] = car;
    this.#want[car] = wantAmpereSteps[session] as number;
    this.#left[car] = this.#want[car] as number;
    this.#wouldLeft[car] = this.#want[car] as number;
    this.#depart[car] = departStep[session] as number;
    this.#settled[car] = step;
    this.#change(car, step);
    this.#changeMate(car, step);
  }

  #end(car: number, step: number): void {
    this.#settle(car, step);
    if ((this.#left[car] as number) > UNFINISHED_SHARE * (this.#want[car] as number))
      this.unfinishedOf[car] = (this.unfinishedOf[car] as number) + 1;
    const place = this.#place[car] as number;
    const last = this.#active[--this.#activeCount] as number;
    this.#active[place] = last;
    this.#place[last] = place;
    this.#place[car] = -1;
    this.#finish[car] = NEVER;
    this.#depart[car] = NEVER;
    this.#wouldA[car] = 0;
    this.#draw(car, 0);
    this.#changeMate(car, step);
  }

  #changeMate(car: number, step: number): void {
    const mate = this.#mate[car] as number;
    if (mate >= 0 && (this.#place[mate] as number) >= 0) this.#change(mate, step);
  }

  /** What the charger draws from now on. */
  #change(car: number, step: number): void {
    this.#settle(car, step);
    const mate = this.#mate[car] as number;
    const ratedA = this.ratedA[car] as number;
    const shares = mate >= 0 && (this.#place[mate] as number) >= 0;
    const wouldA = this.#isSupplied ? Math.min(ratedA, shares ? HOME_LIMIT_A / 2 : HOME_LIMIT_A) : 0;
    const permittedA = (ratedA * (this.#level[car] as number)) / 100;
    const drawA = permittedA < LEAST_A ? 0 : Math.min(wouldA, permittedA);
    this.#wouldA[car] = wouldA;
    this.#draw(car, drawA);
    this.#finish[car] = drawA > 0 ? step + Math.max(1, Math.ceil((this.#left[car] as number) / drawA - 1e-9)) : NEVER;
  }

  #draw(car: number, drawA: number): void {
    const byA = drawA - (this.#drawA[car] as number);
    if (byA === 0) return;
    this.#drawA[car] = drawA;
    for (let at = this.#conductorOf[car] as number; ; at = this.#parent[at] as number) {
      this.chargeA[at] = (this.chargeA[at] as number) + byA;
      if (this.#parent[at] === at) return;
    }
  }

  #settle(car: number, step: number): void {
    const steps = step - (this.#settled[car] as number);
    this.#settled[car] = step;
    if (steps <= 0) return;
    const drawA = this.#drawA[car] as number;
    const wouldA = this.#wouldA[car] as number;
    this.#left[car] = Math.max(0, (this.#left[car] as number) - drawA * steps);
    const wouldLeft = this.#wouldLeft[car] as number;
    if (wouldLeft <= 0 || wouldA === 0) return;
    const wouldSteps = Math.min(steps, wouldLeft / wouldA);
    this.#wouldLeft[car] = wouldLeft - wouldA * wouldSteps;
    if (wouldA <= drawA) return;
    this.withheld[car] = (this.withheld[car] as number) + (wouldA - drawA) * wouldSteps;
    if (this.#groups[this.#obeys[car] as number]?.isFirstOfEpisode(car) !== true) return;
    this.occasions[car] = (this.occasions[car] as number) + 1;
  }
}
