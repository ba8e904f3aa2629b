// Tells of the tests that failed in a run of vitest, from its JSON: each by file, name and what it said; with --files only
// the files, one a line.
//
//     node .ci/failed-tests.mjs tests.json [--files]

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import process from 'node:process';

const [, , results = '', ...rest] = process.argv;
const failedFiles = JSON.parse(readFileSync(results, 'utf8')).testResults.filter(({ status }) => status === 'failed');

const say = (line) => process.stdout.write(`${line}\n`);

for (const { name, message, assertionResults } of failedFiles) {
  const file = relative(process.cwd(), name);
  const tests = assertionResults.filter(({ status }) => status === 'failed');
  if (rest.includes('--files')) say(file);
  else if (tests.length === 0) say(`${file}: ${message}`);
  else for (const { fullName, failureMessages } of tests) say(`${file}: ${fullName}\n${failureMessages.join('\n')}`);
}
