// Customers' minutes and the energy per half hour, from requests and acknowledgements as a journal holds them.
import { describe, expect, test } from 'vitest';
import { isoTime } from '../../src/clock.ts';
import type { Ack, Curtailment } from '../../src/messages.ts';
import { impactOf, type SentRequest, showImpact } from '../../src/workbench/impact.ts';

const MINUTE_MS = 60_000;
const NOW_MS = Date.parse('2027-01-20T12:00:00.000Z');
const terms = { feederId: 'F1', budget: { episodesPerYear: 4, minutesPerYear: 40 }, responseTimeS: 600 };

interface Sent {
  readonly atMin: number;
  readonly action?: Curtailment['action'];
  readonly level?: number;
  readonly reductionA?: number;
  readonly lastsMin?: number;
  readonly episode?: number;
  readonly mode?: Curtailment['mode'];
  readonly target?: string;
  /** Minutes after the start at which the head end said `dispatched`. */
  readonly dispatchedMin?: number;
}

/** `atMin` counts from two hours before now. */
function sent({ atMin, action = 'limit', level = 50, reductionA = 60, ...more }: Sent): SentRequest {
  const startMs = NOW_MS - 120 * MINUTE_MS + atMin * MINUTE_MS;
  const { lastsMin = 30, episode = 1, mode = 'live', target = 'TG', dispatchedMin } = more;
  const message = {
    requestId: `r${atMin}`,
    episodeId: `e${episode}`,
    feederId: 'F1',
    targetGroup: { id: target, version: 1 },
    action,
    mode,
    levelPercent: action === 'release' ? 100 : level,
    reductionA: action === 'release' ? { L1: 0 } : { L1: reductionA },
    start: isoTime(startMs),
    end: isoTime(startMs + lastsMin * MINUTE_MS),
  } as unknown as Curtailment;
  const at = isoTime(startMs + (dispatchedMin ?? 0) * MINUTE_MS);
  return { message, acks: dispatchedMin === undefined ? [] : [{ status: 'dispatched', at } as unknown as Ack] };
}

const feederOf = (requests: readonly SentRequest[]) => {
  const [feeder] = impactOf(requests, [terms], NOW_MS).feeders;
  if (feeder === undefined) throw new Error('no feeder');
  return feeder;
};

describe("customers' minutes", () => {
  test('are the integral of (1 − level/100), from the start where nothing says dispatched', () => {
    const feeder = feederOf([
      sent({ atMin: 0, level: 40 }),
      sent({ atMin: 10, level: 80 }),
      sent({ atMin: 15, action: 'release' }),
    ]);
    expect(feeder).toMatchObject({ episodes: 1, minutes: 7, withinBudget: true });
    expect(feeder.history[0]).toMatchObject({ endedBy: 'release', countedFrom: 'start', lowestLevelPercent: 40 });
  });

  test('count from the first dispatched of the episode', () => {
    const feeder = feederOf([
      sent({ atMin: 0, level: 0, dispatchedMin: 4 }),
      sent({ atMin: 10, level: 0, action: 'refresh', dispatchedMin: 1 }),
      sent({ atMin: 12, action: 'release' }),
    ]);
    expect(feeder).toMatchObject({ episodes: 1, minutes: 8 });
  });

  test('end with the lease where nothing more was said, and with now while the limit stands', () => {
    expect(feederOf([sent({ atMin: 0, level: 0 })])).toMatchObject({ minutes: 30, history: [{ endedBy: 'lapse' }] });
    expect(feederOf([sent({ atMin: 110, level: 0 })])).toMatchObject({ minutes: 10, history: [{ end: null }] });
  });

  test('leave out tests, and know what is over the budget', () => {
    expect(feederOf([sent({ atMin: 0, mode: 'test' })])).toMatchObject({ episodes: 0, minutes: 0 });
    const five = [1, 2, 3, 4, 5].map((episode) => sent({ atMin: episode * 10, episode, lastsMin: 2 }));
    expect(feederOf(five)).toMatchObject({ episodes: 5, minutes: 5, withinBudget: false });
  });

  test('are told of each target group by itself: in back-feed others are asked', () => {
    const mixed = [
      sent({ atMin: 0, level: 0, lastsMin: 10 }),
      sent({ atMin: 15, level: 0, lastsMin: 5, episode: 2, target: 'TG-NEXT' }),
    ];
    const { feeders, settlement } = impactOf(mixed, [terms], NOW_MS);
    expect(feeders.map(({ targetGroup, episodes, minutes }) => [targetGroup, episodes, minutes])).toEqual([
      ['TG', 1, 10],
      ['TG-NEXT', 1, 5],
    ]);
    const [first, second] = settlement.rows.filter(({ from }) => from === '2027-01-20T10:00:00.000Z');
    expect([first?.targetGroup, second?.targetGroup]).toEqual(['TG', 'TG-NEXT']);
    expect(second?.heldBackKwh).toBeGreaterThan(0);
  });

  test('are within a budget of 0, which is none', () => {
    const free = { ...terms, budget: { episodesPerYear: 0, minutesPerYear: 0 } };
    const impact = impactOf([sent({ atMin: 0 })], [free], NOW_MS);
    expect(impact.feeders).toMatchObject([{ episodes: 1, withinBudget: true }]);
    expect(showImpact(impact, false, false)).toContain('F1 TG: 1 episodes, 15 minutes\n');
  });

  test('are of the rolling year', () => {
    const old = sent({ atMin: -366 * 24 * 60 });
    expect(feederOf([old])).toMatchObject({ episodes: 0, minutes: 0 });
  });
});

describe('settlement', () => {
  const requests = [sent({ atMin: 0 }), sent({ atMin: 20, action: 'release' })];
  const { settlement } = impactOf(requests, [terms], NOW_MS);

  test('has the half hours of UTC, and all that was held back comes back', () => {
    expect(settlement.rows.map(({ from }) => from)).toEqual(['2027-01-20T10:00:00.000Z', '2027-01-20T10:30:00.000Z']);
    const sum = (key: 'heldBackKwh' | 'returnedKwh') => settlement.rows.reduce((total, row) => total + row[key], 0);
    expect(sum('returnedKwh')).toBeCloseTo(sum('heldBackKwh'), 2);
  });

  test('is the relief asked for over its ramps', () => {
    // 60 A at 230 V: up over 10 min, held for 10, down over 10, so 20 min at the full 13.8 kW.
    expect(settlement.rows[0]?.heldBackKwh).toBeCloseTo(4.6, 1);
  });

  test('is shown only when asked for', () => {
    const impact = impactOf(requests, [terms], NOW_MS);
    expect(showImpact(impact, false, false)).toContain('F1 TG: 1 of 4 episodes, 10 of 40 minutes');
    expect(showImpact(impact, false, false)).not.toContain('kWh');
    expect(showImpact(impact, true, false)).toContain('held back kWh');
    expect(JSON.parse(showImpact(impact, false, true)).settlement).toBeUndefined();
  });
});
