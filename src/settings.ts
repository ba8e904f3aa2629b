// Every setting of the controller: one zod schema is the source of the types, the checks, the defaults and
// config/schema.json. Units are in the names. Relations between values, which a schema cannot hold, are in
// configuration.ts, which is also what reads the file.
import { z } from 'zod';

/** Ids end up in MQTT topics and file names: no wildcard, separator or space may be in them. */
const idForm = 'letters, digits, dot, dash or underscore, first a letter or digit, at most 64';
const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, idForm)
  .describe(idForm);
const amperes = z.number().positive().max(100_000);
const seconds = z.number().min(0).max(10_000_000);
const percent = z.number().min(0).max(100);
const count = z.int().min(0).max(1_000_000);

const broker = z.strictObject({
  url: z
    .string()
    // No user in it: the name and the file of the password are in `user`, so that no secret is ever a value.
    .regex(
      /^mqtts?:\/\/(\[[0-9A-Fa-f:.]+\]|[^/\s@:[\]]+)(:\d{1,5})?$/,
      'mqtts://host:port (or mqtt://host:port with allowInsecure: true), without user, password or path',
    )
    .describe('mqtts://host:port; mqtt:// only with allowInsecure: true'),
});

const uplink = z.strictObject({
  brokers: z.array(broker).min(1).max(8).describe('brokers of the head end, in order of preference'),
  tls: z
    .strictObject({
      caFile: z.string().min(1).describe('PEM file of the certificate authority that signed the broker'),
      certFile: z.string().min(1).optional().describe('PEM file of this substation’s client certificate'),
      keyFile: z.string().min(1).optional().describe('PEM file of its key'),
    })
    .optional(),
  user: z.strictObject({ name: z.string().min(1), passwordFile: z.string().min(1) }).optional(),
  allowInsecure: z.boolean().default(false).describe('true permits mqtt:// and shows in `status` for as long'),
  keepAliveS: z.int().min(5).max(3600).default(20),
  historyMessagesPerS: z.number().min(0).max(100_000).default(20).describe('pace of the event backlog; 0: no limit'),
});

const modbusTcp = z.strictObject({
  id,
  type: z.literal('modbus-tcp'),
  host: z.string().min(1),
  port: z.int().min(1).max(65535).default(502),
  unitId: z.int().min(0).max(255).default(1),
  profile: z.string().min(1).describe('name of a map in hardware/meters, or the path of one (with / in it)'),
  pollMs: z.int().min(5).max(3_600_000).default(200),
  timeoutMs: z.int().min(5).max(60_000).default(500),
  staleAfterMs: z
    .int()
    .min(10)
    .max(36_000_000)
    .optional()
    .describe('a reading older than this is no reading; default 3 × pollMs + timeoutMs'),
});

/** PTOC in IEC 61850 words: pickupA = StrVal, delayS = OpDlTmms, resetDelayS = RsDlTmms. */
const definiteTime = z.strictObject({
  pickupA: amperes.describe('picks up at or above this current on any phase'),
  dropoutA: amperes.describe('drops out below this current'),
  delayS: seconds.describe('from pickup to operation'),
  resetDelayS: seconds.describe('under dropout before it has dropped out'),
});

const curtailment = z
  .strictObject({
    mode: z.enum(['proportional', 'onOff']).default('proportional'),
    floorPercent: percent.default(0).describe('lowest permitted level that a request may carry'),
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
    releaseStepPercent: percent.positive().default(25),
    minOnS: seconds.default(0).describe('a limit lasts at least this long'),
    minOffS: seconds.default(0).describe('no new limit sooner than this after a release'),
    endSpreadS: seconds.default(600).describe('the head end spreads the ends of its devices over this time'),
  })
  .prefault({});

const caps = z
  .strictObject({
    operationsPerDay: count.default(0).describe('new limits in 24 h; 0: no cap'),
    requestsPerHour: count.default(60).describe('limits and refreshes in an hour; 0: no cap'),
    deepestLevelPercent: percent.default(0),
    longestLeaseS: seconds.positive().default(7200),
  })
  .prefault({});

const settingsGroup = z.strictObject({
  name: id,
  ratingA: amperes.describe('what the feeder may carry continuously'),
  atRisk: definiteTime,
  emergency: definiteTime.optional(),
  curtailment,
  caps,
});

const feeder = z.strictObject({
  id,
  currents: z.strictObject({ source: id }).describe('the source whose map gives L1, L2, L3 and N'),
  ctRatio: z
    .strictObject({ primaryA: amperes, secondaryA: amperes })
    .optional()
    .describe('only where the meter reports secondary amperes'),
  powerSign: z.literal('unknown').default('unknown').describe('whether the sign of power may be trusted'),
  fuseA: amperes.optional(),
  targetGroup: z
    .strictObject({ id, version: z.int().min(1) })
    .optional()
    .describe('the chargers behind this feeder; without it the feeder only alarms'),
  controllableA: z
    .strictObject({ L1: z.number().min(0), L2: z.number().min(0), L3: z.number().min(0) })
    .optional()
    .describe('first guess of what requests can move, per phase'),
  settings: z.array(settingsGroup).length(1).describe('the settings group in force'),
});

const journal = z
  .strictObject({
    path: z.string().min(1).default('/var/lib/headroom'),
    historyDays: z
      .int()
      .min(1)
      .max(3650)
      .default(30)
      .describe('how long measurement history is kept, once there is one'),
    maxMegabytes: z
      .int()
      .min(16)
      .max(1_000_000)
      .default(512)
      .describe('the oldest sent events go when the journal is larger'),
  })
  .prefault({});

export const settingsSchema = z
  .strictObject({
    substation: z.strictObject({ id, name: z.string().max(200).optional() }),
    uplink,
    sources: z.array(modbusTcp).min(1).max(64),
    feeders: z.array(feeder).min(1).max(200),
    journal,
  })
  .describe('Configuration of the Headroom edge controller');

export type Settings = z.output<typeof settingsSchema>;
export type SourceSettings = Settings['sources'][number];
export type FeederSettings = Settings['feeders'][number];
export type SettingsGroup = FeederSettings['settings'][number];
export type UplinkSettings = Settings['uplink'];

/** The defaults of a settings group, for rules on keys that a file leaves out. */
export const DEFAULTS = { ...curtailment.parse(undefined), ...caps.parse(undefined) };

/** The age beyond which a reading of this source is no reading: one late answer is not blindness, three silent polls are. */
export function staleAfterMs(source: SourceSettings): number {
  return source.staleAfterMs ?? 3 * source.pollMs + source.timeoutMs;
}
