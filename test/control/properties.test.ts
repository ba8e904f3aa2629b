// What holds for every trace and every setting, from random ones. A failure prints its seed and the shortest trace
// that shows it; `fc.assert(…, { seed, path })` runs that one again. 10,000 cases of each in CI; PROPERTY_RUNS=100000 looks longer.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { THERMAL_AIM } from '../../src/control/elements.ts';
import { nextDueMs, stepTime } from '../../src/control/feeder-control.ts';
import type { Action, ConductorInput, ControlRequest, ControlSettings } from '../../src/control/types.ts';
import { ELEMENTS, PHASES, type Phase } from '../../src/feeder.ts';
import { bounded } from './bounded.ts';
import {
  anyRows,
  copy,
  currentArb,
  gapArb,
  goodArb,
  HOUR_MS,
  inputArb,
  type Row,
  RUNS,
  type Run,
  read,
  requestsOf,
  rowsArb,
  run,
  settingsArb,
} from './random-traces.ts';

// Of 10,000 cases on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

const NO_BUDGET = { episodesPerYear: 0, minutesPerYear: 0, refuseBeyond: false };
const DAY_MS = 24 * HOUR_MS;

const good = (currentA: number): ConductorInput[] => PHASES.map(() => ({ currentA, quality: 'good' }));

/** Goes on with the same reading, as often as is needed for it to hold, for `forS` seconds. */
function goOn({ state, atMs }: Run, settings: ControlSettings, currentA: number, forS: number): Action[] {
  const calm = { ...settings, staleAfterMs: Math.max(settings.staleAfterMs, 600_000) };
  const guarded = bounded(calm);
  const out: Action[] = [];
  const everyMs = calm.staleAfterMs * 0.9;
  for (let nowMs = atMs + 1; nowMs < atMs + forS * 1000 + everyMs; nowMs += everyMs) {
    read(state, guarded, nowMs, good(currentA), out);
  }
  return out;
}

/** How long a release in steps may take. */
function releaseS({ curtailment, atRisk }: ControlSettings): number {
  const { releaseStepPercent, responseTimeS } = curtailment;
  return Math.ceil(100 / releaseStepPercent + 1) * Math.max(responseTimeS, atRisk.resetDelayS);
}

/** How long the thermal element may take to drop out and to end its alarm. */
function coolS({ thermal }: ControlSettings): number {
  return thermal === undefined ? 0 : thermal.coolingTimeConstantMin * 60 * 3;
}

/** How long the alarm of an assumed heat may stand. */
function fadeS({ thermal }: ControlSettings): number {
  return thermal === undefined ? 0 : Math.max(thermal.timeConstantMin, thermal.coolingTimeConstantMin) * 60 * 5;
}

type Way = 'deeper' | 'shallower' | 'same';

/** Every request with whether it permits less or more than what stood before. */
function waysOf(actions: readonly Action[]): { request: ControlRequest; way: Way; first: boolean }[] {
  let standing: ControlRequest | null = null;
  const ways: { request: ControlRequest; way: Way; first: boolean }[] = [];
  for (const action of actions) {
    if (action.kind === 'event') {
      if (action.alarm === 'lapsed' && action.type === 'alarm') standing = null;
      continue;
    }
    const first = standing === null;
    const levels = (request: ControlRequest | null, name: Phase) => request?.levelPercent[name] ?? 100;
    const now = action.action === 'release' ? null : action;
    const deeper = PHASES.some((name) => levels(now, name) < levels(standing, name));
    const shallower = PHASES.some((name) => levels(now, name) > levels(standing, name));
    ways.push({ request: action, way: deeper ? 'deeper' : shallower ? 'shallower' : 'same', first });
    standing = now;
  }
  return ways;
}

const isAsked = ({ reason }: ControlRequest) => / on (?:L\d|N)($|;)/.test(reason);
const isClock = (request: ControlRequest) => request.reason === 'the wall clock was stepped';

test('no limit without a usable reading over dropout behind it, and none on a feeder without a target group', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const levels = { L1: 100, L2: 100, L3: 100 };
      run(settings, rows, {
        after: ({ state, actions }) => {
          for (const request of requestsOf(actions)) {
            expect(settings.mayRequest).toBe(true);
            if (request.action === 'refresh' && !isClock(request)) {
              expect(request.readingAgeMs).toBeLessThanOrEqual(settings.staleAfterMs);
            }
            for (const name of PHASES) {
              const level = request.action === 'release' ? 100 : (request.levelPercent[name] ?? 100);
              // After a lapse a phase may come anew at the level it had.
              if (level < levels[name]) expect(request.currentA[name]).toBeGreaterThanOrEqual(leastA(settings));
              levels[name] = level;
            }
          }
          if (state.episode === null) for (const name of PHASES) levels[name] = 100;
        },
      });
    }),
    RUNS,
  );
});

