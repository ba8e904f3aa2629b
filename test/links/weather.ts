// What a link to the broker may do to an episode, each kind by a name: a function that spoils the link until it is told
// that it is over. All of it is drawn from a seed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BadLink } from '../simulators/bad-link.ts';
import type { Random } from '../simulators/random.ts';

type Weather = (link: BadLink, random: Random, isOver: () => boolean) => Promise<void>;

/** Waits by a draw, no longer than until it is over. */
async function between(random: Random, leastS: number, mostS: number, isOver: () => boolean): Promise<void> {
  for (const endMs = Date.now() + random.between(leastS, mostS) * 1000; Date.now() < endMs && !isOver(); )
    await sleep(50);
}

const blackHole: Weather = async (link, random, isOver) => {
  link.isBlackHole = true;
  await between(random, 2, 30, isOver);
  // What was held arrives late, or never does.
  if (random.chance(0.5)) link.cut();
  link.isBlackHole = false;
  await between(random, 2, 6, isOver);
};
const cut: Weather = async (link, random, isOver) => {
  await between(random, 0.2, 6, isOver);
  link.cut();
};
const delay: Weather = async (link, random, isOver) => {
  link.weather.leastDelayMs = random.between(0, 400);
  link.weather.mostDelayMs = link.weather.leastDelayMs + random.between(0, 1_500);
  await between(random, 3, 8, isOver);
};
const throttle: Weather = async (link, random, isOver) => {
  link.weather.bytesPerS = random.between(500, 20_000);
  await between(random, 3, 12, isOver);
};
const halfOpen = (unaware: 'edge' | 'broker'): Weather => {
  return async (link, random, isOver) => {
    await between(random, 1, 6, isOver);
    link.halfOpen(unaware);
    // Until a PUBACK is missed.
    await between(random, unaware === 'edge' ? 16 : 1, unaware === 'edge' ? 20 : 6, isOver);
  };
};

const KINDS = {
  delay,
  throttle,
  cut,
  'half-open, the edge unaware': halfOpen('edge'),
  'half-open, the broker unaware': halfOpen('broker'),
  'black hole': blackHole,
} as const;

export const WEATHERS: { readonly [name: string]: Weather } = {
  ...KINDS,
  'all of them': (link, random, isOver) => {
    const kinds = Object.values(KINDS);
    return (kinds[random.whole(0, kinds.length - 1)] ?? cut)(link, random, isOver);
  },
};

/** As good as new; bytes that are on their way come through. */
export function clearUp(link: BadLink): void {
  link.weather.leastDelayMs = 0;
  link.weather.mostDelayMs = 0;
  link.weather.bytesPerS = null;
  link.isBlackHole = false;
}
