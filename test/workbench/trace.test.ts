// Traces as people and loggers write them: both forms, and what is wrong with them.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseTime, readTrace, TraceError } from '../../src/workbench/trace.ts';

const RECORDED = join(import.meta.dirname, '../../../shared/data/feeders/nged_lv_feeders_10min_kw.csv.gz');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headroom-trace-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function traceFile(text: string | Buffer): string {
  const file = join(folder, 'trace.csv');
  writeFileSync(file, text);
  return file;
}

const native = (...rows: string[]) => traceFile(`${['time,feeder,L1_A,L2_A,L3_A,N_A', ...rows].join('\n')}\n`);
const power = (...rows: string[]) =>
  traceFile(`${['timestamp,substation_id,feeder,L1_kW,L2_kW,L3_kW', ...rows].join('\n')}\n`);

describe('amperes', () => {
  test('one feeder of a long form, by its id', () => {
    const file = native('2026-01-05T17:00:00Z,F1,100,110.5,120,9', '2026-01-05T17:00:00Z,F2,1,2,3,4');
    const trace = readTrace(file, { feeder: 'F1' });
    expect(trace).toMatchObject({ name: 'feeder F1', timeForm: 'utc', skippedRows: 0, assumed: null });
    expect(trace.rows).toEqual([{ atS: Date.UTC(2026, 0, 5, 17) / 1000, L1_A: 100, L2_A: 110.5, L3_A: 120, N_A: 9 }]);
  });

  test('without a neutral it is null, and seconds are a time', () => {
    const trace = readTrace(traceFile('\uFEFFtime,feeder,L1_A,L2_A,L3_A\r\n0,F1,1,2,3\r\n0.2,F1,4,5,-6\r\n'));
    expect(trace).toMatchObject({ timeForm: 'seconds', negativeCells: 1 });
    expect(trace.rows).toEqual([
      { atS: 0, L1_A: 1, L2_A: 2, L3_A: 3, N_A: null },
      { atS: 0.2, L1_A: 4, L2_A: 5, L3_A: 6, N_A: null },
    ]);
  });

  test('gzipped or not is seen in the file, not in its name', () => {
    expect(readTrace(traceFile(gzipSync('time,feeder,L1_A,L2_A,L3_A\n0,F1,1,2,3\n'))).rows).toHaveLength(1);
  });

  test('a blank cell is no value and keeps its row', () => {
    const trace = readTrace(native('0,F1,1,,3,4', '1,F1,,,,'));
    expect(trace).toMatchObject({ skippedRows: 0, blankCells: 5 });
    expect(trace.rows[0]).toEqual({ atS: 0, L1_A: 1, L2_A: Number.NaN, L3_A: 3, N_A: 4 });
    expect(trace.rows[1]?.L1_A).toBeNaN();
  });

  test.each([
    ['a word', '1,F1,1,oops,3,4', 'L2_A'],
    ['an infinity', '1,F1,1,2,Infinity,4', 'L3_A'],
    ['a hexadecimal number', '1,F1,0x10,2,3,4', 'L1_A'],
    ['too few cells', '1,F1,1,2', 'row'],
    ['a cut before its feeder', '1', 'row'],
    ['no feeder', '1,,1,2,3,4', 'feeder'],
    ['too many cells', '1,F1,1,2,3,4,5', 'row'],
    ['no time', ',F1,1,2,3,4', 'time'],
    ['a time that is none', 'noon,F1,1,2,3,4', 'time'],
    ['a time of the other form', '2026-01-05T17:00:00Z,F1,1,2,3,4', 'time'],
    ['a time that is past', '-1,F1,1,2,3,4', 'time'],
    ['a time once more', '0,F1,1,2,3,4', 'time'],
  ])('a row with %s is left out and counted', (_, row, path) => {
    const trace = readTrace(native('0,F1,1,2,3,4', row, '2,F1,5,6,7,8'));
    expect(trace.rows.map(({ L1_A }) => L1_A)).toEqual([1, 5]);
    expect(trace.skippedRows).toBe(1);
    expect(trace.firstSkipped).toMatchObject({ line: 3, path });
  });
});

describe('kilowatts', () => {
  test('become amperes by voltage and power factor, as magnitudes', () => {
    const file = power('2023-02-06 00:00:00,721030,1,24,-12,0', '2023-02-06 00:00:00,721030,2,1,1,1');
    const trace = readTrace(file, { substation: '721030', feeder: '1', voltageV: 250, powerFactor: 0.96 });
    expect(trace).toMatchObject({ assumed: { voltageV: 250, powerFactor: 0.96 }, negativeCells: 1 });
    expect(trace.rows).toHaveLength(1);
    const [row] = trace.rows;
    expect(row?.atS).toBe(Date.UTC(2023, 1, 6) / 1000);
    expect(row?.L1_A).toBeCloseTo(100, 9);
    expect(row?.L2_A).toBeCloseTo(50, 9);
    expect(row?.L3_A).toBe(0);
    expect(row?.N_A).toBeNull();
  });

  test('at 240 V and a power factor of 0.98 unless told', () => {
    const trace = readTrace(power('2023-02-06 00:00:00,721030,1,24,12,0'));
    expect(trace.assumed).toEqual({ voltageV: 240, powerFactor: 0.98 });
    expect(trace.rows[0]?.L1_A).toBeCloseTo(102.04, 2);
  });
});