const leastA = ({ atRisk, emergency, inverse, thermal, neutral }: ControlSettings) =>
  Math.min(
    atRisk.dropoutA,
    emergency?.dropoutA ?? 1e9,
    inverse?.dropoutA ?? 1e9,
    (thermal?.ratingA ?? 1e9) * THERMAL_AIM,
    // The neutral asks of the phases that carry the most, whatever that is.
    neutral === undefined ? 1e9 : 0,
  );

test('every episode ends: in silence by its lease', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (some, rows) => {
      const settings = { ...some, budget: NO_BUDGET };
      const { state, atMs } = run(settings, rows);
      const out: Action[] = [];
      const forS = settings.staleAfterMs / 1000 + settings.curtailment.leaseS + releaseS(settings) + fadeS(settings);
      stepTime(state, bounded(settings), atMs + forS * 1000 + 1000, out);
      expect(state.episode).toBeNull();
      expect(nextDueMs(state, settings)).toBe(Number.POSITIVE_INFINITY);
    }),
    RUNS,
  );
});

test('every episode ends: with low currents by a release', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const ended = run(settings, rows);
      const { minOnS, responseTimeS, maxEpisodeS } = settings.curtailment;
      // A step waits for room for what fell, even if it fell by itself, if need be to the end.
      const headroomS = responseTimeS > 0 ? maxEpisodeS : 0;
      const resetS =
        settings.atRisk.resetDelayS +
        (settings.emergency?.resetDelayS ?? 0) +
        (settings.inverse?.resetDelayS ?? 0) +
        (settings.neutral === undefined ? 0 : 10) +
        coolS(settings);
      const forS = resetS + minOnS + responseTimeS + headroomS + releaseS(settings);
      goOn(ended, settings, 10, forS + settings.staleAfterMs / 1000);
      expect(ended.state.episode).toBeNull();
      expect(PHASES.map((name) => ended.state[name].levelPercent)).toEqual([100, 100, 100]);
      expect(ended.state.alarms.filter((name) => !name.startsWith('budget'))).toEqual([]);
    }),
    RUNS,
  );
});

test('every episode ends: with high currents by maxEpisodeS and the steps of the release', () => {
  fc.assert(
    fc.property(settingsArb, rowsArb(inputArb, gapArb, 8), (some, rows) => {
      const settings = { ...some, curtailment: { ...some.curtailment, maxEpisodeS: 400 } };
      const ended = run(settings, rows);
      const { episode } = ended.state;
      // What had not operated when the cap fell may still ask, once, for a length of its own.
      goOn(ended, settings, 500, 2 * (400 + releaseS(settings)) + 60);
      if (episode !== null) expect(ended.state.episode?.firstLimitMs).not.toBe(episode.firstLimitMs);
      const locked = PHASES.map((name) => ended.state[name]).every((phase) =>
        ELEMENTS.every((name) => name === 'transformer' || settings[name] === undefined || phase[name].locked),
      );
      const more = goOn({ ...ended, atMs: ended.state.steppedToMs }, settings, 500, 600 + releaseS(settings));
      if (locked) expect(requestsOf(more).filter(isAsked)).toEqual([]);
    }),
    RUNS,
  );
});

test('the lease is bounded, no action says a number that is none, and time goes forward in what is said', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const longestMs = Math.min(settings.curtailment.leaseS, settings.caps.longestLeaseS) * 1000;
      const { actions, state } = run(settings, rows);
      assert(actions.every(({ atMs }, i) => atMs >= (actions[i - 1]?.atMs ?? 0)));
      for (const { atMs, endMs } of requestsOf(actions)) expect(endMs - atMs).toBeLessThanOrEqual(longestMs + 1e-6);
      expect([...numbersIn(actions), ...numbersIn(state)].every(Number.isFinite)).toBe(true);
      const levels = requestsOf(actions).flatMap(({ levelPercent }) => Object.values(levelPercent));
      expect(levels.every((level) => level >= 0 && level <= 100 && Number.isInteger(level))).toBe(true);
    }),
    RUNS,
  );
});

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(numbersIn) : [];
}

