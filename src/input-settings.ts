// Settings of what a feeder is measured by: the source that it takes its currents from, a backup for it, and the rules
// by which a reading is judged. Every rule can be tuned, and all but the sanity of a number be switched off.
import { z } from 'zod';
import { amperes, id, seconds } from './setting-units.ts';

/** OPC UA Part 6, 5.3.1.10: an identifier of kind i, s, g or b in a namespace. */
const nodeId = z
  .string()
  .max(500)
  .regex(/^(ns=\d+;)?[isgb]=.+$/, 'a node id of the server, as "ns=1;s=F1.L1"');

/** What a feeder takes from a source. Node ids are for OPC UA; a Modbus source has them in its register map. */
const input = {
  source: id,
  circuit: z.int().min(1).max(1_000).default(1).describe('which feeder of a meter that measures several'),
  neutral: z
    .enum(['measured', 'estimated'])
    .default('measured')
    .describe('estimated: from the phases where a Modbus meter gives none, and never good'),
  L1: nodeId.optional().describe('OPC UA: the node that gives this current in amperes'),
  L2: nodeId.optional(),
  L3: nodeId.optional(),
  N: nodeId.optional(),
  power: z
    .strictObject({ L1: nodeId, L2: nodeId, L3: nodeId })
    .optional()
    .describe('OPC UA: the nodes that give active power in watts, for its sign'),
  liveness: nodeId
    .optional()
    .describe('OPC UA: a node of the same meter that moves while it lives, as frequency or a counter'),
};

export const ctRatio = z.strictObject({ primaryA: amperes, secondaryA: amperes });

export const currents = z.strictObject(input).describe('the source of L1, L2, L3 and N');

export const backup = z
  .strictObject({
    ...input,
    ctRatio: ctRatio.optional().describe('only where the backup reports secondary amperes'),
    backAfterS: seconds.default(300).describe('how long the preferred source must be good before it is taken again'),
  })
  .describe('the source that is used while the other gives no usable reading');

const orOff = (value: z.ZodNumber) => z.union([value, z.literal('off')]);

/** What is bad and what only uncertain is fixed; from where on is not. */
export const quality = z
  .strictObject({
    ctRangePercent: orOff(z.number().positive()).default(120).describe('of the CT’s primary: uncertain from there on'),
    impossibleTimes: orOff(z.number().min(1)).default(30).describe('times the CT’s primary, or ratingA: bad beyond'),
    stepPercent: orOff(z.number().positive())
      .default(100)
      .describe('of ratingA, from one reading to the next: uncertain until the next confirms it'),
    apartPercent: orOff(z.number().positive().max(100))
      .default(2)
      .describe('of the highest phase: a phase lower than this for a minute is uncertain'),
    neutralPercent: orOff(z.number().min(100)).default(110).describe('of the sum of the phases: uncertain above'),
    frozenS: orOff(z.number().positive()).default(900).describe('a current that stands still for this long'),
    sourceTimeS: orOff(z.number().positive())
      .default(60)
      .describe('between the source’s time stamp and this clock: uncertain beyond'),
    wrongSignS: orOff(z.number().positive())
      .default(600)
      .describe('of negative power where powerSign is unknown: the alarm `wiring`'),
    noLoadS: orOff(z.number().positive())
      .default(86_400)
      .describe('of next to no current on any phase: the alarm `noLoad`'),
  })
  .prefault({});

export type InputSettings = z.output<typeof currents>;
