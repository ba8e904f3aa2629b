// The results of a replay as text for a terminal and as the one JSON document.

import { showProblem } from '../../yaml-file.ts';
import { textTable } from '../text-table.ts';
import { showTime, type TimeForm } from '../trace/sink.ts';
import type { AsItRan } from './as-it-ran.ts';
import { loopText } from './replay.ts';
import type { CountedResult, FeederResult, ReplayEvent, ReplayResult, TransformerResult } from './results.ts';

export function replayJson(result: ReplayResult): string {
  return `${JSON.stringify({ ...loopDocument(result), ...replayDocument(result) }, null, 2)}\n`;
}

/** What kind of replay it is; of an export as it ran also whether the live run came to the same. */
function loopDocument(result: ReplayResult): object {
  const { asItRan } = result;
  if (asItRan === null) return { openLoop: loopText(result) };
  const { liveEvents, difference } = asItRan;
  return { asItRan: loopText(result), liveEvents, sameEvents: difference === null };
}

/** Feeders, transformer and events as the documents have them. */
export function replayDocument({ form, feeders, transformer, events }: ReplayResult) {
  return {
    feeders: Object.fromEntries(feeders.map((feeder) => [feeder.feederId, countedDocument(feeder, form)])),
    ...(transformer !== null && { transformer: countedDocument(transformer, form) }),
    events: events.map(({ atMs, ...event }) => ({ at: showTime(atMs, form), ...event })),
  };
}

function countedDocument(
  { readings, bad, episodes, overRatingMinutes, peakA, peakThermalPercent }: CountedResult,
  form: TimeForm,
): object {
  return {
    readings,
    bad,
    episodes: episodes.map(({ startMs, endMs, element, phase, peakA, deepestLevelPercent, minutes }) => ({
      start: showTime(startMs, form),
      end: endMs === null ? null : showTime(endMs, form),
      element,
      phase,
      peakA,
      deepestLevelPercent,
      minutes,
    })),
    overRatingMinutes,
    peakA,
    peakThermalPercent,
  };
}

export function replayText(result: ReplayResult): string {
  const { events, eventsLeftOut, feeders, form } = result;
  const lines = [loopText(result), '', ...(events.length === 0 ? ['no event'] : eventTable(events, form))];
  if (eventsLeftOut > 0) lines.push(`and ${eventsLeftOut} more events`);
  lines.push('', ...feeders.flatMap((feeder) => summary(feeder.feederId, summaryRows(feeder, form))));
  const { transformer } = result;
  if (transformer !== null) lines.push(...summary(transformerName(transformer), countedRows(transformer, form)));
  for (const [name, rows] of result.unknown) lines.push(`feeder ${name} is not in the configuration: ${rows} rows`);
  lines.push(...result.notes.map((note) => `note: ${note}`));
  if (result.asItRan !== null) lines.push(...comparedText(result.asItRan, form));
  return `${lines.join('\n')}\n`;
}

function comparedText({ liveEvents, difference }: AsItRan, form: TimeForm): string[] {
  if (difference === null) return [`${liveEvents} events of control, the same as in the live run`];
  const { live, replayed } = difference;
  const cells = (event: ReplayEvent | null) => (event === null ? ['no more event'] : eventCells(event, form));
  const rows = [
    ['  live', ...cells(live)],
    ['  replayed', ...cells(replayed)],
  ];
  return ['not the same as in the live run, from here on:', ...textTable(rows)];
}

/** What was left out, for stderr; empty where nothing was. */
export function brokenText({ broken }: ReplayResult): string {
  const more = broken.count - broken.first.length;
  const lines = broken.first.map(showProblem);
  if (more > 0) lines.push(`and ${more} more rows that cannot be read`);
  if (broken.count > 0) lines.push(`${broken.count} ${broken.count === 1 ? 'row' : 'rows'} left out`);
  return lines.map((line) => `${line}\n`).join('');
}

const EVENT_COLUMNS = ['time', 'feeder', 'event', 'element', 'current', 'level', 'thermal', 'reason'];
const EVENT_NUMBERS = [4, 5, 6];

/** Columns that no event fills are left out. */
function eventTable(events: readonly ReplayEvent[], form: TimeForm): string[] {
  const rows = events.map((event) => eventCells(event, form));
  const used = EVENT_COLUMNS.map((_, column) => rows.some((row) => row[column] !== ''));
  const kept = [EVENT_COLUMNS, ...rows].map((row) => row.filter((_, column) => used[column]));
  // Seconds are numbers too.
  const right = [...(form === 'seconds' ? [0] : []), ...EVENT_NUMBERS]
    .filter((column) => used[column])
    .map((column) => used.slice(0, column).filter(Boolean).length);
  return textTable(kept, right);
}

