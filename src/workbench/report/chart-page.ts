// A page of line charts with whatever else stands beside them: what the simulation and the study show.
import { escaped } from './html.ts';
import { pageHtml } from './html-page.ts';

/** A line chart: values against x, on one axis; null is a hole. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly x: readonly number[];
  /** Whether x is seconds since 1970. */
  readonly isTime: boolean;
  readonly series: readonly { readonly label: string; readonly values: readonly (number | null)[] }[];
}

/** The charts go where `main` has a `chartPlace` for them. */
export function chartPage(title: string, main: string, charts: readonly LineChart[]): string {
  return pageHtml({ title, intro: '', main, data: charts, script: 'charts.js', hasCharts: true });
}

/** The place of a chart in the main part of a page. */
export function chartPlace(index: number, { title }: LineChart): string {
  return `<h2>${escaped(title)}</h2><div class="plot" role="img" aria-label="${escaped(title)}" data-chart="${index}"></div>`;
}
