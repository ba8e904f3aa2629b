// Settings of a feeder: where its currents come from, whom its requests reach, and its settings groups.
import { z } from 'zod';
import { definiteTime, inverse, thermal } from './element-settings.ts';
import { backup, ctRatio, currents, quality } from './input-settings.ts';
import { amperes, count, id, seconds, wholePercent } from './setting-units.ts';

/** Elements of the neutral, off unless given. */
const neutral = z.strictObject({
  atRisk: definiteTime.optional(),
  emergency: definiteTime.optional(),
});

const curtailment = z
  .strictObject({
    mode: z.enum(['proportional', 'onOff']).default('proportional'),
    floorPercent: wholePercent.default(0).describe('lowest permitted level that a request may carry'),
    leaseS: seconds.positive().default(1800).describe('how long a limit lasts unless it is refreshed'),
    refreshS: seconds.positive().default(600).describe('how often a limit that is still needed is refreshed'),
    responseTimeS: seconds
      .default(720)
      .describe('until a request has taken its full effect; 0: closed loop off (bench, secondary injection)'),
    ackTimeoutS: seconds.positive().default(60).describe('until the first acknowledgement is due'),
    maxEpisodeS: seconds
      .positive()
      .default(14_400)
      .describe('after this the limit is released and the alarm `reinforce` raised'),
    releaseStepPercent: wholePercent.min(1).default(25).describe('a proportional limit is released in steps of this'),
    minOnS: seconds.default(0).describe('a limit lasts at least this long'),
    minOffS: seconds.default(0).describe('no new limit sooner than this after a release'),
    endSpreadS: seconds.default(600).describe('the head end spreads the ends of its devices over this time'),
    binary: z
      .strictObject({
        action: z
          .enum(['deactivate', 'signal', 'skip'])
          .default('deactivate')
          .describe(
            'deactivate: the switch cuts the charger off; signal: it tells it to drop to its preset; skip: none',
          ),
        atOrBelowPercent: wholePercent.lt(100).default(0).describe('permitted level from which down it is done'),
      })
      .prefault({})
      .describe('what is to be done to devices that know only on and off (HCALCS)'),
  })
  .prefault({});

const budget = z
  .strictObject({
    episodesPerYear: count
      .default(4)
      .describe('curtailments that customers may be asked for in a rolling year; 0: no budget'),
    minutesPerYear: z
      .number()
      .min(0)
      .default(40)
      .describe('minutes of full curtailment in a rolling year; 0: no budget'),
    refuseBeyond: z.boolean().default(false).describe('no new limit by atRisk beyond it; false: it only alarms'),
  })
  .prefault({});

const caps = z
  .strictObject({
    operationsPerDay: count.default(0).describe('new limits in 24 h; 0: no cap'),
    requestsPerHour: count.default(60).describe('limits and refreshes in an hour; 0: no cap'),
    deepestLevelPercent: wholePercent.default(0).describe('no request permits less than this'),
    longestLeaseS: seconds.positive().default(7200),
  })
  .prefault({});

const targetGroup = z.strictObject({ id, version: z.int().min(1) });

const monthDay = z.string().regex(/^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/, 'month and day, as "11-01"');
const timeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time of day, as "16:30"');

const calendar = z.strictObject({
  timeZone: z.string().min(1).max(64).describe('IANA name, as Europe/London'),
  from: monthDay.optional().describe('first day of the season; with `to`, which may be in the next year'),
  to: monthDay.optional().describe('last day of the season'),
  days: z
    .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
    .min(1)
    .optional()
    .describe('days of the week; every day where they are left out'),
  fromTime: timeOfDay.optional().describe('local time; with `toTime`, which may be after midnight'),
  toTime: timeOfDay.optional(),
});

const settingsGroup = z.strictObject({
  name: id,
  calendar: calendar.optional().describe('when the group is in force; the first that covers the time holds'),
  byCommand: z.boolean().default(false).describe('a command may put it in force'),
  targetGroup: targetGroup
    .nullable()
    .optional()
    .describe('instead of that of the feeder (back-feed); null: the group only alarms'),
  ratingA: amperes.describe('what the feeder may carry continuously'),
  atRisk: definiteTime,
  emergency: definiteTime.optional(),
  inverse: inverse.optional(),
  thermal: thermal.optional(),
  neutral: neutral.optional(),
  curtailment,
  budget,
  caps,
});

const powerSign = z.enum(['unknown', 'confirmed']).default('unknown');

export const feeder = z.strictObject({
  id,
  currents,
  backup: backup.optional(),
  ctRatio: ctRatio.optional().describe('only where the meter reports secondary amperes'),
  powerSign: z
    .union([powerSign, z.strictObject({ L1: powerSign, L2: powerSign, L3: powerSign })])
    .default('unknown')
    .describe('whether the sign of power may be trusted, for all phases or for each'),
  fuseA: amperes.optional(),
  targetGroup: targetGroup.optional().describe('the chargers behind this feeder; without it the feeder only alarms'),
  controllableA: z
    .strictObject({ L1: z.number().min(0), L2: z.number().min(0), L3: z.number().min(0) })
    .optional()
    .describe('first guess of what requests can move, per phase'),
  quality,
  settings: z.array(settingsGroup).min(1).max(8).describe('the settings groups, of which one is in force'),
});

export type FeederSettings = z.output<typeof feeder>;
export type SettingsGroup = FeederSettings['settings'][number];

/** What acquisition has to know of whatever is measured: a feeder, or the transformer. */
export interface MeasuredSettings
  extends Pick<FeederSettings, 'id' | 'currents' | 'backup' | 'ctRatio' | 'quality' | 'powerSign'> {
  readonly settings: readonly Pick<SettingsGroup, 'ratingA'>[];
}

/** The chargers that a group's requests reach; null where it only alarms. */
export function targetOf(feeder: FeederSettings, group: SettingsGroup): z.output<typeof targetGroup> | null {
  return group.targetGroup === undefined ? (feeder.targetGroup ?? null) : group.targetGroup;
}

/** A settings group, for rules on several of them. */
export const settingsGroupSchema = settingsGroup;

/** The defaults of a settings group, for rules on keys that a file leaves out. */
export const DEFAULTS = { ...curtailment.parse(undefined), ...budget.parse(undefined), ...caps.parse(undefined) };
