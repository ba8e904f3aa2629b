// The contract's messages: every field of a request by table, and what is refused on arrival.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ControlRequest } from '../src/control/types.ts';
import {
  ackSchema,
  type Curtailment,
  curtailmentSchema,
  eventSchema,
  INBOUND_BYTES_MAX,
  parseMessage,
  statusSchema,
  topicsOf,
} from '../src/messages.ts';
import { type MessageContext, requestMessage } from '../src/request-message.ts';
import { settingsSchema } from '../src/settings.ts';

const NOW_MS = 500_000;
const WALL_MS = Date.parse('2026-01-15T17:00:00.000Z');
const ID = '01990000-0000-7000-8000-000000000001';
const EPISODE = '01990000-0000-7000-8000-000000000002';
const FORMER = '01990000-0000-7000-8000-000000000003';
const iso = (afterS: number) => new Date(WALL_MS + afterS * 1000).toISOString();

interface Given {
  readonly request?: Partial<ControlRequest>;
  readonly context?: Partial<MessageContext>;
  readonly curtailment?: object;
  readonly caps?: object;
  readonly targetGroup?: boolean;
}

function made({ request, context, curtailment = {}, caps = {}, targetGroup = true }: Given = {}): Curtailment {
  const settings = settingsSchema.parse({
    substation: { id: 'SUB-1' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [{ id: 'meter', type: 'modbus-tcp', host: 'h', profile: 'p' }],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'meter' },
        ...(targetGroup && { targetGroup: { id: 'TG-F1', version: 3 } }),
        settings: [
          {
            name: 'winter',
            ratingA: 400,
            atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 },
            curtailment,
            caps,
          },
        ],
      },
    ],
  });
  const [feeder] = settings.feeders;
  const group = feeder?.settings[0];
  if (feeder === undefined || group === undefined) return expect.fail();
  return requestMessage(
    {
      kind: 'request',
      action: 'limit',
      atMs: NOW_MS,
      endMs: NOW_MS + 1_800_000,
      episodeStartedMs: NOW_MS - 30_000,
      levelPercent: { L2: 40 },
      reductionA: { L2: 51.23456 },
      trigger: { element: 'atRisk', isUrgent: false, phase: 'L2', pickupA: 345, pickedUpMs: NOW_MS - 30_000 },
      currentA: { L1: 100.005, L2: 361.2345, L3: null, N: null },
      quality: { L1: 'good', L2: 'uncertain', L3: 'bad' },
      readingAgeMs: 199.6,
      mode: 'live',
      group: 'winter',
      thermalPercent: null,
      timeToLimitS: null,
      reason: 'atRisk on L2',
      ...request,
    },
    {
      substationId: 'SUB-1',
      feeder,
      group,
      settingsHash: '0123456789abcdef',
      requestId: ID,
      sequence: 7,
      episodeId: EPISODE,
      supersedes: null,
      wallOffsetMs: WALL_MS - NOW_MS,
      nowMs: NOW_MS,
      clockSynchronised: true,
      ...context,
    },
  );
}

