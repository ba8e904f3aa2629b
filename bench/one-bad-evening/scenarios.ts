// What goes wrong in each scenario, and when. Times are evening time in ms; where `rate` is not 1, the contestant's clock
// runs that many times as fast (libfaketime), so that ten minutes pass in twenty seconds.

import type { LinkFault } from './bad-link.ts';
import type { MeterFault } from './meter.ts';

export interface Window<F> {
  readonly fromMs: number;
  readonly toMs: number;
  readonly fault: F;
}

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly rate: number;
  readonly pollMs: number;
  readonly timeoutMs: number;
  readonly leaseS: number;
  readonly feeders: number;
  readonly durationMs: number;
  readonly dwellMs: number;
  /**
   * Those of one sitting are played at once, by all contestants; null where it is timed, and each plays it alone. The
   * sittings with a letter follow each other, those with a number beside them, so that two cores have time left.
   */
  readonly sitting: 'a' | 'b' | 1 | 2 | 3 | 4 | 5 | null;
  readonly meterFaults: readonly Window<MeterFault>[];
  readonly meterLink: readonly Window<LinkFault>[];
  readonly brokerLink: readonly Window<LinkFault>[];
  /** One answer of the meter in so many is false. */
  readonly falseOneIn: number;
  /** kill -9 so many times, at random moments of each contestant's own, and started again at once. */
  readonly kills: number;
  /** The wall clock is off by so much from then on. */
  readonly clock: readonly { readonly atMs: number; readonly offsetS: number }[];
  /** The contestant's folder has no space left in this time. */
  readonly diskFull: { readonly fromMs: number; readonly toMs: number } | null;
  readonly together: boolean;
}

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;

const QUIET = {
  rate: 1,
  pollMs: 100,
  timeoutMs: 400,
  leaseS: 3600,
  feeders: 1,
  dwellMs: 800,
  meterFaults: [],
  meterLink: [],
  brokerLink: [],
  falseOneIn: 0,
  kills: 0,
  clock: [],
  diskFull: null,
  together: false,
} as const;

/** Requests hold for less than the broker is away, so that some expire unsaid. */
const BROKER_10MIN: Scenario = {
  ...QUIET,
  name: 'broker-10min',
  sitting: 3,
  what: 'the broker is away for 10 min, then hangs half-open for 2 min; requests hold for 4 min; clock 30 times as fast',
  rate: 30,
  pollMs: 1 * S,
  timeoutMs: 10 * S,
  leaseS: 240,
  dwellMs: 25 * S,
  durationMs: 17 * MIN,
  brokerLink: [
    { fromMs: 1 * MIN, toMs: 11 * MIN, fault: 'refused' },
    { fromMs: 13 * MIN, toMs: 15 * MIN, fault: 'halfOpen' },
  ],
};

const BROKER_DAY: Scenario = {
  ...QUIET,
  name: 'broker-day',
  what: 'the broker is away for a day; clock 900 times as fast, poll 1 min',
  sitting: 'a',
  rate: 900,
  pollMs: 1 * MIN,
  timeoutMs: 1 * MIN,
  // A start takes some of these hours by this clock; what was asked for still holds after it.
  leaseS: 3 * 3600,
  dwellMs: 18 * MIN,
  durationMs: 26 * HOUR,
  brokerLink: [{ fromMs: 0.5 * HOUR, toMs: 24.5 * HOUR, fault: 'refused' }],
};

