// By far the most readings have nothing odd about them. This says so at a fraction of the cost of judging them, for
// replay, which has millions a second: where it answers true, judgeReading would have found every conductor good,
// raised and ended nothing, and left the same memory behind.
import { APART_FROM, NO_LOAD, NOISE, type QualityMemory, type QualityRules } from './quality-judge.ts';

/**
 * Primary amperes in whole milliamperes, not negative and none missing; `N` is NaN where there is no neutral. True where
 * nothing is odd, and then it is remembered; false leaves it to judgeReading.
 */
export function passesUnremarked(
  memory: QualityMemory,
  rules: QualityRules,
  L1: number,
  L2: number,
  L3: number,
  N: number,
  atMs: number,
): boolean {
  const { plausibility, ratingA, stepA, apartPercent, neutralPercent } = rules;
  if (memory.standing.size > 0 || rules.frozenMs !== null) return false;
  if (!(L1 >= 0 && L2 >= 0 && L3 >= 0)) return false;
  const highestA = L1 > L2 ? (L1 > L3 ? L1 : L3) : L2 > L3 ? L2 : L3;
  const lowestA = L1 < L2 ? (L1 < L3 ? L1 : L3) : L2 < L3 ? L2 : L3;
  if (highestA < NO_LOAD * ratingA) return false;
  const mostA = N > highestA ? N : highestA;
  const { impossibleA, ctRangeA } = plausibility;
  if ((impossibleA !== null && mostA > impossibleA) || (ctRangeA !== null && mostA >= ctRangeA)) return false;
  if (apartPercent !== null && highestA > APART_FROM * ratingA && lowestA < (apartPercent / 100) * highestA)
    return false;
  if (neutralPercent !== null && N > ((L1 + L2 + L3) * neutralPercent) / 100 + NOISE * ratingA) return false;
  const { phases } = memory;
  if (stepA !== null) {
    if (isStep(phases.L1.currentA, L1, stepA)) return false;
    if (isStep(phases.L2.currentA, L2, stepA) || isStep(phases.L3.currentA, L3, stepA)) return false;
  }
  memory.neutralSinceMs = null;
  memory.quietSinceMs = null;
  remember(phases.L1, L1, atMs);
  remember(phases.L2, L2, atMs);
  remember(phases.L3, L3, atMs);
  return true;
}

/** Nothing is a step from no current at all, which is NaN. */
function isStep(beforeA: number, currentA: number, stepA: number): boolean {
  return Math.abs(currentA - beforeA) > stepA;
}

function remember(phase: QualityMemory['phases']['L1'], currentA: number, atMs: number): void {
  if (currentA !== phase.currentA) phase.stillSinceMs = atMs;
  phase.currentA = currentA;
  phase.atMs = atMs;
  phase.apartSinceMs = null;
  phase.negativeSinceMs = null;
}
