// The heat of a transformer's hot spot: two parts, the oil and what the winding adds to it, each of which goes to the
// steady state of the current by a time constant of its own (IEC 60076-7, the difference equations, exact for a step;
// k21 = 1, so that there is no overshoot term). Both in percent of the rise from ambientC to hotSpotC. The sum of two
// exponentials has at most one turning point, so the instant at which it passes a level is found by bisection.
import type { OilSettings, ThermalState } from './types.ts';

type Parts = Pick<ThermalState, 'heatPercent' | 'windingPercent'>;

const NEVER = Number.POSITIVE_INFINITY;
const MINUTE_MS = 60_000;
/** Halvings of an interval of milliseconds: down to the last bit that matters. */
const HALVINGS = 60;
/**
 * The winding is at its steady heat from here on. No more than resetPercent leaves to 100 %, so that what has dropped out
 * cannot be due to operate at once.
 */
const WINDING_STEADY_PERCENT = 1;
/** What a logarithm may be short of a level. */
const ROUNDING_PERCENT = 1e-9;

/** Steady heat of the oil at `currentA`: the rise of the top oil is Δθor · ((1 + R·K²) / (1 + R))^x. */
export function oilSteadyPercent(oil: OilSettings, ratingA: number, currentA: number): number {
  const { topOilRiseK, lossRatio, oilExponent } = oil;
  const load = (currentA / ratingA) ** 2;
  return percentOf(oil, topOilRiseK * ((1 + lossRatio * load) / (1 + lossRatio)) ** oilExponent);
}

/** Steady heat that the winding adds: the hot spot is K^y · Δθhr over the top oil. */
export function windingSteadyPercent(oil: OilSettings, ratingA: number, currentA: number): number {
  return percentOf(oil, oil.hotSpotGradientK * (currentA / ratingA) ** oil.windingExponent);
}

export function oilTauMs({ k11, oilTimeConstantMin }: OilSettings): number {
  return k11 * oilTimeConstantMin * MINUTE_MS;
}

function windingTauMs({ k22, windingTimeConstantMin }: OilSettings): number {
  return k22 * windingTimeConstantMin * MINUTE_MS;
}

/** One part, `forMs` after it was `fromPercent`, on its way to `steadyPercent`. */
export function approached(fromPercent: number, steadyPercent: number, forMs: number, tauMs: number): number {
  return steadyPercent + (fromPercent - steadyPercent) * Math.exp(-forMs / tauMs);
}

/** The hot spot after `forMs` of `currentA`. */
export function hotSpotAt(from: Parts, oil: OilSettings, ratingA: number, currentA: number, forMs: number): number {
  const parts = { heatPercent: from.heatPercent, windingPercent: from.windingPercent };
  approach(parts, oil, ratingA, currentA, forMs);
  return parts.heatPercent + parts.windingPercent;
}

/** Both parts after `forMs` of `currentA`. */
export function approach(parts: Parts, oil: OilSettings, ratingA: number, currentA: number, forMs: number): void {
  const { heatPercent, windingPercent } = parts;
  parts.heatPercent = approached(heatPercent, oilSteadyPercent(oil, ratingA, currentA), forMs, oilTauMs(oil));
  const windingEnd = windingSteadyPercent(oil, ratingA, currentA);
  parts.windingPercent = approached(windingPercent, windingEnd, forMs, windingTauMs(oil));
}

/**
 * Milliseconds, `fromMs` at the least, until the hot spot is at or below `resetPercent` and the oil so cool that at
 * `expectedA`, the winding being at its steady heat at once, 100 % is more than `safeMs` away; the winding must not be
 * hotter than that. Infinity where that does not come at the current that holds.
 */
