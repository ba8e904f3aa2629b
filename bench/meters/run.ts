// A substation of 24 feeders, each with a meter of its own at 100 ms: what the controller costs in processor time and
// memory, how long it takes from its start to the first good reading, and from the answer that carries an overload to
// the request at a subscriber. The meters, the subscriber and the stop-watch are this process. See README.md beside.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';
import { answerFrame, float32, ModbusServer } from '../../test/simulators/modbus-server.ts';
import { Mosquitto } from '../../test/simulators/mosquitto.ts';

const { values } = parseArgs({
  options: {
    meters: { type: 'string', default: '24' },
    poll: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string', default: '300' },
    starts: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const [meterCount, pollMs, seconds, steps, starts] = [
  values.meters,
  values.poll,
  values.seconds,
  values.steps,
  values.starts,
].map(Number) as [number, number, number, number, number];

const TARGETS = { cpuPercent: 4, residentMb: 120, reactionP99Ms: 8, startMs: 700 };
const [LOW_A, HIGH_A] = [300, 380];
/** L1 of an SDM630; a read of the neutral alone (224) carries no overload. */
const FIRST_CURRENT = 6;
const SETTLE_S = 10;
/** As hardware/systemd/headroom.service and the image have it. */
const SERVICE_ENVIRONMENT = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '1' };
const PROGRAM = join(import.meta.dirname, '../../src/headroom.js');

/** A meter with the map of an SDM630, and when its overload was first read. */
interface Meter {
  readonly server: ModbusServer;
  currentA: number;
  overloadReadMs: number | null;
}

const folder = mkdtempSync(join(tmpdir(), 'headroom-meters-'));
const broker = await Mosquitto.start();
const meters = await Promise.all(Array.from({ length: meterCount }, newMeter));
const config = join(folder, 'meters.yaml');
writeFileSync(config, JSON.stringify(configuration()));
const client = await mqtt.connectAsync(broker.url, { protocolVersion: 5 });
let program: ChildProcess | null = null;
try {
  const startMs: number[] = [];
  // The first start fills the compile cache, as an installation does; it is not counted.
  for (let n = 0; n <= starts; n++) {
    const started = await start();
    if (n > 0) startMs.push(started.firstReadingMs);
    if (n < starts) await end(started.program);
    else program = started.program;
  }
  await sleep(SETTLE_S * 1000);
  const cpuBeforeS = cpuSeconds();
  const residentMb: number[] = [];
  for (let n = 0; n < seconds; n++) {
    await sleep(1000);
    residentMb.push(residentNow());
  }
  const cpuPercent = ((cpuSeconds() - cpuBeforeS) / seconds) * 100;
  const reactions = await react();
  report({ startMs, cpuPercent, residentMb: Math.max(...residentMb, residentNow()), reactions });
} finally {
  if (program !== null) await end(program);
  await client.endAsync(true);
  for (const { server } of meters) await server.close();
  await broker.remove();
  rmSync(folder, { recursive: true, force: true });
}

async function newMeter(): Promise<Meter> {
  const meter: Meter = {
    server: await ModbusServer.start((request) => {
      const amperes = [0, 1, 2].map((phase) => meter.currentA - Math.random() - phase / 4);
      const words = new Map(amperes.flatMap(float32).map((word, index) => [FIRST_CURRENT + index, word]));
      const bytes = answerFrame(request, words);
      const carries = request.address <= FIRST_CURRENT && request.address + request.count > FIRST_CURRENT;
      if (carries && meter.currentA === HIGH_A) meter.overloadReadMs ??= performance.now();
      return [{ bytes }];
    }),
    currentA: LOW_A,
    overloadReadMs: null,
  };
  meter.server.keepsRequests = false;
  return meter;
}

/** From the start of the process to its own word that a meter answers, which follows its first reading at once. */
async function start(): Promise<{ program: ChildProcess; firstReadingMs: number }> {
  const startedMs = performance.now();
  const env = { ...process.env, ...SERVICE_ENVIRONMENT };
  const child = spawn(process.execPath, [PROGRAM, 'run', config], { stdio: ['ignore', 'pipe', 'inherit'], env });
  let said = '';
  const firstReadingMs = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      if (said.includes('"answers"')) return;
      said += chunk;
      if (said.includes('"answers"')) resolve(performance.now() - startedMs);
    });
    child.once('exit', () => reject(new Error(`the controller ended: ${said}`)));
  });
  return { program: child, firstReadingMs };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** One feeder after another is overloaded until its request is there. */
