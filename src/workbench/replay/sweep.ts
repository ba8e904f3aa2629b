// One setting over a range of values, each over the same traces: `atRisk.pickupA=300:400:10` sets it in every settings
// group of every feeder, `transformer.atRisk.pickupA=500:700:20` in the transformer. A value that `check` would refuse is told as such and not replayed.
import type { Configuration } from '../../configuration.ts';
import type { Say } from '../../judge.ts';
import { judgeFeeders } from '../../judge-feeders.ts';
import { judgeTransformer } from '../../judge-transformer.ts';
import { settingsSchema } from '../../settings.ts';
import { TRANSFORMER } from '../../transformer-settings.ts';
import { readYamlFile } from '../../yaml-file.ts';
import { type Totals, totalsOf } from './compare.ts';
import { OPEN_LOOP, type ReplayInput, replay } from './replay.ts';

export interface Sweep {
  readonly path: readonly string[];
  readonly values: readonly number[];
}
export interface SweepRow {
  readonly value: number;
  /** Null where the value was refused. */
  readonly totals: Totals | null;
  readonly refused: string | null;
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
    if (typeof changed === 'string') rows.push({ value, totals: null, refused: changed });
    else {
      const { feeders } = await replay({ ...input, configuration: changed, isChanged: true });
      rows.push({ value, totals: totalsOf(feeders), refused: null });
    }
  }
  return rows;
}

export function sweepText(rows: readonly SweepRow[], { path }: Sweep): string {
  const most = Math.max(1, ...rows.map(({ totals }) => totals?.limitedMinutes ?? 0));
  const name = path.join('.');
  const head = `${name.padStart(20)} ${'episodes'.padStart(9)} ${'limited min'.padStart(12)} ${'over rating'.padStart(12)} ${'deepest'.padStart(8)}`;
  const lines = rows.map(({ value, totals, refused }) => {
    if (totals === null) return `${String(value).padStart(20)} refused: ${refused}`;
    const { episodes, limitedMinutes, overRatingMinutes, deepestLevelPercent } = totals;
    const level = deepestLevelPercent === null ? 'none' : `${deepestLevelPercent} %`;
    const bar = '█'.repeat(Math.round((limitedMinutes / most) * BAR_WIDTH));
    return `${String(value).padStart(20)} ${String(episodes).padStart(9)} ${limitedMinutes.toFixed(1).padStart(12)} ${overRatingMinutes.toFixed(1).padStart(12)} ${level.padStart(8)}  ${bar}`;
  });
  return `${[OPEN_LOOP, '', `${head}  minutes limited`, ...lines].join('\n')}\n`;
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
    at[step] ??= {};
    at = at[step] as Record<string, unknown>;
  }
  at[path.at(-1) ?? ''] = value;
}
