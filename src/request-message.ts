// A decision of control as the message of the contract. Pure: ids, the sequence number and the clock are given.

import { isoTime } from './clock.ts';
import type { ControlRequest } from './control/types.ts';
import { type Phase, rounded } from './feeder.ts';
import { type FeederSettings, type SettingsGroup, targetOf } from './feeder-settings.ts';
import type { Curtailment } from './messages.ts';
import type { LapsedLimit } from './watched-feeder.ts';

export interface MessageContext {
  readonly substationId: string;
  readonly feeder: FeederSettings;
  readonly group: SettingsGroup;
  readonly settingsHash: string;
  readonly requestId: string;
  readonly sequence: number;
  readonly episodeId: string;
  readonly supersedes: string | null;
  /** Wall time minus monotonic time at this moment. */
  readonly wallOffsetMs: number;
  readonly nowMs: number;
  readonly clockSynchronised: boolean;
}

/** Throws when the feeder has no target group, for which control asks nothing. */
export function requestMessage(request: ControlRequest, context: MessageContext): Curtailment {
  const { feeder, group, nowMs, wallOffsetMs } = context;
  const targetGroup = targetOf(feeder, group);
  if (targetGroup === null) throw new Error(`feeder ${feeder.id} has no target group`);
  const { curtailment } = group;
  const phases = Object.keys(request.levelPercent) as Phase[];
  const levels = Object.values(request.levelPercent).map((level) => rounded(level));
  const differ = new Set(levels).size > 1;
  const endSpreadS = endSpread(group);
  const wall = (monotonicMs: number) => isoTime(monotonicMs + wallOffsetMs);
  const released = request.action === 'release';
  const { trigger } = request;
  return {
    schema: 'headroom/v1/curtailment',
    requestId: context.requestId,
    sequence: context.sequence,
    episodeId: context.episodeId,
    supersedes: context.supersedes,
    issuedAt: wall(nowMs),
    action: request.action,
    substationId: context.substationId,
    feederId: feeder.id,
    phases,
    targetGroup,
    levelPercent: Math.min(...levels),
    ...(differ && { levelPercentByPhase: mapPhases(request.levelPercent, (level) => rounded(level)) }),
    reductionA: mapPhases(request.reductionA, (reduction) => rounded(reduction)),
    floorPercent: curtailment.floorPercent,
    direction: 'toLoad',
    binary: curtailment.binary,
    start: wall(nowMs),
    end: wall(request.endMs),
    durationS: Math.max(0, Math.round((request.endMs - nowMs) / 1000)),
    endSpreadS,
    validUntil: wall(released ? request.endMs : Math.max(nowMs, request.endMs - endSpreadS * 1000)),
    trigger: {
      element: trigger.element,
      phase: trigger.phase,
      currentA: {
        L1: roundedOrNull(request.currentA.L1),
        L2: roundedOrNull(request.currentA.L2),
        L3: roundedOrNull(request.currentA.L3),
        N: roundedOrNull(request.currentA.N),
      },
      pickupA: trigger.pickupA,
      thermalPercent: roundedOrNull(request.thermalPercent),
      timeToLimitS: request.timeToLimitS === null ? null : Math.round(request.timeToLimitS),
      pickedUpAt: wall(trigger.pickedUpMs),
    },
    quality: { ...request.quality, ageMs: Math.round(request.readingAgeMs) },
    clock: { synchronised: context.clockSynchronised, offsetMs: null },
    priority: trigger.element === 'emergency' ? 'emergency' : 'constraint',
    settings: { group: group.name, hash: context.settingsHash },
    mode: request.mode,
  };
}

/** What takes the place of a limit that has lapsed and whose `end` is still to come on a clock that was set back. */
export function releaseOfLapsed(
  { message, heardId }: LapsedLimit,
  made: Pick<Curtailment, 'requestId' | 'sequence'> & { readonly at: string; readonly clockSynchronised: boolean },
): Curtailment {
  const { levelPercentByPhase: _each, ...limit } = message;
  const { requestId, sequence, at } = made;
  return {
    ...limit,
    requestId,
    sequence,
    supersedes: heardId,
    action: 'release',
    issuedAt: at,
    start: at,
    validUntil: limit.end,
    durationS: Math.max(0, Math.round((Date.parse(limit.end) - Date.parse(at)) / 1000)),
    levelPercent: 100,
    reductionA: Object.fromEntries(limit.phases.map((phase) => [phase, 0])),
    clock: { synchronised: made.clockSynchronised, offsetMs: null },
    priority: 'constraint',
  };
}

/** Refreshes come before the window in which devices end one by one, whatever was set. */
function endSpread(group: SettingsGroup): number {
  const { leaseS, refreshS, endSpreadS } = group.curtailment;
  return Math.min(endSpreadS, Math.max(0, Math.min(leaseS, group.caps.longestLeaseS) - refreshS));
}

function mapPhases(values: { readonly [P in Phase]?: number }, change: (value: number) => number) {
  return Object.fromEntries(Object.entries(values).map(([phase, value]) => [phase, change(value)]));
}

function roundedOrNull(value: number | null): number | null {
  return value === null ? null : rounded(value);
}