describe('a request', () => {
  test('says of switches what the settings say', () => {
    const binary = { action: 'signal', atOrBelowPercent: 40 };
    expect(made({ curtailment: { binary } }).binary).toEqual(binary);
    expect(made({ curtailment: { binary: { action: 'skip' } } }).binary).toEqual({
      action: 'skip',
      atOrBelowPercent: 0,
    });
  });

  test('is complete by itself', () => {
    expect(made()).toEqual({
      schema: 'headroom/v1/curtailment',
      requestId: ID,
      sequence: 7,
      episodeId: EPISODE,
      supersedes: null,
      issuedAt: iso(0),
      action: 'limit',
      substationId: 'SUB-1',
      feederId: 'F1',
      phases: ['L2'],
      targetGroup: { id: 'TG-F1', version: 3 },
      levelPercent: 40,
      reductionA: { L2: 51.23 },
      floorPercent: 0,
      direction: 'toLoad',
      binary: { action: 'deactivate', atOrBelowPercent: 0 },
      start: iso(0),
      end: iso(1800),
      durationS: 1800,
      endSpreadS: 600,
      validUntil: iso(1200),
      trigger: {
        element: 'atRisk',
        phase: 'L2',
        currentA: { L1: 100.01, L2: 361.23, L3: null, N: null },
        pickupA: 345,
        thermalPercent: null,
        timeToLimitS: null,
        pickedUpAt: iso(-30),
      },
      quality: { L1: 'good', L2: 'uncertain', L3: 'bad', ageMs: 200 },
      clock: { synchronised: true, offsetMs: null },
      priority: 'constraint',
      settings: { group: 'winter', hash: '0123456789abcdef' },
      mode: 'live',
    });
  });

  const emergency = { element: 'emergency', isUrgent: true, phase: 'L1', pickupA: 420, pickedUpMs: NOW_MS } as const;
  const release = { action: 'release', levelPercent: { L2: 100 }, reductionA: { L2: 0 } } as const;
  test.each<[string, Given, Partial<Curtailment>]>([
    ['the former request', { context: { supersedes: FORMER } }, { supersedes: FORMER }],
    [
      'a clock that nobody keeps',
      { context: { clockSynchronised: false } },
      { clock: { synchronised: false, offsetMs: null } },
    ],
    ['the priority of an emergency', { request: { trigger: emergency } }, { priority: 'emergency' }],
    [
      'the lowest of levels that differ, and each',
      { request: { levelPercent: { L1: 60, L2: 40 }, reductionA: { L1: 10, L2: 50 } } },
      {
        phases: ['L1', 'L2'],
        levelPercent: 40,
        levelPercentByPhase: { L1: 60, L2: 40 },
        reductionA: { L1: 10, L2: 50 },
      },
    ],
    [
      'one level where they are the same',
      { request: { levelPercent: { L1: 40, L3: 40 }, reductionA: { L1: 10, L3: 50 } } },
      { phases: ['L1', 'L3'], levelPercent: 40 },
    ],
    ['the floor', { curtailment: { floorPercent: 20 } }, { floorPercent: 20 }],
    ['the spread that is set', { curtailment: { endSpreadS: 300 } }, { endSpreadS: 300, validUntil: iso(1500) }],
    ['no spread', { curtailment: { endSpreadS: 0 } }, { endSpreadS: 0, validUntil: iso(1800) }],
    [
      'a spread that refreshes come before',
      { curtailment: { refreshS: 1500 } },
      { endSpreadS: 300, validUntil: iso(1500) },
    ],
    ['a spread that the cap on the lease leaves', { caps: { longestLeaseS: 900 } }, { endSpreadS: 300 }],
    ['no negative spread', { curtailment: { refreshS: 1700 }, caps: { longestLeaseS: 900 } }, { endSpreadS: 0 }],
    [
      'the rest of a limit that is said again',
      { request: { action: 'refresh', endMs: NOW_MS + 100_400 } },
      { action: 'refresh', end: iso(100.4), durationS: 100, validUntil: iso(0) },
    ],
    [
      'a release valid to the end of what it releases',
      { request: release },
      { action: 'release', levelPercent: 100, validUntil: iso(1800) },
    ],
    ['no negative duration', { request: { ...release, endMs: NOW_MS - 5_000 } }, { durationS: 0, end: iso(-5) }],
  ])('carries %s', (_name, given, expected) => {
    const message = made(given);
    expect(message).toMatchObject(expected);
    expect(curtailmentSchema.parse(JSON.parse(JSON.stringify(message)))).toEqual(message);
    if (!('levelPercentByPhase' in expected)) expect(message).not.toHaveProperty('levelPercentByPhase');
  });

  test('of a feeder without a target group is a mistake of the program', () => {
    expect(() => made({ targetGroup: false })).toThrow('feeder F1 has no target group');
  });
});

