// How fast the closed loop is: simulated feeder-seconds a second on one core, for years of a 55-home feeder at 10 s steps
// without control, with it, and with every reading stepped.
//   node bench/study/run.ts [--years 5] [--evs 34] [--data DIR]
import { parseArgs } from 'node:util';
import { loopOf } from '../../src/workbench/simulate/controllers.ts';
import { feederOf, loadData, scenarioOf } from '../../src/workbench/simulate/scenario.ts';

const { values } = parseArgs({
  options: {
    years: { type: 'string', default: '5' },
    evs: { type: 'string', default: '34' },
    data: { type: 'string' },
  },
});
const data = loadData(values.data, undefined);
const feeder = feederOf(data, undefined);
const { plant, cars } = scenarioOf(data, feeder, { heatPumpShare: 0, tariffShare: 0 });
const YEAR_S = 365 * 86_400;

const variants = [
  ['without control', () => null],
  ['with control', (seed: number) => loopOf(plant, 'proportional', seed)],
  [
    'with control, every reading stepped',
    (seed: number) => loopOf(plant, 'proportional', seed, { everyReading: true }),
  ],
] as const;
process.stdout.write(`${data.origin} feeder ${feeder.name}, ${feeder.phaseOf.length} homes, ${values.evs} EVs\n`);
for (const [name, loop] of variants) {
  const run = (seed: number) =>
    plant.run(seed, cars.slice(0, Number(values.evs)), { stopAtViolation: false, loop: loop(seed) });
  run(1);
  const startUs = process.cpuUsage().user;
  for (let seed = 1; seed <= Number(values.years); seed++) run(seed);
  const cpuS = (process.cpuUsage().user - startUs) / 1e6;
  const speed = (Number(values.years) * YEAR_S) / cpuS;
  process.stdout.write(
    `${name}: ${(speed / 1e6).toFixed(0)} million feeder-seconds a second of one core, a year in ${(YEAR_S / speed).toFixed(3)} s\n`,
  );
}
