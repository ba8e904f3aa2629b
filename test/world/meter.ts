// The meter of the simulated world: what acquisition would deliver at each poll, with what can be wrong about it.
import type { ConductorReading, FeederReading, Quality, QualityReason } from '../../src/feeder.ts';
import type { Random } from '../simulators/random.ts';
import type { Street } from './street.ts';

type Spoilt = 'silent' | 'notANumber' | 'uncertain' | 'frozen';

export class Meter {
  readonly #streets: readonly Street[];
  readonly #random: Random;
  readonly #spoilt = new Map<Spoilt, { readonly feeder: number; readonly untilMs: number }>();
  #latest: FeederReading[] = [];
  #isAnswering = true;

  constructor(streets: readonly Street[], random: Random) {
    this.#streets = streets;
    this.#random = random;
  }

  spoil(kind: Spoilt, feeder: number, untilMs: number): void {
    this.#spoilt.set(kind, { feeder, untilMs });
  }

  /** What it says of the street is what flows. */
  isSound(feederId: string): boolean {
    const feeder = this.#streets.findIndex(({ id }) => id === feederId);
    return ![...this.#spoilt].some(([kind, spoilt]) => kind === 'silent' || spoilt.feeder === feeder);
  }

  mend(): void {
    this.#spoilt.clear();
  }

  /** One poll. `turned` says that the meter began or ceased to answer. */
  read(nowMs: number, atMs: number): { readings: FeederReading[]; turned: boolean | null } {
    for (const [kind, { untilMs }] of this.#spoilt) if (nowMs > untilMs) this.#spoilt.delete(kind);
    const isAnswering = !this.#spoilt.has('silent');
    const turned = isAnswering === this.#isAnswering ? null : isAnswering;
    this.#isAnswering = isAnswering;
    const frozen = this.#spoilt.get('frozen')?.feeder;
    const readings = this.#streets.map((street, index) => {
      const latest = this.#latest[index];
      if (index === frozen && latest !== undefined && isAnswering) return { ...latest, atMs };
      return this.#reading(street, index, nowMs, atMs, isAnswering);
    });
    this.#latest = readings;
    return { readings, turned };
  }

  #reading(street: Street, index: number, nowMs: number, atMs: number, isAnswering: boolean): FeederReading {
    const amperes = street.currentsA(nowMs);
    const isNoNumber = this.#spoilt.get('notANumber')?.feeder === index;
    const isUncertain = this.#spoilt.get('uncertain')?.feeder === index;
    const conductor = (currentA: number): ConductorReading => {
      if (!isAnswering) return reading(null, 'bad', 'noAnswer');
      if (isNoNumber && this.#random.chance(0.7)) return reading(null, 'bad', 'notANumber');
      return isUncertain ? reading(currentA, 'uncertain', 'overCtRange') : reading(currentA, 'good', null);
    };
    return {
      feederId: street.id,
      sourceId: 'meter',
      atMs,
      L1: conductor(amperes.L1),
      L2: conductor(amperes.L2),
      L3: conductor(amperes.L3),
      N: reading(null, 'bad', 'unavailable'),
      exporting: [],
    };
  }
}

function reading(currentA: number | null, quality: Quality, reason: QualityReason | null): ConductorReading {
  return { currentA, quality, reason };
}