/** The clean ones have as many feeders and crossings as their figures need, in as short a time as gives them. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...QUIET,
    name: 'clean-1s',
    what: 'nothing goes wrong; 8 feeders, poll 1 s',
    sitting: null,
    feeders: 8,
    pollMs: 1 * S,
    dwellMs: 1.75 * S,
    durationMs: 8 * S,
  },
  {
    ...QUIET,
    name: 'clean-100ms',
    what: 'the same with 4 feeders at 100 ms',
    sitting: null,
    feeders: 4,
    dwellMs: 175,
    durationMs: 4 * S,
  },
  {
    ...QUIET,
    name: 'clean-10ms',
    what: 'the same with one feeder at 10 ms',
    sitting: null,
    pollMs: 10,
    dwellMs: 21,
    durationMs: 7.5 * S,
  },
  {
    ...QUIET,
    name: 'feeders-24',
    what: '24 feeders on 24 meters at 100 ms',
    sitting: null,
    feeders: 24,
    dwellMs: 300,
    durationMs: 5 * S,
  },
  {
    ...QUIET,
    name: 'broker-10s',
    sitting: 2,
    what: 'the broker is away for 10 s',
    durationMs: 22 * S,
    brokerLink: [{ fromMs: 5 * S, toMs: 15 * S, fault: 'refused' }],
  },
  {
    ...QUIET,
    name: 'broker-10s-kills',
    sitting: 1,
    what: 'the broker away for 10 s, and kill -9 three times at random',
    dwellMs: 4 * S,
    durationMs: 36 * S,
    kills: 3,
    brokerLink: [{ fromMs: 14 * S, toMs: 24 * S, fault: 'refused' }],
  },
  BROKER_10MIN,
  { ...BROKER_10MIN, name: 'broker-10min-kills', what: 'the same, and kill -9 three times at random', kills: 3 },
  BROKER_DAY,
  {
    ...BROKER_DAY,
    sitting: 'b',
    name: 'broker-day-kills',
    what: 'the same, and kill -9 three times at random',
    kills: 3,
  },
  {
    ...QUIET,
    name: 'broker-acks',
    sitting: 4,
    what: "the broker's acknowledgements are held back for 6 s, then everything comes 0.2 s late",
    durationMs: 20 * S,
    brokerLink: [
      { fromMs: 4 * S, toMs: 10 * S, fault: 'noAnswers' },
      { fromMs: 12 * S, toMs: 17 * S, fault: 'slow' },
    ],
  },
  {
    ...QUIET,
    name: 'meter',
    sitting: 1,
    what: 'the meter is silent, frozen, gives NaN, the sign turned, exceptions; its link is half-open, then cut; 3 s each',
    durationMs: 43 * S,
    meterFaults: [
      { fromMs: 3 * S, toMs: 6 * S, fault: 'silent' },
      { fromMs: 9 * S, toMs: 12 * S, fault: 'frozen' },
      { fromMs: 15 * S, toMs: 18 * S, fault: 'nan' },
      { fromMs: 21 * S, toMs: 24 * S, fault: 'turned' },
      { fromMs: 27 * S, toMs: 30 * S, fault: 'exceptions' },
    ],
    meterLink: [
      { fromMs: 32 * S, toMs: 35 * S, fault: 'halfOpen' },
      { fromMs: 37 * S, toMs: 40 * S, fault: 'refused' },
    ],
  },
  {
    ...QUIET,
    name: 'false-answers',
    sitting: 2,
    what: 'one answer in a thousand late or corrupt, at a poll of 10 ms; 2 feeders',
    feeders: 2,
    pollMs: 10,
    timeoutMs: 200,
    dwellMs: 400,
    durationMs: 40 * S,
    falseOneIn: 1000,
  },
  {
    ...QUIET,
    name: 'clock',
    sitting: 4,
    what: 'the clock jumps an hour ahead, and back, and an hour back, and ahead',
    durationMs: 22 * S,
    clock: [
      { atMs: 4 * S, offsetS: 3600 },
      { atMs: 9 * S, offsetS: 0 },
      { atMs: 13 * S, offsetS: -3600 },
      { atMs: 18 * S, offsetS: 0 },
    ],
  },
  {
    ...QUIET,
    name: 'disk-full',
    sitting: 4,
    what: 'no space left for 8 s',
    durationMs: 20 * S,
    diskFull: { fromMs: 5 * S, toMs: 13 * S },
  },
  {
    ...QUIET,
    name: 'all-back',
    sitting: 5,
    what: 'an outage ends and all cars of 24 feeders are back in one step, again and again',
    feeders: 24,
    dwellMs: 2 * S,
    durationMs: 14 * S,
    together: true,
  },
];
