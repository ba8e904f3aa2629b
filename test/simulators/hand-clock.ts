// A clock that only a test moves: nothing falls due until `advance`, however long the sockets take.
import type { Clock } from '../../src/clock.ts';

export interface HandClock extends Clock {
  /** Moves on by `ms` and calls, in their order, everything that falls due on the way. */
  advance(ms: number): void;
  /** Moves on by `ms` while nothing is called, as for a program that is held up. */
  stall(ms: number): void;
}

/** Of one instant; more than this is a timer that sets itself again without end. */
const CALLS_MAX = 100_000;

export function handClock(startMs = 0): HandClock {
  const due = new Set<{ atMs: number; call: () => void }>();
  let nowMs = startMs;
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    at(atMs, call) {
      const timer = { atMs, call };
      due.add(timer);
      return { cancel: () => void due.delete(timer) };
    },
    afterTurn: (call) => void setImmediate(call),
    bootId: 'test',
    synchronised: () => true,
    advance(ms) {
      const untilMs = nowMs + ms;
      let [instantMs, calls] = [nowMs, 0];
      for (;;) {
        const next = [...due].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        due.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        calls = nowMs === instantMs ? calls + 1 : 1;
        instantMs = nowMs;
        if (calls > CALLS_MAX) throw new Error(`timers are set again and again at ${nowMs} ms: ${next.call}`);
        next.call();
      }
      nowMs = untilMs;
    },
    stall(ms) {
      nowMs += ms;
    },
  };
}

/** Waits while the clock goes on, `stepMs` every `waitMs` of real time, so that an end that waits for time gets it. */
export async function whileTimeGoes<T>(
  clock: Pick<HandClock, 'advance'>,
  ending: Promise<T>,
  { waitMs = 2, stepMs = 100 } = {},
): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  ending.then(over, over);
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    clock.advance(stepMs);
  }
  return ending;
}
