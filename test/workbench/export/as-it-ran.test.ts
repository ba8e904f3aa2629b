// A live controller over a recorded feeder, with everything that can come its way: acknowledgements, commands, another
// settings group, readings that fail, a clock that is set, a restart in an episode. What it recorded is exported and
// replayed, and comes to the same events.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Given } from '../../../src/acquisition/source-reading.ts';
import type { Configuration } from '../../../src/configuration.ts';
import { disturbances } from '../../../src/journal/history-reader.ts';
import { readEvents } from '../../../src/journal/reader.ts';
import type { Curtailment, Event } from '../../../src/messages.ts';
import { exportVerb } from '../../../src/workbench/export/export-verb.ts';
import { readPlayedTrace } from '../../../src/workbench/played-trace.ts';
import { replay } from '../../../src/workbench/replay/replay.ts';
import type { ReplayResult } from '../../../src/workbench/replay/results.ts';
import { replayText } from '../../../src/workbench/replay/show-results.ts';
import { readMapping } from '../../../src/workbench/trace/mapping.ts';
import { MqttBroker } from '../../simulators/mqtt-broker.ts';
import { goodConfiguration, ROOT, siteClock, siteText, startSite, until } from '../live-site.ts';

const RECORDED = join(import.meta.dirname, '../../../../shared/data/feeders/fluke435_lv_3ph_1min.csv');
const HIGHEST_A = 430;

