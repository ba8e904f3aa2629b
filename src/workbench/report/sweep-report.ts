// A sweep as a page: what each value of the setting does to minutes limited, minutes over rating and episodes, as a table
// and as one chart for each with the same axis, so that the value where one bends can be read off the others.
import type { Configuration } from '../../configuration.ts';
import { OPEN_LOOP } from '../replay/replay.ts';
import { measureCells, type Sweep, type SweepPart, type SweepRow, sweepParts } from '../replay/sweep.ts';
import { escaped } from './html.ts';
import { pageHtml, tableHtml } from './html-page.ts';

const WIDTH = 900;
const HEIGHT = 200;
const LEFT = 70;
const BOTTOM = 30;
const TOP = 12;
const RIGHT = 20;
const TICKS = 4;

interface Point {
  readonly value: number;
  readonly found: number;
}

export function sweepHtml(
  configuration: Configuration,
  traces: readonly string[],
  sweep: Sweep,
  rows: readonly SweepRow[],
): string {
  const key = sweep.path.join('.');
  const names = traces.map((trace) => trace.split('/').at(-1) ?? trace).join(', ');
  return pageHtml({
    title: `${key} from ${sweep.values[0]} to ${sweep.values.at(-1)}`,
    intro: `<p>${escaped(names)}; everything else as in settings hash <code>${configuration.hash}</code>.</p>
<p class="notice"><strong>${escaped(OPEN_LOOP)}.</strong> Not protection: the fuse stays the backstop.</p>`,
    main: sweepParts(rows)
      .map((part) => partHtml(part, key, rows))
      .join('\n'),
  });
}

/** The charts and the table of the feeders together, or of the transformer. */
function partHtml({ title, measures, totalsOf }: SweepPart, key: string, rows: readonly SweepRow[]): string {
  const found = rows.map((row) => ({ ...row, totals: totalsOf(row) }));
  const charts = measures.map(([name, of]) =>
    chartSvg(
      `${name} by ${key}, ${title}`,
      found.flatMap(({ value, totals }) => (totals === null ? [] : [{ value, found: of(totals) }])),
    ),
  );
  const cells = found.map(({ value, totals, refused }) => [
    String(value),
    ...(totals === null ? [`refused: ${refused}`] : measureCells(measures, totals)),
  ]);
  const head = [key, ...measures.map(([name]) => name), 'deepest level'];
  return `${charts.join('\n')}
<section><h2>${escaped(`Values, ${title}`)}</h2>${tableHtml(head, cells, 'sweep')}</section>`;
}

/** A line with its points, over two axes that begin at the first value and at 0. */
function chartSvg(title: string, points: readonly Point[]): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return '';
  const highest = Math.max(...points.map(({ found }) => found)) || 1;
  const span = last.value - first.value || 1;
  const x = (value: number) => LEFT + ((value - first.value) / span) * (WIDTH - LEFT - RIGHT);
  const y = (found: number) => TOP + (1 - found / highest) * (HEIGHT - TOP - BOTTOM);
  const place = ({ value, found }: Point) => `${x(value).toFixed(1)},${y(found).toFixed(1)}`;
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => index / TICKS);
  const across = ticks.map((share) => {
    const found = share * highest;
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(found)}" y2="${y(found)}"/><text class="end" x="${LEFT - 8}" y="${y(found) + 4}">${Number(found.toPrecision(3))}</text>`;
  });
  const along = ticks.map((share) => {
    const value = first.value + share * span;
    return `<text class="middle" x="${x(value)}" y="${HEIGHT - 8}">${Number(value.toPrecision(5))}</text>`;
  });
  const dots = points.map(
    (point) =>
      `<circle r="4" cx="${x(point.value)}" cy="${y(point.found)}"><title>${point.value}: ${point.found}</title></circle>`,
  );
  return `<section><h2>${escaped(title)}</h2><svg class="sweep" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${across.join('')}${along.join('')}<polyline points="${points.map(place).join(' ')}"/>${dots.join('')}</svg></section>`;
}
