// Relations between the settings of the feeders: what cannot work, and what is unwise.
import { THERMAL_AIM } from './control/elements.ts';
import { DELAYED_ELEMENTS } from './feeder.ts';
import { DEFAULTS, settingsGroupSchema } from './feeder-settings.ts';
import { field, list, number, refuseDoubles, type Say, text } from './judge.ts';
import { isTimeZone, uncoveredMs } from './settings-groups.ts';
import type { Path } from './yaml-file.ts';

export function judgeFeeders(given: unknown, say: Say): void {
  const feeders = list(given, 'feeders');
  refuseDoubles(feeders, 'feeders', say);
  const sources = list(given, 'sources');
  for (const [index, feeder] of feeders.entries()) {
    const at = ['feeders', index];
    for (const key of ['currents', 'backup']) judgeInput(field(feeder, key), [...at, key], sources, say);
    const backup = text(field(feeder, 'backup'), 'source');
    if (backup !== null && backup === text(field(feeder, 'currents'), 'source')) {
      say.refuse([...at, 'backup', 'source'], 'another source than that of currents');
    }
    if (field(feeder, 'targetGroup') === undefined) {
      say.warn([...at, 'targetGroup'], 'the chargers behind this feeder: without them it only alarms');
    }
    judgeGroups(feeder, at, say);
    for (const [group, settings] of list(feeder, 'settings').entries()) {
      judgeGroup(settings, [...at, 'settings', group], number(feeder, 'fuseA'), say);
    }
  }
}

/** The keys of an input that name nodes of an OPC UA server. */
const NODE_KEYS = ['L1', 'L2', 'L3', 'N', 'power', 'liveness'];

export function judgeInput(input: unknown, at: Path, sources: readonly unknown[], say: Say): void {
  const id = text(input, 'source');
  if (id === null) return;
  const source = sources.find((one) => text(one, 'id') === id);
  if (source === undefined) {
    const known = sources.flatMap((one) => text(one, 'id') ?? []);
    return say.refuse([...at, 'source'], `the id of one of the sources (${known.join(', ')})`);
  }
  const opcua = text(source, 'type') === 'opcua';
  for (const key of NODE_KEYS) {
    const given = field(input, key) !== undefined;
    if (opcua && !given && ['L1', 'L2', 'L3'].includes(key)) {
      say.refuse([...at, key], 'the node id that gives this current, since the source is opcua');
    } else if (!opcua && given) {
      say.refuse([...at, key], 'nothing here: a Modbus source has its registers in its profile');
    }
  }
}

/** Which group is in force must be known at any time. */
function judgeGroups(feeder: unknown, at: Path, say: Say): void {
  const given = list(feeder, 'settings');
  const names = given.map((group) => text(group, 'name'));
  let hasDefault = false;
  for (const [index, group] of given.entries()) {
    const place = [...at, 'settings', index];
    const name = names[index];
    if (typeof name === 'string' && names.indexOf(name) < index)
      say.refuse([...place, 'name'], 'a name that no other group of this feeder has');
    const calendar = field(group, 'calendar');
    const isDefault = calendar === undefined && field(group, 'byCommand') !== true;
    if (isDefault && hasDefault)
      say.refuse(place, 'a calendar or byCommand: true, as another group holds when no other does', 'never in force');
    hasDefault ||= isDefault;
    const zone = text(calendar, 'timeZone');
    if (zone !== null && !isTimeZone(zone))
      say.refuse([...place, 'calendar', 'timeZone'], 'an IANA time zone, as Europe/London');
    for (const [a, b] of [
      ['from', 'to'],
      ['fromTime', 'toTime'],
    ] as const) {
      const one = field(calendar, a) === undefined ? b : a;
      if ((field(calendar, a) === undefined) !== (field(calendar, b) === undefined))
        say.refuse([...place, 'calendar', one], `both ${a} and ${b}, or neither`);
    }
    const times = ['from', 'days', 'fromTime'].some((key) => field(calendar, key) !== undefined);
    if (calendar !== undefined && !times)
      say.warn([...place, 'calendar'], 'from and to, days or times: it holds always');
  }
  const groups = given.flatMap((group) => settingsGroupSchema.safeParse(group).data ?? []);
  const zones = groups.every(({ calendar }) => calendar === undefined || isTimeZone(calendar.timeZone));
  if (groups.length < given.length || groups.length === 0 || !zones) return;
  const gapMs = uncoveredMs(groups, Date.UTC(2028, 0, 1));
  if (gapMs !== null)
    say.refuse(
      [...at, 'settings'],
      'a group without calendar and byCommand, for when no other holds',
      `without a group at, say, ${new Date(gapMs).toISOString().slice(5, 16)} UTC`,
    );
}

function judgeGroup(group: unknown, at: Path, fuseA: number | null, say: Say): void {
  const ratingA = number(group, 'ratingA');
  for (const element of DELAYED_ELEMENTS) judgeElement(field(group, element), [...at, element], say);
  const neutral = field(group, 'neutral');
  for (const element of ['atRisk', 'emergency']) {
    judgeElement(field(neutral, element), [...at, 'neutral', element], say);
  }
  judgeStages(neutral, [...at, 'neutral'], say);
  judgeThermal(field(group, 'thermal'), [...at, 'thermal'], fuseA, say);
  judgeStages(group, at, say);
  const atRiskA = number(field(group, 'atRisk'), 'pickupA');
  if (atRiskA !== null && ratingA !== null && atRiskA > ratingA) {
    say.warn([...at, 'atRisk', 'pickupA'], `at most ratingA (${ratingA}): at risk comes before the rating`);
  }
  if (ratingA !== null && fuseA !== null && ratingA > fuseA) {
    say.warn([...at, 'ratingA'], `at most fuseA (${fuseA}): the fuse may go first`);
  }
  judgeTimes(group, at, say);
}

