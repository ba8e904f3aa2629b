// `npm run generate`: writes the files that are made from the code's schemas and message builders, so that an editor,
// the head end and the documents say what the program checks and says. A test holds that what is written is what this
// makes.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readConfiguration } from '../configuration.ts';
import type { ControlRequest } from '../control/types.ts';
import {
  type Ack,
  ackSchema,
  type Curtailment,
  curtailmentSchema,
  type Event,
  eventSchema,
  type Status,
  statusSchema,
} from '../messages.ts';
import { requestMessage } from '../request-message.ts';
import { settingsSchema } from '../settings.ts';
import { VERSION } from '../version.ts';

export interface GeneratedFile {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly text: string;
}

const CONTRACT = 'docs/head-end.md';

/** Every generated file; one more is one more entry here. */
export function generatedFiles(): GeneratedFile[] {
  const examples = exampleFiles();
  return [
    { path: 'config/schema.json', text: jsonSchema('Headroom configuration', settingsSchema) },
    { path: 'docs/schemas/curtailment.json', text: jsonSchema('Headroom curtailment request', curtailmentSchema) },
    { path: 'docs/schemas/ack.json', text: jsonSchema('Headroom acknowledgement', ackSchema) },
    { path: 'docs/schemas/event.json', text: jsonSchema('Headroom event', eventSchema) },
    { path: 'docs/schemas/status.json', text: jsonSchema('Headroom status', statusSchema) },
    ...examples,
    { path: CONTRACT, text: withExamples(readFileSync(fileOf(CONTRACT), 'utf8'), examples) },
  ];
}