async function react(): Promise<number[]> {
  const reactions: number[] = [];
  let arrived: (feeder: number) => void = () => {};
  client.on('message', (topic, payload) => {
    const feeder = /\/feeder\/F(\d+)\//.exec(topic)?.[1];
    if (payload.includes('"action":"limit"')) arrived(Number(feeder));
  });
  await client.subscribeAsync('headroom/v1/+/feeder/+/curtailment', { qos: 1 });
  for (let n = 0; n < steps; n++) {
    const index = n % meters.length;
    const meter = meters[index] as Meter;
    meter.overloadReadMs = null;
    const limit = new Promise<number>((resolve) => {
      arrived = (feeder) => feeder === index && resolve(performance.now());
    });
    meter.currentA = HIGH_A;
    const arrivedMs = await limit;
    if (meter.overloadReadMs === null) throw new Error('a request before its overload');
    reactions.push(arrivedMs - meter.overloadReadMs);
    meter.currentA = LOW_A;
    await sleep(pollMs * (1 + Math.random()));
  }
  return reactions;
}

function residentNow(): number {
  const status = readFileSync(`/proc/${program?.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

/** User and system time of the whole process: fields 14 and 15 of proc(5), in hundredths of a second. */
function cpuSeconds(): number {
  const fields = readFileSync(`/proc/${program?.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function configuration() {
  const ids = meters.map((_, index) => ({ source: `meter-${index}`, feeder: `F${index}` }));
  return {
    substation: { id: 'BENCH' },
    uplink: { brokers: [{ url: broker.url }], allowInsecure: true },
    sources: meters.map(({ server }, index) => ({
      id: ids[index]?.source,
      type: 'modbus-tcp',
      host: '127.0.0.1',
      port: server.port,
      profile: 'eastron-sdm630',
      pollMs,
      timeoutMs: 500,
    })),
    feeders: ids.map(({ source, feeder }) => ({
      id: feeder,
      currents: { source },
      targetGroup: { id: `TG-${feeder}`, version: 1 },
      settings: [
        {
          name: 'bench',
          ratingA: 400,
          atRisk: { pickupA: 360, dropoutA: 320, delayS: 0, resetDelayS: 0 },
          curtailment: {
            mode: 'onOff',
            leaseS: 3600,
            refreshS: 1800,
            responseTimeS: 0,
            endSpreadS: 0,
            minOnS: 0,
          },
          caps: { requestsPerHour: 0 },
        },
      ],
    })),
    journal: { path: join(folder, 'journal') },
  };
}

function report({
  startMs,
  cpuPercent,
  residentMb,
  reactions,
}: {
  startMs: number[];
  cpuPercent: number;
  residentMb: number;
  reactions: number[];
}): void {
  const at = (numbers: readonly number[], share: number) =>
    numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN;
  const figures = {
    meters: meterCount,
    pollMs,
    cpuPercent: round(cpuPercent, 2),
    residentMb: round(residentMb, 1),
    reactionMs: {
      p50: round(at(reactions, 0.5), 2),
      p99: round(at(reactions, 0.99), 2),
      max: round(at(reactions, 1), 2),
    },
    startMs: { median: round(at(startMs, 0.5), 0), max: round(at(startMs, 1), 0) },
    steps: reactions.length,
    targets: TARGETS,
  };
  if (values.json) return void process.stdout.write(`${JSON.stringify(figures)}\n`);
  const word = (value: number, target: number) => (value <= target ? 'met' : 'MISSED');
  process.stdout.write(
    `${meterCount} feeders on ${meterCount} meters at ${pollMs} ms, ${seconds} s, then ${steps} steps\n` +
      `processor  ${figures.cpuPercent} % of a core, target ${TARGETS.cpuPercent}: ${word(cpuPercent, TARGETS.cpuPercent)}\n` +
      `resident   ${figures.residentMb} MB, target ${TARGETS.residentMb}: ${word(residentMb, TARGETS.residentMb)}\n` +
      `reaction   p50 ${figures.reactionMs.p50} ms, p99 ${figures.reactionMs.p99} ms, target ${TARGETS.reactionP99Ms}: ${word(figures.reactionMs.p99, TARGETS.reactionP99Ms)}\n` +
      `start      ${figures.startMs.median} ms to the first good reading, target ${TARGETS.startMs}: ${word(figures.startMs.median, TARGETS.startMs)}\n`,
  );
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
