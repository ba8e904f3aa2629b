// A meter as data: which register holds which quantity, in what form, and what its maker uses for "no value". The
// maps in hardware/meters and an engineer's own are both read here; nothing in the code knows a meter by name.
import { z } from 'zod';
import { CONDUCTORS, PHASES } from '../feeder.ts';
import { readYamlFile, type YamlFile } from '../yaml-file.ts';

/** Words that each type takes in the telegram. */
export const WORDS_OF = { int16: 1, uint16: 1, int32: 2, uint32: 2, float32: 2, float64: 4 } as const;

const address = z.int().min(0).max(65_535);
const functionCode = z.union([z.literal(3), z.literal(4)]);
const word = z.int().min(0).max(65_535);

const register = z.strictObject({
  quantity: z
    .enum(['current', 'voltage', 'power', 'apparentPower', 'frequency', 'counter'])
    .describe('apparentPower with voltage gives a current where the meter has none; counter: anything that counts up'),
  conductor: z.enum(CONDUCTORS).optional().describe('absent for what belongs to no single conductor'),
  circuit: z.int().min(1).max(1_000).optional().describe('which feeder of a meter that measures several; absent: 1'),
  functionCode: functionCode.describe('3 holding registers, 4 input registers: the only ones'),
  address: address.describe('as on the wire, from 0; in a SunSpec model from its ID register'),
  type: z.enum(['int16', 'uint16', 'int32', 'uint32', 'float32', 'float64']),
  order: z
    .enum(['ABCD', 'CDAB', 'BADC', 'DCBA'])
    .default('ABCD')
    .describe('ABCD: high word and high byte first; CDAB: low word first; BADC and DCBA: the same with bytes swapped'),
  scale: z.number().default(1).describe('value = register × scale, in unit'),
  scaleRegister: address
    .optional()
    .describe('an int16 register of the same function code that holds a power of ten, read in the same telegram'),
  unit: z.enum(['A', 'V', 'W', 'VA', 'Hz', 'Wh']),
  sentinels: z.array(z.number()).default([]).describe('register values, before scale, that mean "no value"'),
});

const registers = z.array(register).superRefine(everyPhaseOnce);

const identity = z
  .strictObject({
    functionCode,
    address,
    count: z
      .int()
      .min(1)
      .max(125)
      .default(1)
      .describe('words that are read there, as some meters give them whole only'),
    codes: z
      .array(word)
      .min(1)
      .optional()
      .describe('the first of the words is one of these in such meters and in no others'),
    texts: z
      .array(z.string().min(3))
      .min(1)
      .optional()
      .describe('in place of codes: the words are characters, two in each, and hold one of these texts'),
  })
  .refine(({ codes, texts }) => (codes === undefined) !== (texts === undefined), {
    path: ['codes'],
    message: 'codes, or in their place texts',
  });

const registerMap = z
  .strictObject({
    maker: z.string(),
    model: z.string(),
    source: z.string().describe('the document or code that the addresses are from, with page or line'),
    verified: z.string().describe('who confirmed it on which meter and when; "not yet" is an honest answer'),
    longestReadWords: z.int().min(1).max(125).describe('the most words that one telegram may ask for'),
    unreadable: z
      .array(z.strictObject({ functionCode, from: address, to: address }))
      .optional()
      .describe('addresses that no telegram may touch, the last one included'),
    identity: identity.optional().describe('how the model is known on the wire, for meter --identify'),
    registers: registers.default([]),
    sunspec: z
      .array(
        z.strictObject({
          models: z.array(word).min(1).describe('model ids with this layout'),
          lengthWords: z.int().min(1).max(65_535).describe('what the model says of its own length'),
          registers,
        }),
      )
      .min(1)
      .optional()
      .describe('in place of registers: layouts of SunSpec models, which are found by walking the model chain'),
  })
  .refine(({ registers, sunspec }) => (registers.length === 0) !== (sunspec === undefined), {
    path: ['registers'],
    message: 'registers, or in their place sunspec',
  });

export type RegisterMap = z.output<typeof registerMap>;
export type Register = z.output<typeof register>;
/** What the read plan needs of a map, or of one SunSpec model found in a meter. */
export type Registers = Pick<RegisterMap, 'longestReadWords' | 'unreadable'> & { readonly registers: Register[] };

/** Reads and checks one map; the three phase currents must be there, and no quantity twice. */
export function readRegisterMap(file: string): YamlFile<RegisterMap> {
  return readYamlFile(file, registerMap);
}

/** The layouts of a map: one, or for SunSpec one per kind of model, with addresses from the model's ID register. */
export function layoutsOf(map: RegisterMap): Registers[] {
  return (map.sunspec ?? [map]).map(({ registers }) => ({ ...map, registers }));
}

export function circuitOf({ circuit = 1 }: Pick<Register, 'circuit'>): number {
  return circuit;
}

/** What moves while a meter lives, the best first. */
export const LIVENESS: readonly Register['quantity'][] = ['counter', 'frequency'];

export function livenessOf(registers: readonly Register[]): Register | undefined {
  for (const wanted of LIVENESS) {
    const found = registers.find(({ quantity }) => quantity === wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Place {
  readonly quantity: string;
  readonly conductor?: string | undefined;
  readonly circuit?: number | undefined;
}

/** Every circuit has three phase currents, or the apparent powers and voltages that they are derived from. */
function everyPhaseOnce(given: readonly Place[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  const keyOf = ({ quantity, conductor = '', circuit = 1 }: Place) =>
    `${quantity} ${conductor}`.trim() + (circuit === 1 ? '' : ` of circuit ${circuit}`);
  for (const [index, place] of given.entries()) {
    const key = keyOf(place);
    if (seen.has(key)) context.addIssue({ code: 'custom', path: [index], message: `${key} only once` });
    seen.add(key);
  }
  for (const circuit of new Set(given.map(circuitOf))) {
    const has = (quantity: string, conductor: string) => seen.has(keyOf({ quantity, conductor, circuit }));
    const missing = PHASES.filter(
      (phase) => !has('current', phase) && !(has('apparentPower', phase) && has('voltage', phase)),
    );
    if (missing.length > 0) {
      const of = circuit === 1 ? '' : ` of circuit ${circuit}`;
      context.addIssue({ code: 'custom', path: [], message: `a current of ${missing.join(', ')}${of} too` });
    }
  }
}
