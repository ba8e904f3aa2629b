// Messages that a head end should never send, and that somebody who holds its broker might: commands and
// acknowledgements that are broken, huge, too late, too early, sent again or out of their order. Every one that is made
// here has to be refused, or, being said again, to change nothing.
import type { Ack, Curtailment } from '../../src/messages.ts';
import type { Random } from '../simulators/random.ts';

export interface Hostile {
  readonly kind: string;
  readonly topic: string;
  readonly payload: Buffer;
}

/** What stands at the edge and may be attacked. */
export interface Target {
  readonly root: string;
  readonly wallMs: number;
  readonly limit: Curtailment;
  /** Taken before the attack, and to be sent again. */
  readonly command: { readonly [key: string]: unknown };
  readonly ack: Ack;
}

type Fields = { [key: string]: unknown };
type Make = (random: Random, target: Target, number: number) => Buffer;

const LARGEST = 16_384;
const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const iso = (wallMs: number) => new Date(wallMs).toISOString();

/** A command that would be taken as it stands: what follows breaks it. */
function command(random: Random, { wallMs }: Target, number: number): Fields {
  const actions = [
    { action: 'release', immediate: true },
    { action: 'block', until: iso(wallMs + 3_600_000), immediate: true },
    { action: 'testMode', until: iso(wallMs + 3_600_000) },
    { action: 'settingsGroup', group: 'summer' },
  ];
  return {
    schema: 'headroom/v1/command',
    commandId: `hostile-${number}`,
    issuedAt: iso(wallMs),
    expiresAt: iso(wallMs + 60_000),
    ...actions[random.whole(0, actions.length - 1)],
  };
}

/** An acknowledgement that would reach control as it stands. */
function ack({ limit, wallMs }: Target): Fields {
  return {
    schema: 'headroom/v1/curtailment/ack',
    requestId: limit.requestId,
    sequence: limit.sequence,
    status: 'partial',
    at: iso(wallMs),
    devices: { targeted: 10, acknowledged: 1, failed: 9 },
    controllableA: { L2: 1 },
  };
}

const JUNK = [null, true, -1, 0, 1e308, '', 'x', '1 OR 1=1', '../../etc/passwd', [], {}, [[]], '\u0000', 2 ** 53, NaN];
const pick = <T>(random: Random, values: readonly T[]): T => values[random.whole(0, values.length - 1)] as T;

/** With one of the fields that have to be there made into something else. */
function broken(random: Random, whole: Fields, needed: readonly string[]): Buffer {
  const key = pick(random, needed);
  const junk = pick(random, JUNK);
  // Dots and dashes are letters of an id.
  return text({ ...whole, [key]: junk === 'x' && key === 'commandId' ? '' : junk });
}

function without(random: Random, whole: Fields, needed: readonly string[]): Buffer {
  const key = pick(random, needed);
  return text(Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key)));
}

/** Cut off, or with a byte changed so that it is no JSON any more. */
function torn(random: Random, whole: Fields): Buffer {
  const bytes = text(whole);
  if (random.chance(0.5)) return bytes.subarray(0, random.whole(0, bytes.length - 1));
  bytes[pick(random, [0, bytes.length - 1])] = random.whole(128, 255);
  return bytes;
}

/** Larger than anything that is looked at: by spaces, so that it would be good but for that. */
function huge(random: Random, whole: Fields, most: number): Buffer {
  return Buffer.concat([text(whole), Buffer.alloc(random.whole(LARGEST, most), 0x20)]);
}

function nested(random: Random): Buffer {
  const depth = random.whole(1_000, LARGEST / 2);
  return Buffer.from(random.chance(0.5) ? '['.repeat(depth) + ']'.repeat(depth) : '{"a":'.repeat(depth));
}

const noise = (random: Random) => Buffer.from(Array.from({ length: random.whole(0, 300) }, () => random.whole(0, 255)));
const COMMAND_NEEDS = ['schema', 'commandId', 'issuedAt', 'expiresAt', 'action'];
const ACK_NEEDS = ['schema', 'requestId', 'sequence', 'status', 'at'];