test('the caps hold for refreshes and deeper limits', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const { requestsPerHour, operationsPerDay } = settings.caps;
      const requests: number[] = [];
      const operations: number[] = [];
      for (const { request, way, first } of waysOf(run(settings, rows).actions)) {
        const { atMs, action, trigger } = request;
        if (isClock(request) || action === 'release') continue;
        const lately = requests.filter((thenMs) => atMs < thenMs + HOUR_MS).length;
        if (requestsPerHour > 0 && way !== 'shallower') expect(lately).toBeLessThan(requestsPerHour);
        requests.push(atMs);
        if (!first) continue;
        const today = operations.filter((thenMs) => atMs < thenMs + DAY_MS).length;
        if (operationsPerDay > 0 && !trigger.isUrgent) expect(today).toBeLessThan(operationsPerDay);
        operations.push(atMs);
      }
    }),
    RUNS,
  );
});

test('a first limit asks for what brings the current under the lowest dropout, and for no whole percent more', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const { curtailment, caps, controllableA } = settings;
      const deepest = Math.max(curtailment.floorPercent, caps.deepestLevelPercent);
      const silent = rows.filter(({ kind }) => kind !== 'ack');
      const first = waysOf(run(settings, silent).actions).find(({ way }) => way === 'deeper')?.request;
      if (first === undefined || controllableA === null || curtailment.mode === 'onOff') return;
      for (const [name, reductionA = 0] of Object.entries(first.reductionA) as [Phase, number][]) {
        expect(reductionA).toBeLessThanOrEqual((first.currentA[name] ?? 0) - leastA(settings) + 1e-6);
        const exact = 100 - (100 * reductionA) / controllableA[name];
        const level = first.levelPercent[name] ?? 100;
        if (exact >= 20) expect(level).toBeGreaterThanOrEqual(Math.max(deepest, Math.floor(Math.min(exact, 99))));
      }
    }),
    RUNS,
  );
});

test("customers' minutes are the integral of what was asked for", () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const silent = rows.filter(({ kind }) => kind !== 'ack');
      const { actions, state, atMs } = run(settings, silent);
      const { past, minutes, sinceMs, levelPercent } = state.usage;
      const counted = past.reduce((total, use) => total + use.minutes, minutes);
      const running = ((1 - levelPercent / 100) * (atMs - sinceMs)) / 60_000;
      expect(counted + running).toBeCloseTo(integral(actions, atMs), 6);
    }),
    RUNS,
  );
});

/** Minutes of full curtailment by the requests alone, each to the next one or to its end. */
function integral(actions: readonly Action[], untilMs: number): number {
  const requests = requestsOf(actions);
  return requests.reduce((total, { action, levelPercent, atMs, endMs }, index) => {
    if (action === 'release') return total;
    const toMs = Math.min(endMs, requests[index + 1]?.atMs ?? untilMs);
    return total + ((1 - Math.min(...Object.values(levelPercent)) / 100) * (toMs - atMs)) / 60_000;
  }, 0);
}

test('no cap holds up a release or a shallower level', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const { state, atMs } = run(settings, rows);
      const free = { ...settings, caps: { ...settings.caps, requestsPerHour: 0, operationsPerDay: 0 } };
      const forS = 2 * settings.curtailment.responseTimeS + 200;
      const held = goOn({ state: copy(state), atMs, actions: [] }, settings, 10, forS);
      const open = goOn({ state: copy(state), atMs, actions: [] }, free, 10, forS);
      // A limit that lapses because a cap held up its refresh has ended sooner.
      if (held.some((action) => action.kind === 'event' && action.alarm === 'lapsed' && action.type === 'alarm'))
        return;
      // Nor is it the same where without a cap more was asked before the currents fell.
      if (requestsOf(open).some(isAsked)) return;
      const rising = (actions: Action[]) => requestsOf(actions).filter(({ action }) => action !== 'refresh');
      expect(rising(held)).toEqual(rising(open).map((request) => ({ ...request, endMs: expect.any(Number) })));
    }),
    RUNS,
  );
});

test('no request in the opposite direction within responseTimeS, but for emergency and the length cap', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const responseMs = settings.curtailment.responseTimeS * 1000;
      let deeperMs = Number.NEGATIVE_INFINITY;
      let shallowerMs = Number.NEGATIVE_INFINITY;
      for (const { request, way } of waysOf(run(settings, rows).actions)) {
        const { atMs, trigger, reason } = request;
        if (way === 'deeper') {
          if (!trigger.isUrgent) expect(atMs).toBeGreaterThanOrEqual(shallowerMs + responseMs);
          deeperMs = atMs;
          shallowerMs = Number.NEGATIVE_INFINITY;
        } else if (way === 'shallower') {
          if (!reason.includes('maxEpisodeS')) expect(atMs).toBeGreaterThanOrEqual(deeperMs + responseMs);
          shallowerMs = atMs;
        }
      }
    }),
    RUNS,
  );
});

