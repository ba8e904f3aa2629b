// The MQTT contract (headroom/v1): one zod schema per message is the source of its type, its check on arrival and its
// JSON Schema. Both ends of the wire, the controller and the reference head end, use these.
import { z } from 'zod';
import { CONDUCTORS } from './feeder.ts';
import {
  clock,
  commandId,
  conductor,
  element,
  id,
  percent,
  perPhase,
  phase,
  quality,
  sequence,
  time,
} from './message-fields.ts';

const amperes = z.number().nullable();

export const curtailmentSchema = z
  .strictObject({
    schema: z.literal('headroom/v1/curtailment'),
    requestId: z.uuid().describe('UUIDv7; the same on every repeat'),
    sequence: sequence.describe('grows for ever'),
    episodeId: z.uuid(),
    supersedes: z.uuid().nullable().describe('the request of this episode that it takes the place of'),
    issuedAt: time,
    action: z.enum(['limit', 'refresh', 'release']),
    substationId: id,
    feederId: id,
    phases: z.array(phase).min(1),
    targetGroup: z.strictObject({ id, version: z.int().min(1) }),
    levelPercent: percent.describe('permitted level, percent of rated current; the lowest of the phases'),
    levelPercentByPhase: perPhase(percent).optional().describe('where the phases differ'),
    reductionA: perPhase(z.number().min(0)).describe('total relief wanted against unrestricted demand'),
    floorPercent: percent,
    direction: z.literal('toLoad'),
    binary: z.strictObject({ action: z.enum(['deactivate', 'signal', 'skip']), atOrBelowPercent: percent }),
    start: time,
    end: time,
    durationS: z.number().min(0),
    endSpreadS: z.number().min(0),
    validUntil: time.describe('the last moment to begin acting'),
    trigger: z.strictObject({
      element,
      phase: conductor,
      currentA: z.strictObject(
        Object.fromEntries(CONDUCTORS.map((name) => [name, amperes])) as {
          [C in (typeof CONDUCTORS)[number]]: typeof amperes;
        },
      ),
      pickupA: z.number(),
      thermalPercent: z.number().nullable(),
      timeToLimitS: z.number().nullable(),
      pickedUpAt: time,
    }),
    quality: z.strictObject({
      L1: quality,
      L2: quality,
      L3: quality,
      ageMs: z.number().min(0),
    }),
    clock,
    priority: z.enum(['emergency', 'constraint']),
    settings: z.strictObject({ group: id, hash: z.string() }),
    mode: z.enum(['live', 'test']),
  })
  .describe('The request in force on a feeder; complete by itself');
export type Curtailment = z.output<typeof curtailmentSchema>;

/** Keys that a newer head end adds are passed over: an acknowledgement is worth more than its form. */
export const ackSchema = z
  .object({
    schema: z.literal('headroom/v1/curtailment/ack'),
    requestId: z.uuid(),
    sequence,
    status: z.enum([
      'accepted',
      'rejected',
      'dispatched',
      'applied',
      'partial',
      'ended',
      'failed',
      'expired',
      'superseded',
      'overridden',
    ]),
    at: z.iso.datetime(),
    devices: z.object({ targeted: z.int().min(0), acknowledged: z.int().min(0), failed: z.int().min(0) }).optional(),
    reason: z.string().max(1000).nullable().optional(),
    controllableA: perPhase(z.number().min(0)).optional().describe('rated amperes of the devices reached'),
  })
  .describe('What became of a request');
export type Ack = z.output<typeof ackSchema>;

const EVENT_TYPES = [
  'pickup',
  'operate',
  'dropout',
  'limit',
  'refresh',
  'release',
  'alarm',
  'alarmEnd',
  'quality',
  'source',
  'blind',
  'restart',
  'settings',
  'block',
  'test',
  'command',
  'ack',
  'link',
  'clock',
  'gap',
] as const;

