// Two settings over the same traces, side by side: what is set otherwise, and what that does to episodes, minutes and
// over-rating time.
import type { Configuration } from '../../configuration.ts';
import { TRANSFORMER } from '../../transformer-settings.ts';
import { settingsSheet } from '../check/sheet.ts';
import { OPEN_LOOP } from './replay.ts';
import type { CountedResult, ReplayResult } from './results.ts';
import { replayDocument } from './show-results.ts';

interface Change {
  readonly section: string;
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

export interface Compared {
  readonly configuration: Configuration;
  readonly result: ReplayResult;
}

const LIMITED = 'minutes limited';
type Difference = [name: string, a: string, b: string, by: string];

/** What counts of a feeder, or of several together. */
export interface Totals {
  readonly episodes: number;
  readonly minutes: number;
  readonly limitedMinutes: number;
  readonly overRatingMinutes: number;
  readonly deepestLevelPercent: number | null;
}

export function totalsOf(feeders: readonly CountedResult[]): Totals {
  const episodes = feeders.flatMap((feeder) => feeder.episodes);
  const levels = episodes.flatMap(({ deepestLevelPercent }) => deepestLevelPercent ?? []);
  const sum = (values: readonly number[]) => Math.round(values.reduce((all, value) => all + value, 0) * 1000) / 1000;
  return {
    episodes: episodes.length,
    minutes: sum(episodes.map(({ minutes }) => minutes)),
    limitedMinutes: sum(episodes.map(({ limitedMinutes }) => limitedMinutes)),
    overRatingMinutes: sum(feeders.map(({ overRatingMinutes }) => overRatingMinutes)),
    deepestLevelPercent: levels.length === 0 ? null : Math.min(...levels),
  };
}

export function compareText(first: Compared, second: Compared): string {
  const changes = changesOf(first.configuration, second.configuration);
  const lines = [OPEN_LOOP, '', `A ${nameOf(first)}`, `B ${nameOf(second)}`, '', 'set otherwise'];
  if (changes.length === 0) lines.push('  nothing');
  for (const { section, key, from, to } of changes) lines.push(`  ${`${section}: ${key}`.padEnd(60)} ${from} -> ${to}`);
  lines.push('', row('', 'A', 'B', 'B - A'));
  for (const [name, rows] of sideBySide(first, second))
    lines.push(name, ...rows.map(([what, ...cells]) => row(what, ...cells)));
  return `${lines.join('\n')}\n`;
}

/** Each feeder that the first has readings of, and the transformer where either has one: what counts, side by side. */
export function sideBySide(first: Compared, second: Compared): [name: string, rows: Difference[]][] {
  const both = (of: (compared: Compared) => readonly CountedResult[]) =>
    differences(totalsOf(of(first)), totalsOf(of(second)));
  const seen = first.result.feeders.filter(({ readings }) => readings > 0);
  const feeders = seen.map(({ feederId }): [string, Difference[]] => [
    feederId,
    both(({ result }) => result.feeders.filter((feeder) => feeder.feederId === feederId)),
  ]);
  if (first.result.transformer === null && second.result.transformer === null) return feeders;
  const rows = both(({ result: { transformer } }) => (transformer === null ? [] : [transformer]));
  // Customers are the feeders'.
  return [...feeders, [TRANSFORMER, rows.filter(([name]) => name !== LIMITED)]];
}

export function compareJson(first: Compared, second: Compared): string {
  const side = (compared: Compared) => ({
    file: compared.configuration.file,
    hash: compared.configuration.hash,
    ...replayDocument(compared.result),
  });
  const changed = changesOf(first.configuration, second.configuration);
  return `${JSON.stringify({ openLoop: OPEN_LOOP, changed, a: side(first), b: side(second) }, null, 2)}\n`;
}

export function changesOf(first: Configuration, second: Configuration): Change[] {
  const values = (configuration: Configuration) =>
    new Map(
      settingsSheet(configuration).flatMap(({ title, rows }) =>
        rows.map(({ key, value, unit }) => [`${title}\n${key}`, `${value} ${unit}`.trim()] as const),
      ),
    );
  const [before, after] = [values(first), values(second)];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((place) => {
    const [from, to] = [before.get(place) ?? 'absent', after.get(place) ?? 'absent'];
    const [section = '', key = ''] = place.split('\n');
    return from === to ? [] : [{ section, key, from, to }];
  });
}

/** By name: of the first, of the second, and by how much the second differs. */
function differences(a: Totals, b: Totals): Difference[] {
  const names: [keyof Totals, string][] = [
    ['episodes', 'episodes'],
    ['minutes', 'minutes of episodes'],
    ['limitedMinutes', LIMITED],
    ['overRatingMinutes', 'minutes over rating'],
    ['deepestLevelPercent', 'deepest level %'],
  ];
  return names.map(([key, name]) => {
    const [from, to] = [a[key], b[key]];
    const by = from === null || to === null ? '-' : (to - from).toFixed(key === 'episodes' ? 0 : 1);
    return [name, show(from), show(to), by];
  });
}

function show(value: number | null): string {
  return value === null ? 'none' : String(Math.round(value * 10) / 10);
}

function row(name: string, a: string, b: string, by: string): string {
  return `  ${name.padEnd(24)} ${a.padStart(12)} ${b.padStart(12)} ${by.padStart(12)}`;
}

function nameOf({ configuration }: Compared): string {
  return `${configuration.file}, settings hash ${configuration.hash}`;
}
