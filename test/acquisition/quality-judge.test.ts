// What is bad, what is only uncertain and stays in use, and which alarms begin and end; by sequences of readings.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AlarmChange, judgeReading, newQualityMemory } from '../../src/acquisition/quality-judge.ts';
import { qualityRules } from '../../src/acquisition/quality-rules.ts';
import type { Given, SourceReading } from '../../src/acquisition/source-reading.ts';
import { CONDUCTORS, type FeederReading } from '../../src/feeder.ts';
import { settingsSchema } from '../../src/settings.ts';

const STALE_MS = 1_100;
const WALL_MS = 1_800_000_000_000;

/** A feeder of 400 A on a 400/5 A CT whose meter reports primary amperes unless it is said otherwise. */
function feederOf(more: object = {}) {
  const { feeders } = settingsSchema.parse({
    substation: { id: 's' },
    uplink: { brokers: [{ url: 'mqtts://head-end' }] },
    sources: [{ id: 'meter', type: 'modbus-tcp', host: 'meter', profile: 'eastron-sdm630' }],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'meter' },
        settings: [{ name: 'g', ratingA: 400, atRisk: { pickupA: 380, dropoutA: 340, delayS: 60, resetDelayS: 60 } }],
        ...more,
      },
    ],
  });
  return feeders[0] ?? expect.fail();
}

type Row = Partial<Omit<SourceReading, 'feederId' | 'sourceId'>> & { atS: number };

/** Judges the rows in turn. Gives the last reading and the alarms as text, each with the second of its change. */
function judged(rows: readonly Row[], more: object = {}) {
  const feeder = feederOf(more);
  const rules = qualityRules(feeder, feeder.ctRatio, STALE_MS);
  const memory = newQualityMemory();
  const alarms: string[] = [];
  const readings: FeederReading[] = [];
  for (const { atS, ...row } of rows) {
    const changes: AlarmChange[] = [];
    const all: SourceReading = {
      feederId: 'F1',
      sourceId: 'meter',
      atMs: atS * 1000,
      L1: 100,
      L2: 110,
      L3: 120,
      N: 15,
    };
    readings.push(judgeReading(memory, rules, { ...all, ...row }, WALL_MS + atS * 1000, changes));
    for (const { alarm, phase, standing } of changes)
      alarms.push(`${atS} ${standing ? alarm : `${alarm} over`}${phase === null ? '' : ` ${phase}`}`);
  }
  const last = readings.at(-1) ?? expect.fail();
  return { readings, last, alarms };
}

/** Each second from `fromS` to `toS`. */
function seconds(fromS: number, toS: number, row: (atS: number) => Omit<Row, 'atS'>): Row[] {
  return Array.from({ length: toS - fromS + 1 }, (_, index) => ({ atS: fromS + index, ...row(fromS + index) }));
}

/** A meter whose values move as living ones do. */
const living = (atS: number) => ({ L1: 100 + (atS % 7) / 10, L2: 110 + (atS % 5) / 10, L3: 120 + (atS % 3) / 10 });
const words = ({ L1, L2, L3, N }: FeederReading) => [L1, L2, L3, N].map(({ quality }) => quality);
const ALL_GOOD = ['good', 'good', 'good', 'good'];

