// COMTRADE records: written and read back in all four formats, waveforms as true RMS, the odd ones that recorders
// really make, and broken ones, which are one clear line and never a crash.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { DataFormat } from '../../../src/workbench/comtrade/record.ts';
import { combined, type NewRecord, writeRecord } from '../../../src/workbench/comtrade/write-record.ts';
import { replayText } from '../../../src/workbench/replay/show-results.ts';
import { mappingSchema } from '../../../src/workbench/trace/mapping.ts';
import { pairedRecords } from '../../../src/workbench/trace/open-trace.ts';
import { TraceProblem } from '../../../src/workbench/trace/problem.ts';
import { openDesk } from '../replay/desk.ts';
import { readAll } from '../trace/reading.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-comtrade-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FORMATS: readonly DataFormat[] = ['ASCII', 'BINARY', 'BINARY32', 'FLOAT32'];
const START_MS = Date.UTC(2026, 0, 5, 17, 0, 0, 250);

function write(record: NewRecord, format: DataFormat, name = 'record'): { cfg: string; cff: string } {
  const files = writeRecord(record, format);
  const [cfg, cff] = [join(folder, `${name}.cfg`), join(folder, `${name}.cff`)];
  writeFileSync(cfg, files.cfg);
  writeFileSync(join(folder, `${name}.dat`), files.dat);
  writeFileSync(cff, combined(files, format));
  return { cfg, cff };
}

/** A record of one reading a second, as a controller's export has it. */
function slow(values: readonly (readonly number[])[], more: Partial<NewRecord> = {}): NewRecord {
  return {
    station: 'Elm Grove, SUB-4711',
    device: 'F1',
    channels: ['L1', 'L2', 'L3', 'N'].map((phase, index) => ({
      name: `${phase}_A`,
      phase,
      unit: 'A',
      values: values.map((row) => row[index] ?? Number.NaN),
    })),
    startMs: START_MS,
    triggerMs: START_MS,
    lineFrequencyHz: 50,
    timesMs: values.map((_, index) => index * 1000),
    samplesPerS: 1,
    header: '',
    information: '',
    ...more,
  };
}

/** Waveforms at so many samples per second. */
function waves(
  peaksA: readonly number[],
  samplesPerS: number,
  samples: number,
  more: Partial<NewRecord> = {},
): NewRecord {
  const timesMs = Array.from({ length: samples }, (_, index) => (index * 1000) / samplesPerS);
  return slow([], {
    channels: peaksA.map((peakA, index) => ({
      name: `I${'ABC'[index]}`,
      phase: 'ABC'[index] ?? '',
      unit: 'A',
      values: timesMs.map((atMs) => peakA * Math.sin(2 * Math.PI * 0.05 * atMs - (index * 2 * Math.PI) / 3)),
    })),
    timesMs,
    samplesPerS,
    ...more,
  });
}

