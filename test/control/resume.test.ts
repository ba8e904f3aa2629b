// A state that was kept, brought to the present: which clocks tell how long the program was away.
import { describe, expect, test } from 'vitest';
import { newFeederState, settleInto, stepReading } from '../../src/control/feeder-control.ts';
import { type KeptAt, resumeState } from '../../src/control/resume.ts';
import { newTransformerState, settleTransformerInto } from '../../src/control/transformer.ts';
import { settingsWith } from './trace.ts';

const KEPT: KeptAt = { monotonicMs: 500_000, wallMs: 1_800_000_000_000, bootId: 'one', clockSynchronised: true };

/** Milliseconds by which the state's times were moved; null where it was begun anew. */
function movedMs(now: KeptAt): number | null {
  const kept = newFeederState();
  Object.assign(kept.L1.atRisk, { status: 'pickedUp', overSinceMs: 490_000 });
  const { state } = resumeState(kept, KEPT, now);
  return state.L1.atRisk.status === 'pickedUp' ? state.L1.atRisk.overSinceMs - 490_000 : null;
}

describe('the time away', () => {
  test('is the monotonic clock’s within one boot, whatever the wall clock says', () => {
    expect(movedMs({ ...KEPT, monotonicMs: 510_000, wallMs: 0, clockSynchronised: false })).toBe(0);
  });

  test('is the wall clock’s over a boot, where it was right on both sides', () => {
    expect(movedMs({ ...KEPT, bootId: 'two', monotonicMs: 20_000, wallMs: KEPT.wallMs + 60_000 })).toBe(
      20_000 - 60_000 - 500_000,
    );
  });

  test('is unknown over a boot with a clock that is not right', () => {
    expect(movedMs({ ...KEPT, bootId: 'two', clockSynchronised: false })).toBeNull();
  });

  test('is the wall clock’s where a machine was set back to a snapshot: same boot, earlier monotonic time', () => {
    const now = { ...KEPT, monotonicMs: 400_000, wallMs: KEPT.wallMs + 60_000 };
    expect(movedMs(now)).toBe(400_000 - 60_000 - 500_000);
    expect(movedMs({ ...now, clockSynchronised: false })).toBeNull();
  });
});

test('what has been asked for lately counts on after a time away that nobody knows, as if it were none', () => {
  const kept = newFeederState();
  kept.requestTimesMs = [400_000, 450_000];
  kept.operationTimesMs = [400_000];
  kept.releasedMs = 490_000;
  const now = { ...KEPT, bootId: 'two', monotonicMs: 20_000, clockSynchronised: false };
  const { state, lost } = resumeState(kept, KEPT, now);
  expect(lost).toBe('the time away is unknown');
  expect(state).toMatchObject({
    requestTimesMs: [-80_000, -30_000],
    operationTimesMs: [-80_000],
    releasedMs: 10_000,
  });
});

describe('other settings after a restart', () => {
  test('heat is the same share of a conductor, and another of another rating', () => {
    const values = { timeConstantMin: '60' };
    const [before, after] = [settingsWith(values), settingsWith({ ...values, thermalRatingA: '200' })];
    const kept = newFeederState();
    settleInto(kept, before);
    const input = { currentA: 200, quality: 'good' as const };
    stepReading(kept, before, { atMs: 500_000, L1: input, L2: input, L3: input, N: input }, []);
    expect(kept.L1.thermal.heatPercent).toBeCloseTo(25, 9);
    for (const now of [KEPT, { ...KEPT, bootId: 'two', clockSynchronised: false }]) {
      const { state } = resumeState(kept, KEPT, now);
      settleInto(state, before);
      expect(state.L1.thermal.heatPercent).toBeCloseTo(25, 9);
      settleInto(state, after);
      expect(state.L1.thermal.heatPercent).toBeCloseTo(100, 9);
    }
  });

  test('the hot spot of a transformer is as hot as it was, whatever its rating', () => {
    const settings = (thermalRatingA: string) => settingsWith({ oilTimeConstantMin: '180', thermalRatingA });
    const state = newTransformerState();
    settleTransformerInto(state, settings('400'));
    state.L1.thermal.heatPercent = 50;
    settleTransformerInto(state, settings('200'));
    expect(state.L1.thermal.heatPercent).toBe(50);
  });
});