describe('an overload is never hidden:', () => {
  test('480 A on a 400/5 A CT is uncertain and stays in use', () => {
    const { last, alarms } = judged([{ atS: 0, L2: 6 }], { ctRatio: { primaryA: 400, secondaryA: 5 } });
    expect(last.L2).toEqual({ currentA: 480, quality: 'uncertain', reason: 'overCtRange' });
    expect(alarms).toContain('0 overCtRange L2');
  });

  test('a supply restored in one step is in use from its first reading, and good from the second', () => {
    const { readings, alarms } = judged([
      { atS: 0, L1: 0, L2: 0, L3: 0, N: 0 },
      { atS: 1, L1: 450, L2: 460, L3: 440 },
      { atS: 2, L1: 445, L2: 462, L3: 441 },
    ]);
    expect(readings[1]?.L1).toEqual({ currentA: 450, quality: 'uncertain', reason: 'step' });
    expect(words(readings[2] ?? expect.fail())).toEqual(ALL_GOOD);
    expect(alarms).toEqual(['1 step L1', '1 step L2', '1 step L3']);
  });

  test('secondary injection that stands still for hours stays in use, on a meter with a register that moves it is good', () => {
    const injected = { L1: 420, L2: 0, L3: 0, N: 0 };
    const still = judged(seconds(0, 3_600, () => injected));
    expect(still.last.L1).toEqual({ currentA: 420, quality: 'uncertain', reason: 'frozen' });
    const alive = judged(seconds(0, 3_600, (atS) => ({ ...injected, liveness: 50 + (atS % 2) / 100 })));
    expect(alive.last.L1).toEqual({ currentA: 420, quality: 'good', reason: null });
  });

  test('one blown fuse leaves its phase in use and the others good', () => {
    const { last, alarms } = judged(seconds(0, 61, (atS) => ({ ...living(atS), L2: 0.5 })));
    expect(words(last)).toEqual(['good', 'uncertain', 'good', 'good']);
    expect(last.L2).toEqual({ currentA: 0.5, quality: 'uncertain', reason: 'phasesApart' });
    expect(alarms).toEqual(['60 phasesApart L2']);
  });

  test('a number that can be an ampere stays one, in any order of readings', () => {
    const given = fc.oneof(
      { weight: 4, arbitrary: fc.double({ min: 0, max: 12_000, noNaN: true }) },
      { weight: 2, arbitrary: fc.constantFrom<Given>(0, 100, 480, 'noAnswer', 'sentinel') },
      { weight: 1, arbitrary: fc.record({ value: fc.constant(250), doubt: fc.constant('sourceDoubts' as const) }) },
    );
    const row = fc.record({
      stepS: fc.constantFrom(0.2, 1, 60, 901),
      currents: fc.record({ L1: given, L2: given, L3: given, N: given }),
      sourceWallMs: fc.constantFrom(undefined, 0, WALL_MS),
      watts: fc.constantFrom(-50_000, 0, 50_000),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 30 }), (rows) => {
        let atS = 0;
        const { readings } = judged(
          rows.map(({ stepS, currents, sourceWallMs, watts }) => {
            atS += stepS;
            const powerW = { L1: watts, L2: watts, L3: watts };
            return { atS, ...currents, powerW, ...(sourceWallMs !== undefined && { sourceWallMs }) };
          }),
        );
        for (const [index, reading] of readings.entries()) {
          for (const name of CONDUCTORS) {
            const value = rows[index]?.currents[name];
            const number = typeof value === 'object' ? value.value : value;
            const expected = typeof number === 'number' ? Math.round(number * 1000) / 1000 : null;
            expect(reading[name].currentA).toBe(expected);
            expect(reading[name].quality === 'bad').toBe(expected === null);
            expect(reading[name].reason === null).toBe(reading[name].quality === 'good');
          }
        }
      }),
    );
  });

  test('whatever is odd about a number, it keeps its amperes unless it can be none', () => {
    const odd: Row[] = [
      { atS: 0, L1: 900, L2: 1, L3: 300, N: 5_000, sourceWallMs: 0 },
      ...seconds(1, 1_000, () => ({ L1: 900, L2: 1, L3: 300, N: 5_000, sourceWallMs: 0 })),
    ];
    for (const { L1, L2, L3 } of judged(odd).readings)
      expect([L1.currentA, L2.currentA, L3.currentA]).toEqual([900, 1, 300]);
  });
});

