// All that reaches the control of a feeder beside its readings, as plain data through one door: what is recorded here and
// handed in again comes to the same decisions. The controller uses it in service, replay for what an export carries.
import type { ControlAck } from './control/acks.ts';
import {
  settle,
  stepAck,
  stepClock,
  stepCommand,
  stepSettings,
  stepSource,
  stepTime,
} from './control/feeder-control.ts';
import { hearTransformer, type SubstationInput } from './control/substation.ts';
import type { ControlCommand } from './control/types.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

/** `atMs` is monotonic, as is every other name that ends in `Ms`, but for lengths: `staleAfterMs`, `steppedMs`. */
export type ControlInput = { readonly atMs: number } & (
  | { readonly kind: 'ack'; readonly ack: ControlAck }
  | { readonly kind: 'command'; readonly command: ControlCommand }
  /** Another settings group, by a command or by the calendar; `reason` says by which. */
  | { readonly kind: 'group'; readonly group: string; readonly reason: string }
  /** What stands is to be said again: the wall clock was stepped by so much, or 0 for another reason. */
  | { readonly kind: 'clock'; readonly steppedMs: number }
  /** Readings come from another source, which has another staleness limit. */
  | { readonly kind: 'source'; readonly staleAfterMs: number }
  | SubstationInput
);

/** Null when it is done, or in one line why it cannot be, which is only so for commands. */
export function takeInput(feeder: WatchedFeeder, input: ControlInput): string | null {
  feeder.recorded(input);
  const { state, control, actions } = feeder;
  const { atMs } = input;
  switch (input.kind) {
    case 'ack':
      stepAck(state, control, input.ack, atMs, actions);
      return null;
    case 'command':
      return stepCommand(state, control, input.command, atMs, actions);
    case 'group':
      putInForce(feeder, input.group, input.reason, atMs);
      return null;
    case 'clock':
      stepClock(state, control, atMs, actions);
      return null;
    case 'source':
      stepSource(state, control, input.staleAfterMs, atMs, actions);
      feeder.control = { ...control, staleAfterMs: input.staleAfterMs };
      return null;
    case 'others':
      state.othersLimited = input.limited;
      return null;
    case 'transformer':
      hearTransformer(state, input.words);
      if (!input.isWithReading) settle(state, control, atMs, actions);
      return null;
    case 'time':
      stepTime(state, control, atMs, actions);
      return null;
  }
}

/** Puts a group in force, unless it is; `reason` says by what. */
function putInForce(feeder: WatchedFeeder, name: string, reason: string, nowMs: number): void {
  const next = feeder.groups.get(name);
  if (next === undefined || next.group === feeder.group) return;
  const { staleAfterMs, isOpenLoop } = feeder.control;
  const control = { ...next.control, staleAfterMs, ...(isOpenLoop === true && { isOpenLoop }) };
  stepSettings(feeder.state, feeder.control, control, reason, nowMs, feeder.actions);
  feeder.group = next.group;
  feeder.control = control;
}
