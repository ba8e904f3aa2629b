// Judges the raw records of a run that was played before, and writes its table anew into the same folder:
// node bench/one-bad-evening/judge-again.ts FOLDER
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTESTANTS } from './contestants.ts';
import { verdictOf } from './oracle.ts';
import { writeResults } from './results.ts';
import type { Result } from './rig.ts';
import { SCENARIOS } from './scenarios.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('judge-again: no folder, expected that of a run (--out)');
  process.exit(2);
}
const played: { circumstances: string; skipped: string[]; results: Result[] } = readJson(join(folder, 'results.json'));
const results = played.results.map((result): Result => {
  const raw = readJson(join(folder, `${result.scenario}-${result.contestant}-${result.round}`, 'raw.json'));
  return { ...result, ...verdictOf(raw) };
});
const scenarios = SCENARIOS.filter(({ name }) => results.some(({ scenario }) => scenario === name));
const contestants = CONTESTANTS.filter(({ name }) => results.some(({ contestant }) => contestant === name));
console.log(writeResults(folder, { ...played, results, scenarios, contestants }).text);

function readJson(file: string) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