describe('bad is', () => {
  test.each<[string, Given, string]>([
    ['no answer', 'noAnswer', 'noAnswer'],
    ['a sentinel', 'sentinel', 'sentinel'],
    ['NaN', Number.NaN, 'notANumber'],
    ['an infinity', Number.POSITIVE_INFINITY, 'notANumber'],
    ['more than 30 times the rating where no CT is known', 12_000.1, 'beyondRegister'],
  ])('%s', (_, given, reason) => {
    expect(judged([{ atS: 0, L2: given }]).last.L2).toEqual({ currentA: null, quality: 'bad', reason });
  });

  test('not 30 times the rating itself', () => {
    expect(judged([{ atS: 0, L2: 12_000 }]).last.L2.currentA).toBe(12_000);
  });

  test('one phase alone, and the others stay as they are', () => {
    const { last, alarms } = judged([{ atS: 0, L2: 'sentinel' }]);
    expect(words(last)).toEqual(['good', 'bad', 'good', 'good']);
    expect(alarms).toEqual(['0 badReading L2']);
  });

  test('a silent meter, of which the source itself tells', () => {
    const silent = { L1: 'noAnswer', L2: 'noAnswer', L3: 'noAnswer', N: 'noAnswer' } as const;
    expect(judged([{ atS: 0, ...silent }]).alarms).toEqual([]);
  });

  test('a meter that stands still for 15 min together with its liveness register, until it moves again', () => {
    const rows = seconds(0, 900, () => ({ liveness: 50.01 }));
    const { readings, alarms } = judged([...rows, { atS: 901, liveness: 50.02 }]);
    expect(words(readings[899] ?? expect.fail())).toEqual(ALL_GOOD);
    expect(readings[900]?.L1).toEqual({ currentA: null, quality: 'bad', reason: 'frozen' });
    expect(words(readings[901] ?? expect.fail())).toEqual(ALL_GOOD);
    expect(alarms[0]).toBe('900 frozen');
  });

  test('never a meter of which one phase moves', () => {
    const rows = seconds(0, 2_000, (atS) => ({ L3: 120 + (atS % 2), liveness: 50.01 }));
    expect(words(judged(rows).last)).toEqual(ALL_GOOD);
  });
});

describe('uncertain is', () => {
  test('a single phase that stands still where no register tells whether the meter lives', () => {
    const { last, alarms } = judged(seconds(0, 900, (atS) => ({ ...living(atS), L1: 100 })));
    expect(words(last)).toEqual(['uncertain', 'good', 'good', 'good']);
    expect(alarms).toEqual(['900 frozen L1']);
  });

  test('not a phase that stands still at next to nothing', () => {
    const { last } = judged(
      seconds(0, 2_000, (atS) => ({ ...living(atS), L1: 3.9 })),
      { quality: { apartPercent: 'off' } },
    );
    expect(words(last)).toEqual(ALL_GOOD);
  });

  test('a neutral that carries more than the phases together, for 10 s, and they with it', () => {
    const { readings, last, alarms } = judged(seconds(0, 10, (atS) => ({ ...living(atS), N: 380 })));
    expect(words(readings[9] ?? expect.fail())).toEqual(ALL_GOOD);
    expect(words(last)).toEqual(['uncertain', 'uncertain', 'uncertain', 'uncertain']);
    expect(alarms).toEqual(['10 neutralTooLarge']);
  });

  test.each([
    ['behind', -61_000, 'uncertain'],
    ['ahead', 61_000, 'uncertain'],
    ['within the limit', 60_000, 'good'],
  ])('a source whose time stamp is %s', (_, offMs, quality) => {
    const { last, alarms } = judged([4, 5].map((atS) => ({ atS, sourceWallMs: WALL_MS + atS * 1000 + offMs })));
    expect(words(last)).toEqual([quality, quality, quality, quality]);
    expect(alarms).toEqual(quality === 'good' ? [] : [offMs > 0 ? '4 sourceTime' : '5 sourceTime']);
  });

  test('not a steady current whose stamp is as old as its last change, but one that moves under the same old stamp', () => {
    const steady = judged(seconds(0, 800, () => ({ sourceWallMs: WALL_MS - 3_600_000 })));
    expect(words(steady.last)).toEqual(ALL_GOOD);
    expect(steady.alarms).toEqual([]);
    const moving = judged(seconds(0, 2, (atS) => ({ ...living(atS), sourceWallMs: WALL_MS - 3_600_000 })));
    expect(moving.last.L1.reason).toBe('sourceTime');
    expect(moving.alarms).toEqual(['1 sourceTime']);
  });

  test('what the source itself doubts', () => {
    const { last, alarms } = judged([{ atS: 0, L3: { value: 250, doubt: 'sourceDoubts' } }]);
    expect(last.L3).toEqual({ currentA: 250, quality: 'uncertain', reason: 'sourceDoubts' });
    expect(alarms).toEqual(['0 sourceDoubts L3']);
  });
});