const scratch = mkdtempSync(join(tmpdir(), 'headroom-as-it-ran-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const CONFIGURATION = (url: string) =>
  siteText(
    url,
    ['F1'],
    `      - name: winter
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 320, delayS: 5, resetDelayS: 7 }
        emergency: { pickupA: 425, dropoutA: 345, delayS: 2, resetDelayS: 10 }
        thermal: { ratingA: 385, timeConstantMin: 10, leadTimeMin: 1, resetPercent: 95 }
        curtailment: { responseTimeS: 20, refreshS: 40, leaseS: 120 }
      - name: eased
        byCommand: true
        ratingA: 400
        atRisk: { pickupA: 360, dropoutA: 330, delayS: 4, resetDelayS: 6 }
        thermal: { ratingA: 400, timeConstantMin: 10, leadTimeMin: 1, resetPercent: 95 }
        curtailment: { responseTimeS: 20, refreshS: 40, leaseS: 120 }
`,
    'journal: { path: ./journal }\n',
  );

/** Two feeders on one transformer, which is over with both where neither is alone. */
const SUBSTATION = (url: string) =>
  siteText(
    url,
    ['F1', 'F2'],
    `      - name: winter
        ratingA: 500
        atRisk: { pickupA: 490, dropoutA: 470, delayS: 5, resetDelayS: 7 }
        curtailment: { responseTimeS: 20, refreshS: 40, leaseS: 120 }
`,
    `transformer:
  ratingKva: 500
  voltageV: 433
  feeders: [F1, F2]
  atRisk: { pickupA: 520, dropoutA: 480, delayS: 5, resetDelayS: 7 }
journal: { path: ./substation }
`,
  );

/** Amperes of the recorded feeder, one row a second, its highest being HIGHEST_A. */
async function recordedAmperes(): Promise<[number, number, number][]> {
  const file = join(scratch, 'fluke.yaml');
  const columns = ['L1', 'L2', 'L3'].map((name) => `${name}: S_${name}N`).join(', ');
  const volts = ['L1', 'L2', 'L3'].map((name) => `${name}: U_${name}N`).join(', ');
  writeFileSync(
    file,
    `time: { column: timestamp, format: yyyy-MM-dd HH:mm:ss }\nunit: VA\nfeeders: { F1: { ${columns}, voltage: { ${volts} } } }\n`,
  );
  const mapping = readMapping(file);
  if (typeof mapping === 'string') throw new Error(mapping);
  const { rows } = await readPlayedTrace(RECORDED, mapping, undefined);
  const all = rows.map(({ currents: { L1, L2, L3 } }): [number, number, number] => [L1, L2, L3]);
  const scale = HIGHEST_A / Math.max(...all.flat());
  return all.map((row) => row.map((value) => value * scale) as [number, number, number]);
}

type Site = Awaited<ReturnType<typeof startSite>>;

let commands = 0;
function command(clock: { wallMs(): number }, action: string, more: object = {}) {
  const at = (ms: number) => new Date(clock.wallMs() + ms).toISOString();
  const commandId = `command-${++commands}`;
  const common = { schema: 'headroom/v1/command', commandId, issuedAt: at(0), expiresAt: at(600_000) };
  return { ...common, feederId: 'F1', action, ...more };
}

function ackOf(message: Curtailment, status: string, wallMs: number, more: object = {}) {
  const { requestId, sequence } = message;
  return {
    schema: 'headroom/v1/curtailment/ack',
    requestId,
    sequence,
    status,
    at: new Date(wallMs).toISOString(),
    ...more,
  };
}

/** Lives through the recorded feeder; what comes when is written out. */
async function live(configuration: Configuration, broker: MqttBroker): Promise<void> {
  const clock = siteClock();
  const rows = (await recordedAmperes()).slice(0, 600);
  let site: Site = await startSite(configuration, clock, broker);
  let acked = 0;
  const order = async (action: string, more: object = {}) => {
    broker.publish(`${ROOT}/command`, command(clock, action, more));
    const answers = () => broker.publishes(`${ROOT}/command/ack`).length;
    const before = answers();
    await until(() => answers() > before);
  };
  const meter: Record<number, Given> = {
    150: 'noAnswer',
    151: 'exception',
    152: 'noAnswer',
    153: 'noAnswer',
    154: 'noAnswer',
  };
  for (const [second, row] of rows.entries()) {
    const given = meter[second];
    await site.second({ F1: given === undefined ? row : [given, given, row[2]] });
    if (second === 300) {
      await site.stop();
      clock.advance(3_000);
      site = await startSite(configuration, clock, broker);
      acked = 0;
    }
    for (const message of site.requests.slice(acked)) {
      acked++;
      broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, ackOf(message, 'dispatched', clock.wallMs()));
      const said = { controllableA: { L1: 90, L2: 100, L3: 110 } };
      broker.publish(`${ROOT}/feeder/F1/curtailment/ack`, ackOf(message, 'applied', clock.wallMs(), said));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (second === 200) await order('settingsGroup', { group: 'eased' });
    if (second === 260) await order('settingsGroup');
    if (second === 420)
      await order('block', { until: new Date(clock.wallMs() + 30_000).toISOString(), immediate: true });
    if (second === 500) clock.offsetMs += 10_000;
    if (second === 540) await order('testMode', { until: new Date(clock.wallMs() + 20_000).toISOString() });
  }
  await site.stop();
}

/** Without its time: the wall clock is stepped on the way, and the clock of a record is not. */
const line = ({ type, element, phase, levelPercent }: Record<string, unknown>) =>
  [type, element, phase, levelPercent === undefined ? undefined : Math.round(Number(levelPercent) * 100) / 100]
    .filter((part) => part !== undefined)
    .join(' ');

describe.skipIf(!existsSync(RECORDED))('an export (skipped where shared/data/feeders is not beside the tree)', () => {
  test('replayed comes to the same events as the live run, in every form', async () => {
    const broker = await MqttBroker.start();
    const file = join(scratch, 'site.yaml');
    writeFileSync(file, CONFIGURATION(broker.url));
    const configuration = goodConfiguration(file);
    await live(configuration, broker).finally(() => broker.close());

    const folder = join(scratch, 'journal');
    const records = disturbances(folder);
    expect(records.map(({ trigger }) => trigger)).toContain('restart');
    const record = `1-${records.length}`;
    const results: ReplayResult[] = [];
    for (const [name, format] of [
      ['export.csv', undefined],
      ['export.cff', 'ASCII'],
      ['binary32.cfg', 'BINARY32'],
      ['float32.cff', 'FLOAT32'],
    ] as const) {
      const out = join(scratch, name);
      expect(exportVerb(folder, { record, out, format })).toBe(0);
      results.push(await replay({ configuration, traces: [out] }));
    }
    const [first] = results;
    for (const result of results) {
      expect(result.asItRan?.difference).toBeNull();
      expect(result.events).toEqual(first?.events);
    }

    // The same events as in the journal, each with its own time, as far as they were recorded.
    const inputs = JSON.parse(readFileSync(join(scratch, 'export.inputs.json'), 'utf8')) as {
      records: { inputs: { input: { kind: string } }[] }[];
    };
    const kinds = new Set(inputs.records.flatMap((each) => each.inputs.map(({ input }) => input.kind)));
    expect([...kinds].sort()).toEqual(expect.arrayContaining(['ack', 'clock', 'command', 'group']));
    const journal = (readEvents(folder, 10_000) as Event[]).filter((event) => event.historical !== true);
    const told = journal.map((event) => line({ ...event }));
    const replayed = (first?.events ?? []).map((event) => line({ ...event }));
    expect(told).toEqual(expect.arrayContaining(replayed));
    const types = new Set(first?.events.map(({ type }) => type));
    for (const type of [
      'pickup',
      'operate',
      'dropout',
      'limit',
      'refresh',
      'release',
      'settings',
      'block',
      'test',
      'command',
    ])
      expect(types).toContain(type);
    const ofControl = (type: string) => ['pickup', 'operate', 'dropout', 'limit', 'refresh', 'release'].includes(type);
    expect(replayed.filter((text) => ofControl(text.split(' ')[0] ?? ''))).toHaveLength(
      told.filter((text) => ofControl(text.split(' ')[0] ?? '')).length,
    );
    expect(replayText(first as ReplayResult)).toContain('the same as in the live run');

    // With other settings it is an open loop, and says so.
    const other = join(scratch, 'other.yaml');
    writeFileSync(other, readFileSync(file, 'utf8').replace('pickupA: 345', 'pickupA: 340'));
    const open = await replay({ configuration: goodConfiguration(other), traces: [join(scratch, 'export.csv')] });
    expect(open.asItRan).toBeNull();
    expect(open.notes.join()).toContain('other settings');
    expect(replayText(open)).toContain('open loop');
  }, 120_000);

  test('of a feeder that a transformer asks of comes to the same events too', async () => {
    const broker = await MqttBroker.start();
    const file = join(scratch, 'transformer.yaml');
    writeFileSync(file, SUBSTATION(broker.url));
    const configuration = goodConfiguration(file);
    const rows = (await recordedAmperes()).slice(0, 400);
    const clock = siteClock();
    const site = await startSite(configuration, clock, broker);
    for (const [L1, L2, L3] of rows) await site.second({ F1: [L1, L2, L3], F2: [L3, L1, L2] });
    await site.stop();
    await broker.close();

    const folder = configuration.settings.journal.path;
    const records = disturbances(folder);
    const record = `${records[0]?.id}-${records.at(-1)?.id}`;
    for (const feeder of ['F1', 'F2', 'all']) {
      const out = join(scratch, `of-${feeder}.csv`);
      expect(exportVerb(folder, { record, feeder, out })).toBe(0);
      const result = await replay({ configuration, traces: [out] });
      expect(result.asItRan).toMatchObject({ difference: null });
      const asked = result.events.filter(({ type, element }) => type === 'limit' && element === 'transformer');
      expect([...new Set(asked.map(({ feederId }) => feederId))].sort()).toEqual(
        feeder === 'all' ? ['F1', 'F2'] : [feeder],
      );
    }
    // Two exports together are as one of both, and what nobody of the two decided is told once.
    const traces = ['F1', 'F2'].map((feeder) => join(scratch, `of-${feeder}.csv`));
    const both = await replay({ configuration, traces });
    const one = await replay({ configuration, traces: [join(scratch, 'of-all.csv')] });
    expect(both.asItRan).toMatchObject({ difference: null });
    expect(both.events).toHaveLength(one.events.length);
    // A record of COMTRADE is of one feeder.
    expect(exportVerb(folder, { record, feeder: 'all', out: join(scratch, 'all.cff') })).toBe(2);
    expect(exportVerb(folder, { record, feeder: 'F9', out: join(scratch, 'none.csv') })).toBe(1);
  }, 60_000);
});