export function judgeElement(element: unknown, at: Path, say: Say): void {
  const pickupA = number(element, 'pickupA');
  const dropoutA = number(element, 'dropoutA');
  if (pickupA !== null && dropoutA !== null && dropoutA >= pickupA) {
    say.refuse([...at, 'dropoutA'], `less than pickupA (${pickupA})`);
  }
  if (number(element, 'delayS') === 0) {
    say.warn([...at, 'delayS'], 'a delay: at 0 one reading is enough for a request');
  }
}

export function judgeStages(elements: unknown, at: Path, say: Say): void {
  const atRiskA = number(field(elements, 'atRisk'), 'pickupA');
  const emergencyA = number(field(elements, 'emergency'), 'pickupA');
  if (atRiskA !== null && emergencyA !== null && emergencyA <= atRiskA) {
    say.refuse([...at, 'emergency', 'pickupA'], `more than that of atRisk (${atRiskA})`);
  }
}

export function judgeThermal(thermal: unknown, at: Path, fuseA: number | null, say: Say): void {
  const ratingA = number(thermal, 'ratingA');
  if (ratingA !== null && fuseA !== null && ratingA > fuseA) {
    say.warn([...at, 'ratingA'], `at most fuseA (${fuseA}): the fuse may go first`);
  }
  const resetPercent = number(thermal, 'resetPercent');
  // At THERMAL_AIM of the rating the heat comes down to its square and no further.
  if (resetPercent !== null && resetPercent <= 100 * THERMAL_AIM ** 2) {
    const steady = 100 * THERMAL_AIM ** 2;
    say.warn([...at, 'resetPercent'], `more than ${steady.toFixed(1)}, the heat at the current that a request aims at`);
  }
  const alarmPercent = number(thermal, 'alarmPercent');
  if (alarmPercent === 100)
    say.warn([...at, 'alarmPercent'], 'less than 100, at which the element operates in any case');
}

function judgeTimes(group: unknown, at: Path, say: Say): void {
  const times = field(group, 'curtailment');
  const caps = field(group, 'caps');
  const leaseS = number(times, 'leaseS') ?? DEFAULTS.leaseS;
  const longestLeaseS = number(caps, 'longestLeaseS') ?? DEFAULTS.longestLeaseS;
  const refreshS = number(times, 'refreshS') ?? DEFAULTS.refreshS;
  const responseTimeS = number(times, 'responseTimeS') ?? DEFAULTS.responseTimeS;
  const endSpreadS = number(times, 'endSpreadS') ?? DEFAULTS.endSpreadS;
  const spareS = Math.min(leaseS, longestLeaseS) - refreshS;
  const place = (key: string): Path => [...at, 'curtailment', key];
  const byDefault = (key: keyof typeof DEFAULTS, from: unknown = times) =>
    field(from, key) === undefined ? `${DEFAULTS[key]} (by default)` : undefined;
  if (leaseS <= refreshS) say.refuse(place('leaseS'), `more than refreshS (${refreshS})`, byDefault('leaseS'));
  else if (spareS <= 0) {
    const value = byDefault('longestLeaseS', caps);
    say.refuse([...at, 'caps', 'longestLeaseS'], `more than refreshS (${refreshS}), since it cuts leaseS`, value);
  } else if (endSpreadS > spareS) {
    const expected = `at most the lease less refreshS (${spareS}), which is used instead`;
    say.warn(place('endSpreadS'), expected, byDefault('endSpreadS'));
  }
  if (responseTimeS === 0) say.warn(place('responseTimeS'), 'more than 0 in service: the closed loop is off');
  else if (responseTimeS < DEFAULTS.responseTimeS) {
    say.warn(
      place('responseTimeS'),
      `at least ${DEFAULTS.responseTimeS}: DCC, HAN and the chargers’ random delay of 600 s`,
    );
  }
  const onOff = field(times, 'mode') === 'onOff';
  const maxEpisodeS = number(times, 'maxEpisodeS') ?? DEFAULTS.maxEpisodeS;
  const stepPercent = number(times, 'releaseStepPercent') ?? DEFAULTS.releaseStepPercent;
  const releaseS = Math.ceil(100 / stepPercent) * responseTimeS;
  if (!onOff && releaseS > maxEpisodeS) {
    const expected = `steps that are over within maxEpisodeS (${maxEpisodeS}), responseTimeS each: ${releaseS} s from 0 %`;
    say.warn(place('releaseStepPercent'), expected, byDefault('releaseStepPercent'));
  }
  const levels: Path[] = [place('floorPercent'), [...at, 'caps', 'deepestLevelPercent']];
  for (const [index, level] of levels.entries()) {
    const percent = number(index === 0 ? times : caps, String(level.at(-1))) ?? 0;
    if (onOff && percent > 0) say.refuse(level, '0 in mode onOff, which knows only off');
    else if (percent === 100) say.refuse(level, 'less than 100, which is no limit at all');
  }
}
