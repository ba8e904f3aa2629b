// What was said in one run held against what its meters showed: each feeder by itself (judge.ts), and their sum.

import { type ShownStep, type Transition, transitions } from './evening.ts';
import type { Said } from './head-end.ts';
import { judge, type Utterance, type Verdict } from './judge.ts';
import { isTimed } from './plan.ts';
import type { Scenario } from './scenarios.ts';

export interface Heard {
  readonly scenario: Scenario;
  /** One for each feeder, F1 first. */
  readonly meters: readonly { readonly shown: readonly ShownStep[] }[];
  readonly said: readonly Said[];
  /** Evening time in ms. */
  readonly killsMs: readonly number[];
  /** Wall clock of the contestant when the evening began, ms since 1970. */
  readonly beginsWallMs: number;
}

/** Real time, ms: from an answer to the decision, on a machine that is busy. */
const DECISION_MS = 100;
/** The same where a fast clock keeps the contestant's timers busy, and no false value is about. */
const DECISION_FAST_MS = 300;
/** The same where the wall clock jumps, so that the arrival stands for the decision. */
const DECISION_AND_WAY_MS = 500;
/** Real time, ms: from an answer until what it brings is kept; a kill that comes sooner may undo it. */
const KEEPING_MS = 50;
/** The same where a fast clock is about: nothing is kept before it is decided. */
const KEEPING_FAST_MS = DECISION_FAST_MS;
/** Where something goes wrong any one answer can go to a connection that was given up, or be too late for a fast clock. */
const LEAST_ANSWERS = 2;
/** Real time, ms: a fast clock is behind by no more than this. */
const LAG_AT_MOST_MS = 750;
/** Of the decisions so many are as prompt as can be. */
const PROMPT_SHARE = 0.1;
/** A stamp is rounded to a millisecond, and the lag of a fast clock is known to some milliseconds of the rig's. */
const EARLY_MS = 5;
const EARLY_FAST_MS = 20;

export function verdictOf({ scenario, meters, said, killsMs, beginsWallMs }: Heard): Verdict {
  const { rate } = scenario;
  const jumps = scenario.clock.length > 0;
  const verdicts = meters.map((meter, index) => {
    const own = said.filter(({ feeder }) => feeder === `F${index + 1}`);
    const expected = transitions(meter.shown);
    const stamped = own.map(
      (one): Utterance => ({
        ...one,
        decidedMs: one.decidedWallMs - beginsWallMs,
        validUntilMs: one.validUntilWallMs - beginsWallMs,
      }),
    );
    return judge({
      expected,
      // Where the wall clock jumps a stamp says nothing: there the link is up and arrival is decision.
      said: jumps
        ? stamped.map((one) => ({ ...one, decidedMs: one.arrivedMs, validUntilMs: Number.POSITIVE_INFINITY }))
        : rate === 1
          ? stamped
          : withoutLag(stamped, expected, killsMs, LAG_AT_MOST_MS * rate),
      slackMs: rate * (jumps ? DECISION_AND_WAY_MS : rate === 1 ? DECISION_MS : DECISION_FAST_MS),
      earlyMs: EARLY_MS + EARLY_FAST_MS * (rate - 1),
      returnsMs: scenario.brokerLink.filter(({ fault }) => fault !== 'slow').map(({ toMs }) => toMs),
      killsMs,
      wayMs: rate === 1 ? 0 : DECISION_FAST_MS * rate,
      leastAnswers: isTimed(scenario) ? 1 : LEAST_ANSWERS,
      keepingMs: rate === 1 ? KEEPING_MS : KEEPING_FAST_MS * rate,
    });
  });
  const sum = (of: (one: Verdict) => number) => verdicts.reduce((total, one) => total + of(one), 0);
  return {
    expected: sum((one) => one.expected),
    lost: sum((one) => one.lost),
    expired: sum((one) => one.expired),
    wrong: sum((one) => one.wrong),
    doubles: sum((one) => one.doubles),
    outOfOrder: sum((one) => one.outOfOrder),
    latenciesMs: verdicts.flatMap((one) => one.latenciesMs),
    returnsMs: verdicts.flatMap((one) => one.returnsMs),
  };
}

/**
 * A clock that runs faster begins when its process does, so each start has a lag of its own: how far its
 * stamps are from the nearest answer that can have been their cause, for the most prompt of them.
 */
function withoutLag(
  said: readonly Utterance[],
  expected: readonly Transition[],
  killsMs: readonly number[],
  atMostMs: number,
): Utterance[] {
  const startOf = ({ decidedMs }: Utterance) => killsMs.filter((atMs) => atMs < decidedMs).length;
  const offMs = (one: Utterance) =>
    expected
      .filter(({ action }) => action === one.action)
      .map(({ shownMs }) => one.decidedMs - shownMs)
      .reduce((nearest, off) => (Math.abs(off) < Math.abs(nearest) ? off : nearest), Number.POSITIVE_INFINITY);
  // What is said again and again is one decision.
  const decisions = [...new Map(said.map((one) => [one.id, one])).values()];
  const lagsMs = Map.groupBy(decisions, startOf);
  return said.map((one) => {
    const offs = (lagsMs.get(startOf(one)) ?? []).map(offMs).filter((off) => Math.abs(off) <= atMostMs);
    const lagMs = offs.sort((a, b) => a - b)[Math.floor(offs.length * PROMPT_SHARE)] ?? 0;
    return { ...one, decidedMs: one.decidedMs - lagMs, validUntilMs: one.validUntilMs - lagMs };
  });
}
