// What was said in one run held against what its meters showed: each feeder by itself (judge.ts), and their sum.

import { transitions } from './evening.ts';
import type { Said } from './head-end.ts';
import { judge, type Utterance, type Verdict } from './judge.ts';
import type { EveningMeter } from './meter.ts';
import type { Scenario } from './scenarios.ts';

export interface Heard {
  readonly scenario: Scenario;
  /** One for each feeder, F1 first. */
  readonly meters: readonly EveningMeter[];
  readonly said: readonly Said[];
  /** Evening time in ms. */
  readonly killsMs: readonly number[];
  /** Wall clock of the contestant when the evening began, ms since 1970. */
  readonly beginsWallMs: number;
}

/** Real time, ms: from an answer to the decision, on a machine that is busy. */
const DECISION_MS = 100;
/** The same where the wall clock jumps, so that the arrival stands for the decision. */
const DECISION_AND_WAY_MS = 500;
/** Real time, ms: from an answer until what it brings is kept; a kill that comes sooner may undo it. */
const KEEPING_MS = 50;
/** A stamp is rounded to a millisecond, and the lag of a fast clock is known to some milliseconds of the rig's. */
const EARLY_MS = 5;
const EARLY_FAST_MS = 20;

export function verdictOf({ scenario, meters, said, killsMs, beginsWallMs }: Heard): Verdict {
  const { rate } = scenario;
  const jumps = scenario.clock.length > 0;
  const behindMs = rate === 1 ? 0 : clockBehindMs(said, beginsWallMs);
  const verdicts = meters.map((meter, index) => {
    const own = said.filter(({ feeder }) => feeder === `F${index + 1}`);
    return judge({
      expected: transitions(meter.shown),
      // Where the wall clock jumps a stamp says nothing: there the link is up and arrival is decision.
      said: own.map(
        (one): Utterance => ({
          ...one,
          decidedMs: jumps ? one.arrivedMs : one.decidedWallMs - beginsWallMs + behindMs,
          validUntilMs: jumps ? Number.POSITIVE_INFINITY : one.validUntilWallMs - beginsWallMs + behindMs,
        }),
      ),
      slackMs: (jumps ? DECISION_AND_WAY_MS : DECISION_MS) * rate,
      earlyMs: EARLY_MS + EARLY_FAST_MS * (rate - 1),
      returnsMs: scenario.brokerLink.filter(({ fault }) => fault !== 'slow').map(({ toMs }) => toMs),
      killsMs,
      keepingMs: KEEPING_MS * rate,
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

/** A clock that runs faster begins when its process does: the message that was quickest to arrive shows by how much. */
function clockBehindMs(said: readonly Said[], beginsWallMs: number): number {
  const live = said.filter(({ afterwards }) => !afterwards);
  const lags = live.map(({ arrivedMs, decidedWallMs }) => arrivedMs - (decidedWallMs - beginsWallMs));
  return lags.length === 0 ? 0 : Math.min(...lags);
}
