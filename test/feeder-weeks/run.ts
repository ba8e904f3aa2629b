// `npm run test:weeks`: every recorded feeder week at ratings of 60, 80 and 100 % of its own peak, as a table.
import { RATING_PERCENTS, readWeeks, runWeek, type WeekResult } from './weeks.ts';

const results = readWeeks().map((week) => RATING_PERCENTS.map((percent) => runWeek(week, percent)));
const cells = (result: WeekResult) =>
  [result.episodes, result.minutes, result.limitedMinutes, result.overMinutes, result.changes]
    .map((value) => String(Math.round(value)).padStart(7))
    .join('');
const head = '   epis. minutes limited    over changes';
process.stdout.write(
  `${' '.repeat(12)}${RATING_PERCENTS.map((percent) => `rating ${percent} % of the peak`.padEnd(head.length)).join('')}\n`,
);
process.stdout.write(`${'feeder'.padEnd(9)}${RATING_PERCENTS.map(() => head.slice(1)).join(' ')}\n`);
for (const row of results) process.stdout.write(`${(row[0]?.name ?? '').padEnd(9)}${row.map(cells).join('   ')}\n`);
for (const [index, percent] of RATING_PERCENTS.entries()) {
  const column = results.flatMap((row) => row[index] ?? []);
  const sum = (key: 'episodes' | 'minutes' | 'overMinutes' | 'opposite') =>
    Math.round(column.reduce((total, row) => total + row[key], 0));
  const limited = column.filter(({ episodes }) => episodes > 0).length;
  process.stdout.write(
    `rating ${percent} %: ${column.length} feeder weeks, ${limited} with a limit, ${sum('episodes')} episodes, ${sum('minutes')} minutes, ${sum('overMinutes')} min over rating, ${sum('opposite')} opposite requests within ${720} s\n`,
  );
}
