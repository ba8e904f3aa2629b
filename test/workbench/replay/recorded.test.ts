// Every recorded feeder and every COMTRADE record through the replay, whole: what is odd about each is told and not
// refused, and what is refused has no current that anybody could mean.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { replayVerb } from '../../../src/workbench/replay/replay-verb.ts';
import type { ReplayResult } from '../../../src/workbench/replay/results.ts';
import { replayText } from '../../../src/workbench/replay/show-results.ts';
import { readMapping } from '../../../src/workbench/trace/mapping.ts';
import { TraceProblem } from '../../../src/workbench/trace/problem.ts';
import { openDesk } from './desk.ts';

const SHARED = join(import.meta.dirname, '../../../../shared/data');
const desk = openDesk();
afterAll(() => desk.close());

async function through(
  trace: string | string[],
  mapping?: string,
  feeders = ['F1'],
  more?: string,
): Promise<ReplayResult> {
  const read = mapping === undefined ? undefined : readMapping(desk.file('mapping.yaml', mapping));
  if (typeof read === 'string') throw new Error(read);
  return desk.replay(desk.configuration(undefined, feeders, more), trace, { mapping: read });
}

const of = (result: ReplayResult, id = 'F1') => result.feeders.find(({ feederId }) => feederId === id);

describe.skipIf(!existsSync(SHARED))('recorded feeders (skipped where shared/data is not beside the tree)', () => {
  const feeders = (name: string) => join(SHARED, 'feeders', name);

  test('a supply point, by volt-amperes and the voltage of each phase', async () => {
    const columns = ['L1', 'L2', 'L3'].map((name) => `${name}: S_${name}N`).join(', ');
    const volts = ['L1', 'L2', 'L3'].map((name) => `${name}: U_${name}N`).join(', ');
    const time = 'time: { column: timestamp, format: yyyy-MM-dd HH:mm:ss }';
    const result = await through(
      feeders('fluke435_lv_3ph_1min.csv'),
      `${time}\nunit: VA\nfeeders: { F1: { ${columns}, voltage: { ${volts} } } }\n`,
    );
    expect(of(result)).toMatchObject({ readings: 720, bad: 0, gaps: 0, gapS: 180 });
    expect(result.broken.count).toBe(0);
    expect(result.notes.join()).toContain('amperes from VA by the measured voltage');
  });

  test('every feeder of 35 substations, each by itself: 174,340 rows, blank cells, wrong signs, missing rows', async () => {
    const index = readFileSync(feeders('nged_lv_feeders_index.csv'), 'utf8').trim().split('\n').slice(1);
    // Some substations have a comma in their name, which stands in quotes.
    const known = index.map((line) => line.replace(/"[^"]*"/, '').split(','));
    const ids = known.map(([substation, , feeder]) => `S${substation}-${feeder}`);
    const each = known.map(
      ([substation, , feeder]) =>
        `  S${substation}-${feeder}: { where: { substation_id: "${substation}", feeder: "${feeder}" }, L1: L1_kW, L2: L2_kW, L3: L3_kW }`,
    );
    const result = await through(
      feeders('nged_lv_feeders_10min_kw.csv.gz'),
      `time: { column: timestamp }\nunit: kW\nvoltageV: 240\nfeeders:\n${each.join('\n')}\n`,
      ids,
    );
    expect(result.readings).toBe(known.reduce((sum, row) => sum + Number(row[5]), 0));
    expect(result.broken.count).toBe(0);
    for (const [substation, , feeder, , , rows, , blank, , , , , , , negative] of known) {
      const found = of(result, `S${substation}-${feeder}`);
      expect(found?.readings).toBe(Number(rows));
      expect(found !== undefined && found.bad > 0).toBe(Number(blank) > 0);
      expect(found !== undefined && found.wrongSigns > 0).toBe(Number(negative) > 0);
    }
    // The heaviest phase of the set: 377.7 A at a power factor of 1.
    expect(of(result, 'S724374-2')?.peakA).toBe(377.71);
  });

  test('a substation: its busbar is the meter of the transformer, and near the sum of its feeders', async () => {
    const rows = (id: string, feeder: string) =>
      `  ${id}: { where: { feeder: ${feeder} }, L1: L1_kW, L2: L2_kW, L3: L3_kW }`;
    const ids = ['F1', 'F2', 'F3', 'F4', 'F5'];
    const mapping = [
      'time: { column: timestamp }\nwhere: { substation_id: "724374" }\nunit: kW\nvoltageV: 240\nfeeders:',
      ...ids.map((id) => rows(id, `"${id.slice(1)}"`)),
    ];
    const transformer = `transformer:
  ratingKva: 1000
  voltageV: 433
  feeders: [${ids.join(', ')}]
  atRisk: { pickupA: 1000, dropoutA: 950, delayS: 1800, resetDelayS: 1800 }
  thermal: { oil: {} }
`;
    const trace = feeders('nged_lv_feeders_10min_kw.csv.gz');
    const bySum = await through(trace, `${mapping.join('\n')}\n`, ids, transformer);
    const busbar = [...mapping, rows('transformer', '"busbar"')];
    const metered = transformer.replace('  atRisk', '  currents: { source: meter-1 }\n  atRisk');
    const byMeter = await through(trace, `${busbar.join('\n')}\n`, ids, metered);
    expect(bySum.transformer).toMatchObject({ isSum: true, bad: 0 });
    expect(byMeter.transformer).toMatchObject({ isSum: false, bad: 0, readings: bySum.transformer?.readings });
    const [sumA, meterA] = [bySum.transformer?.peakA ?? 0, byMeter.transformer?.peakA ?? 0];
    expect(Math.abs(sumA - meterA) / meterA).toBeLessThan(0.02);
    expect(byMeter.transformer?.episodes.length).toBeGreaterThan(0);
    expect(byMeter.events.some(({ type, element }) => type === 'limit' && element === 'transformer')).toBe(true);
    expect(byMeter.transformer?.peakThermalPercent).toBeGreaterThan(50);
  });

  test.each([
    ['nged_lv_feeder_smartmeter_head.csv', 'Total_consumption_active_import', 'LV_feeder_ID'],
    ['ssen_lv_feeder_smartmeter_head.csv', 'total_consumption_active_import', 'lv_feeder_id'],
  ])('smart meters of a feeder in Wh of half hours: %s', async (name, total, feeder) => {
    const result = await through(
      feeders(`samples/${name}`),
      `time: { column: data_collection_log_timestamp }\nwhere: { ${feeder}: "${name.startsWith('nged') ? '1' : '02'}" }\nunit: Wh\nintervalS: 1800\nvoltageV: 240\nfeeders: { F1: { total: ${total} } }\n`,
    );
    expect(of(result)?.readings).toBeGreaterThan(0);
    expect(result.notes.join()).toContain('means over 1800 s');
  });

  test.each([
    ['wpd_11kv_mousehole_30min_mw.csv.gz', 34_312],
    ['wpd_11kv_staplegrove_30min_mw.csv.gz', 33_573],
  ])('two years of an 11 kV feeder in MW, with reverse flow and gaps: %s', async (name, rows) => {
    const result = await through(
      feeders(name),
      'time: { column: time }\nunit: MW\nvoltageV: 6350\npowerFactor: 0.98\nfeeders: { F1: { total: mean_MW } }\n',
    );
    expect((of(result)?.readings ?? 0) + result.broken.count).toBe(rows);
    expect(of(result)?.gapS).toBe(5400);
    expect(of(result)?.wrongSigns ?? 0).toBeGreaterThanOrEqual(name.includes('staplegrove') ? 1 : 0);
    expect(replayText(result)).toContain('open loop');
  });

  test('a table that is no trace is told as such', async () => {
    await expect(through(feeders('nged_lv_feeders_index.csv'))).rejects.toThrow(
      /:1:1: time is missing, expected a header like time,feeder,L1_A/,
    );
  });
});

describe.skipIf(!existsSync(SHARED))('COMTRADE records (skipped where shared/data is not beside the tree)', () => {
  const folder = join(SHARED, 'comtrade');
  const record = (name: string) => join(folder, name);

  test.each([
    ['keating_mains_meter.cfg', 'no time stamps'],
    ['sample_sub_char.cfg', 'SUB'],
    ['sample_iso8859-1.cfg', 'Latin-1'],
  ])('%s: what is odd is told (%s)', async (name) => {
    const data = name === 'sample_sub_char.cfg' ? [record(name), record('sample_ascii.dat')] : [record(name)];
    const result = await through(data);
    expect(of(result)?.readings).toBeGreaterThan(0);
    expect(result.notes.length).toBeGreaterThan(1);
  });

  test('all of them end with readings, or with one line that says why there are none', async () => {
    const outcomes: Record<string, string> = {};
    const configurations = existsSync(folder) ? readdirSync(folder).filter((name) => /\.(cfg|cff)$/i.test(name)) : [];
    for (const name of configurations) {
      const data = name === 'sample_sub_char.cfg' ? [record('sample_ascii.dat')] : [];
      const found = await through([record(name), ...data]).then(
        (result) => `${of(result)?.readings} readings`,
        (error: unknown) => {
          if (!(error instanceof TraceProblem)) throw error;
          return error.message.replace(folder, '…');
        },
      );
      outcomes[name] = found;
    }
    expect(outcomes).toMatchObject({
      'demo_1991_gbk.cfg': expect.stringMatching(/ readings$/),
      'ge_c60_relay.cfg': expect.stringMatching(/ readings$/),
      'keating_mains_meter.cfg': expect.stringMatching(/ readings$/),
      'sample_ascii.cff': expect.stringMatching(/ readings$/),
      'sample_ascii.cfg': expect.stringMatching(/ readings$/),
      'sample_iso8859-1.cfg': expect.stringMatching(/ readings$/),
      'sample_sub_char.cfg': expect.stringMatching(/ readings$/),
      'sample_bin.cfg': expect.stringMatching(/readings$|expected/),
      'sample_float32.cff': expect.stringMatching(/expected a phase current in amperes, or a mapping file/),
      'voltage_recorder_cp1251.cfg': expect.stringMatching(/expected a phase current in amperes, or a mapping file/),
    });
  });

  test('the verb ends with 2 and one line for a record of voltages', async () => {
    desk.configuration();
    const config = join(desk.folder, 'desk.yaml');
    expect(await replayVerb(config, [record('voltage_recorder_cp1251.cfg')], { quiet: true })).toBe(2);
  });
});
