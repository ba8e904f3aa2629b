// `npm run test:pitfalls [-- ROW…]`: shows for every known pitfall of the libraries below (rows.ts, mqtt-rows.ts, storage-rows.ts)
// that its test bites: in a copy of the program the handling is taken away, and that very test must fail. Prints a line per row; exit code 1
// where one passed all the same.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MQTT_ROWS } from './mqtt-rows.ts';
import { ROWS, type Row } from './rows.ts';
import { STORAGE_ROWS } from './storage-rows.ts';

const ROOT = join(import.meta.dirname, '../..');
const COPIED = [
  'src',
  'test',
  'hardware',
  'config',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'vitest.config.ts',
];
/** Without its handling a test may wait for what never comes: here it need not be patient. */
const HURRY = [
  ['timeout: 60_000', 'timeout: 10_000'],
  ['timeout: 20_000', 'timeout: 5_000'],
  ['testTimeout: 180_000', 'testTimeout: 30_000'],
] as const;
const TEST_TIMEOUT_MS = 10_000;

const wanted = process.argv.slice(2);
const copy = mkdtempSync(join(tmpdir(), 'headroom-pitfalls-'));
let survived = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const row of [...ROWS, ...MQTT_ROWS, ...STORAGE_ROWS].filter(
    (one) => wanted.length === 0 || wanted.includes(one.row),
  )) {
    const failed = failsWithout(row);
    if (!failed) survived += 1;
    console.log(
      `${row.row.padEnd(4)}${failed ? 'fails' : 'PASSES'} without: ${row.handling}\n    ${row.test.join(', ')}`,
    );
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = survived === 0 ? 0 : 1;

function failsWithout({ row, test: [file, name], without }: Row): boolean {
  const changed = join(copy, without.file);
  const text = readFileSync(join(ROOT, without.file), 'utf8');
  if (text.split(without.from).length !== 2) throw new Error(`${row}: ${without.file} has not once: ${without.from}`);
  const suite = join(copy, 'test', file);
  const patient = readFileSync(join(ROOT, 'test', file), 'utf8');
  writeFileSync(
    changed,
    text.replace(without.from, () => without.to),
  );
  writeFileSync(
    suite,
    HURRY.reduce((all, [from, to]) => all.replaceAll(from, to), patient),
  );
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const vitest = join(copy, 'node_modules/vitest/vitest.mjs');
  const flags = [`--testTimeout=${TEST_TIMEOUT_MS}`, '--reporter=json', `--outputFile=${report}`, '-t', escaped];
  spawnSync(process.execPath, [vitest, 'run', suite, ...flags], { cwd: copy, stdio: 'ignore' });
  writeFileSync(changed, text);
  writeFileSync(suite, patient);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  const ours = all.filter(({ fullName, status }) => fullName.includes(name) && status !== 'skipped');
  if (ours.length === 0) throw new Error(`${row}: no test has run whose name holds: ${name}`);
  return ours.some(({ status }) => status === 'failed');
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}
