import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bad, judgeCurrent } from '../../src/acquisition/quality.ts';

const PRIMARY_AMPERES = { ratio: 1, ctRangeA: null, impossibleA: 12_000 };
/** A 400/5 A CT whose meter reports secondary amperes. */
const CT_400_5 = { ratio: 80, ctRangeA: 480, impossibleA: 12_000 };

describe('a current is judged', () => {
  test.each<[string, number, typeof CT_400_5 | typeof PRIMARY_AMPERES, object]>([
    ['good as the meter gives it', 345, PRIMARY_AMPERES, { currentA: 345, quality: 'good', reason: null }],
    ['good when it is 0', 0, PRIMARY_AMPERES, { currentA: 0, quality: 'good', reason: null }],
    ['by its magnitude', -345, PRIMARY_AMPERES, { currentA: 345, quality: 'good', reason: null }],
    ['in primary amperes', 4.5, CT_400_5, { currentA: 360, quality: 'good', reason: null }],
    ['good under 1.2 times the CT', 5.75, CT_400_5, { currentA: 460, quality: 'good', reason: null }],
    ['uncertain from there on', 6, CT_400_5, { currentA: 480, quality: 'uncertain', reason: 'overCtRange' }],
    [
      'uncertain up to 30 times the CT',
      -150,
      CT_400_5,
      { currentA: 12_000, quality: 'uncertain', reason: 'overCtRange' },
    ],
    ['bad where no CT could deliver it', 150.5, CT_400_5, bad('beyondRegister')],
    ['bad where nothing could deliver it', 1e30, PRIMARY_AMPERES, bad('beyondRegister')],
    ['bad where the ratio takes it beyond all numbers', 1e308, CT_400_5, bad('beyondRegister')],
  ])('%s', (_, decoded, plausibility, expected) => {
    expect(judgeCurrent(decoded, plausibility)).toEqual(expected);
  });

  test('bad for the reason why there is no number', () => {
    expect(judgeCurrent('sentinel', CT_400_5)).toEqual({ currentA: null, quality: 'bad', reason: 'sentinel' });
  });

  test('with an ampere exactly when it is not bad, and with a reason exactly when it is not good', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constantFrom(PRIMARY_AMPERES, CT_400_5),
        (a, ct) => {
          const { currentA, quality, reason } = judgeCurrent(a, ct);
          expect(currentA === null).toBe(quality === 'bad');
          expect(reason === null).toBe(quality === 'good');
          if (currentA !== null) expect(currentA).toBe(Math.round(Math.abs(a) * ct.ratio * 1000) / 1000);
        },
      ),
    );
  });
});
