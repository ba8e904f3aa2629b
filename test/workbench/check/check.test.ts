// The settings sheet to sign: every value in force with its unit and where it comes from, and the operating times,
// against the figures that a relay's manual gives for the same replica.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readConfiguration } from '../../../src/configuration.ts';
import { watchedFeeder } from '../../../src/watched-feeder.ts';
import { check, timesOf } from '../../../src/workbench/check/check.ts';
import { operatingTimes, timeToFullS } from '../../../src/workbench/check/operating-times.ts';
import { settingsSheet } from '../../../src/workbench/check/sheet.ts';
import { showProblem } from '../../../src/yaml-file.ts';

const root = join(import.meta.dirname, '../../..');
const demo = readConfiguration(join(root, 'config/demo.yaml'));
if (demo.configuration === null) throw new Error('config/demo.yaml has errors');
const { configuration } = demo;

function leavesOf(value: unknown): number {
  if (value === undefined) return 0;
  if (value === null || typeof value !== 'object') return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + leavesOf(inner), 0);
}

describe('the settings sheet', () => {
  const sections = settingsSheet(configuration);
  const row = (title: string, key: string) =>
    sections.find((section) => section.title === title)?.rows.find((found) => found.key === key);

  test('has every value in force, once', () => {
    const rows = sections.flatMap(({ rows: all }) =>
      all.filter(({ source, value }) => source !== 'derived' && value !== 'off'),
    );
    expect(rows).toHaveLength(leavesOf(configuration.settings));
  });

  test.each([
    ['feeder F1, settings group demo', 'atRisk.pickupA', '345', 'A', 'given'],
    ['feeder F1, settings group demo', 'atRisk.delayS', '5', 's', 'given'],
    ['feeder F1, settings group demo', 'curtailment.maxEpisodeS', '14400', 's', 'default'],
    ['feeder F1, settings group demo', 'caps.deepestLevelPercent', '0', '%', 'default'],
    ['feeder F1, settings group demo', 'emergency', 'off', '', 'default'],
    ['feeder F1', 'controllableA.L2', '96', 'A', 'given'],
    ['feeder F1', 'backup', 'off', '', 'default'],
    ['feeder F1, settings group demo', 'targetGroup', 'that of the feeder', '', 'derived'],
    ['watchdog', 'limitS', '60', 's', 'derived'],
    ['source meter-1', 'timeoutMs', '500', 'ms', 'default'],
    ['source meter-1', 'staleAfterMs', '1100', 'ms', 'derived'],
    ['journal', 'maxMegabytes', '512', 'MB', 'default'],
  ])('%s: %s', (title, key, value, unit, source) => {
    expect(row(title, key)).toEqual({ key, value, unit, source });
  });

  test('is printed with the hash that the controller reports, and a line to sign', () => {
    const text = check(demo, false);
    expect(text).toContain(`settings hash ${configuration.hash}`);
    expect(text).toContain('set by ____');
    const document = JSON.parse(check(demo, true));
    expect(document).toMatchObject({ ok: true, hash: configuration.hash, problems: [] });
    expect(document.operatingTimes.F1).toHaveLength(10);
  });

  test('the verb exits with 0, and with 2 and every message for a wrong file', () => {
    const verb = (file: string) =>
      execFileSync(process.execPath, [join(root, 'src/main.ts'), 'check', join(root, file)], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    expect(verb('config/substation.yaml')).toContain('Settings sheet of');
    expect(() => verb('test/configuration/wrong/sexagesimal.yaml')).toThrow(
      /write 90 where 1:30 is minutes and seconds/,
    );
  });
});

describe('operating times', () => {
  const feeder = configuration.settings.feeders[0];
  if (feeder === undefined) throw new Error('no feeder');
  const { control } = watchedFeeder(feeder, configuration.settings.sources);
  const at = (multiple: number, more: object) =>
    operatingTimes({ ...control, ...more }, control.ratingA).find((time) => time.multiple === multiple);

  // Siemens 7SR5 manual, element 49, time constant 10 min, from cold.
  test.each([
    [1.2, 711.4],
    [1.5, 352.7],
    [2, 172.6],
    [2.5, 104.6],
    [3, 70.7],
  ])('the replica at %d times its rating from cold', (multiple, seconds) => {
    expect(timeToFullS({ ratingA: 400, timeConstantMin: 10 }, multiple * 400, 0)).toBe(seconds);
  });

  test('the thermal element is ahead of 100 % by its lead time', () => {
    const thermal = {
      ratingA: 400,
      timeConstantMin: 60,
      coolingTimeConstantMin: 60,
      leadTimeMin: 15,
      resetPercent: 95,
      alarmPercent: null,
    };
    expect(at(1.3, { thermal })).toMatchObject({ fullColdS: 3224.9, thermalColdS: 2324.9 });
    // 25.2 min from a steady 0.8, less 15 min.
    expect(at(1.3, { thermal })?.thermalPreloadedS).toBeCloseTo(25.2 * 60 - 900, -1);
    expect(at(3, { thermal })?.thermalPreloadedS).toBe(0);
    expect(at(1, { thermal })).toMatchObject({ fullColdS: null, thermalColdS: null });
  });

  test('inverse time by IEC 60255-151', () => {
    const inverse = { curve: 'SI', pickupA: 400, timeMultiplier: 0.1, dropoutA: 380, resetDelayS: 60 };
    expect(at(2, { inverse })?.inverseS).toBe(1);
    expect(at(1, { inverse })?.inverseS).toBeNull();
    expect(at(2, { inverse: { ...inverse, curve: 'EI', timeMultiplier: 1 } })?.inverseS).toBe(26.7);
  });

  test('definite time at and above the pickup', () => {
    const emergency = { pickupA: 480, dropoutA: 400, delayS: 2, resetDelayS: 5 };
    expect(at(1, { emergency })).toMatchObject({ atRiskS: 5, emergencyS: null });
    expect(at(1.2, { emergency })).toMatchObject({ atRiskS: 5, emergencyS: 2 });
  });
});

describe('the transformer', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-check-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** The demonstration's feeder on a transformer of 500 kVA at 433 V: 666.7 A. */
  const withTransformer = (elements: string) => {
    const file = join(folder, 'transformer.yaml');
    const text = readFileSync(join(root, 'config/demo.yaml'), 'utf8');
    writeFileSync(file, `${text}\ntransformer:\n  ratingKva: 500\n  voltageV: 433\n  feeders: [F1]\n${elements}`);
    const judged = readConfiguration(file);
    if (judged.configuration === null) throw new Error(judged.problems.map(showProblem).join('\n'));
    return { judged, configuration: judged.configuration };
  };
  const timesFor = (elements: string) => {
    const { configuration } = withTransformer(elements);
    const times = Object.fromEntries(timesOf(configuration))['transformer'];
    if (times === undefined) throw new Error('the transformer has no operating times');
    return (multiple: number) => times.find((time) => time.multiple === multiple);
  };

  test('definite and inverse time, at multiples of its rated current', () => {
    const at = timesFor(`  atRisk: { pickupA: 700, dropoutA: 640, delayS: 30, resetDelayS: 60 }
  emergency: { pickupA: 900, dropoutA: 700, delayS: 2, resetDelayS: 60 }
  inverse: { curve: VI, pickupA: 660, timeMultiplier: 2, dropoutA: 620, resetDelayS: 60 }
`);
    expect(at(1)).toMatchObject({ atRiskS: null, emergencyS: null, thermalColdS: null });
    expect(at(1)?.currentA).toBeCloseTo(500_000 / (Math.sqrt(3) * 433), 1);
    expect(at(1.1)).toMatchObject({ atRiskS: 30, emergencyS: null });
    expect(at(1.5)).toMatchObject({ atRiskS: 30, emergencyS: 2 });
    // IEC 60255-151, curve B: 13.5 · TMS / (I/pickup − 1).
    expect(at(2)?.inverseS).toBeCloseTo((2 * 13.5) / ((2 * 666.69) / 660 - 1), 1);
  });

  test('the replica goes by the rated current unless it has a rating of its own', () => {
    const at = timesFor('  thermal: { timeConstantMin: 10, leadTimeMin: 1, resetPercent: 95 }\n');
    // Siemens 7SR5 manual, element 49, time constant 10 min, from cold.
    expect(at(1.5)).toMatchObject({ fullColdS: 352.7, thermalColdS: 292.7 });
    expect(at(1)).toMatchObject({ fullColdS: null });
  });

  test('oil and winding by IEC 60076-7, against its difference equations in steps of a second', () => {
    const at = timesFor('  thermal: { leadTimeMin: 15, oil: {} }\n');
    const stepped = (load: number, preload: number): number | null => {
      const oilRise = (k: number) => 55 * ((1 + 5 * k * k) / 6) ** 0.8;
      const windingRise = (k: number) => 23 * k ** 1.6;
      let [oil, winding] = [preload === 0 ? 0 : oilRise(preload), windingRise(preload)];
      for (let second = 0; second < 86_400; second++) {
        if (oil + winding >= 100) return second;
        oil += (oilRise(load) - oil) / (180 * 60);
        winding += (windingRise(load) - winding) / (2 * 4 * 60);
      }
      return null;
    };
    for (const multiple of [1, 1.2, 1.3, 1.5, 2, 3]) {
      const { fullColdS = null, fullPreloadedS = null } = at(multiple) ?? {};
      for (const [ours, theirs] of [
        [fullColdS, stepped(multiple, 0)],
        [fullPreloadedS, stepped(multiple, 0.8)],
      ]) {
        if (theirs === null || theirs === undefined) expect(ours).toBeNull();
        else expect(Math.abs((ours ?? Number.NaN) - theirs)).toBeLessThanOrEqual(2 + theirs * 0.001);
      }
    }
    expect(at(1.5)?.fullPreloadedS).not.toBeNull();
  });

  test('is on the sheet with what follows from its rating, and printed', () => {
    const { judged, configuration } = withTransformer('  thermal: { timeConstantMin: 120 }\n');
    const rows = settingsSheet(configuration).find(({ title }) => title === 'transformer')?.rows ?? [];
    const shown = rows.map(({ key, value, unit, source }) => `${key} ${value} ${unit} ${source}`);
    expect(shown).toEqual(
      expect.arrayContaining([
        'ratedCurrentA 666.7 A derived',
        'thermal.ratingA 666.7 A derived',
        'thermal.timeConstantMin 120 min given',
        'thermal.coolingTimeConstantMin 120 min derived',
        'thermal.leadTimeMin 15 min default',
        'thermal.alarmPercent off  default',
        'emergency off  default',
      ]),
    );
    expect(check(judged, false)).toContain('operating times of the transformer, of its rated current');
    expect(JSON.parse(check(judged, true)).operatingTimes.transformer).toHaveLength(10);
  });

  test('without elements it watches nothing, and has no operating times', () => {
    const { configuration } = withTransformer('');
    expect(timesOf(configuration).map(([id]) => id)).toEqual(['F1']);
  });
});
