// Which settings group a watched feeder goes by: the calendar's, unless a command has put another in force that still
// lasts; over restarts too.
import type { Outcome } from './carry-out.ts';
import { lastsMs, type Moment } from './command-desk.ts';
import type { Command } from './command-message.ts';
import { takeInput } from './control-input.ts';
import { groupByCalendar } from './settings-groups.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

/** A command's group, or back to the calendar where it names none. */
export function selectGroup(
  command: Extract<Command, { action: 'settingsGroup' }>,
  now: Moment,
  feeders: readonly WatchedFeeder[],
): Outcome {
  const { group } = command;
  const forMs = lastsMs(command, now);
  for (const feeder of feeders) {
    feeder.state.groupByCommand = group !== undefined;
    feeder.state.groupUntilMs = group === undefined || forMs === null ? null : now.monotonicMs + forMs;
    if (group !== undefined) putInForce(feeder, group, 'by command', now.monotonicMs);
    else followCalendar(feeder, 'the calendar holds again, by command', now);
  }
  return { done: feeders.map(({ settings, group: { name } }) => `${settings.id}: group ${name}`).join(', ') };
}

/** The calendar, where no command stands against it. */
export function followCalendar(
  feeder: WatchedFeeder,
  reason: string,
  { monotonicMs, wallMs }: Pick<Moment, 'monotonicMs' | 'wallMs'>,
): void {
  const { state, settings } = feeder;
  if (state.groupByCommand && state.groupUntilMs !== null && monotonicMs >= state.groupUntilMs) {
    state.groupByCommand = false;
    state.groupUntilMs = null;
  }
  if (state.groupByCommand || settings.settings.length === 1) return;
  putInForce(feeder, groupByCalendar(settings.settings, wallMs).name, reason, monotonicMs);
}

/** A group that a command had put in force stays, if it is still one; else the calendar's is in force from now on. */
export function resumeGroup(feeder: WatchedFeeder, nowMs: number): void {
  const { state, groups, group } = feeder;
  const kept = state.group === null ? undefined : groups.get(state.group);
  const changed = kept !== undefined && kept.group !== group;
  if (kept !== undefined) {
    feeder.group = kept.group;
    feeder.control = kept.control;
  } else state.groupByCommand = false;
  if (state.groupByCommand && !feeder.group.byCommand) state.groupByCommand = false;
  if (changed && !state.groupByCommand) putInForce(feeder, group.name, 'by the calendar', nowMs);
  state.group = feeder.group.name;
}

function putInForce(feeder: WatchedFeeder, group: string, reason: string, atMs: number): void {
  if (group !== feeder.group.name) takeInput(feeder, { kind: 'group', group, reason, atMs });
}
