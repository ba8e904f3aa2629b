// The verb `impact` on a journal as a controller keeps it: requests, acknowledgements, and a configuration that names it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Journal } from '../../src/journal/journal.ts';
import type { Curtailment } from '../../src/messages.ts';
import { verb } from '../end-to-end/headroom.ts';
import { releaseOf, requestAt } from './headend/requests.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-impact-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MINUTE_MS = 60_000;
const configuration = join(folder, 'substation.yaml');
writeFileSync(
  configuration,
  `substation: { id: SUB-4711 }
uplink: { brokers: [{ url: "mqtt://127.0.0.1:1" }], allowInsecure: true }
sources: [{ id: meter-1, type: modbus-tcp, host: 127.0.0.1, profile: eastron-sdm630 }]
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 3 }
    settings:
      - name: winter
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }
        budget: { episodesPerYear: 4, minutesPerYear: 40 }
journal: { path: ./journal }
`,
);

function keep(messages: readonly Curtailment[], dispatchedMs: number): void {
  const journal = new Journal(join(folder, 'journal'));
  const stamp = { monotonicMs: 0, wallMs: Date.now(), bootId: 'boot', clockSynchronised: true };
  const requests = messages.map((message) => ({
    requestId: message.requestId,
    sequence: message.sequence,
    feederId: message.feederId,
    episodeId: message.episodeId,
    body: JSON.stringify(message),
    offered: true,
    withheld: null,
  }));
  journal.commit({ states: [], requests, events: [], withheld: [] }, stamp);
  const [limit] = messages;
  if (limit === undefined) throw new Error('no limit');
  const { requestId, sequence, feederId } = limit;
  const at = new Date(dispatchedMs).toISOString();
  const body = JSON.stringify({ schema: 'headroom/v1/curtailment/ack', requestId, sequence, status: 'dispatched', at });
  expect(journal.keepAck({ feederId, requestId, sequence, status: 'dispatched', body }, dispatchedMs)).toBe('kept');
  journal.close();
}

test('without a journal it is not so, in one line', async () => {
  const { code, stdout, stderr } = await verb('impact', configuration);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^headroom: .* has no journal.db, expected the journal folder of a controller\n$/);
}, 20_000);

test('minutes count from the first dispatched, at the depth of the limit', async () => {
  const startMs = Date.now() - 60 * MINUTE_MS;
  const limit = requestAt(startMs, 1, { levelPercent: 60 });
  const release = {
    ...releaseOf(limit, 2),
    issuedAt: new Date(startMs + 22 * MINUTE_MS).toISOString(),
    start: new Date(startMs + 22 * MINUTE_MS).toISOString(),
  };
  keep([limit, release], startMs + 2 * MINUTE_MS);
  const { code, stdout } = await verb('impact', configuration, '--json');
  expect(code).toBe(0);
  const [feeder] = JSON.parse(stdout).feeders;
  // Twenty minutes at 60 %: eight minutes of full curtailment.
  expect(feeder).toMatchObject({ feederId: 'F1', episodes: 1, minutes: 8 });
  const text = await verb('impact', configuration);
  expect(text.stdout).toMatch(/F1/);
  const settled = await verb('impact', configuration, '--settlement', '--json');
  expect(JSON.parse(settled.stdout)).toHaveProperty('settlement');
}, 30_000);
