// One setting over a range of values, each over the same traces: `atRisk.pickupA=300:400:10` sets it in every settings
// group of every feeder, `transformer.atRisk.pickupA=500:700:20` in the transformer. A value that `check` would refuse is told as such and not replayed.
import type { Configuration } from '../../configuration.ts';
import type { Say } from '../../judge.ts';
import { judgeFeeders } from '../../judge-feeders.ts';
import { judgeTransformer } from '../../judge-transformer.ts';
import { settingsSchema } from '../../settings.ts';
import { TRANSFORMER } from '../../transformer-settings.ts';
import { readYamlFile } from '../../yaml-file.ts';
import { textTable } from '../text-table.ts';
import { type Totals, totalsOf } from './compare.ts';
import { OPEN_LOOP, type ReplayInput, replay } from './replay.ts';

export interface Sweep {
  readonly path: readonly string[];
  readonly values: readonly number[];
}
export interface SweepRow {
  readonly value: number;
  /** Of all feeders together; null where the value was refused. */
  readonly totals: Totals | null;
  /** Null also where none is stepped. */
  readonly transformer: Totals | null;
  readonly refused: string | null;
}

type Measure = readonly [name: string, of: (totals: Totals) => number, decimals: number];

/** What a sweep tells of: the feeders together, and the transformer, which has no customers of its own. */
export interface SweepPart {
  readonly title: string;
  readonly totalsOf: (row: SweepRow) => Totals | null;
  /** The one that counts most comes first. */
  readonly measures: readonly Measure[];
}

const LIMITED: Measure = ['minutes limited', ({ limitedMinutes }) => limitedMinutes, 1];
const MEASURES: readonly Measure[] = [
  ['minutes of episodes', ({ minutes }) => minutes, 1],
  ['minutes over rating', ({ overRatingMinutes }) => overRatingMinutes, 1],
  ['episodes', ({ episodes }) => episodes, 0],
];
const NOTHING = totalsOf([]);
const FEEDERS: SweepPart = {
  title: 'all feeders',
  totalsOf: ({ totals }) => totals,
  measures: [LIMITED, ...MEASURES],
};
const OF_TRANSFORMER: SweepPart = {
  title: TRANSFORMER,
  totalsOf: ({ transformer }) => transformer,
  measures: MEASURES,
};

export function sweepParts(rows: readonly SweepRow[]): SweepPart[] {
  return rows.some(({ transformer }) => transformer !== null) ? [FEEDERS, OF_TRANSFORMER] : [FEEDERS];
}

const VALUES_MAX = 1000;
const BAR_WIDTH = 40;

/** `atRisk.pickupA=300:400:10`; the answer is the sweep, or what is wrong in one line. */
export function parseSweep(text: string): Sweep | string {
  const parts = /^([A-Za-z]+(?:\.[A-Za-z]+)*)=(-?[\d.]+):(-?[\d.]+):([\d.]+)$/.exec(text);
  const expected = 'expected KEY=FROM:TO:STEP, as in atRisk.pickupA=300:400:10';
  if (parts === null) return `--sweep is "${text}", ${expected}`;
  const [from, to, step] = parts.slice(2).map(Number) as [number, number, number];
  if (!(step > 0) || !(to >= from)) return `--sweep is "${text}", expected FROM up to TO by a STEP above 0`;
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (count > VALUES_MAX) return `--sweep is "${text}", expected at most ${VALUES_MAX} values, not ${count}`;
  const values = Array.from({ length: count }, (_, index) => Number((from + index * step).toPrecision(12)));
  return { path: (parts[1] ?? '').split('.'), values };
}

export async function runSweep(input: ReplayInput, { path, values }: Sweep): Promise<SweepRow[]> {
  const rows: SweepRow[] = [];
  for (const value of values) {
    const changed = withSetting(input.configuration, path, value);
    if (typeof changed === 'string') rows.push({ value, totals: null, transformer: null, refused: changed });
    else {
      const { feeders, transformer } = await replay({ ...input, configuration: changed, isChanged: true });
      const ofTransformer = transformer === null ? null : totalsOf([transformer]);
      rows.push({ value, totals: totalsOf(feeders), transformer: ofTransformer, refused: null });
    }
  }
  return rows;
}

export function sweepText(rows: readonly SweepRow[], { path }: Sweep): string {
  const tables = sweepParts(rows).flatMap((part) => ['', part.title, ...partLines(part, rows, path.join('.'))]);
  return `${[OPEN_LOOP, ...tables].join('\n')}\n`;
}

/** The last column has the bar, or why there is none. */
function partLines({ measures, totalsOf }: SweepPart, rows: readonly SweepRow[], key: string): string[] {
  const [mainName, main] = measures[0] as Measure;
  const most = Math.max(...rows.map((row) => main(totalsOf(row) ?? NOTHING))) || 1;
  const bar = (totals: Totals) => '█'.repeat(Math.round((main(totals) / most) * BAR_WIDTH));
  const numbers = measures.map(([name]) => name);
  const lines = rows.map((row) => {
    const totals = totalsOf(row);
    if (totals === null) return [String(row.value), ...numbers.map(() => ''), '', `refused: ${row.refused}`];
    return [String(row.value), ...measureCells(measures, totals), bar(totals)];
  });
  const right = [0, ...numbers, ''].map((_, column) => column);
  return textTable([[key, ...numbers, 'deepest level', mainName], ...lines], right);
}

/** Each measure, and the deepest level. */
export function measureCells(measures: readonly Measure[], totals: Totals): string[] {
  const { deepestLevelPercent } = totals;
  return [
    ...measures.map(([, of, decimals]) => of(totals).toFixed(decimals)),
    deepestLevelPercent === null ? 'none asked' : `${deepestLevelPercent} %`,
  ];
}

export function sweepJson(rows: readonly SweepRow[], { path }: Sweep): string {
  return `${JSON.stringify({ openLoop: OPEN_LOOP, key: path.join('.'), rows }, null, 2)}\n`;
}

/** The configuration with the value in every settings group, or in the transformer, judged anew; or why it is refused. */
function withSetting(configuration: Configuration, path: readonly string[], value: number): Configuration | string {
  const { given } = readYamlFile(configuration.file, settingsSchema);
  const changed = structuredClone(given) as { feeders: { settings: object[] }[]; transformer?: object };
  if (path[0] === TRANSFORMER) {
    if (changed.transformer === undefined) return 'the configuration has no transformer';
    put(changed.transformer, path.slice(1), value);
  } else for (const { settings } of changed.feeders) for (const group of settings) put(group, path, value);
  const refused: string[] = [];
  const say: Say = { refuse: (at, expected) => refused.push(`${at.join('.')}, expected ${expected}`), warn: () => {} };
  judgeFeeders(changed, say);
  judgeTransformer(changed, say);
  const parsed = settingsSchema.safeParse(changed);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue?.path.join('.')}: ${issue?.message}`;
  }
  if (refused[0] !== undefined) return refused[0];
  const { feeders, transformer } = parsed.data;
  return { ...configuration, settings: { ...configuration.settings, feeders, transformer } };
}

function put(group: object, path: readonly string[], value: number): void {
  let at = group as Record<string, unknown>;
  for (const step of path.slice(0, -1)) {
    const below = at[step];
    const group = typeof below === 'object' && below !== null ? below : {};
    at[step] = group;
    at = group as Record<string, unknown>;
  }
  at[path.at(-1) ?? ''] = value;
}
