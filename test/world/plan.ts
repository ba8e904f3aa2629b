// What a seed stands for: the site, its settings, and everything that goes wrong, each at its time. A plan is plain data
// and the run of a plan is a function of it, so a failing one can be cut down until only what matters is left.
import { type Settings, settingsSchema } from '../../src/settings.ts';
import { type Random, seeded } from '../simulators/random.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Where in the work of the program a crash comes: `nth` of such points from its time on. */
export type Aim =
  | { readonly at: 'moment' }
  | { readonly at: 'write'; readonly nth: number; readonly how: 'crashBefore' | 'crashTorn' | 'crashAfter' }
  | { readonly at: 'publish'; readonly nth: number; readonly how: 'before' | 'after' }
  /** So many callbacks after a write. */
  | { readonly at: 'step'; readonly nth: number };

export type Fault = { readonly atMs: number } & (
  | { readonly kind: 'kill'; readonly aim: Aim; readonly downMs: number }
  /** `clock` is what the machine's wall clock shows when it is back. */
  | {
      readonly kind: 'power';
      readonly aim: Aim;
      readonly downMs: number;
      readonly clock: 'right' | 'unknown' | 'reset';
    }
  | { readonly kind: 'stop'; readonly downMs: number }
  | { readonly kind: 'cut' | 'halfOpen' | 'forget' }
  | { readonly kind: 'down' | 'blackHole' | 'mute' | 'refuses' | 'slow' | 'headEndAway'; readonly forMs: number }
  | { readonly kind: 'silent' | 'notANumber' | 'uncertain' | 'frozen'; readonly feeder: number; readonly forMs: number }
  /** `lies`: says that it has written, and has not. No plan has it by itself: it is what a judge must see. */
  | { readonly kind: 'full' | 'ioError' | 'lies'; readonly forMs: number }
  | { readonly kind: 'clockStep'; readonly byMs: number }
  | { readonly kind: 'unsynchronised'; readonly forMs: number }
);

export interface Plan {
  readonly seed: number;
  readonly hours: number;
  readonly feeders: number;
  readonly pollMs: number;
  readonly driftPpm: number;
  /** Of evenings on which many cars charge at once. */
  readonly busyShare: number;
  readonly telemetryS: number;
  readonly curtailment: { readonly [setting: string]: number | string };
  readonly faults: readonly Fault[];
}

/** One world in four is long, on a large site where a fault is rare; in the others one comes upon the other. */
const CALM = { share: 4, faultsPerDay: 0.5, hours: 1 };
const ROUGH = { faultsPerDay: 60, hours: 0.06 };

/** `longestHours` is what a calm world lasts. */
export function planOf(seed: number, longestHours: number): Plan {
  const random = seeded(seed);
  const pick = <T>(...choices: readonly T[]): T => choices[random.whole(0, choices.length - 1)] as T;
  const leaseS = pick(300, 900, 1800, 3600);
  const responseTimeS = pick(0, 120, 720);
  const isCalm = seed % CALM.share === 0;
  const feeders = isCalm ? 12 : pick(1, 2, 6, 12);
  const { faultsPerDay, hours: share } = isCalm ? CALM : ROUGH;
  const hours = Math.max(6, Math.round(longestHours * share));
  const site = {
    seed,
    hours,
    feeders,
    pollMs: isCalm ? 60_000 : pick(2_000, 5_000, 20_000, 60_000),
    driftPpm: random.between(-80, 80),
    busyShare: isCalm ? 0.1 : 1,
    // Per second and feeder it would be most of what a long world does.
    telemetryS: isCalm ? 0 : 900,
    curtailment: {
      mode: pick('proportional', 'onOff'),
      leaseS,
      refreshS: Math.round(leaseS * random.between(0.2, 0.6)),
      responseTimeS,
      ackTimeoutS: pick(10, 60),
      maxEpisodeS: pick(3600, 14_400),
      minOnS: pick(0, 0, 300),
      endSpreadS: pick(0, 60, 600),
    },
  };
  const count = Math.ceil((hours / 24) * faultsPerDay * random.between(0.7, 1.3));
  const faults = Array.from({ length: count }, () => drawFault(random, hours * HOUR_MS, feeders));
  return { ...site, faults: faults.sort((a, b) => a.atMs - b.atMs) };
}

