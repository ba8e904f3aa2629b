// A broker that is away for a week and comes back: what waits is bounded in memory and on disk, requests come first,
// and a hundred thousand queued messages are drained in order. See README.md beside.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';
import { verifyEvents } from '../../src/journal/reader.ts';
import { Mosquitto } from '../../test/simulators/mosquitto.ts';

const { values } = parseArgs({
  options: { queued: { type: 'string', default: '100000' }, json: { type: 'boolean', default: false } },
});
const folder = mkdtempSync(join(tmpdir(), 'headroom-outage-'));
const broker = await Mosquitto.prepare({ unlimitedQueue: true });
const seen = { requests: 0, eventsBeforeRequests: 0, events: 0, outOfOrder: 0, firstMs: 0, lastMs: 0, last: 0 };
let client: mqtt.MqttClient | null = null;
try {
  const week = await phase('week', values.queued);
  client = await witness();
  report(week, await phase('return', values.queued, String(week.endMs)));
} finally {
  await client?.endAsync(true);
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** The figures that the controller's process gives of one phase. */
async function phase(name: string, ...more: string[]): Promise<Record<string, number>> {
  const program = join(import.meta.dirname, 'controller.ts');
  const child = spawn(process.execPath, [program, name, join(folder, 'journal'), broker.url, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the controller ended with ${code}`);
  return JSON.parse(text);
}

async function witness(): Promise<mqtt.MqttClient> {
  await broker.start();
  const made = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
  made.on('message', (topic, payload) => (topic.endsWith('/curtailment') ? request() : event(payload)));
  await made.subscribeAsync('headroom/v1/#', { qos: 1 });
  return made;
}

function request(): void {
  seen.requests += 1;
  seen.eventsBeforeRequests = seen.events;
}

function event(payload: Buffer): void {
  const text = payload.toString();
  if (!text.startsWith('{"schema":"headroom/v1/event"')) return;
  const { sequence } = JSON.parse(text);
  if (sequence !== seen.last + 1 && seen.last !== 0) seen.outOfOrder += 1;
  seen.last = sequence;
  seen.events += 1;
  seen.firstMs ||= performance.now();
  seen.lastMs = performance.now();
}

function report(week: Record<string, number>, back: Record<string, number>): void {
  const { events, broken } = verifyEvents(join(folder, 'journal'));
  const figures = {
    queued: Number(values.queued),
    weekEvents: week.events,
    weekPeakMB: week.peakMB,
    weekDiskMB: week.diskMB,
    requests: seen.requests,
    eventsBeforeRequests: seen.eventsBeforeRequests,
    events: seen.events,
    outOfOrder: seen.outOfOrder,
    drainS: Math.round(seen.lastMs - seen.firstMs) / 1000,
    drainPeakMB: back.peakMB,
    drainCpuS: back.cpuS,
    journalEvents: events,
    broken,
  };
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else {
    process.stdout.write(
      `a week without a broker: ${figures.weekEvents} events, at most ${figures.weekPeakMB} MB of memory, ${figures.weekDiskMB} MB on disk\n` +
        `on return: ${figures.requests} requests after ${figures.eventsBeforeRequests} events; ${figures.events} events in ${figures.drainS} s (${figures.drainCpuS} s of processor), ` +
        `${figures.outOfOrder} out of order, at most ${figures.drainPeakMB} MB (target 10 s, 160 MB)\n`,
    );
  }
  const isWhole = seen.outOfOrder === 0 && seen.eventsBeforeRequests === 0 && broken === null && seen.requests > 0;
  process.exitCode = isWhole && seen.events >= Number(values.queued) ? 0 : 1;
}