/** The schema of what may be written (`io: input`), where keys with a default may be left out. */
function jsonSchema(title: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

/** One episode on feeder F1 of config/substation.yaml, as it would be said, and the messages around it. */
function exampleFiles(): GeneratedFile[] {
  const { limit, refresh, step, release, hash } = exampleRequests();
  const { requestId, sequence, episodeId, substationId, feederId } = limit;
  const ack: Ack = {
    schema: 'headroom/v1/curtailment/ack',
    requestId,
    sequence,
    status: 'partial',
    at: '2026-01-14T18:01:12.000Z',
    devices: { targeted: 12, acknowledged: 11, failed: 1 },
    reason: 'one device did not answer',
    controllableA: { L2: 112 },
  };
  const event: Event = {
    schema: 'headroom/v1/event',
    sequence: 4712,
    at: '2026-01-14T18:00:30.200Z',
    substationId,
    feederId,
    type: 'limit',
    element: 'atRisk',
    phase: 'L2',
    currentA: 360,
    levelPercent: limit.levelPercent,
    requestId,
    episodeId,
    reason: 'atRisk on L2',
    clockSynchronised: true,
  };
  const status: Status = {
    schema: 'headroom/v1/status',
    substationId,
    state: 'online',
    at: '2026-01-14T17:02:11.514Z',
    reason: 'connected',
    version: VERSION,
    settings: { hash },
    health: { state: 'degraded', alarms: ['meter-2/silent'] },
    clock: { synchronised: true, offsetMs: null },
    insecure: false,
  };
  const will: Status = { ...status, state: 'offline', reason: 'connectionLost', health: null, clock: null };
  return [
    example('curtailment-limit', curtailmentSchema, limit),
    example('curtailment-refresh', curtailmentSchema, refresh),
    example('curtailment-step', curtailmentSchema, step),
    example('curtailment-release', curtailmentSchema, release),
    example('ack', ackSchema, ack),
    example('event', eventSchema, event),
    example('status', statusSchema, status),
    example('status-will', statusSchema, will),
  ];
}

/** What control asks in an episode that begins as the worked example of docs/settings.md, as messages. */
function exampleRequests(): { [name in 'limit' | 'refresh' | 'step' | 'release']: Curtailment } & { hash: string } {
  const { configuration } = readConfiguration(fileOf('config/substation.yaml'));
  const feeder = configuration?.settings.feeders[0];
  const group = feeder?.settings[0];
  if (configuration === null || feeder === undefined || group === undefined)
    throw new Error('config/substation.yaml is not good, or has no feeder');
  const { hash, settings } = configuration;
  const startMs = Date.parse('2026-01-14T18:00:00.200Z');
  const { leaseS, refreshS, responseTimeS } = group.curtailment;
  const limit: ControlRequest = {
    kind: 'request',
    action: 'limit',
    atMs: 30_000,
    endMs: 30_000 + leaseS * 1000,
    episodeStartedMs: 0,
    levelPercent: { L2: 60 },
    reductionA: { L2: 50 },
    trigger: { element: 'atRisk', phase: 'L2', pickupA: group.atRisk.pickupA, pickedUpMs: 0 },
    currentA: { L1: 212.4, L2: 360, L3: 236.1, N: 137.9 },
    quality: { L1: 'good', L2: 'good', L3: 'good' },
    readingAgeMs: 112,
    reason: 'atRisk on L2',
  };
  const refreshMs = 30_000 + refreshS * 1000;
  const seen = { L1: 204.7, L2: 322.5, L3: 228.3, N: 109.6 };
  const refreshEndMs = refreshMs + leaseS * 1000;
  const refresh: ControlRequest = {
    ...limit,
    action: 'refresh',
    atMs: refreshMs,
    endMs: refreshEndMs,
    currentA: seen,
    readingAgeMs: 87,
  };
  const stepMs = refreshMs + 900_000;
  const step: ControlRequest = {
    ...limit,
    atMs: stepMs,
    endMs: stepMs + leaseS * 1000,
    levelPercent: { L2: 85 },
    reductionA: { L2: 18.75 },
    currentA: { L1: 188.2, L2: 241.9, L3: 201.5, N: 48.6 },
    readingAgeMs: 41,
  };
  const release: ControlRequest = {
    ...step,
    action: 'release',
    atMs: stepMs + responseTimeS * 1000,
    levelPercent: { L2: 100 },
    reductionA: { L2: 0 },
    currentA: { L1: 181.6, L2: 252.3, L3: 195, N: 65 },
  };
  const messageOf = (request: ControlRequest, order: number) =>
    requestMessage(request, {
      substationId: settings.substation.id,
      feeder,
      group,
      settingsHash: hash,
      requestId: exampleId(order),
      sequence: 1_768_000_000_017 + order,
      episodeId: exampleId(0),
      supersedes: order === 1 ? null : exampleId(order - 1),
      wallOffsetMs: startMs,
      nowMs: request.atMs,
      clockSynchronised: true,
    });
  return {
    limit: messageOf(limit, 1),
    refresh: messageOf(refresh, 2),
    step: messageOf(step, 3),
    release: messageOf(release, 4),
    hash,
  };
}

/** A UUIDv7 that is the same at every run. */
function exampleId(order: number): string {
  return `019bbdaa-8ef8-7000-8000-00000000000${order}`;
}

/** Throws where the message is not one of the contract. */
function example(name: string, schema: z.ZodType, message: unknown): GeneratedFile {
  const json = JSON.stringify(schema.parse(message), null, 2);
  // A list of plain values stands on one line, as the formatter of the repository would have it.
  return {
    path: `docs/examples/${name}.json`,
    text: `${json.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => `[${items.replace(/\s*\n\s*/g, ' ')}]`)}\n`,
  };
}

/** Puts each example into the block that follows its name: `<!-- example: ack -->`. */
function withExamples(markdown: string, examples: readonly GeneratedFile[]): string {
  return markdown.replace(/(<!-- example: ([\w-]+) -->\n```json\n)[^`]*(?=```)/g, (_, head: string, name: string) => {
    const made = examples.find(({ path }) => path === `docs/examples/${name}.json`);
    if (made === undefined) throw new Error(`${CONTRACT} names an example ${name} that is not made`);
    return `${head}${made.text}`;
  });
}

function fileOf(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) {
    mkdirSync(dirname(fileOf(path)), { recursive: true });
    writeFileSync(fileOf(path), text);
  }
}
