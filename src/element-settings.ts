// Settings of what watches a conductor, the same on a feeder and on a transformer.
import { z } from 'zod';
import { amperes, seconds } from './setting-units.ts';

/** PTOC in IEC 61850 words: pickupA = StrVal, delayS = OpDlTmms, resetDelayS = RsDlTmms. */
export const definiteTime = z.strictObject({
  pickupA: amperes.describe('picks up at or above this current on any phase'),
  dropoutA: amperes.describe('drops out below this current'),
  delayS: seconds.describe('from pickup to operation'),
  resetDelayS: seconds.describe('under dropout before it has dropped out'),
});

/** PTOC with a curve. */
export const inverse = z.strictObject({
  curve: z.enum(['SI', 'VI', 'EI']).describe('IEC 60255-151: standard, very or extremely inverse'),
  pickupA: amperes.describe('the curve begins here; it operates in finite time above'),
  timeMultiplier: z.number().positive().max(100).describe('TMS: t = TMS·k / ((I/pickupA)^α − 1)'),
  dropoutA: amperes.describe('drops out below this current; where requests aim'),
  resetDelayS: seconds.describe('under pickup before what has run is lost; under dropout before it has dropped out'),
});

export const minutes = z.number().min(0.5).max(1000);

/** PTTR in IEC 61850 words. */
export const thermal = z.strictObject({
  ratingA: amperes.describe('the current that brings 100 % in the end'),
  timeConstantMin: minutes.describe('while it heats'),
  coolingTimeConstantMin: minutes.optional().describe('while it cools; as timeConstantMin where it is left out'),
  leadTimeMin: z.number().min(0).max(1000).default(15).describe('picks up when 100 % is at most this far away'),
  resetPercent: z.number().positive().max(99).default(95).describe('drops out at or below this heat'),
  alarmPercent: z.number().min(5).max(100).optional().describe('alarm at or above this heat; none without it'),
});
