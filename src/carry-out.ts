// A command that has been judged good, carried out on the feeders that it means: control says for each whether it can
// be done. Time becomes monotonic here; what it does is for control to bound.
import { isoTime } from './clock.ts';
import { LONGEST_MS, lastsMs, type Moment } from './command-desk.ts';
import type { Command } from './command-message.ts';
import type { ControlCommand } from './control/types.ts';
import { takeInput } from './control-input.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

export type Outcome = { readonly done: string } | { readonly refused: string };

/** For the commands that are about feeders. */
export type FeederCommand = Exclude<Command, { action: 'sayAgain' | 'settingsGroup' }>;

/** Done where at least one feeder could; the words say which could not, and why. */
export function carryOut(command: FeederCommand, now: Moment, feeders: Iterable<WatchedFeeder>): Outcome {
  const asked = controlCommand(command, now);
  const done: string[] = [];
  const refused: string[] = [];
  for (const feeder of feeders) {
    const reason = takeInput(feeder, { kind: 'command', command: asked, atMs: now.monotonicMs });
    if (reason === null) done.push(feeder.settings.id);
    else refused.push(`${feeder.settings.id}: ${reason}`);
  }
  if (done.length === 0) return { refused: refused.join('; ') };
  const until =
    'untilMs' in asked && asked.untilMs !== null
      ? ` until ${isoTime(now.wallMs + asked.untilMs - now.monotonicMs)}`
      : '';
  return { done: [`${done.join(', ')}${until}`, ...refused].join('; ') };
}

function controlCommand(command: FeederCommand, now: Moment): ControlCommand {
  const { monotonicMs } = now;
  switch (command.action) {
    case 'block':
      return {
        action: 'block',
        element: command.element ?? null,
        untilMs: monotonicMs + (lastsMs(command, now) ?? LONGEST_MS),
        immediate: command.immediate ?? false,
      };
    case 'unblock':
      return { action: 'unblock', element: command.element ?? null };
    case 'release':
      return { action: 'release', immediate: command.immediate ?? false };
    case 'testMode': {
      const forMs = lastsMs(command, now) ?? 0;
      return { action: 'testMode', untilMs: forMs > 0 ? monotonicMs + forMs : null };
    }
  }
}
