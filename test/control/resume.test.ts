// A state that was kept, brought to the present: which clocks tell how long the program was away.
import { describe, expect, test } from 'vitest';
import { newFeederState } from '../../src/control/feeder-control.ts';
import { type KeptAt, resumeState } from '../../src/control/resume.ts';

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
