// The results of a replay as text for a terminal and as the one JSON document.

import { showProblem } from '../../yaml-file.ts';
import { showTime, type TimeForm } from '../trace/sink.ts';
import { OPEN_LOOP } from './replay.ts';
import type { FeederResult, ReplayEvent, ReplayResult } from './results.ts';

export function replayJson(result: ReplayResult): string {
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
  return `${JSON.stringify({ openLoop: OPEN_LOOP, feeders, events }, null, 2)}\n`;
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
  const { feederId, readings, episodes, firstMs, lastMs } = feeder;
  if (readings === 0) return [`${feederId}: no reading in the trace`, ''];
  const span = `${timeText(firstMs ?? 0, form).trim()} to ${timeText(lastMs ?? 0, form).trim()}`;
  const levels = episodes.flatMap(({ deepestLevelPercent }) => deepestLevelPercent ?? []);
  const limited = episodes.reduce((sum, episode) => sum + episode.limitedMinutes, 0);
  const rows: [string, string][] = [
    ['readings', `${readings}, ${span}`],
    ['episodes', `${episodes.length}, ${minutes(episodes.reduce((sum, episode) => sum + episode.minutes, 0))}`],
    ['deepest level', levels.length === 0 ? 'none asked' : `${Math.min(...levels)} %`],
    ['customers', `${levels.length} limits, ${minutes(limited)}`],
    ['over rating', minutes(feeder.overRatingMinutes)],
    ['peak', peak(feeder, form)],
    ['data', `${feeder.bad} bad, ${feeder.wrongSigns} of the wrong sign, ${gaps(feeder)}`],
  ];
  if (feeder.peakThermalPercent !== null) rows.splice(6, 0, ['peak thermal', `${feeder.peakThermalPercent} %`]);
  return [feederId, ...rows.map(([name, value]) => `  ${name.padEnd(14)} ${value}`), ''];
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
