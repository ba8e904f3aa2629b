// The relief and the room of a transformer among its feeders.
import { describe, expect, test } from 'vitest';
import { newFeederState } from '../../src/control/feeder-control.ts';
import { grantRoom, type Sharer, shareOut } from '../../src/control/share.ts';
import { settingsWith } from './trace.ts';

const NOW_MS = 1_000_000;

function feeder(controllableA: number | null, minutes = 0, limited = 100): Sharer {
  const control = settingsWith({
    responseTimeS: '600',
    controllableA: controllableA === null ? 'unknown' : String(controllableA),
  });
  const state = newFeederState();
  Object.assign(state.L1, {
    fresh: true,
    currentA: 200,
    levelPercent: limited,
    reductionA: limited < 100 ? 40 : 0,
    isJudged: true,
  });
  if (limited < 100) state.episode = { endedBy: null } as typeof state.episode;
  state.usage.past.push({ endedMs: 0, episodes: 1, minutes });
  return { state, control };
}

const rounded = (values: readonly number[]) => values.map((value) => Math.round(value * 10) / 10);

describe('relief', () => {
  test('goes by controllable amperes, whatever the order', () => {
    expect(rounded(shareOut([feeder(100), feeder(200)], 'L1', 60, false, NOW_MS))).toEqual([20, 40]);
    expect(rounded(shareOut([feeder(200), feeder(100)], 'L1', 60, false, NOW_MS))).toEqual([40, 20]);
  });

  test('counts what is owed as coming, and asks only for the rest', () => {
    const owing = feeder(100, 0, 60);
    owing.state.L1.isJudged = false;
    expect(rounded(shareOut([owing, feeder(100)], 'L1', 30, false, NOW_MS))).toEqual([30, 0]);
    // 40 A are owed; of the other 48 A three eighths can come from what is left of the first.
    expect(rounded(shareOut([owing, feeder(100)], 'L1', 88, false, NOW_MS))).toEqual([58, 30]);
  });

  test('goes to the fewest minutes where it is too little to share or nobody knows', () => {
    expect(rounded(shareOut([feeder(100, 9), feeder(100, 3)], 'L1', 1, false, NOW_MS))).toEqual([0, 1]);
    expect(rounded(shareOut([feeder(null, 9), feeder(null, 3), feeder(50)], 'L1', 90, false, NOW_MS))).toEqual([
      0, 40, 50,
    ]);
  });

  test('goes one after the other to feeders that know only off, no more of them than are needed', () => {
    const onOff = (minutes: number) => {
      const sharer = feeder(100, minutes);
      sharer.control = { ...sharer.control, curtailment: { ...sharer.control.curtailment, mode: 'onOff' } };
      return sharer;
    };
    expect(rounded(shareOut([onOff(9), onOff(3), onOff(5)], 'L1', 60, false, NOW_MS))).toEqual([0, 60, 0]);
    expect(rounded(shareOut([onOff(9), onOff(3), onOff(5)], 'L1', 130, false, NOW_MS))).toEqual([0, 100, 30]);
    expect(rounded(shareOut([onOff(3), feeder(50, 9)], 'L1', 60, false, NOW_MS))).toEqual([10, 50]);
  });

  test('passes over a feeder that is blocked, tested, locked or beyond its budget', () => {
    const [blocked, tested, locked, spent] = [feeder(100), feeder(100), feeder(100), feeder(100, 50)];
    blocked.state.blocks = [{ element: 'transformer', untilMs: NOW_MS + 1 }];
    tested.state.testUntilMs = NOW_MS + 1;
    locked.state.L1.transformer.locked = true;
    const budget = { episodesPerYear: 0, minutesPerYear: 40, refuseBeyond: true };
    spent.control = { ...spent.control, budget };
    const all = [blocked, tested, locked, spent, feeder(100)];
    expect(rounded(shareOut(all, 'L1', 60, false, NOW_MS))).toEqual([0, 0, 0, 0, 60]);
    // The transformer's emergency is not refused for a budget.
    expect(rounded(shareOut(all, 'L1', 60, true, NOW_MS))).toEqual([0, 0, 0, 30, 30]);
  });

  test('passes over a feeder that is not seen or at its deepest', () => {
    const blind = feeder(100);
    blind.state.L1.fresh = false;
    expect(rounded(shareOut([blind, feeder(100, 0, 0), feeder(100)], 'L1', 60, false, NOW_MS))).toEqual([0, 0, 60]);
  });
});

describe('room', () => {
  const roomOn = (sharers: Sharer[], roomA: number) =>
    grantRoom(sharers, { L1: roomA, L2: roomA, L3: roomA }, NOW_MS).map(({ L1 = 0 }) => L1);

  test('is given once, to the feeder whose customers have had the most minutes', () => {
    const [few, many] = [feeder(100, 3, 50), feeder(100, 9, 50)];
    expect(roomOn([few, many], 30)).toEqual([0, 25]);
    expect(roomOn([few, many], 60)).toEqual([25, 25]);
  });

  test('is less by what an earlier step still brings back', () => {
    const [free, limited] = [feeder(100), feeder(100, 0, 50)];
    Object.assign(free.state.L1, { returningA: 40, returningSinceMs: NOW_MS - 300_000 });
    expect(roomOn([free, limited], 40)).toEqual([0, 0]);
    expect(roomOn([free, limited], 46)).toEqual([0, 25]);
  });
});
