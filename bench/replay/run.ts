// How fast a replay is: a trace of one feeder at one second through the whole control code, against mawk computing one
// hysteresis on one phase's worth of the same file, by turns in one run, each on one core. Then, with --year, a year at
// one second, to see that memory does not grow with the trace.
//   node bench/replay/run.ts [--rows 5000000] [--rounds 3] [--year]
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EMERGENCY, noiseA, oneFeeder, THERMAL } from '../one-feeder.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '5000000' },
    rounds: { type: 'string', default: '3' },
    year: { type: 'boolean', default: false },
  },
});
const YEAR_S = 365 * 86_400;
const HYSTERESIS =
  'NR > 1 { a = $3; if ($4 > a) a = $4; if ($5 > a) a = $5; if (on) { if (a < 310) on = 0 } else if (a >= 345) { on = 1; n++ } } END { print NR - 1, n + 0 }';

const folder = mkdtempSync(join(tmpdir(), 'headroom-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const config = join(folder, 'bench.yaml');
writeFileSync(config, oneFeeder([EMERGENCY]));
const hot = join(folder, 'thermal.yaml');
writeFileSync(hot, oneFeeder([EMERGENCY, THERMAL]));

/** A year of evenings: the load of a day, noise on it, and an hour over the pickup every tenth day. */
function writeTrace(rows: number): string {
  const file = join(folder, `trace-${rows}.csv`);
  const handle = openSync(file, 'w');
  let text = 'time,feeder,L1_A,L2_A,L3_A\n';
  const next = noiseA(10);
  const startMs = Date.UTC(2025, 0, 1);
  for (let second = 0; second < rows; second++) {
    const day = Math.floor(second / 86_400);
    const evening = second % 86_400 > 64_800 && second % 86_400 < 68_400 && day % 10 === 5 ? 90 : 0;
    const base = 200 + 70 * Math.sin((second / 86_400) * 2 * Math.PI) + evening;
    const stamp = new Date(startMs + second * 1000).toISOString().slice(0, 19);
    const [a, b, c] = [base + next(), base * 1.3 * 0.9 + next(), base * 0.8 + next()];
    text += `${stamp}Z,F1,${a.toFixed(1)},${b.toFixed(1)},${c.toFixed(1)}\n`;
    if (text.length > 1 << 20) {
      writeSync(handle, text);
      text = '';
    }
  }
  writeSync(handle, text);
  closeSync(handle);
  return file;
}

interface Once {
  readonly readings: number;
  readonly wallS: number;
  readonly cpuS: number;
  readonly residentMB?: number;
}

function replayOnce(trace: string, settings = config): Once {
  const once = join(import.meta.dirname, 'once.ts');
  return JSON.parse(
    execFileSync('taskset', ['-c', '0', process.execPath, once, settings, trace], { encoding: 'utf8' }),
  );
}

function mawkOnce(trace: string): Once {
  const { stdout, stderr } = spawnSync(
    'taskset',
    ['-c', '0', 'bash', '-c', 'TIMEFORMAT=\'%R %U %S\'; time mawk -F, "$0" "$1"', HYSTERESIS, trace],
    { encoding: 'utf8' },
  );
  const [wallS = 0, userS = 0, systemS = 0] = stderr.trim().split(' ').map(Number);
  return { readings: Number(stdout.split(' ')[0]), wallS, cpuS: userS + systemS };
}

const millions = ({ readings, wallS, cpuS }: Once) =>
  `${(readings / wallS / 1e6).toFixed(2)} M/s by the wall, ${(readings / cpuS / 1e6).toFixed(2)} M/s by the CPU`;
const middle = (all: Once[]) => all.sort((a, b) => a.cpuS - b.cpuS)[Math.floor(all.length / 2)] as Once;

const trace = writeTrace(Number(values.rows));
const ours: Once[] = [];
const heated: Once[] = [];
const theirs: Once[] = [];
for (let round = 1; round <= Number(values.rounds); round++) {
  const replayed = replayOnce(trace);
  const thermal = replayOnce(trace, hot);
  const mawk = mawkOnce(trace);
  console.log(
    `round ${round}: replay ${millions(replayed)}; with thermal ${millions(thermal)}; mawk ${millions(mawk)}`,
  );
  ours.push(replayed);
  heated.push(thermal);
  theirs.push(mawk);
}
const [replayed, mawk] = [middle(ours), middle(theirs)];
console.log(`middle round, ${replayed.readings} three-phase readings, one core:`);
console.log(`  replay                 ${millions(replayed)}, ${replayed.residentMB?.toFixed(0)} MB resident`);
console.log(`  with thermal           ${millions(middle(heated))}`);
console.log(`  mawk, one hysteresis   ${millions(mawk)}`);
console.log(`  ratio by the CPU       ${(mawk.cpuS / replayed.cpuS).toFixed(2)}`);
if (values.year) {
  const year = replayOnce(writeTrace(YEAR_S));
  console.log(
    `a year at one second, ${year.readings} readings: ${millions(year)}, ${year.residentMB?.toFixed(0)} MB resident`,
  );
}
