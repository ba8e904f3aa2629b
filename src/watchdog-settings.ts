// Settings of the watchdog: when the program tells that it stood still, and when it ends itself to be started again.
import { z } from 'zod';
import { periodMs, type SourceSettings } from './source-settings.ts';

export const watchdog = z
  .strictObject({
    limitS: z
      .int()
      .min(5)
      .max(86_400)
      .optional()
      .describe(
        'without a completed scan of any source for longer than this the program ends, to be started again; default 60, or ten polls of the fastest source where that is longer',
      ),
    stallMs: z.int().min(50).max(60_000).default(1_000).describe('a longer pause of the program is an alarm'),
  })
  .prefault({});

const LIMIT_S = 60;
const POLLS = 10;

interface Watched {
  readonly watchdog: z.output<typeof watchdog>;
  readonly sources: readonly SourceSettings[];
}

export function watchdogLimitS({ watchdog: { limitS }, sources }: Watched): number {
  const fastestMs = Math.min(...sources.map((source) => Math.max(periodMs(source), source.timeoutMs)));
  return limitS ?? Math.max(LIMIT_S, Math.ceil((POLLS * fastestMs) / 1000));
}
