// Many substations on a three-node cluster: the node that most are on is killed and comes back, then all three are
// restarted one after the other, under load. Every request that was said has to reach the head end, and every event
// that a broker took has to reach its subscriber. `npm run test:cluster -- --help` has the options.
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';
import { systemClock } from '../../src/clock.ts';
import { newDevice } from '../../src/workbench/headend/fleet.ts';
import { openHeadEnd } from '../../src/workbench/headend/head-end.ts';
import { seededRandom } from '../../src/workbench/seeded-random.ts';
import { NatsCluster } from './nats.ts';
import { Substation } from './substation.ts';

const { values } = parseArgs({
  options: {
    substations: { type: 'string', default: '200' },
    every: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log('npm run test:cluster -- [--substations 200] [--every SECONDS] [--seed N]');
  process.exit(0);
}
const count = Number(values.substations);
const clock = systemClock();
const random = seededRandom(values.seed);
console.log(`cluster run: ${count} substations, a request each ${values.every} s on average, seed ${values.seed}`);

const cluster = await NatsCluster.start();
let breaches = 0;
try {
  breaches = await run();
} finally {
  await cluster.remove();
}
process.exit(breaches === 0 ? 0 : 1);

async function run(): Promise<number> {
  const urls = cluster.nodes.map((node) => cluster.urlOf(node));
  const seen = new Map<string, number>();
  const headEnd = await openHeadEnd(
    {
      broker: urls.toReversed().join(','),
      session: 'headend-0-of-1',
      roundTripS: 0.1,
      perSecond: 0,
      failureShare: 0,
      effectDelayS: 0.1,
      worker: 0,
      workers: 1,
      fleet: (group) => [newDevice(group, 0, 'apc', 'L2')],
      random,
      clock,
    },
    { request: ({ requestId }) => void seen.set(requestId, (seen.get(requestId) ?? 0) + 1) },
  );
  const events = new Set<string>();
  const subscriber = await mqtt.connectAsync({
    servers: urls.map((url) => ({ host: '127.0.0.1', port: Number(new URL(url).port), protocol: 'mqtt' as const })),
    protocolVersion: 4,
    clientId: 'events-0',
    clean: false,
    reconnectPeriod: 500,
    reconnectOnConnackError: true,
  });
  subscriber.on('message', (topic, payload) => {
    events.add(`${topic.split('/')[2]}/${JSON.parse(payload.toString()).sequence}`);
  });
  await subscriber.subscribeAsync('headroom/v1/+/feeder/+/event', { qos: 1 });
  // Half of them prefer the first node, the others one of the other two.
  const substations = Array.from({ length: count }, (_, index) => {
    const first = index % 2 === 0 ? 0 : 1 + ((index >> 1) % 2);
    const brokers = [first, (first + 1) % 3, (first + 2) % 3].map((node) => urls[node] ?? '');
    return new Substation({ substationId: `SUB-${index}`, brokers, clock, random, everyS: Number(values.every) });
  });
  await until('every substation is connected', () => substations.every(({ isUp }) => isUp));
  await sleep(10_000);

  const [busiest] = cluster.nodes;
  if (busiest === undefined) throw new Error('no node');
  await disturb(`${busiest.name} is killed`, substations, () => cluster.stopNode(busiest, 'SIGKILL'));
  await sleep(5_000);
  cluster.startNode(busiest);
  await cluster.healthy(busiest);
  await sleep(5_000);
  for (const node of cluster.nodes) {
    await disturb(`${node.name} is restarted`, substations, async () => {
      await cluster.stopNode(node, 'SIGTERM');
      cluster.startNode(node);
      await cluster.healthy(node);
    });
  }
  for (const substation of substations) substation.finish();
  await until('every request is accepted', () => substations.every(({ open }) => open === 0), 120_000);
  await until('every event is taken', () => substations.every(({ eventsWaiting }) => eventsWaiting === 0), 120_000);
  const eventsTaken = substations.flatMap(({ substationId, eventsSent }) =>
    Array.from({ length: eventsSent }, (_, index) => `${substationId}/${index + 1}`),
  );
  await until('every event taken has arrived', () => eventsTaken.every((event) => events.has(event)), 60_000);
  const said = substations.flatMap((substation) => [...substation.said.keys()]);
  const unseen = said.filter((requestId) => !seen.has(requestId));
  const lost = eventsTaken.filter((event) => !events.has(event));
  console.log(`requests said ${said.length}, that never reached the head end ${unseen.length}`);
  console.log(`events taken by a broker ${eventsTaken.length}, that never arrived ${lost.length}`);
  for (const substation of substations) await substation.close();
  await headEnd.close();
  await subscriber.endAsync(true);
  return unseen.length + lost.length;
}

/** Does it, and prints how long the substations that it cut off took to be connected and to be heard again. */
async function disturb(what: string, substations: readonly Substation[], act: () => Promise<void>): Promise<void> {
  const atMs = clock.monotonicMs();
  await act();
  const cut = () => substations.filter(({ links }) => links.some((link) => !link.up && link.atMs >= atMs));
  await until(`${what}: all are connected again`, () => substations.every(({ isUp }) => isUp), 120_000);
  await until(
    `${what}: all are heard again`,
    () => cut().every((substation) => heardMs(substation, atMs) !== null),
    120_000,
  );
  if (cut().length === 0) return console.log(`${what}: nobody was cut off`);
  const connectedS = cut().map(({ links }) => {
    const down = links.find((link) => !link.up && link.atMs >= atMs)?.atMs ?? atMs;
    return ((links.find((link) => link.up && link.atMs >= down)?.atMs ?? Number.NaN) - atMs) / 1000;
  });
  const heardS = cut().map((substation) => ((heardMs(substation, atMs) ?? Number.NaN) - atMs) / 1000);
  console.log(
    `${what}: ${cut().length} cut off; connected again after ${spread(connectedS)} s, heard ${spread(heardS)} s`,
  );
}

/** When the head end first accepted a request that was said after the disturbance. */
function heardMs({ said, links }: Substation, atMs: number): number | null {
  const down = links.find((link) => !link.up && link.atMs >= atMs)?.atMs ?? atMs;
  const times = [...said.values()].flatMap(({ acceptedMs }) =>
    acceptedMs !== null && acceptedMs > down ? [acceptedMs] : [],
  );
  return times.length === 0 ? null : Math.min(...times);
}

function spread(valuesS: readonly number[]): string {
  const sorted = [...valuesS].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `${at(0.5)} (median) ${at(0.95)} (p95) ${at(1)} (longest)`;
}

async function until(what: string, is: () => boolean, timeoutMs = 60_000): Promise<void> {
  for (const endMs = Date.now() + timeoutMs; !is(); await sleep(100)) {
    if (Date.now() > endMs) return console.log(`not within ${timeoutMs / 1000} s: ${what}`);
  }
}
