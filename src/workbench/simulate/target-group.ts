// The chargers that one feeder's requests reach, by their place in the group: the level that each of them has from it, until
// when, and which episode that belongs to.

import type { Chargers } from './chargers.ts';

export const NEVER = 0x7fffffff;

export class TargetGroup {
  /** Number of the episode that limits belong to. */
  episode = 0;
  readonly count: number;
  /** Of each charger. */
  readonly ratedA: Float64Array;
  readonly phase: Uint8Array;
  readonly #cars: readonly number[];
  /** By car, −1 where it is in no place. */
  readonly #placeOf: Int32Array;
  readonly #level: Float64Array;
  readonly #limitEnd: Int32Array;
  readonly #lastEpisode: Int32Array;
  readonly #changed: (car: number, endStep: number, step: number) => void;
  #limited = 0;

  constructor(
    chargers: Chargers,
    cars: readonly number[],
    changed: (car: number, endStep: number, step: number) => void,
  ) {
    this.#cars = cars;
    this.#changed = changed;
    this.count = cars.length;
    this.ratedA = Float64Array.from(cars, (car) => chargers.ratedA[car] ?? 0);
    this.phase = Uint8Array.from(cars, (car) => chargers.phase[car] ?? 0);
    this.#placeOf = new Int32Array(chargers.count).fill(-1);
    for (const [place, car] of cars.entries()) this.#placeOf[car] = place;
    this.#level = new Float64Array(this.count).fill(100);
    this.#limitEnd = new Int32Array(this.count).fill(NEVER);
    this.#lastEpisode = new Int32Array(this.count);
  }

  /** What the group permits the charger in `place`, percent; 100 without a limit. */
  levelPercent(place: number): number {
    return this.#level[place] as number;
  }

  levelOfCar(car: number): number {
    return this.#level[this.#placeOf[car] as number] ?? 100;
  }

  /** The permitted level from now to `endStep`, percent; 100 frees it. */
  setLevel(place: number, levelPercent: number, endStep: number, step: number): void {
    const before = this.#level[place] as number;
    if (before < 100 && levelPercent >= 100) this.#limited--;
    if (before >= 100 && levelPercent < 100) this.#limited++;
    this.#limitEnd[place] = levelPercent < 100 ? endStep : NEVER;
    this.#level[place] = levelPercent;
    this.#changed(this.#cars[place] as number, this.#limitEnd[place] as number, step);
  }

  /** The end of a limit that the charger keeps; nothing where it keeps none. */
  extend(place: number, endStep: number): void {
    if ((this.#level[place] as number) < 100) this.#limitEnd[place] = endStep;
  }

  /** Frees those whose limit has ended by `step`. */
  end(step: number): void {
    if (this.#limited === 0) return;
    for (let place = 0; place < this.count; place++) {
      if (step >= (this.#limitEnd[place] as number)) this.setLevel(place, 100, NEVER, step);
    }
  }

  /** When the next limit ends by itself. */
  nextEnd(): number {
    let next = NEVER;
    if (this.#limited === 0) return next;
    for (let place = 0; place < this.count; place++) next = Math.min(next, this.#limitEnd[place] as number);
    return next;
  }

  /** Whether nothing was withheld from `car` in the present episode so far; from now on something was. */
  isFirstOfEpisode(car: number): boolean {
    const place = this.#placeOf[car] as number;
    const isFirst = this.#lastEpisode[place] !== this.episode;
    this.#lastEpisode[place] = this.episode;
    return isFirst;
  }
}
