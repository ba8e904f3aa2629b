// What one turn of a source is worth for a feeder: the one place where quality is decided, for every kind of source.
//
// Quality never hides an overload. `bad` is only what cannot be an ampere: no answer, a sentinel, no number, more than
// a CT delivers, or a meter that has stood still for a quarter of an hour together with its liveness register. All else
// that is odd is `uncertain` and stays in use: a step may be a supply restored, a phase at 0 a blown fuse, a value that
// stands still a secondary injection. Pure: the reading, the rules and the time come in, the judged reading and the
// alarms that began or ended go out; the memory is plain data, stepped in place.
import {
  CONDUCTORS,
  type Conductor,
  type ConductorReading,
  type FeederReading,
  PHASES,
  type Phase,
} from '../feeder.ts';
import { bad, judgeCurrent, type Plausibility } from './quality.ts';
import type { MeasurementAlarm, MeasurementAlarmName, SourceReading } from './source-reading.ts';

/** A rule that is switched off is null. */
export interface QualityRules {
  readonly plausibility: Plausibility;
  /** What the percentages of the rules refer to. */
  readonly ratingA: number;
  readonly stepA: number | null;
  readonly apartPercent: number | null;
  readonly neutralPercent: number | null;
  readonly frozenMs: number | null;
  readonly sourceTimeMs: number | null;
  readonly wrongSignMs: number | null;
  readonly noLoadMs: number | null;
  readonly signConfirmed: { readonly [P in Phase]: boolean };
  /** Between two readings that are further apart nothing is called a step. */
  readonly staleAfterMs: number;
}

interface PhaseMemory {
  /** The latest current, NaN before the first, and since when it has stood there. */
  currentA: number;
  atMs: number;
  stillSinceMs: number;
  /** Since when what the name says has been so without a break; null while it is not. */
  apartSinceMs: number | null;
  negativeSinceMs: number | null;
}

/** What is remembered of one feeder on one source. */
export interface QualityMemory {
  readonly phases: { readonly [P in Phase]: PhaseMemory };
  liveness: number | null;
  livenessSinceMs: number;
  /** The source's latest time stamp, and how far behind this clock it was when something last moved. */
  sourceWallMs: number | null;
  sourceBehindMs: number;
  neutralSinceMs: number | null;
  quietSinceMs: number | null;
  /** By alarm and phase: when its cause was last seen. */
  readonly standing: Map<string, { phase: Phase | null; alarm: MeasurementAlarmName; seenMs: number }>;
}

/** An alarm that began or ended. */
export type AlarmChange = Omit<MeasurementAlarm, 'feederId' | 'sourceId'>;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** An alarm stands for this long after its cause was last seen, so that one that comes and goes is one. */
const REST_MS = MINUTE_MS;
/** A wiring alarm is for the engineer to come: the sign has to be right for a whole day of load and rest. */
const WIRING_REST_MS = DAY_MS;
/** Load is single-phase homes: for a minute, and below a fifth of the rating always, a phase may be near 0 by itself. */
const APART_MS = MINUTE_MS;
export const APART_FROM = 0.2;
/** The neutral is read up to some seconds apart from the phases. */
const NEUTRAL_MS = 10_000;
/** Noise of a meter near 0, as a part of the rating. */
export const NOISE = 0.02;
export const NO_LOAD = 0.01;
/** Watts behind an ampere, near enough to tell noise from load. */
const NOMINAL_V = 230;

export function newQualityMemory(): QualityMemory {
  const phase = (): PhaseMemory => ({
    currentA: Number.NaN,
    atMs: 0,
    stillSinceMs: 0,
    apartSinceMs: null,
    negativeSinceMs: null,
  });
  return {
    phases: { L1: phase(), L2: phase(), L3: phase() },
    liveness: null,
    livenessSinceMs: 0,
    sourceWallMs: null,
    sourceBehindMs: 0,
    neutralSinceMs: null,
    quietSinceMs: null,
    standing: new Map(),
  };
}

type Judged = { [C in Conductor]: ConductorReading };
/** Says that the cause of an alarm is there now. */
type Raise = (alarm: MeasurementAlarmName, phase: Phase | null, reason: string) => void;

/** Judges one turn. `wallMs` is this clock's label of the arrival; alarms that begin or end are added to `out`. */
export function judgeReading(
  memory: QualityMemory,
  rules: QualityRules,
  reading: SourceReading,
  wallMs: number,
  out: AlarmChange[],
): FeederReading {
  const { feederId, sourceId, atMs, powerW } = reading;
  const judged: Judged = {
    L1: judgeCurrent(reading.L1, rules.plausibility),
    L2: judgeCurrent(reading.L2, rules.plausibility),
    L3: judgeCurrent(reading.L3, rules.plausibility),
    N: judgeCurrent(reading.N, rules.plausibility),
  };
  const raise: Raise = (alarm, phase, reason) => raiseAlarm(memory, { alarm, phase, reason }, atMs, out);
  judgeStill(memory, rules, reading, judged, raise);
  for (const name of PHASES) judgeStep(memory.phases[name], rules, name, judged, atMs, raise);
  judgeApart(memory, rules, judged, atMs, raise);
  judgeNeutral(memory, rules, judged, atMs, raise);
  judgeSourceTime(memory, rules, reading, judged, wallMs, raise);
  judgeSign(memory, rules, reading, raise);
  judgeLoad(memory, rules, judged, atMs, raise);
  sayWhatIsOdd(judged, raise);
  endAlarms(memory, atMs, out);
  for (const name of PHASES) remember(memory.phases[name], judged[name], atMs);
  const exporting = PHASES.filter((name) => rules.signConfirmed[name] && (powerW?.[name] ?? 0) < 0);
  return { feederId, sourceId, atMs, ...judged, exporting };
}

