// CSV files of other makers by a mapping: units, times, filters, and the recorded feeders.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mappingSchema, readMapping } from '../../../src/workbench/trace/mapping.ts';
import { timeReader } from '../../../src/workbench/trace/time-format.ts';
import { readAll } from './reading.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-mapped-'));
afterAll(() => rmSync(folder, { recursive: true }));

function csv(...rows: string[]): string {
  const file = join(folder, 'foreign.csv');
  writeFileSync(file, `${rows.join('\n')}\n`);
  return file;
}
const mapped = async (file: string, mapping: object) =>
  readAll(file, { mapping: mappingSchema.parse({ time: { column: 't', format: 'seconds' }, ...mapping }) });
const amperes = async (file: string, mapping: object) =>
  (await mapped(file, mapping)).taken.map(([feeder, , ...values]) => [feeder, ...values.slice(0, 3)]);

describe('units', () => {
  const file = () => csv('t,a,b,c,u', '0,24,12,6,240');
  const feeders = { F1: { L1: 'a', L2: 'b', L3: 'c' } };
  test.each([
    [{ unit: 'A' }, [24, 12, 6]],
    [{ unit: 'kA' }, [24_000, 12_000, 6000]],
    [{ unit: 'A', scale: 0.5 }, [12, 6, 3]],
    [{ unit: 'kW', voltageV: 240 }, [100, 50, 25]],
    [{ unit: 'W', voltageV: 240 }, [0.1, 0.05, 0.025]],
    [{ unit: 'kW', voltageV: 240, powerFactor: 0.8 }, [125, 62.5, 31.25]],
    [{ unit: 'kVA', voltageV: 240, powerFactor: 0.8 }, [100, 50, 25]],
    [{ unit: 'kWh', intervalS: 1800, voltageV: 240 }, [200, 100, 50]],
  ])('%j', async (mapping, expected) => {
    const [row] = await amperes(file(), { ...mapping, feeders });
    for (const [index, value] of expected.entries()) expect(row?.[index + 1]).toBeCloseTo(value, 9);
  });

  test('voltage columns, a total of three phases, a neutral', async () => {
    const voltage = { L1: 'u', L2: 'u', L3: 'u' };
    expect(await amperes(file(), { unit: 'kVA', feeders: { F1: { ...feeders.F1, voltage } } })).toEqual([
      ['F1', 100, 50, 25],
    ]);
    const nan = Number.NaN;
    const { taken } = await mapped(file(), {
      unit: 'kVA',
      voltageV: 240,
      feeders: { F1: { total: 'a' }, F2: { N: 'c', L1: 'a' } },
    });
    expect(taken.map(([, , ...values]) => values.map((value) => Math.round(value)))).toEqual([
      [33, 33, 33, nan],
      [100, nan, nan, 25],
    ]);
  });

  test('a negative value: of the wrong sign, or export, or import', async () => {
    const negative = csv('t,a', '0,-5');
    const L1 = async (mapping: object) =>
      (await amperes(negative, { ...mapping, feeders: { F1: { L1: 'a' } } }))[0]?.[1];
    expect(await L1({})).toBe(-5);
    expect(await L1({ sign: 'importIsPositive' })).toBe(-5);
    expect(await L1({ sign: 'importIsNegative' })).toBe(5);
  });
});

test('rows are chosen by what stands in other columns, for all feeders and for one', async () => {
  const file = csv('t,site,way,a', '0,S1,1,10', '0,S1,2,20', '0,S2,1,30', '60,S1,1,11');
  const feeders = { F1: { where: { way: 1 }, L1: 'a' }, F2: { where: { way: '2' }, L1: 'a' } };
  const taken = await amperes(file, { where: { site: 'S1' }, feeders });
  expect(taken.map(([feeder, L1_A]) => `${feeder} ${L1_A}`)).toEqual(['F1 10', 'F2 20', 'F1 11']);
});

