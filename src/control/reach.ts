// How many amperes requests can move on a phase: what a level of 0 would take away. The settings give a first guess,
// the head end's acknowledgements the rated amperes of the devices that it reached, and measurement what levels really
// moved, which overrules both: devices that are not charging move nothing. Every level is judged once, when its
// response time is over. All amperes are per phase and within 0…rating.
import { PHASES, type Phase } from '../feeder.ts';
import type { ControlSettings, FeederState, PhaseState } from './types.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** Less than this share of what was expected is no effect: it could as well be the homes. */
const NO_EFFECT_SHARE = 0.25;

/** What is under this share of the rating is lost in what homes do by themselves: nothing can be judged by it. */
const MEASURABLE_SHARE = 0.05;

/** So often in turn a level may move nothing before it is in vain. */
export const JUDGED_MAX = 2;

export interface Reach {
  /** By the latest acknowledgement that says it; null before. */
  ackA: number | null;
  /** By what levels moved; null before the first that could be judged. */
  learnedA: number | null;
  /** What the head end said when that was learned: a new word of it scales what was learned. */
  learnedAtAckA: number | null;
  /** In this episode, by what a step of release brought back; null before the first that could be judged. */
  returnedA: number | null;
  /** The current when the level was last raised, and by how much. */
  raisedAtA: number;
  raisedPercent: number;
  /** When the standing level is to be judged; null when it has been, or none stands. */
  judgeMs: number | null;
  /** How often in turn a level has moved nothing. */
  withoutEffect: number;
}

export function newReach(): Reach {
  return {
    ackA: null,
    learnedA: null,
    learnedAtAckA: null,
    returnedA: null,
    raisedAtA: 0,
    raisedPercent: 0,
    judgeMs: null,
    withoutEffect: 0,
  };
}

/** Whether the current is expected to answer to requests: not on the bench, and not in a recording. */
export function isClosedLoop({ curtailment, isOpenLoop }: ControlSettings): boolean {
  return curtailment.responseTimeS > 0 && isOpenLoop !== true;
}

/** Where the amperes come from, for people; null where nobody knows any. */
export type ReachSource = 'set' | 'acknowledged' | 'measured' | null;

/** What requests can move on a phase, A; null where nobody knows. */
export function movableA({ reach }: PhaseState, settings: ControlSettings, name: Phase): number | null {
  const { ackA, learnedA, learnedAtAckA } = reach;
  const saidA = ackA ?? settings.controllableA?.[name] ?? null;
  if (learnedA === null || !isClosedLoop(settings)) return bounded(settings, saidA);
  if (ackA === null) return bounded(settings, learnedA);
  return bounded(settings, learnedAtAckA ? (learnedA * ackA) / learnedAtAckA : Math.min(learnedA, ackA));
}

export function reachSource({ reach }: PhaseState, settings: ControlSettings, name: Phase): ReachSource {
  if (reach.learnedA !== null && isClosedLoop(settings)) return 'measured';
  if (reach.ackA !== null) return 'acknowledged';
  return settings.controllableA?.[name] ? 'set' : null;
}

/**
 * A limit that moves nothing curtails in vain where the direction is not known: the current may be generation. Where it
 * is, the load is real, and more is asked of it.
 */
export function isInVain({ reach }: PhaseState, { signConfirmed }: ControlSettings, name: Phase): boolean {
  return reach.withoutEffect >= JUDGED_MAX && signConfirmed?.[name] !== true;
}

/** When the effect of a level is next to be judged. Only a good reading can tell. */
export function judgeDueMs(state: FeederState): number {
  const { L1, L2, L3 } = state;
  return Math.min(judgeDueOn(L1), judgeDueOn(L2), judgeDueOn(L3));
}

function judgeDueOn({ fresh, quality, reach }: PhaseState): number {
  return fresh && quality === 'good' && reach.judgeMs !== null ? reach.judgeMs : NEVER;
}

/** Judges every level whose response time is over. */
export function judgeEffects(state: FeederState, settings: ControlSettings, nowMs: number): void {
  for (const name of PHASES) if (nowMs >= judgeDueOn(state[name])) judge(state[name], settings, name, nowMs);
}

function judge(phase: PhaseState, settings: ControlSettings, name: Phase, nowMs: number): void {
  const { reach } = phase;
  // Another settings group has switched the closed loop off.
  if (!isClosedLoop(settings)) {
    reach.judgeMs = null;
    return;
  }
  if (phase.isJudged) {
    const roseA = Math.max(0, phase.currentA - reach.raisedAtA);
    if (roseA >= settings.ratingA * MEASURABLE_SHARE)
      reach.returnedA = bounded(settings, (roseA * 100) / reach.raisedPercent);
    reach.judgeMs = null;
    return;
  }
  const share = 1 - phase.levelPercent / 100;
  const expectedA = Math.min(phase.reductionA, (movableA(phase, settings, name) ?? NEVER) * share);
  const fellA = Math.max(0, phase.atLimitA - phase.currentA);
  const measurableA = settings.ratingA * MEASURABLE_SHARE;
  if (expectedA >= measurableA && fellA < expectedA * NO_EFFECT_SHARE) {
    reach.withoutEffect += 1;
    reach.judgeMs = nowMs + settings.curtailment.responseTimeS * 1000;
    return;
  }
  phase.deliveredA = Math.min(fellA, phase.reductionA);
  phase.isJudged = true;
  reach.judgeMs = null;
  reach.withoutEffect = 0;
  if (Math.max(fellA, expectedA) >= measurableA) learn(reach, settings, fellA / share);
}

/**
 * Down at once and up by half: a level that moves less than was counted on leaves the overload standing, and a load
 * that fell by itself looks like an effect. What was only said before counts for nothing here.
 */
function learn(reach: Reach, settings: ControlSettings, measuredA: number): void {
  const { ackA, learnedA, learnedAtAckA } = reach;
  const knownA = learnedA === null ? null : learnedA * (ackA !== null && learnedAtAckA ? ackA / learnedAtAckA : 1);
  const isMore = knownA !== null && measuredA > knownA;
  reach.learnedA = bounded(settings, isMore ? (knownA + measuredA) / 2 : measuredA);
  reach.learnedAtAckA = ackA;
}

function bounded({ ratingA }: ControlSettings, currentA: number | null): number | null {
  return currentA === null ? null : Math.min(ratingA, Math.max(0, currentA));
}
