// What a substation costs the head end's broker, by its processor time and memory: a session, a connection with TLS and
// a client certificate, a message of telemetry that a broker takes at QoS 1 and hands to one subscriber. A real
// Mosquitto; the figures of docs/operations.md are made of these.
//
//   npm run bench:broker -- [--sessions 1000] [--messages 50000] [--json]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { topicsOf } from '../../src/messages.ts';
import { Authority } from '../../test/simulators/certificates.ts';
import { Mosquitto, mosquittoOrSkip } from '../../test/simulators/mosquitto.ts';

/** Clock ticks a second in /proc, on every Linux that Node runs on. */
const TICKS = 100;
const AT_ONCE = 50;
const PAYLOAD = JSON.stringify(
  JSON.parse(readFileSync(join(import.meta.dirname, '../../docs/examples/telemetry.json'), 'utf8')),
);

function cpuS(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function connectAll(count: number, url: string, options: IClientOptions): Promise<MqttClient[]> {
  const clients: MqttClient[] = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const more = Array.from({ length: Math.min(AT_ONCE, count - from) }, async (_, index) => {
      const client = await mqtt.connectAsync(url, {
        protocolVersion: 5,
        clientId: `headroom-SUB-${from + index}`,
        clean: false,
        properties: { sessionExpiryInterval: 3600 },
        reconnectPeriod: 0,
        ...options,
      });
      const topics = topicsOf(`SUB-${from + index}`);
      await client.subscribeAsync([topics.everyAck, topics.command, topics.status], { qos: 1 });
      return client;
    });
    clients.push(...(await Promise.all(more)));
  }
  return clients;
}

/** Processor time of the broker and its growth for so many sessions. */
async function sessions(broker: Mosquitto, count: number, options: IClientOptions = {}) {
  const [beforeS, beforeKb] = [cpuS(broker.pid), residentKb(broker.pid)];
  const clients = await connectAll(count, broker.url, options);
  const ms = ((cpuS(broker.pid) - beforeS) * 1000) / count;
  return { clients, connectCpuMs: ms, sessionKb: (residentKb(broker.pid) - beforeKb) / count };
}

/** Each client says its turn of telemetry, and one subscriber hears all. */
async function telemetry(broker: Mosquitto, clients: readonly MqttClient[], count: number) {
  const subscriber = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  let heard = 0;
  subscriber.on('message', () => {
    heard += 1;
  });
  await subscriber.subscribeAsync('headroom/v1/+/feeder/+/telemetry', { qos: 1 });
  const beforeS = cpuS(broker.pid);
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const turn = Array.from({ length: AT_ONCE }, (_, index) => {
      const number = (sent + index) % clients.length;
      return clients[number]?.publishAsync(topicsOf(`SUB-${number}`).telemetry('F1'), PAYLOAD, { qos: 1 });
    });
    await Promise.all(turn);
  }
  while (heard < count) await new Promise((resolve) => setTimeout(resolve, 10));
  const messageCpuMs = ((cpuS(broker.pid) - beforeS) * 1000) / count;
  await subscriber.endAsync();
  return messageCpuMs;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '1000' },
      messages: { type: 'string', default: '50000' },
      json: { type: 'boolean', default: false },
    },
  });
  if (!mosquittoOrSkip('openssl')) return 0;
  const [count, messages] = [Number(values.sessions), Number(values.messages)];
  const plain = await Mosquitto.start({ persistence: true, unlimitedQueue: true });
  const { clients, connectCpuMs, sessionKb } = await sessions(plain, count);
  const messageCpuMs = await telemetry(plain, clients, messages);
  await Promise.all(clients.map((client) => client.endAsync(true)));
  await plain.remove();

  const authority = new Authority('DNO');
  const own = authority.issue('broker', { names: 'IP:127.0.0.1' });
  const secure = await Mosquitto.start({ tls: { ca: authority.ca, ...own } });
  const pair = authority.issue('SUB');
  const files = { ca: readFileSync(authority.ca), cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const tls = await sessions(secure, count, files);
  await Promise.all(tls.clients.map((client) => client.endAsync(true)));
  await secure.remove();

  const figures = {
    sessions: count,
    messages,
    payloadBytes: Buffer.byteLength(PAYLOAD),
    connectCpuMs,
    sessionKb,
    messageCpuMs,
    tlsConnectCpuMs: tls.connectCpuMs,
    tlsSessionKb: tls.sessionKb,
  };
  if (values.json) console.log(JSON.stringify(figures));
  else for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(18)} ${value.toPrecision(3)}`);
  return 0;
}

process.exitCode = await main();
