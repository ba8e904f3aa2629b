// An export as it ran: what stands beside a trace, and whether its replay came to the events of the live run. Those of
// control are compared one by one; what came from outside (sources, links, commands and their answers) is told as it was.
import type { AlarmName } from '../../control/types.ts';
import { rounded } from '../../feeder.ts';
import type { Event } from '../../messages.ts';
import { TRANSFORMER } from '../../transformer-settings.ts';
import { type InputsFile, readInputsBeside, timesOnRecord } from '../trace/inputs-file.ts';
import type { TraceFile } from '../trace/open-trace.ts';
import type { ReplayEvent } from './results.ts';

export interface AsItRan {
  /** Events of control in the live run. */
  readonly liveEvents: number;
  /** Where the two first differ; null where they are the same. */
  readonly difference: { readonly live: ReplayEvent | null; readonly replayed: ReplayEvent | null } | null;
}

const OF_CONTROL: ReadonlySet<Event['type']> = new Set([
  'pickup',
  'operate',
  'dropout',
  'limit',
  'refresh',
  'release',
  'blind',
  'block',
  'test',
  'settings',
]);
/** Alarms that control raises. */
const ALARMS: { readonly [name in AlarmName | 'blind' | 'thermalAssumed']: true } = {
  budgetNear: true,
  budget: true,
  noEffect: true,
  reinforce: true,
  lapsed: true,
  requestCap: true,
  operationCap: true,
  feederCap: true,
  noTarget: true,
  thermalAlarm: true,
  phaseDead: true,
  reverseOverload: true,
  measurementLost: true,
  dueAgain: true,
  blind: true,
  thermalAssumed: true,
};
/** An event and its record may be labelled by two looks at a wall clock that is being set right. */
const APART_MS = 1000;

/** What the live run was told from outside, as events of the replay, once where several records have it. */
export function outsideEvents(all: readonly InputsFile[]): ReplayEvent[] {
  const told = new Map<number, ReplayEvent>();
  for (const { event, shown } of all.flatMap(liveEvents)) if (!isOfControl(event)) told.set(event.sequence, shown);
  return [...told.values()];
}

/** What stands beside the traces, as far as there is something. */
export function inputsBeside(traces: readonly TraceFile[]): InputsFile[] {
  return traces.flatMap((trace) => readInputsBeside(typeof trace === 'string' ? trace : trace.configuration) ?? []);
}

/** Why an export is not lived through as it ran. */
export function otherSettings({ settingsHash }: InputsFile): string {
  return `the export was made with other settings (hash ${settingsHash}): of its inputs the quality and the heat count`;
}

/** Feeder by feeder: what several decide at one instant is told in one order or another. */
export function compareWithLive(all: readonly InputsFile[], replayed: readonly ReplayEvent[]): AsItRan {
  const live = all.flatMap(liveEvents).filter(({ event }) => isOfControl(event));
  const feeders = new Set(all.flatMap(({ records }) => records.map(({ feederId }) => feederId)));
  const differences = [...feeders].map((feederId) =>
    firstDifference(
      live.filter(({ event }) => event.feederId === feederId),
      replayed.filter((event) => event.feederId === feederId),
    ),
  );
  return { liveEvents: live.length, difference: differences.find((difference) => difference !== null) ?? null };
}

function firstDifference(live: readonly LiveEvent[], replayed: readonly ReplayEvent[]): AsItRan['difference'] {
  // Where alarms were joined, the live run tells of several at once.
  const isJoined = live.some(({ event }) => event.count !== undefined);
  const compared = ({ type }: { type: Event['type'] }) =>
    !(isJoined && (type === 'alarm' || type === 'alarmEnd' || type === 'blind'));
  const ours = replayed.filter(compared);
  const theirs = live.filter(({ event }) => compared(event)).map(({ shown }) => shown);
  for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
    const [mine, other] = [ours[index] ?? null, theirs[index] ?? null];
    if (mine === null || other === null || !isSame(mine, other)) return { live: other, replayed: mine };
  }
  return null;
}

interface LiveEvent {
  readonly event: Event;
  /** As the replay has its own. */
  readonly shown: ReplayEvent;
}

/** Each live event, and as the replay has its own; a request that was only told of later happened before. */
function liveEvents({ records }: InputsFile): LiveEvent[] {
  return records.flatMap(({ feederId, events, inputs }) => {
    const times = timesOnRecord(events, inputs);
    return events.flatMap((event, index) =>
      event.historical === true ? [] : [{ event, shown: shownAs(event, times[index] ?? 0, feederId) }],
    );
  });
}

/** Of the feeder's: what the transformer says of itself is no feeder's, and told as it was. */
function isOfControl({ feederId, type, alarm = '' }: Event): boolean {
  if (feederId === null) return false;
  return OF_CONTROL.has(type) || ((type === 'alarm' || type === 'alarmEnd') && Object.hasOwn(ALARMS, alarm));
}

function isSame(a: ReplayEvent, b: ReplayEvent): boolean {
  return (
    a.type === b.type &&
    a.element === b.element &&
    a.phase === b.phase &&
    a.levelPercent === b.levelPercent &&
    a.thermalPercent === b.thermalPercent &&
    a.reason === b.reason &&
    (a.currentA === undefined || b.currentA === undefined || a.currentA === b.currentA) &&
    Math.abs(a.atMs - b.atMs) <= APART_MS
  );
}

function shownAs(event: Event, atMs: number, feederId: string): ReplayEvent {
  const { type, element, phase, currentA, levelPercent, thermalPercent, alarm, sourceId, reason } = event;
  return {
    atMs,
    feederId: event.feederId ?? (element === 'transformer' ? TRANSFORMER : feederId),
    type,
    element,
    phase,
    currentA,
    levelPercent: levelPercent === undefined ? undefined : rounded(levelPercent),
    ...(thermalPercent !== undefined && { thermalPercent }),
    reason: [alarm ?? sourceId, reason].filter((part) => part !== undefined).join(': '),
  };
}
