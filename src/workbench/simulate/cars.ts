// The nested set of cars of a feeder, and what each of them does in a seed's year. Car n + 1 is added to the first n:
// neither where a car stands, nor who drives it, nor any of its sessions depends on how many others there are.
import { seededRandom } from '../seeded-random.ts';
import { DAYS, type Driver, type Session, VOLTAGE_V } from './data.ts';
import type { FeederModel } from './feeder-model.ts';

/** Time is in steps of 10 s from the start of the year. */
export const STEP_S = 10;
export const STEPS_PER_DAY = 86_400 / STEP_S;
const YEAR_STEPS = DAYS * STEPS_PER_DAY;
const CARS_PER_HOME = 2;

/** The regulations' default: every start, and every change of rate, is delayed at random by up to this, s. */
const RANDOM_DELAY_S = 600;
const RANDOM_DELAY_STEPS = RANDOM_DELAY_S / STEP_S;
const STEPS_PER_MINUTE = 60 / STEP_S;
/** A session ends this long before the next of the same car, at least. */
const BETWEEN_STEPS = 5 * STEPS_PER_MINUTE;
const TARIFF_START_MIN = 30;

export interface Car {
  readonly home: number;
  readonly driver: Driver;
  /** Its sessions of working days and of weekends. */
  readonly pools: readonly [readonly Session[], readonly Session[]];
  /** Waits for 00:30 where a tariff makes it, whatever share of cars do; 0 to 1, compared with that share. */
  readonly tariffDraw: number;
}

/** Sessions of all cars in order of their start; ampere-steps are amperes for 10 s. */
export interface YearOfSessions {
  readonly count: number;
  readonly car: Int32Array;
  readonly startStep: Int32Array;
  readonly departStep: Int32Array;
  readonly wantAmpereSteps: Float64Array;
}

/** Every home has one car before any has two; which is next is drawn once for a feeder. */
export function carsOf(feeder: FeederModel, drivers: readonly Driver[]): Car[] {
  const random = seededRandom(`${feeder.name}/cars`);
  const homes = feeder.phaseOf.length;
  return Array.from({ length: CARS_PER_HOME }, () => shuffled(homes, random)).flatMap((order) =>
    order.map((home) => {
      const driver = drivers[Math.floor(random() * drivers.length)];
      if (driver === undefined) throw new RangeError('no driver is known');
      return { home, driver, pools: poolsOf(driver), tariffDraw: random() };
    }),
  );
}

/** The sessions of the first `count` cars in the year of `seed`. */
export function sessionsOf(
  feeder: FeederModel,
  cars: readonly Car[],
  count: number,
  seed: number,
  tariffShare: number,
): YearOfSessions {
  const all: { car: number; startStep: number; departStep: number; wantAmpereSteps: number }[] = [];
  for (const [car, { driver, pools, tariffDraw }] of cars.slice(0, count).entries()) {
    const random = seededRandom(`${feeder.name}/${seed}/car ${car}`);
    let free = 0;
    for (let day = 0; day < DAYS; day++) {
      // Three draws a day whatever happens, so that a day does not move the next.
      const [comes, which, delay] = [random(), random(), random()];
      if (comes >= driver.sessionsPerDay) continue;
      const session = pick(pools[day % 7 >= 5 ? 1 : 0], which);
      const plugStep = day * STEPS_PER_DAY + session.plugInMin * STEPS_PER_MINUTE;
      if (plugStep < free) continue;
      const departStep = plugStep + Math.round(session.connectedH * 60 * STEPS_PER_MINUTE);
      free = departStep + BETWEEN_STEPS;
      const atStep = tariffDraw < tariffShare ? tariffStart(plugStep, departStep, session, driver) : plugStep;
      const startStep = atStep + Math.floor(delay * RANDOM_DELAY_STEPS);
      // What the car could take in its stay: the record has sessions that ask for a little more.
      const wantAmpereSteps = Math.min(ampereSteps(session), (departStep - startStep) * driver.chargerA);
      if (wantAmpereSteps > 0 && startStep < YEAR_STEPS) all.push({ car, startStep, departStep, wantAmpereSteps });
    }
  }
  all.sort((a, b) => a.startStep - b.startStep || a.car - b.car);
  return {
    count: all.length,
    car: Int32Array.from(all, ({ car }) => car),
    startStep: Int32Array.from(all, ({ startStep }) => startStep),
    departStep: Int32Array.from(all, ({ departStep }) => departStep),
    wantAmpereSteps: Float64Array.from(all, ({ wantAmpereSteps }) => wantAmpereSteps),
  };
}

function poolsOf({ sessions }: Driver): [readonly Session[], readonly Session[]] {
  const pool = (isWeekend: boolean) => {
    const own = sessions.filter((session) => session.isWeekend === isWeekend);
    return own.length > 0 ? own : sessions;
  };
  return [pool(false), pool(true)];
}

/** 00:30 after the car came, where it still gets all it wants by the time it leaves; else when it came. */
function tariffStart(plugStep: number, departStep: number, session: Session, { chargerA }: Driver): number {
  const tariffStep = TARIFF_START_MIN * STEPS_PER_MINUTE;
  const since = (((plugStep - tariffStep) % STEPS_PER_DAY) + STEPS_PER_DAY) % STEPS_PER_DAY;
  const atStep = since === 0 ? plugStep : plugStep - since + STEPS_PER_DAY;
  return atStep + RANDOM_DELAY_STEPS + ampereSteps(session) / chargerA <= departStep ? atStep : plugStep;
}

function ampereSteps({ energyKwh }: Session): number {
  return (energyKwh * 3_600_000) / VOLTAGE_V / STEP_S;
}

function pick(sessions: readonly Session[], draw: number): Session {
  const session = sessions[Math.floor(draw * sessions.length)];
  if (session === undefined) throw new RangeError('a driver without sessions');
  return session;
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
  }
  return order;
}
