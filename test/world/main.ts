// `npm run simulate:faults`: runs the whole controller through seeds full of faults, thousands of times faster than they
// would take. A seed that breaks a rule is cut down and printed with what is left of its plan. Exit code 1 then.
//
//   node test/world/main.ts [--seeds 40] [--hours 800] [--from 1] [--workers 2] [--json]
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Plan } from './plan.ts';
import { shrink } from './shrink.ts';
import type { Outcome } from './world.ts';

interface Ran {
  readonly seed: number;
  readonly plan: Plan;
  readonly outcome: Outcome;
}

interface Options {
  readonly seeds: number;
  readonly hours: number;
  readonly from: number;
  readonly workers: number;
}

const HOURS_PER_YEAR = 8_766;

/** Each worker gets the next seed when it is through with one. */
async function runSeeds({ seeds, hours, from, workers }: Options, ran: (one: Ran) => void): Promise<void> {
  let next = from;
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('./seeds-process.ts', import.meta.url));
      const more = () => {
        if (next < from + seeds) worker.postMessage({ seed: next++, hours });
        else void worker.terminate().then(() => resolve());
      };
      worker.on('error', reject);
      worker.on('message', (one: Ran) => {
        ran(one);
        more();
      });
      more();
    });
  await Promise.all(Array.from({ length: Math.min(workers, seeds) }, work));
}

function options(): Options & { json: boolean } {
  const text = { type: 'string' as const };
  const { values } = parseArgs({
    options: { seeds: text, hours: text, from: text, workers: text, json: { type: 'boolean', default: false } },
  });
  const whole = (name: 'seeds' | 'hours' | 'from' | 'workers', standard: number) => {
    const value = Number(values[name] ?? standard);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${values[name]}, expected a whole number`);
    return value;
  };
  return {
    seeds: whole('seeds', 40),
    hours: whole('hours', 800),
    from: whole('from', 1),
    workers: whole('workers', 2),
    json: values.json,
  };
}

function summary(all: readonly Ran[], seconds: number) {
  const total = (what: string) => all.reduce((sum, { outcome }) => sum + (outcome.counts[what] ?? 0), 0);
  const hours = all.reduce((sum, { outcome }) => sum + (outcome.counts['feederHours'] ?? 0), 0);
  const machineHours = all.reduce((sum, { outcome }) => sum + (outcome.counts['hours'] ?? 0), 0);
  return {
    seeds: all.length,
    feederYears: Math.round((hours / HOURS_PER_YEAR) * 10) / 10,
    timesRealTime: Math.round((machineHours * 3600) / seconds),
    crashes: total('crashes'),
    faults: total('faults'),
    episodes: total('episodes'),
    requests: total('requests'),
    events: total('events'),
    readings: total('readings'),
    commits: total('commits'),
    broken: all.filter(({ outcome }) => outcome.breach !== null).length,
    seconds: Math.round(seconds),
  };
}

async function main(): Promise<number> {
  const given = options();
  const say = (line: string) => given.json || console.log(line);
  const startedMs = performance.now();
  const all: Ran[] = [];
  await runSeeds(given, (one) => {
    all.push(one);
    if (one.outcome.breach !== null) say(`seed ${one.seed}: ${one.outcome.breach}`);
  });
  const result = summary(all, (performance.now() - startedMs) / 1000);
  console.log(
    given.json
      ? JSON.stringify(result)
      : Object.entries(result)
          .map(([what, count]) => `${what} ${count}`)
          .join(', '),
  );
  const failed = all.filter(({ outcome }) => outcome.breach !== null).sort((a, b) => a.plan.hours - b.plan.hours)[0];
  if (failed === undefined) return 0;
  say(`seed ${failed.seed}, cut down from ${failed.plan.faults.length} faults:`);
  const { plan, breach } = await shrink(failed.plan, failed.outcome.breach ?? '');
  for (const fault of plan.faults) say(`  ${(fault.atMs / 3_600_000).toFixed(6)} h  ${JSON.stringify(fault)}`);
  say(`  ${breach}`);
  say(`  again: npm run simulate:faults -- --from ${failed.seed} --seeds 1 --hours ${given.hours}`);
  return 1;
}

process.exitCode = await main();
