// `headroom meter` as an installer uses it, against real servers on loopback.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import {
  answering,
  except,
  exception,
  float32,
  ModbusServer,
  type Script,
  silent,
} from '../simulators/modbus-server.ts';
import { rtuAnswering, startRtuServer } from '../simulators/rtu-line.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'meter-verb-'));
afterAll(() => rmSync(folder, { recursive: true }));
const opened: ModbusServer[] = [];
afterEach(() => Promise.all(opened.splice(0).map((server) => server.close())));

async function serve(script: Script, start = ModbusServer.start): Promise<ModbusServer> {
  const server = await start(script);
  opened.push(server);
  return server;
}

async function headroom(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, 'meter', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = await once(child, 'close');
  return { code, out, err };
}

function configuration(port: number, type = 'modbus-tcp'): string {
  const file = join(folder, 'c.yaml');
  writeFileSync(
    file,
    `substation: { id: S }
uplink: { brokers: [{ url: "mqtts://h:1" }] }
sources: [{ id: meter-1, type: ${type}, host: 127.0.0.1, port: ${port}, profile: eastron-sdm630, timeoutMs: 300 }]
feeders:
  - id: F1
    currents: { source: meter-1 }
    ctRatio: { primaryA: 400, secondaryA: 5 }
    settings: [{ name: g, ratingA: 385, atRisk: { pickupA: 345, dropoutA: 310, delayS: 1, resetDelayS: 1 } }]
journal: { path: ${folder}/journal }
`,
  );
  return file;
}

const words = new Map(
  [4.5, 6.5, Number.NaN].flatMap((value, n) => float32(value).map((word, half) => [6 + 2 * n + half, word] as const)),
);

test('shows raw words beside amperes, by the ratio of the CT, with quality and its reason', async () => {
  const server = await serve(except(({ address }) => address === 224, exception(2), answering(words)));
  const { code, out } = await headroom(configuration(server.port), 'meter-1', '--once', '--json');
  const round = JSON.parse(out);
  const row = (conductor: string) =>
    round.registers.find(
      (one: { quantity: string; conductor: string }) => one.quantity === 'current' && one.conductor === conductor,
    );
  expect(row('L1')).toMatchObject({
    address: 6,
    words: ['0x4090', '0x0000'],
    value: 4.5,
    unit: 'A',
    currentA: 360,
    quality: 'good',
  });
  expect(row('L2')).toMatchObject({ value: 6.5, currentA: 520, quality: 'uncertain', reason: 'overCtRange' });
  expect(row('L3')).toMatchObject({
    words: ['0x7FC0', '0x0000'],
    value: null,
    currentA: null,
    quality: 'bad',
    reason: 'notANumber',
  });
  expect(row('N')).toMatchObject({ words: [], value: null, quality: 'bad', reason: 'exception' });
  expect(round).toMatchObject({ source: 'meter-1', ok: false, faults: { exception: 1 } });
  expect(round.detail).toMatch(/^FC4 224: Modbus exception 2/);
  expect(round.roundTripMs).toBeGreaterThan(0);
  expect(code).toBe(1);
});

test('goes on until it is interrupted, a document per round, and then says that all is well', async () => {
  const server = await serve(answering(words));
  const child = spawn(process.execPath, [MAIN, 'meter', configuration(server.port), 'meter-1', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  await new Promise<void>((done) => {
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.split('\n').length > 3) done();
    });
  });
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  const reads = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).reads);
  expect(reads).toEqual([...reads].sort((a, b) => a - b));
  expect(new Set(reads).size).toBe(reads.length);
  expect(code).toBe(0);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

test.runIf(hasScript)('on a terminal each round takes the place of the one before', async () => {
  const server = await serve(answering(words));
  const command = [process.execPath, MAIN, 'meter', configuration(server.port), 'meter-1'].join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const clear = '\u001b[H\u001b[J';
  let out = '';
  await new Promise<void>((done) => {
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.split(clear).length > 3) done();
    });
  });
  child.kill();
  const [, first = '', second = ''] = out.split(clear);
  for (const screen of [first, second]) expect(screen).toMatch(/^meter-1 .*\n {2}current L1/s);
  expect(second).not.toBe(first);
});

