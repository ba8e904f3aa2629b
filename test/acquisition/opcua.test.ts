// OPC UA against node-opcua's own server on loopback. Each row of the list of the library's known pitfalls (O1 to O7)
// is named in the test that fails without its handling.
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatusCodes } from 'node-opcua';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { certificateOf, chooseEndpoint, discover } from '../../src/acquisition/opcua-session.ts';
import {
  ensureOwnCertificate,
  fingerprintOf,
  sameFingerprint,
  trust,
  trustedFingerprint,
  trustFolder,
} from '../../src/acquisition/opcua-trust.ts';
import type { MeasurementAlarm, SourceAlarm } from '../../src/acquisition/source-reading.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { FeederReading } from '../../src/feeder.ts';
import { type Settings, settingsSchema } from '../../src/settings.ts';
import { OpcuaServer } from '../simulators/opcua-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'headroom-opcua-'));
const VALUES = { L1: 101.5, L2: 202.25, L3: 303.75, N: 12.5, P: 5_000, Hz: 50, slow: 0 };
const LONG = { timeout: 60_000, interval: 20 };
// Keys are made and processes started: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let server: OpcuaServer;
let free = 0;
beforeAll(async () => {
  server = await OpcuaServer.start({ folder, values: VALUES });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  for (const [name, value] of Object.entries(VALUES)) server.set(name, value);
});

interface Site {
  clock?: Clock;
  endpoint?: string;
  source?: object;
  input?: object;
  feeder?: object;
  trusted?: boolean;
}

/** A server that is trusted from the start unless it is said otherwise, and an acquisition that reads it. */
async function site(given: Site = {}) {
  const { endpoint = server.endpoint, source, input, feeder, trusted = true, clock = systemClock() } = given;
  const dataFolder = join(folder, `data-${free++}`);
  const nodes = { L1: 'ns=1;s=L1', L2: 'ns=1;s=L2', L3: 'ns=1;s=L3', N: 'ns=1;s=N' };
  const settings = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [{ id: 'gw', type: 'opcua', endpoint, samplingMs: 50, timeoutMs: 2_000, ...source }],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'gw', ...nodes, ...input },
        settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
        ...feeder,
      },
    ],
  });
  const accept = () => acceptShown(settings, dataFolder);
  if (trusted) await accept();
  const readings: FeederReading[] = [];
  const told: string[] = [];
  const alarms: (MeasurementAlarm | SourceAlarm)[] = [];
  const acquisition = openAcquisition({
    sources: settings.sources,
    feeders: settings.feeders,
    registerMaps: new Map(),
    dataFolder,
    clock,
    random: () => 0.2,
    events: {
      readings: (some) => void readings.push(...some),
      sourceChanged: (_id, answering, detail) => void told.push(`${answering ? 'answers' : 'silent'}: ${detail}`),
      alarm: (change) => void alarms.push(change),
      changedOver: () => {},
    },
  });
  opened.push(acquisition);
  const next = (wanted: (reading: FeederReading) => boolean, from = readings.length) =>
    vi.waitFor(() => readings.slice(from).find(wanted) ?? expect.fail(`no such reading; ${told.join(' | ')}`), LONG);
  const tells = (pattern: RegExp) => vi.waitFor(() => expect(told.some((line) => pattern.test(line))).toBe(true), LONG);
  return { settings, dataFolder, readings, told, alarms, accept, next, tells };
}

/** What the engineer does with `headroom trust`. */
async function acceptShown({ sources: [source] }: Settings, dataFolder: string): Promise<void> {
  if (source?.type !== 'opcua') throw new Error('no OPC UA source');
  const trusts = trustFolder(dataFolder);
  const shown = chooseEndpoint(await discover(source.endpoint, trusts, systemClock()), source);
  const certificate = certificateOf(shown);
  if (certificate !== null) trust(trusts, source.id, certificate);
}

const good = ({ L1, L2, L3 }: FeederReading) => [L1, L2, L3].every(({ quality }) => quality === 'good');
const phases = ({ L1, L2, L3 }: FeederReading) => [L1.currentA, L2.currentA, L3.currentA];
const showing = (currentA: number) => (reading: FeederReading) => good(reading) && reading.L1.currentA === currentA;

