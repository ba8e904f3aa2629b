// A whole evening by programs that are not ours: the Mosquitto of hardware/mosquitto with its ACL, mosquitto_pub for
// the orders, mosquitto_sub for a consumer that knows only the published schemas. The controller and the reference head
// end are processes of their own, with certificates of a private authority.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { Ack, Curtailment, Event, Status } from '../../src/messages.ts';
import type { Pair } from '../simulators/certificates.ts';
import { startHardwareBroker } from '../simulators/hardware-broker.ts';
import { programsOrSkip } from '../simulators/programs.ts';
import { until } from '../uplink/site.ts';
import { endProcess, startMeter, startVerb } from './headroom.ts';

const CONSUMER = join(import.meta.dirname, 'consumer.py');
/** Evening after evening, so that it does not matter when the controller comes to see it. */
const TRACE = `time,feeder,L1_A,L2_A,L3_A
0,F1,180,300,190
2,F1,190,360,200
16,F1,185,290,195
24,F1,180,280,190
`;

function canRun(): boolean {
  if (!programsOrSkip('mosquitto', 'mosquitto_sub', 'mosquitto_pub', 'openssl', 'python3')) return false;
  if (spawnSync('python3', ['-c', 'import jsonschema']).status === 0) return true;
  if (process.env['CI'] === 'true') throw new Error('python3-jsonschema not found');
  console.log('skipped, python3-jsonschema not found');
  return false;
}

const opened: (() => Promise<unknown> | unknown)[] = [];
afterAll(async () => {
  for (const close of opened.reverse()) await close();
});

describe.skipIf(!canRun())('a consumer that is not ours', () => {
  test('accepts every message of a whole evening, over the broker of hardware/mosquitto', {
    timeout: 90_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'headroom-contract-'));
    opened.push(() => rmSync(folder, { recursive: true, force: true }));
    const broker = await startHardwareBroker();
    opened.push(() => broker.close());
    const { substations } = broker;
    const head = broker.headEnd.issue('headend');
    const asHead = ['-h', '127.0.0.1', '-p', new URL(broker.headEndUrl).port, '--cafile', substations.ca];
    asHead.push('--cert', head.cert, '--key', head.key, '-q', '1', '-V', 'mqttv5');

    const subscriber = spawn('mosquitto_sub', [...asHead, '-t', 'headroom/v1/#', '-F', '%t\t%p']);
    opened.push(() => endProcess(subscriber));
    const lines: string[] = [];
    collect(subscriber, lines);
    const of = <T>(end: RegExp) =>
      lines.flatMap((line) => {
        const [topic = '', payload = ''] = line.split('\t');
        return end.test(topic) ? [JSON.parse(payload) as T] : [];
      });
    const requests = () => of<Curtailment>(/\/curtailment$/);

    const trace = join(folder, 'evening.csv');
    writeFileSync(trace, TRACE);
    const meter = await startMeter(trace, '--loop');
    opened.push(() => endProcess(meter.process));
    const tls = ['--ca', substations.ca, '--cert', head.cert, '--key', head.key];
    const headEnd = startVerb([
      'headend',
      '--broker',
      broker.headEndUrl,
      ...tls,
      '--dcc-delay',
      '0.2',
      '--effect-delay',
      '0.5',
    ]);
    opened.push(() => endProcess(headEnd));
    const own = substations.issue('SUB-1');
    const configuration = join(folder, 'substation.yaml');
    writeFileSync(configuration, configurationOf(broker.url, substations.ca, own, meter.port));
    const log = join(folder, 'edge.log');
    const edge = startVerb(['run', configuration], openSync(log, 'w'));
    opened.push(() => endProcess(edge));

    await until(() => of<Ack>(/curtailment\/ack$/).some(({ status }) => status === 'applied'), 30_000);
    await until(() => requests().some(({ action }) => action === 'refresh'), 15_000);
    await until(() => requests().some(({ action }) => action === 'release'), 30_000);
    await order(asHead, { action: 'block', feederId: 'F1', until: new Date(Date.now() + 60_000).toISOString() });
    await order(asHead, { action: 'unblock', feederId: 'F1' });
    await until(() => of<{ status: string }>(/command\/ack$/).length === 2, 10_000);
    await until(() => of(/\/telemetry$/).length > 3, 15_000);
    const url = /"url":"([^"]+)"/.exec(readFileSync(log, 'utf8'))?.[1] ?? '';
    const page = await (await fetch(url)).text();
    const ends = [...page.matchAll(/^headroom_certificate_end_timestamp_seconds\{of="([^"]+)"\} (\d+)$/gm)];
    expect(ends.map(([, of]) => of).sort()).toEqual([substations.ca, own.cert, broker.url].sort());
    for (const [, , atS] of ends) expect(Number(atS) * 1000).toBeGreaterThan(Date.now());
    await endProcess(edge);
    await until(() => of<Status>(/\/status$/).at(-1)?.reason === 'stopped', 10_000);
    // A message of somebody else's making is refused by the same consumer, so its word means something.
    const [limit] = requests();
    const wrong = `headroom/v1/SUB-1/feeder/F1/curtailment\t${JSON.stringify({ ...limit, levelPercent: 101 })}`;
    const answer = JSON.parse(
      spawnSync('python3', [CONSUMER], { input: `${[...lines, wrong].join('\n')}\n`, encoding: 'utf8' }).stdout,
    );
    expect(answer.refused).toEqual([
      'headroom/v1/SUB-1/feeder/F1/curtailment: $.levelPercent: 101 is greater than the maximum of 100',
    ]);
    expect(Object.keys(answer.accepted).filter((name) => answer.accepted[name] === 0)).toEqual([]);
    expect(of<Event>(/\/event$/).map(({ type }) => type)).toEqual(
      expect.arrayContaining([
        'restart',
        'pickup',
        'operate',
        'limit',
        'dropout',
        'refresh',
        'release',
        'command',
        'block',
      ]),
    );
    console.log(`accepted: ${JSON.stringify(answer.accepted)}`);
  });
});

function collect(child: ChildProcess, lines: string[]): void {
  let rest = '';
  child.stdout?.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
}

let orders = 0;
async function order(asHead: readonly string[], fields: object): Promise<void> {
  const message = {
    schema: 'headroom/v1/command',
    commandId: `order-${++orders}`,
    issuedAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
    ...fields,
  };
  const args = [...asHead, '-t', 'headroom/v1/SUB-1/command', '-m', JSON.stringify(message)];
  await promisify(execFile)('mosquitto_pub', args);
}

function configurationOf(url: string, ca: string, { cert, key }: Pair, meterPort: number): string {
  return `substation: { id: SUB-1 }
uplink:
  brokers: [{ url: "${url}" }]
  tls: { caFile: ${ca}, certFile: ${cert}, keyFile: ${key} }
  telemetryS: 2
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, port: ${meterPort}, profile: eastron-sdm630 }
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 1 }
    controllableA: { L1: 96, L2: 128, L3: 96 }
    settings:
      - name: evening
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 1, resetDelayS: 2 }
        curtailment: { responseTimeS: 0, leaseS: 20, refreshS: 3, endSpreadS: 5 }
metrics: { port: 0 }
journal: { path: ./journal }
`;
}
