// What a run is about: the data, one of its feeders, the cars at it. The same for the verbs simulate and study.
import { existsSync } from 'node:fs';
import { type Car, carsOf } from './cars.ts';
import type { Driver, StudyData } from './data.ts';
import type { FeederModel } from './feeder-model.ts';
import { Plant, type PlantOptions, TIME_CONSTANT_MIN } from './plant.ts';
import { recordedData } from './recorded.ts';
import { syntheticData } from './synthetic.ts';

/** Where the recorded data is looked for, from the working directory. */
const DATA_FOLDER = '../shared/data';

/** Half of the feeders and half of the drivers were never looked at while thresholds and control were worked on. */
export type Half = 'tuning' | 'heldOut';

/**
 * The recorded data of `folder`, or of the usual place; synthetic where that is not there. Throws where a folder that
 * was named is not there. `feeder` is the only one that is wanted, if it is one alone.
 */
export function loadData(folder: string | undefined, feeder: string | undefined): StudyData {
  if (folder !== undefined && !existsSync(folder))
    throw new RangeError(`${folder} is not there, expected a folder of data`);
  const from = folder ?? DATA_FOLDER;
  if (!existsSync(from)) return syntheticData();
  return recordedData(from, feeder === undefined || feeder === 'ieee' ? 'ieee' : 'all');
}

export function halfOf(data: StudyData, feeder: FeederModel): Half {
  return data.feeders.indexOf(feeder) % 2 === 0 ? 'tuning' : 'heldOut';
}

function driversOf(data: StudyData, half: Half): Driver[] {
  return data.drivers.filter((_, index) => index % 2 === (half === 'tuning' ? 0 : 1));
}

/** Throws where there is no feeder of that name. */
export function feederOf(data: StudyData, name: string | undefined): FeederModel {
  const feeder = name === undefined ? data.feeders[0] : data.feeders.find((one) => one.name === name);
  if (feeder !== undefined) return feeder;
  const names = data.feeders.map((one) => one.name).join(', ');
  throw new RangeError(`no feeder ${name} with a known rating, expected one of ${names}`);
}

/** What the verbs' options say of homes and cars. Throws where there are no such homes. */
export function plantOptions({
  homes,
  heatPumps,
  tariff,
}: {
  readonly homes: string;
  readonly heatPumps: number;
  readonly tariff: number;
}): PlantOptions {
  if (homes !== 'enwl' && homes !== 'ieee') throw new RangeError(`homes ${homes}, expected enwl or ieee`);
  return { heatPumpShare: heatPumps, tariffShare: tariff, ...(homes === 'ieee' && { homes }) };
}

export interface Scenario {
  readonly plant: Plant;
  readonly cars: readonly Car[];
  readonly half: Half;
}

export function scenarioOf(
  data: StudyData,
  feeder: FeederModel,
  options: PlantOptions,
  half = halfOf(data, feeder),
): Scenario {
  return {
    plant: new Plant(feeder, data.homes, options),
    cars: carsOf(feeder, driversOf(data, half)),
    half,
  };
}

/** What every result rests on, for people. */
export function assumptionsOf(
  data: StudyData,
  { homes, heatPumpShare, tariffShare }: PlantOptions,
  sections: number,
): string[] {
  return [
    ...data.assumptions,
    'each home has one car before any has two, and two share 32 A; where they stand is drawn once for a feeder',
    'cars start when they come, after the random delay of the regulations (0 to 600 s); currents add up by magnitude, at 230 V',
    `thermal state: IEC 60255-149, time constant ${TIME_CONSTANT_MIN} min, of every section with a known rating that its homes could overload`,
    'chain: two trips over the DCC of 12.5 to 37.5 s each, 5 devices a second, up to 60 s on the HAN, up to 600 s random delay at every change, 1 % of service requests without an answer',
    'fuse: the next size from the rating of the head section up; voltage: by the resistances of the lines from 230 V at the head',
    ...(sections > 0
      ? [
          `a meter at the head, and at up to ${sections} of the sections that the head shows least, each a feeder of its own with a target group of the chargers behind it; a charger in two groups obeys the lower level`,
        ]
      : []),
    ...(homes === 'ieee' ? ['in winter the homes have the profiles of the IEEE feeder in place of those of ENWL'] : []),
    ...(heatPumpShare > 0 ? [`${Math.round(heatPumpShare * 100)} % of homes have a heat pump`] : []),
    ...(tariffShare > 0 ? [`${Math.round(tariffShare * 100)} % of cars wait for 00:30`] : []),
  ];
}
