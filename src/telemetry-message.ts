// What a feeder carried over an interval: small, because many substations are on metered cellular links. Intervals of
// one feeder follow one another without gap or overlap while the controller runs.
import { z } from 'zod';
import { id, percent, quality, time } from './message-fields.ts';

const conductor = z
  .strictObject({
    averageA: z.number().describe('over time: each usable reading counts until the next'),
    minA: z.number(),
    maxA: z.number(),
    quality: quality.describe('the worst that makes up at least a hundredth of the readings'),
  })
  .nullable()
  .describe('null without a usable reading');

export const telemetrySchema = z
  .strictObject({
    schema: z.literal('headroom/v1/telemetry'),
    substationId: id,
    feederId: id,
    start: time,
    end: time,
    reason: z.enum(['interval', 'change']).describe('change: said before its time, because something has changed'),
    readings: z.int().min(0),
    L1: conductor,
    L2: conductor,
    L3: conductor,
    N: conductor,
    state: z.string().max(64).describe('of control, at the end of the interval'),
    levelPercent: percent.describe('the lowest permitted level in force at the end of the interval; 100: no limit'),
    clockSynchronised: z.boolean(),
    historical: z.literal(true).optional().describe('late: said more than two minutes after its end'),
  })
  .describe('Averages and extremes of one feeder over an interval');
export type Telemetry = z.output<typeof telemetrySchema>;
