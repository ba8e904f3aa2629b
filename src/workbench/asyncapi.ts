// docs/asyncapi.yaml: the contract in AsyncAPI 3, for generators and catalogues. Schemas and examples stand in it in
// full, so that the one file is enough.
import { stringify } from 'yaml';
import { z } from 'zod';
import { PACKET_BYTES_MAX, SESSION_EXPIRY_S } from '../uplink/packets.ts';
import { CHANNELS, type Channel, type ContractMessage, MESSAGES } from './contract.ts';

/** What the correlation data of MQTT 5 repeats. */
const CORRELATED: { readonly [message: string]: string } = {
  curtailment: 'requestId',
  ack: 'requestId',
  command: 'commandId',
  commandAck: 'commandId',
};

export interface Example {
  /** Begins with the name of its message. */
  readonly name: string;
  readonly message: object;
}

/** The whole document. `version` is that of the program that made it. */
export function asyncApi(version: string, examples: readonly Example[]): string {
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Headroom',
      version,
      description:
        'MQTT contract headroom/v1 between the edge controller of an LV substation and the head end. Operations are those of the edge. It is not protection. Fields, rules and the mapping to DUIS are explained in head-end.md.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      headEnd: {
        host: 'headend.example:8883',
        protocol: 'secure-mqtt',
        protocolVersion: '5.0',
        description: "The head end's broker; MQTT 3.1.1 where it has no 5. The edge has a client certificate.",
        security: [{ $ref: '#/components/securitySchemes/certificate' }],
        bindings: { mqtt: session(examples) },
      },
    },
    channels: byName(CHANNELS, channel),
    operations: byName(CHANNELS, operation),
    components: {
      securitySchemes: {
        certificate: { type: 'X509', description: 'mutual TLS 1.2 or later; the common name is the substation id' },
      },
      messages: byName(MESSAGES, (one) => message(one, examples)),
    },
  };
  return `# Made by npm run generate from the schemas that the program checks with.\n${stringify(document, { lineWidth: 120, aliasDuplicateObjects: false })}`;
}

/** How an edge connects: fields of MQTT 5; with 3.1.1 the same as far as it has them. */
function session(examples: readonly Example[]): object {
  const will = examples.find(({ name }) => name === 'status-will');
  return {
    clientId: 'headroom-{substationId}',
    cleanSession: false,
    lastWill: {
      topic: 'headroom/v1/{substationId}/status',
      qos: 1,
      message: JSON.stringify(will?.message),
      retain: true,
    },
    keepAlive: 20,
    sessionExpiryInterval: SESSION_EXPIRY_S,
    maximumPacketSize: PACKET_BYTES_MAX,
  };
}

function byName<T extends { readonly name: string }>(all: readonly T[], make: (one: T) => object) {
  return Object.fromEntries(all.map((one) => [one.name, make(one)]));
}

function channel({ topic, message: name, says }: Channel): object {
  const id = { description: 'letters, digits, dot, dash and underscore, at most 64' };
  return {
    address: `headroom/v1/${topic}`,
    description: says,
    messages: { [name]: { $ref: `#/components/messages/${name}` } },
    parameters: { substationId: id, ...(topic.includes('{feederId}') && { feederId: id }) },
  };
}

function operation({ name, from, message: carried, retained, says, answer }: Channel): object {
  return {
    action: from === 'edge' ? 'send' : 'receive',
    channel: { $ref: `#/channels/${name}` },
    summary: says,
    messages: [{ $ref: `#/channels/${name}/messages/${carried}` }],
    bindings: { mqtt: { qos: 1, retain: retained } },
    ...(answer !== undefined && { reply: { channel: { $ref: `#/channels/${answer}` } } }),
  };
}

function message({ name, title, schema }: ContractMessage, examples: readonly Example[]): object {
  // AsyncAPI's own schema language is a superset of draft 07.
  const { $schema: _, ...payload } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return {
    name,
    title,
    contentType: 'application/json',
    ...(CORRELATED[name] && { correlationId: { location: `$message.payload#/${CORRELATED[name]}` } }),
    bindings: { mqtt: { payloadFormatIndicator: 1, contentType: 'application/json' } },
    payload,
    examples: examples
      .filter((example) => example.name.split('-')[0] === name)
      .map((example) => ({ name: example.name, payload: example.message })),
  };
}
