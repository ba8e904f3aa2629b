// What the head end lets a box have that says what it likes: the caps, the target groups, and who has decided otherwise.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Caps } from '../../../src/workbench/headend/caps.ts';
import { openCounts, writeCounts } from '../../../src/workbench/headend/kept-counts.ts';
import { Ledger } from '../../../src/workbench/headend/ledger.ts';
import { DEFAULT_RULES, type HeadEndCaps, NO_RULES, readRules } from '../../../src/workbench/headend/rules.ts';
import { releaseOf, requestAt } from './requests.ts';

const AT_MS = Date.parse('2026-01-14T18:00:00.000Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const capped = (caps: Partial<HeadEndCaps>) => new Caps({ ...NO_RULES.caps, ...caps }, new Map());
let sequence = 0;
const limit = (atMs: number, changes: Parameters<typeof requestAt>[2] = {}) => requestAt(atMs, ++sequence, changes);
const endS = (allowed: ReturnType<Caps['take']>, fromMs: number) =>
  'refused' in allowed ? allowed.refused : (allowed.endWallMs - fromMs) / 1000;

describe('a box that keeps none of its caps', () => {
  test('is refused more than so many requests an hour, but not a shallower level or a release', () => {
    const caps = capped({ requestsPerHour: 2 });
    expect(endS(caps.take(limit(AT_MS), AT_MS), AT_MS)).toBe(1800);
    expect(endS(caps.take(limit(AT_MS, { action: 'refresh' }), AT_MS), AT_MS)).toBe(1800);
    expect(caps.take(limit(AT_MS, { levelPercent: 50 }), AT_MS)).toEqual({ refused: 'requestsPerHour 2' });
    expect(caps.take(limit(AT_MS, { action: 'refresh' }), AT_MS)).toEqual({ refused: 'requestsPerHour 2' });
    expect(endS(caps.take(limit(AT_MS, { levelPercent: 80 }), AT_MS), AT_MS)).toBe(1800);
    expect(caps.take(releaseOf(limit(AT_MS), ++sequence), AT_MS)).not.toHaveProperty('refused');
    expect(endS(caps.take(limit(AT_MS + HOUR_MS), AT_MS + HOUR_MS), AT_MS + HOUR_MS)).toBe(1800);
  });

  test('has its levels cut to the deepest that is allowed, those of the phases too', () => {
    const levels = { phases: ['L1', 'L2'] as ('L1' | 'L2')[], levelPercent: 0, levelPercentByPhase: { L1: 0, L2: 60 } };
    const allowed = capped({ deepestLevelPercent: 25 }).take(limit(AT_MS, levels), AT_MS);
    expect(allowed).toMatchObject({
      message: { levelPercent: 25, levelPercentByPhase: { L1: 25, L2: 60 } },
      remarks: ['deepestLevelPercent 25'],
    });
  });

  test('has a lease cut to the longest', () => {
    const far = { end: new Date(AT_MS + 10 * HOUR_MS).toISOString(), durationS: 36_000 };
    const allowed = capped({ longestLeaseS: 7_200 }).take(limit(AT_MS, far), AT_MS);
    expect(endS(allowed, AT_MS)).toBe(7_200);
    expect(allowed).toMatchObject({ remarks: ['longestLeaseS 7200'] });
  });

  test.each([
    ['refreshes', () => ({ action: 'refresh' as const })],
    ['ever new episodes', (n: number) => ({ episodeId: `01990000-0000-7000-8000-${String(n).padStart(12, '0')}` })],
    ['ever shallower levels', (n: number) => ({ levelPercent: 60 + n / 100 })],
  ])('cannot keep a feeder limited for ever by %s', (_name, changes) => {
    const caps = capped({ longestLimitS: 7_200, pauseS: 1_800 });
    const ends: number[] = [];
    for (let minute = 0; minute < 240; minute += 5) {
      const atMs = AT_MS + minute * MINUTE_MS;
      const allowed = caps.take(limit(atMs, changes(minute)), atMs);
      if ('refused' in allowed) break;
      ends.push(allowed.endWallMs);
    }
    expect(Math.max(...ends)).toBe(AT_MS + 7_200_000);
    expect(ends).toHaveLength(24);
    const pausedMs = AT_MS + 7_200_000 + 1_800_000;
    expect(caps.take(limit(pausedMs - 1), pausedMs - 1)).toEqual({ refused: 'longestLimitS 7200' });
    expect(endS(caps.take(limit(pausedMs), pausedMs), pausedMs)).toBe(1800);
  });

  test('has so many minutes in 24 h, however they are cut up', () => {
    const caps = capped({ minutesPerDay: 40 });
    let limitedMs = 0;
    for (let minute = 0; minute < 24 * 60; minute += 30) {
      const atMs = AT_MS + minute * MINUTE_MS;
      const allowed = caps.take(limit(atMs, { durationS: 600 }), atMs);
      if (!('refused' in allowed)) limitedMs += allowed.endWallMs - atMs;
      else expect(allowed).toEqual({ refused: 'minutesPerDay 40' });
    }
    expect(limitedMs).toBe(40 * MINUTE_MS);
    const nextDayMs = AT_MS + 24 * HOUR_MS + 60 * MINUTE_MS;
    expect(caps.take(limit(nextDayMs), nextDayMs)).not.toHaveProperty('refused');
  });

  test('begins so many limits in 24 h, but for an emergency', () => {
    const caps = capped({ operationsPerDay: 1 });
    const short = { durationS: 60 };
    caps.take(limit(AT_MS, short), AT_MS);
    const laterMs = AT_MS + 2 * MINUTE_MS;
    expect(caps.take(limit(laterMs, short), laterMs)).toEqual({ refused: 'operationsPerDay 1' });
    expect(caps.take(limit(laterMs, { ...short, priority: 'emergency' }), laterMs)).not.toHaveProperty('refused');
  });

  test('limits so many of its feeders at once, whatever other substations do', () => {
    const caps = capped({ feedersAtOnce: 1 });
    caps.take(limit(AT_MS, { feederId: 'F1' }), AT_MS);
    expect(caps.take(limit(AT_MS, { feederId: 'F2' }), AT_MS)).toEqual({ refused: 'feedersAtOnce 1' });
    expect(caps.take(limit(AT_MS, { substationId: 'SUB-2' }), AT_MS)).not.toHaveProperty('refused');
    caps.take(releaseOf(limit(AT_MS, { feederId: 'F1' }), ++sequence), AT_MS + 1_000);
    expect(caps.take(limit(AT_MS, { feederId: 'F2' }), AT_MS + 1_000)).not.toHaveProperty('refused');
  });

  test('holds no device lower or longer than all of that, whatever it says', () => {
    const said = fc.record({
      afterMs: fc.integer({ min: 0, max: 40 * MINUTE_MS }),
      action: fc.constantFrom('limit', 'refresh', 'release' as const),
      levelPercent: fc.integer({ min: 0, max: 100 }),
      durationS: fc.integer({ min: 0, max: 50_000 }),
    });
    fc.assert(
      fc.property(fc.array(said, { maxLength: 60 }), (all) => {
        const rules = { longestLeaseS: 3_600, longestLimitS: 5_400, minutesPerDay: 120, deepestLevelPercent: 20 };
        const caps = capped(rules);
        let atMs = AT_MS;
        const limited: { fromMs: number; toMs: number }[] = [];
        for (const { afterMs, ...changes } of all) {
          atMs += afterMs;
          const end = new Date(atMs + changes.durationS * 1000).toISOString();
          const allowed = caps.take(limit(atMs, { ...changes, end }), atMs);
          if ('refused' in allowed) continue;
          const last = limited.at(-1);
          if (last !== undefined && last.toMs > atMs) last.toMs = atMs;
          if (changes.action === 'release') continue;
          expect(allowed.message.levelPercent).toBeGreaterThanOrEqual(20);
          expect(allowed.endWallMs - atMs).toBeLessThanOrEqual(3_600_000);
          limited.push({ fromMs: atMs, toMs: allowed.endWallMs });
        }
        for (const { toMs } of limited) {
          const day = limited.map((one) =>
            Math.max(0, Math.min(one.toMs, toMs) - Math.max(one.fromMs, toMs - 24 * HOUR_MS)),
          );
          expect(day.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(120 * MINUTE_MS);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a target group', () => {
  const rules = { ...NO_RULES, targetGroups: { 'TG-F1': { substationId: 'SUB-4711', feederId: 'F1', version: 3 } } };
  const taken = (changes: Parameters<typeof requestAt>[2]) => new Ledger(rules).take(limit(AT_MS, changes), AT_MS);

  test('of an old version is accepted, with a reason', () => {
    expect(taken({ targetGroup: { id: 'TG-F1', version: 3 } })).toMatchObject({ kind: 'new', remark: null });
    expect(taken({ targetGroup: { id: 'TG-F1', version: 2 } })).toMatchObject({
      kind: 'new',
      remark: 'target group TG-F1 is version 3 here, not 2: its present devices',
    });
  });

  test.each([
    ['that nobody knows', { targetGroup: { id: 'TG-X', version: 1 } }, 'target group TG-X is not known here'],
    ["of another feeder's chargers", { feederId: 'F2' }, 'target group TG-F1 is not behind this feeder'],
    ["of another substation's", { substationId: 'SUB-2' }, 'target group TG-F1 is not behind this feeder'],
    [
      'of others, in a release',
      { feederId: 'F2', action: 'release' as const },
      'target group TG-F1 is not behind this feeder',
    ],
  ])('%s is rejected', (_name, changes, reason) => {
    expect(taken(changes)).toMatchObject({ kind: 'turnedDown', status: 'rejected', reason });
  });
});

test('where somebody has decided otherwise nothing is limited, and a release is taken all the same', () => {
  const overridden = [{ substationId: 'SUB-4711', feederId: 'F1', reason: 'works on the feeder' }];
  const ledger = new Ledger({ ...NO_RULES, overridden });
  expect(ledger.take(limit(AT_MS), AT_MS)).toMatchObject({
    kind: 'turnedDown',
    status: 'overridden',
    reason: 'works on the feeder',
  });
  expect(ledger.take(releaseOf(limit(AT_MS), ++sequence), AT_MS).kind).toBe('new');
});

describe('what the rules have counted', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'headroom-counts-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  let files = 0;
  /** A head end that is started again on the same file whenever `restart` is called. */
  function kept(caps: Partial<HeadEndCaps>) {
    const file = join(scratch, `${++files}.json`);
    const open = () => {
      const counts = openCounts(file);
      return { counts, caps: new Caps({ ...NO_RULES.caps, ...caps }, counts.tracks) };
    };
    let now = open();
    return {
      take: (...request: Parameters<Caps['take']>) => now.caps.take(...request),
      restart() {
        writeCounts(now.counts);
        now = open();
      },
    };
  }

  test('is there after a restart, whatever the rule', () => {
    const { take, restart } = kept({ requestsPerHour: 3, longestLimitS: 3_000, minutesPerDay: 40 });
    take(limit(AT_MS), AT_MS);
    restart();
    // 1,800 s, then what is left of 40 minutes.
    const laterMs = AT_MS + 30 * MINUTE_MS;
    expect(endS(take(limit(laterMs), laterMs), laterMs)).toBe(600);
    restart();
    expect(take(limit(laterMs, { levelPercent: 10 }), laterMs)).not.toHaveProperty('refused');
    restart();
    expect(take(limit(laterMs, { levelPercent: 0 }), laterMs)).toEqual({ refused: 'requestsPerHour 3' });
  });

  test('counts the request that is retained once, and its time does not begin anew', () => {
    const { take, restart } = kept({ requestsPerHour: 2, longestLeaseS: 900 });
    const request = limit(AT_MS);
    expect(endS(take(request, AT_MS), AT_MS)).toBe(900);
    for (let minute = 1; minute < 15; minute++) {
      restart();
      const again = take(request, AT_MS + minute * MINUTE_MS);
      expect(again).toMatchObject({ endWallMs: AT_MS + 900_000, remarks: ['count of before its restart'] });
    }
    restart();
    const overMs = AT_MS + 15 * MINUTE_MS;
    expect(take(request, overMs)).toEqual({ refused: 'count of before its restart' });
    expect(take(limit(overMs), overMs)).not.toHaveProperty('refused');
    expect(take(limit(overMs, { levelPercent: 0 }), overMs)).toEqual({ refused: 'requestsPerHour 2' });
  });

  test.each([
    ['{', /counts\.json: .*JSON/],
    ['{"S/F1":{"endMs":"x"}}', /counts\.json: S\/F1\.\w+: /],
  ])('in a file that is none is told of, with its place: %s', (text, expected) => {
    const file = join(scratch, 'counts.json');
    writeFileSync(file, text);
    expect(() => openCounts(file)).toThrow(expected);
  });
});

describe('the file of the rules', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'headroom-rules-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  const read = (text: string) => {
    const file = join(scratch, 'rules.json');
    writeFileSync(file, text);
    return () => readRules(file);
  };

  test('may say as little as it likes', () => {
    expect(read('{}')()).toEqual(DEFAULT_RULES);
    expect(read('{"caps":{"minutesPerDay":60}}')().caps).toEqual({ ...DEFAULT_RULES.caps, minutesPerDay: 60 });
  });

  test.each([
    ['{', /rules\.json: .*JSON/],
    ['{"caps":{"deepestLevelPercent":101}}', /rules\.json: caps\.deepestLevelPercent: .*100/],
    ['{"cap":{}}', /rules\.json: rules: .*cap/],
  ])('with an error names the place: %s', (text, expected) => {
    expect(read(text)).toThrow(expected);
  });
});
