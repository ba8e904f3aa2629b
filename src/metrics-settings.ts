// Settings of the metrics.
import { z } from 'zod';

export const metrics = z
  .strictObject({
    port: z.int().min(0).max(65_535).describe('TCP port on 127.0.0.1; 0: any that is free'),
  })
  .optional()
  .describe('figures for Prometheus at http://127.0.0.1:<port>/metrics; nothing listens where it is left out');
