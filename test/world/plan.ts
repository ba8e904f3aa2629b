// What a seed stands for: the site, its settings, and everything that goes wrong, each at its time. A plan is plain data
// and the run of a plan is a function of it, so a failing one can be cut down until only what matters is left.
import { type Settings, settingsSchema } from '../../src/settings.ts';
import { type Random, seeded } from '../simulators/random.ts';
import type { Defect } from './disk.ts';
import type { Order } from './orders.ts';
import type { Restraints } from './restraint.ts';

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
  | { readonly kind: 'full' | 'ioError' | Defect; readonly forMs: number }
  | { readonly kind: 'clockStep'; readonly byMs: number }
  | { readonly kind: 'unsynchronised'; readonly forMs: number }
  | { readonly kind: 'history'; readonly how: 'damaged' | 'gone' }
  /** No fault, but it comes as they do. */
  | { readonly kind: 'order'; readonly order: Order }
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
  /** With the thermal element beside the definite-time ones. */
  readonly isThermal: boolean;
  /** With the measurement history beside the journal. */
  readonly keepsHistory: boolean;
  readonly curtailment: { readonly [setting: string]: number | string };
  readonly caps: { readonly requestsPerHour: number; readonly operationsPerDay: number };
  readonly budget: {
    readonly episodesPerYear: number;
    readonly minutesPerYear: number;
    readonly refuseBeyond: boolean;
  };
  readonly faults: readonly Fault[];
}

/** Only alarms. */
const BUDGET = { episodesPerYear: 4, minutesPerYear: 40, refuseBeyond: false };

/** One world in four is long, on a large site where a fault is rare; in the others one comes upon the other. */
const CALM = { share: 4, feeders: 24, faultsPerDay: 0.5, hours: 1 };
const ROUGH = { faultsPerDay: [120, 240], hours: 0.06 };
/** Above this many feeders no poll is as quick as 5 s: it would be all that such a world does. */
const QUICK_POLL_FEEDERS = 2;

/** `longestHours` is what a calm world lasts. */
export function planOf(seed: number, longestHours: number): Plan {
  const random = seeded(seed);
  const pick = <T>(...choices: readonly T[]): T => choices[random.whole(0, choices.length - 1)] as T;
  const leaseS = pick(300, 900, 1800, 3600);
  const responseTimeS = pick(0, 120, 720);
  const isCalm = seed % CALM.share === 0;
  const feeders = isCalm ? CALM.feeders : pick(1, 2, 6, 12);
  const faultsPerDay = isCalm ? CALM.faultsPerDay : pick(...ROUGH.faultsPerDay);
  const hours = Math.max(6, Math.round(longestHours * (isCalm ? CALM.hours : ROUGH.hours)));
  const site = {
    seed,
    hours,
    feeders,
    pollMs: isCalm ? 60_000 : pick(feeders > QUICK_POLL_FEEDERS ? 20_000 : 5_000, 20_000, 60_000),
    driftPpm: random.between(-80, 80),
    busyShare: isCalm ? 0.1 : 1,
    // Each would be most of what a long world does, second by second or minute by minute.
    telemetryS: isCalm ? 0 : 900,
    isThermal: !isCalm && random.chance(0.5),
    keepsHistory: !isCalm,
    curtailment: {
      mode: pick('proportional', 'onOff'),
      leaseS,
      refreshS: Math.round(leaseS * random.between(0.2, 0.6)),
      responseTimeS,
      ackTimeoutS: pick(10, 60),
      maxEpisodeS: pick(3600, 14_400),
      minOnS: pick(0, 0, 300),
      minOffS: pick(0, 0, 600, 1800),
      endSpreadS: pick(0, 60, 600),
    },
    caps: { requestsPerHour: pick(60, 60, 12), operationsPerDay: pick(0, 0, 3) },
    budget: pick(BUDGET, BUDGET, BUDGET, { episodesPerYear: 6, minutesPerYear: 90, refuseBeyond: true }),
  };
  const count = Math.ceil((hours / 24) * faultsPerDay * random.between(0.7, 1.3));
  const faults = Array.from({ length: count }, () => drawFault(random, hours * HOUR_MS, feeders));
  const orders = Array.from({ length: Math.ceil(count / 8) }, () => drawOrder(random, hours * HOUR_MS, feeders));
  return { ...site, faults: [...faults, ...orders].sort((a, b) => a.atMs - b.atMs) };
}

