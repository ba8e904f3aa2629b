// One bad evening: every contestant through every scenario, by turns, and one table. README.md in bench/ tells what each
// scenario does; the raw records of every run are kept in the folder that is named at the end.
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CONTESTANTS } from './contestants.ts';
import { EVENING } from './evening.ts';
import { about, isTimed, planRound, type Sitting, secondsOf } from './plan.ts';
import { leaveFirstCore } from './program.ts';
import { writeResults } from './results.ts';
import { type Result, Rig, Skipped } from './rig.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

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
  const { falseOneIn, brokerLink } = scenario;
  const longestMs = isTimed(scenario)
    ? 4_000
    : falseOneIn > 0
      ? 10_000
      : Math.max(0, ...brokerLink.map(({ toMs }) => toMs)) + 3_000;
  return {
    ...scenario,
    sitting: scenario.sitting && 1,
    durationMs: Math.min(scenario.durationMs, longestMs),
    falseOneIn: falseOneIn && 100,
  };
}

const out = values.out ?? mkdtempSync(join(tmpdir(), 'one-bad-evening-'));
mkdirSync(out, { recursive: true });
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const scenarios = chosen(SCENARIOS, values.scenario ?? (values.quick ? QUICK : undefined)).map((one) =>
  values.quick ? quick(one) : one,
);
const say = (line: string) => process.stderr.write(`${line}\n`);
// A run that is stopped leaves no contestant and no broker behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
    for (const pid of children === '' ? [] : children.split(' ')) process.kill(Number(pid), 'SIGKILL');
    process.exit(130);
  });
}
const skipped: string[] = [];
const begunMs = performance.now();
say('making the contestants ready: half a minute the first time');
const contestants = chosen(CONTESTANTS, values.contestant).filter((contestant) => {
  const why = contestant.install();
  if (why !== null) skipped.push(`${contestant.name}: ${why}`);
  return why === null;
});
leaveFirstCore();

const circumstances = `${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}; ${rounds} ${rounds === 1 ? 'round' : 'rounds'}; the evening: ${EVENING}`;
say(circumstances);
const plan = planRound(scenarios, contestants);
const all = [...plan.timed, ...plan.lanes.flat()];
say(`${scenarios.length} scenarios, ${contestants.length} contestants: ${about(rounds * plan.seconds)}`);
const results: Result[] = [];
let doneS = 0;
for (let round = 1; round <= rounds; round += 1) {
  const inTurn = async (some: readonly Sitting[]) => {
    for (const one of some) {
      await sit(one, round);
      doneS += one.seconds;
      const goneS = (performance.now() - begunMs) / 1000;
      const leftS = plan.seconds * (rounds - doneS / secondsOf(all));
      say(`round ${round} of ${rounds}: ${about(goneS)} gone, ${about(leftS)} to go`);
    }
  };
  await inTurn(plan.timed);
  await Promise.all(plan.lanes.map(inTurn));
}

async function sit({ scenarios, contestants }: Sitting, round: number): Promise<void> {
  const rigs = scenarios.flatMap((scenario) =>
    contestants.map((contestant) => {
      const folder = join(out, `${scenario.name}-${contestant.name}-${round}`);
      return new Rig(contestant, scenario, round, folder);
    }),
  );
  const opened: Rig[] = [];
  // One after the other: each takes ports that must still be free when its broker asks for them.
  for (const rig of rigs) if (await succeeds(rig, () => rig.open())) opened.push(rig);
  const started = await Promise.all(opened.map((rig) => succeeds(rig, () => rig.start())));
  const playing = opened.filter((_, index) => started[index]);
  await Promise.all(playing.map((rig) => succeeds(rig, async () => tell(await rig.play()))));
  await Promise.all(rigs.map((rig) => rig.close()));
}

/** What one of them cannot do here keeps nobody else from it. */
async function succeeds({ contestant, scenario }: Rig, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    const [name, reason] = [`${scenario.name} ${contestant.name}`, (error as Error).message];
    skipped.push(`${name}: ${reason}`);
    say(`${name.padEnd(38)} ${error instanceof Skipped ? 'skipped' : 'FAILED'}: ${reason}`);
    if (!(error instanceof Skipped)) process.exitCode = 1;
    return false;
  }
}

function tell(result: Result): void {
  results.push(result);
  const { scenario, contestant, expected, lost, expired, wrong, doubles, outOfOrder, died } = result;
  say(
    `${`${scenario} ${contestant}`.padEnd(38)} expected ${expected}, lost ${lost}, expired ${expired}, wrong ${wrong}, doubles ${doubles}, out of order ${outOfOrder}${died === null ? '' : `; ${died}`}`,
  );
}

const { text, rows } = writeResults(out, { circumstances, results, skipped, scenarios, contestants });
console.log(values.json ? JSON.stringify({ circumstances, rows, skipped }, null, 1) : text);
say(`after ${about((performance.now() - begunMs) / 1000)}; raw records and results as text, JSON and HTML: ${out}`);
