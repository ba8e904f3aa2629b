// The recorded winter weeks of real substations through the judging of readings: CTs the wrong way round, dead channels
// and busbars, blank cells and a channel that repeats itself each raise the alarm that fits, and no element picks up
// that the recorded magnitudes do not warrant. The records are active power; the current is P / (240 V × 0.98).
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { type AlarmChange, judgeReading, newQualityMemory } from '../../src/acquisition/quality-judge.ts';
import { qualityRules } from '../../src/acquisition/quality-rules.ts';
import type { Given } from '../../src/acquisition/source-reading.ts';
import { checkSum, newSumMemory, noteFeeder } from '../../src/acquisition/sum-check.ts';
import { stepReading } from '../../src/control/feeder-control.ts';
import type { Action } from '../../src/control/types.ts';
import { type FeederReading, type PerPhase, PHASES } from '../../src/feeder.ts';
import { settingsSchema } from '../../src/settings.ts';
import { staleAfterMs } from '../../src/source-settings.ts';
import { watchedFeeder } from '../../src/watched-feeder.ts';

const RECORDED = join(import.meta.dirname, '../../../shared/data/feeders/nged_lv_feeders_10min_kw.csv.gz');
const recorded = existsSync(RECORDED);
if (!recorded) console.log('skipped: the recorded weeks are not there (../shared/data/feeders)');

// 174,000 readings, twice.
vi.setConfig({ testTimeout: 120_000 });

const AMPERES_PER_KW = 1000 / (240 * 0.98);
const PICKUP_A = 345;

interface Row {
  readonly atMs: number;
  /** Kilowatts per phase; null where the cell is blank. */
  readonly kW: readonly (number | null)[];
}

/** What the weeks hold, as the description of the records says, and two feeders that it does not name. */
const ALARMS: Record<string, string[]> = {
  // Phases of the wrong sign, all week or for a part of it.
  '723003 busbar': ['wiring L2', 'wiring L3'],
  '723577 3': ['wiring L1', 'wiring L2'],
  '723577 5': ['wiring L1', 'wiring L2'],
  '723577 busbar': ['wiring L1', 'wiring L2'],
  '730234 2': ['wiring L3'],
  '730789 1': ['wiring L1', 'wiring L2', 'wiring L3'],
  '730789 3': ['wiring L2', 'wiring L3'],
  '730789 busbar': ['wiring L2', 'wiring L3'],
  '731018 1': ['wiring L2', 'wiring L3'],
  // Negative every night: once, and not every night; and near 0 whenever the sign turns.
  '721448 3': ['phasesApart L3', 'wiring L3'],
  '721448 busbar': ['wiring L3'],
  // The wrong sign, and one value repeated.
  '723003 4': ['frozen L1', 'wiring L1'],
  // Dead or unused channels, and a dead busbar.
  '721448 1': ['noLoad'],
  '722466 2': ['noLoad'],
  '722578 2': ['noLoad'],
  '723577 2': ['noLoad'],
  '730234 3': ['noLoad'],
  '730238 busbar': ['noLoad'],
  // Blank cells.
  '724023 1': ['badReading L2'],
  '724095 1': ['badReading L2', 'badReading L3'],
  '730238 2': ['badReading L3'],
  // One phase at next to nothing while another carries 36 kW and more.
  '722549 3': ['phasesApart L2'],
  '730499 3': ['phasesApart L1', 'phasesApart L2'],
};

/**
 * Where the busbar and its feeders disagree for half an hour, as the description of the records says: a dead busbar
 * (730238), one that reads a quarter (722549), feeders that add up to less than it (722578, 723577), and phases of the
 * wrong sign in one of the two.
 */
const SUMS: Record<string, string[]> = {
  '721448': ['L3'],
  '722549': ['L1', 'L2', 'L3'],
  '722578': ['L1', 'L2', 'L3'],
  '723003': ['L1', 'L2', 'L3'],
  '723577': ['L3'],
  '730234': ['L3'],
  '730238': ['L1', 'L2', 'L3'],
  '730789': ['L2', 'L3'],
};

/** By substation and feeder, as `724374 2`; the busbar of 730844 is labelled `nan` in the record. */
function readWeeks(): Map<string, Row[]> {
  const weeks = new Map<string, Row[]>();
  const lines = gunzipSync(readFileSync(RECORDED)).toString('utf8').trimEnd().split('\n').slice(1);
  for (const line of lines) {
    const [stamp = '', substation, feeder, ...cells] = line.trimEnd().split(',');
    const key = `${substation} ${feeder === 'nan' ? 'busbar' : feeder}`;
    const rows = weeks.get(key) ?? [];
    weeks.set(key, rows);
    const kW = cells.map((cell) => (cell === '' || cell === 'nan' ? null : Number(cell)));
    rows.push({ atMs: Date.parse(`${stamp.replace(' ', 'T')}Z`), kW });
  }
  return weeks;
}

/** The readings come every ten minutes, so a value that happens to repeat is common: half an hour of it is not. */
function feederOf(ratingA: number) {
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [{ id: 'meter', type: 'modbus-tcp', host: 'meter', profile: 'eastron-sdm630', pollMs: 600_000 }],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'meter' },
        quality: { frozenS: 1_800 },
        settings: [
          { name: 'g', ratingA, atRisk: { pickupA: PICKUP_A, dropoutA: 310, delayS: 1_200, resetDelayS: 1_200 } },
        ],
      },
    ],
  });
  return { feeder: settings.feeders[0] ?? expect.fail(), source: settings.sources[0] ?? expect.fail(), settings };
}

