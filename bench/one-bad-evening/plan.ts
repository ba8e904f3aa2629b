// In which order everything is played, what of it at once, and how long that takes.
import type { Contestant } from './contestants.ts';
import type { Scenario } from './scenarios.ts';

/** What is played at once: one contestant where its latencies count, else all of them in a few scenarios. */
export interface Sitting {
  readonly scenarios: readonly Scenario[];
  readonly contestants: readonly Contestant[];
  readonly seconds: number;
}

/** So many untimed scenarios at once; all begin together, when every contestant has started. */
const AT_ONCE = 3;
/** Start, settling and end; measured on 2 cores. */
const AROUND_ALONE_S = 4;
const AROUND_ONE_OF_MANY_S = 0.9;

/** One round. Untimed scenarios of about the same length sit together. */
export function sittings(scenarios: readonly Scenario[], contestants: readonly Contestant[]): Sitting[] {
  const alone = scenarios
    .filter((one) => one.alone)
    .flatMap((scenario) => contestants.map((contestant) => sitting([scenario], [contestant])));
  const longestFirst = scenarios.filter((one) => !one.alone).sort((a, b) => realS(b) - realS(a));
  const together = Array.from({ length: Math.ceil(longestFirst.length / AT_ONCE) }, (_, index) =>
    sitting(longestFirst.slice(index * AT_ONCE, (index + 1) * AT_ONCE), contestants),
  );
  return [...alone, ...together];
}

function sitting(scenarios: readonly Scenario[], contestants: readonly Contestant[]): Sitting {
  const around = scenarios[0]?.alone ? AROUND_ALONE_S : AROUND_ONE_OF_MANY_S * scenarios.length * contestants.length;
  return { scenarios, contestants, seconds: Math.max(...scenarios.map(realS)) + around };
}

function realS({ durationMs, rate }: Scenario): number {
  return durationMs / rate / 1000;
}

/** "about 38 min", "about 50 s". */
export function about(seconds: number): string {
  return seconds < 100 ? `about ${Math.ceil(seconds / 10) * 10} s` : `about ${Math.ceil(seconds / 60)} min`;
}
