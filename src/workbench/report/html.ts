// What every page of the workbench is made with: text made safe for HTML, and files inlined, so that a page needs nothing
// else.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../version.ts';

export function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => names[character] ?? character);
}

/** Beside the sources also where the program is built, since a browser's file is not compiled. */
export function own(name: string): string {
  return readFileSync(new URL(`../../../src/workbench/report/${name}`, import.meta.url), 'utf8');
}

export function packaged(specifier: string): string {
  return readFileSync(fileURLToPath(import.meta.resolve(specifier)), 'utf8');
}

/** Data for a script of the page. */
export function inlined(data: unknown): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c');
}

/** A line chart: values against x, on one axis; null is a hole. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly x: readonly number[];
  /** Whether x is seconds since 1970. */
  readonly isTime: boolean;
  readonly series: readonly { readonly label: string; readonly values: readonly (number | null)[] }[];
}

/** A page with charts and whatever else stands in `body`; a chart goes where `<div class="plot" data-chart="0">` is. */
export function chartPage(title: string, body: string, charts: readonly LineChart[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="headroom ${VERSION}">
<title>${escaped(title)}</title>
<style>${packaged('uplot/dist/uPlot.min.css')}</style>
<style>${own('page.css')}</style>
</head>
<body>
<header><h1>${escaped(title)}</h1></header>
<main>
${body}
</main>
<script>${packaged('uplot/dist/uPlot.iife.min.js')}</script>
<script id="charts" type="application/json">${inlined(charts)}</script>
<script type="module">${own('charts.js')}</script>
</body>
</html>
`;
}

/** A table; cells are text. */
export function htmlTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('');
  return `<table><thead><tr>${cells(header, 'th')}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table>`;
}

/** The place of a chart in the body of a page. */
export function chartPlace(index: number, { title }: LineChart): string {
  return `<h2>${escaped(title)}</h2><div class="plot" role="img" aria-label="${escaped(title)}" data-chart="${index}"></div>`;
}
