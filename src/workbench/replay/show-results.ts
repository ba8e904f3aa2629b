// The results of a replay as text for a terminal and as the one JSON document.

import { showProblem } from '../../yaml-file.ts';
import { showTime, type TimeForm } from '../trace/sink.ts';
import { OPEN_LOOP } from './replay.ts';
import type { FeederResult, ReplayEvent, ReplayResult } from './results.ts';

export function replayJson(result: ReplayResult): string {
  return `${JSON.stringify({ openLoop: OPEN_LOOP, ...replayDocument(result) }, null, 2)}\n`;
}

/** Feeders and events as the documents have them. */
export function replayDocument(result: ReplayResult): { feeders: object; events: object[] } {
  const { form } = result;
  const time = (atMs: number | null) => (atMs === null ? null : showTime(atMs, form));
  const feeders = Object.fromEntries(
    result.feeders.map(({ feederId, readings, bad, episodes, overRatingMinutes, peakA, peakThermalPercent }) => [
      feederId,
      {
        readings,
        bad,
        episodes: episodes.map(({ startMs, endMs, element, phase, peakA, deepestLevelPercent, minutes }) => ({
          start: time(startMs),
          end: time(endMs),
          element,
          phase,
          peakA,
          deepestLevelPercent,
          minutes,
        })),
        overRatingMinutes,
        peakA,
        peakThermalPercent,
      },
    ]),
  );
  const events = result.events.map(({ atMs, ...event }) => ({ at: time(atMs), ...event }));
  return { feeders, events };
}

export function replayText(result: ReplayResult): string {
  const { events, eventsLeftOut, feeders, form } = result;
  const lines = [OPEN_LOOP, '', ...events.map((event) => eventLine(event, form))];
  if (eventsLeftOut > 0) lines.push(`and ${eventsLeftOut} more events`);
  if (events.length === 0) lines.push('no event');
  lines.push('', ...feeders.flatMap((feeder) => summary(feeder, form)));
  for (const [name, rows] of result.unknown) lines.push(`feeder ${name} is not in the configuration: ${rows} rows`);
  lines.push(...result.notes.map((note) => `note: ${note}`));
  return `${lines.join('\n')}\n`;
}

/** What was left out, for stderr; empty where nothing was. */
export function brokenText({ broken }: ReplayResult): string {
  const more = broken.count - broken.first.length;
  const lines = broken.first.map(showProblem);
  if (more > 0) lines.push(`and ${more} more rows that cannot be read`);
  if (broken.count > 0) lines.push(`${broken.count} ${broken.count === 1 ? 'row' : 'rows'} left out`);
  return lines.map((line) => `${line}\n`).join('');
}

function eventLine(event: ReplayEvent, form: TimeForm): string {
  const { atMs, feederId, type, element, phase, currentA, levelPercent, thermalPercent, reason } = event;
  const what = [
    element,
    phase,
    currentA === undefined ? undefined : `${currentA.toFixed(1)} A`,
    levelPercent === undefined ? undefined : `${levelPercent} %`,
    thermalPercent === undefined ? undefined : `thermal ${thermalPercent.toFixed(1)} %`,
  ].filter((part) => part !== undefined);
  return [timeText(atMs, form), feederId.padEnd(8), type.padEnd(8), ...what, `(${reason})`].join('  ');
}

function timeText(atMs: number, form: TimeForm): string {
  const time = showTime(atMs, form);
  return typeof time === 'number' ? `${time.toFixed(3).padStart(12)} s` : time;
}

function summary(feeder: FeederResult, form: TimeForm): string[] {
  if (feeder.readings === 0) return [`${feeder.feederId}: no reading in the trace`, ''];
  return [feeder.feederId, ...summaryRows(feeder, form).map(([name, value]) => `  ${name.padEnd(14)} ${value}`), ''];
}

/** What a feeder's summary says, by name. */
export function summaryRows(feeder: FeederResult, form: TimeForm): [name: string, value: string][] {
  const { readings, episodes, firstMs, lastMs, peakThermalPercent } = feeder;
  const span = `${timeText(firstMs ?? 0, form).trim()} to ${timeText(lastMs ?? 0, form).trim()}`;
  const levels = episodes.flatMap(({ deepestLevelPercent }) => deepestLevelPercent ?? []);
  const limited = episodes.reduce((sum, episode) => sum + episode.limitedMinutes, 0);
  return [
    ['readings', `${readings}, ${span}`],
    ['episodes', `${episodes.length}, ${minutes(episodes.reduce((sum, episode) => sum + episode.minutes, 0))}`],
    ['deepest level', levels.length === 0 ? 'none asked' : `${Math.min(...levels)} %`],
    [
      'customers',
      `${levels.length} ${levels.length === 1 ? 'limit' : 'limits'}, ${minutes(limited)}${budgetText(feeder)}`,
    ],
    ['over rating', minutes(feeder.overRatingMinutes)],
    ['peak', peak(feeder, form)],
    ...(peakThermalPercent === null ? [] : [['peak thermal', `${peakThermalPercent} %`] as [string, string]]),
    ['data', `${feeder.bad} bad, ${feeder.wrongSigns} of the wrong sign, ${gaps(feeder)}`],
  ];
}

/** The budget is for a year; so is what the trace comes to, where it is long enough to say. */
function budgetText({ budget, firstMs, lastMs }: FeederResult): string {
  const days = ((lastMs ?? 0) - (firstMs ?? 0)) / 86_400_000;
  return `; the budget of a year is ${budget.episodesPerYear} and ${budget.minutesPerYear} min (trace: ${days.toFixed(1)} days)`;
}

function minutes(value: number): string {
  return `${value.toFixed(1)} min`;
}

function peak({ peakA, peakPhase, peakAtMs }: FeederResult, form: TimeForm): string {
  return peakA === null ? 'none' : `${peakA.toFixed(1)} A on ${peakPhase} at ${timeText(peakAtMs ?? 0, form).trim()}`;
}

function gaps({ gaps, gapMinutes, gapS }: FeederResult): string {
  const rule = `a gap is more than ${gapS} s`;
  return gaps === 0 ? `no gap (${rule})` : `${gaps} gaps of ${minutes(gapMinutes)} in all (${rule})`;
}
