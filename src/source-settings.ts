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
    .describe('a reading older than this is no reading; default 3 × pollMs (samplingMs) + timeoutMs'),
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

const opcua = z.strictObject({
  ...common,
  type: z.literal('opcua'),
  endpoint: z
    .string()
    .regex(/^opc\.tcp:\/\/([^/\s:@[\]]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(\/\S*)?$/, 'an address as opc.tcp://host:4840'),
  securityMode: z.enum(['SignAndEncrypt', 'Sign', 'None']).default('SignAndEncrypt'),
  securityPolicy: z
    .enum(['Basic256Sha256', 'Aes128_Sha256_RsaOaep', 'Aes256_Sha256_RsaPss', 'None'])
    .default('Basic256Sha256'),
  user: z
    .strictObject({
      name: z.string().min(1).optional(),
      passwordFile: z.string().min(1).optional(),
      certFile: z.string().min(1).optional(),
      keyFile: z.string().min(1).optional(),
    })
    .optional()
    .describe('name and passwordFile, or certFile and keyFile; without it anonymous'),
  mode: z.enum(['subscribe', 'poll']).default('subscribe').describe('poll: for a server without subscriptions'),
  samplingMs: z.int().min(10).max(3_600_000).default(200).describe('how often the server samples, or is read'),
  timeoutMs: z.int().min(5).max(60_000).default(500),
});

export const source = z.discriminatedUnion('type', [modbusTcp, modbusRtu, modbusRtuOverTcp, opcua]);

export type SourceSettings = z.output<typeof source>;
export type ModbusSettings = Extract<SourceSettings, { profile: string }>;
export type OpcuaSettings = Extract<SourceSettings, { type: 'opcua' }>;

/** The wire that a Modbus source is on, in a word: sources with the same one share a connection. */
export function wireOf(settings: ModbusSettings): string {
  return settings.type === 'modbus-rtu' ? settings.path : `${settings.host}:${settings.port}`;
}

/** The age beyond which a reading of this source is no reading: one late answer is not blindness, three silent polls are. */
export function staleAfterMs(settings: SourceSettings): number {
  return settings.staleAfterMs ?? 3 * periodMs(settings) + settings.timeoutMs;
}

/** How often a source gives a reading when all is well. */
export function periodMs(settings: SourceSettings): number {
  return settings.type === 'opcua' ? settings.samplingMs : settings.pollMs;
}
