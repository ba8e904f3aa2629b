// The contestants: how each is made ready, started and written to. All get the same job (JOB.md) in the same
// environment variables, and a folder of their own for what they keep.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const here = import.meta.dirname;
const root = join(here, '..', '..');

export interface Job {
  readonly folder: string;
  readonly meterPorts: readonly number[];
  readonly brokerPort: number;
  readonly pollMs: number;
  readonly timeoutMs: number;
  readonly leaseS: number;
  readonly pickupA: number;
  readonly dropoutA: number;
}

export interface Contestant {
  readonly name: string;
  readonly what: string;
  /** Makes it ready; null, or why it cannot take part here. */
  install(): string | null;
  /** The command, with what it needs written into the job's folder. */
  command(job: Job): Promise<readonly string[]>;
}

const node = process.execPath;

export const CONTESTANTS: readonly Contestant[] = [
  {
    name: 'headroom',
    what: 'Headroom as shipped',
    install: () => null,
    async command(job) {
      const file = join(job.folder, 'evening.yaml');
      writeFileSync(file, headroomConfiguration(job));
      return [node, join(root, 'src/headroom.js'), 'run', file];
    },
  },
  {
    name: 'c-floor',
    what: 'a C program that does the least possible',
    install() {
      mkdirSync(join(here, 'build'), { recursive: true });
      const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'libmodbus', 'libmosquitto', 'sqlite3']);
      if (flags.status !== 0) return 'needs libmodbus-dev libmosquitto-dev libsqlite3-dev pkg-config';
      const words = flags.stdout.toString().trim().split(/\s+/);
      const made = spawnSync('gcc', ['-O2', '-Wall', '-o', floor, join(here, 'contestants/c/evening.c'), ...words]);
      return made.status === 0 ? null : `gcc: ${made.stderr ?? 'not found'}`;
    },
    command: async () => [floor],
  },
  {
    name: 'node',
    what: 'a plain Node script on the same libraries',
    install: () => null,
    command: async () => [node, join(here, 'contestants/node/evening.ts')],
  },
  {
    name: 'python',
    what: 'pymodbus and paho',
    install() {
      const tried = spawnSync('/usr/bin/python3', ['-c', 'import pymodbus.client, paho.mqtt.client']);
      return tried.status === 0 ? null : 'needs python3-pymodbus, python3-serial-asyncio and python3-paho-mqtt';
    },
    command: async () => ['/usr/bin/python3', join(here, 'contestants/python/evening.py')],
  },
  nodeRed('node-red-stock', 'Node-RED with stock nodes', 'stock.ts'),
  nodeRed('node-red-hardened', 'Node-RED as a good integrator would', 'hardened.ts'),
];

const floor = join(here, 'build', 'c-floor');

function nodeRed(name: string, what: string, flow: string): Contestant {
  const folder = join(here, 'contestants/node-red');
  return {
    name,
    what,
    install() {
      if (existsSync(join(folder, 'node_modules/node-red/red.js'))) return null;
      const made = spawnSync('npm', ['ci', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'], {
        cwd: folder,
      });
      return made.status === 0 ? null : `npm: ${made.stderr ?? 'not found'}`;
    },
    async command(job) {
      const made = await promisify(execFile)(node, [join(folder, flow)], {
        env: { ...process.env, ...environment(job) },
      });
      writeFileSync(join(job.folder, 'flows.json'), made.stdout);
      return [
        node,
        join(folder, 'node_modules/node-red/red.js'),
        '-u',
        job.folder,
        '-s',
        join(folder, 'settings.cjs'),
        join(job.folder, 'flows.json'),
      ];
    },
  };
}

/** The job as every contestant but Headroom is told of it. */
export function environment(job: Job): Record<string, string> {
  return {
    EVENING_METERS: job.meterPorts.join(','),
    EVENING_BROKER: String(job.brokerPort),
    EVENING_POLL_MS: String(job.pollMs),
    EVENING_TIMEOUT_MS: String(job.timeoutMs),
    EVENING_LEASE_S: String(job.leaseS),
    EVENING_PICKUP_A: String(job.pickupA),
    EVENING_DROPOUT_A: String(job.dropoutA),
    EVENING_FOLDER: job.folder,
  };
}

function headroomConfiguration(job: Job): string {
  const sources = job.meterPorts.map(
    (port, index) =>
      `  - { id: meter-${index + 1}, type: modbus-tcp, host: 127.0.0.1, port: ${port}, profile: eastron-sdm630, pollMs: ${job.pollMs}, timeoutMs: ${job.timeoutMs} }`,
  );
  const feeders = job.meterPorts.map(
    (_, index) => `  - id: F${index + 1}
    currents: { source: meter-${index + 1} }
    targetGroup: { id: TG-${index + 1}, version: 1 }
    quality: { stepPercent: off } # the job is to believe every step at once
    settings:
      - name: evening
        ratingA: 400
        atRisk: { pickupA: ${job.pickupA}, dropoutA: ${job.dropoutA}, delayS: 0, resetDelayS: 0 }
        curtailment: { mode: onOff, leaseS: ${job.leaseS}, refreshS: ${job.leaseS / 2}, responseTimeS: 0, endSpreadS: 0, minOnS: 0, minOffS: 0 }
        caps: { requestsPerHour: 0, operationsPerDay: 0 }`,
  );
  return `substation: { id: EVENING }
uplink:
  brokers: [ { url: "mqtt://127.0.0.1:${job.brokerPort}" } ]
  allowInsecure: true
sources:
${sources.join('\n')}
feeders:
${feeders.join('\n')}
journal: { path: "${join(job.folder, 'journal')}" }
`;
}
