// A feeder for a year: homes, chargers and the conductors that carry both, with a controller at its head or without.
// Time is in steps of 10 s; where nothing changes, steps are taken together, which gives the same to the last digit,
// since currents are constant between changes and the thermal state is exact for any length.
import { type Car, STEP_S, STEPS_PER_DAY, sessionsOf } from './cars.ts';
import { Chargers, HOME_LIMIT_A } from './chargers.ts';
import { DAYS, type HomeProfiles, SLOTS_PER_DAY } from './data.ts';
import type { Conductor, FeederModel } from './feeder-model.ts';
import { HeadWatch, SLOT_STEPS } from './head-watch.ts';
import { type HomesOfYear, heaviestHomeA, homesMaker } from './homes.ts';

/** Of every section: a buried LV cable, in its range of 30 to 90 min. */
export const TIME_CONSTANT_MIN = 60;
/** gG fuse-links, A (IEC 60269-2). */
const FUSES_A = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800];

/** What sits at the head of the feeder and acts on its chargers. */
export interface Loop {
  /** Currents have changed, or may have. `currentA` gives that of a conductor of the plant, A; the first three are the head's. */
  read(step: number, currentA: (conductor: number) => number): void;
  /** What the chain or a timer does at `step`. */
  run(step: number): void;
  /** When `run` next has something to do, at the earliest. */
  nextStep(): number;
  /** Number of episodes so far. */
  readonly episodes: number;
}

export interface PlantOptions {
  /** Whose profiles the homes have on a winter's day: those of ENWL unless given, or of the IEEE feeder. */
  readonly homes?: 'ieee' | undefined;
  readonly heatPumpShare: number;
  /** Share of the cars that wait for 00:30. */
  readonly tariffShare: number;
}

/** An outage of the whole feeder every day. Then the homes draw more than they would, and that falls away. */
export interface Outage {
  readonly fromHour: number;
  readonly toHour: number;
  /** Of what a home would draw, as it comes back. */
  readonly coldLoadFactor: number;
  /** Time constant of the fall, minutes. */
  readonly coldLoadMin: number;
}

export interface RunOptions {
  readonly stopAtViolation: boolean;
  /** Makes the controller; null for none. */
  readonly loop: ((chargers: Chargers) => Loop) | null;
  /** Called for every stretch of constant currents. */
  readonly watch?: (fromStep: number, toStep: number, currentsA: Float64Array, heat: Float64Array) => void;
  readonly outage?: Outage | undefined;
  readonly fromDay?: number;
  readonly toDay?: number;
}

export interface YearResult {
  /** A section's thermal state went over 100 %. */
  readonly isViolated: boolean;
  readonly peakThermalPercent: number;
  /** Half hours whose mean at the head is over the rating, on any phase. */
  readonly overRatingHalfHours: number;
  /** Seconds above 1.25 times the fuse, on any phase. */
  readonly overFuseS: number;
  readonly lowestVoltageV: number;
  /** Per car: what limits have cost. */
  readonly occasions: Int32Array;
  readonly minutes: Float64Array;
  readonly sessions: number;
  readonly unfinished: number;
  readonly unfinishedOf: Int32Array;
  readonly episodes: number;
}

export class Plant {
  readonly feeder: FeederModel;
  /** Those of the feeder that could be overloaded at all. */
  readonly conductors: readonly Conductor[];
  readonly fuseA: number;
  readonly #conductorOf: Int32Array;
  readonly #homes: (seed: number) => HomesOfYear;
  readonly #options: PlantOptions;

  constructor(feeder: FeederModel, given: HomeProfiles, options: PlantOptions) {
    const profiles = options.homes === 'ieee' ? { ...given, winter: given.ieee } : given;
    if (profiles.winter.length === 0) throw new RangeError('no household profiles of the IEEE feeder in this data');
    this.feeder = feeder;
    this.#options = options;
    this.#homes = homesMaker(feeder, profiles, options.heatPumpShare);
    this.fuseA = FUSES_A.find((fuseA) => fuseA >= feeder.headRatingA) ?? feeder.headRatingA;
    const kept = prune(feeder, oneHomeA(profiles, options.heatPumpShare));
    this.conductors = kept.conductors;
    this.#conductorOf = kept.conductorOf;
  }

