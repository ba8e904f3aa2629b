// The quantities that settings are made of: an id, and numbers with the range that their unit can have.
import { z } from 'zod';

/** Ids end up in MQTT topics and file names: no wildcard, separator or space may be in them. */
const idForm = 'letters, digits, dot, dash or underscore, first a letter or digit, at most 64';
export const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, idForm)
  .describe(idForm);
export const amperes = z.number().positive().max(100_000);
export const seconds = z.number().min(0).max(10_000_000);
/** Levels are whole percents: 7.13 and 7.16 of DUIS know no others. */
export const wholePercent = z.int().min(0).max(100);
export const count = z.int().min(0).max(1_000_000);