test('other delimiters, a decimal comma, quotes, blanks', async () => {
  const feeders = { F1: { L1: 'a', L2: 'b', L3: 'c' } };
  expect(await amperes(csv('t;"a";b;c', '0;"1,5";2,25;'), { delimiter: ';', decimal: ',', feeders })).toEqual([
    ['F1', 1.5, 2.25, Number.NaN],
  ]);
  expect(await amperes(csv('t,place,a,b,c', '0,"53.1, -0.6 ""N""",1,NA,null'), { feeders })).toEqual([
    ['F1', 1, Number.NaN, Number.NaN],
  ]);
});

test('a header further down, or none; rows and cells with nothing in them at the end', async () => {
  const feeders = { F1: { L1: 'a' } };
  expect(await amperes(csv('Logger 7', '', 't,a', '0,1', '10,2,,', ',', ''), { headerLine: 3, feeders })).toEqual([
    ['F1', 1, Number.NaN, Number.NaN],
    ['F1', 2, Number.NaN, Number.NaN],
  ]);
  const time = { column: 1, format: 'seconds' };
  const byNumber = await amperes(csv('0,1', '10,2'), { headerLine: 0, time, feeders: { F1: { L1: 2 } } });
  expect(byNumber.map(([, L1_A]) => L1_A)).toEqual([1, 2]);
  await expect(mapped(csv('0,1'), { headerLine: 0, time, feeders: { F1: { L1: 3 } } })).rejects.toThrow('3 is missing');
});

test('what has no line ends is not read to its end', async () => {
  const file = csv('t,a'.repeat(1_000_000));
  await expect(mapped(file, { feeders: { F1: { L1: 'a' } } })).rejects.toThrow('without a line end, expected lines');
});

test('rows that cannot be read', async () => {
  const file = csv('t,a', '0,1', 'x,2', '2,z', '3', '4,5');
  const { taken, broken } = await mapped(file, { feeders: { F1: { L1: 'a' } } });
  expect(taken).toHaveLength(2);
  expect(broken).toEqual([
    `${file}:3:1: t is "x", expected a time as seconds`,
    `${file}:4:1: a is "z", expected a number, or nothing`,
    `${file}:5:1: row is 1 cells, expected 2, as in the header`,
  ]);
});

test('a column that is not there', async () => {
  const file = csv('t,a', '0,1');
  await expect(mapped(file, { feeders: { F1: { L1: 'b' } } })).rejects.toThrow(
    `${file}:1:1: b is missing, expected one of the columns t, a`,
  );
});

