// The judge of one bad evening: what it counts as lost, doubled or kept, on evenings that are written out.
import { describe, expect, test } from 'vitest';
import { type Transition, transitions } from '../../bench/one-bad-evening/evening.ts';
import { judge, type Utterance } from '../../bench/one-bad-evening/judge.ts';

const limited: Transition = { action: 'limit', shownMs: 10_000, answers: 2 };
const released: Transition = { action: 'release', shownMs: 50_000, answers: 2 };

let count = 0;
function said(action: Utterance['action'], decidedMs: number, more: Partial<Utterance> = {}): Utterance {
  count += 1;
  const validUntilMs = decidedMs + 30_000;
  const made = { id: `id-${count}`, sequence: count, action, supersedes: null, decidedMs, validUntilMs };
  return { ...made, arrivedMs: decidedMs + 5, afterwards: false, ...more };
}

function judged(expected: readonly Transition[], utterances: readonly Utterance[], killsMs: readonly number[] = []) {
  const circumstances = {
    slackMs: 100,
    earlyMs: 5,
    wayMs: 500,
    returnsMs: [],
    killsMs,
    keepingMs: 50,
    leastAnswers: 2,
  };
  return judge({ expected, said: utterances, ...circumstances });
}

describe('one bad evening: the judge', () => {
  test('what is said once, at once, is kept', () => {
    const verdict = judged(
      [limited, { ...released, shownMs: 20_000 }],
      [said('limit', 10_002), said('release', 20_002)],
    );
    expect(verdict).toMatchObject({ expected: 2, lost: 0, wrong: 0, doubles: 0, expired: 0, outOfOrder: 0 });
    expect(verdict.latenciesMs).toEqual([7, 7]);
  });

  test('a release that never comes is lost while the limit holds, and not owed after its own end', () => {
    const held = said('limit', 10_002, { validUntilMs: 90_000 });
    expect(judged([limited, released], [held]).lost).toBe(1);
    expect(judged([limited, released], [said('limit', 10_002)]).lost).toBe(0);
    // A refresh moves the end.
    expect(judged([limited, released], [said('limit', 10_002), said('refresh', 30_000)]).lost).toBe(1);
  });

  test('a limit that was never said is lost, and its release with it', () => {
    expect(judged([limited, released], []).lost).toBe(2);
  });

  test('asking again is a double while the first holds and is not named', () => {
    const first = said('limit', 10_002);
    expect(judged([limited], [first, said('limit', 15_000)]).doubles).toBe(1);
    expect(judged([limited], [first, said('limit', 15_000, { supersedes: first.id })]).doubles).toBe(0);
    expect(judged([limited], [first, said('limit', 15_000, { supersedes: 'another' })]).doubles).toBe(1);
    expect(judged([limited], [first, said('limit', 45_000)]).doubles).toBe(0);
    expect(judged([limited], [first, said('refresh', 15_000), said('limit', 42_000)]).doubles).toBe(1);
  });

  test('what was shown just before a kill may be undone by it, with its way back', () => {
    expect(judged([limited, released], [], [10_040]).lost).toBe(0);
    expect(judged([limited, released], [], [10_060]).lost).toBe(2);
  });

  test('what a single answer showed need not have been taken, and is no double or wrong where it was', () => {
    const once = { ...limited, answers: 1 };
    expect(judged([once, released], []).lost).toBe(0);
    const verdict = judged([once, released], [said('limit', 10_002, { validUntilMs: 90_000 })]);
    expect(verdict).toMatchObject({ lost: 1, wrong: 0, doubles: 0 });
  });

  test('a transition lasts until its way back, by however many steps it is shown', () => {
    const shown = [250, 400, 340, 380, 330, 300, 310].map((currentA, at) => ({
      atMs: at,
      shownMs: at,
      answers: 2,
      currentA,
    }));
    expect(transitions(shown)).toEqual([
      { action: 'limit', shownMs: 1, answers: 4 },
      { action: 'release', shownMs: 5, answers: 4 },
    ]);
  });

  test('what is told of afterwards is kept and asks for nothing', () => {
    const late = { afterwards: true, arrivedMs: 100_000 };
    const verdict = judged([limited, released], [said('limit', 10_002, late), said('release', 50_002, late)]);
    expect(verdict).toMatchObject({ lost: 0, expired: 0, doubles: 0, wrong: 0 });
  });

  test('what is said after its end, without a cause or out of order is counted', () => {
    expect(judged([limited], [said('limit', 10_002, { arrivedMs: 41_000 })]).expired).toBe(1);
    // Said in time, and still on its way at the end.
    expect(judged([limited], [said('limit', 10_002, { arrivedMs: 40_400 })]).expired).toBe(0);
    expect(judged([limited], [said('limit', 5_000), said('limit', 10_002)]).wrong).toBe(1);
    const [first, second] = [said('limit', 10_002), said('release', 50_002)];
    expect(judged([limited, released], [second, first]).outOfOrder).toBe(1);
  });
});
