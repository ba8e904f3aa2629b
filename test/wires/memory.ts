// What the process holds, measured after the garbage has been collected, and whether it grows.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export interface Held {
  readonly heapMb: number;
  readonly residentMb: number;
}

/** After a collection, which stops the program for some tens of milliseconds. */
export function held(): Held {
  collect();
  return heldNow();
}

export function heldNow(): Held {
  const { heapUsed, rss } = process.memoryUsage();
  return { heapMb: heapUsed / 1e6, residentMb: rss / 1e6 };
}

/** What a program of this size moves by itself: code that is compiled late, pages that are given back late. The heap is
 * the finer measure; short runs were seen to move 20 MB of pages with a heap that shrank. */
const HEAP_SPREAD_MB = 2;
const RESIDENT_SPREAD_MB = 40;

/** Flat: from the first of these to the last no more than that spread. */
export function isFlat(samples: readonly Held[]): boolean {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || samples.length < 2) return false;
  return last.heapMb - first.heapMb < HEAP_SPREAD_MB && last.residentMb - first.residentMb < RESIDENT_SPREAD_MB;
}

/** For a line of JSON. */
export function shown(samples: readonly Held[]): { heapMb: number[]; residentMb: number[] } {
  return {
    heapMb: samples.map(({ heapMb }) => Math.round(heapMb * 10) / 10),
    residentMb: samples.map(({ residentMb }) => Math.round(residentMb)),
  };
}