export const eventSchema = z
  .strictObject({
    schema: z.literal('headroom/v1/event'),
    sequence: sequence.describe('of the sequence of events: no gap, none twice'),
    at: time,
    substationId: id,
    feederId: id.nullable().describe('null for what belongs to no single feeder'),
    type: z.enum(EVENT_TYPES),
    element: element.optional(),
    phase: conductor.optional(),
    currentA: z.number().optional(),
    levelPercent: percent.optional(),
    thermalPercent: z.number().min(0).optional().describe('heat of the phase, of its rating'),
    alarm: z.string().max(64).optional(),
    sourceId: id.optional(),
    episodeId: z.uuid().optional(),
    requestId: z.uuid().optional(),
    commandId: commandId.optional(),
    count: z.int().min(1).optional().describe('of alarms that are joined into one, or that a gap stands for'),
    firstAt: time.optional().describe('of the first of them; `at` is of the last'),
    firstSequence: sequence.optional().describe('of a gap: the events that it stands for are from here'),
    lastSequence: sequence.optional().describe('to here; `count` of them are missing'),
    reason: z.string().max(1000),
    clockSynchronised: z.boolean(),
    historical: z
      .literal(true)
      .optional()
      .describe('a request that no broker has confirmed and that is not said again, and why'),
    request: curtailmentSchema.optional(),
    shortened: z
      .literal(true)
      .optional()
      .describe('said without its request and with its reason cut: the broker takes no larger packet'),
  })
  .describe('One entry of the sequence of events');
export type Event = z.output<typeof eventSchema>;

export const statusSchema = z
  .strictObject({
    schema: z.literal('headroom/v1/status'),
    substationId: id,
    state: z.enum(['online', 'offline']).describe('offline ends nothing before its end'),
    at: time,
    reason: z.enum(['connected', 'changed', 'asked', 'stopped', 'connectionLost']),
    version: z.string(),
    settings: z.strictObject({ hash: z.string() }),
    health: z
      .strictObject({
        state: z.enum(['ok', 'degraded']),
        alarms: z.array(z.string()).describe('standing, as feeder/alarm or source/alarm'),
      })
      .nullable()
      .describe('null in the last will, which cannot know'),
    clock: clock.nullable(),
    insecure: z.boolean().describe('allowInsecure is in force'),
    feeders: z
      .array(
        z.strictObject({
          feederId: id,
          settingsGroup: id.describe('in force'),
          groupByCommand: z.boolean().describe('it was selected by command, not by the calendar'),
          groupUntil: time.nullable().describe('when a group selected by command gives way to the calendar'),
          blockedUntil: time.nullable().describe('of the whole feeder'),
          blockedElements: z
            .array(z.strictObject({ element, until: time }))
            .optional()
            .describe('elements that are blocked by themselves; only where there are any'),
          testUntil: time.nullable(),
        }),
      )
      .nullable()
      .describe('null in the last will'),
    transformer: z
      .strictObject({ state: z.enum(['normal', 'pickingUp', 'over', 'blind']) })
      .nullable()
      .optional()
      .describe('only where its elements are set; null in the last will'),
  })
  .describe('Birth, changes of health and last will');
export type Status = z.output<typeof statusSchema>;

/** A message from outside is data of unknown size and shape: this is the most that is looked at. */
export const INBOUND_BYTES_MAX = 16_384;

/** The topics of one substation. */
export function topicsOf(substationId: string) {
  const root = `headroom/v1/${substationId}`;
  return {
    curtailment: (feederId: string) => `${root}/feeder/${feederId}/curtailment`,
    ack: (feederId: string) => `${root}/feeder/${feederId}/curtailment/ack`,
    event: (feederId: string | null) => (feederId === null ? `${root}/event` : `${root}/feeder/${feederId}/event`),
    telemetry: (feederId: string) => `${root}/feeder/${feederId}/telemetry`,
    status: `${root}/status`,
    command: `${root}/command`,
    commandAck: `${root}/command/ack`,
    /** Filters of the edge's own subscriptions. */
    everyCurtailment: `${root}/feeder/+/curtailment`,
    everyAck: `${root}/feeder/+/curtailment/ack`,
  };
}

/** Parses and checks a message; the answer is the message or one line saying what is wrong with it. */
export function parseMessage<S extends z.ZodType>(schema: S, payload: Uint8Array): z.output<S> | string {
  if (payload.length > INBOUND_BYTES_MAX) return `${payload.length} bytes, expected at most ${INBOUND_BYTES_MAX}`;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
  } catch {
    return 'no JSON';
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'invalid'}`;
}
