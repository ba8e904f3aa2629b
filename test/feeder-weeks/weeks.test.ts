// Every recorded feeder week at ratings of 60, 80 and 100 % of its own peak. `npm run test:weeks` prints the table.
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RATING_PERCENTS, readWeeks, runWeek, WEEKS_FILE, type WeekResult } from './weeks.ts';

describe.skipIf(!existsSync(WEEKS_FILE))(
  'the recorded weeks (skipped where shared/data/feeders is not beside the tree)',
  () => {
    const weeks = existsSync(WEEKS_FILE) ? readWeeks() : [];

    const results = new Map<number, WeekResult[]>();
    const resultsAt = (percent: number): WeekResult[] => {
      const known = results.get(percent) ?? weeks.map((week) => runWeek(week, percent));
      results.set(percent, known);
      return known;
    };

    test('there are 142 of them', () => {
      expect(weeks.length).toBe(142);
    });

    test.each(RATING_PERCENTS)(
      'at a rating of %d percent of the peak: no opposite requests within the response time',
      (percent) => {
        const at = resultsAt(percent);
        expect(at.filter(({ opposite }) => opposite > 0).map(({ name }) => name)).toEqual([]);
        // The peak itself is over the pickup, so that every week has at least one limit.
        for (const { episodes, minutes, limitedMinutes } of at) {
          expect(episodes).toBeGreaterThan(0);
          expect(minutes).toBeGreaterThan(0);
          expect(minutes).toBeLessThanOrEqual(limitedMinutes + 1e-6);
        }
      },
    );

    test('a higher rating never costs customers more', () => {
      const minutes = RATING_PERCENTS.map((percent) =>
        resultsAt(percent).reduce((total, week) => total + week.minutes, 0),
      );
      expect(minutes).toEqual([...minutes].sort((a, b) => b - a));
    });
  },
);
