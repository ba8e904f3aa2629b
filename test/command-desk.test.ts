// What the head end may order: everything that is refused, by table, and how many are looked at.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CommandDesk, type Moment } from '../src/command-desk.ts';
import { INBOUND_BYTES_MAX } from '../src/messages.ts';

const WALL_MS = Date.parse('2026-01-15T17:00:00.000Z');
const NOW: Moment = { monotonicMs: 1_000_000, wallMs: WALL_MS, clockSynchronised: true };
const TARGETS = [
  { feederId: 'F1', groupsByCommand: ['winter', 'works'] },
  { feederId: 'F2', groupsByCommand: ['works'] },
];
const iso = (afterS: number) => new Date(WALL_MS + afterS * 1000).toISOString();
const command = (given: object) => ({
  schema: 'headroom/v1/command',
  commandId: 'c-1',
  issuedAt: iso(-5),
  expiresAt: iso(55),
  ...given,
});

function judged(given: unknown, now: Partial<Moment> = {}, { retained = false } = {}) {
  const bytes = Buffer.from(typeof given === 'string' ? given : JSON.stringify(given));
  return new CommandDesk(10).judge(bytes, retained, { ...NOW, ...now }, TARGETS);
}

describe('a command is taken', () => {
  test.each([
    ['a block of everything', { action: 'block' }],
    [
      'a block of one feeder with an end, at once',
      { action: 'block', feederId: 'F1', until: iso(600), immediate: true },
    ],
    ['an end of it', { action: 'unblock', feederId: 'F2' }],
    ['a release', { action: 'release', immediate: false }],
    ['test mode', { action: 'testMode', until: iso(600) }],
    ['the end of test mode', { action: 'testMode' }],
    ['a group that the settings allow', { action: 'settingsGroup', feederId: 'F1', group: 'winter' }],
    ['a group that every feeder has', { action: 'settingsGroup', group: 'works', until: iso(3600) }],
    ['the calendar', { action: 'settingsGroup' }],
    ['say again', { action: 'sayAgain' }],
    [
      'times without fractions',
      { action: 'sayAgain', issuedAt: '2026-01-15T17:00:00Z', expiresAt: '2026-01-15T17:01:00Z' },
    ],
    ["a head end's clock that is a little ahead", { action: 'sayAgain', issuedAt: iso(59), expiresAt: iso(120) }],
  ])('%s', (_name, given) => {
    expect(judged(command(given))).toEqual({ kind: 'take', command: command(given) });
  });

  test.each(['release', 'block'])('%s with a clock that nobody keeps, whatever its times say', (action) => {
    const given = command({ action, issuedAt: iso(-90_000), expiresAt: iso(-86_400) });
    expect(judged(given, { clockSynchronised: false }).kind).toBe('take');
  });
});

