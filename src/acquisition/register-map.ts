// A meter as data: which register holds which quantity, in what form, and what its maker uses for "no value". The
// maps in hardware/meters and an engineer's own are both read here; nothing in the code knows a meter by name.
import { z } from 'zod';
import { CONDUCTORS } from '../feeder.ts';
import { readYamlFile, type YamlFile } from '../yaml-file.ts';

/** Words that each type takes in the telegram. */
export const WORDS_OF = { int16: 1, uint16: 1, int32: 2, uint32: 2, float32: 2, float64: 4 } as const;

const register = z.strictObject({
  quantity: z.enum(['current', 'voltage', 'power', 'frequency']),
  conductor: z.enum(CONDUCTORS).optional().describe('absent for what belongs to no single conductor'),
  functionCode: z.union([z.literal(3), z.literal(4)]).describe('3 holding registers, 4 input registers: the only ones'),
  address: z.int().min(0).max(65_535).describe('as on the wire, from 0'),
  type: z.enum(['int16', 'uint16', 'int32', 'uint32', 'float32', 'float64']),
  order: z
    .enum(['ABCD', 'CDAB', 'BADC', 'DCBA'])
    .default('ABCD')
    .describe('ABCD: high word and high byte first; CDAB: low word first; BADC and DCBA: the same with bytes swapped'),
  scale: z.number().default(1).describe('value = register × scale, in unit'),
  unit: z.enum(['A', 'V', 'W', 'Hz']),
  sentinels: z.array(z.number()).default([]).describe('register values, before scale, that mean "no value"'),
});

const registerMap = z.strictObject({
  maker: z.string(),
  model: z.string(),
  source: z.string().describe('the document or code that the addresses are from, with page or line'),
  verified: z.string().describe('who confirmed it on which meter and when; "not yet" is an honest answer'),
  longestReadWords: z.int().min(1).max(125).describe('the most words that one telegram may ask for'),
  registers: z.array(register).min(1).superRefine(everyPhaseOnce),
});

export type RegisterMap = z.output<typeof registerMap>;
export type Register = RegisterMap['registers'][number];

/** Reads and checks one map; the three phase currents must be there, and no quantity twice. */
export function readRegisterMap(file: string): YamlFile<RegisterMap> {
  return readYamlFile(file, registerMap);
}

function everyPhaseOnce(
  registers: readonly { quantity: string; conductor?: string | undefined }[],
  context: z.RefinementCtx,
): void {
  const seen = new Set<string>();
  for (const [index, { quantity, conductor }] of registers.entries()) {
    const key = `${quantity} ${conductor ?? ''}`.trim();
    if (seen.has(key)) context.addIssue({ code: 'custom', path: [index], message: `${key} only once` });
    seen.add(key);
  }
  const missing = ['L1', 'L2', 'L3'].filter((phase) => !seen.has(`current ${phase}`));
  if (missing.length > 0)
    context.addIssue({ code: 'custom', path: [], message: `a current of ${missing.join(', ')} too` });
}
