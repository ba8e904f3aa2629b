// A recorded trace through the control code: timers that expire between samples, what is a gap, what is counted, and
// what is said of rows that cannot be read.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replayJson, replayText } from '../../../src/workbench/replay/show-results.ts';
import { mappingSchema } from '../../../src/workbench/trace/mapping.ts';
import { TraceProblem } from '../../../src/workbench/trace/problem.ts';
import { type Desk, nativeTrace, openDesk, told } from './desk.ts';

let desk: Desk;
beforeAll(() => {
  desk = openDesk();
});
afterAll(() => desk.close());

/** Once a minute: L2 is over 345 A from 120 s to 300 s. */
const EVENING = `
    0  200 300 190
   60  200 320 190
  120  200 360 190
  180  200 370 190
  240  200 365 190
  300  200 300 190
  360  200 290 190
  420  200 280 190
  480  200 280 190
  540  200 280 190
`;

/** Release follows dropout and reset delay alone. */
const AT_ONCE = `ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }
        curtailment: { responseTimeS: 0 }`;

describe('time', () => {
  test('delays end between samples, at their own instant', async () => {
    const trace = desk.file('evening.csv', nativeTrace(EVENING));
    const begin = [
      '120 pickup atRisk L2',
      '150 operate atRisk L2',
      '150 limit atRisk L2 60 %',
      '180 limit atRisk L2 53 %',
      '360 dropout atRisk L2',
    ];
    // A limit is kept for the response time, as in service.
    expect(told(await desk.replay(desk.configuration(), trace))).toEqual(begin);
    expect(told(await desk.replay(desk.configuration(AT_ONCE), trace))).toEqual([
      ...begin,
      '360 limit atRisk L2 78 %',
      '420 release atRisk L2 100 %',
    ]);
  });

  test('stamps come back as stamps', async () => {
    const rows = EVENING.replace(/^ +(\d+)/gm, (_, s) => new Date(Date.UTC(2026, 0, 5, 17) + s * 1000).toISOString());
    const result = await desk.replay(desk.configuration(), desk.file('evening.csv', nativeTrace(rows)));
    expect(told(result)[1]).toBe('2026-01-05T17:02:30.000Z operate atRisk L2');
  });

  test('a trace that starts below zero, with parts of a second', async () => {
    const rows = EVENING.replace(/^ +(\d+)/gm, (_, s) => String(Number(s) - 200.25));
    const result = await desk.replay(desk.configuration(), desk.file('evening.csv', nativeTrace(rows)));
    expect(told(result).slice(0, 2)).toEqual(['-80.25 pickup atRisk L2', '-50.25 operate atRisk L2']);
  });

  test('pollMs and timeoutMs play no part', async () => {
    const configuration = desk.configuration();
    const [source] = configuration.settings.sources;
    const slow = {
      ...configuration,
      settings: { ...configuration.settings, sources: [{ ...source, pollMs: 60_000, timeoutMs: 60_000 }] },
    } as typeof configuration;
    const trace = desk.file('evening.csv', nativeTrace(EVENING));
    expect(told(await desk.replay(slow, trace))).toEqual(told(await desk.replay(configuration, trace)));
  });

  test('a delay that is not over when the trace ends does not end', async () => {
    const rows = EVENING.split('\n').slice(0, 4).join('\n');
    const result = await desk.replay(desk.configuration(), desk.file('short.csv', nativeTrace(rows)));
    expect(told(result)).toEqual(['120 pickup atRisk L2']);
    expect(result.feeders[0]?.episodes).toEqual([]);
  });

  test('an episode that the trace does not see the end of has none', async () => {
    const rows = EVENING.split('\n').slice(0, 6).join('\n');
    const result = await desk.replay(desk.configuration(), desk.file('short.csv', nativeTrace(rows)));
    expect(result.feeders[0]?.episodes).toMatchObject([{ endMs: null, minutes: 2, limitedMinutes: 1.5 }]);
    expect(JSON.parse(replayJson(result)).feeders.F1.episodes[0].end).toBeNull();
  });
});

