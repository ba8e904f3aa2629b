// The recorded data: household profiles, home charging sessions, measured averages and feeder models, from a folder of
// the layout that its README describes. A file that is missing, or has other columns, is one clear error.
import { join } from 'node:path';
import {
  DAYS,
  type Driver,
  type FleetCurve,
  type HomeProfiles,
  type Session,
  SLOTS_PER_DAY,
  type StudyData,
} from './data.ts';
import { buildFeeder, type FeederModel, type Line, type Load } from './feeder-model.ts';
import { columnsOf, profilesOf, readTable } from './table.ts';

/** A driver with fewer sessions tells no habits. */
const LEAST_SESSIONS = 20;
/** Under this a session is a car that was full. */
const LEAST_KWH = 0.5;
/** A home charger is of 16 or 32 A; which, is told by the power that the data's authors estimate for the car. */
const BETWEEN_CHARGERS_KW = 5;
const DAY_MS = 86_400_000;
const HALF_HOURS = 48;

/** `wants`: the IEEE feeder alone, which is much sooner read, or all. */
export function recordedData(folder: string, wants: 'ieee' | 'all'): StudyData {
  return {
    origin: 'recorded',
    homes: homes(folder),
    drivers: drivers(folder),
    feeders: [ieeeFeeder(folder), ...(wants === 'ieee' ? [] : enwlFeeders(folder))],
    fleetCurves: fleetCurves(folder),
    assumptions: [
      'homes: each day a home takes one of 70 ENWL profiles (5 min) at random, winter or summer by the season, scaled by the energy of the average home of profile class 1 on that day; no spell of cold lasts from day to day',
      'cars: drivers of 206 Norwegian apartment homes; each day a session of that driver is drawn, on as many days as were seen; energy as recorded',
      'chargers: 16 A where the estimated power of the car is under 5 kW, else 32 A, at 230 V and power factor 1',
      'feeders: ENWL and IEEE models as published; ratings by line code as compiled by one research group, sections without a known rating are not judged',
    ],
  };
}

function homes(folder: string): HomeProfiles {
  const profiles = (name: string) => profilesOf(readTable(join(folder, 'households', name)));
  const path = join(folder, 'households/gb_pc1_average_home_30min_year_kw.csv.gz');
  const table = readTable(path);
  const [power = 1] = columnsOf(path, table, ['power_kw']);
  const seasonKwh = new Float32Array(DAYS);
  for (const [index, row] of table.rows.entries()) {
    const day = Math.floor(index / HALF_HOURS);
    seasonKwh[day] = (seasonKwh[day] ?? 0) + Number(row[power]) / 2;
  }
  return {
    winter: profiles('enwl_winter_load_5min_kw.csv.gz'),
    summer: profiles('enwl_summer_load_5min_kw.csv.gz'),
    ieee: profiles('ieee_eulv_load_1min_kw.csv.gz').map(bySlots),
    heatPump: profiles('enwl_winter_heatpump_5min_kw.csv.gz'),
    seasonKwh,
  };
}

/** A day of minutes as the means of its slots. */
function bySlots(minutes: Float32Array): Float32Array {
  const perSlot = minutes.length / SLOTS_PER_DAY;
  return Float32Array.from({ length: SLOTS_PER_DAY }, (_, slot) => {
    const own = minutes.subarray(slot * perSlot, (slot + 1) * perSlot);
    return own.reduce((sum, kw) => sum + kw, 0) / perSlot;
  });
}

function drivers(folder: string): Driver[] {
  const usersPath = join(folder, 'ev/norway_residential_users.csv');
  const users = readTable(usersPath);
  const [user = 0, power = 1] = columnsOf(usersPath, users, ['user_id', 'charging_power_kw']);
  const powerKw = new Map(users.rows.map((row) => [row[user] ?? '', Number(row[power])]));
  const path = join(folder, 'ev/norway_residential_sessions.csv.gz');
  const table = readTable(path);
  const [who = 1, begin = 3, hours = 5, energy = 6] = columnsOf(path, table, [
    'user_id',
    'plugin_time',
    'connection_time_h',
    'energy_session_kwh',
  ]);
  const seen = new Map<string, { sessions: Session[]; firstMs: number; lastMs: number }>();
  for (const row of table.rows) {
    const atMs = Date.parse(`${(row[begin] ?? '').replace(' ', 'T')}Z`);
    const connectedH = Number(row[hours]);
    const energyKwh = Number(row[energy]);
    if (!(connectedH > 0 && energyKwh >= LEAST_KWH) || Number.isNaN(atMs)) continue;
    const at = new Date(atMs);
    const session = {
      plugInMin: at.getUTCHours() * 60 + at.getUTCMinutes(),
      connectedH,
      energyKwh,
      isWeekend: at.getUTCDay() % 6 === 0,
    };
    const one = seen.get(row[who] ?? '') ?? { sessions: [], firstMs: atMs, lastMs: atMs };
    one.sessions.push(session);
    one.firstMs = Math.min(one.firstMs, atMs);
    one.lastMs = Math.max(one.lastMs, atMs);
    seen.set(row[who] ?? '', one);
  }
  return [...seen]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([id, { sessions, firstMs, lastMs }]) => {
      const kw = powerKw.get(id) ?? Number.NaN;
      if (sessions.length < LEAST_SESSIONS || Number.isNaN(kw)) return [];
      const days = (lastMs - firstMs) / DAY_MS + 1;
      return [{ chargerA: kw < BETWEEN_CHARGERS_KW ? 16 : 32, sessionsPerDay: sessions.length / days, sessions }];
    });
}

