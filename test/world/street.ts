// The feeders of the simulated world: what homes draw over a day, what chargers add in the evening, and how chargers
// follow the head end: late, slowly, and only until the end that they were given.
import { PHASES, type Phase } from '../../src/feeder.ts';
import type { Random } from '../simulators/random.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Limit {
  readonly levelPercent: { readonly [P in Phase]: number };
  /** True time at which the devices free themselves. */
  readonly endMs: number;
}

export class Street {
  readonly id: string;
  /** Of the chargers if nothing limits them, at the evening's peak. */
  readonly #chargersA: { readonly [P in Phase]: number };
  readonly #homesA: { readonly [P in Phase]: number };
  readonly #random: Random;
  readonly #peakMs: number;
  /** Level over all devices, percent; it follows the limit slowly. */
  readonly #levelPercent: { [P in Phase]: number } = { L1: 100, L2: 100, L3: 100 };
  #limit: Limit | null = null;
  #followedMs = 0;
  #dayFactor = 1;
  #day = -1;
  readonly #fullChangeMs: number;
  /** Of evenings on which many cars charge at once. */
  readonly #busyShare: number;
  /** Turned down for the world's end, when everything has to come to rest. */
  isQuiet = false;

  constructor(id: string, random: Random, fullChangeMs: number, busyShare: number) {
    this.id = id;
    this.#busyShare = busyShare;
    this.#random = random;
    this.#fullChangeMs = fullChangeMs;
    const each = (from: number, to: number) => ({
      L1: random.between(from, to),
      L2: random.between(from, to),
      L3: random.between(from, to),
    });
    this.#homesA = each(90, 240);
    this.#chargersA = each(60, 220);
    this.#peakMs = random.between(17, 22) * HOUR_MS;
  }

  /** The head end's devices have their orders from `nowMs` on. */
  obey(levelPercent: { readonly [P in Phase]: number }, endMs: number, nowMs: number): void {
    this.#follow(nowMs);
    this.#limit = { levelPercent, endMs };
  }

  free(nowMs: number): void {
    this.#follow(nowMs);
    this.#limit = null;
  }

  isLimited(nowMs: number): boolean {
    this.#follow(nowMs);
    return this.#limit !== null;
  }

  /** As the meter was read last. */
  latestA: { readonly [P in Phase]: number } = { L1: 0, L2: 0, L3: 0 };

  /** Amperes that a meter would read now. */
  currentsA(nowMs: number): { [P in Phase]: number } {
    this.#follow(nowMs);
    const day = Math.floor(nowMs / DAY_MS);
    if (day !== this.#day) {
      this.#day = day;
      // Most evenings pass without trouble.
      this.#dayFactor = this.#random.chance(this.#busyShare) ? this.#random.between(0.7, 1.2) : 0.3;
    }
    // A bell around the peak hour, four hours wide.
    const offMs = Math.abs((nowMs % DAY_MS) - this.#peakMs);
    const bell = this.isQuiet ? 0 : Math.exp(-((offMs / (2 * HOUR_MS)) ** 2)) * this.#dayFactor;
    const phase = (name: Phase) => {
      const homesA = this.#homesA[name] * (0.35 + 0.65 * bell) * this.#random.between(0.96, 1.04);
      return homesA + (this.#chargersA[name] * bell * this.#levelPercent[name]) / 100;
    };
    this.latestA = { L1: phase('L1'), L2: phase('L2'), L3: phase('L3') };
    return this.latestA;
  }

  #follow(nowMs: number): void {
    const { endMs } = this.#limit ?? { endMs: Number.POSITIVE_INFINITY };
    if (nowMs > endMs) {
      this.#moveTo(endMs);
      this.#limit = null;
    }
    this.#moveTo(nowMs);
  }

  #moveTo(nowMs: number): void {
    const mostPercent = (100 * (nowMs - this.#followedMs)) / this.#fullChangeMs;
    if (mostPercent <= 0) return;
    this.#followedMs = nowMs;
    for (const name of PHASES) {
      const toPercent = this.#limit?.levelPercent[name] ?? 100;
      const offPercent = toPercent - this.#levelPercent[name];
      this.#levelPercent[name] += Math.sign(offPercent) * Math.min(Math.abs(offPercent), mostPercent);
    }
  }
}