test('a meter that is silent is told so, with exit code 1; a source that is not there is 2', async () => {
  // On a line what follows is not even asked, as it owes answers then: that is not what the engineer wants to know.
  const line = configuration((await serve(silent, startRtuServer)).port, 'modbus-rtu-over-tcp');
  expect((await headroom(line, 'meter-1', '--once')).out).toMatch(/\n {2}no answer within 300 ms\n$/);
  const file = configuration((await serve(silent)).port);
  const { code, out } = await headroom(file, 'meter-1', '--once');
  expect(out).toContain('no answer within 300 ms');
  expect(code).toBe(1);
  const wrong = await headroom(file, 'meter-9', '--once');
  expect([wrong.code, wrong.err]).toEqual([2, 'source is "meter-9", expected one of meter-1\n']);
});

test('--identify walks SunSpec, and says where it knows no meter', async () => {
  const chain = [0x5375, 0x6e53, 1, 66, ...new Array(66).fill(0), 203, 105, ...new Array(105).fill(0), 0xffff, 0];
  const sunspec = await serve(answering(new Map(chain.map((word, index) => [40_000 + index, word]))));
  const found = await headroom('--identify', `127.0.0.1:${sunspec.port}`, '--json');
  expect(JSON.parse(found.out)).toMatchObject({
    profiles: ['sunspec'],
    sunspec: [{ model: 1 }, { model: 203, address: 40_070 }],
  });
  expect(found.code).toBe(0);
  const unknown = await serve(answering(new Map()));
  expect(await headroom('--identify', `127.0.0.1:${unknown.port}`)).toMatchObject({ code: 1 });
});

/** By profile: function code, address and words of its identity, and how many are asked for at once. */
const text = (characters: string): number[] =>
  Array.from({ length: Math.ceil(characters.length / 2) }, (_, n) =>
    Buffer.from(characters.padEnd(40)).readUInt16BE(2 * n),
  );
const IDENTITIES: [profile: string, address: number, words: number[], count: number][] = [
  ['abb-ab-series', 0x8960, text('B23 '), 2],
  ['abb-ab-series', 0x8960, text('A43 '), 2],
  ['carlo-gavazzi-em24', 0x000b, [71], 1],
  ['carlo-gavazzi-em340', 0x000b, [340], 1],
  ['carlo-gavazzi-em340', 0x000b, [1650], 1],
  ['schneider-iem3000', 49, text('iEM3155'), 20],
  ['schneider-pm5000', 49, text('PM5560'), 20],
  ['siemens-pac3200', 64_001, [42, ...text('7KM2112-0BA00-3AA0')], 27],
  ['siemens-pac4200', 64_001, [42, ...text('7KM4212-0BA00-3AA0')], 27],
];

test.each(IDENTITIES)(
  '--identify knows a meter of %s by its identity at %i',
  async (profile, address, words, count) => {
    const table = new Map(words.map((word, index) => [address + index, word]));
    // Such blocks are given whole or not at all.
    const isWhole = (request: { address: number; count: number }) =>
      request.address === address && request.count === count;
    const server = await serve((request) => (isWhole(request) ? answering(table) : exception(2))(request));
    expect(await headroom('--identify', `127.0.0.1:${server.port}`)).toMatchObject({
      code: 0,
      out: `127.0.0.1:${server.port} unit 1: profile ${profile}\n`,
    });
  },
);

test('--scan lists the units that answer on a line', async () => {
  const script = except(({ unitId }) => ![3, 5].includes(unitId), silent, rtuAnswering(new Map()));
  const server = await serve(script, startRtuServer);
  const { code, out } = await headroom('--scan', `127.0.0.1:${server.port}`, '--to', '5', '--timeout', '500', '--json');
  expect(JSON.parse(out).units.map(({ unitId }: { unitId: number }) => unitId)).toEqual([3, 5]);
  expect(code).toBe(0);
  expect(new Set(server.requests.map(({ functionCode }) => functionCode))).toEqual(new Set([3]));
});
