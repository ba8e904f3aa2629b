// In which order everything is played, what of it at once, and how long that takes.
import type { Contestant } from './contestants.ts';
import type { Scenario } from './scenarios.ts';

/** What is played at once: one contestant where its latencies count, else all of them in a few scenarios. */
export interface Sitting {
  readonly scenarios: readonly Scenario[];
  readonly contestants: readonly Contestant[];
  readonly seconds: number;
}

/** Start, settling and end; measured on 2 cores. */
const AROUND_ALONE_S = 4;
const AROUND_MANY_S = 14;

export interface Plan {
  /** One after the other. */
  readonly timed: readonly Sitting[];
  /** Then all of these at once, the sittings of each one after the other. */
  readonly lanes: readonly (readonly Sitting[])[];
  /** Of a round. */
  readonly seconds: number;
}

export function planRound(scenarios: readonly Scenario[], contestants: readonly Contestant[]): Plan {
  const timed = scenarios
    .filter(isTimed)
    .flatMap((scenario) => contestants.map((contestant) => sitting([scenario], [contestant], AROUND_ALONE_S)));
  const ofSitting = (name: Scenario['sitting']) => {
    const some = scenarios.filter((one) => one.sitting === name);
    return some.length === 0 ? [] : [sitting(some, contestants, AROUND_MANY_S)];
  };
  const lanes = [(['a', 'b'] as const).flatMap(ofSitting), ([1, 2, 3, 4, 5] as const).flatMap(ofSitting)];
  return { timed, lanes, seconds: secondsOf(timed) + Math.max(...lanes.map(secondsOf)) };
}

export function isTimed(scenario: Scenario): boolean {
  return scenario.sitting === null;
}

export function secondsOf(some: readonly Sitting[]): number {
  return some.reduce((sum, { seconds }) => sum + seconds, 0);
}

function sitting(scenarios: readonly Scenario[], contestants: readonly Contestant[], aroundS: number): Sitting {
  return { scenarios, contestants, seconds: Math.max(...scenarios.map(realS)) + aroundS };
}

function realS({ durationMs, rate }: Scenario): number {
  return durationMs / rate / 1000;
}

/** "about 38 min", "about 50 s". */
export function about(seconds: number): string {
  return seconds < 100 ? `about ${Math.ceil(seconds / 10) * 10} s` : `about ${Math.ceil(seconds / 60)} min`;
}
