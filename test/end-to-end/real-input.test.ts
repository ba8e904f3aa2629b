// The controller as it is in service: its own process, a meter of another process on a real Modbus wire, a real broker,
// and mosquitto_sub as the witness, which shares no code with any of them.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Curtailment, curtailmentSchema, type Event, eventSchema, statusSchema } from '../../src/messages.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { findProgram } from '../simulators/programs.ts';
import { endProcess, startMeter, startVerb, verb } from './headroom.ts';

const canRun = mosquittoOrSkip('mosquitto_sub');
const ROOT = 'headroom/v1/E2E-1';
const CURTAILMENT = `${ROOT}/feeder/F1/curtailment`;

let folder: string;
const toEnd: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headroom-end-to-end-'));
});
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
  rmSync(folder, { recursive: true });
});

interface Message {
  readonly retained: boolean;
  readonly contentType: string;
  readonly expiryS: string;
  readonly responseTopic: string;
  readonly correlation: string;
  readonly topic: string;
  readonly payload: string;
}

/** A session that outlives the broker's stops, so that nothing is missed. */
function witness(port: number): Message[] {
  const messages: Message[] = [];
  const args = ['-p', String(port), '-h', '127.0.0.1', '-V', 'mqttv5', '-i', 'witness', '-c', '-x', '600', '-q', '1'];
  const format = ['%r', '%C', '%E', '%R', '%D', '%t', '%p'].join('\\t');
  const child = spawn(findProgram('mosquitto_sub') ?? '', [...args, '-t', 'headroom/v1/#', '-F', format], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  toEnd.push(() => endProcess(child));
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [retained, contentType = '', expiryS = '', responseTopic = '', correlation = '', topic = '', payload = ''] =
      line.split('\t');
    messages.push({ retained: retained === '1', contentType, expiryS, responseTopic, correlation, topic, payload });
  });
  return messages;
}

