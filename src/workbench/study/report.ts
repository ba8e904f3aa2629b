// The report of a study: one HTML file that needs nothing else, with the tables and the curves of over-rating time and
// customer minutes against the number of EVs.
import { writeFileSync } from 'node:fs';
import { rounded } from '../../feeder.ts';
import { chartPage, chartPlace, type LineChart } from '../report/chart-page.ts';
import { escaped } from '../report/html.ts';
import { tableHtml } from '../report/html-page.ts';
import type { ControllerName } from '../simulate/controllers.ts';
import type { Outcome } from './capacity.ts';
import { type FleetDistance, fleetRow } from './fleet.ts';
import type { JobResult } from './jobs.ts';
import { comparedTable, feederTable, type StudiedFeeder, summaryLines, upliftsOf } from './many-feeders.ts';
import { COLUMNS, cellsOf, type Row, STRESSED, type studyJson } from './rows.ts';

interface CurvePoint {
  readonly evs: number;
  readonly without: Outcome | null;
  readonly with: Outcome | null;
}

export interface StudyReport {
  readonly title: string;
  readonly document: ReturnType<typeof studyJson>;
  readonly compared: readonly Row[];
  readonly results: readonly JobResult[];
  readonly stressed: readonly JobResult[] | null;
  readonly curve: readonly CurvePoint[];
  readonly notes: string;
}

export function writeStudyReport(file: string, report: StudyReport): void {
  const { title, document, compared, results, stressed, curve, notes } = report;
  const charts = [
    lineChart('Hours a year over the rating', curve, (one) => one.overRatingHalfHoursPerYear / 2),
    lineChart('Highest thermal state, percent', curve, (one) => one.peakThermalPercent),
    lineChart('Minutes a customer-year, 95th percentile', curve, (one) => one.minutesPerCustomerYearP95),
  ];
  const rowsOf = (rows: readonly Row[], found: readonly JobResult[]) =>
    tableHtml(
      ['', ...COLUMNS],
      rows.flatMap((row, at) => (found[at] === undefined ? [] : [[row.name, ...cellsOf(found[at])]])),
    );
  const body = `<p class="notice">${document.without.evs} EVs without control, ${document.with.evs} with it: ${document.upliftPercent ?? 'no share'} % more. Not protection: the fuse stays the backstop.</p>
<section><h2>Capacity</h2>${rowsOf(compared, results)}</section>
${stressed === null ? '' : `<section><h2>When things go wrong, with ${document.with.evs} EVs</h2>${rowsOf(STRESSED, stressed)}</section>`}
<section>${charts.map((chart, index) => chartPlace(index, chart)).join('\n')}<p>At most ten seed-years a point.</p></section>
${restsOn(notes)}`;
  writeFileSync(file, chartPage(`Hosting capacity of feeder ${title}`, body, charts));
}

export interface ManyFeedersReport {
  readonly feeders: readonly StudiedFeeder[];
  readonly mode: ControllerName;
  /** The controllers that were run. */
  readonly rows: readonly Row[];
  readonly notes: string;
}

export function writeManyFeedersReport(file: string, { feeders, mode, rows, notes }: ManyFeedersReport): void {
  const uplifts = rows.map(({ name, controller }) => ({
    label: name,
    values: upliftsOf(feeders, controller).sort((a, b) => a - b),
  }));
  const chart: LineChart = {
    title: 'More EVs than without control, percent; each controller from its least feeder to its best',
    xLabel: 'feeders',
    x: (uplifts[0]?.values ?? []).map((_, at) => at + 1),
    isTime: false,
    series: uplifts,
  };
  const [table, compared] = [feederTable(feeders, mode), comparedTable(feeders, rows)];
  const summary = summaryLines(feeders, mode).map((line) => `<li>${escaped(line)}</li>`);
  const body = `<section><h2>In the median</h2>${tableHtml(compared.header, compared.rows)}<ul>${summary.join('')}</ul></section>
<section>${chartPlace(0, chart)}</section>
<section><h2>Feeder by feeder: ${escaped(rows.find(({ controller }) => controller === mode)?.name ?? mode)}</h2>${tableHtml(table.header, table.rows)}</section>
${restsOn(notes)}`;
  writeFileSync(file, chartPage(`Hosting capacity of ${table.rows.length} feeders`, body, [chart]));
}

function restsOn(notes: string): string {
  const lines = notes.trim().split('\n');
  return `<section><h2>What it rests on</h2><ul>${lines.map((line) => `<li>${escaped(line.trim())}</li>`).join('')}</ul></section>`;
}

/** Measured and simulated average power per car over the day. */
export function writeFleetReport(file: string, distances: readonly FleetDistance[]): void {
  const charts = distances.map(({ measured, simulatedKw, energyKwh }): LineChart => {
    const scale = energyKwh.measured / energyKwh.simulated;
    return {
      title: `${measured.name}: kW per car`,
      xLabel: 'minute of the day',
      x: [...measured.kw.keys()],
      isTime: false,
      series: [
        { label: 'Electric Nation', values: [...measured.kw] },
        { label: 'simulated', values: [...simulatedKw].map((kw) => rounded(kw, 4)) },
        { label: 'simulated, at the same energy', values: [...simulatedKw].map((kw) => rounded(kw * scale, 4)) },
      ],
    };
  });
  const rows = distances.map((one) => Object.values(fleetRow(one)).map(String));
  const [first] = distances;
  const table = first === undefined ? '' : tableHtml(Object.keys(fleetRow(first)), rows);
  const body = `${table}${charts.map((chart, index) => chartPlace(index, chart)).join('\n')}`;
  writeFileSync(file, chartPage('The simulated fleet and Electric Nation', body, charts));
}

function lineChart(title: string, curve: readonly CurvePoint[], value: (one: Outcome) => number): LineChart {
  const of = (which: 'without' | 'with') => curve.map((point) => (point[which] === null ? null : value(point[which])));
  return {
    title: `${title}, against EVs`,
    xLabel: 'EVs',
    x: curve.map(({ evs }) => evs),
    isTime: false,
    series: [
      { label: 'without control', values: of('without') },
      { label: 'with Headroom', values: of('with') },
    ],
  };
}
