// Settings of the uplink: brokers, credentials and pace.
import { z } from 'zod';

const ADDRESS = 'mqtts://host:port (or mqtt://host:port with allowInsecure: true), without user, password or path';

const broker = z.strictObject({
  url: z
    .string()
    // No user in it: the name and the file of the password are in `user`, so that no secret is ever a value.
    .regex(/^mqtts?:\/\/(\[[0-9A-Fa-f:.]+\]|[^/\s@:[\]]+)(:\d{1,5})?$/, { error: ADDRESS, abort: true })
    .refine((url) => URL.canParse(url), ADDRESS)
    .describe('mqtts://host:port; mqtt:// only with allowInsecure: true'),
  protocol: z
    .enum(['auto', 'mqtt5', 'mqtt311'])
    .default('auto')
    .describe('auto: MQTT 5, and 3.1.1 where the broker has no 5'),
});

export const uplink = z.strictObject({
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
  telemetryS: z
    .int()
    .min(0)
    .max(86_400)
    .default(600)
    .describe('length of the intervals of telemetry, whole multiples of it on the clock; 0: none is said'),
  telemetryChangePercent: z
    .number()
    .min(0)
    .max(100)
    .default(20)
    .describe('of the rating: a change by more is said before the interval is over; 0: only changes of state'),
  commandsPerMinute: z
    .int()
    .min(0)
    .max(600)
    .default(12)
    .describe('commands of the head end that are looked at, releases and blocks counted apart; 0: none is taken'),
});

export type UplinkSettings = z.output<typeof uplink>;
