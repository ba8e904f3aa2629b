// Example messages of the contract, made by the code that makes the real ones: one episode on feeder F1 of
// config/substation.yaml as it would be said, and the messages around it.
import { fileURLToPath } from 'node:url';
import type { Command, CommandAck } from '../command-message.ts';
import { readConfiguration } from '../configuration.ts';
import type { ControlRequest } from '../control/types.ts';
import type { Ack, Curtailment, Event, Status } from '../messages.ts';
import { requestMessage } from '../request-message.ts';
import type { Telemetry } from '../telemetry-message.ts';
import { VERSION } from '../version.ts';
import type { Example } from './asyncapi.ts';

/** Not that of config/substation.yaml: each new default would else be a change of every example. */
const EXAMPLE_HASH = '786378147d93bb70';

/** Throws where config/substation.yaml is not good. */
export function exampleMessages(): Example[] {
  const { limit, refresh, step, release, hash } = exampleRequests();
  const { requestId, sequence, episodeId, substationId, feederId } = limit;
  const ack: Ack = {
    schema: 'headroom/v1/curtailment/ack',
    requestId,
    sequence,
    status: 'partial',
    at: '2026-01-14T18:01:12.000Z',
    devices: { targeted: 12, acknowledged: 11, failed: 1 },
    reason: 'one device did not answer',
    controllableA: { L2: 112 },
  };
  const event: Event = {
    schema: 'headroom/v1/event',
    sequence: 4712,
    at: '2026-01-14T18:00:30.200Z',
    substationId,
    feederId,
    type: 'limit',
    element: 'atRisk',
    phase: 'L2',
    currentA: 360,
    levelPercent: limit.levelPercent,
    requestId,
    episodeId,
    reason: 'atRisk on L2',
    clockSynchronised: true,
  };
  const status: Status = {
    schema: 'headroom/v1/status',
    substationId,
    state: 'online',
    at: '2026-01-14T17:02:11.514Z',
    reason: 'connected',
    version: VERSION,
    settings: { hash },
    health: { state: 'degraded', alarms: ['meter-2/silent'] },
    clock: { synchronised: true, offsetMs: null },
    insecure: false,
    feeders: [
      {
        feederId,
        settingsGroup: limit.settings.group,
        groupByCommand: false,
        groupUntil: null,
        blockedUntil: '2026-01-14T20:00:00.000Z',
        testUntil: null,
      },
    ],
  };
  const will: Status = {
    ...status,
    state: 'offline',
    reason: 'connectionLost',
    health: null,
    clock: null,
    feeders: null,
  };
  return [
    { name: 'curtailment-limit', message: limit },
    { name: 'curtailment-refresh', message: refresh },
    { name: 'curtailment-step', message: step },
    { name: 'curtailment-release', message: release },
    { name: 'ack', message: ack },
    { name: 'event', message: event },
    { name: 'telemetry', message: exampleTelemetry(limit) },
    { name: 'status', message: status },
    { name: 'status-will', message: will },
    { name: 'command', message: exampleCommand(limit) },
    { name: 'commandAck', message: exampleAnswer() },
  ];
}

function exampleTelemetry({ substationId, feederId, levelPercent }: Curtailment): Telemetry {
  return {
    schema: 'headroom/v1/telemetry',
    substationId,
    feederId,
    start: '2026-01-14T18:00:00.000Z',
    end: '2026-01-14T18:10:00.000Z',
    reason: 'interval',
    readings: 3000,
    L1: { averageA: 206.3, minA: 188.1, maxA: 224.9, quality: 'good' },
    L2: { averageA: 327.6, minA: 301.2, maxA: 366.4, quality: 'good' },
    L3: { averageA: 229.4, minA: 215.7, maxA: 241.3, quality: 'uncertain' },
    N: null,
    state: 'curtailing',
    levelPercent,
    clockSynchronised: true,
  };
}

