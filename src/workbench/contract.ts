// The MQTT contract as a table: which message goes on which topic, from whom, how. The JSON Schemas, the AsyncAPI
// document and the checks of both are made from it.
import type { z } from 'zod';
import { commandAckSchema, commandSchema } from '../command-message.ts';
import { ackSchema, curtailmentSchema, eventSchema, statusSchema } from '../messages.ts';
import { telemetrySchema } from '../telemetry-message.ts';

export interface ContractMessage {
  /** Of the files in docs/schemas, and what the names of its examples begin with. */
  readonly name: string;
  readonly title: string;
  readonly schema: z.ZodType;
}

export interface Channel {
  readonly name: string;
  /** Behind `headroom/v1/`. */
  readonly topic: string;
  readonly from: 'edge' | 'head end';
  readonly message: string;
  readonly retained: boolean;
  readonly says: string;
  /** The channel that the answer comes on. */
  readonly answer?: string;
}

export const MESSAGES: readonly ContractMessage[] = [
  { name: 'curtailment', title: 'Headroom curtailment request', schema: curtailmentSchema },
  { name: 'ack', title: 'Headroom acknowledgement', schema: ackSchema },
  { name: 'event', title: 'Headroom event', schema: eventSchema },
  { name: 'telemetry', title: 'Headroom telemetry', schema: telemetrySchema },
  { name: 'status', title: 'Headroom status', schema: statusSchema },
  { name: 'command', title: 'Headroom command', schema: commandSchema },
  { name: 'commandAck', title: 'Headroom answer to a command', schema: commandAckSchema },
];

const FEEDER = '{substationId}/feeder/{feederId}';

export const CHANNELS: readonly Channel[] = [
  {
    name: 'curtailment',
    topic: `${FEEDER}/curtailment`,
    from: 'edge',
    message: 'curtailment',
    retained: true,
    says: 'the request in force',
    answer: 'curtailmentAck',
  },
  {
    name: 'curtailmentAck',
    topic: `${FEEDER}/curtailment/ack`,
    from: 'head end',
    message: 'ack',
    retained: false,
    says: 'what became of a request',
  },
  {
    name: 'feederEvent',
    topic: `${FEEDER}/event`,
    from: 'edge',
    message: 'event',
    retained: false,
    says: 'sequence of events of one feeder',
  },
  {
    name: 'event',
    topic: '{substationId}/event',
    from: 'edge',
    message: 'event',
    retained: false,
    says: 'events that belong to no single feeder',
  },
  {
    name: 'telemetry',
    topic: `${FEEDER}/telemetry`,
    from: 'edge',
    message: 'telemetry',
    retained: false,
    says: 'averages and extremes per interval',
  },
  {
    name: 'status',
    topic: '{substationId}/status',
    from: 'edge',
    message: 'status',
    retained: true,
    says: 'birth, changes of health and last will',
  },
  {
    name: 'command',
    topic: '{substationId}/command',
    from: 'head end',
    message: 'command',
    retained: false,
    says: 'an order of the head end',
    answer: 'commandAck',
  },
  {
    name: 'commandAck',
    topic: '{substationId}/command/ack',
    from: 'edge',
    message: 'commandAck',
    retained: false,
    says: 'what became of a command',
  },
];
