// docs/asyncapi.yaml is AsyncAPI 3 by the specification's own schema, its references lead somewhere, its examples are
// what its payloads take, and it names every topic that the code uses.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import specifications from '@asyncapi/specs';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { topicsOf } from '../../src/messages.ts';

type Json = { readonly [key: string]: Json } & Json[];
const document = parse(readFileSync(join(import.meta.dirname, '../../docs/asyncapi.yaml'), 'utf8')) as Json;

function ajv(): Ajv {
  // The specification's file brings the meta-schema of draft 07 with it.
  const made = new Ajv({ strict: false, allErrors: true, validateSchema: false, meta: false });
  formats.default(made);
  return made;
}
const validateDocument = ajv().compile(specifications.schemas['3.0.0'] as object);

/** Every value under `key`, anywhere. */
function all(value: unknown, key: string): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [...(name === key ? [inner] : []), ...all(inner, key)]);
}

describe('docs/asyncapi.yaml', () => {
  test('is AsyncAPI 3', () => {
    validateDocument(document);
    expect(validateDocument.errors ?? []).toEqual([]);
    expect(document['asyncapi']).toBe('3.0.0');
  });

  test.each([
    ['a channel without its messages being objects', { channels: { a: { messages: 7 } } }],
    [
      'an operation that does neither',
      { operations: { a: { action: 'shout', channel: { $ref: '#/channels/event' } } } },
    ],
    ['no info', { info: undefined }],
  ])('would not be with %s', (_name, change) => {
    expect(validateDocument(JSON.parse(JSON.stringify({ ...document, ...change })))).toBe(false);
  });

  test('refers to nothing that is not there', () => {
    const references = all(document, '$ref') as string[];
    const target = (reference: string) =>
      reference
        .split('/')
        .slice(1)
        .reduce<Json | undefined>((at, key) => at?.[key], document);
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter((reference) => target(reference) === undefined)).toEqual([]);
  });

  test('has every topic of the code, and no other', () => {
    const topics = topicsOf('{substationId}');
    const feeder = '{feederId}';
    const used = [
      topics.curtailment(feeder),
      topics.ack(feeder),
      topics.event(feeder),
      topics.event(null),
      topics.telemetry(feeder),
      topics.status,
      topics.command,
      topics.commandAck,
    ];
    const channels = Object.values(document['channels'] as Json).map((channel) => channel['address']);
    expect(channels.map(String).sort()).toEqual(used.sort());
  });

  const messages = Object.entries(document['components']?.['messages'] as Json);
  test.each(messages)('%s: each example is what its payload takes, and a broken one is not', (_name, message) => {
    const validate = ajv().compile(message['payload'] as Json);
    const examples = message['examples'] as Json;
    expect(examples.length).toBeGreaterThan(0);
    for (const { payload } of examples as Json[]) {
      validate(payload);
      expect(validate.errors ?? []).toEqual([]);
      expect(validate({ ...(payload as object), schema: 'headroom/v2' })).toBe(false);
      expect(validate({ ...(payload as object), at: 7, issuedAt: 7, start: 7 })).toBe(false);
    }
  });
});