function exampleCommand({ feederId }: Curtailment): Command {
  return {
    schema: 'headroom/v1/command',
    commandId: '019bbd70-5c11-7c3e-9d51-0c1b3a6f2e77',
    action: 'block',
    feederId,
    issuedAt: '2026-01-14T17:00:00.000Z',
    expiresAt: '2026-01-14T17:10:00.000Z',
    until: '2026-01-14T20:00:00.000Z',
  };
}

function exampleAnswer(): CommandAck {
  return {
    schema: 'headroom/v1/command/ack',
    commandId: '019bbd70-5c11-7c3e-9d51-0c1b3a6f2e77',
    status: 'accepted',
    reason: 'blocked until 2026-01-14T20:00:00.000Z',
    at: '2026-01-14T17:00:00.912Z',
  };
}

/** What control asks in an episode that begins as the worked example of docs/settings.md, as messages. */
function exampleRequests(): { [name in 'limit' | 'refresh' | 'step' | 'release']: Curtailment } & { hash: string } {
  const { configuration } = readConfiguration(fileURLToPath(new URL('../../config/substation.yaml', import.meta.url)));
  const feeder = configuration?.settings.feeders[0];
  const group = feeder?.settings[0];
  if (configuration === null || feeder === undefined || group === undefined)
    throw new Error('config/substation.yaml is not good, or has no feeder');
  const { settings } = configuration;
  const hash = EXAMPLE_HASH;
  const startMs = Date.parse('2026-01-14T18:00:00.200Z');
  const { leaseS, refreshS, responseTimeS } = group.curtailment;
  const limit: ControlRequest = {
    kind: 'request',
    action: 'limit',
    atMs: 30_000,
    endMs: 30_000 + leaseS * 1000,
    episodeStartedMs: 0,
    levelPercent: { L2: 60 },
    reductionA: { L2: 50 },
    trigger: { element: 'atRisk', isUrgent: false, phase: 'L2', pickupA: group.atRisk.pickupA, pickedUpMs: 0 },
    currentA: { L1: 212.4, L2: 360, L3: 236.1, N: 137.9 },
    quality: { L1: 'good', L2: 'good', L3: 'good' },
    readingAgeMs: 112,
    reason: 'atRisk on L2',
    mode: 'live',
    group: group.name,
    thermalPercent: null,
    timeToLimitS: null,
  };
  const refreshMs = 30_000 + refreshS * 1000;
  const seen = { L1: 204.7, L2: 322.5, L3: 228.3, N: 109.6 };
  const refreshEndMs = refreshMs + leaseS * 1000;
  const refresh: ControlRequest = {
    ...limit,
    action: 'refresh',
    atMs: refreshMs,
    endMs: refreshEndMs,
    currentA: seen,
    readingAgeMs: 87,
  };
  const stepMs = refreshMs + 900_000;
  const step: ControlRequest = {
    ...limit,
    atMs: stepMs,
    endMs: stepMs + leaseS * 1000,
    levelPercent: { L2: 85 },
    reductionA: { L2: 18.75 },
    currentA: { L1: 188.2, L2: 241.9, L3: 201.5, N: 48.6 },
    readingAgeMs: 41,
  };
  const release: ControlRequest = {
    ...step,
    action: 'release',
    atMs: stepMs + responseTimeS * 1000,
    levelPercent: { L2: 100 },
    reductionA: { L2: 0 },
    currentA: { L1: 181.6, L2: 252.3, L3: 195, N: 65 },
  };
  const messageOf = (request: ControlRequest, order: number) =>
    requestMessage(request, {
      substationId: settings.substation.id,
      feeder,
      group,
      settingsHash: hash,
      requestId: exampleId(order),
      sequence: 1_768_000_000_017 + order,
      episodeId: exampleId(0),
      supersedes: order === 1 ? null : exampleId(order - 1),
      wallOffsetMs: startMs,
      nowMs: request.atMs,
      clockSynchronised: true,
    });
  return {
    limit: messageOf(limit, 1),
    refresh: messageOf(refresh, 2),
    step: messageOf(step, 3),
    release: messageOf(release, 4),
    hash,
  };
}

/** A UUIDv7 that is the same at every run. */
function exampleId(order: number): string {
  return `019bbdaa-8ef8-7000-8000-00000000000${order}`;
}
