// Times that another setting keeps from ever taking effect: legal, and warned of. It looks at settings that are good
// each for itself, with the defaults of what the file leaves out.
import { DELAYED_ELEMENTS } from './feeder.ts';
import type { SettingsGroup } from './feeder-settings.ts';
import { field, type Say } from './judge.ts';
import type { Settings } from './settings.ts';
import { isWithin } from './settings-groups.ts';
import { periodMs } from './source-settings.ts';
import type { Path } from './yaml-file.ts';

/** A request is repeated three times, each after ackTimeoutS, before there is an alarm. */
const ACK_TIMEOUTS = 4;
const HOUR_S = 3600;

type Warn = (path: Path, valueS: number, expected: string) => void;
type Elements = Pick<SettingsGroup, 'emergency' | 'inverse'> & {
  readonly atRisk?: SettingsGroup['atRisk'] | undefined;
};

/** `given` is the file as it stands, which tells what is a default. */
export function judgeTimes(settings: Settings, given: unknown, say: Say): void {
  const warn: Warn = (path, value, expected) => {
    const stands = path.reduce((from: unknown, key) => field(from, String(key)), given);
    say.warn(path, expected, stands === undefined ? `${value} (by default)` : undefined);
  };
  for (const [index, { staleAfterMs, timeoutMs }] of settings.sources.entries())
    if (staleAfterMs !== undefined && staleAfterMs <= timeoutMs)
      say.warn(
        ['sources', index, 'staleAfterMs'],
        `more than timeoutMs (${timeoutMs}): a feeder is blind before its answer counts as missing`,
      );
  for (const [index, { settings: groups, currents }] of settings.feeders.entries())
    for (const [number, group] of groups.entries()) {
      const at: Path = ['feeders', index, 'settings', number];
      const { maxEpisodeS } = group.curtailment;
      const pollS = pollOf(settings, currents.source);
      judgeElements(group, at, maxEpisodeS, pollS, warn);
      if (group.neutral !== undefined) judgeElements(group.neutral, [...at, 'neutral'], maxEpisodeS, pollS, warn);
      judgeCurtailment(group, at, warn);
      judgeCalendar(groups, number, at, say);
    }
  judgeTransformer(settings, warn);
}

/** Its feeders are asked: it is in vain only where that is so for each of them. */
function judgeTransformer({ transformer, feeders, sources }: Settings, warn: Warn): void {
  if (transformer === undefined) return;
  const asked = feeders.filter(({ id }) => transformer.feeders.includes(id)).flatMap(({ settings }) => settings);
  const longestS = Math.max(...asked.map(({ curtailment }) => curtailment.maxEpisodeS));
  const pollS = transformer.currents === undefined ? 0 : pollOf({ sources }, transformer.currents.source);
  judgeElements(transformer, ['transformer'], longestS, pollS, warn);
}

/** How often a source gives a reading, s. */
function pollOf({ sources }: Pick<Settings, 'sources'>, id: string): number {
  const source = sources.find((one) => one.id === id);
  return source === undefined ? 0 : periodMs(source) / 1000;
}

function judgeElements(elements: Elements, at: Path, maxEpisodeS: number, pollS: number, warn: Warn): void {
  for (const name of DELAYED_ELEMENTS) {
    const element = elements[name];
    if (element === undefined) continue;
    const delayS = 'delayS' in element ? element.delayS : 0;
    const place = (key: string): Path => [...at, name, key];
    if (delayS >= maxEpisodeS)
      warn(
        place('delayS'),
        delayS,
        `less than maxEpisodeS (${maxEpisodeS}), which counts from the pickup: the limit would be released at once`,
      );
    if (delayS > 0 && delayS < pollS)
      warn(
        place('delayS'),
        delayS,
        `at least ${pollS}, the time from reading to reading: one of them is enough for a request`,
      );
    if (element.resetDelayS >= maxEpisodeS)
      warn(
        place('resetDelayS'),
        element.resetDelayS,
        `less than maxEpisodeS (${maxEpisodeS}), at which the limit is released in any case`,
      );
  }
}

function judgeCurtailment({ curtailment, caps }: SettingsGroup, at: Path, warn: Warn): void {
  const { mode, leaseS, refreshS, responseTimeS, ackTimeoutS, maxEpisodeS, minOnS } = curtailment;
  const { longestLeaseS, requestsPerHour } = caps;
  const place = (key: string): Path => [...at, 'curtailment', key];
  if (leaseS > longestLeaseS) warn(place('leaseS'), leaseS, `at most longestLeaseS (${longestLeaseS}), which cuts it`);
  // A release in steps says something each responseTimeS, and may be refreshed between.
  if (refreshS >= Math.max(maxEpisodeS, responseTimeS))
    warn(place('refreshS'), refreshS, `less than maxEpisodeS (${maxEpisodeS}): no limit lasts until its refresh`);
  if (requestsPerHour > 0 && refreshS * requestsPerHour < HOUR_S)
    warn(
      place('refreshS'),
      refreshS,
      `at least ${Math.ceil(HOUR_S / requestsPerHour)}: requestsPerHour (${requestsPerHour}) holds up what is more often`,
    );
  // Where a release has steps, their size is warned of.
  if (mode === 'onOff' && responseTimeS >= maxEpisodeS)
    warn(
      place('responseTimeS'),
      responseTimeS,
      `less than maxEpisodeS (${maxEpisodeS}): no effect would ever be judged`,
    );
  if (ACK_TIMEOUTS * ackTimeoutS >= refreshS)
    warn(
      place('ackTimeoutS'),
      ackTimeoutS,
      `less than ${refreshS / ACK_TIMEOUTS}, a quarter of refreshS: the refresh comes before the alarm noAck`,
    );
  if (minOnS >= maxEpisodeS)
    warn(place('minOnS'), minOnS, `less than maxEpisodeS (${maxEpisodeS}), at which the limit is released in any case`);
}

function judgeCalendar(groups: readonly SettingsGroup[], index: number, at: Path, say: Say): void {
  const { calendar, byCommand = false } = groups[index] ?? {};
  if (calendar === undefined || byCommand) return;
  const before = groups.slice(0, index).find((one) => one.calendar !== undefined && isWithin(calendar, one.calendar));
  if (before !== undefined)
    say.warn([...at, 'calendar'], `a time that ${before.name}, which goes before it, leaves: it is never in force`);
}
