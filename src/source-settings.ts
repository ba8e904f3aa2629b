// Settings of a source of readings: its wire, its address there and its times. A kind of source is one entry of the
// union at the end; acquisition opens each kind by its `type`.
import { z } from 'zod';
import { id } from './setting-units.ts';

/** What every kind of source has. */
const common = {
  id,
  staleAfterMs: z
    .int()
    .min(10)
    .max(36_000_000)
    .optional()
    .describe('a reading older than this is no reading; default 3 × pollMs + timeoutMs'),
};

/** What every meter read over Modbus has, whatever the wire. */
const modbus = {
  ...common,
  profile: z.string().min(1).describe('name of a map in hardware/meters, or the path of one (with / in it)'),
  pollMs: z.int().min(5).max(3_600_000).default(200),
  timeoutMs: z.int().min(5).max(60_000).default(500),
  pauseMs: z
    .int()
    .min(0)
    .max(10_000)
    .default(0)
    .describe('quiet kept on the wire before each request, for meters and gateways that need it'),
};

const host = z.string().min(1);
/** Modbus over Serial Line V1.02, 2.2: 1 to 247 name one meter, 0 is a broadcast, the rest is reserved. */
const unitOnLine = z.int().min(1).max(247).default(1);

const modbusTcp = z.strictObject({
  ...modbus,
  type: z.literal('modbus-tcp'),
  host,
  port: z.int().min(1).max(65_535).default(502),
  unitId: z.int().min(0).max(255).default(1),
});

const modbusRtu = z.strictObject({
  ...modbus,
  type: z.literal('modbus-rtu'),
  path: z.string().min(1).describe('the serial device, as /dev/ttyS1'),
  baudRate: z.int().min(300).max(1_000_000).default(19_200),
  parity: z.enum(['even', 'odd', 'none']).default('even'),
  stopBits: z.union([z.literal(1), z.literal(2)]).default(1),
  unitId: unitOnLine,
});

const modbusRtuOverTcp = z.strictObject({
  ...modbus,
  type: z.literal('modbus-rtu-over-tcp'),
  host,
  port: z.int().min(1).max(65_535).describe('port of the serial device server; there is no usual one'),
  unitId: unitOnLine,
});

export const source = z.discriminatedUnion('type', [modbusTcp, modbusRtu, modbusRtuOverTcp]);

export type SourceSettings = z.output<typeof source>;
export type ModbusSettings = Extract<SourceSettings, { profile: string }>;

/** The wire that a Modbus source is on, in a word: sources with the same one share a connection. */
export function wireOf(settings: ModbusSettings): string {
  return settings.type === 'modbus-rtu' ? settings.path : `${settings.host}:${settings.port}`;
}

/** The age beyond which a reading of this source is no reading: one late answer is not blindness, three silent polls are. */
export function staleAfterMs(settings: SourceSettings): number {
  return settings.staleAfterMs ?? 3 * settings.pollMs + settings.timeoutMs;
}