describe('readings', () => {
  test.each([
    ['SignAndEncrypt', 'Basic256Sha256'],
    ['SignAndEncrypt', 'Aes128_Sha256_RsaOaep'],
    ['SignAndEncrypt', 'Aes256_Sha256_RsaPss'],
    ['Sign', 'Basic256Sha256'],
    ['None', 'None'],
  ])('come by %s %s', async (securityMode, securityPolicy) => {
    const { next, told } = await site({ source: { securityMode, securityPolicy } });
    const reading = await next(good);
    expect(phases(reading)).toEqual([101.5, 202.25, 303.75]);
    expect(reading.N).toEqual({ currentA: 12.5, quality: 'good', reason: null });
    expect(told).toEqual([`answers: answers (${securityMode} ${securityPolicy}, published every 50 ms)`]);
  });

  test('are the newest of every sampling interval: a queue of one, and no deadband', async () => {
    const own = await OpcuaServer.start({ folder, values: VALUES });
    opened.push({ close: () => own.stop() });
    const { next } = await site({ endpoint: own.endpoint });
    await next(good);
    expect(own.items.map(({ samplingInterval, queueSize }) => [samplingInterval, queueSize])).toEqual(
      ['L1', 'L2', 'L3', 'N'].map(() => [50, 1]),
    );
    for (const { filter } of own.items) expect(filter ?? null).toBeNull();
  });

  test('come by reads where the server has no subscriptions', async () => {
    const { next, told } = await site({ source: { mode: 'poll' } });
    await next(good);
    server.set('L1', 111);
    await next(showing(111));
    expect(told).toEqual(['answers: answers (SignAndEncrypt Basic256Sha256, read every 50 ms)']);
  });

  test('of a steady current go on being good, each with the time of its own arrival', async () => {
    const { next, readings } = await site();
    await next(good);
    const from = readings.length;
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(from + 20), LONG);
    const steady = readings.slice(from);
    expect(steady.every(good)).toBe(true);
    const times = steady.map(({ atMs }) => atMs);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    expect(new Set(times).size).toBe(times.length);
  });

  test('of a steady current are good however long ago the server stamped it', async () => {
    for (const [name, value] of Object.entries(VALUES))
      server.set(name, value, StatusCodes.Good, new Date(Date.now() - 3_600_000));
    const { next, readings, alarms } = await site();
    await next(good);
    const from = readings.length;
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(from + 20), LONG);
    expect(readings.slice(from).every(good)).toBe(true);
    expect(alarms).toEqual([]);
  });

  test('carry the sign of power, where that is confirmed', async () => {
    const { next } = await site({
      input: { power: { L1: 'ns=1;s=P', L2: 'ns=1;s=P', L3: 'ns=1;s=P' }, liveness: 'ns=1;s=Hz' },
      feeder: { powerSign: { L1: 'confirmed', L2: 'unknown', L3: 'confirmed' } },
    });
    expect((await next(good)).exporting).toEqual([]);
    server.set('P', -5_000);
    expect((await next(({ exporting }) => exporting.length > 0)).exporting).toEqual(['L1', 'L3']);
  });
});

describe('the quality of a node', () => {
  test.each([
    ['uncertain where the server says so', StatusCodes.UncertainSubNormal, 'uncertain', 'sourceDoubts', 77],
    ['bad where its device fails', StatusCodes.BadDeviceFailure, 'bad', 'sourceBad', null],
    ['bad where it is only the last known value', StatusCodes.UncertainLastUsableValue, 'bad', 'noAnswer', null],
    ['bad where there is no communication', StatusCodes.BadNoCommunication, 'bad', 'sourceBad', null],
  ])('is %s', async (_, status, quality, reason, currentA) => {
    const { next } = await site();
    await next(good);
    server.set('L2', 77, status);
    const { L1, L2 } = await next(({ L2 }) => L2.reason === reason);
    expect(L2).toEqual({ currentA, quality, reason });
    expect(L1.quality).toBe('good');
  });

  test('is bad and never 0 A where the value is NaN', async () => {
    const { next } = await site();
    await next(good);
    server.set('L3', Number.NaN);
    expect((await next(({ L3 }) => L3.quality === 'bad')).L3).toEqual({
      currentA: null,
      quality: 'bad',
      reason: 'notANumber',
    });
  });

  test('is bad where the server does not have it, and the other phases are read', async () => {
    const { next, told } = await site({ input: { L3: 'ns=1;s=other' } });
    const { L1, L3 } = await next(({ L1 }) => L1.quality === 'good');
    expect(L3.reason).toBe('unavailable');
    expect(L1.currentA).toBe(101.5);
    await next(({ L1 }) => L1.quality === 'good');
    expect(told).toHaveLength(1);
  });
});

