// The rules by which the readings of a feeder are judged, from its settings: percentages become amperes, and a rule that
// is switched off becomes null. Pure.
import type { PHASES } from '../feeder.ts';
import type { MeasuredSettings } from '../feeder-settings.ts';
import type { QualityRules } from './quality-judge.ts';

type Ratio = MeasuredSettings['ctRatio'];

/** `ratio` is that of the source in question: preferred and backup may have different CTs. */
export function qualityRules(feeder: MeasuredSettings, ratio: Ratio, staleAfterMs: number): QualityRules {
  const { quality, powerSign } = feeder;
  const ratingA = Math.max(...feeder.settings.map((group) => group.ratingA));
  const primaryA = ratio?.primaryA ?? null;
  const confirmed = (phase: (typeof PHASES)[number]) =>
    (typeof powerSign === 'string' ? powerSign : powerSign[phase]) === 'confirmed';
  return {
    plausibility: {
      ratio: ratio === undefined ? 1 : ratio.primaryA / ratio.secondaryA,
      ctRangeA: primaryA === null ? null : scaled(quality.ctRangePercent, primaryA / 100),
      impossibleA: scaled(quality.impossibleTimes, primaryA ?? ratingA),
    },
    ratingA,
    stepA: scaled(quality.stepPercent, ratingA / 100),
    apartPercent: scaled(quality.apartPercent, 1),
    neutralPercent: scaled(quality.neutralPercent, 1),
    frozenMs: scaled(quality.frozenS, 1000),
    sourceTimeMs: scaled(quality.sourceTimeS, 1000),
    wrongSignMs: scaled(quality.wrongSignS, 1000),
    noLoadMs: scaled(quality.noLoadS, 1000),
    signConfirmed: { L1: confirmed('L1'), L2: confirmed('L2'), L3: confirmed('L3') },
    staleAfterMs,
  };
}

function scaled(value: number | 'off', by: number): number | null {
  return value === 'off' ? null : value * by;
}