function drawFault(random: Random, lastMs: number, feeders: number): Fault {
  const pick = <T>(...choices: readonly T[]): T => choices[random.whole(0, choices.length - 1)] as T;
  const short = () => Math.round(random.between(100, pick(5_000, MINUTE_MS, 15 * MINUTE_MS)));
  const long = () => Math.round(random.between(1_000, pick(MINUTE_MS, 20 * MINUTE_MS, 3 * HOUR_MS)));
  const atMs = drawTime(random, lastMs);
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
  if (draw < 0.98) return { atMs, kind: 'unsynchronised', forMs: long() };
  return { atMs, kind: 'history', how: pick('damaged', 'gone') };
}

/** What the head end orders: now and then, and mostly in the evening too. */
function drawOrder(random: Random, lastMs: number, feeders: number): Fault {
  const pick = <T>(...choices: readonly T[]): T => choices[random.whole(0, choices.length - 1)] as T;
  const order: Order = {
    action: pick('block', 'block', 'unblock', 'release', 'testMode', 'settingsGroup', 'sayAgain'),
    feederId: random.chance(0.8) ? `F${random.whole(1, feeders)}` : null,
    forMs: Math.round(random.between(MINUTE_MS, pick(20 * MINUTE_MS, 4 * HOUR_MS))),
    immediate: random.chance(0.5),
  };
  return { atMs: drawTime(random, lastMs), kind: 'order', order };
}

/** Most of what can go wrong does so in the evening, when something is being asked. */
function drawTime(random: Random, lastMs: number): number {
  const at = random.between(0, lastMs);
  const evening = Math.floor(at / (24 * HOUR_MS)) * 24 * HOUR_MS + random.between(15, 24) * HOUR_MS;
  return Math.round(Math.min(lastMs, random.chance(0.7) ? evening : at));
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
      settings: [settingsGroup(plan, 'world', 300), { ...settingsGroup(plan, 'holiday', 320), byCommand: true }],
    })),
  });
}

/** In either group it is the same conductor. */
export const THERMAL = { ratingA: 310, timeConstantMin: 45, leadTimeMin: 10, resetPercent: 95 };

const RESET_DELAY_S = 120;
/** Of 25 % each. */
const RELEASE_STEPS = 4;

/** Under it the definite-time elements drop out. */
export const DROPOUT_A = { atRisk: 270, emergency: 300 };

function settingsGroup({ curtailment, caps, budget, isThermal }: Plan, name: string, pickupA: number) {
  return {
    name,
    ratingA: 385,
    atRisk: { pickupA, dropoutA: DROPOUT_A.atRisk, delayS: 60, resetDelayS: RESET_DELAY_S },
    emergency: { pickupA: 380, dropoutA: DROPOUT_A.emergency, delayS: 10, resetDelayS: 120 },
    ...(isThermal && { thermal: THERMAL }),
    curtailment,
    caps,
    budget,
  };
}

/** The bounds of the plan on what is asked of customers. */
export function restraintsOf({ curtailment, caps, budget }: Plan): Restraints {
  const seconds = (key: string) => Number(curtailment[key]);
  const stepS = seconds('responseTimeS') === 0 ? RESET_DELAY_S : seconds('responseTimeS');
  const { episodesPerYear: episodes, minutesPerYear: minutes } = budget;
  return {
    responseTimeS: seconds('responseTimeS'),
    minOnS: seconds('minOnS'),
    minOffS: seconds('minOffS'),
    maxEpisodeS: seconds('maxEpisodeS'),
    releaseS: curtailment['mode'] === 'onOff' ? 0 : RELEASE_STEPS * stepS,
    ...caps,
    budget: budget.refuseBeyond ? { episodes, minutes } : null,
  };
}
