// How long the journal holds up the program: the commit of a request, bringing it into the tables, the checkpoint of a
// quiet moment, and a bite of clean-up in a full journal. See README.md beside.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Journal } from '../../src/journal/journal.ts';
import type { Batch, Stamp } from '../../src/journal/records.ts';

const { values } = parseArgs({
  options: { decisions: { type: 'string', default: '2000' }, json: { type: 'boolean', default: false } },
});
const FEEDERS = 12;
/** As many as are kept, and what has to go beyond them. */
const EVENTS = 102_000;
/** What a state, a request and an event come to in service. */
const STATE = { text: 'x'.repeat(4_000) };
const REQUEST = 'x'.repeat(1_500);
const EVENT = 'x'.repeat(350);

const folder = mkdtempSync(join(tmpdir(), 'headroom-journal-'));
const journal = new Journal(folder);
const stamp = (): Stamp => ({ monotonicMs: 0, wallMs: Date.now(), bootId: 'bench', clockSynchronised: true });
const nothing: Batch = { states: [], requests: [], withheld: [], events: [] };
const events = (count: number): Batch['events'] =>
  Array.from({ length: count }, () => ({ feederId: 'F1', body: (sequence) => JSON.stringify({ sequence, EVENT }) }));

const took: Record<string, number[]> = { commit: [], settle: [], checkpoint: [], cleanUp: [] };
function timed<T>(what: keyof typeof took, work: () => T): T {
  const begun = performance.now();
  const result = work();
  took[what]?.push(performance.now() - begun);
  return result;
}

let walBytes = 0;
for (let sequence = 1; sequence <= Number(values.decisions); sequence++) {
  const feederId = `F${sequence % FEEDERS}`;
  const request = { requestId: `r${sequence}`, sequence, feederId, episodeId: 'e', body: REQUEST };
  const batch = {
    ...nothing,
    states: [{ feederId, state: STATE }],
    requests: [{ ...request, offered: true, withheld: null }],
    events: events(2),
  };
  timed('commit', () => journal.commit(batch, stamp()));
  timed('settle', () => journal.settle());
  if (journal.wantsTidy) {
    walBytes = Math.max(walBytes, statSync(join(folder, 'journal.db-wal')).size);
    timed('checkpoint', () => journal.tidy());
  }
}
for (let n = 0; n < EVENTS; n += 500) journal.commit({ ...nothing, events: events(500) }, stamp());
journal.setEventsSentTo(EVENTS);
// The first tidies checkpoint what was just written; a clean-up is looked for at every twentieth.
while (!journal.tidy());
let more = true;
while (more) more = timed('cleanUp', () => journal.tidy());
journal.close();
rmSync(folder, { recursive: true });

const rounded = (ms: number | undefined) => Math.round((ms ?? 0) * 100) / 100;
const figures = Object.fromEntries(
  Object.entries(took).map(([what, times]) => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => rounded(sorted[Math.floor(share * (sorted.length - 1))]);
    return [what, { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }];
  }),
);
if (values.json) process.stdout.write(`${JSON.stringify({ ...figures, walBytes })}\n`);
else {
  for (const [what, { count, p50, p99, max }] of Object.entries(figures))
    process.stdout.write(
      `${what.padEnd(10)} ${count} times: ${p50} ms in the middle, p99 ${p99} ms, at most ${max} ms\n`,
    );
  process.stdout.write(`the WAL had at most ${(walBytes / 1e6).toFixed(1)} MB\n`);
}