const COMMANDS: { readonly [kind: string]: Make } = {
  noise,
  nested,
  torn: (random, target, number) => torn(random, command(random, target, number)),
  broken: (random, target, number) => broken(random, command(random, target, number), COMMAND_NEEDS),
  'without a field': (random, target, number) => without(random, command(random, target, number), COMMAND_NEEDS),
  huge: (random, target, number) => huge(random, command(random, target, number), 60_000),
  'with a setting': (random, target, number) => {
    const keys = ['pickupA', 'brokers', 'leaseS', 'caps', 'path', 'exec', 'settings', 'levelPercent', 'end'];
    return text({ ...command(random, target, number), [pick(random, keys)]: pick(random, JUNK) });
  },
  'of another feeder': (random, target, number) =>
    text({ ...command(random, target, number), feederId: pick(random, ['F9', '#', '+', '../F1', 'F1 ', 'f1']) }),
  'of no such group': (random, target, number) => {
    const group = pick(random, ['nobody', 'winter', '__proto__', 'constructor']);
    return text({
      ...command(random, target, number),
      action: 'settingsGroup',
      until: undefined,
      immediate: undefined,
      group,
    });
  },
  expired: (random, target, number) => {
    const issuedMs = target.wallMs - random.between(1_000, 1e9);
    const expiresAt = iso(Math.min(target.wallMs, issuedMs + random.between(1, 86_400_000)));
    return text({ ...command(random, target, number), issuedAt: iso(issuedMs), expiresAt });
  },
  'of tomorrow': (random, target, number) => {
    const issuedMs = target.wallMs + random.between(61_000, 1e10);
    return text({ ...command(random, target, number), issuedAt: iso(issuedMs), expiresAt: iso(issuedMs + 60_000) });
  },
  'good for years': (random, target, number) =>
    text({ ...command(random, target, number), expiresAt: iso(target.wallMs + random.between(86_400_001, 1e11)) }),
  // The id is known: whatever else stands in it, it has had its answer.
  replayed: (_random, target) => text(target.command),
  'replayed with another order': (random, target, number) =>
    text({ ...command(random, target, number), commandId: target.command['commandId'] }),
};

const ACKS: { readonly [kind: string]: Make } = {
  noise,
  nested,
  torn: (random, target) => torn(random, ack(target)),
  broken: (random, target) => broken(random, ack(target), ACK_NEEDS),
  'without a field': (random, target) => without(random, ack(target), ACK_NEEDS),
  huge: (random, target) => huge(random, ack(target), 60_000),
  'of an unknown request': (random, target) =>
    text({ ...ack(target), requestId: `01990000-0000-7000-8000-${String(random.whole(0, 1e9)).padStart(12, '0')}` }),
  'of another sequence': (random, target) =>
    text({ ...ack(target), sequence: target.limit.sequence + pick(random, [-1, 1, 7, 1_000_000]) }),
  'with impossible amperes': (random, target) =>
    text({ ...ack(target), controllableA: { L2: pick(random, [-1, '9', null, -1e308]) } }),
  'with impossible devices': (random, target) =>
    text({ ...ack(target), devices: { targeted: pick(random, [-1, 0.5, '1']), acknowledged: 1, failed: 0 } }),
  replayed: (_random, target) => text(target.ack),
  // It has ended: everything that says otherwise is out of its order.
  'out of order': (random, target) =>
    text({
      ...ack(target),
      status: pick(random, ['accepted', 'dispatched', 'applied', 'partial', 'rejected', 'failed']),
    }),
};

/** The next one, of a kind by a draw; some acknowledgements come on the topic of a feeder that never asked. */
export function hostile(random: Random, target: Target, number: number): Hostile {
  const { root } = target;
  const isCommand = random.chance(0.5);
  const made = Object.entries(isCommand ? COMMANDS : ACKS);
  const [kind, make] = pick(random, made);
  const payload = make(random, target, number);
  if (isCommand) return { kind: `command ${kind}`, topic: `${root}/command`, payload };
  const feederId = kind === 'replayed' && random.chance(0.5) ? 'F2' : 'F1';
  return { kind: `ack ${kind}`, topic: `${root}/feeder/${feederId}/curtailment/ack`, payload };
}
