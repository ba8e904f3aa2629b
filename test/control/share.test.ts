// The relief and the room of a transformer among its feeders.
import { describe, expect, test } from 'vitest';
import { newFeederState } from '../../src/control/feeder-control.ts';
import { grantRoom, type Sharer, shareOut } from '../../src/control/share.ts';
import { settingsWith } from './trace.ts';

const NOW_MS = 1_000_000;

function feeder(controllableA: number | null, minutes = 0, limited = 100): Sharer {
  const settings = settingsWith({
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
  return { state, settings };
}

const rounded = (values: readonly number[]) => values.map((value) => Math.round(value * 10) / 10);

describe('relief', () => {
  test('goes by controllable amperes, whatever the order', () => {
    expect(rounded(shareOut([feeder(100), feeder(200)], 'L1', 60, NOW_MS))).toEqual([20, 40]);
    expect(rounded(shareOut([feeder(200), feeder(100)], 'L1', 60, NOW_MS))).toEqual([40, 20]);
  });

  test('counts what is owed as coming, and asks only for the rest', () => {
    const owing = feeder(100, 0, 60);
    owing.state.L1.isJudged = false;
    expect(rounded(shareOut([owing, feeder(100)], 'L1', 30, NOW_MS))).toEqual([30, 0]);
    // 40 A are owed; of the other 48 A three eighths can come from what is left of the first.
    expect(rounded(shareOut([owing, feeder(100)], 'L1', 88, NOW_MS))).toEqual([58, 30]);
  });

  test('goes to the fewest minutes where it is too little to share or nobody knows', () => {
    expect(rounded(shareOut([feeder(100, 9), feeder(100, 3)], 'L1', 1, NOW_MS))).toEqual([0, 1]);
    expect(rounded(shareOut([feeder(null, 9), feeder(null, 3), feeder(50)], 'L1', 90, NOW_MS))).toEqual([0, 40, 50]);
  });

  test('passes over a feeder that is not seen or at its deepest', () => {
    const blind = feeder(100);
    blind.state.L1.fresh = false;
    expect(rounded(shareOut([blind, feeder(100, 0, 0), feeder(100)], 'L1', 60, NOW_MS))).toEqual([0, 0, 60]);
  });
});

describe('room', () => {
  const roomOf = ({ state }: Sharer) => state.L1.transformerRoomA;

  test('is given once, to the feeder whose customers have had the most minutes', () => {
    const [few, many] = [feeder(100, 3, 50), feeder(100, 9, 50)];
    grantRoom([few, many], { L1: 30, L2: 30, L3: 30 }, NOW_MS);
    expect([roomOf(few), roomOf(many)]).toEqual([0, 25]);
    grantRoom([few, many], { L1: 60, L2: 60, L3: 60 }, NOW_MS);
    expect([roomOf(few), roomOf(many)]).toEqual([25, 25]);
  });

  test('is less by what an earlier step still brings back', () => {
    const [free, limited] = [feeder(100), feeder(100, 0, 50)];
    Object.assign(free.state.L1, { returningA: 40, returningSinceMs: NOW_MS - 300_000 });
    grantRoom([free, limited], { L1: 40, L2: 40, L3: 40 }, NOW_MS);
    expect(roomOf(limited)).toBe(0);
    grantRoom([free, limited], { L1: 46, L2: 46, L3: 46 }, NOW_MS);
    expect(roomOf(limited)).toBe(25);
  });
});
