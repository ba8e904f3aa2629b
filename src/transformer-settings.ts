// Settings of the transformer above the feeders: its rating, where its currents come from, and its elements.
import { z } from 'zod';
import { definiteTime, inverse, minutes, thermal } from './element-settings.ts';
import type { MeasuredSettings } from './feeder-settings.ts';
import { ctRatio, currents, quality } from './input-settings.ts';
import { amperes, id } from './setting-units.ts';

/**
 * IEC 60076-7, the constants of oil and winding in place of one time constant. The defaults are its typical ones of ONAN
 * distribution transformers; the rises and the loss ratio are on the transformer's test sheet.
 */
const oil = z.strictObject({
  ambientC: z
    .number()
    .min(-50)
    .max(60)
    .default(20)
    .describe('of the air, taken as constant: the warmest to reckon with'),
  hotSpotC: z.number().min(80).max(180).default(120).describe('of the hot spot: 100 %'),
  topOilRiseK: z.number().positive().max(100).default(55).describe('of the top oil over the air at the rating'),
  hotSpotGradientK: z
    .number()
    .positive()
    .max(100)
    .default(23)
    .describe('of the hot spot over the top oil at the rating'),
  lossRatio: z.number().positive().max(50).default(5).describe('R: load losses over no-load losses at the rating'),
  oilExponent: z.number().positive().max(2).default(0.8).describe('x'),
  windingExponent: z.number().positive().max(3).default(1.6).describe('y'),
  oilTimeConstantMin: minutes.default(180),
  windingTimeConstantMin: minutes.default(4),
  k11: z.number().positive().max(5).default(1),
  k22: z.number().positive().max(5).default(2),
});

export const transformer = z.strictObject({
  ratingKva: z.number().positive().max(100_000),
  voltageV: z.number().positive().max(100_000).describe('between phases, on the side of the feeders'),
  feeders: z.array(id).min(1).max(200).describe('that hang on it'),
  currents: currents.optional().describe('of a meter of its own; without it the sum of its feeders counts'),
  ctRatio: ctRatio.optional().describe('only where that meter reports secondary amperes'),
  quality,
  sumPercent: z
    .union([z.number().positive().max(100), z.literal('off')])
    .default(25)
    .describe('between its meter and the sum of its feeders for half an hour: the alarm `sumOff`'),
  atRisk: definiteTime.optional(),
  emergency: definiteTime.optional(),
  inverse: inverse.optional(),
  thermal: thermal
    .extend({
      ratingA: amperes
        .optional()
        .describe('the current that brings 100 % in the end; by ratingKva where it is left out'),
      timeConstantMin: minutes.optional().describe('while it heats; or oil'),
      oil: oil.optional().describe('IEC 60076-7 in place of a time constant'),
    })
    .optional(),
});

export type GivenTransformer = z.output<typeof transformer>;

/** S = √3 · U · I. */
export function ratedCurrentA({ ratingKva, voltageV }: Pick<GivenTransformer, 'ratingKva' | 'voltageV'>): number {
  return (ratingKva * 1000) / (Math.sqrt(3) * voltageV);
}

/** The id under which its readings and its state go; no feeder may have it. */
export const TRANSFORMER = 'transformer';

/** What is measured of it; null where the sum of its feeders counts. */
export function measuredTransformer(given: GivenTransformer | undefined): MeasuredSettings | null {
  if (given?.currents === undefined) return null;
  const { currents: from, ctRatio: ratio, quality: rules } = given;
  const settings = [{ ratingA: ratedCurrentA(given) }];
  return { id: TRANSFORMER, currents: from, ctRatio: ratio, quality: rules, powerSign: 'unknown', settings };
}

/** Its meter as it is held against the sum of its feeders; null where it has none, or the rule is off. */
export function summedTransformer(given: GivenTransformer | undefined) {
  if (given?.currents === undefined || given.sumPercent === 'off') return null;
  return { id: TRANSFORMER, feeders: given.feeders, percent: given.sumPercent, ratingA: ratedCurrentA(given) };
}
