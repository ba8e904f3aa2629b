// What a controller saw, exported and read back: as native CSV and as COMTRADE, in every format.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { ConductorReading } from '../../../src/feeder.ts';
import { History } from '../../../src/journal/history.ts';
import { Journal } from '../../../src/journal/journal.ts';
import { Ring } from '../../../src/journal/samples.ts';
import { exportVerb } from '../../../src/workbench/export/export-verb.ts';
import { readAll } from '../trace/reading.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-export-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TRIGGER_MS = Date.UTC(2026, 0, 5, 17);
const currentA = (value: number): ConductorReading => ({ currentA: value, quality: 'good', reason: null });
const BAD: ConductorReading = { currentA: null, quality: 'bad', reason: 'noAnswer' };
const AMPERES = [
  [300.1, 200.25, 100, 12.5],
  [345, 200.5, 100, 13],
  [345.67, Number.NaN, 100, 13],
];

function recorded(): string {
  const history = new History(folder, { days: 30, feeders: 1, maxBytes: 1e9 });
  const ring = new Ring();
  for (const [index, row] of AMPERES.entries()) {
    const [L1, L2, L3, N] = row.map((value) => (Number.isNaN(value) ? BAD : currentA(value))) as [
      ConductorReading,
      ConductorReading,
      ConductorReading,
      ConductorReading,
    ];
    ring.push({ feederId: 'F1', sourceId: 'meter-1', atMs: 1000 + index * 200, L1, L2, L3, N, exporting: [] });
  }
  const record = history.beginDisturbance({
    feederId: 'F1',
    trigger: 'pickup atRisk L1',
    triggerMs: 1200,
    triggerWallMs: TRIGGER_MS,
    start: null,
    clockSynchronised: true,
  });
  history.keepPiece({ record, samples: ring.pack(0, 1200), inputs: [], last: true });
  history.close();
  const journal = new Journal(folder);
  const event = { feederId: null, body: (sequence: number) => JSON.stringify({ sequence, substationId: 'SUB-1' }) };
  const stamp = { monotonicMs: 0, wallMs: TRIGGER_MS, bootId: 'boot', clockSynchronised: true };
  journal.commit({ states: [], requests: [], withheld: [], events: [event] }, stamp);
  journal.close();
  return String(record);
}
const record = recorded();

test.each([
  ['record.csv', undefined],
  ['ascii.cff', 'ASCII'],
  ['ascii.cfg', 'ascii'],
  ['binary32.cfg', 'BINARY32'],
  ['binary.cff', 'BINARY'],
])('a disturbance record in %s comes back as it was', async (name, format) => {
  const out = join(folder, name);
  expect(exportVerb(folder, { record, out, format })).toBe(0);
  const { taken, broken } = await readAll(out);
  expect(broken).toEqual([]);
  expect(taken.map(([feeder, atMs]) => [feeder, Math.round(atMs - TRIGGER_MS)])).toEqual([
    ['F1', -200],
    ['F1', 0],
    ['F1', 200],
  ]);
  // 16 bits have 0.02 A at 346 A: half of that may be off.
  const slackA = format === 'BINARY' ? 0.0101 : 0;
  for (const [index, [, , ...amperes]] of taken.entries()) {
    for (const [column, value] of amperes.entries()) {
      const expected = AMPERES[index]?.[column] ?? 0;
      expect(Number.isNaN(value)).toBe(Number.isNaN(expected));
      if (!Number.isNaN(value)) expect(Math.abs(value - expected)).toBeLessThanOrEqual(slackA);
    }
  }
});

test('what is not there, and what is no format', () => {
  expect(exportVerb(folder, { record: '99', out: join(folder, 'x.csv') })).toBe(1);
  expect(exportVerb(folder, { record, out: join(folder, 'x.txt') })).toBe(2);
  expect(exportVerb(folder, { record, out: join(folder, 'x.cff'), format: 'MORSE' })).toBe(2);
});
