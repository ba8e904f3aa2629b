// What a run leaves in its folder beside the raw records: the table as text, as JSON and as a page.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { headline } from './headline.ts';
import { page } from './page.ts';
import type { Result } from './rig.ts';
import type { Scenario } from './scenarios.ts';
import { type Row, score, table } from './score.ts';

export interface Played {
  readonly circumstances: string;
  readonly results: readonly Result[];
  /** What was left out, and why. */
  readonly skipped: readonly string[];
  readonly scenarios: readonly Scenario[];
  readonly contestants: readonly { readonly name: string }[];
}

export function writeResults(folder: string, played: Played): { text: string; rows: Row[] } {
  const { circumstances, results, skipped, scenarios, contestants } = played;
  const rows = score(results, scenarios, contestants);
  const short = headline(results, rows);
  const text = [circumstances, '', short, '', table(rows, skipped)].join('\n');
  writeFileSync(
    join(folder, 'results.json'),
    `${JSON.stringify({ circumstances, rows, skipped, results }, null, 1)}\n`,
  );
  writeFileSync(join(folder, 'results.html'), page(rows, results, scenarios, skipped, `${circumstances}\n\n${short}`));
  writeFileSync(join(folder, 'results.txt'), `${text}\n`);
  return { text, rows };
}
