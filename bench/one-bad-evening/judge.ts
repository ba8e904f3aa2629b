// The oracle: holds what was said against what must have been said. Pure. All times are evening time in ms.
import type { Transition } from './evening.ts';

export interface Utterance {
  readonly id: string;
  readonly sequence: number;
  /** A refresh asks for nothing new: it moves the end of what was asked for. */
  readonly action: 'limit' | 'refresh' | 'release';
  /** The id of the request that it openly takes the place of. */
  readonly supersedes: string | null;
  readonly decidedMs: number;
  readonly validUntilMs: number;
  readonly arrivedMs: number;
  /** Told of as an event after it was superseded or had expired: kept, and asks for nothing. */
  readonly afterwards: boolean;
}

export interface Verdict {
  readonly expected: number;
  /** Neither said nor told of. */
  readonly lost: number;
  /** Said to be acted on after its own expiry. */
  readonly expired: number;
  /** Said without a cause on the meter: a wrong value was believed, or a state forgotten. */
  readonly wrong: number;
  /** Another request, under another id, for what had been asked for already, still held and is not named in it. */
  readonly doubles: number;
  readonly outOfOrder: number;
  /** From the answer that showed it to its arrival; of those that were said live. */
  readonly latenciesMs: readonly number[];
  /** For each return of the link: until the first request that was right at its arrival; null where none came. */
  readonly returnsMs: readonly (number | null)[];
}

export interface Judged {
  readonly expected: readonly Transition[];
  readonly said: readonly Utterance[];
  /** How much later than the meter a decision may be and still belong to it. */
  readonly slackMs: number;
  /** How much earlier than the meter a stamp may seem. */
  readonly earlyMs: number;
  /** How long a message may be on its way that was said in time. */
  readonly wayMs: number;
  /** When the way to the head end was mended. */
  readonly returnsMs: readonly number[];
  readonly killsMs: readonly number[];
  /** What was shown so shortly before a kill cannot have been kept yet. */
  readonly keepingMs: number;
  /** What fewer answers showed need not have been taken. */
  readonly leastAnswers: number;
}

export function judge({
  expected,
  said,
  slackMs,
  earlyMs,
  wayMs,
  returnsMs,
  killsMs,
  keepingMs,
  leastAnswers,
}: Judged): Verdict {
  const seen = new Set<string>();
  const live = new Array<Utterance | null>(expected.length).fill(null);
  const told = new Set<number>();
  const causes = said.map((one) => causeOf(one, expected, slackMs, earlyMs));
  /** The end of what was asked for until then; what is never refreshed or released ends by itself. */
  const endMs = (cause: number, untilMs: number) =>
    Math.max(
      ...said
        .filter((one, at) => causes[at] === cause && one.action !== 'release' && one.decidedMs < untilMs)
        .map(({ validUntilMs }) => validUntilMs),
    );
  /** Whether it names one that was asked for the same cause. */
  const takesThePlace = ({ supersedes }: Utterance, cause: number) =>
    said.some(({ id }, at) => id === supersedes && causes[at] === cause);
  let [expired, wrong, doubles, outOfOrder, lastSequence] = [0, 0, 0, 0, Number.NEGATIVE_INFINITY];
  for (const [at, one] of said.entries()) {
    if (seen.has(`${one.id} ${one.afterwards}`)) continue;
    seen.add(`${one.id} ${one.afterwards}`);
    const index = causes[at] ?? null;
    if (one.afterwards) {
      if (index !== null) told.add(index);
      continue;
    }
    if (one.sequence <= lastSequence) outOfOrder += 1;
    lastSequence = Math.max(lastSequence, one.sequence);
    if (one.arrivedMs > one.validUntilMs + wayMs) expired += 1;
    if (index === null) wrong += 1;
    else if (one.action === 'refresh') continue;
    else if (live[index] === null) live[index] = one;
    else if (!takesThePlace(one, index) && endMs(index, one.decidedMs) > one.decidedMs) doubles += 1;
  }
  const mayBeUnknown = ({ shownMs, answers }: Transition) =>
    answers < leastAnswers || killsMs.some((atMs) => shownMs > atMs - keepingMs && shownMs <= atMs);
  const isKept = (index: number) => live[index] !== null || told.has(index);
  // Who cannot have kept a transition need have nothing to say of the way back either.
  const isNotKnown = (index: number) =>
    index > 0 && mayBeUnknown(expected[index - 1] as Transition) && !isKept(index - 1);
  // What has ended by itself is not there to be released.
  const hasEnded = (index: number) => {
    const { action, shownMs } = expected[index] as Transition;
    return action === 'release' && isKept(index - 1) && endMs(index - 1, shownMs) <= shownMs;
  };
  const isExcused = (index: number) =>
    mayBeUnknown(expected[index] as Transition) || isNotKnown(index) || hasEnded(index);
  const lost = expected.filter((_, index) => !isKept(index) && !isExcused(index)).length;
  const latenciesMs = live.flatMap((one, index) =>
    one === null ? [] : [one.arrivedMs - (expected[index] as Transition).shownMs],
  );
  return {
    expected: expected.length,
    lost,
    expired,
    wrong,
    doubles,
    outOfOrder,
    latenciesMs,
    returnsMs: returnsMs.map((atMs) => firstRight(atMs, expected, live, earlyMs)),
  };
}

/** The newest transition of its kind that it can have come from; null where what was known said otherwise. */
function causeOf(
  { action, decidedMs }: Utterance,
  expected: readonly Transition[],
  slackMs: number,
  earlyMs: number,
): number | null {
  for (let index = expected.length - 1; index >= 0; index -= 1) {
    const one = expected[index] as Transition;
    if (one.shownMs > decidedMs + earlyMs) continue;
    if ((one.action === 'release') === (action === 'release')) return index;
    // The other way round has been shown for longer than a decision takes.
    if (decidedMs - one.shownMs > slackMs) return null;
  }
  return null;
}

function firstRight(
  atMs: number,
  expected: readonly Transition[],
  live: readonly (Utterance | null)[],
  earlyMs: number,
): number | null {
  let best: number | null = null;
  for (const [index, one] of live.entries()) {
    if (one === null || one.arrivedMs < atMs) continue;
    const next = expected[index + 1];
    if (next !== undefined && next.shownMs < one.arrivedMs - earlyMs) continue;
    if (best === null || one.arrivedMs < best) best = one.arrivedMs;
  }
  return best === null ? null : best - atMs;
}