/** A row as a judged reading of these magnitudes. */
function readingOf(feederId: string, { atMs, kW }: Row): FeederReading {
  const [L1, L2, L3] = kW.map((value) =>
    value === null
      ? ({ currentA: null, quality: 'bad', reason: 'notANumber' } as const)
      : ({ currentA: Math.abs(value) * AMPERES_PER_KW, quality: 'good', reason: null } as const),
  );
  const none = { currentA: null, quality: 'bad', reason: 'unavailable' } as const;
  return { feederId, sourceId: 'meter', atMs, L1: L1 ?? none, L2: L2 ?? none, L3: L3 ?? none, N: none, exporting: [] };
}

/** The phases on which the busbar of a substation and its feeders were told to disagree. */
function sumsOff(weeks: ReadonlyMap<string, readonly Row[]>, substation: string): string[] {
  const own = [...weeks].filter(([name]) => name.startsWith(`${substation} `));
  const feeders = own.flatMap(([name]) => (name.endsWith('busbar') ? [] : [name]));
  const rules = { feeders, percent: 25, ratingA: 1_200, staleAfterMs: 0 };
  const memory = newSumMemory();
  const changes: AlarmChange[] = [];
  const rows = own.flatMap(([name, all]) => all.map((row) => ({ name, row })));
  // Of one instant the feeders first, as a scan takes them.
  const rank = (name: string) => (name.endsWith('busbar') ? 1 : 0);
  for (const { name, row } of rows.sort((a, b) => a.row.atMs - b.row.atMs || rank(a.name) - rank(b.name))) {
    if (name.endsWith('busbar')) checkSum(memory, rules, readingOf(name, row), changes);
    else noteFeeder(memory, readingOf(name, row));
  }
  return [...new Set(changes.flatMap(({ phase, standing }) => (standing && phase !== null ? [phase] : [])))].sort();
}

/** The alarms of a week by name, each with its phases, and the phases that picked up. */
function judgeWeek(rows: readonly Row[], ratingA: number) {
  const { feeder, source, settings } = feederOf(ratingA);
  const rules = qualityRules(feeder, undefined, staleAfterMs(source));
  const memory = newQualityMemory();
  const { state, control } = watchedFeeder(feeder, settings.sources);
  const alarms: string[] = [];
  const pickups = new Set<string>();
  for (const { atMs, kW } of rows) {
    const amperes = (watts: number | null | undefined): Given =>
      watts == null ? 'notANumber' : watts * AMPERES_PER_KW;
    const [L1, L2, L3] = kW.map(amperes);
    const powerW: PerPhase<number> = Object.fromEntries(
      PHASES.flatMap((phase, index) => (kW[index] == null ? [] : [[phase, (kW[index] ?? 0) * 1000]])),
    );
    const given = { L1: L1 ?? 'unavailable', L2: L2 ?? 'unavailable', L3: L3 ?? 'unavailable' } as const;
    const changes: AlarmChange[] = [];
    const base = { feederId: 'F1', sourceId: 'meter', atMs, N: 'unavailable', powerW } as const;
    const reading = judgeReading(memory, rules, { ...base, ...given }, atMs, changes);
    for (const { alarm, phase, standing } of changes)
      if (standing) alarms.push(phase === null ? alarm : `${alarm} ${phase}`);
    const actions: Action[] = [];
    stepReading(state, control, reading, actions);
    for (const action of actions)
      if (action.kind === 'event' && action.type === 'pickup') pickups.add(action.phase ?? '');
  }
  return { alarms: [...new Set(alarms)].sort(), pickups: [...pickups].sort() };
}

describe.skipIf(!recorded)('the recorded weeks', () => {
  const weeks = recorded ? readWeeks() : new Map<string, Row[]>();
  const feeders = [...weeks].filter(([name]) => !name.endsWith('busbar'));
  const busbars = [...weeks].filter(([name]) => name.endsWith('busbar'));

  test('raise these alarms, by substation, and no other', () => {
    const raised: Record<string, string[]> = {};
    for (const [name, rows] of [...feeders, ...busbars]) {
      const { alarms } = judgeWeek(rows, name.endsWith('busbar') ? 1_200 : 400);
      if (alarms.length > 0) raised[name] = alarms;
    }
    expect(raised).toEqual(ALARMS);
  });

  test('have a busbar that disagrees with its feeders in these substations, and in no other', () => {
    const off: Record<string, string[]> = {};
    for (const substation of new Set([...weeks.keys()].map((name) => name.split(' ')[0] ?? ''))) {
      const phases = sumsOff(weeks, substation);
      if (phases.length > 0) off[substation] = phases;
    }
    expect(busbars).toHaveLength(36);
    expect(off).toEqual(SUMS);
  });

  test('pick up just where the recorded magnitude is at or above the pickup', () => {
    for (const [name, rows] of feeders) {
      const { pickups } = judgeWeek(rows, 400);
      const warranted = PHASES.filter((_, index) =>
        rows.some(({ kW }) => Math.abs(kW[index] ?? 0) * AMPERES_PER_KW >= PICKUP_A),
      );
      expect([name, pickups]).toEqual([name, warranted]);
    }
  });
});
