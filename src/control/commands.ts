// What an operator may ask of one feeder: to block it or one of its elements, to let a limit go, to try it out. Each is
// bounded in time, so that nobody has to remember it, and each is an event. A command never carries a setting.

import type { Element } from '../feeder.ts';
import { lockOperated, releaseAtOnce } from './curtailment.ts';
import { eachElement, isAsked, isBlocked } from './elements.ts';
import type { Action, ControlCommand, ControlSettings, FeederState } from './types.ts';

/** A block or a test ends by itself after this at the latest. */
const BLOCK_LONGEST_MS = 24 * 3_600_000;

/** Does it, or says in one line why it cannot be done. Whatever is due before `nowMs` has been run. */
export function takeCommand(
  state: FeederState,
  settings: ControlSettings,
  command: ControlCommand,
  nowMs: number,
  out: Action[],
): string | null {
  switch (command.action) {
    case 'block':
      return block(state, settings, command, nowMs, out);
    case 'unblock':
      return unblock(state, command.element, nowMs, out);
    case 'release':
      return release(state, settings, command.immediate, nowMs, out);
    case 'testMode':
      return testMode(state, settings, command.untilMs, nowMs, out);
  }
}

/** When the next block or the test ends by itself. */
export function modesDueMs({ blocks, testUntilMs }: FeederState): number {
  let dueMs = testUntilMs ?? Number.POSITIVE_INFINITY;
  for (const { untilMs } of blocks) dueMs = Math.min(dueMs, untilMs);
  return dueMs;
}

/** Ends what is over at `nowMs`. */
export function runModes(state: FeederState, settings: ControlSettings, nowMs: number, out: Action[]): void {
  for (const { element, untilMs } of state.blocks) {
    if (nowMs >= untilMs) endBlock(state, element, 'the block is over', nowMs, out);
  }
  if (state.testUntilMs !== null && nowMs >= state.testUntilMs)
    endTest(state, settings, 'the test is over', nowMs, out);
}

function block(
  state: FeederState,
  settings: ControlSettings,
  { element, untilMs, immediate }: Extract<ControlCommand, { action: 'block' }>,
  nowMs: number,
  out: Action[],
): string | null {
  const wrong = wrongEnd(untilMs, nowMs);
  if (wrong !== null) return wrong;
  state.blocks = [...state.blocks.filter((standing) => standing.element !== element), { element, untilMs }];
  say('block', element, `blocked for ${seconds(untilMs - nowMs)} s by command`, nowMs, out);
  const { episode } = state;
  if (episode === null || (element !== null && isAsked(state))) return null;
  if (immediate) releaseAtOnce(state, settings, nowMs, 'block', out);
  else episode.endedBy = 'block';
  return null;
}

/** Also arms what the longest episode or a release has locked. */
function unblock(state: FeederState, element: Element | null, nowMs: number, out: Action[]): string | null {
  let locked = false;
  eachElement(state, (one, _on, name) => {
    if (!one.locked || (element !== null && name !== element)) return;
    one.locked = false;
    locked = true;
  });
  const blocked = isBlocked(state, element);
  if (!blocked && !locked) return 'nothing is blocked';
  if (blocked) endBlock(state, element, 'unblocked by command', nowMs, out);
  else say('block', element, 'armed again by command', nowMs, out);
  return null;
}

function endBlock(state: FeederState, element: Element | null, reason: string, nowMs: number, out: Action[]): void {
  state.blocks = state.blocks.filter((standing) => standing.element !== element);
  if (state.episode?.endedBy === 'block' && !isBlocked(state, null)) state.episode.endedBy = null;
  say('block', element, reason, nowMs, out);
}

function release(
  state: FeederState,
  settings: ControlSettings,
  immediate: boolean,
  nowMs: number,
  out: Action[],
): string | null {
  const { episode } = state;
  if (episode === null) return 'no limit stands';
  lockOperated(state);
  if (immediate) releaseAtOnce(state, settings, nowMs, 'released by command', out);
  else episode.endedBy = 'release';
  return null;
}

function testMode(
  state: FeederState,
  settings: ControlSettings,
  untilMs: number | null,
  nowMs: number,
  out: Action[],
): string | null {
  if (untilMs === null) {
    if (state.testUntilMs === null) return 'test mode is not on';
    endTest(state, settings, 'test mode off by command', nowMs, out);
    return null;
  }
  const wrong = wrongEnd(untilMs, nowMs);
  if (wrong !== null) return wrong;
  if (state.testUntilMs === null) endEpisodeOf(state, settings, 'test', nowMs, out);
  state.testUntilMs = untilMs;
  say('test', null, `test mode for ${seconds(untilMs - nowMs)} s by command`, nowMs, out);
  return null;
}

function endTest(state: FeederState, settings: ControlSettings, reason: string, nowMs: number, out: Action[]): void {
  endEpisodeOf(state, settings, 'end of the test', nowMs, out);
  state.testUntilMs = null;
  say('test', null, reason, nowMs, out);
}

/** Live and test never share an episode, and a test holds back nothing that is live. */
function endEpisodeOf(
  state: FeederState,
  settings: ControlSettings,
  reason: string,
  nowMs: number,
  out: Action[],
): void {
  if (state.episode === null) return;
  releaseAtOnce(state, settings, nowMs, reason, out);
  state.releasedMs = null;
}

function wrongEnd(untilMs: number, nowMs: number): string | null {
  if (untilMs <= nowMs) return 'it is over already';
  if (untilMs - nowMs > BLOCK_LONGEST_MS) return `${seconds(untilMs - nowMs)} s, expected at most 24 h`;
  return null;
}

function say(type: 'block' | 'test', element: Element | null, reason: string, atMs: number, out: Action[]): void {
  out.push({ kind: 'event', type, atMs, ...(element !== null && { element }), reason });
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
