// What one step of control costs for a feeder, and whether the collector is ever in the way: `node bench/step/run.ts`.
// The step alone, in time of this process on the processor, on a current that changes with every reading, in three
// settings; and 200 feeders at 10 Hz, with every pause of the collector that the process saw: for a minute as it would
// be in service, and for ten minutes of readings as fast as they go.
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { newFeederState, nextDueMs, stepReading } from '../../src/control/feeder-control.ts';
import type { Action, ControlReading, ControlSettings } from '../../src/control/types.ts';

const PLAIN: ControlSettings = {
  group: 'bench',
  ratingA: 385,
  atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 },
  emergency: { pickupA: 420, dropoutA: 345, delayS: 2, resetDelayS: 60 },
  curtailment: {
    mode: 'proportional',
    floorPercent: 0,
    leaseS: 1800,
    refreshS: 600,
    responseTimeS: 720,
    maxEpisodeS: 14_400,
    releaseStepPercent: 25,
    minOnS: 0,
    minOffS: 0,
  },
  budget: { episodesPerYear: 4, minutesPerYear: 40, refuseBeyond: false },
  caps: { operationsPerDay: 0, requestsPerHour: 60, deepestLevelPercent: 0, longestLeaseS: 7200, feedersAtOnce: 0 },
  controllableA: { L1: 96, L2: 128, L3: 96 },
  staleAfterMs: 1100,
  target: 'TG-1 1',
  mayRequest: true,
};
const THERMAL = {
  ratingA: 385,
  timeConstantMin: 60,
  coolingTimeConstantMin: 60,
  leadTimeMin: 15,
  resetPercent: 95,
  alarmPercent: null,
};
const INVERSE = { curve: 'EI' as const, pickupA: 385, timeMultiplier: 20, dropoutA: 345, resetDelayS: 60 };
const THERMAL_TOO: ControlSettings = { ...PLAIN, thermal: THERMAL };
const VARIANTS: readonly [string, ControlSettings][] = [
  ['atRisk, emergency', PLAIN],
  ['with thermal', THERMAL_TOO],
  ['with thermal and inverse', { ...THERMAL_TOO, inverse: INVERSE }],
];
const STEPS = 3_000_000;
const FEEDERS = 200;
const SCAN_MS = 100;
/** For what stays to be moved out of the collector's way, and for the code to be compiled. */
const WARM_UP_SCANS = 600;
const PACED_SCANS = 600;
const FAST_SCANS = 6_000;

/** One reading that is written over, as a replay does: what is measured is the step and not the reading. */
function reusedReading() {
  const input = () => ({ currentA: 0, quality: 'good' as const });
  return { atMs: 0, L1: input(), L2: input(), L3: input(), N: input(), exporting: [] };
}

function set(reading: ReturnType<typeof reusedReading>, atMs: number, n: number): ControlReading {
  reading.atMs = atMs;
  reading.L1.currentA = 180 + (n % 97);
  reading.L2.currentA = 200 + (n % 89);
  reading.L3.currentA = 190 + (n % 83);
  return reading;
}

function stepCost(settings: ControlSettings): number {
  const state = newFeederState();
  const reading = reusedReading();
  const out: Action[] = [];
  let startedUs = 0;
  for (let n = -300_000; n < STEPS; n++) {
    if (n === 0) startedUs = process.cpuUsage().user;
    stepReading(state, settings, set(reading, 1_000_000 + (n + 300_000) * 100, n + 300_000), out);
  }
  return (process.cpuUsage().user - startedUs) / STEPS;
}

/** `atPace`: a scan each 100 ms, once warmed up; else one after the other. */
async function collectorPauses(settings: ControlSettings, scans: number, atPace: boolean): Promise<number[]> {
  const pauses: number[] = [];
  const observer = new PerformanceObserver((list) => pauses.push(...list.getEntries().map(({ duration }) => duration)));
  const feeders = Array.from({ length: FEEDERS }, () => newFeederState());
  const out: Action[] = [];
  let beganMs = 0;
  for (let scan = -WARM_UP_SCANS; scan < scans; scan++) {
    if (scan === 0) {
      observer.observe({ entryTypes: ['gc'] });
      beganMs = performance.now();
    }
    if (atPace && scan > 0) await sleep(Math.max(0, beganMs + scan * SCAN_MS - performance.now()));
    for (const [i, state] of feeders.entries()) {
      // A new reading for each, as the sources give.
      stepReading(state, settings, set(reusedReading(), 1_000_000 + scan * 100, scan + WARM_UP_SCANS + i), out);
      nextDueMs(state, settings);
    }
    if (!atPace && scan % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await sleep(50);
  observer.disconnect();
  return pauses;
}

async function showPauses(how: string, scans: number, atPace: boolean): Promise<void> {
  const sorted = (await collectorPauses(THERMAL_TOO, scans, atPace)).sort((a, b) => a - b);
  const pause = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2);
  process.stdout.write(
    `${FEEDERS} feeders, readings ${how}: ${sorted.length} collections, pauses of ${pause(0.5)} ms at the median, ${pause(0.99)} at 99 %, ${pause(1)} the longest\n`,
  );
}

// At pace before anything else: what follows leaves much for the collector to do.
await showPauses('at 10 Hz, for a minute', PACED_SCANS, true);
for (const [name, settings] of VARIANTS) {
  const costs = [1, 2, 3].map(() => stepCost(settings)).sort((a, b) => a - b);
  process.stdout.write(
    `one step, ${name}: ${costs[1]?.toFixed(3)} microseconds (best ${costs[0]?.toFixed(3)}, worst ${costs[2]?.toFixed(3)})\n`,
  );
}
await showPauses('as fast as they go, ten minutes of them', FAST_SCANS, false);