describe('times', () => {
  test.each([
    ['iso', 'UTC', '2026-07-01 12:00:00', '2026-07-01T12:00:00.000Z'],
    ['iso', '+01:00', '2026-07-01 12:00:00', '2026-07-01T11:00:00.000Z'],
    ['iso', 'Europe/London', '2026-07-01 12:00:00', '2026-07-01T11:00:00.000Z'],
    ['iso', 'Europe/London', '2026-01-01 12:00:00', '2026-01-01T12:00:00.000Z'],
    ['iso', 'Europe/London', '2026-07-01T12:00:00Z', '2026-07-01T12:00:00.000Z'],
    ['dd/MM/yyyy HH:mm:ss', 'UTC', '31/12/2025 23:59:59', '2025-12-31T23:59:59.000Z'],
    ['dd.MM.yy HH:mm', 'UTC', '1.2.26 3:04', '2026-02-01T03:04:00.000Z'],
    ['dd/MM/yyyy HH:mm', 'UTC', '31/02/2026 00:00', null],
    ['dd/MM/yyyy HH:mm', 'Europe/London', '25/10/2026 01:30', '2026-10-25T00:30:00.000Z'],
    ['dd/MM/yyyy HH:mm', 'Europe/London', '25/10/2026 02:30', '2026-10-25T02:30:00.000Z'],
    ['dd-MMM-yy HH:mm:ss', 'UTC', '05-Jan-26 17:00:30', '2026-01-05T17:00:30.000Z'],
    ['dd-MMM-yy HH:mm:ss', 'UTC', '05-Foo-26 17:00:30', null],
    ['milliseconds', 'UTC', '1767225600000', '2026-01-01T00:00:00.000Z'],
  ])('%s in %s: %s', (format, zone, text, expected) => {
    const atMs = timeReader(format, zone).read(text, Number.NEGATIVE_INFINITY);
    expect(Number.isNaN(atMs) ? null : new Date(atMs).toISOString()).toBe(expected);
  });

  test('a night of 25 hours and one of 23: every row of it at its own instant', async () => {
    const night = async (...stamps: string[]) => {
      const time = { column: 't', format: 'dd/MM/yyyy HH:mm', zone: 'Europe/London' };
      const file = csv('t,a', ...stamps.map((stamp) => `${stamp},1`));
      const { taken, broken } = await mapped(file, { time, feeders: { F1: { L1: 'a' } } });
      return [taken.map(([, atMs]) => new Date(atMs).toISOString().slice(11, 16)).join(' '), broken.length];
    };
    const half = (day: string, ...clocks: string[]) => clocks.map((clock) => `${day} ${clock}`);
    const autumn = half('25/10/2026', '00:30', '01:00', '01:30', '01:00', '01:30', '02:00');
    expect(await night(...autumn)).toEqual(['23:30 00:00 00:30 01:00 01:30 02:00', 0]);
    // An hour that no clock showed is told, whatever the logger meant by it.
    expect(await night(...half('29/03/2026', '00:30', '01:30', '02:00'))).toEqual(['00:30 01:00', 1]);
  });

  test('date and time in columns of their own', async () => {
    const time = { column: ['day', 'clock'], format: 'dd/MM/yyyy HH:mm' };
    const file = csv('day,clock,a', '05/01/2026,17:00,1', '05/01/2026,,1');
    const { taken, broken } = await mapped(file, { time, feeders: { F1: { L1: 'a' } } });
    expect(taken.map(([, atMs]) => new Date(atMs).toISOString())).toEqual(['2026-01-05T17:00:00.000Z']);
    expect(broken[0]).toContain('day clock is "05/01/2026 ", expected a time as dd/MM/yyyy HH:mm');
  });
});

test('what is wrong with a mapping is told with its place', () => {
  const file = join(folder, 'mapping.yaml');
  writeFileSync(file, 'time: { column: t }\nunit: kW\nvolts: 240\nfeeders:\n  F1: { L1: a }\n');
  expect(readMapping(file)).toContain(`${file}:3:1: volts is an unknown key`);
  writeFileSync(file, 'time: { column: t }\nunit: Wh\nfeeders:\n  F1: { where: { way: 1 } }\n');
  expect(readMapping(file)).toBe(
    [
      `${file}:1:1: intervalS is missing, expected the seconds over which the energy was counted`,
      `${file}:4:7: feeders.F1 is a group of keys, expected a column for L1, L2 or L3, or for total`,
      `${file}:1:1: voltageV is missing, expected volts from phase to neutral, to turn Wh into amperes`,
    ].join('\n'),
  );
});

test.each([
  ['time: { column: t, format: d.M.yy }', ':1:28: time.format is "d.M.yy", expected iso, seconds'],
  ['time: { column: t, format: "dd/MM/yyyy hh:mm a" }', 'expected iso, seconds'],
  ['time: { column: t, zone: Elm Grove }', ':1:26: time.zone is "Elm Grove", expected UTC, an offset'],
  ['feeders: { F1: { total: a, L1: a } }', 'expected a column for L1, L2 or L3, or for total'],
  ['feeders: { F1: { L9: a } }', 'feeders.F1.L9 is an unknown key, expected one of where, L1,'],
  ['unit: kW\nfeeders: { F1: { L1: a, L2: b, voltage: { L1: u } } }', 'feeders.F1.voltage.L2 is missing'],
  ['unit: kW\nfeeders: { F1: { total: a, voltage: { L1: u, L2: u } } }', 'feeders.F1.voltage.L3 is missing'],
])('%s is refused at its place', (text, expected) => {
  const file = join(folder, 'mapping.yaml');
  writeFileSync(file, text.includes('feeders') ? text : `${text}\nfeeders: { F1: { L1: a } }`);
  expect(readMapping(file)).toContain(expected);
});