describe('written and read back', () => {
  test.each(FORMATS)('%s gives the same readings, from .cfg and .dat as from .cff', async (format) => {
    const values = [
      [345, 310.1, 0, 0.5],
      [344.9, Number.NaN, 120.05, 12],
      [600, 1, 2, Number.NaN],
    ];
    for (const file of Object.values(write(slow(values), format))) {
      const { taken, broken, form } = await readAll(file);
      expect(broken).toEqual([]);
      expect(form).toBe('utc');
      expect(taken.map(([, atMs]) => atMs)).toEqual([START_MS, START_MS + 1000, START_MS + 2000]);
      const exact = format === 'FLOAT32' ? values.map((row) => row.map(Math.fround)) : values;
      expect(taken.map(([, , ...amperes]) => amperes)).toEqual(exact);
    }
  });

  test.each(FORMATS)('%s keeps times that have no rate, over days', async (format) => {
    const timesMs = [0, 1000, 61_000, 86_400_000 * 30];
    const { cfg } = write(slow([[1], [2], [3], [4]], { timesMs, samplesPerS: null }), format);
    expect((await readAll(cfg)).taken.map(([, atMs]) => Math.round(atMs - START_MS))).toEqual(timesMs);
  });

  test('any amperes with two decimals come back as they are, where the format has the room', async () => {
    const amperes = fc.integer({ min: 0, max: 300_000 }).map((hundredths) => hundredths / 100);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(amperes, { minLength: 4, maxLength: 4 }), { minLength: 2, maxLength: 20 }),
        async (rows) => {
          for (const format of ['ASCII', 'BINARY32'] as const) {
            const { cff } = write(slow(rows), format, 'any');
            expect((await readAll(cff)).taken.map(([, , ...read]) => read)).toEqual(rows);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('true RMS per cycle', () => {
  test.each(FORMATS)('of a sine in %s', async (format) => {
    const { cfg } = write(waves([100 * Math.SQRT2, 200 * Math.SQRT2, 300 * Math.SQRT2], 6400, 1280), format);
    const { taken, notes } = await readAll(cfg);
    expect(taken).toHaveLength(10);
    expect(notes.join()).toContain('true RMS per cycle of 50 Hz');
    for (const [index, [, atMs, ...amperes]] of taken.entries()) {
      expect(atMs).toBeCloseTo(START_MS + 20 * (index + 1), 3);
      for (const [phase, expected] of [100, 200, 300].entries()) expect(amperes[phase]).toBeCloseTo(expected, 1);
    }
  });

  test('of a cycle that is no whole number of samples', async () => {
    const { cfg } = write(waves([100 * Math.SQRT2], 2401.5, 2400), 'FLOAT32');
    const { taken } = await readAll(cfg);
    expect(taken).toHaveLength(49);
    for (const [, , L1_A] of taken) expect(Math.abs(L1_A - 100)).toBeLessThan(0.5);
  });

  test('of harmonics and an offset', async () => {
    const record = waves([0], 6400, 256);
    const [channel] = record.channels;
    const angle = (index: number) => (2 * Math.PI * index) / 128;
    const values = record.timesMs.map((_, index) => 3 + 100 * Math.sin(angle(index)) + 30 * Math.sin(3 * angle(index)));
    const { cfg } = write(
      { ...record, channels: [{ name: 'IA', phase: 'A', unit: 'A', ...channel, values }] },
      'FLOAT32',
    );
    const { taken } = await readAll(cfg);
    expect(taken[0]?.[2]).toBeCloseTo(Math.sqrt(9 + 100 ** 2 / 2 + 30 ** 2 / 2), 3);
  });

  test('a cycle in which a value is missing has none; the others have', async () => {
    const record = waves([100, 100, 100], 1000, 60);
    const [first, ...rest] = record.channels;
    const values = (first?.values ?? []).map((value, index) => (index === 25 ? Number.NaN : value));
    const { cfg } = write({ ...record, channels: [{ name: 'IA', phase: 'A', unit: 'A', values }, ...rest] }, 'BINARY');
    expect((await readAll(cfg)).taken.map(([, , L1_A]) => Number.isNaN(L1_A))).toEqual([false, true, false]);
  });

  test('kA and secondary amperes are primary amperes', async () => {
    const files = writeRecord(slow([[1], [2]]), 'ASCII');
    const cfg = join(folder, 'secondary.cfg');
    writeFileSync(join(folder, 'secondary.dat'), files.dat);
    writeFileSync(cfg, files.cfg.replace(/^(1,.*),A,(.*),1,1,P/m, '$1,A,$2,400,5,S'));
    expect((await readAll(cfg)).taken[1]?.[2]).toBe(160);
    writeFileSync(cfg, files.cfg.replace(/^(1,.*),A,/m, '$1,kA,'));
    expect((await readAll(cfg)).taken[1]?.[2]).toBe(2000);
  });
});

test('a mapping gives several feeders their channels', async () => {
  const { cfg } = write(slow([[1, 2, 3, 4]]), 'ASCII');
  const mapping = mappingSchema.parse({ feeders: { F1: { L1: 'L3_A' }, F2: { L2: 1, N: '2' } } });
  const { taken } = await readAll(cfg, { mapping });
  const nan = Number.NaN;
  expect(taken.map(([feeder, , ...amperes]) => [feeder, ...amperes])).toEqual([
    ['F1', 3, nan, nan, nan],
    ['F2', nan, 1, nan, 2],
  ]);
});

test('parts of one record are one trace, also where their names differ', () => {
  expect(pairedRecords(['a.cfg', 'a.dat', 'a.hdr', 'b.CFG', 'c.dat', 'd.cff', 'e.csv'])).toEqual([
    'a.cfg',
    { configuration: 'b.CFG', data: 'c.dat' },
    'd.cff',
    'e.csv',
  ]);
});

describe('broken records', () => {
  const good = writeRecord(
    slow([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]),
    'ASCII',
  );
  const read = (cfg: string, dat: string | Buffer = good.dat) => {
    writeFileSync(join(folder, 'broken.cfg'), cfg);
    writeFileSync(join(folder, 'broken.dat'), dat);
    return readAll(join(folder, 'broken.cfg'));
  };

  test.each<[string, (cfg: string) => string, string]>([
    ['nothing', () => '', 'broken.cfg:1:1: missing, expected the station'],
    ['no channels', (cfg) => cfg.replace('4,4A,0D', 'four'), ':2:1: "four", expected how many channels'],
    ['a short channel', (cfg) => cfg.replace(/^1,L1_A.*$/m, '1,L1_A'), ':3:1: "1,L1_A", expected an analog channel'],
    [
      'a factor that is none',
      (cfg) => cfg.replace(/,A,0.0001,/, ',A,x,'),
      ':3:1: "x", expected the factor of channel L1_A',
    ],
    ['another format', (cfg) => cfg.replace('ASCII', 'MORSE'), ':12:1: "MORSE", expected one of ASCII, BINARY'],
    ['an end too early', (cfg) => cfg.split('\r\n').slice(0, 8).join('\r\n'), 'expected'],
    ['volts only', (cfg) => cfg.replaceAll(',A,0.', ',V,0.'), 'channels L1_A (V), L2_A (V)'],
    ['millions of channels', (cfg) => cfg.replace('4,4A,0D', '4,99999999A,0D'), ':2:1: "99999999A", expected'],
  ])('%s', async (_name, change, message) => {
    const failed = await read(change(good.cfg)).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TraceProblem);
    expect((failed as Error).message).toContain(message);
  });

  test('a sample that cannot be read is told and left out', async () => {
    const { taken, broken } = await read(good.cfg, `1,0,x,1,1,1\r\n2,1000000,1,2\r\n${good.dat.toString()}`);
    expect(taken).toHaveLength(2);
    expect(broken).toEqual([
      `${folder}/broken.dat:1:1: L1_A is "x", expected a number, or nothing`,
      `${folder}/broken.dat:2:1: row is 4 cells, expected 6, as the configuration says`,
    ]);
  });

  test('data that end inside a sample lose that one, and it is said', async () => {
    const binary = writeRecord(slow([[1], [2], [3]]), 'BINARY');
    const { taken, notes } = await read(binary.cfg, binary.dat.subarray(0, 40));
    expect(taken).toHaveLength(2);
    expect(notes.join()).toContain('8 bytes left out of 40');
  });

  test('data of another record are told row by row, and data without a sample as such', async () => {
    const { taken, broken, notes } = await read(good.cfg, '1,0,1,2\r\n2,1000,1,2\r\n');
    expect([taken.length, broken.length]).toEqual([0, 2]);
    expect(broken[0]).toContain('broken.dat:1:1: row is 4 cells, expected 6');
    expect(notes).toContain(`${join(folder, 'broken.cfg')}: no sample in the data`);
  });

  test('a rate at which a record would never end counts for nothing where there are stamps, and is refused where not', async () => {
    const cfg = good.cfg.replace('\r\n1,2\r\n', '\r\n5e-324,2\r\n');
    expect((await read(cfg)).taken).toHaveLength(2);
    await expect(read(cfg, '1,,1,2,3,4\r\n2,,1,2,3,4\r\n')).rejects.toThrow('a record of Infinity s, expected');
  });

  test('a record that comes after a later one is told reading by reading', async () => {
    const desk = openDesk();
    const late = write(
      slow(
        [
          [1, 2, 3],
          [1, 2, 3],
        ],
        { startMs: START_MS + 3_600_000 },
      ),
      'ASCII',
      'late',
    );
    const early = write(
      slow([
        [1, 2, 3],
        [1, 2, 3],
      ]),
      'ASCII',
      'early',
    );
    const { readings, broken } = await desk.replay(desk.configuration(), [late.cfg, early.cfg]);
    expect([readings, broken.count]).toEqual([2, 2]);
    expect(broken.first[0]).toMatchObject({
      file: early.cfg.replace('.cfg', '.dat'),
      path: 'time',
      value: '2026-01-05T17:00:00.250Z',
    });
    desk.close();
  });

  test('no number of a configuration is a crash, or a replay without end', async () => {
    const desk = openDesk();
    const configuration = desk.configuration();
    const odd = fc.constantFrom(
      '',
      '0',
      '-1',
      '1e308',
      '1e-308',
      '5e-324',
      '1e15',
      '9007199254740993',
      '31/12/9999',
      'x',
    );
    const changes = fc.array(fc.tuple(fc.nat(20), fc.nat(12), odd), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FORMATS), changes, async (format, changed) => {
        const parts = writeRecord(waves([300, 400, 300], 1000, 100), format);
        const lines = parts.cfg.split('\r\n').map((line) => line.split(','));
        for (const [line, cell, text] of changed) {
          const cells = lines[line % lines.length] ?? [];
          cells[cell % cells.length] = text;
        }
        const file = desk.file('odd.cfg', lines.map((cells) => cells.join(',')).join('\r\n'));
        desk.file('odd.dat', parts.dat);
        const outcome = await desk.replay(configuration, file).then(replayText, (error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(TraceProblem);
      }),
      { numRuns: 300 },
    );
    desk.close();
  });

  test('no slip of a byte is a crash', async () => {
    const slip = fc.record({
      part: fc.constantFrom('cfg', 'dat'),
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      drop: fc.nat(40),
      put: fc.uint8Array({ maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...FORMATS),
        fc.array(slip, { minLength: 1, maxLength: 4 }),
        async (format, slips) => {
          const parts = writeRecord(waves([100, 200, 300], 1000, 100), format);
          const bytes = { cfg: Buffer.from(parts.cfg), dat: parts.dat };
          for (const { part, at, drop, put } of slips) {
            const from = bytes[part as 'cfg' | 'dat'];
            const start = Math.floor(from.length * at);
            bytes[part as 'cfg' | 'dat'] = Buffer.concat([from.subarray(0, start), put, from.subarray(start + drop)]);
          }
          const outcome = await read(bytes.cfg.toString('latin1'), bytes.dat).catch((error: unknown) => error);
          if (outcome instanceof Error) {
            expect(outcome).toBeInstanceOf(TraceProblem);
            expect(outcome.message).not.toMatch(/undefined|\[object|\n/);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

const SHARED = join(import.meta.dirname, '../../../../shared/data/comtrade');
const recorded = existsSync(SHARED);
if (!recorded) console.log('skipped: recorded COMTRADE files are not there (../shared/data/comtrade)');

describe.skipIf(!recorded)('records that recorders made', () => {
  const file = (name: string) => join(SHARED, name);
  const highest = (taken: Awaited<ReturnType<typeof readAll>>['taken']) =>
    Math.max(...taken.flatMap(([, , a, b, c]) => [a, b, c].filter((value) => !Number.isNaN(value))));

  test('1991, in GBK, with stretches that stand apart', async () => {
    const { taken, notes } = await readAll(file('demo_1991_gbk.cfg'));
    expect(taken.length).toBe(86);
    expect(notes.join()).toMatch(/not UTF-8.*differ.*L1 is Ia1, L2 is Ib1, L3 is Ic1/);
    expect(new Date(taken[0]?.[1] ?? 0).toISOString().slice(0, 19)).toBe('2015-09-17T10:52:53');
  });

  test('1999 BINARY without a sampling rate, secondary amperes', async () => {
    const { taken, notes } = await readAll(file('ge_c60_relay.cfg'));
    expect(taken.length).toBe(84);
    expect(notes.join()).toContain('no sampling rate');
    expect(highest(taken)).toBeCloseTo(825.7, 0);
  });

  test('a mains meter without time stamps, ended by SUB: 116 to 176 A', async () => {
    const { taken, notes, broken } = await readAll(file('keating_mains_meter.cfg'));
    expect(broken).toEqual([]);
    expect(notes.join()).toContain('no time stamps');
    const amperes = taken.flatMap(([, , a, b, c]) => [a, b, c]);
    expect(Math.min(...amperes)).toBeGreaterThan(115);
    expect(highest(taken)).toBeLessThan(177);
  });

  test('2013 ASCII: side by side, in one file, not in UTF-8, and with SUB in the configuration', async () => {
    const plain = await readAll(file('sample_ascii.cfg'));
    expect(plain.taken).toHaveLength(2);
    expect(new Date(plain.taken[0]?.[1] ?? 0).toISOString()).toBe('2011-01-12T11:25:30.091Z');
    for (const other of [
      await readAll(file('sample_ascii.cff')),
      await readAll(file('sample_iso8859-1.cfg')),
      await readAll({ configuration: file('sample_sub_char.cfg'), data: file('sample_ascii.dat') }),
    ])
      expect(other.taken).toEqual(plain.taken);
  });

  test('missing values', async () => {
    const pair = { configuration: file('sample_ascii.cfg'), data: file('sample_ascii_missing.dat') };
    expect((await readAll(pair)).taken.map(([, , a, b, c]) => [a, b, c].map(Number.isNaN))).toEqual([
      [true, true, true],
      [false, false, false],
    ]);
  });

  test('FLOAT32 without a line frequency or a unit, its channel named by a mapping', async () => {
    const mapping = mappingSchema.parse({ feeders: { F1: { L1: 'test/out1' } } });
    const { taken, notes } = await readAll(file('sample_float32.cff'), { mapping });
    expect(taken).toHaveLength(301);
    expect(notes.join()).toContain('magnitudes, not a waveform');
    await expect(readAll(file('sample_float32.cff'))).rejects.toThrow('channels test/out1 (none)');
  });

  test('voltages are no currents: refused, unless a mapping names them', async () => {
    await expect(readAll(file('voltage_recorder_cp1251.cfg'))).rejects.toThrow('UA (V), UB (V)');
    const mapping = mappingSchema.parse({ feeders: { F1: { L1: 1, L2: 2, L3: 3 } } });
    const { taken, broken } = await readAll(file('voltage_recorder_cp1251.cfg'), { mapping });
    expect(broken).toEqual([]);
    expect(taken.length).toBeGreaterThan(100);
    // Five samples of 256 to a cycle.
    for (const data of ['sample_bin.dat', 'sample_bin_missing.dat']) {
      const pair = { configuration: file('sample_bin.cfg'), data: file(data) };
      expect((await readAll(pair, { mapping })).notes.join()).toContain('5 samples, less than one cycle');
    }
  });
});