function fleetCurves(folder: string): FleetCurve[] {
  const path = join(folder, 'ev/electric_nation_diversified_1min_kw.csv.gz');
  const table = readTable(path);
  const profiles = profilesOf(table);
  return table.header.slice(1).flatMap((name, index) => {
    const kw = profiles[index];
    const match = /^plugin70pct:(weekday|weekend)_level_(1|2)_diversified_average_of_1_200_evs$/.exec(name);
    if (match === null || kw === undefined) return [];
    const chargerA = match[2] === '1' ? 16 : 32;
    return [{ name: `${match[1]}, ${chargerA} A, 70 % plugged in`, chargerA, isWeekend: match[1] === 'weekend', kw }];
  });
}

/** Where sources disagree on a rating, what most files state; the lower of equals. */
function ratings(folder: string): Map<string, number> {
  const path = join(folder, 'network/linecode_ratings.csv');
  const table = readTable(path);
  const [code = 0, amps = 1, files = 2] = columnsOf(path, table, ['linecode', 'normal_amps', 'files_stating_it']);
  const best = new Map<string, { ratingA: number; files: number }>();
  for (const row of table.rows) {
    const one = { ratingA: Number(row[amps]), files: Number(row[files]) };
    const before = best.get(row[code] ?? '');
    if (before === undefined || one.files > before.files) best.set(row[code] ?? '', one);
  }
  return new Map([...best].map(([name, { ratingA }]) => [name, ratingA]));
}

function ieeeFeeder(folder: string): FeederModel {
  const known = ratings(folder);
  const codesPath = join(folder, 'network/ieee_eulv_linecodes.csv');
  const codes = resistancesByCode(codesPath, 'linecode');
  const path = join(folder, 'network/ieee_eulv_lines.csv');
  const table = readTable(path);
  const [bus1 = 1, bus2 = 2, code = 4, length = 5] = columnsOf(path, table, ['bus1', 'bus2', 'linecode', 'length']);
  const lines = table.rows.map((row) => lineOf(row, bus1, bus2, code, length, known, codes));
  const loadsPath = join(folder, 'network/ieee_eulv_loads.csv');
  const loadTable = readTable(loadsPath);
  const [bus = 1, phase = 2] = columnsOf(loadsPath, loadTable, ['bus', 'phase']);
  const loads = loadTable.rows.map((row, index) => loadOf(row[bus], row[phase], index));
  const feeder = buildFeeder('ieee', lines, loads, '1');
  if (feeder === null) throw new RangeError(`${path}: the head section has no rating in linecode_ratings.csv`);
  return feeder;
}

function enwlFeeders(folder: string): FeederModel[] {
  const known = ratings(folder);
  const codes = resistancesByCode(join(folder, 'network/enwl_linecodes.csv'), 'linecode');
  const path = join(folder, 'network/enwl_lines.csv.gz');
  const table = readTable(path);
  const [network = 0, feeder = 1, bus1 = 3, bus2 = 4, code = 5, length = 6] = columnsOf(path, table, [
    'network',
    'feeder',
    'bus1',
    'bus2',
    'linecode',
    'length_m',
  ]);
  const lines = Map.groupBy(table.rows, (row) => `${row[network]}/${row[feeder]}`);
  const loadsPath = join(folder, 'network/enwl_loads.csv.gz');
  const loadTable = readTable(loadsPath);
  const [ofNetwork = 0, ofFeeder = 1, bus = 3, phase = 4] = columnsOf(loadsPath, loadTable, [
    'network',
    'feeder',
    'bus',
    'phase',
  ]);
  const loads = Map.groupBy(loadTable.rows, (row) => `${row[ofNetwork]}/${row[ofFeeder]}`);
  return [...lines].flatMap(([name, rows]) => {
    const own = (loads.get(name) ?? []).map((row, index) => loadOf(row[bus], row[phase], index));
    const sections = rows.map((row) => lineOf(row, bus1, bus2, code, length, known, codes));
    const built = buildFeeder(`enwl ${name}`, sections, own, '1');
    return built === null ? [] : [built];
  });
}

function resistancesByCode(path: string, codeColumn: string): Map<string, { r1: number; r0: number }> {
  const table = readTable(path);
  const [code = 0, r1 = 1, r0 = 3] = columnsOf(path, table, [codeColumn, 'r1_ohm_per_km', 'r0']);
  return new Map(table.rows.map((row) => [row[code] ?? '', { r1: Number(row[r1]), r0: Number(row[r0]) }]));
}

function lineOf(
  row: readonly string[],
  bus1: number,
  bus2: number,
  code: number,
  length: number,
  known: Map<string, number>,
  codes: Map<string, { r1: number; r0: number }>,
): Line {
  const name = row[code] ?? '';
  const { r1, r0 } = codes.get(name) ?? { r1: 0, r0: 0 };
  return {
    bus1: row[bus1] ?? '',
    bus2: row[bus2] ?? '',
    ratingA: known.get(name) ?? null,
    lengthM: Number(row[length]),
    r1,
    r0,
  };
}

/** A three-phase load of the models (8 of 6,206) is taken as a home on one of its phases. */
function loadOf(bus: string | undefined, phase: string | undefined, index: number): Load {
  const number = Number(phase);
  return { bus: bus ?? '', phase: number >= 1 && number <= 3 ? number - 1 : index % 3 };
}
