// What the quality rules make of the rows of a trace: by far the most are good as they are. A row has its turn and is
// then written over, and so has the reading that is made of it.
import { wholeMilliamperes } from '../../acquisition/quality.ts';
import {
  type AlarmChange,
  judgeReading,
  newQualityMemory,
  type QualityRules,
} from '../../acquisition/quality-judge.ts';
import { qualityRules } from '../../acquisition/quality-rules.ts';
import type { Given } from '../../acquisition/source-reading.ts';
import { passesUnremarked } from '../../acquisition/unremarkable.ts';
import type { ControlReading } from '../../control/types.ts';
import { PHASES, type Phase, type Quality } from '../../feeder.ts';
import type { MeasuredSettings } from '../../feeder-settings.ts';
import { IS_WHOLE, type Row } from '../trace/sink.ts';

interface MutableConductor {
  currentA: number;
  quality: Quality;
}

export interface MutableReading {
  atMs: number;
  readonly L1: MutableConductor;
  readonly L2: MutableConductor;
  readonly L3: MutableConductor;
  readonly N: MutableConductor;
  exporting: readonly Phase[];
}

/** Readings further apart than so many minutes are no step of each other. */
const STEP_GAP_MAX_MS = 180_000;
/** Watts of an ampere, for the sign alone. */
const NOMINAL_V = 230;
const NOBODY: readonly Phase[] = [];

export function newReading(): MutableReading {
  const conductor = (): MutableConductor => ({ currentA: Number.NaN, quality: 'good' });
  return {
    atMs: Number.NaN,
    L1: conductor(),
    L2: conductor(),
    L3: conductor(),
    N: conductor(),
    exporting: NOBODY,
  };
}

export function setConductor(conductor: MutableConductor, currentA: number, quality: Quality): void {
  conductor.currentA = currentA;
  conductor.quality = quality;
}

export class JudgedRows {
  readonly #measured: MeasuredSettings;
  readonly #rules: QualityRules;
  readonly #memory = newQualityMemory();
  readonly #reading = newReading();
  readonly #odd: (atMs: number, change: AlarmChange) => void;

  /** `odd` hears of what begins or ends to be odd. */
  constructor(measured: MeasuredSettings, gapMs: number, odd: (atMs: number, change: AlarmChange) => void) {
    this.#measured = measured;
    this.#rules = traceRules(measured, gapMs);
    this.#odd = odd;
  }

  /** A number that no CT delivers is taken out of the row: it is no value for whoever counts the row either. */
  judge(row: Row): ControlReading {
    const atMs = row[0] as number;
    let L1 = row[1] as number;
    let L2 = row[2] as number;
    let L3 = row[3] as number;
    if (row[IS_WHOLE] !== 1) {
      L1 = wholeMilliamperes(L1);
      L2 = wholeMilliamperes(L2);
      L3 = wholeMilliamperes(L3);
    }
    const N = Math.abs(row[4] as number);
    if (!passesUnremarked(this.#memory, this.#rules, L1, L2, L3, N, atMs)) return this.#judgeOdd(row);
    const reading = this.#reading;
    reading.atMs = atMs;
    setConductor(reading.L1, L1, 'good');
    setConductor(reading.L2, L2, 'good');
    setConductor(reading.L3, L3, 'good');
    setConductor(reading.N, N, N >= 0 ? 'good' : 'bad');
    return reading;
  }

  #judgeOdd(row: Row): ControlReading {
    const { id, currents: from } = this.#measured;
    const [atMs, L1, L2, L3, N] = row as unknown as [number, number, number, number, number];
    const given = (value: number): Given => (Number.isNaN(value) ? 'unavailable' : value);
    const powerW = Object.fromEntries(
      PHASES.flatMap((name, index) => {
        const value = row[index + 1] as number;
        return Number.isNaN(value) ? [] : [[name, value * NOMINAL_V]];
      }),
    );
    const currents = { L1: given(L1), L2: given(L2), L3: given(L3), N: given(N) };
    const about = { feederId: id, sourceId: from.source, atMs, powerW };
    const changes: AlarmChange[] = [];
    const judged = judgeReading(this.#memory, this.#rules, { ...about, ...currents }, atMs, changes);
    for (const change of changes) this.#odd(atMs, change);
    for (const [index, name] of PHASES.entries()) if (judged[name].quality === 'bad') row[index + 1] = Number.NaN;
    return judged;
  }
}

/**
 * The rules for a trace: its amperes are primary, it has no liveness register and no time stamp of a source, and between
 * readings far apart nothing is a step.
 */
function traceRules(measured: MeasuredSettings, gapMs: number): QualityRules {
  const { ctRatio } = measured;
  const primary = ctRatio && { primaryA: ctRatio.primaryA, secondaryA: ctRatio.primaryA };
  const rules = qualityRules(measured, primary, gapMs);
  const stepA = gapMs > STEP_GAP_MAX_MS ? null : rules.stepA;
  return { ...rules, stepA, frozenMs: null, sourceTimeMs: null };
}
