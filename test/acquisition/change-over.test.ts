// Preferred and backup source of a feeder, as a table of readings: what is used, and why it changes.
import { describe, expect, test } from 'vitest';
import { newChangeOver, takeReading, type Which } from '../../src/acquisition/change-over.ts';
import type { ConductorReading, FeederReading, Quality } from '../../src/feeder.ts';

const SETTINGS = { awayAfterMs: 500, backAfterMs: 10_000, staleAfterMs: { preferred: 1_000, backup: 2_000 } };

function readingOf(atMs: number, [L1, L2, L3]: readonly Quality[]): FeederReading {
  const of = (quality: Quality = 'good'): ConductorReading =>
    quality === 'bad'
      ? { currentA: null, quality, reason: 'noAnswer' }
      : { currentA: 100, quality, reason: quality === 'good' ? null : 'step' };
  return { feederId: 'F1', sourceId: 's', atMs, L1: of(L1), L2: of(L2), L3: of(L3), N: of('bad'), exporting: [] };
}

const GOOD = ['good', 'good', 'good'] as const;
const SILENT = ['bad', 'bad', 'bad'] as const;
const ONE_BAD = ['good', 'bad', 'good'] as const;

/** Takes readings of `[ms, source, qualities]`. Gives the changes as `[ms, source, reason]`. */
function changes(rows: readonly (readonly [number, Which, readonly Quality[]])[]): [number, Which, string][] {
  const state = newChangeOver(0);
  return rows.flatMap(([atMs, which, qualities]) => {
    const reason = takeReading(state, SETTINGS, which, readingOf(atMs, qualities));
    return reason === null ? [] : [[atMs, state.used, reason]];
  });
}

/** A source that reads the same every 100 ms. */
const every = (which: Which, fromMs: number, toMs: number, qualities: readonly Quality[]) =>
  Array.from({ length: (toMs - fromMs) / 100 + 1 }, (_, n) => [fromMs + n * 100, which, qualities] as const);

const inOrder = (...lists: ReturnType<typeof every>[]) => lists.flat().sort((a, b) => a[0] - b[0]);

describe('the backup is used', () => {
  test('when the preferred source has been bad for half its staleness limit', () => {
    const rows = inOrder(
      every('backup', 0, 2_000, GOOD),
      every('preferred', 0, 300, GOOD),
      every('preferred', 400, 2_000, SILENT),
    );
    expect(changes(rows)).toEqual([
      [
        800,
        'backup',
        'to the backup: the preferred source is bad on L1 (noAnswer), bad on L2 (noAnswer), bad on L3 (noAnswer) for 500 ms',
      ],
    ]);
  });

  test('when one phase of the preferred source is bad, for the whole feeder and never a part of it', () => {
    const rows = inOrder(every('backup', 0, 2_000, GOOD), every('preferred', 0, 2_000, ONE_BAD));
    expect(changes(rows)).toEqual([
      [500, 'backup', 'to the backup: the preferred source is bad on L2 (noAnswer) for 500 ms'],
    ]);
  });

  test('when the preferred source says nothing at all', () => {
    expect(changes(inOrder(every('backup', 0, 2_000, GOOD), every('preferred', 0, 300, GOOD)))[0]?.slice(0, 2)).toEqual(
      [1_400, 'backup'],
    );
  });

  test('not for a lost answer or two', () => {
    const rows = inOrder(
      every('backup', 0, 3_000, GOOD),
      every('preferred', 0, 1_000, GOOD),
      every('preferred', 1_100, 1_300, SILENT),
      every('preferred', 1_400, 3_000, GOOD),
    );
    expect(changes(rows)).toEqual([]);
  });

  test('not while it is no better itself', () => {
    expect(changes(inOrder(every('backup', 0, 2_000, ONE_BAD), every('preferred', 0, 2_000, ONE_BAD)))).toEqual([]);
    expect(changes(every('preferred', 0, 2_000, SILENT))).toEqual([]);
  });

  test('not for readings that are only uncertain', () => {
    const uncertain = ['uncertain', 'uncertain', 'uncertain'] as const;
    expect(changes(inOrder(every('backup', 0, 2_000, GOOD), every('preferred', 0, 2_000, uncertain)))).toEqual([]);
  });
});

describe('the preferred source is used again', () => {
  const gone = inOrder(every('backup', 0, 1_000, GOOD), every('preferred', 0, 1_000, SILENT));

  test('when it has been good for the set time', () => {
    const rows = inOrder(gone, every('backup', 1_100, 13_000, GOOD), every('preferred', 1_100, 13_000, GOOD));
    expect(changes(rows).slice(1)).toEqual([[11_100, 'preferred', 'back to the preferred source: good for 10 s']]);
  });

  test('not before, if it was bad once', () => {
    const rows = inOrder(
      gone,
      every('backup', 1_100, 20_000, GOOD),
      every('preferred', 1_100, 9_000, GOOD),
      every('preferred', 9_100, 9_100, ONE_BAD),
      every('preferred', 9_200, 20_000, GOOD),
    );
    expect(
      changes(rows)
        .slice(1)
        .map(([atMs]) => atMs),
    ).toEqual([19_200]);
  });

  test('at once when the backup has become the worse one', () => {
    const rows = inOrder(
      gone,
      every('preferred', 1_100, 3_000, ONE_BAD),
      every('backup', 1_100, 2_000, GOOD),
      every('backup', 2_100, 3_000, SILENT),
    );
    expect(changes(rows).slice(1)).toEqual([
      [2_100, 'preferred', 'back to the preferred source: the backup has more bad phases'],
    ]);
  });
});
