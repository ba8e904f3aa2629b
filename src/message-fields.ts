// Fields that several messages of the MQTT contract share, so that the same name always holds the same thing.
import { z } from 'zod';
import { CONDUCTORS, ELEMENTS, PHASES } from './feeder.ts';

/** What the edge says: always UTC with milliseconds. */
export const time = z.iso.datetime({ precision: 3 }).describe('UTC, milliseconds');
/** What the head end says: UTC, with or without fractions of a second. */
export const outsideTime = z.iso.datetime().describe('UTC');
export const phase = z.enum(PHASES);
export const conductor = z.enum(CONDUCTORS);
export const perPhase = (value: z.ZodType<number>) => z.partialRecord(phase, value);
export const percent = z.number().min(0).max(100);
export const sequence = z.int().min(1);
export const id = z.string().min(1).max(64);
/** Elements that may pick up and ask for relief. */
export const element = z.enum(ELEMENTS);
export const quality = z.enum(['good', 'uncertain', 'bad']);
export const commandId = z
  .string()
  .regex(/^[\w.:-]{1,64}$/, '1 to 64 letters, digits, dots, colons, dashes and underscores')
  .describe('chosen by the head end, a UUID as a rule; never taken twice');

export const clock = z.strictObject({
  synchronised: z.boolean(),
  offsetMs: z
    .number()
    .nullable()
    .describe(
      'how far the clock is off; always null in this version, which can read whether a time service keeps it, not how well',
    ),
});
