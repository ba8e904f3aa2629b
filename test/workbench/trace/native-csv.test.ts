// The byte-level reader against a plain one that splits strings: whatever pieces the file comes in, both see the same.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wholeMilliamperes } from '../../../src/acquisition/quality.ts';
import { NativeCsvReader } from '../../../src/workbench/trace/native-csv.ts';
import { IS_WHOLE, SECONDS_ZERO_MS, type TraceSink } from '../../../src/workbench/trace/sink.ts';

type Taken = [feeder: string, atMs: number, ...amperes: number[]];

/** Reads `text` in pieces of `size` bytes; the lines of broken rows, and the readings. */
function read(text: string, size = 1 << 20): { taken: Taken[]; broken: number[] } {
  const taken: Taken[] = [];
  const broken: number[] = [];
  const names: string[] = [];
  const sink: TraceSink = {
    slotOf: (feeder) => names.push(feeder) - 1,
    reading(slot, row) {
      taken.push([names[slot] ?? '', ...row.subarray(0, IS_WHOLE)] as Taken);
      const phases = [...row.subarray(1, 4)];
      if (row[IS_WHOLE] === 1) expect(phases).toEqual(phases.map(wholeMilliamperes));
      return true;
    },
    broken: ({ line }) => void broken.push(line),
    timeForm: () => {},
    note: () => {},
  };
  const reader = new NativeCsvReader('trace.csv', sink);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  reader.end();
  return { taken, broken };
}

const HEADER = 'time,feeder,L1_A,L2_A,L3_A,N_A\n';

describe('cells', () => {
  test.each([
    ['100', 100],
    ['100.25', 100.25],
    ['.5', 0.5],
    ['5.', 5],
    ['-12.5', -12.5],
    ['+12.5', 12.5],
    ['1.5e2', 150],
    [' 7 ', 7],
    ['"8.5"', 8.5],
    ['', Number.NaN],
    ['nan', Number.NaN],
    ['NaN', Number.NaN],
    ['0.1', 0.1],
    ['345.6789', 345.6789],
    ['123456789012345678', Number('123456789012345678')],
    ['0.12345678901234567890', Number('0.1234567890123456789')],
  ])('%j', (cell, value) => {
    for (const rows of [
      `0,F1,${cell},2,3,4`,
      `0,F1,1,1,1,1\n1,F1,${cell},2,3,4`,
      `0,F1,1,1,1,1\n1,F1,2,3,4,${cell}\r`,
    ]) {
      const last = read(`${HEADER}${rows}\n`).taken.at(-1);
      expect(last?.[rows.endsWith('\r') ? 5 : 2]).toBe(value);
    }
  });
});

describe('times', () => {
  test.each([
    ['2026-01-05T17:00:00Z', Date.UTC(2026, 0, 5, 17)],
    ['2026-01-05 17:00:00', Date.UTC(2026, 0, 5, 17)],
    ['2026-01-05T17:00:07.25Z', Date.UTC(2026, 0, 5, 17, 0, 7, 250)],
    ['2026-01-05T17:00:07.123456Z', Date.UTC(2026, 0, 5, 17, 0, 7, 123) + 0.456],
    ['2026-01-05T17:00', Date.UTC(2026, 0, 5, 17)],
    ['2026-01-05', Date.UTC(2026, 0, 5)],
    ['2026-01-05T17:00:00+01:00', Date.UTC(2026, 0, 5, 16)],
    ['2028-02-29T23:59:59Z', Date.UTC(2028, 1, 29, 23, 59, 59)],
  ])('%s', (stamp, atMs) => {
    for (const before of ['2026-01-01T00:00:00Z', stamp]) {
      const { taken } = read(`${HEADER}${before},F1,1,1,1,1\n${stamp},F1,1,1,1,1\n`);
      expect(taken[1]?.[1]).toBeCloseTo(atMs, 2);
    }
  });

  test.each([
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-05T25:00:00Z',
    '2026-01-05T17:00:60Z',
    '2026-01-05T17:61:00Z',
    '9999-12-31T00:00:00Z',
    '1969-12-31T23:59:59Z',
  ])('%s is none', (stamp) => {
    expect(read(`${HEADER}2026-01-01T00:00:00Z,F1,1,1,1,1\n${stamp},F1,1,1,1,1\n`).broken).toEqual([3]);
  });

  test('seconds, with parts', () => {
    const { taken } = read(`${HEADER}-1.5,F1,1,1,1,1\n90.1,F1,1,1,1,1\n`);
    expect(taken.map(([, atMs]) => atMs - SECONDS_ZERO_MS)).toEqual([-1500, 90_100]);
    // Since 1970, too; in milliseconds they are none.
    const since1970 = read(`${HEADER}1767225600,F1,1,1,1,1\n1767225601000,F1,1,1,1,1\n1e300,F1,1,1,1,1\n`);
    expect([since1970.taken.length, since1970.broken]).toEqual([1, [3, 4]]);
  });
});

test('feeders whose names begin alike are told apart', () => {
  const { taken } = read(
    `${HEADER}0,F1,1,1,1,1\n0,F10,2,2,2,2\n0,F,3,3,3,3\n1,F10,4,4,4,4\n1,F1,5,5,5,5\n1,F,6,6,6,6\n`,
  );
  expect(taken.map(([feeder, , L1_A]) => `${feeder} ${L1_A}`)).toEqual([
    'F1 1',
    'F10 2',
    'F 3',
    'F10 4',
    'F1 5',
    'F 6',
  ]);
});

test('blank lines and a byte order mark are nothing', () => {
  expect(read(`\uFEFF${HEADER}\n0,F1,1,2,3,4\r\n\r\n1,F1,1,2,3,4`).taken).toHaveLength(2);
});

test('any rows, in any pieces, come to what a plain reader makes of them', () => {
  const cell = fc.oneof(
    fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(String),
    fc.integer({ min: 0, max: 5000 }).map((tenths) => (tenths / 10).toFixed(1)),
    fc.constantFrom('', 'nan', 'x', '1.2.3', '-', '--1', '1e3', ' 4', '"5"'),
  );
  const row = fc.record({
    feeder: fc.constantFrom('F1', 'F2', 'Länge', ''),
    cells: fc.array(cell, { minLength: 3, maxLength: 5 }),
  });
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom('\n', '\r\n'),
      (rows, size, end) => {
        const lines = rows.map(({ feeder, cells }, index) => [String(index), feeder, ...cells].join(','));
        const expected = lines.flatMap((line) => {
          const [time, feeder = '', ...cells] = line.split(',');
          const values = cells.map((text) => plainNumber(text.trim().replace(/"/g, '')));
          if (cells.length !== 4 || feeder === '' || values.includes(null)) return [];
          return [[feeder, SECONDS_ZERO_MS + Number(time) * 1000, ...values]];
        });
        expect(read(`${HEADER}${lines.join(end)}`, size).taken).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  );
});

function plainNumber(text: string): number | null {
  if (text === '' || text === 'nan') return Number.NaN;
  return Number.isFinite(Number(text)) && /^[-+]?[\d.]/.test(text) ? Number(text) : null;
}