describe('one clear error', () => {
  const messageOf = (read: () => unknown): string => {
    try {
      read();
    } catch (error) {
      expect(error).toBeInstanceOf(TraceError);
      return (error as Error).message.replace(folder, '…');
    }
    throw new Error('nothing was thrown');
  };

  test.each<[string, () => unknown, string]>([
    [
      'a file that is not there',
      () => readTrace(join(folder, 'nowhere.csv')),
      '…/nowhere.csv: not found, expected a readable CSV file, gzipped or not',
    ],
    [
      'a column that is missing',
      () => readTrace(traceFile('time,feeder,L1_A,L3_A\n0,F1,1,3\n')),
      '…/trace.csv:1:1: L2_A is missing, expected a header like time,feeder,L1_A,L2_A,L3_A[,N_A], not "time,feeder,L1_A,L3_A"',
    ],
    [
      'a kW form without its substation',
      () => readTrace(traceFile('timestamp,feeder,L1_kW,L2_kW,L3_kW\n')),
      '…/trace.csv:1:1: substation_id is missing, expected a header like timestamp,substation_id,feeder,L1_kW,L2_kW,L3_kW, not "timestamp,feeder,L1_kW,L2_kW,L3_kW"',
    ],
    ['no rows', () => readTrace(native()), '…/trace.csv: row is not there, expected at least one under the header'],
    [
      'a feeder that is not in it',
      () => readTrace(native('0,F1,1,2,3,4', '0,F2,1,2,3,4'), { feeder: 'F3' }),
      '…/trace.csv: feeder is "F3", expected one of F1, F2',
    ],
    [
      'a substation that is not in it',
      () => readTrace(power('2023-02-06 00:00:00,721030,1,1,1,1'), { substation: '1', feeder: '1' }),
      '…/trace.csv: substation is "1", expected one of 721030',
    ],
    [
      'several feeders and none named',
      () => readTrace(native('0,F1,1,2,3,4', '0,F2,1,2,3,4')),
      '…/trace.csv:3:1: feeder is both feeder F1 and feeder F2, expected one of them to be named, by its substation and feeder',
    ],
    [
      'nothing but broken rows',
      () => readTrace(native('0,F1,x,2,3,4')),
      '…/trace.csv:2:1: L1_A is "x", expected a number, or nothing',
    ],
  ])('for %s', (_, read, message) => {
    expect(messageOf(read)).toBe(message);
  });

  test('for a gzip file that is cut short', () => {
    const cut = gzipSync('time,feeder,L1_A,L2_A,L3_A\n0,F1,1,2,3\n').subarray(0, 30);
    expect(messageOf(() => readTrace(traceFile(cut)))).toMatch(/^…\/trace\.csv: .+, expected a readable CSV file/);
  });
});

test.each([
  ['2026-01-05T17:00:00Z', Date.UTC(2026, 0, 5, 17)],
  ['2026-01-05 17:00', Date.UTC(2026, 0, 5, 17)],
  ['2026-01-05T17:00:00.250+01:00', Date.UTC(2026, 0, 5, 16, 0, 0, 250)],
  ['2026-01-05', Date.UTC(2026, 0, 5)],
  ['12.5', 12_500],
  ['2026-02-31T00:00:00Z', null],
  ['2026-01-05T25:00:00Z', null],
  ['05/01/2026', null],
  ['', null],
])('the time %j', (text, atMs) => {
  expect(parseTime(text)?.atS ?? null).toBe(atMs === null ? null : atMs / 1000);
});

describe.skipIf(!existsSync(RECORDED))(
  'a recorded week (skipped where shared/data/feeders is not beside the tree)',
  () => {
    test('the heaviest feeder reaches 378 A at 240 V and a power factor of 1', () => {
      const trace = readTrace(RECORDED, { substation: '724374', feeder: '2', powerFactor: 1 });
      expect(trace.rows).toHaveLength(1008);
      expect(Math.max(...trace.rows.flatMap(({ L1_A, L2_A, L3_A }) => [L1_A, L2_A, L3_A]))).toBeCloseTo(377.7, 1);
    });

    test('its blank cells are no values and its wrong signs are magnitudes', () => {
      const blank = readTrace(RECORDED, { substation: '724095', feeder: '1' });
      expect(blank).toMatchObject({ blankCells: 2, skippedRows: 0 });
      const reversed = readTrace(RECORDED, { substation: '730789', feeder: '3' });
      expect(reversed.negativeCells).toBeGreaterThan(1000);
      expect(reversed.rows.every(({ L2_A, L3_A }) => L2_A >= 0 && L3_A >= 0)).toBe(true);
    });
  },
);