describe('gaps', () => {
  /** Four samples a minute apart, then one `gapS` later; L1 is over all the while. */
  const rows = (gapS: number) => `
       0  300 0 0
      60  300 0 0
     120  300 0 0
     180  350 0 0
     ${180 + gapS}  350 0 0
     ${240 + gapS}  350 0 0
  `;
  const delayed = 'ratingA: 385\n        atRisk: { pickupA: 345, dropoutA: 310, delayS: 200, resetDelayS: 60 }';

  test('three median intervals are none', async () => {
    const result = await desk.replay(desk.configuration(delayed), desk.file('gap.csv', nativeTrace(rows(180))));
    expect(told(result).slice(0, 2)).toEqual(['180 pickup atRisk L1', '380 operate atRisk L1']);
    expect(result.feeders[0]).toMatchObject({ gaps: 0, gapS: 180 });
  });

  test('more than three are one: blind, and what was counted starts anew', async () => {
    const result = await desk.replay(desk.configuration(delayed), desk.file('gap.csv', nativeTrace(rows(181))));
    expect(told(result)).toEqual([
      '180 pickup atRisk L1',
      '360.001 dropout atRisk L1',
      '360.001 blind',
      '361 pickup atRisk L1',
      '361 alarmEnd',
    ]);
    expect(result.feeders[0]).toMatchObject({ gaps: 1, gapMinutes: 3.017 });
  });

  test('--gap sets it', async () => {
    const trace = desk.file('gap.csv', nativeTrace(rows(300)));
    const result = await desk.replay(desk.configuration(delayed), trace, { gapS: 300 });
    expect(told(result)[1]).toBe('380 operate atRisk L1');
    expect(result.feeders[0]).toMatchObject({ gaps: 0, gapS: 300 });
  });

  test('the median is that of the whole trace, also where it begins otherwise', async () => {
    const quick = Array.from({ length: 100 }, (_, index) => `${index} 300 0 0`);
    const slow = Array.from({ length: 200 }, (_, index) => `${160 + index * 60} 300 0 0`);
    const result = await desk.replay(
      desk.configuration(),
      desk.file('two.csv', nativeTrace([...quick, ...slow].join('\n'))),
    );
    expect(result.feeders[0]).toMatchObject({ gaps: 0, gapS: 180, readings: 300 });
    expect(told(result)).toEqual([]);
  });
});

describe('open loop', () => {
  test('no effect is judged: a current that stays over is not asked for more', async () => {
    const rows = Array.from({ length: 60 }, (_, index) => `${index * 60} 0 350 0`).join('\n');
    const result = await desk.replay(desk.configuration(), desk.file('flat.csv', nativeTrace(rows)));
    // 40 A of 128 A: 68 %. Nothing but refreshes follows.
    expect(told(result).slice(0, 3)).toEqual(['0 pickup atRisk L2', '30 operate atRisk L2', '30 limit atRisk L2 68 %']);
    expect(told(result).slice(3)).toEqual(
      ['630', '1230', '1830', '2430', '3030'].map((at) => `${at} refresh atRisk L2 68 %`),
    );
  });

  test('every output says so', async () => {
    const result = await desk.replay(desk.configuration(), desk.file('evening.csv', nativeTrace(EVENING)));
    expect(replayText(result)).toContain('open loop');
    expect(replayJson(result)).toContain('open loop');
  });
});

describe('the quality rules', () => {
  const quality = (result: Awaited<ReturnType<Desk['replay']>>) =>
    result.events.filter(({ type }) => type === 'quality').map(({ phase, reason }) => `${phase} ${reason}`);

  test('a step is doubted until the next reading confirms it, and picks up all the same', async () => {
    const trace = desk.file('step.csv', nativeTrace('0 100 90 80\n1 500 90 80\n2 500 90 80\n3 500 90 80'));
    const result = await desk.replay(desk.configuration(), trace);
    expect(quality(result)).toEqual(['L1 step begins: L1 from 100 A to 500 A at once']);
    expect(told(result)).toEqual(['1 pickup atRisk L1']);
  });

  test('what nobody delivers is bad, and no gap of a minute is a step', async () => {
    const trace = desk.file('beyond.csv', nativeTrace('0 100 90 80\n300 500 90 80\n600 99999 90 80\n900 100 90 80'));
    const result = await desk.replay(desk.configuration(), trace);
    expect(quality(result)).toEqual([
      'L1 badReading begins: L1 is bad: beyondRegister',
      'L1 badReading ends: its cause has not been seen since',
    ]);
  });

  test('a phase that is confirmed and feeds back asks for nothing; an unconfirmed one is looked at', async () => {
    const rows = Array.from({ length: 30 }, (_, index) => `${index * 60} -400 90 80`).join('\n');
    const trace = desk.file('export.csv', nativeTrace(rows));
    const unknown = await desk.replay(desk.configuration(), trace);
    expect(quality(unknown)).toEqual([expect.stringMatching(/^L1 wiring begins/)]);
    const confirmed = await desk.replay(
      desk.configuration(undefined, ['F1'], undefined, 'powerSign: confirmed'),
      trace,
    );
    expect(told(confirmed).filter((event) => event.includes('limit'))).toEqual([]);
  });
});