function eventCells(event: ReplayEvent, form: TimeForm): string[] {
  const { atMs, feederId, type, element, phase, currentA, levelPercent, thermalPercent, reason } = event;
  return [
    timeText(atMs, form),
    feederId,
    type,
    [element, phase].filter((part) => part !== undefined).join(' '),
    currentA === undefined ? '' : `${currentA.toFixed(1)} A`,
    levelPercent === undefined ? '' : `${levelPercent} %`,
    thermalPercent === undefined ? '' : `${thermalPercent.toFixed(1)} %`,
    reason,
  ];
}

function timeText(atMs: number, form: TimeForm): string {
  const time = showTime(atMs, form);
  return typeof time === 'number' ? `${time.toFixed(3)} s` : time;
}

type SummaryRow = [name: string, value: string];

function summary(name: string, rows: readonly SummaryRow[]): string[] {
  if (rows.length === 0) return [`${name}: no reading in the trace`, ''];
  return [name, ...rows.map(([what, value]) => `  ${what.padEnd(14)} ${value}`), ''];
}

export function transformerName({ isSum }: TransformerResult): string {
  return isSum ? 'transformer, the sum of its feeders' : 'transformer, by its own meter';
}

/** What a feeder's summary says, by name; empty where it has no reading. */
export function summaryRows(feeder: FeederResult, form: TimeForm): SummaryRow[] {
  const limits = feeder.episodes.filter(({ deepestLevelPercent }) => deepestLevelPercent !== null).length;
  return countedRows(feeder, form, [['customers', customers(feeder, limits)]]);
}

/** The same without customers, as it is for a transformer; `more` of a feeder's stands behind its limits. */
export function countedRows(result: CountedResult, form: TimeForm, more: readonly SummaryRow[] = []): SummaryRow[] {
  const { readings, episodes, firstMs, lastMs, peakThermalPercent } = result;
  if (readings === 0) return [];
  const span = `${timeText(firstMs ?? 0, form).trim()} to ${timeText(lastMs ?? 0, form).trim()}`;
  const levels = episodes.flatMap(({ deepestLevelPercent }) => deepestLevelPercent ?? []);
  const open = episodes.some(({ endMs }) => endMs === null) ? ', the last of them not over' : '';
  return [
    ['readings', `${readings.toLocaleString('en')} in ${lengthText((lastMs ?? 0) - (firstMs ?? 0))}: ${span}`],
    ['episodes', `${episodes.length}, ${minutes(sum(episodes.map((episode) => episode.minutes)))}${open}`],
    ['deepest level', levels.length === 0 ? 'none asked' : `${Math.min(...levels)} %`],
    ...more,
    ['over rating', minutes(result.overRatingMinutes)],
    ['peak', peak(result, form)],
    ...(peakThermalPercent === null ? [] : [['peak thermal', `${peakThermalPercent} %`] as SummaryRow]),
    ['data', `${counted(result.bad, 'bad reading')}, ${result.wrongSigns} of the wrong sign, ${gaps(result)}`],
  ];
}

/** Limits and minutes against the budget of a year; a trace that is shorter has a year's share of it beside. */
function customers({ budget, episodes }: FeederResult, limits: number): string {
  const limited = sum(episodes.map(({ limitedMinutes }) => limitedMinutes));
  const { episodesPerYear, minutesPerYear } = budget;
  const of = (value: number, unit: string) => (value === 0 ? 'no budget' : `budget ${value}${unit} a year`);
  const over = minutesPerYear > 0 && limited > minutesPerYear ? '  over the budget' : '';
  return `${counted(limits, 'limit')} (${of(episodesPerYear, '')}), ${minutes(limited)} (${of(minutesPerYear, ' min')})${over}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function counted(count: number, one: string): string {
  return `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
}

/** As people say it: seconds, minutes, hours or days. */
function lengthText(ms: number): string {
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${(ms / 60_000).toFixed(1)} min`;
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} days`;
}

function minutes(value: number): string {
  return `${value.toFixed(1)} min`;
}

function peak({ peakA, peakPhase, peakAtMs }: CountedResult, form: TimeForm): string {
  return peakA === null ? 'none' : `${peakA.toFixed(1)} A on ${peakPhase} at ${timeText(peakAtMs ?? 0, form).trim()}`;
}

function gaps({ gaps, gapMinutes, gapS }: CountedResult): string {
  const rule = `a gap is more than ${gapS} s`;
  return gaps === 0 ? `no gap (${rule})` : `${counted(gaps, 'gap')} of ${minutes(gapMinutes)} in all (${rule})`;
}
