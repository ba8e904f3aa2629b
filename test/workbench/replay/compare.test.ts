// Two settings over one trace, and one setting over a range.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareJson, compareText } from '../../../src/workbench/replay/compare.ts';
import { type ReplayOptions, replayVerb } from '../../../src/workbench/replay/replay-verb.ts';
import { parseSweep, runSweep, sweepText } from '../../../src/workbench/replay/sweep.ts';
import { type Desk, nativeTrace, openDesk } from './desk.ts';

let desk: Desk;
beforeAll(() => {
  desk = openDesk();
});
afterAll(() => desk.close());

const group = (pickupA: number) =>
  `ratingA: 385\n        atRisk: { pickupA: ${pickupA}, dropoutA: 310, delayS: 30, resetDelayS: 60 }`;
/** 350 A on L2 for an hour, 300 A before and after. */
const ROWS = Array.from(
  { length: 180 },
  (_, minute) => `${minute * 60} 200 ${minute > 60 && minute <= 120 ? 350 : 300} 100`,
).join('\n');

describe('two settings', () => {
  test('what is set otherwise, and what it does', async () => {
    const trace = desk.file('hour.csv', nativeTrace(ROWS));
    const first = desk.configuration(group(345));
    const a = { configuration: first, result: await desk.replay(first, trace) };
    const second = desk.configuration(group(360));
    const b = { configuration: second, result: await desk.replay(second, trace) };
    // The sheet reads the file again, so both must not be the same one.
    const elsewhere = { ...a, configuration: { ...first, file: desk.file('first.yaml', desk.text(group(345))) } };
    const document = JSON.parse(compareJson(elsewhere, b));
    expect(document.changed).toEqual([
      { section: 'feeder F1, settings group desk', key: 'atRisk.pickupA', from: '345 A', to: '360 A' },
    ]);
    expect(document.a.feeders.F1.episodes).toHaveLength(1);
    expect(document.b.feeders.F1.episodes).toHaveLength(0);
    const text = compareText(elsewhere, b);
    expect(text).toContain('open loop');
    expect(text).toMatch(/episodes +1 +0 +-1/);
  });
});

describe('a range', () => {
  test.each([
    ['atRisk.pickupA=300:400:10', 11],
    ['ratingA=385:385:1', 1],
    ['atRisk.delayS=0:1:0.1', 11],
  ])('%s', (text, count) => {
    const sweep = parseSweep(text);
    expect(typeof sweep === 'string' ? sweep : sweep.values).toHaveLength(count);
  });

  test.each(['atRisk.pickupA', 'atRisk.pickupA=400:300:10', 'a=1:2:0', 'a=0:1000000:1', '=1:2:1'])(
    '%s is none',
    (text) => {
      expect(parseSweep(text)).toContain(`--sweep is "${text}", expected`);
    },
  );

  test('each value replayed, and those that check would refuse told', async () => {
    const trace = desk.file('hour.csv', nativeTrace(ROWS));
    const sweep = parseSweep('atRisk.pickupA=305:365:20');
    if (typeof sweep === 'string') throw new Error(sweep);
    const rows = await runSweep({ configuration: desk.configuration(group(345)), traces: [trace] }, sweep);
    expect(rows.map(({ value, totals, refused }) => [value, totals?.episodes ?? null, refused])).toEqual([
      [305, null, 'feeders.0.settings.0.atRisk.dropoutA, expected less than pickupA (305)'],
      [325, 1, null],
      [345, 1, null],
      [365, 0, null],
    ]);
    const text = sweepText(rows, sweep);
    expect(text).toMatch(/305 +refused: /);
    expect(text).toContain('█');
    expect(text).toContain('open loop');
  });

  test.each(['atRisk.pickup', 'ratingA.pickupA'])('%s is a key that no group has: refused', async (key) => {
    const sweep = parseSweep(`${key}=300:310:10`);
    if (typeof sweep === 'string') throw new Error(sweep);
    const trace = desk.file('hour.csv', nativeTrace(ROWS));
    const rows = await runSweep({ configuration: desk.configuration(group(345)), traces: [trace] }, sweep);
    expect(rows.every(({ refused }) => refused !== null)).toBe(true);
  });
});

test('a range and another configuration at once are refused', async () => {
  const trace = desk.file('hour.csv', nativeTrace(ROWS));
  const config = desk.file('a.yaml', desk.text(group(345)));
  const options = { sweep: 'ratingA=300:400:10', compare: config, quiet: true };
  expect(await replayVerb(config, [trace], options)).toBe(2);
});

describe('as pages', () => {
  const page = async (options: ReplayOptions) => {
    const trace = desk.file('hour.csv', nativeTrace(ROWS));
    const config = desk.file('a.yaml', desk.text(group(345)));
    const report = join(desk.folder, 'page.html');
    expect(await replayVerb(config, [trace], { ...options, report, quiet: true })).toBe(0);
    return readFileSync(report, 'utf8');
  };

  test('the comparison is a part of the report', async () => {
    const text = await page({ compare: desk.file('b.yaml', desk.text(group(360))) });
    for (const part of ['Compared with other settings', '<td>345 A</td><td>360 A</td>', '<td>episodes</td><td>1</td>'])
      expect(text).toContain(part);
    expect(text).toContain('open loop');
    // Only the level that differs is drawn beside its own.
    const data = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(text)?.[1] ?? '';
    const { lines } = JSON.parse(data).feeders[0];
    expect(lines.filter(({ isOther }: { isOther?: boolean }) => isOther)).toEqual([
      { name: 'B pickup', valueA: 360, isOther: true },
    ]);
  });

  test('the sweep is a page of its own: a chart of each measure and a table, with what was refused', async () => {
    const text = await page({ sweep: 'atRisk.pickupA=305:365:20' });
    expect(text.match(/<polyline/g)).toHaveLength(4);
    expect(text.match(/<circle/g)).toHaveLength(12);
    expect(text).toContain('<td>305</td><td>refused: ');
    expect(text).toContain('open loop');
  });
});
