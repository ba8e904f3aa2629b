// The frame of a page that stands alone: one HTML file with its style and its scripts in it, light or dark.
import { VERSION } from '../../version.ts';
import { escaped, inlined, own, packaged } from './html.ts';

export interface Page {
  readonly title: string;
  /** Under the title: what was replayed, and what it is not. */
  readonly intro: string;
  readonly main: string;
  /** What a script reads by the id `data`. */
  readonly data?: object;
  /** Of this folder, run as one module after theme.js. */
  readonly script?: string;
  /** uPlot stands before the page's own style and script. */
  readonly hasCharts?: boolean;
}

export function pageHtml({ title, intro, main, data, script, hasCharts = false }: Page): string {
  const json = data === undefined ? '' : inlined(data);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="headroom ${VERSION}">
<title>${escaped(title)}</title>
${hasCharts ? `<style>${packaged('uplot/dist/uPlot.min.css')}</style>` : ''}
<style>${own('page.css')}</style>
</head>
<body>
<header>
<h1>${escaped(title)}</h1>
${intro}
<p class="tools no-print"><button id="theme" type="button">Dark or light</button></p>
</header>
<main>
${main}
</main>
${hasCharts ? `<script>${packaged('uplot/dist/uPlot.iife.min.js')}</script>` : ''}
${json === '' ? '' : `<script id="data" type="application/json">${json}</script>`}
<script type="module">${own('theme.js')}${script === undefined ? 'followTheme(() => {});' : own(script)}</script>
</body>
</html>
`;
}

/** Rows of texts under a head. */
export function tableHtml(head: readonly string[], rows: readonly (readonly string[])[], name?: string): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('');
  return `<table${name === undefined ? '' : ` class="${name}"`}><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${body}</tbody></table>`;
}
