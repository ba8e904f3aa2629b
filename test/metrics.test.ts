// The figures of a running controller, as Prometheus would fetch them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endProcess, startMeter } from './end-to-end/headroom.ts';
import { MqttBroker } from './simulators/mqtt-broker.ts';
import { until } from './uplink/site.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-metrics-'));
const MAIN = join(import.meta.dirname, '../src/main.ts');
/** As /proc writes it. */
const TCP_LISTEN = '0A';
const opened: (() => Promise<unknown>)[] = [];
let broker: MqttBroker;
let meterPort: number;

beforeAll(async () => {
  broker = await MqttBroker.start();
  opened.push(() => broker.close());
  const trace = join(folder, 'trace.csv');
  writeFileSync(trace, 'time,feeder,L1_A,L2_A,L3_A\n0,F1,100,370.5,120\n1000,F1,100,370.5,120\n');
  const meter = await startMeter(trace);
  meterPort = meter.port;
  opened.push(() => endProcess(meter.process));
}, 20_000);
afterAll(async () => {
  for (const close of opened.reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs until the end of the test; gives what it logs, and the page's address as soon as it is said. */
async function run(name: string, more: string) {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(
    file,
    `substation: { id: SUB-1 }
uplink: { brokers: [{ url: "${broker.url}" }], allowInsecure: true }
sources: [{ id: meter-1, type: modbus-tcp, host: 127.0.0.1, port: ${meterPort}, profile: eastron-sdm630 }]
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 1 }
    settings:
      - name: winter
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 0, resetDelayS: 1 }
        curtailment: { responseTimeS: 0 }
journal: { path: ./${name} }
${more}`,
  );
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'run', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += chunk;
  });
  const stop = () => endProcess(child);
  opened.push(stop);
  await until(() => log.includes('"limit"'), 15_000);
  return { log: () => log, url: () => /"url":"([^"]+)"/.exec(log)?.[1] ?? '', stop, child };
}

/** Every line that is no comment, by name and labels. */
function parse(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const parsed = /^(headroom_[a-z_]+(?:\{(?:[a-z]+="[^"]*",?)*\})?) (-?[\d.e+-]+)$/.exec(line);
      if (parsed === null) throw new Error(`no line of the exposition format: ${line}`);
      return [parsed[1] ?? '', Number(parsed[2])];
    }),
  );
}

describe('metrics', { timeout: 30_000 }, () => {
  test('say what a controller with a limit sees, does and lacks', async () => {
    const { log, url, stop } = await run('on', 'metrics: { port: 0 }\n');
    await until(() => url() !== '', 10_000);
    await until(() => log().includes('"up":true'), 10_000);
    const response = await fetch(url());
    expect(response.headers.get('content-type')).toContain('text/plain');
    const figures = parse(await response.text());
    expect(figures.get('headroom_current_amperes{feeder="F1",phase="L2"}')).toBeCloseTo(370.5, 1);
    expect(figures.get('headroom_state{feeder="F1",state="curtailing"}')).toBe(1);
    expect(figures.get('headroom_state{feeder="F1",state="normal"}')).toBe(0);
    expect(figures.get('headroom_level_percent{feeder="F1",phase="L2"}')).toBeLessThan(100);
    expect(figures.get('headroom_level_percent{feeder="F1",phase="L1"}')).toBe(100);
    expect(figures.get('headroom_requests_total{feeder="F1",action="limit"}')).toBe(1);
    expect(figures.get('headroom_scans_total{source="meter-1"}')).toBeGreaterThan(0);
    expect(figures.get('headroom_events_total{type="pickup"}')).toBe(1);
    for (const [name, value] of [
      ['headroom_uplink_up', 1],
      ['headroom_uplink_losses_total', 0],
      ['headroom_uplink_insecure', 1],
      ['headroom_journal_durable', 1],
    ] as const)
      expect([name, figures.get(name)]).toEqual([name, value]);
    expect(figures.get('headroom_reading_age_seconds{feeder="F1"}')).toBeLessThan(60);
    // On a busy machine some are missed.
    expect(figures.get('headroom_missed_scans_total')).toBeGreaterThanOrEqual(0);
    expect(figures.get('headroom_journal_wal_bytes')).toBeGreaterThan(4e6);
    expect(figures.get('headroom_resident_memory_bytes')).toBeGreaterThan(30e6);

    broker.cut();
    broker.blackHole = true;
    await until(() => log().includes('"up":false'), 10_000);
    const after = parse(await (await fetch(url())).text());
    expect(after.get('headroom_uplink_up')).toBe(0);
    expect(after.get('headroom_uplink_losses_total')).toBe(1);
    broker.blackHole = false;

    expect((await fetch(url().replace('/metrics', '/'))).status).toBe(404);
    expect((await fetch(url(), { method: 'POST' })).status).toBe(404);
    const documented = readFileSync(join(import.meta.dirname, '../docs/operations.md'), 'utf8');
    const names = new Set([...figures.keys(), ...after.keys()].map((line) => line.split('{')[0]));
    expect([...names].filter((name) => !documented.includes(`\`${name}`))).toEqual([]);
    // An open connection of a scraper holds up no stop.
    await stop();
    await expect(fetch(url())).rejects.toThrow();
  });

  test('that cannot have their port are told of, and stop nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { log, child } = await run('busy', `metrics: { port: ${port} }\n`);
    await until(() => log().includes('the metrics cannot be served'), 10_000);
    expect(child.exitCode).toBeNull();
    server.close();
  });

  test('are not served where nobody asks for them: nothing listens', async () => {
    const { log, child } = await run('off', '');
    expect(log()).not.toContain('"metrics"');
    const listening = readFileSync(`/proc/${child.pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .flatMap((fields) => (fields[3] === TCP_LISTEN ? [`socket:[${fields[9]}]`] : []));
    const fds = `/proc/${child.pid}/fd`;
    const own = readdirSync(fds).map((fd) => readlinkSync(join(fds, fd)));
    expect(own.some((name) => name.startsWith('socket:'))).toBe(true);
    expect(own.filter((name) => listening.includes(name))).toEqual([]);
  });
});
