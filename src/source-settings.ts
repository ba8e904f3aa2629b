// Settings of a source of readings: its wire, its address there and its times.
import { z } from 'zod';
import { id } from './setting-units.ts';

export const modbusTcp = z.strictObject({
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

export type SourceSettings = z.output<typeof modbusTcp>;

/** The age beyond which a reading of this source is no reading: one late answer is not blindness, three silent polls are. */
export function staleAfterMs(source: SourceSettings): number {
  return source.staleAfterMs ?? 3 * source.pollMs + source.timeoutMs;
}