describe('settings groups', () => {
  const groups = `ratingA: 385
        calendar: { timeZone: Europe/London, fromTime: "17:00", toTime: "20:00" }
        atRisk: { pickupA: 200, dropoutA: 180, delayS: 30, resetDelayS: 60 }
      - name: day
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }`;
  const rows = (time: (minute: number) => string) =>
    Array.from({ length: 240 }, (_, minute) => `${time(minute)} 250 90 80`).join('\n');

  test('the calendar has its say, to the minute', async () => {
    const stamps = rows((minute) => new Date(Date.UTC(2026, 0, 5, 16, 40) + minute * 60_000 + 7000).toISOString());
    const result = await desk.replay(desk.configuration(groups), desk.file('calendar.csv', nativeTrace(stamps)));
    expect(result.events.filter(({ type }) => type === 'settings').map(({ reason }) => reason)).toEqual([
      'group desk: by the calendar',
      'group day: by the calendar',
    ]);
    expect(told(result).filter((event) => /settings|pickup|dropout/.test(event))).toEqual([
      '2026-01-05T17:00:00.000Z settings',
      '2026-01-05T17:00:07.000Z pickup atRisk L1',
      '2026-01-05T20:00:00.000Z settings',
      '2026-01-05T20:01:07.000Z dropout atRisk L1',
    ]);
  });

  test('seconds are in no calendar, and it is said', async () => {
    const trace = desk.file('seconds.csv', nativeTrace(rows((minute) => String(minute * 60))));
    const result = await desk.replay(desk.configuration(groups), trace);
    expect(told(result)).toEqual([]);
    expect(result.notes).toEqual([expect.stringContaining('settings group day throughout')]);
  });
});

describe('what is counted', () => {
  test('the document', async () => {
    const result = await desk.replay(
      desk.configuration(AT_ONCE),
      desk.file('evening.csv', nativeTrace(EVENING.replace('370', '390').replace('200 320', '- 320'))),
    );
    const { feeders, events } = JSON.parse(replayJson(result));
    expect(feeders).toEqual({
      F1: {
        readings: 10,
        bad: 1,
        episodes: [
          {
            start: 120,
            end: 480,
            element: 'atRisk',
            phase: 'L2',
            peakA: 390,
            deepestLevelPercent: 37,
            minutes: 6,
          },
        ],
        overRatingMinutes: 1,
        peakA: 390,
        peakThermalPercent: null,
      },
    });
    expect(events[0]).toMatchObject({
      at: 60,
      type: 'quality',
      phase: 'L1',
      reason: expect.stringMatching(/^badReading begins/),
    });
    expect(events[1]).toEqual({
      at: 120,
      feederId: 'F1',
      type: 'pickup',
      element: 'atRisk',
      phase: 'L2',
      currentA: 360,
      reason: 'at or above pickupA 345',
    });
  });

  test('a negative value is a magnitude of the wrong sign', async () => {
    const trace = desk.file('signs.csv', nativeTrace(EVENING.replace('360 190', '-360 -190')));
    const result = await desk.replay(desk.configuration(), trace);
    expect(result.feeders[0]).toMatchObject({ wrongSigns: 1, bad: 0, peakA: 370 });
    expect(told(result)[0]).toBe('120 pickup atRisk L2');
  });

  test('where the sign is known, export is none of the wrong sign, and a phase that feeds back asks for nothing', async () => {
    const rows = EVENING.trim()
      .split('\n')
      .map((row) =>
        row
          .trim()
          .split(/ +/)
          .map((cell, at) => (at === 2 ? `-${cell}` : cell)),
      );
    const trace = desk.file('export.csv', `t,a,b,c\n${rows.map((row) => row.join(',')).join('\n')}\n`);
    const read = (sign: string, powerSign: string) => {
      const given = { time: { column: 't', format: 'seconds' }, sign, feeders: { F1: { L1: 'a', L2: 'b', L3: 'c' } } };
      const configuration = desk.configuration(undefined, ['F1'], '', `powerSign: ${powerSign}`);
      return desk.replay(configuration, trace, { mapping: mappingSchema.parse(given) });
    };
    const exported = await read('importIsPositive', 'confirmed');
    expect(exported.feeders[0]).toMatchObject({ wrongSigns: 0, peakA: 370, episodes: [{ deepestLevelPercent: null }] });
    expect(exported.events.map(({ reason }) => reason.split(':')[0])).toContain('reverseOverload');
    // L2 imports, and the other two do not.
    const imported = await read('importIsNegative', 'confirmed');
    expect(imported.feeders[0]).toMatchObject({ wrongSigns: 0, episodes: [{ phase: 'L2', deepestLevelPercent: 53 }] });
    // What the meter's sign is nobody knows, in service as here: the magnitude counts.
    const magnitudes = await read('importIsPositive', 'unknown');
    expect(magnitudes.feeders[0]).toMatchObject({
      wrongSigns: 0,
      episodes: [{ phase: 'L2', deepestLevelPercent: 53 }],
    });
    expect((await read('unknown', 'unknown')).feeders[0]).toMatchObject({ wrongSigns: 10 });
  });

  test('a number that no CT delivers is no value: neither a peak nor over the rating', async () => {
    const trace = desk.file('huge.csv', nativeTrace(EVENING.replace('360 190', '360 65535')));
    const result = await desk.replay(desk.configuration(), trace);
    expect(result.feeders[0]).toMatchObject({ bad: 1, peakA: 370, overRatingMinutes: 0 });
    expect(result.feeders[0]?.episodes[0]?.peakA).toBe(370);
  });

  test('without anybody to ask an episode ends with the dropout', async () => {
    const configuration = desk.configuration();
    const [feeder] = configuration.settings.feeders;
    const { targetGroup: _, ...alone } = feeder as NonNullable<typeof feeder>;
    const alarming = { ...configuration, settings: { ...configuration.settings, feeders: [alone] } };
    const result = await desk.replay(alarming, desk.file('evening.csv', nativeTrace(EVENING)));
    expect(result.feeders[0]?.episodes).toMatchObject([{ deepestLevelPercent: null, minutes: 4, limitedMinutes: 0 }]);
  });
});

