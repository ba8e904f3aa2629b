// True time of the simulated world: everything that will happen, in order. Nothing waits; the next entry is simply the
// present. Entries of one instant run in the order in which they were made, so a seed repeats to the last step.
import type { Timer } from '../../src/clock.ts';

interface Entry {
  readonly atMs: number;
  readonly order: number;
  call: (() => void) | null;
}

export class Timeline {
  /** Milliseconds since the world began. */
  nowMs = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  at(atMs: number, call: () => void): Timer {
    const entry: Entry = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, call };
    this.#up(entry);
    return {
      cancel: () => {
        entry.call = null;
      },
    };
  }

  after(ms: number, call: () => void): Timer {
    return this.at(this.nowMs + ms, call);
  }

  /** Runs the next entry; false when there is none up to `untilMs`, which is then the present. */
  step(untilMs: number): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      if (next.call === null) continue;
      this.nowMs = next.atMs;
      next.call();
      return true;
    }
    this.nowMs = untilMs;
    return false;
  }

  #up(entry: Entry): void {
    const heap = this.#heap;
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!isBefore(entry, parent)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Entry)) below += 1;
      const child = heap[below];
      if (child === undefined || !isBefore(child, last)) break;
      heap[place] = child;
      place = below;
    }
    heap[place] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
