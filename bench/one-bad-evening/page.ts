// The results as one page of HTML that opens anywhere: the table, and for the scenarios that are timed how the latencies
// are distributed, each contestant's as one line: the share that is no later, over milliseconds, the tail drawn out.
import { isTimed } from './plan.ts';
import type { Result } from './rig.ts';
import type { Scenario } from './scenarios.ts';
import { COLUMNS, NOTE, type Row } from './score.ts';

const COLOURS = ['#0b6e99', '#777777', '#c65102', '#6a51a3', '#b8860b', '#2e7d32'];
const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM] = [760, 280, 48, 28, 28];
/** Down to one in ten thousand. */
const NINES = 4;

export function page(
  rows: readonly Row[],
  results: readonly Result[],
  scenarios: readonly Scenario[],
  skipped: readonly string[],
  /** When, on which machine, and one line for each contestant. */
  head: string,
): string {
  const parts = scenarios.map((scenario) => {
    const { name, what } = scenario;
    const here = rows.filter((row) => row.scenario === name);
    const chart = isTimed(scenario) ? distribution(results.filter(({ scenario }) => scenario === name)) : '';
    return `<section><h2>${name}</h2><p>${plain(what)}</p>${tableOf(here)}${chart}</section>`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>One bad evening</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head><body>
<h1>One bad evening</h1>
<p>${plain(NOTE)} What each column counts: bench/README.md.</p>
<pre>${plain(head)}</pre>
${parts.join('\n')}
${skipped.length > 0 ? `<h2>Left out</h2><ul>${[...new Set(skipped)].map((line) => `<li>${plain(line)}</li>`).join('')}</ul>` : ''}
</body></html>
`;
}

function tableOf(rows: readonly Row[]): string {
  const used = COLUMNS.filter(([, of]) => rows.some((row) => of(row) !== ''));
  const head = ['', ...used.map(([heading]) => heading)].map((cell) => `<th>${cell}</th>`).join('');
  const body = rows.map((row) => {
    const cells = used.map(([heading, of]) => {
      const bad = ['lost', 'expired', 'wrong', 'doubles', 'disorder'].includes(heading) && of(row) !== '0';
      return `<td${bad ? ' class="bad"' : ''}>${of(row)}</td>`;
    });
    return `<tr><th scope="row">${row.contestant}</th>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}

function distribution(results: readonly Result[]): string {
  const names = [...new Set(results.map(({ contestant }) => contestant))];
  const lines = names.map((name) =>
    results
      .filter(({ contestant }) => contestant === name)
      .flatMap(({ latenciesMs }) => latenciesMs)
      .sort((a, b) => a - b),
  );
  const all = lines.flat().filter((ms) => ms > 0);
  if (all.length === 0) return '';
  const [low, high] = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))];
  const x = (ms: number) =>
    LEFT + ((Math.log10(Math.max(ms, 10 ** low)) - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT);
  // The share that is later, on a log scale: the tail is what parts them.
  const y = (later: number) => 8 + (1 + Math.log10(later) / NINES) * (HEIGHT - BOTTOM - 8);
  const [top, floor] = [8, HEIGHT - BOTTOM];
  const marks = Array.from({ length: high - low + 1 }, (_, index) => low + index).map(
    (power) =>
      `<line x1="${x(10 ** power)}" x2="${x(10 ** power)}" y1="${top}" y2="${floor}" class="grid"/><text x="${x(10 ** power)}" y="${HEIGHT - 8}" text-anchor="middle">${10 ** power} ms</text>`,
  );
  const levels = [1, 0.5, 0.1, 0.01, 0.001].map(
    (later) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(later)}" y2="${y(later)}" class="grid"/><text x="${LEFT - 4}" y="${y(later) + 4}" text-anchor="end">${Number((100 * (1 - later)).toFixed(1))} %</text>`,
  );
  const curves = lines.map((sorted, index) => {
    const points = sorted.map(
      (ms, rank) => `${x(ms).toFixed(1)},${y((sorted.length - rank - 0.5) / sorted.length).toFixed(1)}`,
    );
    return `<polyline fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2" points="${points.join(' ')}"/>`;
  });
  const legend = names.map(
    (name, index) => `<span><i style="background:${COLOURS[index % COLOURS.length]}"></i>${name}</span>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="cumulative share of latencies">${marks.join('')}${levels.join('')}${curves.join('')}</svg><p class="legend">${legend.join('')}</p>`;
}

function plain(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #ccc; --bad: #b00020 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #17191c; --faint: #444; --bad: #ff8a80 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--paper) }
section, pre { overflow-x: auto } pre { font-size: 12px; line-height: 1.4 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; font-size: 13px }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--faint); white-space: nowrap }
tbody th { text-align: left; font-weight: 600 }
.bad { color: var(--bad); font-weight: 600 }
svg { width: 100%; height: auto; margin-top: .8rem } svg text { font-size: 11px; fill: currentColor } .grid { stroke: var(--faint) }
.legend span { margin-right: 1.2rem } .legend i { display: inline-block; width: 1em; height: .3em; margin-right: .4em; vertical-align: middle }
`;