describe('files', () => {
  test('several feeders in one long form, one after the other or by turns, give the same', async () => {
    const configuration = desk.configuration(undefined, ['F1', 'F2']);
    const rows = (feeder: string) => nativeTrace(EVENING, feeder).split('\n').slice(1, -1);
    const one = ['time,feeder,L1_A,L2_A,L3_A', ...rows('F1'), ...rows('F2'), ''].join('\n');
    const turns = ['time,feeder,L1_A,L2_A,L3_A', ...rows('F1').flatMap((row, at) => [row, rows('F2')[at]]), ''].join(
      '\n',
    );
    const after = await desk.replay(configuration, desk.file('one.csv', one));
    const byTurns = await desk.replay(configuration, desk.file('turns.csv', turns));
    expect(after.events).toEqual(byTurns.events);
    expect(after.feeders).toEqual(byTurns.feeders);
    expect(after.events.map(({ feederId }) => feederId).slice(0, 2)).toEqual(['F1', 'F2']);
  });

  test('a trace in several files, gzipped or not', async () => {
    const lines = nativeTrace(EVENING).split('\n');
    const first = desk.file('1.csv', `${lines.slice(0, 5).join('\n')}\n`);
    const second = desk.file('2.csv.gz', gzipSync([lines[0], ...lines.slice(5)].join('\n')));
    const whole = await desk.replay(desk.configuration(), desk.file('evening.csv', nativeTrace(EVENING)));
    expect(told(await desk.replay(desk.configuration(), [first, second]))).toEqual(told(whole));
  });

  test('feeders that the configuration does not have are told of', async () => {
    const text = `${nativeTrace(EVENING)}0,F9,1,2,3\n60,F9,1,2,3\n`;
    const result = await desk.replay(desk.configuration(), desk.file('more.csv', text));
    expect([...result.unknown]).toEqual([['F9', 2]]);
    expect(replayText(result)).toContain('feeder F9 is not in the configuration: 2 rows');
  });
});

