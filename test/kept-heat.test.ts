// The heat of a feeder over a kill, on a real journal: it is kept once a minute while nothing else happens, and a restart
// goes on from there, the time since being a gap that is taken at the higher of the currents on both sides.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { stepReading } from '../src/control/feeder-control.ts';
import { resumeState } from '../src/control/resume.ts';
import { heatPercent } from '../src/control/thermal.ts';
import type { Action, FeederState } from '../src/control/types.ts';
import { Journal } from '../src/journal/journal.ts';
import { takeHeat } from '../src/kept-heat.ts';
import { CURRENT_A, heatedSettings, RATING_A, START_MS, stampAt, TAU_MIN } from './kept-heat-site.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-heat-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A journal as SIGKILL leaves it after so many seconds of readings. */
async function killedAfter(seconds: number): Promise<string> {
  const folder = mkdtempSync(join(scratch, 'journal-'));
  const child = spawn(process.execPath, [join(import.meta.dirname, 'kept-heat-process.ts'), folder, String(seconds)]);
  child.stderr.pipe(process.stderr);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return folder;
}

/** The feeder as a restart finds it at `atMs` of the clock of `bootId`, the machine having been away so long before. */
function resumed(folder: string, atMs: number, bootId = 'boot-1', awayMs = 0): FeederState {
  const journal = new Journal(folder);
  const [kept] = journal.states();
  if (kept === undefined) throw new Error('no state was kept');
  takeHeat(kept.state as FeederState, 'F1', kept.stamp, journal.heat());
  journal.close();
  return resumeState(kept.state as FeederState, kept.stamp, stampAt(atMs, bootId, awayMs)).state;
}

function read(state: FeederState, currentA: number, atMs: number): Action[] {
  const out: Action[] = [];
  const input = { currentA, quality: 'good' as const };
  stepReading(state, heatedSettings(), { atMs, L1: input, L2: input, L3: input, N: input }, out);
  return out;
}

/** IEC 60255-149 from `from` percent after `minutes` at `currentA`. */
function heated(from: number, minutes: number, currentA: number): number {
  const steady = 100 * (currentA / RATING_A) ** 2;
  return steady + (from - steady) * Math.exp(-minutes / TAU_MIN);
}

const thermal = () => heatedSettings().thermal ?? expect.fail();

describe('after a kill', () => {
  test('the heat goes on from the last whole minute, and is exact with the gap at the load of both sides', async () => {
    // 95 % is what a first start takes at most; 430 s later the last keeping was at 420 s.
    const folder = await killedAfter(430);
    const state = resumed(folder, START_MS + 500_000);
    expect(state.L1.thermal).toMatchObject({ known: 'yes', heatA: CURRENT_A });
    expect(heatPercent(state.L1.thermal, thermal(), START_MS + 420_000)).toBeCloseTo(heated(95, 7, CURRENT_A), 9);
    read(state, CURRENT_A, START_MS + 500_000);
    expect(heatPercent(state.L1.thermal, thermal(), START_MS + 500_000)).toBeCloseTo(
      heated(95, 500 / 60, CURRENT_A),
      9,
    );
  });

  test('a gap before a lower load is taken at the higher one, and flagged', async () => {
    const folder = await killedAfter(60);
    const state = resumed(folder, START_MS + 660_000);
    const said = read(state, 100, START_MS + 660_000);
    expect(heatPercent(state.L1.thermal, thermal(), START_MS + 660_000)).toBeCloseTo(heated(95, 11, CURRENT_A), 9);
    expect(state.L1.thermal.doubtUntilMs).toBeGreaterThan(START_MS + 660_000);
    expect(said.some((action) => action.kind === 'event' && action.element === 'thermal')).toBe(true);
  });

  test('over a boot with a right clock the time away is known', async () => {
    const folder = await killedAfter(60);
    // The new boot's clock begins at 0; the machine was away for a quarter of an hour.
    const state = resumed(folder, 2_000, 'boot-2', START_MS + 60_000 + 15 * 60_000 - 2_000);
    read(state, CURRENT_A, 2_000);
    expect(heatPercent(state.L1.thermal, thermal(), 2_000)).toBeCloseTo(heated(95, 16, CURRENT_A), 6);
  });
});
