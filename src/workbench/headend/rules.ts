// The head end's own rules, which no edge can change: what it lets a feeder have (caps.ts), which chargers are behind
// which feeder, and where somebody has decided otherwise. A box that was stolen can say what it likes; this is what
// bounds it. Pure, but for the reading of the file.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { id, percent } from '../../message-fields.ts';
import type { Curtailment } from '../../messages.ts';

const noCap = z.int().min(0);

const capsSchema = z.strictObject({
  requestsPerHour: noCap.default(60).describe('limits and refreshes of a feeder in an hour; 0: no cap'),
  operationsPerDay: noCap.default(0).describe('first limits of a feeder in 24 h, but for emergencies; 0: no cap'),
  deepestLevelPercent: percent.default(0).describe('no device is sent a lower level'),
  longestLeaseS: z.number().min(1).default(7_200).describe('how long a request holds without another'),
  longestLimitS: z.number().min(1).default(21_600).describe('how long a feeder is limited without a pause of pauseS'),
  pauseS: z.number().min(0).default(1_800),
  minutesPerDay: z.number().min(0).default(0).describe('how long a feeder is limited in 24 h; 0: no cap'),
  feedersAtOnce: noCap.default(0).describe('of one substation; 0: no cap'),
});
export type HeadEndCaps = z.output<typeof capsSchema>;

const rulesSchema = z.strictObject({
  caps: capsSchema.prefault({}),
  targetGroups: z
    .record(id, z.strictObject({ substationId: id, feederId: id, version: z.int().min(1) }))
    .optional()
    .describe('which feeder each is behind, and its present version; without it every group is taken as it is named'),
  overridden: z
    .array(z.strictObject({ substationId: id, feederId: id, reason: z.string().min(1).max(200) }))
    .default([])
    .describe('feeders on which somebody has decided that nothing is to be limited'),
});
export type Rules = z.output<typeof rulesSchema>;

export const DEFAULT_RULES: Rules = rulesSchema.parse({});
/** For a bench on which the edge alone is looked at. */
export const NO_RULES: Rules = {
  ...DEFAULT_RULES,
  caps: {
    ...DEFAULT_RULES.caps,
    requestsPerHour: 0,
    longestLeaseS: Number.POSITIVE_INFINITY,
    longestLimitS: Number.POSITIVE_INFINITY,
  },
};

/** Throws in one line that names the file, the place and what is wrong there. */
export function readRules(file: string): Rules {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`);
  }
  const parsed = rulesSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join('.') || 'rules'}: ${issue?.message}`);
}

/** Whether the chargers that a request names are behind its feeder, with a remark where its version is not ours. */
export function judgeTarget(
  { targetGroup: { id: group, version }, substationId, feederId }: Curtailment,
  { targetGroups }: Rules,
): { readonly refused: string } | { readonly remark: string | null } {
  if (targetGroups === undefined) return { remark: null };
  const known = targetGroups[group];
  if (known === undefined) return { refused: `target group ${group} is not known here` };
  if (known.substationId !== substationId || known.feederId !== feederId)
    return { refused: `target group ${group} is not behind this feeder` };
  if (version === known.version) return { remark: null };
  return { remark: `target group ${group} is version ${known.version} here, not ${version}: its present devices` };
}

/** Why nothing is to be limited on the feeder of a request; null where nobody has said so. */
export function overriddenBy({ substationId, feederId, action }: Curtailment, { overridden }: Rules): string | null {
  if (action === 'release') return null;
  const found = overridden.find((one) => one.substationId === substationId && one.feederId === feederId);
  return found?.reason ?? null;
}
