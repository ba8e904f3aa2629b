// Every setting of the controller: one zod schema is the source of the types, the checks, the defaults and
// config/schema.json. Units are in the names. Relations between values, which a schema cannot hold, are in
// the judge-….ts files; configuration.ts reads the file.
import { z } from 'zod';
import { feeder } from './feeder-settings.ts';
import { metrics } from './metrics-settings.ts';
import { count, id } from './setting-units.ts';
import { source } from './source-settings.ts';
import { transformer } from './transformer-settings.ts';
import { uplink } from './uplink-settings.ts';
import { watchdog } from './watchdog-settings.ts';

const journal = z
  .strictObject({
    path: z.string().min(1).default('/var/lib/headroom'),
    historyDays: z.int().min(1).max(3650).default(30).describe('how long measurement history is kept'),
    maxMegabytes: z
      .int()
      .min(16)
      .max(1_000_000)
      .default(512)
      .describe('for journal and history, half each; the oldest goes first, an unsent request never'),
  })
  .prefault({});

const caps = z
  .strictObject({
    feedersAtOnce: count.default(0).describe('feeders of the substation with a limit at once; 0: no cap'),
  })
  .prefault({});

export const settingsSchema = z
  .strictObject({
    substation: z.strictObject({ id, name: z.string().max(200).optional() }),
    uplink,
    sources: z.array(source).min(1).max(64),
    feeders: z.array(feeder).min(1).max(200),
    transformer: transformer.optional().describe('above the feeders; its relief is shared among them'),
    caps: caps.describe('of the substation; those of a feeder are in its settings groups'),
    journal,
    watchdog,
    metrics,
  })
  .describe('Configuration of the Headroom edge controller');

export type Settings = z.output<typeof settingsSchema>;
