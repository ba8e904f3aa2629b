// What an acknowledgement of the head end tells control: from when customers are limited, and how many amperes of
// devices were reached. It is no order: what is asked for is still decided by the current against the settings.
import { type PerPhase, PHASES } from '../feeder.ts';
import type { ControlSettings, FeederState } from './types.ts';
import { countDispatched } from './usage.ts';

/** Of a request of the episode in force, or of the last one. */
export interface ControlAck {
  readonly status: string;
  /** Rated amperes of the devices reached, per phase where the head end says it. */
  readonly controllableA?: PerPhase<number> | undefined;
  readonly devices?: { readonly targeted: number; readonly acknowledged: number } | undefined;
}

/** Counts of devices tell what was reached once the devices have answered, and not while they are being asked. */
const ANSWERED = ['applied', 'partial'];

/** Takes an acknowledgement; true when it says something new about what can be moved, which may call for more. */
export function takeAck(state: FeederState, settings: ControlSettings, ack: ControlAck, nowMs: number): boolean {
  if (state.episode !== null && ack.status === 'dispatched') countDispatched(state, nowMs);
  let isNew = false;
  for (const name of PHASES) {
    const saidA = reachedA(ack, settings.controllableA?.[name] ?? null, ack.controllableA?.[name]);
    if (saidA === null || !Number.isFinite(saidA)) continue;
    const { reach } = state[name];
    const ackA = Math.min(settings.ratingA, Math.max(0, saidA));
    if (ackA !== reach.ackA) isNew = true;
    reach.ackA = ackA;
  }
  return isNew;
}

/** What was said in amperes; else the answered share of what the settings guess. */
function reachedA({ status, devices }: ControlAck, guessA: number | null, saidA: number | undefined): number | null {
  if (saidA !== undefined) return saidA;
  if (guessA === null || devices === undefined || devices.targeted === 0 || !ANSWERED.includes(status)) return null;
  return (guessA * devices.acknowledged) / devices.targeted;
}
