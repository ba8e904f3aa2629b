// An uplink on a real socket to a scripted broker, on a clock that is moved by hand, with a port that notes what it is
// told. Shared by the tests of this folder.
import { afterEach, vi } from 'vitest';
import { isoTime } from '../../src/clock.ts';
import { type Ack, type Curtailment, curtailmentSchema, type Status } from '../../src/messages.ts';
import type { OutgoingRequest } from '../../src/uplink/delivery.ts';
import type { OutgoingEvent } from '../../src/uplink/event-outbox.ts';
import { Uplink, type UplinkPort } from '../../src/uplink/uplink.ts';
import type { UplinkSettings } from '../../src/uplink-settings.ts';
import { type HandClock, handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import { MqttBroker } from '../simulators/mqtt-broker.ts';

export const START_MS = Date.parse('2026-01-15T17:00:00.000Z');
export const LEASE_S = 1800;
export const ACK_TIMEOUT_MS = 60_000;
export const ROOT = 'headroom/v1/SUB-1';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** The same UUIDv7 for the same number. */
export function idOf(number: number): string {
  return `01990000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** A request of `feederId` that ends `LEASE_S` after `nowMs`. */
export function request(feederId: string, sequence: number, given: Partial<Curtailment> & { nowMs?: number } = {}) {
  const { nowMs = START_MS, ...fields } = given;
  const end = isoTime(nowMs + LEASE_S * 1000);
  const message: Curtailment = curtailmentSchema.parse({
    schema: 'headroom/v1/curtailment',
    requestId: idOf(sequence),
    sequence,
    episodeId: idOf(0),
    supersedes: null,
    issuedAt: isoTime(nowMs),
    action: 'limit',
    substationId: 'SUB-1',
    feederId,
    phases: ['L2'],
    targetGroup: { id: `TG-${feederId}`, version: 1 },
    levelPercent: 40,
    reductionA: { L2: 50 },
    floorPercent: 0,
    direction: 'toLoad',
    binary: { action: 'deactivate', atOrBelowPercent: 0 },
    start: isoTime(nowMs),
    end,
    durationS: LEASE_S,
    endSpreadS: 0,
    validUntil: end,
    trigger: {
      element: 'atRisk',
      phase: 'L2',
      currentA: { L1: 100, L2: 360, L3: 100, N: null },
      pickupA: 345,
      thermalPercent: null,
      timeToLimitS: null,
      pickedUpAt: isoTime(nowMs - 30_000),
    },
    quality: { L1: 'good', L2: 'good', L3: 'good', ageMs: 0 },
    clock: { synchronised: true, offsetMs: null },
    priority: 'constraint',
    settings: { group: 'winter', hash: '0'.repeat(16) },
    mode: 'live',
    ...fields,
  });
  const outgoing: OutgoingRequest = {
    message,
    payload: JSON.stringify(message),
    offered: false,
    confirmed: false,
  };
  return outgoing;
}

export function ackOf({ message }: OutgoingRequest, given: Partial<Ack> = {}): Ack {
  const { requestId, sequence } = message;
  return {
    schema: 'headroom/v1/curtailment/ack',
    requestId,
    sequence,
    status: 'accepted',
    at: isoTime(START_MS),
    ...given,
  };
}

/** Real sockets take their time; the hand clock stands still meanwhile. */
export function until(check: () => unknown, timeout = 4_000): Promise<void> {
  return vi.waitFor(
    () => {
      if (!check()) throw new Error(`not within ${timeout} ms: ${check}`);
    },
    { timeout, interval: 2 },
  );
}

/** Long enough for whatever a socket on loopback would still bring. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 40));
}

interface Notes {
  readonly offered: string[];
  readonly answered: string[];
  readonly expired: string[];
  readonly noAck: string[];
  readonly acks: { ack: Ack; feederId: string }[];
  readonly commands: string[];
  readonly alarms: string[];
  readonly trouble: string[];
  readonly seen: Curtailment[];
  readonly links: { up: boolean; reason: string }[];
  eventsSent: number;
}

export interface SiteOptions {
  readonly settings?: Partial<UplinkSettings>;
  readonly events?: OutgoingEvent[];
  readonly random?: () => number;
  readonly learnRetained?: boolean;
  readonly onAck?: () => void;
  readonly clock?: HandClock;
  readonly broker?: MqttBroker;
}

export interface Site {
  readonly broker: MqttBroker;
  readonly clock: HandClock;
  readonly uplink: Uplink;
  readonly notes: Notes;
  readonly events: OutgoingEvent[];
  /** Moves the clock in steps while sockets work, until `check` holds. */
  advanceUntil(check: () => unknown, stepMs?: number): Promise<void>;
}

export async function startBroker(): Promise<MqttBroker> {
  const broker = await MqttBroker.start();
  opened.push(broker);
  return broker;
}

/** Registers what has to be closed after the test. */
export function closeAfter<T extends { close(): Promise<void> }>(one: T): T {
  opened.push(one);
  return one;
}

export async function site(options: SiteOptions = {}): Promise<Site> {
  const broker = options.broker ?? (await startBroker());
  const clock = options.clock ?? handClock(START_MS);
  const events = options.events ?? [];
  const notes: Notes = {
    offered: [],
    answered: [],
    expired: [],
    noAck: [],
    acks: [],
    commands: [],
    alarms: [],
    trouble: [],
    seen: [],
    links: [],
    eventsSent: 0,
  };
  const port: UplinkPort = {
    offering: ({ message }) => void notes.offered.push(message.requestId),
    answered: ({ message, confirmed }) => void notes.answered.push(`${message.sequence} ${confirmed}`),
    expired: ({ message }) => void notes.expired.push(message.requestId),
    noAck: ({ requestId }) => void notes.noAck.push(requestId),
    ack(ack, feederId) {
      notes.acks.push({ ack, feederId });
      options.onAck?.();
    },
    command: (payload) => void notes.commands.push(Buffer.from(payload).toString()),
    trouble: (topic, reason) => void notes.trouble.push(`${topic}: ${reason}`),
    retainedSeen: (message) => void notes.seen.push(message),
    linkAlarm: (alarm, reason) => void notes.alarms.push(`${alarm}: ${reason}`),
    linkChanged: (up, reason) => void notes.links.push({ up, reason }),
    eventsAfter: (sequence, count) => events.filter((event) => event.sequence > sequence).slice(0, count),
    eventsSent(sequence) {
      notes.eventsSent = sequence;
    },
    status: (state, reason) => statusOf(state, reason),
  };
  const uplink = new Uplink({
    settings: {
      brokers: [{ url: broker.url, protocol: 'auto' }],
      allowInsecure: true,
      keepAliveS: 20,
      historyMessagesPerS: 0,
      telemetryS: 600,
      telemetryChangePercent: 20,
      commandsPerMinute: 12,
      ...options.settings,
    },
    substationId: 'SUB-1',
    ackTimeoutMs: () => ACK_TIMEOUT_MS,
    learnRetained: options.learnRetained ?? false,
    eventsSentTo: 0,
    clock,
    random: options.random ?? (() => 0.5),
    port,
  });
  closeAfter({ close: () => whileTimeGoes(clock, uplink.close()) });
  return {
    broker,
    clock,
    uplink,
    notes,
    events,
    async advanceUntil(check, stepMs = 250) {
      for (let step = 0; step < 400 && !check(); step++) {
        clock.advance(stepMs);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await until(check);
    },
  };
}

function statusOf(state: Status['state'], reason: Status['reason']): Status {
  return {
    schema: 'headroom/v1/status',
    substationId: 'SUB-1',
    state,
    at: isoTime(START_MS),
    reason,
    version: '0.1.0',
    settings: { hash: '0'.repeat(16) },
    health: reason === 'connectionLost' ? null : { state: 'ok', alarms: [] },
    clock: null,
    insecure: true,
    feeders: null,
  };
}

export function event(sequence: number, feederId: string | null = null): OutgoingEvent {
  return { sequence, feederId, body: JSON.stringify({ sequence, feederId }) };
}