describe('rows that cannot be read', () => {
  const HEADER = 'time,feeder,L1_A,L2_A,L3_A';
  test.each([
    ['60,F1,1,2', 'row is 4 cells, expected 5, as in the header'],
    ['60,F1,1,2,3,4', 'row is 6 cells, expected 5, as in the header'],
    ['60,,1,2,3', 'feeder is "", expected the id of one'],
    ['later,F1,1,2,3', 'time is "later", expected ISO 8601 or seconds, the same in every row'],
    [
      '2026-01-05T17:00:00Z,F1,1,2,3',
      'time is "2026-01-05T17:00:00Z", expected ISO 8601 or seconds, the same in every row',
    ],
    ['0,F1,1,2,3', 'time is 0, expected a time after the feeder’s row before'],
    ['60,F1,abc,2,3', 'L1_A is "abc", expected a number, or nothing'],
    ['60,F1,1,2,0x10', 'L3_A is "0x10", expected a number, or nothing'],
    ['60,F1,1,.,3', 'L2_A is ".", expected a number, or nothing'],
    ['60,F1,1,Infinity,3', 'L2_A is "Infinity", expected a number, or nothing'],
    ['60,F1,1,1e999,3', 'L2_A is "1e999", expected a number, or nothing'],
  ])('%s', async (row, message) => {
    const file = desk.file('broken.csv', `${HEADER}\n0,F1,1,2,3\n${row}\n120,F1,1,2,3\n`);
    const result = await desk.replay(desk.configuration(), file);
    expect(result.broken.count).toBe(1);
    expect(result.feeders[0]).toMatchObject({ readings: 2 });
    await expect(desk.replay(desk.configuration(), file, { strict: true })).rejects.toThrow(`${file}:3:1: ${message}`);
  });

  test.each([
    ['', 'time is missing, expected a header like time,feeder,L1_A,L2_A,L3_A[,N_A]'],
    ['a,b,c\n1,2,3\n', 'time is missing, expected a header like'],
    [`${HEADER}\n`, 'row is missing, expected at least one reading'],
    ['a,\u001b[2J,c\n1,2,3\n', 'not "a,·[2J,c"'],
    [`${HEADER}\n0,F9,1,2,3\n`, 'feeder is F9, expected a feeder of the configuration (F1)'],
    [`${HEADER}\n0,F1,x,2,3\n`, 'L1_A is "x", expected a number, or nothing'],
  ])('a file of which nothing can be used: %j', async (text, message) => {
    const file = desk.file('nothing.csv', text);
    const failed = await desk.replay(desk.configuration(), file).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TraceProblem);
    expect(String(failed)).toContain(message);
  });

  test('no file, a folder, a device, a broken archive', async () => {
    const configuration = desk.configuration();
    const missing = `${desk.folder}/missing.csv`;
    await expect(desk.replay(configuration, missing)).rejects.toThrow(
      `${missing}: not found, expected a readable trace`,
    );
    await expect(desk.replay(configuration, desk.folder)).rejects.toThrow('a folder, expected a readable trace');
    await expect(desk.replay(configuration, '/dev/null')).rejects.toThrow(
      'a device or a pipe, expected a readable trace',
    );
    const archive = gzipSync(nativeTrace(EVENING).repeat(50));
    const broken = desk.file('broken.csv.gz', archive.subarray(0, archive.length / 2));
    await expect(desk.replay(configuration, broken)).rejects.toThrow('a broken gzip archive');
  });

  test('seconds in one file and stamps in another', async () => {
    const first = desk.file('1.csv', nativeTrace('0 1 2 3'));
    const second = desk.file('2.csv', nativeTrace('2026-01-05T17:00:00Z 1 2 3'));
    await expect(desk.replay(desk.configuration(), [first, second])).rejects.toThrow(
      'time is stamps in ISO 8601, expected seconds',
    );
  });
});

describe('the thermal element', () => {
  // From cold at 1.5 times its rating 100 % comes after 352.67 s at a time constant of 10 min (Siemens 7SR5 manual).
  const heated = `ratingA: 200
        atRisk: { pickupA: 900, dropoutA: 800, delayS: 30, resetDelayS: 60 }
        thermal: { ratingA: 200, timeConstantMin: 10, leadTimeMin: 1, resetPercent: 95 }`;
  const rows = Array.from({ length: 20 }, (_, minute) => `${minute * 60} 300 100 100`).join('\n');

  test('starts cold, and operates its lead time before 100 %, between two samples', async () => {
    const result = await desk.replay(desk.configuration(heated), desk.file('heat.csv', nativeTrace(rows)));
    expect(told(result)[1]).toMatch(/^292\.67\d* operate thermal L1/);
    expect(result.feeders[0]?.peakThermalPercent).toBeCloseTo(225 * (1 - Math.exp(-1140 / 600)), 1);
  });

  test('starts as hot as it is told', async () => {
    const trace = desk.file('heat.csv', nativeTrace(rows));
    const result = await desk.replay(desk.configuration(heated), trace, { initialThermalPercent: 50 });
    expect(told(result)[1]).toMatch(/^141\.88\d* operate thermal L1/);
  });
});