describe('the sign of power', () => {
  const negative = (atS: number) => ({ ...living(atS), powerW: { L1: -20_000, L2: 22_000, L3: 25_000 } });
  const positive = (atS: number) => ({ ...living(atS), powerW: { L1: 20_000, L2: 22_000, L3: 25_000 } });

  test('that is negative for 10 min where nobody has confirmed it is a wiring alarm, and the magnitude is good', () => {
    const { last, alarms } = judged(seconds(0, 600, negative));
    expect(words(last)).toEqual(ALL_GOOD);
    expect(last.exporting).toEqual([]);
    expect(alarms).toEqual(['600 wiring L1']);
  });

  test('that comes and goes is one alarm, over only when it has been right for a day', () => {
    const hours = (fromH: number, toH: number, row: (atS: number) => Omit<Row, 'atS'>): Row[] =>
      Array.from({ length: (toH - fromH) * 60 }, (_, index) => {
        const atS = fromH * 3_600 + index * 60;
        return { atS, ...row(atS) };
      });
    const nights = [hours(0, 8, negative), hours(8, 22, positive), hours(22, 32, negative), hours(32, 57, positive)];
    expect(judged(nights.flat(), { quality: { frozenS: 'off', noLoadS: 'off' } }).alarms).toEqual([
      '600 wiring L1',
      `${32 * 3_600 - 60 + 86_400 + 60} wiring over L1`,
    ]);
  });

  test('that is near zero is noise', () => {
    const noise = (atS: number) => ({ ...living(atS), powerW: { L1: -600, L2: -600, L3: -600 } });
    expect(judged(seconds(0, 1_200, noise)).alarms).toEqual([]);
  });

  test('that is confirmed tells of export, and is no alarm', () => {
    const { last, alarms } = judged(seconds(0, 700, negative), {
      powerSign: { L1: 'confirmed', L2: 'confirmed', L3: 'unknown' },
    });
    expect(last.exporting).toEqual(['L1']);
    expect(alarms).toEqual([]);
  });
});

describe('alarms', () => {
  test('begin once and end a minute after their cause was last seen', () => {
    const rows = seconds(0, 100, (atS) => ({
      ...living(atS),
      ...((atS === 3 || atS === 30) && { L2: 'sentinel' as const }),
    }));
    expect(judged(rows).alarms).toEqual(['3 badReading L2', '91 badReading over L2']);
  });

  test('tell of a way that has carried nothing for a day', () => {
    const rows = Array.from({ length: 1_500 }, (_, minute) => ({ atS: minute * 60, L1: 2, L2: 0, L3: 1, N: 0 }));
    const { alarms, last } = judged(rows, { quality: { frozenS: 'off' } });
    expect(alarms).toEqual(['86400 noLoad']);
    expect(words(last)).toEqual(ALL_GOOD);
  });
});

describe('a rule that is switched off', () => {
  const odd = (atS: number) => ({
    L1: 100,
    L2: atS % 2 === 0 ? 600 : 110,
    L3: 0.5,
    N: 900,
    sourceWallMs: 0,
    liveness: 50,
    powerW: { L1: -20_000, L2: 0, L3: 0 },
  });
  const off = (key: string) => judged(seconds(0, 1_000, odd), { quality: { [key]: 'off' } }).alarms.join();

  test.each([
    ['stepPercent', 'step'],
    ['apartPercent', 'phasesApart'],
    ['neutralPercent', 'neutralTooLarge'],
    ['sourceTimeS', 'sourceTime'],
    ['wrongSignS', 'wiring'],
  ])('%s raises no %s', (key, alarm) => {
    expect(judged(seconds(0, 1_000, odd)).alarms.join()).toContain(` ${alarm}`);
    expect(off(key)).not.toContain(` ${alarm}`);
  });

  test('impossibleTimes takes any number, and ctRangePercent and frozenS call none odd', () => {
    const ctRatio = { primaryA: 400, secondaryA: 5 };
    const off = { impossibleTimes: 'off', ctRangePercent: 'off', frozenS: 'off' };
    const { last } = judged(
      seconds(0, 1_000, () => ({ L1: 2, L2: 2, L3: 200, N: 0, liveness: 50 })),
      {
        ctRatio,
        quality: { ...off, apartPercent: 'off' },
      },
    );
    expect(last.L3).toEqual({ currentA: 16_000, quality: 'good', reason: null });
  });
});