test('a state that is written out and read back anywhere goes on the same', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, fc.nat(2), (settings, rows, from) => {
      // At every third row: the text is what takes the time.
      let row = from;
      const written = run(settings, rows, { change: (state) => (row++ % 3 === 0 ? copy(state) : state) });
      assert.deepEqual(written, run(settings, rows));
    }),
    RUNS,
  );
});

test('stepping time in between changes nothing', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, fc.double({ min: 0, max: 0.999, noNaN: true }), (settings, rows, share) => {
      const extra = run(settings, rows, {
        before: ({ state, atMs, actions }, toMs) => {
          const dueMs = nextDueMs(state, settings);
          if (dueMs < toMs) stepTime(state, settings, dueMs, actions);
          stepTime(state, settings, atMs + (toMs - atMs) * share, actions);
        },
      });
      assert.deepEqual(extra, run(settings, rows));
    }),
    RUNS,
  );
});

test('polling twice as often changes nothing while the values hold', () => {
  const steady = rowsArb(goodArb, fc.integer({ min: 2, max: 5000 }));
  fc.assert(
    fc.property(settingsArb, steady, (settings, given) => {
      let last: readonly ConductorInput[] | null = null;
      // A cap on feeders at once ends when another feeder is free, which the next reading sees.
      const rows = given.filter(({ kind }) => kind !== 'others');
      const twice = rows.flatMap((row): Row[] => {
        const before = last;
        if (row.kind === 'reading') last = row.inputs;
        if (before === null) return [row];
        const gapMs = Math.floor(row.gapMs / 2);
        return [
          { gapMs, kind: 'reading', inputs: before },
          { ...row, gapMs: row.gapMs - gapMs },
        ];
      });
      const said = (actions: Action[]) =>
        actions.map((action) => (action.kind === 'request' ? { ...action, readingAgeMs: 0 } : action));
      const often = { ...settings, staleAfterMs: HOUR_MS };
      const [seldom, doubled] = [run(often, rows).actions, run(often, twice).actions];
      // A phase is dead by how far it falls within two readings, whatever the time between them.
      if ([...seldom, ...doubled].some((action) => action.kind === 'event' && action.alarm === 'phaseDead')) return;
      assert.deepEqual(said(doubled), said(seldom));
    }),
    RUNS,
  );
});

test('time always gets on', () => {
  fc.assert(
    fc.property(settingsArb, anyRows, (settings, rows) => {
      const { state, atMs } = run(settings, rows);
      const guarded = bounded(settings);
      for (let dueMs = nextDueMs(state, guarded); dueMs < atMs + DAY_MS; ) {
        stepTime(state, guarded, dueMs, []);
        const thenMs = nextDueMs(state, guarded);
        expect(thenMs).toBeGreaterThan(dueMs);
        dueMs = thenMs;
      }
    }),
    RUNS,
  );
});

test('more current never gives less curtailment', () => {
  const moreArb = fc.tuple(currentArb, currentArb, currentArb);
  fc.assert(
    fc.property(settingsArb, anyRows, moreArb, moreArb, gapArb, (given, rows, some, more, gapMs) => {
      // Which phases carry the neutral's current changes with the currents.
      const settings = { ...given, neutral: undefined };
      const { state, atMs } = run(settings, rows);
      const step = (currents: readonly number[]) => {
        const next = copy(state);
        const inputs = currents.map((currentA) => ({ currentA, quality: 'good' as const }));
        const out: Action[] = [];
        read(next, settings, atMs + gapMs, inputs, out);
        // What moves nothing is released, and the higher the current the less has moved; its alarm may end at once.
        // A phase that is dead holds what stands, and one that is not may be released.
        const isRaised = (alarm: string) =>
          next.alarms.some((name) => name === alarm) ||
          out.some((action) => action.kind === 'event' && action.alarm === alarm);
        if (isRaised('noEffect') || isRaised('phaseDead')) return null;
        return PHASES.map((name) => ({ level: next[name].levelPercent, learnedA: next[name].reach.learnedA }));
      };
      const higher = step(some.map((currentA, i) => Math.max(currentA, more[i] ?? 0)));
      const lower = step(some);
      if (higher === null || lower === null) return;
      for (const [i, { level, learnedA }] of higher.entries()) {
        // A load that rises hides what a request has moved: the same need is a lower level where less is known to move.
        if (learnedA === lower[i]?.learnedA) expect(level).toBeLessThanOrEqual(lower[i]?.level ?? 0);
      }
    }),
    RUNS,
  );
});
