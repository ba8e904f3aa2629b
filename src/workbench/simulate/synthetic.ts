// The set for where there is no recorded data: homes, drivers and feeders made up from a seed, of the sizes that British
// ones have. It shows how the program works; what it says of capacity holds for no real feeder.
import { seededRandom } from '../seeded-random.ts';
import { DAYS, type Driver, type HomeProfiles, type Session, SLOTS_PER_DAY, type StudyData } from './data.ts';
import { buildFeeder, type FeederModel, type Line, type Load } from './feeder-model.ts';

const PROFILES = 40;
const DRIVERS = 60;
const SESSIONS = 60;

export function syntheticData(): StudyData {
  return {
    origin: 'synthetic',
    homes: homes(),
    drivers: drivers(),
    feeders: [feeder('synthetic 1', 54, 185), feeder('synthetic 2', 84, 305), feeder('synthetic 3', 36, 185)],
    fleetCurves: [],
    assumptions: ['SYNTHETIC DATA: homes, drivers and feeders are made up; what is found holds for no real feeder'],
  };
}

function homes(): HomeProfiles {
  const random = seededRandom('homes');
  const profiles = (eveningKw: number) => Array.from({ length: PROFILES }, () => profile(random, eveningKw));
  return {
    winter: profiles(0.7),
    summer: profiles(0.45),
    ieee: [],
    heatPump: profiles(2),
    seasonKwh: Float32Array.from({ length: DAYS }, (_, day) => 10.5 + 2 * Math.cos((2 * Math.PI * (day - 15)) / DAYS)),
  };
}

/** A base, more in the morning and the evening, and a few short heavy loads where people are up. */
function profile(random: () => number, eveningKw: number): Float32Array {
  const hourOf = (slot: number) => (24 * slot) / SLOTS_PER_DAY;
  const size = 0.5 + random();
  const bump = (hour: number, at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2));
  const kw = Float32Array.from({ length: SLOTS_PER_DAY }, (_, slot) => {
    const hour = hourOf(slot);
    return 0.12 + size * (0.25 * bump(hour, 8, 2) + eveningKw * bump(hour, 19, 3)) * (0.5 + random());
  });
  for (let load = 0; load < 4; load++) {
    const from = Math.floor((6.5 + 16 * random()) * (SLOTS_PER_DAY / 24));
    const heavyKw = 1.5 + 6 * random() * random();
    for (let slot = from; slot < Math.min(SLOTS_PER_DAY, from + 1 + 3 * random()); slot++)
      kw[slot] = (kw[slot] ?? 0) + heavyKw;
  }
  return kw;
}

function drivers(): Driver[] {
  const random = seededRandom('drivers');
  return Array.from({ length: DRIVERS }, () => {
    const chargerA = random() < 0.5 ? 16 : 32;
    const usualMin = 15 * 60 + 6 * 60 * random();
    const usualKwh = 6 + 12 * random();
    const session = (_: unknown, index: number): Session => ({
      plugInMin: Math.min(1439, Math.floor(usualMin + 180 * (random() - 0.5))),
      connectedH: 6 + 8 * random(),
      energyKwh: usualKwh * (0.4 + 1.2 * random()),
      isWeekend: index % 7 >= 5,
    });
    return { chargerA, sessionsPerDay: 0.25 + 0.5 * random(), sessions: Array.from({ length: SESSIONS }, session) };
  });
}

/** A trunk with a lateral of a lower rating at every sixth home. */
function feeder(name: string, count: number, ratingA: number): FeederModel {
  const section = (bus1: string, bus2: string, sectionA: number): Line => ({
    bus1,
    bus2,
    ratingA: sectionA,
    lengthM: 12,
    r1: 0.446,
    r0: 1.505,
  });
  const lines: Line[] = [];
  const loads: Load[] = [];
  for (let home = 0; home < count; home++) {
    lines.push(section(home === 0 ? 'source' : `trunk ${home - 1}`, `trunk ${home}`, ratingA));
    lines.push(section(`trunk ${home}`, `home ${home}`, home % 6 === 5 ? 120 : ratingA));
    loads.push({ bus: `home ${home}`, phase: home % 3 });
  }
  const built = buildFeeder(name, lines, loads, 'source');
  if (built === null) throw new RangeError(`${name} has no rated head`);
  return built;
}
