// The meter of a transformer against the sum of the feeders on it (Kirchhoff). Magnitudes are all that is compared, so
// it takes a difference that no ordinary power factor makes, for half an hour without a break: a feeder that is not
// metered or whose CT ratio is wrong, a busbar meter that is dead or reads a part, a CT the wrong way round. Of the
// recorded winter weeks of 36 substations it finds those that are known to be so and no other. It only alarms: which of
// the two is wrong nobody can tell from here. Pure; its memory is plain data, stepped in place.
import { type FeederReading, PHASES, type Phase, rounded } from '../feeder.ts';
import { type AlarmChange, NOISE } from './quality-judge.ts';

export interface SumRules {
  /** Ids of the feeders that hang on the transformer. */
  readonly feeders: readonly string[];
  /** Of the larger of the two. */
  readonly percent: number;
  /** Rated current of the transformer. */
  readonly ratingA: number;
  /** A feeder's reading that is older is none. */
  readonly staleAfterMs: number;
}

interface PhaseSum {
  offSinceMs: number | null;
  isStanding: boolean;
  seenMs: number;
}

export interface SumMemory {
  readonly latest: Map<string, FeederReading>;
  readonly phases: { readonly [P in Phase]: PhaseSum };
}

const HOLD_MS = 1_800_000;
/** For the engineer to come, as the wiring alarm: it has to be right for a day of load and rest. */
const REST_MS = 86_400_000;

export function newSumMemory(): SumMemory {
  const phase = (): PhaseSum => ({ offSinceMs: null, isStanding: false, seenMs: 0 });
  return { latest: new Map(), phases: { L1: phase(), L2: phase(), L3: phase() } };
}

/** Keeps the reading of a feeder. */
export function noteFeeder({ latest }: SumMemory, reading: FeederReading): void {
  latest.set(reading.feederId, reading);
}

/** Compares a reading of the transformer; alarms that begin or end are added to `out`. */
export function checkSum(memory: SumMemory, rules: SumRules, reading: FeederReading, out: AlarmChange[]): void {
  for (const name of PHASES) {
    const phase = memory.phases[name];
    const ownA = reading[name].currentA;
    const sumA = sumOf(memory, rules, name, reading.atMs);
    // Unknown is neither right nor wrong.
    if (ownA === null || sumA === null) phase.offSinceMs = null;
    else judge(phase, rules, { name, ownA, sumA, atMs: reading.atMs }, out);
  }
}

function judge(
  phase: PhaseSum,
  { percent, ratingA }: SumRules,
  { name, ownA, sumA, atMs }: { name: Phase; ownA: number; sumA: number; atMs: number },
  out: AlarmChange[],
): void {
  const isOff = Math.abs(ownA - sumA) > (percent / 100) * Math.max(ownA, sumA) + NOISE * ratingA;
  phase.offSinceMs = isOff ? (phase.offSinceMs ?? atMs) : null;
  if (phase.offSinceMs !== null && atMs - phase.offSinceMs >= HOLD_MS) {
    phase.seenMs = atMs;
    if (phase.isStanding) return;
    phase.isStanding = true;
    const reason = `${rounded(ownA, 1)} A on ${name} of the transformer and ${rounded(sumA, 1)} A on its feeders together`;
    out.push({ alarm: 'sumOff', phase: name, standing: true, reason });
  } else if (phase.isStanding && atMs - phase.seenMs > REST_MS) {
    phase.isStanding = false;
    out.push({ alarm: 'sumOff', phase: name, standing: false, reason: 'its cause has not been seen since' });
  }
}

/** Null where one of the feeders gives no ampere; what is known to feed back is taken off. */
function sumOf({ latest }: SumMemory, { feeders, staleAfterMs }: SumRules, name: Phase, atMs: number): number | null {
  let sumA = 0;
  for (const id of feeders) {
    const reading = latest.get(id);
    const currentA = reading?.[name].currentA ?? null;
    if (reading === undefined || currentA === null || atMs - reading.atMs > staleAfterMs) return null;
    sumA += reading.exporting.includes(name) ? -currentA : currentA;
  }
  return Math.abs(sumA);
}