function drawFault(random: Random, lastMs: number, feeders: number): Fault {
  const pick = <T>(...choices: readonly T[]): T => choices[random.whole(0, choices.length - 1)] as T;
  const short = () => Math.round(random.between(100, pick(5_000, MINUTE_MS, 15 * MINUTE_MS)));
  const long = () => Math.round(random.between(1_000, pick(MINUTE_MS, 20 * MINUTE_MS, 3 * HOUR_MS)));
  // Most of what can go wrong does so in the evening, when something is being asked.
  const at = random.between(0, lastMs);
  const evening = Math.floor(at / (24 * HOUR_MS)) * 24 * HOUR_MS + random.between(15, 24) * HOUR_MS;
  const atMs = Math.round(Math.min(lastMs, random.chance(0.7) ? evening : at));
  const draw = random.between(0, 1);
  if (draw < 0.3)
    return { atMs, kind: 'kill', aim: drawAim(random), downMs: pick(1_000, 1_000, 5_000, 5_000, short(), long()) };
  if (draw < 0.45) {
    const clock = pick('right', 'right', 'unknown', 'reset');
    return { atMs, kind: 'power', aim: drawAim(random), downMs: pick(10_000, short(), long()), clock };
  }
  if (draw < 0.48) return { atMs, kind: 'stop', downMs: pick(1_000, short(), long()) };
  if (draw < 0.6) return { atMs, kind: pick('cut', 'halfOpen', 'forget') };
  if (draw < 0.75)
    return { atMs, kind: pick('down', 'blackHole', 'mute', 'refuses', 'slow', 'headEndAway'), forMs: long() };
  if (draw < 0.87) {
    const kind = pick('silent', 'notANumber', 'uncertain', 'frozen');
    return { atMs, kind, feeder: random.whole(0, feeders - 1), forMs: long() };
  }
  if (draw < 0.92) return { atMs, kind: pick('full', 'ioError'), forMs: short() };
  if (draw < 0.97)
    return { atMs, kind: 'clockStep', byMs: Math.round(pick(3_000, HOUR_MS, 24 * HOUR_MS) * pick(-1, 1)) };
  return { atMs, kind: 'unsynchronised', forMs: long() };
}

function drawAim(random: Random): Aim {
  const nth = random.whole(1, 4);
  const draw = random.between(0, 1);
  if (draw < 0.1) return { at: 'moment' };
  if (draw < 0.55) {
    const how = (['crashBefore', 'crashTorn', 'crashAfter'] as const)[random.whole(0, 2)] ?? 'crashTorn';
    return { at: 'write', nth, how };
  }
  if (draw < 0.8) return { at: 'publish', nth, how: random.chance(0.5) ? 'before' : 'after' };
  return { at: 'step', nth: random.whole(1, 8) };
}

export function feederIds({ feeders }: Plan): string[] {
  return Array.from({ length: feeders }, (_, index) => `F${index + 1}`);
}

/** The site as a configuration would give it. */
export function settingsOf(plan: Plan): Settings {
  return settingsSchema.parse({
    substation: { id: 'WORLD-1' },
    uplink: {
      brokers: [{ url: 'mqtt://broker.example' }],
      allowInsecure: true,
      historyMessagesPerS: 20,
      telemetryS: plan.telemetryS,
    },
    sources: [{ id: 'meter', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630', pollMs: plan.pollMs }],
    feeders: feederIds(plan).map((id) => ({
      id,
      currents: { source: 'meter' },
      targetGroup: { id: `TG-${id}`, version: 1 },
      settings: [
        {
          name: 'world',
          ratingA: 385,
          atRisk: { pickupA: 300, dropoutA: 270, delayS: 60, resetDelayS: 120 },
          emergency: { pickupA: 380, dropoutA: 300, delayS: 10, resetDelayS: 120 },
          curtailment: plan.curtailment,
        },
      ],
    })),
  });
}
