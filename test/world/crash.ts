// Where in the work of the program a crash comes. It is aimed at a point and waits for it: so many writes, messages or
// callbacks from its time on, or at once.
import type { Fate } from './disk.ts';
import type { Aim, Fault } from './plan.ts';

export type Crash = Fault & { kind: 'kill' | 'power' };

export class CrashPoint {
  #crash: Crash | null = null;
  #left = 0;
  /** Callbacks count from the first write on. */
  #hasWritten = false;

  /** The crash that has yet to find its point. */
  get waiting(): Crash | null {
    return this.#crash;
  }

  /** True where it comes at once. */
  aim(crash: Crash): boolean {
    const { aim } = crash;
    this.#crash = crash;
    this.#left = aim.at === 'moment' ? 0 : aim.nth;
    this.#hasWritten = false;
    return aim.at === 'moment';
  }

  clear(): void {
    this.#crash = null;
  }

  /** The program writes: null where the crash does not come here. */
  atWrite(): Extract<Fate, `crash${string}`> | null {
    this.#hasWritten = true;
    return this.#due('write')?.how ?? null;
  }

  /** A message is handed over: whether the crash comes before or after that. */
  atPublish(): 'before' | 'after' | null {
    return this.#due('publish')?.how ?? null;
  }

  atStep(): boolean {
    return this.#hasWritten && this.#due('step') !== null;
  }

  #due<A extends Aim['at']>(at: A): (Aim & { at: A }) | null {
    const aim = this.#crash?.aim;
    if (aim?.at !== at) return null;
    this.#left -= 1;
    return this.#left <= 0 ? (aim as Aim & { at: A }) : null;
  }
}
