// What control says, and what the quality rules say, as events of a replay.
import type { AlarmChange } from '../../acquisition/quality-judge.ts';
import type { Action } from '../../control/types.ts';
import { rounded } from '../../feeder.ts';
import type { ReplayEvent } from './results.ts';

/** A decision of control as an event; a request is one too. */
export function eventOf(feederId: string, action: Action): ReplayEvent {
  if (action.kind === 'request') {
    const { trigger, atMs, reason } = action;
    const { element, phase } = trigger;
    // Null where the phase is not seen at that moment.
    const seenA = action.currentA[phase];
    const levelPercent = Math.min(...Object.values(action.levelPercent).map((level) => rounded(level)));
    return {
      feederId,
      atMs,
      type: action.action,
      element,
      phase,
      ...(seenA !== null && { currentA: rounded(seenA) }),
      levelPercent,
      reason,
    };
  }
  const { atMs, type, element, phase, currentA, levelPercent, thermalPercent, alarm, reason } = action;
  return {
    feederId,
    atMs,
    type,
    element,
    phase,
    currentA: currentA === undefined ? undefined : rounded(currentA),
    levelPercent,
    ...(thermalPercent !== undefined && { thermalPercent: rounded(thermalPercent) }),
    reason: alarm === undefined ? reason : `${alarm}: ${reason}`,
  };
}

export function qualityEvent(
  feederId: string,
  atMs: number,
  { alarm, phase, standing, reason }: AlarmChange,
): ReplayEvent {
  const about = { ...(phase !== null && { phase }), reason: `${alarm} ${standing ? 'begins' : 'ends'}: ${reason}` };
  return { feederId, atMs, type: 'quality', ...about };
}
