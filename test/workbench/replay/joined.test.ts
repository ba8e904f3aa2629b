// Feeders that depend on one another in a replay: against a live controller that was given the same currents, against the
// fast way of feeders by themselves where nothing of it bites, and however the trace has its rows.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Given } from '../../../src/acquisition/source-reading.ts';
import type { Configuration } from '../../../src/configuration.ts';
import { readEvents } from '../../../src/journal/reader.ts';
import type { Event } from '../../../src/messages.ts';
import { MergedRows } from '../../../src/workbench/replay/merged-rows.ts';
import type { ReplayResult } from '../../../src/workbench/replay/results.ts';
import { replayJson, replayText } from '../../../src/workbench/replay/show-results.ts';
import { parseSweep, runSweep, sweepText } from '../../../src/workbench/replay/sweep.ts';
import { sweepHtml } from '../../../src/workbench/report/sweep-report.ts';
import type { Row } from '../../../src/workbench/trace/sink.ts';
import { MqttBroker } from '../../simulators/mqtt-broker.ts';
import { type Amperes, goodConfiguration, siteClock, siteText, startSite } from '../live-site.ts';
import { type Desk, nativeTrace, openDesk } from './desk.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-joined-'));
let desk: Desk;
beforeAll(() => {
  desk = openDesk();
});
afterAll(() => {
  desk.close();
  rmSync(scratch, { recursive: true, force: true });
});

const BY_SUM = `transformer:
  ratingKva: 500
  voltageV: 433
  feeders: [F1, F2]
  atRisk: { pickupA: 560, dropoutA: 520, delayS: 5.5, resetDelayS: 7.5 }
  emergency: { pickupA: 700, dropoutA: 560, delayS: 2.5, resetDelayS: 7.5 }
  inverse: { curve: VI, pickupA: 600, timeMultiplier: 0.3, dropoutA: 540, resetDelayS: 7.5 }
`;
const BY_METER = BY_SUM.replace('  atRisk', '  currents: { source: meter }\n  atRisk');

/** No loop is closed, so that a live run is one over a recording too. */
const site = (url: string, name: string, more: string) =>
  siteText(
    url,
    ['F1', 'F2'],
    `      - name: bench
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 4.5, resetDelayS: 6.5 }
        curtailment: { responseTimeS: 0, refreshS: 20.3, leaseS: 60 }
        caps: { requestsPerHour: 0 }
        budget: { episodesPerYear: 0, minutesPerYear: 0 }
`,
    `${more}\njournal: { path: ./${name} }\n`,
  );

/** Ten minutes: both feeders rise to where the transformer is over, F1 alone is over for a while, F2 is not seen for one. */
function amperesAt(second: number): Record<'F1' | 'F2', Amperes> {
  const wave = (periodS: number) => Math.sin((2 * Math.PI * second) / periodS);
  const evening = 70 * (1 + wave(300));
  const alone = second > 330 && second < 380 ? 90 : 0;
  const milli = (value: number) => Math.round(value * 1000) / 1000;
  const missing: Given = 'noAnswer';
  const isMissing = second > 150 && second < 170;
  return {
    F1: [milli(160 + evening + alone), milli(190 + evening / 2 + 9 * wave(17)), milli(150 + 20 * wave(41))],
    F2: isMissing
      ? [missing, missing, missing]
      : [milli(150 + evening * 1.4), milli(200 + evening + 11 * wave(23)), milli(170 + 25 * wave(31))],
  };
}

/** What the transformer's own meter shows: losses of the bars on top of the sum, and no gap. */
function meterAt(second: number): Amperes {
  const { F1, F2 } = amperesAt(second > 150 && second < 170 ? 150 : second);
  return F1.map((value, at) => Math.round((Number(value) + Number(F2[at]) + 3) * 1000) / 1000) as unknown as Amperes;
}

