// The simulated fleet without control beside the averages that Electric Nation measured: power per car over the day, for
// chargers of each size on working days and weekends, and how far apart the two are.
import { rounded } from '../../feeder.ts';
import { type Car, carsOf, STEP_S, STEPS_PER_DAY, sessionsOf } from '../simulate/cars.ts';
import { DAYS, type FleetCurve, type StudyData, VOLTAGE_V } from '../simulate/data.ts';

const MINUTES = 1440;
const STEPS_PER_MINUTE = 60 / STEP_S;

export interface FleetDistance {
  readonly measured: FleetCurve;
  /** kW per car in every minute of the day. */
  readonly simulatedKw: Float32Array;
  readonly energyKwh: { readonly measured: number; readonly simulated: number };
  readonly peakAt: { readonly measured: string; readonly simulated: string };
  /** Root mean square of the difference over the day of the two, each divided by its own mean: of shape alone. */
  readonly shapeDistance: number;
}

export function fleetDistances(data: StudyData): FleetDistance[] {
  const [feeder] = data.feeders;
  if (feeder === undefined) return [];
  const cars = carsOf(feeder, data.drivers);
  return data.fleetCurves.map((measured) => {
    const own = cars.filter(({ driver }) => driver.chargerA === measured.chargerA);
    const simulatedKw = averageKw(feeder, own, measured.isWeekend);
    return {
      measured,
      simulatedKw,
      energyKwh: { measured: sum(measured.kw) / 60, simulated: sum(simulatedKw) / 60 },
      peakAt: { measured: peakAt(measured.kw), simulated: peakAt(simulatedKw) },
      shapeDistance: shapeDistance(measured.kw, simulatedKw),
    };
  });
}

/** One row of a table. */
export function fleetRow({ measured, energyKwh, peakAt, shapeDistance, simulatedKw }: FleetDistance) {
  return {
    measured: measured.name,
    measuredKwhPerDay: rounded(energyKwh.measured, 1),
    simulatedKwhPerDay: rounded(energyKwh.simulated, 1),
    measuredPeakKw: rounded(Math.max(...measured.kw), 2),
    simulatedPeakKw: rounded(Math.max(...simulatedKw), 2),
    measuredPeakAt: peakAt.measured,
    simulatedPeakAt: peakAt.simulated,
    shapeDistance: rounded(shapeDistance, 2),
  };
}

/** Over a year of these cars, each from its start until it has what it wants. */
function averageKw(feeder: StudyData['feeders'][number], cars: readonly Car[], isWeekend: boolean): Float32Array {
  const kw = new Float32Array(MINUTES);
  const year = sessionsOf(feeder, cars, cars.length, 1, 0);
  let days = 0;
  for (let day = 0; day < DAYS; day++) if (day % 7 >= 5 === isWeekend) days++;
  for (let session = 0; session < year.count; session++) {
    const ratedA = cars[year.car[session] ?? 0]?.driver.chargerA ?? 0;
    const start = year.startStep[session] ?? 0;
    const end = start + (year.wantAmpereSteps[session] ?? 0) / ratedA;
    for (let step = start; step < end; step += STEPS_PER_MINUTE) {
      if (Math.floor(step / STEPS_PER_DAY) % 7 >= 5 !== isWeekend) continue;
      const minute = Math.floor(step / STEPS_PER_MINUTE) % MINUTES;
      kw[minute] = (kw[minute] ?? 0) + (ratedA * VOLTAGE_V) / 1000 / days / cars.length;
    }
  }
  return kw;
}

function shapeDistance(a: Float32Array, b: Float32Array): number {
  const [meanA, meanB] = [sum(a) / a.length, sum(b) / b.length];
  return Math.sqrt(a.reduce((total, value, at) => total + (value / meanA - (b[at] ?? 0) / meanB) ** 2, 0) / a.length);
}

function peakAt(kw: Float32Array): string {
  const minute = kw.indexOf(Math.max(...kw));
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
