// The inputs beside an exported trace (`x.csv` and `x.inputs.json`): what the control of a running controller rested on
// and was given beside the currents, and the events that came of it. With it, and the settings of that time, a replay
// comes to the same events. docs/traces.md says what stands in it.
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { FeederState } from '../../control/types.ts';
import type { ControlInput } from '../../control-input.ts';
import { ELEMENTS, PHASES } from '../../feeder.ts';
import { type Event, eventSchema } from '../../messages.ts';
import { TraceProblem } from './problem.ts';

const at = z.number().describe('milliseconds since 1970 on the clock of the record, as every name that ends in Ms');
const percentOrAmpere = z.number().min(0);
const quality = z.enum(['good', 'uncertain', 'bad']);
const perPhase = z.partialRecord(z.enum(PHASES), percentOrAmpere);
const element = z.enum(ELEMENTS).nullable();

/** What the transformer says of one phase of a feeder. */
const word = z.strictObject({
  status: z.enum(['normal', 'pickedUp', 'operated']),
  overSinceMs: at,
  operatedMs: at,
  cause: z
    .strictObject({
      element: z.enum(ELEMENTS).exclude(['transformer']),
      currentA: z.number(),
      pickupA: z.number(),
      thermalPercent: z.number().nullable(),
      timeToLimitS: z.number().nullable(),
    })
    .nullable(),
  shareA: z.number(),
  roomA: z.number().nullable(),
  isSeen: z.boolean(),
});

const input = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ack'),
    atMs: at,
    ack: z.strictObject({
      status: z.string(),
      controllableA: perPhase.optional(),
      devices: z.object({ targeted: z.number(), acknowledged: z.number() }).optional(),
    }),
  }),
  z.strictObject({
    kind: z.literal('command'),
    atMs: at,
    command: z.discriminatedUnion('action', [
      z.strictObject({ action: z.literal('block'), element, untilMs: at, immediate: z.boolean() }),
      z.strictObject({ action: z.literal('unblock'), element }),
      z.strictObject({ action: z.literal('release'), immediate: z.boolean() }),
      z.strictObject({ action: z.literal('testMode'), untilMs: at.nullable() }),
    ]),
  }),
  z.strictObject({ kind: z.literal('group'), atMs: at, group: z.string(), reason: z.string() }),
  z.strictObject({ kind: z.literal('clock'), atMs: at, steppedMs: z.number() }),
  z.strictObject({ kind: z.literal('source'), atMs: at, staleAfterMs: z.number().positive() }),
  z.strictObject({ kind: z.literal('others'), atMs: at, limited: z.int().min(0), isWithReading: z.boolean() }),
  z.strictObject({
    kind: z.literal('transformer'),
    atMs: at,
    words: z.strictObject({ L1: word, L2: word, L3: word }),
    isWithReading: z.boolean().describe('it counts before the reading that follows it, and with it'),
  }),
  z.strictObject({ kind: z.literal('time'), atMs: at }),
]);

const record = z.strictObject({
  feederId: z.string(),
  trigger: z.string(),
  firstMs: at.describe('of its first reading'),
  readings: z.int().min(1).describe('so many rows of the feeder, from that one on'),
  group: z.string().describe('the settings group in force'),
  staleAfterMs: z.number().positive().describe('a length, not a time'),
  state: z.record(z.string(), z.unknown()).describe('the state of control before the first reading'),
  quality: z
    .array(
      z.strictObject({
        from: z.int().min(0).describe('number of the reading, the first being 0'),
        to: z.int().min(0).describe('of the last one'),
        L1: quality.optional(),
        L2: quality.optional(),
        L3: quality.optional(),
        N: quality.optional(),
        exporting: z.array(z.enum(PHASES)).optional(),
      }),
    )
    .describe('stretches of readings that are not good wherever there is a value, or feed back'),
  inputs: z
    .array(z.strictObject({ after: z.int().min(0).describe('so many readings of the record'), input }))
    .describe('what else control was given, in order'),
  events: z.array(eventSchema).describe('of the live run: of this feeder and of the substation as a whole'),
});

const inputsSchema = z.strictObject({
  format: z.literal('headroom/inputs/1'),
  substationId: z.string(),
  settingsHash: z.string(),
  records: z.array(record).min(1),
});

export type InputsFile = z.output<typeof inputsSchema>;
/** The state is checked as far as being one: it is what control wrote out. */
export type RecordedRun = Omit<InputsFile['records'][number], 'state' | 'inputs'> & {
  readonly state: FeederState;
  readonly inputs: readonly { readonly after: number; readonly input: ControlInput }[];
};

/** The name that stands beside a trace. */
export function inputsName(trace: string): string {
  return `${trace.replace(/\.gz$/i, '').replace(/\.(csv|cfg|cff)$/i, '')}.inputs.json`;
}

/** Null where none stands beside the trace. Throws a `TraceProblem` for one that is damaged. */
export function readInputsBeside(trace: string): InputsFile | null {
  const file = inputsName(trace);
  if (!existsSync(file)) return null;
  const wrong = (path: string, value: string, expected: string) =>
    new TraceProblem({ file, line: 1, column: 1, path, value, expected });
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw wrong('', (error as Error).message, 'the inputs of an export, in JSON');
  }
  const parsed = inputsSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(issue?.path.join('.') ?? '', 'not so', issue?.message ?? 'the inputs of an export');
}

/** When each live event was on the clock of the record, which no step of the wall clock moves. In order of sequence. */
export function timesOnRecord(events: readonly Event[], inputs: readonly { readonly input: unknown }[]): number[] {
  const steps = inputs.flatMap(({ input: given }) => {
    const { kind, steppedMs = 0 } = given as { kind: string; steppedMs?: number };
    return kind === 'clock' && steppedMs !== 0 ? [steppedMs] : [];
  });
  let aheadMs = 0;
  return events.map((event) => {
    if (event.alarm === 'clockStep') aheadMs += steps.shift() ?? 0;
    return Date.parse(event.at) - aheadMs;
  });
}