/** An uncertain reason never replaces an earlier one: the first that was found says it best. */
function doubt(judged: Judged, name: Conductor, reason: ConductorReading['reason']): void {
  const { currentA, quality } = judged[name];
  if (quality === 'good') judged[name] = { currentA, quality: 'uncertain', reason };
}

/**
 * Values that stand still. With a liveness register the meter itself says whether it lives; without one a current that
 * stands still is doubtful, except near 0, where an unused way always is.
 */
function judgeStill(
  memory: QualityMemory,
  { frozenMs, ratingA }: QualityRules,
  { atMs, liveness }: SourceReading,
  judged: Judged,
  raise: Raise,
): void {
  if (liveness !== undefined && liveness !== memory.liveness) {
    memory.liveness = liveness;
    memory.livenessSinceMs = atMs;
  }
  if (frozenMs === null) return;
  const still = PHASES.filter((name) => {
    const { currentA, stillSinceMs } = memory.phases[name];
    return judged[name].currentA === currentA && atMs - stillSinceMs >= frozenMs;
  });
  if (liveness !== undefined) {
    if (still.length < PHASES.length || atMs - memory.livenessSinceMs < frozenMs) return;
    for (const name of CONDUCTORS) judged[name] = bad('frozen');
    return raise('frozen', null, `no value of the meter has moved for ${frozenMs / 1000} s`);
  }
  for (const name of still) {
    if ((judged[name].currentA ?? 0) < NO_LOAD * ratingA) continue;
    doubt(judged, name, 'frozen');
    raise('frozen', name, `${name} has stood at ${judged[name].currentA} A for ${frozenMs / 1000} s`);
  }
}

function judgeStep(
  { currentA, atMs: beforeMs }: PhaseMemory,
  { stepA, staleAfterMs }: QualityRules,
  name: Phase,
  judged: Judged,
  atMs: number,
  raise: Raise,
): void {
  const now = judged[name].currentA;
  if (stepA === null || now === null || atMs - beforeMs > staleAfterMs) return;
  if (!(Math.abs(now - currentA) > stepA)) return;
  doubt(judged, name, 'step');
  raise('step', name, `${name} from ${currentA} A to ${now} A at once`);
}

function judgeApart(memory: QualityMemory, rules: QualityRules, judged: Judged, atMs: number, raise: Raise): void {
  const { apartPercent, ratingA } = rules;
  if (apartPercent === null) return;
  const highestA = Math.max(...PHASES.map((name) => judged[name].currentA ?? 0));
  for (const name of PHASES) {
    const { currentA } = judged[name];
    const phase = memory.phases[name];
    const apart = currentA !== null && highestA > APART_FROM * ratingA && currentA < (apartPercent / 100) * highestA;
    if (currentA === null) continue;
    phase.apartSinceMs = apart ? (phase.apartSinceMs ?? atMs) : null;
    if (phase.apartSinceMs === null || atMs - phase.apartSinceMs < APART_MS) continue;
    doubt(judged, name, 'phasesApart');
    raise('phasesApart', name, `${name} at ${currentA} A while another phase carries ${highestA} A`);
  }
}

/** Kirchhoff: the neutral carries at most what the phases do. If it seems to carry more, a phase may read too low. */
function judgeNeutral(memory: QualityMemory, rules: QualityRules, judged: Judged, atMs: number, raise: Raise): void {
  const { neutralPercent, ratingA } = rules;
  const all = CONDUCTORS.map((name) => judged[name].currentA);
  const [L1, L2, L3, N] = all;
  if (neutralPercent === null || L1 == null || L2 == null || L3 == null || N == null) {
    memory.neutralSinceMs = null;
    return;
  }
  const mostA = ((L1 + L2 + L3) * neutralPercent) / 100 + NOISE * ratingA;
  memory.neutralSinceMs = N > mostA ? (memory.neutralSinceMs ?? atMs) : null;
  if (memory.neutralSinceMs === null || atMs - memory.neutralSinceMs < NEUTRAL_MS) return;
  for (const name of CONDUCTORS) doubt(judged, name, 'neutralTooLarge');
  raise('neutralTooLarge', null, `${N} A in the neutral and ${L1 + L2 + L3} A in the phases together`);
}

/**
 * Many servers stamp a value when it changes, so an old stamp on a steady current says nothing: stamps are held against
 * this clock when one of the two has moved. One from the future is off in any case.
 */