describe('a command is refused', () => {
  const release = { action: 'release' };
  test.each<[string, unknown, RegExp]>([
    ['nothing', '', /^no JSON$/],
    ['no object', [command(release)], /^message: /],
    ['another schema', command({ ...release, schema: 'headroom/v2/command' }), /^schema: /],
    ['no action', command({}), /^action: /],
    ['an action that there is not', command({ action: 'setPickup' }), /^action: /],
    ['a setting in it', command({ action: 'settingsGroup', group: 'works', pickupA: 9_000 }), /pickupA/],
    ['a longer limit in it', command({ ...release, leaseS: 90_000 }), /leaseS/],
    ['a broker in it', command({ action: 'sayAgain', url: 'mqtts://elsewhere' }), /url/],
    ['a program in it', command({ action: 'sayAgain', run: 'rm -rf /' }), /run/],
    ["another action's field", command({ action: 'block', group: 'works' }), /group/],
    ['no issuedAt', command({ ...release, issuedAt: undefined }), /^issuedAt: /],
    ['a local time', command({ ...release, expiresAt: '2026-01-15 18:00' }), /^expiresAt: /],
    ['an end before its beginning', command({ ...release, expiresAt: iso(-6) }), /not after issuedAt/],
    ['a validity over a day', command({ ...release, expiresAt: iso(86_400) }), /more than 24 h/],
    ['a beginning in the future', command({ ...release, issuedAt: iso(61), expiresAt: iso(90) }), /future/],
    ['an unknown feeder', command({ ...release, feederId: 'F9' }), /no feeder F9/],
    ['a group that is not by command', command({ action: 'settingsGroup', feederId: 'F1', group: 'summer' }), /summer/],
    ['a group that only some feeders have', command({ action: 'settingsGroup', group: 'winter' }), /winter/],
    ['an id of spaces', command({ ...release, commandId: 'a b' }), /^commandId: /],
    ['too many bytes', command({ ...release, feederId: 'F'.repeat(INBOUND_BYTES_MAX) }), /bytes, expected at most/],
  ])('%s', (_name, given, expected) => {
    const verdict = judged(given);
    expect(verdict).toMatchObject({ kind: 'refuse', status: 'rejected' });
    expect('reason' in verdict && verdict.reason).toMatch(expected);
  });

  test('once it has expired, to the millisecond', () => {
    const given = command({ action: 'unblock' });
    expect(judged(given, { wallMs: WALL_MS + 54_999 }).kind).toBe('take');
    expect(judged(given, { wallMs: WALL_MS + 55_000 })).toMatchObject({ kind: 'refuse', status: 'expired' });
  });

  test.each(['unblock', 'testMode', 'settingsGroup', 'sayAgain'])('%s with a clock that nobody keeps', (action) => {
    expect(judged(command({ action }), { clockSynchronised: false })).toMatchObject({
      kind: 'refuse',
      reason: "the edge's clock is not synchronised",
    });
  });

  test('when it was retained', () => {
    expect(judged(command(release), {}, { retained: true })).toMatchObject({ kind: 'refuse', reason: /retained/ });
  });

  test('with its id, where that much can be read', () => {
    expect(judged(command({ action: 'explode' }))).toMatchObject({ commandId: 'c-1' });
    expect(judged({ commandId: 7 })).toMatchObject({ commandId: null });
  });

  test('whatever the bytes', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.record({ action: fc.string(), commandId: fc.string(), until: fc.anything() }).map((given) => {
        return Buffer.from(JSON.stringify(command(given)) ?? '');
      }),
    );
    fc.assert(
      fc.property(anything, (payload) => {
        expect(new CommandDesk(10).judge(payload, false, NOW, TARGETS).kind).toBe('refuse');
      }),
      { numRuns: 300 },
    );
  });
});

describe('so many a minute', () => {
  const bytes = (action: string) => Buffer.from(JSON.stringify(command({ action })));
  const at = (ms: number) => ({ ...NOW, monotonicMs: NOW.monotonicMs + ms });

  test('and after a quiet minute as many again', () => {
    const desk = new CommandDesk(3);
    const kinds = (ms: number) => [1, 2, 3, 4].map(() => desk.judge(bytes('sayAgain'), false, at(ms), TARGETS).kind);
    expect(kinds(0)).toEqual(['take', 'take', 'take', 'tooMany']);
    expect(kinds(20_000)).toEqual(['take', 'tooMany', 'tooMany', 'tooMany']);
    expect(kinds(3_600_000)).toEqual(['take', 'take', 'take', 'tooMany']);
  });

  test('a flood of other orders or of rubbish does not keep out a release', () => {
    const desk = new CommandDesk(3);
    for (let n = 0; n < 1_000; n++) desk.judge(n % 2 ? bytes('sayAgain') : Buffer.from('{'), false, at(0), TARGETS);
    expect(desk.judge(bytes('release'), false, at(0), TARGETS).kind).toBe('take');
    expect(desk.judge(bytes('sayAgain'), false, at(0), TARGETS).kind).toBe('tooMany');
  });

  test('none where it is 0', () => {
    expect(new CommandDesk(0).judge(bytes('release'), false, NOW, TARGETS).kind).toBe('tooMany');
  });
});