/** What the broker gives to a client that connects now. */
async function retainedStatus(port: number) {
  const child = spawn(
    findProgram('mosquitto_sub') ?? '',
    ['-p', String(port), '-h', '127.0.0.1', '-t', `${ROOT}/status`, '-C', '1', '-W', '3', '-F', '%r %p'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  let said = '';
  for await (const chunk of child.stdout) said += chunk;
  expect(said).toMatch(/^1 \{/);
  return statusSchema.parse(JSON.parse(said.slice(2)));
}

async function broker(options: { started: boolean }): Promise<Mosquitto> {
  const made = await Mosquitto.prepare({ persistence: true });
  toEnd.push(() => made.remove());
  if (options.started) await made.start();
  return made;
}

/** Plays seconds and amperes (all phases) in real time; the last value holds. */
async function meter(...steps: [atS: number, currentA: number][]) {
  const file = join(folder, 'trace.csv');
  const [, lastA = 0] = steps.at(-1) ?? [];
  const rows = [...steps, [600, lastA] as const].map(([atS, currentA]) => [atS, 'F1', currentA, currentA, currentA]);
  writeFileSync(file, `time,feeder,L1_A,L2_A,L3_A\n${rows.map((row) => row.join()).join('\n')}\n`);
  const started = await startMeter(file);
  toEnd.push(() => endProcess(started.process));
  return started;
}

function configuration(brokerPort: number, meterPort: number, curtailment: string): string {
  const file = join(folder, 'site.yaml');
  writeFileSync(
    file,
    `substation: { id: E2E-1 }
uplink: { brokers: [{ url: "mqtt://127.0.0.1:${brokerPort}" }], allowInsecure: true, historyMessagesPerS: 0 }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, port: ${meterPort}, profile: eastron-sdm630, pollMs: 20 }
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 1 }
    settings:
      - name: bench
        ratingA: 400
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 0.3, resetDelayS: 0.3 }
        curtailment: { mode: onOff, responseTimeS: 0, endSpreadS: 0, ${curtailment} }
        caps: { requestsPerHour: 0 }
journal: { path: ./journal }
`,
  );
  return file;
}

function run(file: string): ChildProcess {
  const child = startVerb(['run', file]);
  toEnd.push(() => endProcess(child));
  return child;
}

const until = (assertion: () => unknown) => vi.waitFor(assertion, { timeout: 25_000, interval: 20 });

const requestsIn = (messages: readonly Message[]): Curtailment[] =>
  messages
    .filter(({ topic, retained }) => topic === CURTAILMENT && !retained)
    .map(({ payload }) => curtailmentSchema.parse(JSON.parse(payload)));

const eventsIn = (messages: readonly Message[]): Event[] =>
  messages.filter(({ topic }) => topic.endsWith('/event')).map(({ payload }) => eventSchema.parse(JSON.parse(payload)));

/** Sequence numbers of the requests that were told of as events, by why they were never published. */
function historicalIn(messages: readonly Message[], why: string): number[] {
  return eventsIn(messages)
    .filter(({ historical, reason }) => historical && reason.startsWith(why))
    .map(({ request }) => request?.sequence ?? 0);
}

const journalled = async (): Promise<Event[]> => {
  const { code, stdout } = await verb('events', join(folder, 'journal'), '--json', '--last', '1000');
  return code === 0 ? JSON.parse(stdout) : [];
};

describe.skipIf(!canRun)('run, with a meter and a broker of other processes', { timeout: 60_000 }, () => {
  test('asks, releases, says that it is there, holds its journal and stops in order', async () => {
    const { port } = await broker({ started: true });
    const messages = witness(port);
    const { port: meterPort } = await meter([0, 100], [1.5, 350], [7, 100]);
    const file = configuration(port, meterPort, 'leaseS: 20, refreshS: 12');
    const child = run(file);

    await until(() => expect(requestsIn(messages).map(({ action }) => action)).toEqual(['limit', 'release']));
    const [limit, release] = requestsIn(messages);
    expect(limit).toMatchObject({ levelPercent: 0, phases: ['L1', 'L2', 'L3'], supersedes: null });
    expect(release).toMatchObject({ levelPercent: 100, episodeId: limit?.episodeId, supersedes: limit?.requestId });
    expect(release?.sequence).toBeGreaterThan(limit?.sequence ?? Number.POSITIVE_INFINITY);
    const properties = messages.find(({ topic }) => topic === CURTAILMENT);
    expect(properties).toMatchObject({ contentType: 'application/json', responseTopic: `${CURTAILMENT}/ack` });
    expect(properties?.correlation).toBe(limit?.requestId);
    expect(Number(properties?.expiryS)).toBeGreaterThan(17);
    expect(Number(properties?.expiryS)).toBeLessThanOrEqual(20);
    expect(await retainedStatus(port)).toMatchObject({ state: 'online', insecure: true, health: { state: 'ok' } });

    const second = await verb('run', file);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^headroom: .*journal is in use by another controller\n$/);

    const stoppedMs = performance.now();
    await endProcess(child);
    expect(performance.now() - stoppedMs).toBeLessThan(2_000);
    expect(child.exitCode).toBe(0);
    expect(await retainedStatus(port)).toMatchObject({ state: 'offline', reason: 'stopped' });
    expect(await verb('events', file, '--verify')).toMatchObject({ code: 0 });
  });

  test('refuses a wrong configuration with its places', async () => {
    const file = configuration(1883, 502, 'leaseS: 20, refreshS: 30, refreshs: 5');
    const { code, stderr } = await verb('run', file);
    expect(code).toBe(2);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/site\.yaml:\d+:\d+: /);
    expect(stderr).toContain('refreshs');
  });

  test('waits for a broker that is not there yet, then says only what is in force', async () => {
    const away = await broker({ started: false });
    const { port: meterPort } = await meter([0, 350]);
    const child = run(configuration(away.port, meterPort, 'leaseS: 20, refreshS: 1'));
    // A limit and what would be its refresh have been decided with nobody to tell.
    await until(async () => {
      const decided = (await journalled()).filter(({ type, historical }) => type === 'limit' && !historical);
      expect(decided.length).toBeGreaterThan(1);
    });
    await away.start();
    const messages = witness(away.port);

    await until(() => expect(messages.some(({ topic }) => topic === CURTAILMENT)).toBe(true));
    const first = curtailmentSchema.parse(
      JSON.parse(messages.find(({ topic }) => topic === CURTAILMENT)?.payload ?? ''),
    );
    // Nobody heard of this episode before, so whatever was decided last is a limit.
    expect(first).toMatchObject({ action: 'limit', supersedes: null });
    expect(Date.parse(first.validUntil)).toBeGreaterThan(Date.now());
    expect(await retainedStatus(away.port)).toMatchObject({ state: 'online' });

    // Attempts that failed before leave nothing behind that holds up the stop.
    const stoppedMs = performance.now();
    await endProcess(child);
    expect(performance.now() - stoppedMs).toBeLessThan(2_000);
    expect(child.exitCode).toBe(0);
  });

  test('keeps what it cannot say, and on return says the present first and the past as events', async () => {
    const stopped = await broker({ started: true });
    const messages = witness(stopped.port);
    const { port: meterPort, process: meterProcess } = await meter([0, 350]);
    run(configuration(stopped.port, meterPort, 'leaseS: 3, refreshS: 1'));
    await until(() => expect(requestsIn(messages)).toHaveLength(2));
    const [limit] = requestsIn(messages);

    await stopped.stop();
    await sleep(2_500);
    // Only now: what the broker still gave out when it was stopped takes its time to be here.
    const before = messages.length;
    await stopped.start();
    await until(() => expect(historicalIn(messages.slice(before), 'superseded')).not.toEqual([]));
    // What the witness had not confirmed when the broker was stopped is given to it once more.
    const known = new Set(messages.slice(0, before).map(({ payload }) => payload));
    const after = messages.slice(before).filter(({ payload }) => !known.has(payload));
    const places = (end: string) => after.findIndex(({ topic, retained }) => topic.endsWith(end) && !retained);
    expect(places('/curtailment')).toBeGreaterThanOrEqual(0);
    expect(places('/curtailment')).toBeLessThan(places('/event'));
    const superseded = historicalIn(after, 'superseded');
    const said = () => requestsIn(messages).map(({ sequence }) => sequence);
    expect(said().filter((sequence) => superseded.includes(sequence))).toEqual([]);
    expect(requestsIn(after)[0]).toMatchObject({ action: 'refresh', episodeId: limit?.episodeId });
    expect(requestsIn(after)[0]?.sequence).toBeGreaterThan(Math.max(...superseded));

    // Away again, until nothing that was decided meanwhile is of use to anybody.
    await stopped.stop();
    const lastSaid = Math.max(...said());
    const unsaid = async () =>
      (await journalled()).filter(({ type, at }) => type === 'refresh' && Date.parse(at) > stoppedMs).length;
    const stoppedMs = Date.now();
    await until(async () => expect(await unsaid()).toBeGreaterThan(0));
    await endProcess(meterProcess);
    await until(async () => expect((await journalled()).some(({ alarm }) => alarm === 'lapsed')).toBe(true));
    const beforeReturn = messages.length;
    await stopped.start();
    await until(() => expect(historicalIn(messages.slice(beforeReturn), 'expired')).toHaveLength(1));
    await sleep(300);
    expect(Math.max(...said())).toBe(lastSaid);
    const numbers = new Set(eventsIn(messages).map(({ sequence }) => sequence));
    expect(numbers.size).toBe(Math.max(...numbers));
  });
});