async function live(configuration: Configuration, broker: MqttBroker, isMetered: boolean): Promise<string> {
  const clock = siteClock();
  const running = await startSite(configuration, clock, broker);
  const rows = ['time,feeder,L1_A,L2_A,L3_A'];
  for (let second = 0; second < 600; second++) {
    const all = { ...amperesAt(second), ...(isMetered && { transformer: meterAt(second) }) };
    await running.second(all);
    const stamp = new Date(clock.wallMs()).toISOString();
    for (const [id, phases] of Object.entries(all))
      rows.push([stamp, id, ...phases.map((value) => (typeof value === 'number' ? value : ''))].join(','));
  }
  await running.stop();
  return `${rows.join('\n')}\n`;
}

const OF_CONTROL = ['pickup', 'operate', 'dropout', 'limit', 'refresh', 'release', 'blind'];
/** A live request bears the time at which it was said, which here is the next whole second. */
const line = (
  at: string,
  event: { type: string; element?: unknown; phase?: unknown; levelPercent?: unknown; reason: string },
) => {
  const { type, element, phase, levelPercent, reason } = event;
  const isRequest = ['limit', 'refresh', 'release'].includes(type);
  return [...(isRequest ? [] : [at]), type, element, phase, levelPercent, reason].join(' ');
};
/** The sequence of each: what several of them decide at one instant is told in one order or another. */
function byParty(lines: readonly [feederId: string, text: string][]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [feederId, text] of lines) all[feederId] = [...(all[feederId] ?? []), text];
  return all;
}

const ofReplay = ({ events }: ReplayResult) =>
  byParty(
    events
      .map((event) => ({ ...event, cap: event.reason.startsWith('feederCap: ') }))
      .filter(({ type, cap }) => cap || OF_CONTROL.includes(type))
      .map((event) => {
        const reason = event.reason.replace(/^(feederCap|blind): /, '');
        return [event.feederId, line(new Date(event.atMs).toISOString(), { ...event, reason })];
      }),
  );
const ofLive = (folder: string) =>
  byParty(
    (readEvents(folder, 10_000) as Event[])
      .filter(({ historical }) => historical !== true)
      .filter(({ type, alarm }) => alarm === 'feederCap' || OF_CONTROL.includes(type))
      .map((event) => [
        event.feederId ?? 'transformer',
        line(event.at, { ...event, reason: (event.reason ?? '').replace(/^transformer: /, '') }),
      ]),
  );

describe('a replay of feeders that depend on one another, against a live controller over the same currents', () => {
  test.each([
    ['sum', BY_SUM, 'a transformer by the sum of its feeders'],
    ['meter', BY_METER, 'a transformer by its own meter'],
    ['cap', 'caps: { feedersAtOnce: 1 }', 'no more than one feeder at once'],
  ])(
    '%s',
    async (name, more) => {
      const broker = await MqttBroker.start();
      const file = join(scratch, `${name}.yaml`);
      writeFileSync(file, site(broker.url, name, more));
      const configuration = goodConfiguration(file);
      const trace = desk.file(
        `${name}.csv`,
        await live(configuration, broker, name === 'meter').finally(() => broker.close()),
      );
      const result = await desk.replay(configuration, trace, { gapS: 3 });
      const replayed = ofReplay(result);
      expect(replayed).toEqual(ofLive(join(scratch, name)));
      expect(Object.keys(replayed)).toHaveLength(name === 'cap' ? 2 : 3);
      for (const all of [replayed['F1'], replayed['F2']]) {
        expect(all?.length).toBeGreaterThan(10);
        expect(all?.some((text) => text.startsWith('release'))).toBe(true);
      }
      if (name === 'cap') return expect(replayed['F2']?.join('\n')).toContain('1 feeders at once');
      expect(replayed['F1']?.join('\n')).toContain('limit transformer');
      // The transformer is told of like a feeder.
      expect(result.transformer).toMatchObject({ isSum: name === 'sum', readings: 600, bad: name === 'sum' ? 19 : 0 });
      expect(result.transformer?.episodes.length).toBeGreaterThan(1);
      expect(result.transformer?.overRatingMinutes).toBeGreaterThan(0);
      expect(JSON.parse(replayJson(result)).transformer).toMatchObject({
        readings: 600,
        peakA: result.transformer?.peakA,
      });
      expect(replayText(result)).toContain(name === 'sum' ? 'the sum of its feeders' : 'by its own meter');
    },
    60_000,
  );
});

