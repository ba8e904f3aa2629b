// The judge of what customers are spared, with requests made by hand: each rule broken once, and each excuse taken.
import { expect, test } from 'vitest';
import type { Curtailment, Event } from '../../src/messages.ts';
import { requestAt } from '../workbench/headend/requests.ts';
import { judgeRestraint, type Kept, type Restraints } from './restraint.ts';

const LOOSE: Restraints = {
  responseTimeS: 0,
  minOnS: 0,
  minOffS: 0,
  maxEpisodeS: 14_400,
  releaseS: 0,
  requestsPerHour: 0,
  operationsPerDay: 0,
  budget: null,
};
const EPOCH_MS = Date.parse('2026-01-05T00:00:00Z');

interface Said {
  readonly atS: number;
  /** 100 is the release. */
  readonly level: number;
  readonly element?: Curtailment['trigger']['element'];
  readonly episode?: number;
  readonly reason?: string;
}

/** The breach of what was said in that order, on one phase of one feeder; null where everything held. */
function breachOf(restraints: Partial<Restraints>, ...said: readonly (Said | Partial<Event>)[]): string | null {
  const kept = new Map<string, Kept>();
  const events = said.map((one, index): Event => {
    if (!('atS' in one)) return { feederId: 'F1', reason: '', ...one } as Event;
    const { atS, level, element = 'atRisk', episode = 1, reason = '' } = one;
    const action = level === 100 ? 'release' : 'limit';
    const message = requestAt(EPOCH_MS + atS * 1000, index, { action, levelPercent: level, phases: ['L2'] });
    const episodeId = `019bbdaa-8ef8-7000-8000-00000000000${episode}`;
    const trigger = { ...message.trigger, element };
    kept.set(message.requestId, { message: { ...message, episodeId, trigger }, decidedMs: atS * 1000 });
    return { type: action, feederId: 'F1', requestId: message.requestId, reason } as Event;
  });
  const input = { events, kept, dispatchedMs: new Map(), lostCount: () => false, awayMs: () => 0 };
  try {
    judgeRestraint({ ...LOOSE, ...restraints }, input);
    return null;
  } catch (error) {
    return (error as Error).message.split(':').slice(0, -1).join(':');
  }
}

test.each([
  ['shallower after deeper', [50, 75], {}, /^hunts: shallower/],
  ['let go by the longest episode', [50, 60], { reason: 'maxEpisodeS' }, null],
] as const)('within the response time: %s', (_name, levels, more, expected) => {
  const said = levels.map((level, n) => ({ atS: n * 700, level, ...(n > 0 && more) }));
  const breach = breachOf({ responseTimeS: 720 }, ...said);
  if (expected === null) expect(breach).toBeNull();
  else expect(breach).toMatch(expected);
  expect(breachOf({ responseTimeS: 690 }, ...said)).toBeNull();
});

test('deeper within the response time is for what is urgent', () => {
  const steps = [
    { atS: 0, level: 50 },
    { atS: 800, level: 75 },
  ];
  expect(breachOf({ responseTimeS: 720 }, ...steps, { atS: 900, level: 0, element: 'emergency' })).toBeNull();
  expect(breachOf({ responseTimeS: 720 }, ...steps, { atS: 900, level: 0 })).toMatch(/^hunts: deeper/);
});

test('minimum times', () => {
  const twice = [
    { atS: 0, level: 50 },
    { atS: 300, level: 100 },
    { atS: 700, level: 50, episode: 2 },
  ];
  expect(breachOf({ minOnS: 300, minOffS: 400 }, ...twice)).toBeNull();
  expect(breachOf({ minOnS: 310 }, ...twice)).toMatch(/^let go within minOnS/);
  expect(breachOf({ minOffS: 410 }, ...twice)).toMatch(/^a limit within minOffS/);
});

test('caps of the hour and of the day, and the budget', () => {
  const often = [0, 1, 2].flatMap((n) => [
    { atS: n * 1200, level: 50, episode: n + 1 },
    { atS: n * 1200 + 600, level: 100, episode: n + 1 },
  ]);
  expect(breachOf({ requestsPerHour: 3, operationsPerDay: 3 }, ...often)).toBeNull();
  expect(breachOf({ requestsPerHour: 2 }, ...often)).toMatch(/^more than requestsPerHour 2/);
  expect(breachOf({ operationsPerDay: 2 }, ...often)).toMatch(/^more than operationsPerDay 2/);
  // Two of ten minutes at 50 %.
  expect(breachOf({ budget: { episodes: 3, minutes: 11 } }, ...often)).toBeNull();
  expect(breachOf({ budget: { episodes: 2, minutes: 11 } }, ...often)).toMatch(/^beyond its budget/);
  expect(breachOf({ budget: { episodes: 3, minutes: 9 } }, ...often)).toMatch(/^beyond its budget/);
});

test('the longest episode, and what it locks', () => {
  const long = [
    { atS: 0, level: 50 },
    { atS: 1500, level: 50 },
    { atS: 3000, level: 50 },
  ];
  expect(breachOf({ maxEpisodeS: 3000 }, ...long)).toBeNull();
  expect(breachOf({ maxEpisodeS: 2900 }, ...long)).toMatch(/^longer than maxEpisodeS/);
  const name = { element: 'atRisk', phase: 'L2' } as const;
  const locked = [{ type: 'operate', ...name }, long[0] as Said, { type: 'alarm', alarm: 'reinforce' }] as const;
  const again = { atS: 600, level: 25 };
  expect(breachOf({}, ...locked, again)).toMatch(/^asks again without having dropped out/);
  expect(breachOf({}, ...locked, { type: 'dropout', ...name }, again)).toBeNull();
});
