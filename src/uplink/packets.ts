// What a CONNECT and a PUBLISH carry: the options that MQTT.js makes a connection of, and the properties in which MQTT 5
// repeats what a payload says. Pure.
import type { IClientOptions } from 'mqtt';
import type { Credentials } from './credentials.ts';

export interface Publication {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  /** Seconds after which a broker of MQTT 5 forgets it. */
  readonly expiryS?: number;
  readonly responseTopic?: string;
  readonly correlationId?: string;
}

/** Who connects, and what the broker says of it when its connection breaks. */
export interface ConnectGiven {
  readonly url: string;
  readonly version: 4 | 5;
  readonly clientId: string;
  readonly keepAliveS: number;
  readonly will: { readonly topic: string; readonly payload: string };
}

export const CONNECT_TIMEOUT_MS = 10_000;
export const SESSION_EXPIRY_S = 7 * 24 * 3600;
/** A link that comes back within this was never offline to others. */
const WILL_DELAY_S = 30;
export const PACKET_BYTES_MAX = 65_536;
/** Messages to us that may be without a PUBACK at once. */
const RECEIVE_MAX = 16;

export function connectOptions(given: ConnectGiven, { username, password, ...tls }: Credentials): IClientOptions {
  const { url, version, clientId, keepAliveS, will } = given;
  const five = version === 5;
  return {
    protocolVersion: version,
    clientId,
    clean: false,
    keepalive: keepAliveS,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    queueQoSZero: false,
    resubscribe: false,
    // It would be a buffer for each of 65,536 numbers: 14 MB for what two bytes cost to write (measured).
    writeCache: false,
    will: {
      topic: will.topic,
      payload: Buffer.from(will.payload),
      qos: 1,
      retain: true,
      ...(five && { properties: { willDelayInterval: WILL_DELAY_S } }),
    },
    ...(username !== undefined && password !== undefined && { username, password }),
    // MQTT.js takes a certificate for a wish to speak TLS, whatever the address says.
    ...(url.startsWith('mqtts://') && tls),
    rejectUnauthorized: true,
    ...{ minVersion: 'TLSv1.2' },
    ...(five && {
      autoAssignTopicAlias: true,
      properties: {
        sessionExpiryInterval: SESSION_EXPIRY_S,
        receiveMaximum: RECEIVE_MAX,
        maximumPacketSize: PACKET_BYTES_MAX,
      },
    }),
  };
}

/** MQTT 5 repeats in its properties what the payload says. */
export function propertiesOf({ expiryS, responseTopic, correlationId }: Publication) {
  return {
    contentType: 'application/json',
    payloadFormatIndicator: true,
    ...(expiryS !== undefined && { messageExpiryInterval: expiryS }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationId !== undefined && { correlationData: Buffer.from(correlationId) }),
  };
}