describe('on arrival', () => {
  const good = {
    schema: 'headroom/v1/curtailment/ack',
    requestId: ID,
    sequence: 7,
    status: 'accepted',
    at: '2026-01-15T17:00:00Z',
  };
  const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

  test.each([
    ['the least', good],
    ['devices', { ...good, devices: { targeted: 3, acknowledged: 2, failed: 1 } }],
    ['a reason', { ...good, reason: 'old target group' }],
    ['no reason', { ...good, reason: null }],
    ['controllable amperes of some phases', { ...good, controllableA: { L1: 96 } }],
    ['a time with fractions', { ...good, at: '2026-01-15T17:00:00.123Z' }],
  ])('an acknowledgement with %s is taken', (_name, ack) => {
    expect(parseMessage(ackSchema, bytes(ack))).toEqual(ack);
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', '', /^no JSON$/],
    ['half a message', JSON.stringify(good).slice(0, 40), /^no JSON$/],
    ['a number', 7, /^message: /],
    ['null', null, /^message: /],
    ['a list', [good], /^message: /],
    ['another schema', { ...good, schema: 'headroom/v2/curtailment/ack' }, /^schema: /],
    ['no UUID', { ...good, requestId: '1 OR 1=1' }, /^requestId: /],
    ['a sequence of 0', { ...good, sequence: 0 }, /^sequence: /],
    ['a sequence as text', { ...good, sequence: '7' }, /^sequence: /],
    ['a sequence beyond whole numbers', { ...good, sequence: 2 ** 60 }, /^sequence: /],
    ['no status', { ...good, status: undefined }, /^status: /],
    ['an unknown status', { ...good, status: 'fine' }, /^status: /],
    ['a local time', { ...good, at: '2026-01-15 17:00' }, /^at: /],
    ['a negative count', { ...good, devices: { targeted: -1, acknowledged: 0, failed: 0 } }, /^devices.targeted: /],
    ['negative amperes', { ...good, controllableA: { L1: -1 } }, /^controllableA.L1: /],
    ['amperes of an unknown phase', { ...good, controllableA: { L9: 1 } }, /^controllableA/],
    ['a long reason', { ...good, reason: 'x'.repeat(1_001) }, /^reason: /],
    [
      'too many bytes',
      { ...good, reason: 'x'.repeat(INBOUND_BYTES_MAX) },
      new RegExp(`expected at most ${INBOUND_BYTES_MAX}$`),
    ],
  ])('%s is refused in one line', (_name, payload, expected) => {
    const answer = parseMessage(ackSchema, bytes(payload));
    expect(answer).toBeTypeOf('string');
    expect(answer).toMatch(expected);
    expect(answer).not.toContain('\n');
  });

  test.each([
    ['a key that a newer head end adds', JSON.stringify({ ...good, levelPercent: 0 })],
    ['a prototype', `{"__proto__":{"reason":"r"},${JSON.stringify(good).slice(1)}`],
  ])('%s is passed over', (_name, text) => {
    const ack = parseMessage(ackSchema, bytes(text));
    expect(ack).toEqual(good);
    expect(ack).not.toHaveProperty('reason');
  });

  test('the size is judged before the text is looked at', () => {
    const spaces = Buffer.alloc(INBOUND_BYTES_MAX, 0x20);
    const fitting = Buffer.concat([bytes(good), spaces]).subarray(0, INBOUND_BYTES_MAX);
    expect(parseMessage(ackSchema, fitting)).toEqual(good);
    expect(parseMessage(ackSchema, Buffer.concat([fitting, Buffer.from(' ')]))).toBeTypeOf('string');
  });

  test('a part of a larger buffer is read as that part alone', () => {
    const whole = Buffer.concat([Buffer.from('xxx'), bytes(good), Buffer.from('yyy')]);
    expect(parseMessage(ackSchema, whole.subarray(3, whole.length - 3))).toEqual(good);
  });

  test('no bytes whatever make it throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(bytes)), (payload) => {
        expect(parseMessage(ackSchema, payload)).toBeTypeOf('string');
      }),
      { numRuns: 300 },
    );
  });

  test('every message that this edge makes fits into what it would take itself', () => {
    expect(bytes(made()).length).toBeLessThan(INBOUND_BYTES_MAX / 4);
  });
});

describe('topics', () => {
  test('are those of the contract', () => {
    const topics = topicsOf('SUB-1');
    expect([
      topics.curtailment('F1'),
      topics.ack('F1'),
      topics.event('F1'),
      topics.event(null),
      topics.status,
      topics.everyAck,
      topics.everyCurtailment,
    ]).toEqual([
      'headroom/v1/SUB-1/feeder/F1/curtailment',
      'headroom/v1/SUB-1/feeder/F1/curtailment/ack',
      'headroom/v1/SUB-1/feeder/F1/event',
      'headroom/v1/SUB-1/event',
      'headroom/v1/SUB-1/status',
      'headroom/v1/SUB-1/feeder/+/curtailment/ack',
      'headroom/v1/SUB-1/feeder/+/curtailment',
    ]);
  });
});

test('an event and a status with a key too many are refused too', () => {
  const event = {
    schema: 'headroom/v1/event',
    sequence: 1,
    at: iso(0),
    substationId: 'S',
    feederId: null,
    type: 'restart',
  };
  const whole = { ...event, reason: 'r', clockSynchronised: true };
  expect(eventSchema.safeParse(whole).success).toBe(true);
  expect(eventSchema.safeParse({ ...whole, other: 1 }).success).toBe(false);
  expect(eventSchema.safeParse({ ...whole, historical: false }).success).toBe(false);
  expect(statusSchema.safeParse({ state: 'online' }).success).toBe(false);
});