/** 30 minutes of two feeders, F1 over its pickup for some of them. */
function twoFeeders(order: 'byTurns' | 'oneAfterTheOther' | 'twoFiles'): string[] {
  const rows = (feeder: string, offset: number) =>
    Array.from({ length: 180 }, (_, index) => {
      const over = feeder === 'F1' && index > 60 && index < 120 ? 120 : 0;
      const wave = 20 * Math.sin(index / (9 + offset));
      return `${index * 10},${feeder},${(210 + wave + over).toFixed(3)},${(190 - wave).toFixed(3)},${(150 + wave).toFixed(3)}`;
    });
  const [one, two] = [rows('F1', 0), rows('F2', 4)];
  const head = 'time,feeder,L1_A,L2_A,L3_A';
  if (order === 'twoFiles') return [`${[head, ...one].join('\n')}\n`, `${[head, ...two].join('\n')}\n`];
  const all = order === 'byTurns' ? one.flatMap((row, at) => [row, two[at] ?? '']) : [...one, ...two];
  return [`${[head, ...all].join('\n')}\n`];
}

const GROUP = `ratingA: 300
        atRisk: { pickupA: 310, dropoutA: 280, delayS: 25, resetDelayS: 35 }
        emergency: { pickupA: 345, dropoutA: 310, delayS: 5, resetDelayS: 35 }
        thermal: { ratingA: 300, timeConstantMin: 20, leadTimeMin: 2, resetPercent: 95 }
        inverse: { curve: VI, pickupA: 320, timeMultiplier: 5, dropoutA: 300, resetDelayS: 35 }`;
const WIDE = `transformer:
  ratingKva: 5000
  voltageV: 433
  feeders: [F1, F2]
  atRisk: { pickupA: 6000, dropoutA: 5900, delayS: 5, resetDelayS: 7 }
`;

/** Of each feeder: what two of them say of one instant has no order. */
const inOrder = ({ events }: ReplayResult) =>
  ['F1', 'F2'].map((id) => events.filter(({ feederId }) => feederId === id));

