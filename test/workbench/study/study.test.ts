// The study: its search, and the verbs on the synthetic set as where there is no recorded data.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { carsOf } from '../../../src/workbench/simulate/cars.ts';
import { Plant } from '../../../src/workbench/simulate/plant.ts';
import { syntheticData } from '../../../src/workbench/simulate/synthetic.ts';
import { capacityWith, capacityWithout, outcomeOf, quantile } from '../../../src/workbench/study/capacity.ts';

const main = join(import.meta.dirname, '../../../src/main.ts');
const scratch = mkdtempSync(join(tmpdir(), 'headroom-study-'));
/** Deep enough that no recorded data is found beside it. */
const folder = join(scratch, 'a');
mkdirSync(folder);
afterAll(() => rmSync(scratch, { recursive: true }));
const verb = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });

test('the capacity without control is the last set that holds in every seed', () => {
  const data = syntheticData();
  const [feeder] = data.feeders;
  if (feeder === undefined) throw new Error('no synthetic feeder');
  const plant = new Plant(feeder, data.homes, { heatPumpShare: 0, tariffShare: 0 });
  const probe = { plant, cars: carsOf(feeder, data.drivers), controller: 'none' as const, seeds: 4 };
  const evs = capacityWithout(probe);
  expect(evs).toBeGreaterThan(0);
  expect(outcomeOf(probe, evs).violatedYears).toBe(0);
  expect(outcomeOf(probe, evs + 1).violatedYears).toBeGreaterThan(0);
  const ours = { ...probe, controller: 'proportional' as const };
  const more = capacityWith(ours, evs, true);
  expect(more).toBeGreaterThan(evs);
  const { violatedYears, occasionsPerCustomerYearP95, minutesPerCustomerYearP95 } = outcomeOf(ours, more);
  expect(violatedYears).toBe(0);
  expect(occasionsPerCustomerYearP95).toBeLessThanOrEqual(4);
  expect(minutesPerCustomerYearP95).toBeLessThanOrEqual(40);
});

test('quantiles are values that occur', () => {
  expect(quantile([5, 1, 4, 2, 3], 0.95)).toBe(5);
  expect(quantile([5, 1, 4, 2, 3], 0.4)).toBe(2);
  expect(quantile([], 0.5)).toBe(0);
});

test('study prints its document, says that the data is synthetic, and goes on from what is done', () => {
  const args = ['study', '--seeds', '2', '--json', '--resume', 'done.jsonl', '--report', 'study.html'];
  const once = verb(...args);
  expect(once.status).toBe(0);
  const document = JSON.parse(once.stdout);
  expect(Object.keys(document)).toEqual(['feeder', 'seeds', 'without', 'with', 'upliftPercent']);
  expect(Object.keys(document.with)).toEqual([
    'evs',
    'occasionsPerCustomerYearP95',
    'minutesPerCustomerYearP95',
    'minutesPerOccasionMean',
    'unfinishedSharePercent',
    'peakThermalPercent',
  ]);
  expect(once.stderr).toContain('SYNTHETIC');
  expect(readFileSync(join(folder, 'study.html'), 'utf8')).toContain('Hosting capacity of feeder synthetic 1');
  const file = join(folder, 'done.jsonl');
  const lines = readFileSync(file, 'utf8');
  // The last line as the end of a process leaves it.
  writeFileSync(file, lines.slice(0, -20));
  expect(verb(...args).stdout).toBe(once.stdout);
}, 120_000);

test('many feeders: each by the mode asked about, and every controller by its median', () => {
  const { status, stdout } = verb(...'study --feeder all --table --seeds 1 --report all.html'.split(' '));
  expect(status).toBe(0);
  const lines = stdout.split('\n');
  expect(lines.filter((line) => /^synthetic \d/.test(line)).length).toBeGreaterThan(0);
  const [head, ...compared] = lines.slice(lines.findIndex((line) => line.startsWith('median uplift')));
  expect(head).toMatch(/tuning +heldOut +both +lowest +at least 60 % +fewer than without +years over/);
  expect(compared.filter((line) => line !== '').map((line) => line.split(/ {2,}/)[0])).toEqual([
    'threshold with hysteresis, off and on',
    '4.2 kW cap on the same alarm',
    'half rate 16:30 to 19:30, working days',
    'Headroom, on/off',
    'Headroom, proportional',
  ]);
  // The line of the mode says what the summary says.
  const ours = compared.find((line) => line.startsWith('Headroom, proportional'))?.split(/ {2,}/)[3];
  expect(stdout).toContain(`both: median uplift ${ours} over`);
  const page = readFileSync(join(folder, 'all.html'), 'utf8');
  expect(page).toContain('Hosting capacity of 3 feeders');
  for (const name of ['synthetic 1', 'synthetic 2', 'synthetic 3']) expect(page).toContain(`<td>${name}</td>`);
}, 120_000);

test('simulate tells what it cost whom, without and with control', () => {
  const { status, stdout } = verb('simulate', '--evs', '108', '--day', '20', '--json', '--report', 'day.html');
  expect(status).toBe(0);
  const document = JSON.parse(stdout);
  expect(document.customers).toHaveLength(108);
  expect(document.without.sessions).toBe(document.with.sessions);
  expect(readFileSync(join(folder, 'day.html'), 'utf8')).toContain('Simulation of feeder synthetic 1');
});

test.each([
  [['study', '--feeder', 'nowhere'], 'no feeder nowhere'],
  [['study', '--data', 'nowhere'], 'nowhere is not there'],
  [['simulate', '--day', '400'], 'day 400, expected 1 to 365'],
  [['simulate', '--controller', 'magic'], 'controller magic'],
])('%j is wrong use', (args, message) => {
  const { status, stderr } = verb(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});
