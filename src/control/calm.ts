// By far the most readings change nothing: nothing is picked up, asked, odd or overdue, and every phase is seen, good and
// under every pickup. What such a reading leaves behind is known without asking each element, at a fraction of the cost,
// which a replay of a year is made of. The state comes out exactly as by the long way (test/control/calm.test.ts).
import { DEAD_SHARE } from './supervision.ts';
import { readThermal, staysCool } from './thermal.ts';
import type {
  ConductorInput,
  ControlReading,
  ControlSettings,
  ElementState,
  FeederState,
  PhaseState,
  ThermalSettings,
} from './types.ts';

/** Takes the reading where it changes nothing; false leaves it, and everything, to the long way. */
export function takesCalmly(state: FeederState, settings: ControlSettings, reading: ControlReading): boolean {
  const { L1, L2, L3, N } = state;
  const { atRisk, emergency, inverse, thermal, neutral, staleAfterMs, ratingA } = settings;
  if (neutral !== undefined) return false;
  if (state.episode !== null || state.testUntilMs !== null || state.blind || state.heatAssumed) return false;
  if (state.alarms.length > 0 || state.blocks.length > 0) return false;
  const { atMs, exporting } = reading;
  if (atMs < state.steppedToMs || (exporting !== undefined && exporting.length > 0)) return false;
  let belowA = atRisk.pickupA;
  if (emergency !== undefined && emergency.pickupA < belowA) belowA = emergency.pickupA;
  if (inverse !== undefined && inverse.pickupA < belowA) belowA = inverse.pickupA;
  const fromMs = atMs - staleAfterMs;
  // Under it a phase may have gone dead, which the long way looks at.
  const leastA = ratingA * DEAD_SHARE;
  if (!(isPlain(reading.L1, leastA, belowA) && isCalm(L1, fromMs))) return false;
  if (!(isPlain(reading.L2, leastA, belowA) && isCalm(L2, fromMs))) return false;
  if (!(isPlain(reading.L3, leastA, belowA) && isCalm(L3, fromMs))) return false;
  if (!(isAtRest(N.atRisk) && isAtRest(N.emergency))) return false;
  if (thermal !== undefined) {
    if (!(isCool(L1, thermal, reading.L1) && isCool(L2, thermal, reading.L2) && isCool(L3, thermal, reading.L3)))
      return false;
    warm(L1, thermal, reading.L1, atMs);
    warm(L2, thermal, reading.L2, atMs);
    warm(L3, thermal, reading.L3, atMs);
  }
  // One object for the time of all three: each store of its own would make one.
  L1.usableMs = atMs;
  const boxedMs = L1.usableMs;
  take(L1, reading.L1, boxedMs);
  take(L2, reading.L2, boxedMs);
  take(L3, reading.L3, boxedMs);
  takeNeutral(N, reading.N, atMs);
  state.steppedToMs = atMs;
  state.runsAtOnce = 0;
  return true;
}

function isPlain({ currentA, quality }: ConductorInput, leastA: number, belowA: number): boolean {
  return quality === 'good' && currentA !== null && currentA >= leastA && currentA < belowA;
}

/** Seen well and lately, and no element has anything to count. */
function isCalm(phase: PhaseState, fromMs: number): boolean {
  const { usableMs, goodMs, quality, fresh, isDead, isReverse, exportsSinceMs } = phase;
  if (!fresh || quality !== 'good' || usableMs === null || usableMs < fromMs || goodMs !== usableMs) return false;
  if (isDead || isReverse || exportsSinceMs !== null) return false;
  const { atRisk, emergency, inverse, thermal, transformer } = phase;
  return isAtRest(atRisk) && isAtRest(emergency) && isAtRest(inverse) && isAtRest(thermal) && isAtRest(transformer);
}

function isCool({ thermal }: PhaseState, settings: ThermalSettings, { currentA }: ConductorInput): boolean {
  return staysCool(thermal, settings, currentA as number);
}

function warm({ thermal }: PhaseState, settings: ThermalSettings, { currentA }: ConductorInput, atMs: number): void {
  readThermal(thermal, settings, currentA as number, atMs, true, 'good');
}

function isAtRest({ status }: ElementState): boolean {
  return status === 'normal';
}

function take(phase: PhaseState, { currentA }: ConductorInput, atMs: PhaseState['usableMs']): void {
  phase.usableMs = atMs;
  phase.goodMs = atMs;
  phase.beforeLastA = phase.lastA;
  phase.lastA = currentA as number;
  phase.currentA = currentA as number;
}

/** No element watches it. */
function takeNeutral(neutral: FeederState['N'], { currentA, quality }: ConductorInput, atMs: number): void {
  if (quality === 'bad' || currentA === null || !Number.isFinite(currentA)) {
    neutral.quality = 'bad';
    neutral.fresh = false;
    return;
  }
  neutral.quality = quality;
  neutral.currentA = currentA;
  neutral.usableMs = atMs;
  if (quality === 'good') neutral.goodMs = atMs;
  neutral.fresh = true;
}