  run(
    seed: number,
    cars: readonly Car[],
    { loop: makeLoop, stopAtViolation, watch, outage, fromDay = 0, toDay = DAYS }: RunOptions,
  ): YearResult {
    const { feeder, conductors } = this;
    const sessions = sessionsOf(feeder, cars, cars.length, seed, this.#options.tariffShare);
    const chargers = new Chargers(feeder, conductors, this.#conductorOf, cars, sessions, fromDay * STEPS_PER_DAY);
    const loop = makeLoop === null ? null : makeLoop(chargers);
    const homes = this.#homes(seed);
    const count = conductors.length;
    const heat = new Float64Array(count);
    const peak = new Float64Array(count);
    const baseA = new Float64Array(count);
    const currentsA = new Float64Array(count);
    const perRating = Float64Array.from(conductors, ({ ratingA }) => 1 / ratingA);
    const parent = Int32Array.from(conductors, (one) => one.parent);
    const decay = Float64Array.from({ length: SLOT_STEPS + 1 }, (_, steps) =>
      Math.exp((-steps * STEP_S) / (TIME_CONSTANT_MIN * 60)),
    );
    const { chargeA } = chargers;
    const currentA = (at: number) => (baseA[at] as number) + (chargeA[at] as number);
    const watched = new HeadWatch(feeder, this.fuseA);
    let isViolated = false;
    let isSupplied = true;
    let step = fromDay * STEPS_PER_DAY;
    const endStep = toDay * STEPS_PER_DAY;
    let slotEnd = step;
    while (step < endStep) {
      if (step >= slotEnd) {
        this.#baseCurrents(homes, step / SLOT_STEPS, baseA, parent);
        if (outage !== undefined) {
          const share = homesShare(outage, (step / SLOT_STEPS) % SLOTS_PER_DAY);
          for (let at = 0; at < count; at++) baseA[at] = (baseA[at] as number) * share;
          if (share > 0 !== isSupplied) {
            isSupplied = share > 0;
            chargers.setSupply(isSupplied, step);
          }
        }
        slotEnd = step + SLOT_STEPS;
      }
      chargers.run(step);
      if (loop !== null) {
        loop.run(step);
        loop.read(step, currentA);
      }
      let next = Math.min(slotEnd, chargers.nextStep);
      if (loop !== null) next = Math.min(next, loop.nextStep());
      if (next <= step) next = step + 1;
      const factor = decay[next - step] as number;
      for (let at = 0; at < count; at++) {
        const currentA = (baseA[at] as number) + (chargeA[at] as number);
        currentsA[at] = currentA;
        const share = currentA * (perRating[at] as number);
        const steady = share * share;
        const now = steady + ((heat[at] as number) - steady) * factor;
        heat[at] = now;
        if (now > (peak[at] as number)) peak[at] = now;
      }
      if (watched.add(step, next, currentsA))
        watched.voltage(this.#homeCurrents(homes, slotEnd / SLOT_STEPS - 1, cars, chargers));
      watch?.(step, next, currentsA, heat);
      step = next;
      if (step === slotEnd && !isViolated && isOver(peak)) {
        isViolated = true;
        if (stopAtViolation) break;
      }
    }
    chargers.settleAll(step);
    return {
      isViolated,
      peakThermalPercent: 100 * Math.max(...peak),
      ...watched.result(),
      occasions: chargers.occasions,
      minutes: chargers.withheld.map(
        (ampereSteps, car) => ((ampereSteps / (chargers.ratedA[car] as number)) * STEP_S) / 60,
      ),
      sessions: chargers.sessions,
      unfinished: chargers.unfinishedOf.reduce((sum, count) => sum + count, 0),
      unfinishedOf: chargers.unfinishedOf,
      episodes: loop?.episodes ?? 0,
    };
  }

  #baseCurrents(homes: HomesOfYear, slotOfYear: number, baseA: Float64Array, parent: Int32Array): void {
    const { table, offset, factor, heatPumpOffset, heatFactor } = homes;
    const conductorOf = this.#conductorOf;
    const count = conductorOf.length;
    const day = Math.floor(slotOfYear / SLOTS_PER_DAY);
    const slot = slotOfYear - day * SLOTS_PER_DAY;
    const first = day * count;
    const by = factor[day] as number;
    baseA.fill(0);
    for (let home = 0; home < count; home++) {
      const at = conductorOf[home] as number;
      baseA[at] = (baseA[at] as number) + (table[(offset[first + home] as number) + slot] as number) * by;
    }
    if (heatPumpOffset !== null) {
      const heatBy = heatFactor[day] as number;
      for (let home = 0; home < count; home++) {
        const begin = heatPumpOffset[first + home] as number;
        if (begin < 0) continue;
        const at = conductorOf[home] as number;
        baseA[at] = (baseA[at] as number) + (table[begin + slot] as number) * heatBy;
      }
    }
    for (let at = baseA.length - 1; at >= 3; at--) {
      const above = parent[at] as number;
      baseA[above] = (baseA[above] as number) + (baseA[at] as number);
    }
  }

  /** Each home's own current with its cars. */
  #homeCurrents(homes: HomesOfYear, slotOfYear: number, cars: readonly Car[], chargers: Chargers): Float64Array {
    const { table, offset, factor, heatPumpOffset, heatFactor } = homes;
    const count = this.feeder.phaseOf.length;
    const day = Math.floor(slotOfYear / SLOTS_PER_DAY);
    const slot = slotOfYear - day * SLOTS_PER_DAY;
    const currents = Float64Array.from({ length: count }, (_, home) => {
      const at = day * count + home;
      const heat = heatPumpOffset?.[at] ?? -1;
      const heatA = heat < 0 ? 0 : (table[heat + slot] as number) * (heatFactor[day] as number);
      return (table[(offset[at] as number) + slot] as number) * (factor[day] as number) + heatA;
    });
    for (const [car, { home }] of cars.entries()) currents[home] = (currents[home] as number) + chargers.drawA(car);
    return currents;
  }
}

/** What the homes draw in a slot of the day as a share of what they would: 0 while the supply is away. */
function homesShare({ fromHour, toHour, coldLoadFactor, coldLoadMin }: Outage, slot: number): number {
  const hour = (24 * slot) / SLOTS_PER_DAY;
  if (hour < fromHour) return 1;
  if (hour < toHour) return 0;
  return 1 + (coldLoadFactor - 1) * Math.exp((-60 * (hour - toHour)) / coldLoadMin);
}

function isOver(peak: Float64Array): boolean {
  for (let at = 0; at < peak.length; at++) if ((peak[at] as number) > 1) return true;
  return false;
}

/** The most that one home with its chargers brings in root mean square over the time constant. */
function oneHomeA(profiles: HomeProfiles, heatPumpShare: number): number {
  const decayPerSlot = Math.exp(-(SLOT_STEPS * STEP_S) / (TIME_CONSTANT_MIN * 60));
  const heatPumpA =
    heatPumpShare > 0 ? heaviestHomeA({ ...profiles, winter: profiles.heatPump, summer: [] }, decayPerSlot) : 0;
  return heaviestHomeA(profiles, decayPerSlot) + heatPumpA + HOME_LIMIT_A;
}

/**
 * Drops the conductors that their homes cannot overload. The square root of a thermal state from cold is a norm of the
 * current, so what several homes bring is at most the sum of what each brings alone.
 */
function prune(feeder: FeederModel, homeA: number): { conductors: Conductor[]; conductorOf: Int32Array } {
  const kept: Conductor[] = [];
  const now: number[] = [];
  for (const [index, { parent, ...rest }] of feeder.conductors.entries()) {
    const above = now[parent] ?? index;
    if (index < 3) now.push(kept.push({ ...rest, parent: index }) - 1);
    else if (rest.homes * homeA <= rest.ratingA) now.push(above);
    else now.push(kept.push({ ...rest, parent: above }) - 1);
  }
  return { conductors: kept, conductorOf: feeder.conductorOf.map((index) => now[index] ?? 0) };
}