test('O4: the library is loaded when an OPC UA source connects, and never without one', async () => {
  const loads = async (source: string) => {
    const script = `
      import { registerHooks } from 'node:module';
      let loaded = false;
      registerHooks({ resolve(name, context, next) { loaded ||= name === 'node-opcua-client'; return next(name, context); } });
      const [{ openAcquisition }, { settingsSchema }, { systemClock }, { readRegisterMap }] = await Promise.all([
        import('./src/acquisition/acquisition.ts'), import('./src/settings.ts'), import('./src/clock.ts'),
        import('./src/acquisition/register-map.ts'),
      ]);
      const atRisk = { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 };
      const { sources, feeders } = settingsSchema.parse({
        substation: { id: 's' }, uplink: { brokers: [{ url: 'mqtts://h' }] }, sources: [${source}],
        feeders: [{ id: 'F1', currents: { source: 'a' }, settings: [{ name: 'g', ratingA: 400, atRisk }] }],
      });
      const map = readRegisterMap('hardware/meters/eastron-sdm630.yaml').value;
      const { promise, resolve } = Promise.withResolvers();
      const events = { readings: resolve, sourceChanged() {}, alarm() {}, changedOver() {} };
      const acquisition = openAcquisition({ sources, feeders, registerMaps: new Map([['a', map]]), events,
        dataFolder: process.argv[1], clock: systemClock(), random: Math.random });
      await promise;
      acquisition.close();
      process.stdout.write(String(loaded));
      process.exit();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, join(folder, 'lazy')], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await once(child, 'close');
    return output;
  };
  // Port 1: nobody listens, and the reading says so.
  expect(await loads("{ id: 'a', type: 'modbus-tcp', host: '127.0.0.1', port: 1, profile: 'eastron-sdm630' }")).toBe(
    'false',
  );
  expect(await loads("{ id: 'a', type: 'opcua', endpoint: 'opc.tcp://127.0.0.1:1' }")).toBe('true');
});

test('O5: a wall clock that is stepped by an hour ends no session and no reading', async () => {
  const real = systemClock();
  let stepMs = 0;
  const { next, told, alarms, readings } = await site({ clock: { ...real, wallMs: () => real.wallMs() + stepMs } });
  await next(good);
  const before = readings.length;
  stepMs = 3_600_000;
  server.set('L1', 101.5);
  const stepped = await next((reading) => reading.L1.reason === 'sourceTime');
  const { L1 } = stepped;
  expect(Math.abs(stepped.atMs - real.monotonicMs())).toBeLessThan(600_000);
  expect(L1).toEqual({ currentA: 101.5, quality: 'uncertain', reason: 'sourceTime' });
  stepMs = 0;
  server.set('L1', 101.5);
  await next(good);
  expect(readings.slice(before).every((reading) => reading.L1.currentA === 101.5)).toBe(true);
  // Age is counted by arrival on the clock that does not step.
  const spanMs = (readings.at(-1)?.atMs ?? 0) - (readings[before - 1]?.atMs ?? 0);
  expect(spanMs).toBeLessThan(600_000);
  expect(told).toHaveLength(1);
  expect(alarms.map(({ alarm }) => alarm)).toEqual(['sourceTime']);
});

test('O7: one read at a time, however slow the server is to answer', async () => {
  const { next, readings } = await site({
    source: { mode: 'poll', samplingMs: 20 },
    input: { L1: 'ns=1;s=slow' },
  });
  await next(showing(55));
  const from = readings.length;
  await vi.waitFor(() => expect(readings.length).toBeGreaterThan(from + 5), LONG);
  expect(server.slowReadsAtOnceMax).toBe(1);
});

describe('trust', () => {
  test('O2: nobody is trusted at the start: no session is made and no reading taken until an engineer accepts', async () => {
    const before = server.sessionsMade;
    const { next, tells, accept, readings, dataFolder } = await site({ trusted: false });
    await tells(/^silent: the server's certificate [0-9A-F:]{95} is not trusted yet; headroom trust/);
    expect(readings.every(({ L1 }) => L1.quality === 'bad' && L1.currentA === null)).toBe(true);
    expect(server.sessionsMade).toBe(before);
    await accept();
    await next(good);
    expect(existsSync(join(dataFolder, 'opcua/trusted/gw.pem'))).toBe(true);
  });

  test('is of one certificate for one source, as a fingerprint that people type', () => {
    const trusts = trustFolder(join(folder, 'trusts'));
    const der = new X509Certificate(readFileSync(server.certificateFile)).raw;
    trust(trusts, 'gw', der);
    expect(trustedFingerprint(trusts, 'gw')).toBe(fingerprintOf(der));
    expect(trustedFingerprint(trusts, 'another')).toBeNull();
    const typed = fingerprintOf(der).replaceAll(':', '').toLowerCase();
    expect(sameFingerprint(typed, fingerprintOf(der))).toBe(true);
    expect(sameFingerprint(typed.slice(2), fingerprintOf(der))).toBe(false);
    expect(sameFingerprint('', '')).toBe(false);
  });

  test('our own certificate is made once, with a key that is ours alone to read', async () => {
    const trusts = trustFolder(join(folder, 'own'));
    await ensureOwnCertificate(trusts, 1_800_000_000_000);
    const [certificate, key] = [readFileSync(trusts.ownCertificateFile), readFileSync(trusts.ownKeyFile)];
    expect(statSync(trusts.ownKeyFile).mode & 0o777).toBe(0o600);
    await ensureOwnCertificate(trusts, 1_800_000_000_000);
    expect(readFileSync(trusts.ownCertificateFile)).toEqual(certificate);
    expect(readFileSync(trusts.ownKeyFile)).toEqual(key);
  });

  test('a policy that the server does not offer is told with what it does', async () => {
    const only = await discover(server.endpoint, trustFolder(join(folder, 'own')), systemClock());
    const source = { securityMode: 'Sign', securityPolicy: 'Aes256_Sha256_RsaPss' } as never;
    const withoutIt = only.filter(({ securityPolicyUri }) => !securityPolicyUri?.endsWith('RsaPss'));
    expect(() => chooseEndpoint(withoutIt, source)).toThrow(
      /^the server offers no Sign Aes256_Sha256_RsaPss, only None/,
    );
  });

  test('O3: an expired certificate that was accepted is taken, and told in time', async () => {
    const expired = await OpcuaServer.start({ folder, certificate: 'expired', values: VALUES, validDays: -1 });
    opened.push({ close: () => expired.stop() });
    const { next, alarms } = await site({ endpoint: expired.endpoint });
    await next(good);
    await vi.waitFor(() => expect(alarms).toHaveLength(1), LONG);
    expect(alarms[0]).toMatchObject({
      alarm: 'certificateExpiry',
      standing: true,
      reason: "the server's certificate has expired",
    });
  });
});

describe('a user', () => {
  test('is known by name and password from a file', async () => {
    const users = { headroom: 'four words or more' };
    const guarded = await OpcuaServer.start({ folder, values: VALUES, users });
    opened.push({ close: () => guarded.stop() });
    const passwordFile = join(folder, 'opcua.pw');
    writeFileSync(passwordFile, 'wrong\n');
    const { next, tells } = await site({
      endpoint: guarded.endpoint,
      source: { user: { name: 'headroom', passwordFile } },
    });
    await tells(/^silent: .*(BadUserAccessDenied|BadIdentityTokenRejected)/);
    writeFileSync(passwordFile, 'four words or more\n');
    await next(good);
  });

  test('is known by a certificate', async () => {
    const trusts = trustFolder(join(folder, 'user'));
    await ensureOwnCertificate(trusts, Date.now());
    const user = { certFile: trusts.ownCertificateFile, keyFile: trusts.ownKeyFile };
    const { next } = await site({ source: { user } });
    await next(good);
  });
});

describe('a server that', () => {
  test('drops the session is told of, and read again', async () => {
    const { next, tells, readings } = await site();
    await next(good);
    server.dropSessions();
    await tells(/^silent: the server (dropped|closed) the session/);
    const back = await next(
      showing(101.5),
      readings.findLastIndex(({ L1 }) => L1.quality === 'bad'),
    );
    expect(phases(back)).toEqual([101.5, 202.25, 303.75]);
  });

  test('O1: goes deaf, with keep-alives and without a change, is found out by reads and read anew', async () => {
    const { next, tells } = await site();
    await next(good);
    server.deafen();
    server.set('L1', 140);
    await tells(/^silent: the subscription no longer tells of changed values/);
    await next(showing(140));
    server.set('L1', 141);
    await next(showing(141));
  });

  test('O6: drops the session again and again is left with no session but one', async () => {
    const small = await OpcuaServer.start({ folder, values: VALUES, maxSessions: 2 });
    opened.push({ close: () => small.stop() });
    const { next } = await site({ endpoint: small.endpoint });
    await next(good);
    for (let round = 0; round < 5; round++) {
      const made = small.sessionsMade;
      small.dropSessions();
      await vi.waitFor(() => expect(small.sessionsMade).toBeGreaterThan(made), LONG);
      small.set('L1', 200 + round);
      await next(showing(200 + round));
    }
    await vi.waitFor(() => expect(small.sessions).toBe(1), LONG);
  });

  test('restarts is told of, and its new values are read', async () => {
    const first = await OpcuaServer.start({ folder, values: VALUES });
    const { port } = first;
    const { next, tells } = await site({ endpoint: first.endpoint });
    await next(good);
    await first.stop();
    await tells(/^silent: /);
    const second = await OpcuaServer.start({ folder, port, values: { ...VALUES, L1: 155 } });
    opened.push({ close: () => second.stop() });
    await next(showing(155));
  });

  test('changes its certificate is not read until that is accepted', async () => {
    const first = await OpcuaServer.start({ folder, values: VALUES });
    const { port, fingerprint } = first;
    const { next, tells, accept, readings } = await site({ endpoint: first.endpoint });
    await next(good);
    await first.stop();
    const second = await OpcuaServer.start({ folder, port, certificate: 'changed', values: { ...VALUES, L1: 166 } });
    opened.push({ close: () => second.stop() });
    expect(second.fingerprint).not.toBe(fingerprint);
    await tells(
      new RegExp(`certificate ${second.fingerprint} is not the trusted one \\(${fingerprint}\\): it was changed`),
    );
    expect(readings.some(showing(166))).toBe(false);
    await accept();
    await next(showing(166));
  });
});

describe('a server of its own process', () => {
  async function startProcess(port = 0): Promise<{ child: ChildProcess; port: number }> {
    const script = join(import.meta.dirname, '../simulators/opcua-server-process.ts');
    const child = spawn(process.execPath, [script, JSON.stringify({ folder, port, values: VALUES })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    opened.push({
      close() {
        child.kill('SIGCONT');
        child.kill('SIGKILL');
      },
    });
    if (child.stdout === null) throw new Error('no output');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, port: Number(line.toString().split(' ')[0]) };
  }

  test('that stalls is noticed in time, without its connection closing, and read again', async () => {
    const { child, port } = await startProcess();
    const { next, tells, readings } = await site({
      endpoint: `opc.tcp://127.0.0.1:${port}`,
      source: { timeoutMs: 300 },
    });
    await next(good);
    child.kill('SIGSTOP');
    await tells(/^silent: no answer within 300 ms/);
    const stalled = readings.length;
    child.kill('SIGCONT');
    await next(good, stalled);
  });

  test.each(['Basic256Sha256', 'Aes128_Sha256_RsaOaep', 'Aes256_Sha256_RsaPss'])(
    'that is killed under load and started again is read again, by %s',
    async (securityPolicy) => {
      const { child, port } = await startProcess();
      const { next, told, tells, readings } = await site({
        endpoint: `opc.tcp://127.0.0.1:${port}`,
        source: { securityPolicy },
      });
      await next(good);
      child.kill('SIGKILL');
      await tells(/^silent: the connection was (lost|closed)/);
      const from = readings.length;
      await startProcess(port);
      await next(good, from);
      const policies = told.filter((line) => line.startsWith('answers'));
      expect(policies).toHaveLength(2);
      expect(policies.every((line) => line.includes(`SignAndEncrypt ${securityPolicy}`))).toBe(true);
    },
  );
});