function judgeSourceTime(
  memory: QualityMemory,
  { sourceTimeMs }: QualityRules,
  { sourceWallMs }: SourceReading,
  judged: Judged,
  wallMs: number,
  raise: Raise,
): void {
  if (sourceTimeMs === null || sourceWallMs === undefined) return;
  const behindMs = wallMs - sourceWallMs;
  const hasMoved =
    sourceWallMs !== memory.sourceWallMs ||
    PHASES.some((name) => judged[name].currentA !== memory.phases[name].currentA);
  const isFirst = memory.sourceWallMs === null;
  if (hasMoved) memory.sourceBehindMs = isFirst ? Math.min(0, behindMs) : behindMs;
  memory.sourceWallMs = sourceWallMs;
  if (Math.abs(memory.sourceBehindMs) <= sourceTimeMs) return;
  for (const name of CONDUCTORS) doubt(judged, name, 'sourceTime');
  const offS = Math.abs(Math.round(memory.sourceBehindMs / 1000));
  raise('sourceTime', null, `the source’s time stamp is ${offS} s ${memory.sourceBehindMs > 0 ? 'behind' : 'ahead'}`);
}

/** Negative power where there should be none: the CT is the wrong way round, or on another phase than its voltage. */
function judgeSign(
  memory: QualityMemory,
  { wrongSignMs, ratingA, signConfirmed }: QualityRules,
  { atMs, powerW }: SourceReading,
  raise: Raise,
): void {
  if (wrongSignMs === null || powerW === undefined) return;
  for (const name of PHASES) {
    const phase = memory.phases[name];
    const watts = powerW[name];
    if (watts === undefined || signConfirmed[name]) continue;
    phase.negativeSinceMs = watts < -NOISE * ratingA * NOMINAL_V ? (phase.negativeSinceMs ?? atMs) : null;
    if (phase.negativeSinceMs === null || atMs - phase.negativeSinceMs < wrongSignMs) continue;
    const rounded = Math.round(watts / 100) / 10;
    raise(
      'wiring',
      name,
      `${rounded} kW on ${name}, whose power sign is unknown: look at the CT before it is confirmed`,
    );
  }
}

/** An unused way, or a CT that nobody has connected; only the engineer can tell, so the quality stays as it is. */
function judgeLoad(memory: QualityMemory, rules: QualityRules, judged: Judged, atMs: number, raise: Raise): void {
  const { noLoadMs, ratingA } = rules;
  if (noLoadMs === null) return;
  const quiet = PHASES.every((name) => {
    const { currentA } = judged[name];
    return currentA === null || currentA < NO_LOAD * ratingA;
  });
  memory.quietSinceMs = quiet ? (memory.quietSinceMs ?? atMs) : null;
  if (memory.quietSinceMs === null || atMs - memory.quietSinceMs < noLoadMs) return;
  raise(
    'noLoad',
    null,
    `next to no current on any phase for ${Math.round((atMs - memory.quietSinceMs) / 3_600_000)} h`,
  );
}

/** These belong to the source as a whole, and its own event tells of them. */
const OF_THE_SOURCE = new Set(['noAnswer', 'exception', 'invalidFrame', 'disconnected']);

function sayWhatIsOdd(judged: Judged, raise: Raise): void {
  const allSilent = PHASES.every((name) => OF_THE_SOURCE.has(judged[name].reason ?? ''));
  for (const name of PHASES) {
    const { currentA, quality, reason } = judged[name];
    if (quality === 'bad' && reason !== 'frozen' && !allSilent) raise('badReading', name, `${name} is bad: ${reason}`);
    if (reason === 'overCtRange') raise(reason, name, `${currentA} A on ${name}, beyond the range of the CT`);
    if (reason === 'sourceDoubts') raise(reason, name, `the source doubts its own ${currentA} A on ${name}`);
  }
}

function raiseAlarm(
  memory: QualityMemory,
  { alarm, phase, reason }: { alarm: MeasurementAlarmName; phase: Phase | null; reason: string },
  atMs: number,
  out: AlarmChange[],
): void {
  const key = `${alarm} ${phase ?? ''}`;
  const standing = memory.standing.get(key);
  if (standing !== undefined) standing.seenMs = atMs;
  else {
    memory.standing.set(key, { alarm, phase, seenMs: atMs });
    out.push({ alarm, phase, standing: true, reason });
  }
}

function endAlarms(memory: QualityMemory, atMs: number, out: AlarmChange[]): void {
  for (const [key, { alarm, phase, seenMs }] of memory.standing) {
    if (atMs - seenMs <= (alarm === 'wiring' ? WIRING_REST_MS : REST_MS)) continue;
    memory.standing.delete(key);
    out.push({ alarm, phase, standing: false, reason: 'its cause has not been seen since' });
  }
}

function remember(phase: PhaseMemory, { currentA }: ConductorReading, atMs: number): void {
  if (currentA === null) return;
  if (currentA !== phase.currentA) phase.stillSinceMs = atMs;
  phase.currentA = currentA;
  phase.atMs = atMs;
}