const SHARED = join(import.meta.dirname, '../../../../shared/data/feeders');
const recorded = existsSync(SHARED);
if (!recorded) console.log('skipped: recorded feeders are not there (../shared/data/feeders)');

describe.skipIf(!recorded)('recorded feeders', () => {
  const kW = { time: { column: 'timestamp' }, unit: 'kW', voltageV: 240 };
  const read = (name: string, mapping: object) =>
    readAll(join(SHARED, name), { mapping: mappingSchema.parse(mapping) });
  const phases = { L1: 'L1_kW', L2: 'L2_kW', L3: 'L3_kW' };

  test('a week of a feeder in kW, 378 A at its highest', async () => {
    const feeders = { F1: { where: { substation_id: 724374, feeder: 2 }, ...phases } };
    const { taken, broken } = await read('nged_lv_feeders_10min_kw.csv.gz', { ...kW, feeders });
    expect(taken).toHaveLength(1008);
    expect(broken).toEqual([]);
    expect(Math.max(...taken.flatMap(([, , a, b, c]) => [a, b, c]))).toBeCloseTo(377.9, 0);
  });

  test('blank cells and phases of the wrong sign', async () => {
    const feeders = {
      F1: { where: { substation_id: 724095, feeder: 1 }, ...phases },
      F2: { where: { substation_id: 723003, feeder: 4 }, ...phases },
    };
    const { taken } = await read('nged_lv_feeders_10min_kw.csv.gz', { ...kW, feeders });
    const of = (id: string) => taken.filter(([feeder]) => feeder === id);
    expect(of('F1').filter((row) => row.slice(2, 5).some(Number.isNaN)).length).toBeGreaterThan(0);
    expect(of('F2').filter(([, , L1_A]) => L1_A < 0).length).toBeGreaterThan(900);
  });

  test('apparent power over measured voltage', async () => {
    const voltage = { L1: 'U_L1N', L2: 'U_L2N', L3: 'U_L3N' };
    const feeders = { F1: { L1: 'S_L1N', L2: 'S_L2N', L3: 'S_L3N', voltage } };
    const { taken } = await read('fluke435_lv_3ph_1min.csv', { time: { column: 'timestamp' }, unit: 'VA', feeders });
    expect(taken).toHaveLength(720);
    const all = taken.flatMap(([, , a, b, c]) => [a, b, c]);
    expect([Math.round(Math.min(...all)), Math.round(Math.max(...all))]).toEqual([63, 160]);
  });

  test.each([
    ['wpd_11kv_mousehole_30min_mw.csv.gz', 34_312],
    ['wpd_11kv_staplegrove_30min_mw.csv.gz', 33_573],
  ])('three-phase megawatts of %s', async (name, rows) => {
    const feeders = { F1: { total: 'mean_MW' } };
    const { taken, broken } = await read(name, { time: { column: 'time' }, unit: 'MW', voltageV: 6351, feeders });
    expect([taken.length, broken]).toEqual([rows, []]);
  });

  test.each([
    ['samples/nged_lv_feeder_smartmeter_head.csv', 'Total_consumption_active_import'],
    ['samples/ssen_lv_feeder_smartmeter_head.csv', 'total_consumption_active_import'],
  ])('watt-hours per half hour of %s', async (name, total) => {
    const mapping = { time: { column: 'data_collection_log_timestamp' }, unit: 'Wh', intervalS: 1800, voltageV: 240 };
    const { taken, broken } = await read(name, { ...mapping, feeders: { F1: { total } } });
    expect([taken.length, broken]).toEqual([10, []]);
  });
});
