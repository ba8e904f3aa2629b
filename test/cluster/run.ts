// Many substations on a three-node cluster: the node that most are on is killed and comes back, then all three are
// restarted one after the other, under load, each with substations on it. Every request that was said has to reach the
// head end, every event that a broker took has to reach its subscriber, and whoever was cut off has to be heard again.
// `npm run test:cluster -- --help` has the options.
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
    settle: { type: 'string', default: '10' },
    restarts: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(randomInt(1_000_000)) },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(
    'npm run test:cluster -- [--substations 200] [--every SECONDS] [--settle SECONDS] [--restarts 3] [--seed N]',
  );
  process.exit(0);
}
const count = Number(values.substations);
const settleMs = Number(values.settle) * 1_000;
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
  await sleep(settleMs);

  const [busiest] = cluster.nodes;
  if (busiest === undefined) throw new Error('no node');
  const spared: string[] = [];
  const disturbed = async (what: string, act: () => Promise<void>) => {
    if (!(await disturb(what, substations, act))) spared.push(what);
  };
  await disturbed(`${busiest.name} is killed`, () => cluster.stopNode(busiest, 'SIGKILL'));
  await sleep(settleMs / 2);
  cluster.startNode(busiest);
  await cluster.healthy(busiest);
  await sleep(settleMs / 2);
  // The killed one last: nobody is on it until those of another node have had to go.
  for (const node of [...cluster.nodes.slice(1), busiest].slice(0, Number(values.restarts))) {
    await disturbed(`${node.name} is restarted`, async () => {
      await cluster.stopNode(node, 'SIGTERM');
      cluster.startNode(node);
      await cluster.healthy(node);
    });
  }
  for (const substation of substations) substation.finish();
  await until('every request is accepted', () => substations.every(({ open }) => open === 0), 120_000);
  await until('every event is taken', () => substations.every(({ eventsWaiting }) => eventsWaiting === 0), 120_000);
  const notAccepted = substations.reduce((sum, { open }) => sum + open, 0);
  const eventsLeft = substations.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0);
  const eventsTaken = substations.flatMap(({ substationId, eventsSent }) =>
    Array.from({ length: eventsSent }, (_, index) => `${substationId}/${index + 1}`),
  );
  await until('every event taken has arrived', () => eventsTaken.every((event) => events.has(event)), 60_000);
  const said = substations.flatMap((substation) => [...substation.said.keys()]);
  const unseen = said.filter((requestId) => !seen.has(requestId));
  const lost = eventsTaken.filter((event) => !events.has(event));
  console.log(
    `requests said ${said.length}, that never reached the head end ${unseen.length}, not accepted ${notAccepted}`,
  );
  console.log(
    `events taken by a broker ${eventsTaken.length}, that never arrived ${lost.length}, not taken ${eventsLeft}`,
  );
  for (const substation of substations) await substation.close();
  await headEnd.close();
  await subscriber.endAsync(true);
  if (spared.length > 0) console.log(`without effect, or not got over: ${spared.join('; ')}`);
  return unseen.length + lost.length + notAccepted + eventsLeft + spared.length;
}

/**
 * Does it, and prints how long the substations that it cut off took to be connected and to be heard again. False where
 * it shows nothing: it cut nobody off, or one that it cut off was not heard again.
 */
async function disturb(what: string, substations: readonly Substation[], act: () => Promise<void>): Promise<boolean> {
  const atMs = clock.monotonicMs();
  await act();
  const cut = () => substations.filter(({ links }) => links.some((link) => !link.up && link.atMs >= atMs));
  // A connection that is gone is noticed a moment later, and the others with it.
  await until(`${what}: somebody is cut off`, () => cut().length > 0, 10_000);
  await sleep(500);
  await until(`${what}: all are connected again`, () => substations.every(({ isUp }) => isUp), 120_000);
  await until(
    `${what}: all are heard again`,
    () => cut().every((substation) => heardMs(substation, atMs) !== null),
    120_000,
  );
  if (cut().length === 0) {
    console.log(`${what}: nobody was cut off`);
    return false;
  }
  const connectedS = cut().map(({ links }) => {
    const down = links.find((link) => !link.up && link.atMs >= atMs)?.atMs ?? atMs;
    return ((links.find((link) => link.up && link.atMs >= down)?.atMs ?? Number.NaN) - atMs) / 1000;
  });
  const heardS = cut().map((substation) => ((heardMs(substation, atMs) ?? Number.NaN) - atMs) / 1000);
  console.log(
    `${what}: ${cut().length} cut off; connected again after ${spread(connectedS)} s, heard ${spread(heardS)} s`,
  );
  return cut().every((substation) => heardMs(substation, atMs) !== null);
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
