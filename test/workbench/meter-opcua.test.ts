// `headroom meter` on an OPC UA source, against node-opcua's server on loopback, from the first look to a fault.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatusCodes } from 'node-opcua';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { verb } from '../end-to-end/headroom.ts';
import { OpcuaServer } from '../simulators/opcua-server.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), 'meter-opcua-'));
const config = join(folder, 'c.yaml');
let server: OpcuaServer;
beforeAll(async () => {
  server = await OpcuaServer.start({ folder, values: { L1: 4.5, L2: 6.5, L3: 1, N: 0.25, P: -5_000, Hz: 50 } });
  const node = (name: string) => `"ns=1;s=${name}"`;
  writeFileSync(
    config,
    `substation: { id: S }
uplink: { brokers: [{ url: "mqtts://h:1" }] }
sources: [{ id: gw, type: opcua, endpoint: "${server.endpoint}", samplingMs: 50, timeoutMs: 2000 }]
feeders:
  - id: F1
    currents: { source: gw, L1: ${node('L1')}, L2: ${node('L2')}, L3: ${node('L3')}, N: ${node('N')},
      power: { L1: ${node('P')}, L2: ${node('P')}, L3: ${node('P')} }, liveness: ${node('Hz')} }
    ctRatio: { primaryA: 400, secondaryA: 5 }
    settings: [{ name: g, ratingA: 385, atRisk: { pickupA: 345, dropoutA: 310, delayS: 1, resetDelayS: 1 } }]
journal: { path: ./journal }
`,
  );
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('tells what to do while the server is not trusted, then shows status and time beside amperes', async () => {
  const stranger = await verb('meter', config, 'gw', '--once');
  expect(stranger.code).toBe(1);
  expect(stranger.stdout).toContain('is not trusted yet; headroom trust shows and accepts it');

  expect(await verb('trust', config, 'gw', '--accept', server.fingerprint)).toMatchObject({ code: 0 });
  const shown = await verb('meter', config, 'gw', '--once', '--json');
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  const round = JSON.parse(shown.stdout);
  expect(round).toMatchObject({ source: 'gw', ok: true, reads: 1, faults: {} });
  expect(round.detail).toBe('SignAndEncrypt Basic256Sha256, read every 50 ms');
  const row = (quantity: string, conductor: string | null) =>
    round.nodes.find(
      (one: { quantity: string; conductor: string }) => one.quantity === quantity && one.conductor === conductor,
    );
  expect(row('current', 'L1')).toMatchObject({
    nodeId: 'ns=1;s=L1',
    status: '0x00000000',
    sourceAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    value: 4.5,
    unit: 'A',
    feederId: 'F1',
    currentA: 360,
    quality: 'good',
  });
  expect(row('current', 'L2')).toMatchObject({ currentA: 520, quality: 'uncertain', reason: 'overCtRange' });
  expect(row('power', 'L3')).toMatchObject({ value: -5_000, unit: 'W', quality: 'good' });
  expect(row('liveness', null)).toMatchObject({ value: 50 });

  server.set('L3', 7, StatusCodes.BadDeviceFailure);
  const broken = await verb('meter', config, 'gw', '--once');
  expect(broken.code).toBe(1);
  expect(broken.stdout).toMatch(/current L3 .*0x808B0000 .* - .* bad: sourceBad/);
});
