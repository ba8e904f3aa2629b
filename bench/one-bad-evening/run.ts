// One bad evening: every contestant through every scenario, by turns, and one table. README.md in bench/ tells what each
// scenario does; the raw records of every run are kept in the folder that is named at the end.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CONTESTANTS, type Contestant } from './contestants.ts';
import { EVENING } from './evening.ts';
import { page } from './page.ts';
import { leaveFirstCore } from './program.ts';
import { type Result, run, Skipped } from './rig.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { type Row, score, table } from './score.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    scenario: { type: 'string', multiple: true },
    contestant: { type: 'string', multiple: true },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const QUICK = ['clean-100ms', 'broker-10s', 'false-answers'];

function chosen<T extends { readonly name: string }>(all: readonly T[], names: readonly string[] | undefined): T[] {
  const unknown = names?.find((name) => all.every((one) => one.name !== name));
  if (unknown !== undefined) {
    console.error(`one-bad-evening: no ${unknown}, there are ${all.map(({ name }) => name).join(' ')}`);
    process.exit(2);
  }
  return all.filter(({ name }) => names?.includes(name) ?? true);
}

/** Long enough to see that everything still works, and no longer. */
function quick(scenario: Scenario): Scenario {
  const { alone, falseOneIn, brokerLink } = scenario;
  const longestMs = alone
    ? 4_000
    : falseOneIn > 0
      ? 10_000
      : Math.max(0, ...brokerLink.map(({ toMs }) => toMs)) + 3_000;
  return { ...scenario, durationMs: Math.min(scenario.durationMs, longestMs), falseOneIn: falseOneIn && 100 };
}

const out = values.out ?? mkdtempSync(join(tmpdir(), 'one-bad-evening-'));
mkdirSync(out, { recursive: true });
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const scenarios = chosen(SCENARIOS, values.scenario ?? (values.quick ? QUICK : undefined)).map((one) =>
  values.quick ? quick(one) : one,
);
const say = (line: string) => process.stderr.write(`${line}\n`);
const skipped: string[] = [];
const contestants = chosen(CONTESTANTS, values.contestant).filter((contestant) => {
  const why = contestant.install();
  if (why !== null) skipped.push(`${contestant.name}: ${why}`);
  return why === null;
});
leaveFirstCore();

say(`the evening: ${EVENING}`);
const results: Result[] = [];
for (let round = 1; round <= rounds; round += 1) {
  for (const scenario of scenarios) {
    const turn = contestants.map((contestant) => () => one(contestant, scenario, round));
    // Where nothing is timed they run side by side; where latency counts, each has the machine to itself.
    if (scenario.alone) for (const play of turn) await play();
    else await Promise.all(turn.map((play) => play()));
  }
}

async function one(contestant: Contestant, scenario: Scenario, round: number): Promise<void> {
  const name = `${scenario.name} ${contestant.name}`;
  try {
    const result = await run(contestant, scenario, round, join(out, `${scenario.name}-${contestant.name}-${round}`));
    results.push(result);
    const { expected, lost, expired, wrong, doubles, outOfOrder, died } = result;
    say(
      `round ${round} ${name.padEnd(32)} expected ${expected}, lost ${lost}, expired ${expired}, wrong ${wrong}, doubles ${doubles}, out of order ${outOfOrder}${died === null ? '' : `; ${died}`}`,
    );
  } catch (error) {
    const reason = (error as Error).message;
    skipped.push(`${name}: ${reason}`);
    say(`round ${round} ${name.padEnd(32)} ${error instanceof Skipped ? 'skipped' : 'FAILED'}: ${reason}`);
    if (!(error instanceof Skipped)) process.exitCode = 1;
  }
}

const rows: Row[] = score(results, scenarios);
writeFileSync(join(out, 'results.json'), `${JSON.stringify({ evening: EVENING, rows, skipped, results }, null, 1)}\n`);
writeFileSync(join(out, 'results.html'), page(rows, results, scenarios, skipped));
console.log(values.json ? JSON.stringify({ rows, skipped }, null, 1) : table(rows, skipped));
say(`raw records, results.json and results.html: ${out}`);