export function hotSpotLowMs(
  state: ThermalState,
  oil: OilSettings,
  ratingA: number,
  resetPercent: number,
  expectedA: number,
  safeMs: number,
  fromMs: number,
): number {
  const { heatPercent, windingPercent, heatA } = state;
  const [oilEnd, windingEnd] = [oilSteadyPercent(oil, ratingA, heatA), windingSteadyPercent(oil, ratingA, heatA)];
  const coolPercent = coolOilPercent(oil, ratingA, expectedA, safeMs);
  const steadyPercent = windingSteadyPercent(oil, ratingA, expectedA) + WINDING_STEADY_PERCENT;
  const isLow = (ms: number) =>
    hotSpotAt(state, oil, ratingA, heatA, ms) <= resetPercent + ROUNDING_PERCENT &&
    approached(heatPercent, oilEnd, ms, oilTauMs(oil)) <= coolPercent + ROUNDING_PERCENT &&
    approached(windingPercent, windingEnd, ms, windingTauMs(oil)) <= steadyPercent + ROUNDING_PERCENT;
  const resetMs = hotSpotCrossingMs(state, oil, ratingA, heatA, resetPercent);
  const coolMs = fallMs(heatPercent, oilEnd, coolPercent, oilTauMs(oil));
  const steadyMs = fallMs(windingPercent, windingEnd, steadyPercent, windingTauMs(oil));
  return Math.min(...[fromMs, resetMs, coolMs, steadyMs].filter((ms) => ms >= fromMs && ms < NEVER && isLow(ms)));
}

/** Milliseconds until a part has fallen to `targetPercent`; Infinity where it is there or never comes. */
function fallMs(fromPercent: number, endPercent: number, targetPercent: number, tauMs: number): number {
  const share = (fromPercent - endPercent) / (targetPercent - endPercent);
  return share > 1 ? tauMs * Math.log(share) : NEVER;
}

/** The heat of the oil from which 100 % is `safeMs` away at `currentA`; where the oil ends under 100 %, 100 % itself. */
function coolOilPercent(oil: OilSettings, ratingA: number, currentA: number, safeMs: number): number {
  const oilEnd = oilSteadyPercent(oil, ratingA, currentA);
  const fullPercent = 100 - windingSteadyPercent(oil, ratingA, currentA);
  return oilEnd <= fullPercent ? fullPercent : oilEnd - (oilEnd - fullPercent) * Math.exp(safeMs / oilTauMs(oil));
}

/**
 * Milliseconds until the hot spot passes `targetPercent` at `currentA`, from the heat that `state` holds: upwards where it
 * is under the target now, else downwards. Infinity where it never does.
 */
export function hotSpotCrossingMs(
  { heatPercent, windingPercent }: Parts,
  oil: OilSettings,
  ratingA: number,
  currentA: number,
  targetPercent: number,
): number {
  const [oilMs, windingMs] = [oilTauMs(oil), windingTauMs(oil)];
  const oilEnd = oilSteadyPercent(oil, ratingA, currentA);
  const windingEnd = windingSteadyPercent(oil, ratingA, currentA);
  const isUnder = heatPercent + windingPercent < targetPercent;
  // Each part stays between where it is and where it ends: mostly that is enough to know.
  const extreme = isUnder ? Math.max : Math.min;
  const furthest = extreme(heatPercent, oilEnd) + extreme(windingPercent, windingEnd);
  if (furthest < targetPercent === isUnder) return NEVER;
  const at = (ms: number) =>
    approached(heatPercent, oilEnd, ms, oilMs) + approached(windingPercent, windingEnd, ms, windingMs) - targetPercent;
  const isPast = (ms: number) => at(ms) >= 0 === isUnder;
  // Where the parts go opposite ways their sum turns once; before and after it goes one way.
  const turnMs = turningMs(heatPercent - oilEnd, oilMs, windingPercent - windingEnd, windingMs);
  if (turnMs > 0 && turnMs < NEVER && isPast(turnMs)) return bisect(0, turnMs, isPast);
  const lastMs = HALVINGS * Math.max(oilMs, windingMs);
  return isPast(lastMs) ? bisect(Math.max(0, Math.min(turnMs, lastMs)), lastMs, isPast) : NEVER;
}

/** Where the slopes of a·e^(−t/τa) and b·e^(−t/τb) cancel; 0 where they never do. */
function turningMs(a: number, tauA: number, b: number, tauB: number): number {
  const ratio = (-b * tauA) / (a * tauB);
  return ratio > 0 && tauA !== tauB ? Math.max(0, Math.log(ratio) / (1 / tauB - 1 / tauA)) : 0;
}

/** The first instant in between at which it is past, which it is at `toMs` and stays from then on. */
function bisect(fromMs: number, toMs: number, isPast: (ms: number) => boolean): number {
  let [low, high] = [fromMs, toMs];
  for (let n = 0; n < HALVINGS; n++) {
    const middle = (low + high) / 2;
    if (isPast(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function percentOf({ ambientC, hotSpotC }: OilSettings, riseK: number): number {
  return (100 * riseK) / (hotSpotC - ambientC);
}
