// What each element does at a constant current, for secondary injection and for grading: the time from a step to
// operation, at multiples of the rating. The thermal element operates before 100 %, by its lead time; both times are
// told, from cold and after a long load at 0.8 of the rating.
import { inverseTimeS } from '../../control/inverse-time.ts';
import { hotSpotCrossingMs, oilSteadyPercent, windingSteadyPercent } from '../../control/oil-and-winding.ts';
import type { ElementSettings, OilSettings, ThermalSettings } from '../../control/types.ts';
import { rounded } from '../../feeder.ts';

export interface OperatingTime {
  /** Of the rating. */
  readonly multiple: number;
  readonly currentA: number;
  /** Seconds; null where the element never operates at that current, or is not set. */
  readonly atRiskS: number | null;
  readonly emergencyS: number | null;
  readonly inverseS: number | null;
  readonly thermalColdS: number | null;
  readonly thermalPreloadedS: number | null;
  /** Until the replica is at 100 %. */
  readonly fullColdS: number | null;
  readonly fullPreloadedS: number | null;
}

const MULTIPLES = [1, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2, 2.5, 3] as const;
/** Of the element's own rating, long before the step: what a loaded feeder has in the evening. */
export const PRELOAD = 0.8;

/** `ratingA` is what the multiples are of: that of the feeder, or the rated current of the transformer. */
export function operatingTimes(elements: ElementSettings, ratingA: number): OperatingTime[] {
  return MULTIPLES.map((multiple) => {
    const currentA = rounded(multiple * ratingA);
    const { thermal, inverse, emergency, atRisk } = elements;
    // Not the rounded current, which may be just over a rating that is reached and never passed.
    const full = (preload: number) =>
      thermal === undefined ? null : timeToFullS(thermal, multiple * ratingA, preload);
    const leadS = (thermal?.leadTimeMin ?? 0) * 60;
    const before = (fullS: number | null) => (fullS === null ? null : rounded(Math.max(0, fullS - leadS), 1));
    const [fullColdS, fullPreloadedS] = [full(0), full(PRELOAD)];
    return {
      multiple,
      currentA,
      atRiskS: definiteS(atRisk, currentA),
      emergencyS: definiteS(emergency, currentA),
      inverseS: inverse === undefined ? null : inverseS(inverse, currentA),
      thermalColdS: before(fullColdS),
      thermalPreloadedS: before(fullPreloadedS),
      fullColdS,
      fullPreloadedS,
    };
  });
}

function definiteS(element: ElementSettings['atRisk'], currentA: number): number | null {
  return element !== undefined && currentA >= element.pickupA ? element.delayS : null;
}

function inverseS(inverse: NonNullable<ElementSettings['inverse']>, currentA: number): number | null {
  const timeS = inverseTimeS(inverse, currentA);
  return Number.isFinite(timeS) ? rounded(timeS, 1) : null;
}

/** IEC 60255-149: τ · ln((m² − p²) / (m² − 1)), m the current and p the load before, of the element's own rating. */
export function timeToFullS(
  { ratingA, timeConstantMin, oil }: Pick<ThermalSettings, 'ratingA' | 'timeConstantMin' | 'oil'>,
  currentA: number,
  preload: number,
): number | null {
  if (oil !== undefined) return hotSpotFullS(oil, ratingA, currentA, preload);
  const heat = (currentA / ratingA) ** 2;
  if (heat <= 1) return null;
  return rounded(timeConstantMin * 60 * Math.log((heat - preload ** 2) / (heat - 1)), 1);
}

/** IEC 60076-7: until the hot spot is at hotSpotC; cold is the air's temperature, before the transformer was energised. */
function hotSpotFullS(oil: OilSettings, ratingA: number, currentA: number, preload: number): number | null {
  const beforeA = preload * ratingA;
  const parts = {
    heatPercent: preload === 0 ? 0 : oilSteadyPercent(oil, ratingA, beforeA),
    windingPercent: windingSteadyPercent(oil, ratingA, beforeA),
  };
  if (parts.heatPercent + parts.windingPercent >= 100) return 0;
  const fullMs = hotSpotCrossingMs(parts, oil, ratingA, currentA, 100);
  return Number.isFinite(fullMs) ? rounded(fullMs / 1000, 1) : null;
}