describe('the two ways of stepping', () => {
  test.each([
    ['a cap that never bites', 'caps: { feedersAtOnce: 200 }\n'],
    ['a transformer with room for all', WIDE],
  ])('%s: the same as feeders by themselves', async (_, more) => {
    const trace = twoFeeders('byTurns').map((text, index) => desk.file(`${index}.csv`, text));
    const alone = await desk.replay(desk.configuration(GROUP, ['F1', 'F2']), trace);
    const joined = await desk.replay(desk.configuration(GROUP, ['F1', 'F2'], more), trace);
    expect(joined.events).toEqual(alone.events);
    expect(joined.feeders).toEqual(alone.feeders);
    expect(alone.events.length).toBeGreaterThan(10);
  });

  test('any trace: gaps, missing values, the calendar of settings groups', async () => {
    const calendar = `${GROUP.replace('ratingA: 300', 'ratingA: 300\n        calendar: { timeZone: Europe/London, fromTime: "17:00", toTime: "17:20" }')}
      - name: else
        ratingA: 300
        atRisk: { pickupA: 260, dropoutA: 240, delayS: 25, resetDelayS: 35 }`;
    const alone = desk.configuration(calendar, ['F1', 'F2']);
    const joined = goodConfiguration(
      desk.file('cap.yaml', readFileSync(alone.file, 'utf8').concat('caps: { feedersAtOnce: 200 }\n')),
    );
    const ampere = fc.oneof(fc.integer({ min: 150, max: 300 }), fc.constantFrom('', 2, 250, 320, 400, 500));
    const scan = fc.record({
      afterS: fc.constantFrom(10, 10, 10, 10, 30, 31, 400),
      feeders: fc.constantFrom(['F1', 'F2'], ['F1', 'F2'], ['F1'], ['F2']),
      phases: fc.tuple(ampere, ampere, ampere, ampere, ampere, ampere),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(scan, { minLength: 1, maxLength: 120 }), async (scans) => {
        let atMs = Date.UTC(2026, 0, 5, 16, 55);
        const rows = scans.flatMap(({ afterS, feeders, phases }, index) => {
          atMs += afterS * 1000;
          const stamp = new Date(atMs).toISOString();
          // Both begin with the trace: by itself a feeder begins with its first reading.
          return (index === 0 ? ['F1', 'F2'] : feeders).map((id) =>
            [stamp, id, ...(id === 'F1' ? phases.slice(0, 3) : phases.slice(3))].join(','),
          );
        });
        const trace = desk.file('any.csv', `time,feeder,L1_A,L2_A,L3_A\n${rows.join('\n')}\n`);
        const [one, other] = [await desk.replay(alone, trace), await desk.replay(joined, trace)];
        expect(inOrder(other)).toEqual(inOrder(one));
        expect(other.feeders.filter(({ readings }) => readings > 0)).toEqual(
          one.feeders.filter(({ readings }) => readings > 0),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('rows by turns, one feeder after the other, or in two files come to the same', async () => {
    const configuration = desk.configuration(GROUP, ['F1', 'F2'], WIDE.replace('6000', '520').replace('5900', '480'));
    const results: ReplayResult[] = [];
    for (const order of ['byTurns', 'oneAfterTheOther', 'twoFiles'] as const) {
      const trace = twoFeeders(order).map((text, index) => desk.file(`${order}-${index}.csv`, text));
      results.push(await desk.replay(configuration, trace));
    }
    const [first, ...others] = results;
    expect(first?.events.some(({ feederId }) => feederId === 'transformer')).toBe(true);
    for (const { events, feeders, transformer } of others) {
      expect(events).toEqual(first?.events);
      expect(feeders).toEqual(first?.feeders);
      expect(transformer).toEqual(first?.transformer);
    }
  });

  test('a setting of the transformer over a range', async () => {
    const configuration = desk.configuration(GROUP, ['F1', 'F2'], WIDE.replace('5900', '400'));
    const traces = twoFeeders('byTurns').map((text, index) => desk.file(`${index}.csv`, text));
    const sweep = parseSweep('transformer.atRisk.pickupA=390:590:100');
    if (typeof sweep === 'string') throw new Error(sweep);
    const rows = await runSweep({ configuration, traces }, sweep);
    const [refused, low, high] = rows;
    expect(refused?.refused).toBe('transformer.atRisk.dropoutA, expected less than pickupA (390)');
    expect(low?.totals?.limitedMinutes).toBeGreaterThan(high?.totals?.limitedMinutes ?? Number.NaN);
    // The transformer's own episodes are told beside those of its feeders, and are those of a replay with that value.
    const own = WIDE.replace('5900', '400').replace('6000', '490');
    const { transformer } = await desk.replay(desk.configuration(GROUP, ['F1', 'F2'], own), traces);
    expect(low?.transformer?.episodes).toBe(transformer?.episodes.length);
    expect(low?.transformer?.episodes).toBeGreaterThan(high?.transformer?.episodes ?? Number.NaN);
    const text = sweepText(rows, sweep);
    expect(text).toMatch(/all feeders\n.*minutes limited.*\ntransformer\n.*minutes of episodes/s);
    expect(sweepHtml(configuration, traces, sweep, rows)).toContain('Values, transformer');
  });

  test('a feeder that the trace has not makes the sum a lower bound, and a meter that it has not is told of', async () => {
    const trace = desk.file(
      'one.csv',
      nativeTrace('0 400 90 80\n10 400 90 80\n20 400 90 80\n30 100 90 80\n90 100 90 80'),
    );
    const low = WIDE.replace('6000', '350').replace('5900', '300');
    const byMeter = low.replace('  atRisk', '  currents: { source: meter-1 }\n  atRisk');
    const { notes, events } = await desk.replay(desk.configuration(undefined, ['F1', 'F2'], byMeter), trace);
    expect(notes.join('\n')).toContain('no row of transformer');
    expect(notes.join('\n')).toContain('no row of F2: the sum for the transformer is a lower bound');
    const of = events.filter(({ feederId }) => feederId === 'transformer').map(({ type }) => type);
    // F1 gives what it can, and F2 is not seen. Under every pickup a lower bound says nothing, so what has operated stays.
    expect(of).toEqual(['pickup', 'operate', 'alarm', 'blind']);
  });
});

test('the peak of an episode that the transformer brings is its own', async () => {
  const transformer = `transformer: { ratingKva: 240, voltageV: 415, feeders: [F1, F2], atRisk: { pickupA: 300, dropoutA: 250, delayS: 10, resetDelayS: 10 } }
`;
  const rows = (amperes: readonly number[]) => amperes.map((a, n) => `${n * 10} ${a} 80 70`).join('\n');
  const high = [100, 300, 320, 320, 150, 150, 150, 150, 150, 150, 260, 265, 265, 150, 150, 150, 150];
  const trace = [
    desk.file('first.csv', nativeTrace(rows(high))),
    desk.file('second.csv', nativeTrace(rows(high.map(() => 60)), 'F2')),
  ];
  const group =
    'ratingA: 385\n        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }\n        curtailment: { responseTimeS: 0, minOffS: 0, minOnS: 0, releaseStepPercent: 100 }';
  const { feeders } = await desk.replay(desk.configuration(group, ['F1', 'F2'], transformer), trace);
  expect(feeders[0]?.episodes.map(({ element, peakA }) => [element, peakA])).toEqual([
    ['transformer', 320],
    ['transformer', 265],
  ]);
});

describe('merged rows', () => {
  test('come in the order of time, and wait only for who can still bring an earlier one', () => {
    const seen: string[] = [];
    const spans = [
      { firstMs: 0, lastMs: 40 },
      { firstMs: 25, lastMs: 35 },
    ];
    const rows = new MergedRows(spans, (atMs, both) =>
      seen.push(`${atMs}:${both.map((row) => row?.[1] ?? '-').join('')}`),
    );
    const row = (atMs: number, value: number): Row => Float64Array.of(atMs, value, 0, 0, 0);
    for (const [atMs, value] of [
      [0, 1],
      [10, 2],
      [20, 3],
      [30, 4],
    ] as const)
      rows.push(0, row(atMs, value));
    expect(seen).toEqual(['0:1-', '10:2-', '20:3-']);
    rows.push(1, row(25, 7));
    expect(seen.slice(3)).toEqual(['25:-7']);
    rows.push(1, row(30, 8));
    expect(seen.slice(4)).toEqual(['30:48']);
    rows.push(0, row(40, 5));
    expect(seen.slice(5)).toEqual([]);
    rows.end();
    expect(seen.slice(5)).toEqual(['40:5-']);
  });

  test('any number may wait', () => {
    const seen: number[] = [];
    const rows = new MergedRows(
      [
        { firstMs: 0, lastMs: 999 },
        { firstMs: 0, lastMs: 999 },
      ],
      (atMs) => seen.push(atMs),
    );
    for (const lane of [0, 1])
      for (let atMs = 0; atMs < 1000; atMs++) rows.push(lane, Float64Array.of(atMs, 0, 0, 0, 0));
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, atMs) => atMs));
  });
});
