// The report of a replay: one HTML file that needs nothing else, to open offline, zoom, print and sign. The charts are
// drawn by uPlot, which is inlined, from data that the page carries.
import type { Configuration } from '../../configuration.ts';
import { timesOf, timesTitle } from '../check/check.ts';
import { settingsSheet } from '../check/sheet.ts';
import { type Compared, changesOf, sideBySide } from '../replay/compare.ts';
import { loopText } from '../replay/replay.ts';
import type { ReplayEvent, ReplayResult } from '../replay/results.ts';
import { showTime } from '../trace/sink.ts';
import { type Charted, chartData, chartedOf } from './charted.ts';
import { escaped } from './html.ts';
import { pageHtml, tableHtml } from './html-page.ts';

/** Rows of the table of events; a browser is slow with more, and --json has them all. */
const EVENTS_SHOWN = 5000;

export interface ReportInput {
  readonly configuration: Configuration;
  readonly traces: readonly string[];
  readonly result: ReplayResult;
  /** Another configuration over the same traces. */
  readonly other?: Compared | undefined;
}

export function reportHtml({ configuration, traces, result, other }: ReportInput): string {
  const { id, name } = configuration.settings.substation;
  const charted = chartedOf(result);
  const names = traces.map((trace) => trace.split('/').at(-1) ?? trace).join(', ');
  return pageHtml({
    title: `Replay of ${id}${name === undefined ? '' : `, ${name}`}`,
    intro: `<p>Settings hash <code>${configuration.hash}</code>. ${escaped(names)}: ${result.readings.toLocaleString('en')} readings.</p>
<p class="notice"><strong>${escaped(loopText(result))}.</strong> Not protection: the fuse stays the backstop.</p>`,
    main: [
      ...charted.map((one, index) => chartSection(one, index, result)),
      ...(other === undefined ? [] : [comparison({ configuration, result }, other)]),
      eventsTable(result, charted),
      notes(result),
      sheet(configuration),
    ].join('\n'),
    hasCharts: true,
    data: {
      form: result.form,
      feeders: charted.map((one) => chartData(one, configuration, other?.configuration, result)),
    },
    script: 'page.js',
  });
}

/** Two settings over the same traces, side by side. */
function comparison(first: Compared, second: Compared): string {
  const changes = changesOf(first.configuration, second.configuration).map(({ section, key, from, to }) => [
    section,
    key,
    from,
    to,
  ]);
  const results = sideBySide(first, second).map(
    ([name, rows]) => `<h3>${escaped(name)}</h3>${tableHtml(['', 'A', 'B', 'B - A'], rows, 'compared')}`,
  );
  const set =
    changes.length === 0
      ? '<p>Nothing is set otherwise.</p>'
      : tableHtml(['', 'setting', 'A', 'B'], changes, 'changes');
  return `<section class="comparison"><h2>Compared with other settings</h2>
<p>A: <code>${first.configuration.hash}</code>, the charts above. B: ${escaped(second.configuration.file)}, <code>${second.configuration.hash}</code>, drawn there where its levels differ.</p>${set}${results.join('')}</section>`;
}

function chartSection(
  { id, title, result: { episodes }, summary }: Charted,
  index: number,
  result: ReplayResult,
): string {
  const rows = summary.map(([name, value]) => `<tr><th>${name}</th><td>${escaped(value)}</td></tr>`);
  const time = (atMs: number | null) =>
    atMs === null ? 'after the trace' : escaped(String(showTime(atMs, result.form)));
  const list = episodes
    .slice(0, EVENTS_SHOWN)
    .map(
      ({ startMs, endMs, element, phase, peakA, deepestLevelPercent, minutes }) =>
        `<tr data-feeder="${index}" data-at="${startMs}"><td><button type="button" class="jump">${time(startMs)}</button></td><td>${time(endMs)}</td><td>${element}</td><td>${phase}</td><td>${peakA} A</td><td>${deepestLevelPercent === null ? 'none asked' : `${deepestLevelPercent} %`}</td><td>${minutes}</td></tr>`,
    );
  const table =
    list.length === 0
      ? '<p>No episode.</p>'
      : `<table class="episodes"><thead><tr><th>start</th><th>end</th><th>element</th><th>phase</th><th>peak</th><th>deepest level</th><th>minutes</th></tr></thead><tbody>${list.join('')}</tbody></table>`;
  return `<section class="feeder" data-feeder="${index}">
<h2>${escaped(title)}</h2>
<p class="tools no-print" role="toolbar" aria-label="Time axis of ${escaped(id)}">
<button type="button" data-do="all">All</button><button type="button" data-do="in">Zoom in</button><button type="button" data-do="out">Zoom out</button><button type="button" data-do="earlier">Earlier</button><button type="button" data-do="later">Later</button>
<span>Drag to zoom, wheel to zoom, shift-drag to pan, double-click for all.</span></p>
<div class="chart currents" role="img" aria-label="Currents of ${escaped(title)} per phase with rating, pickup and dropout"></div>
<div class="chart level" role="img" aria-label="Requested level and thermal state of ${escaped(title)}"></div>
<canvas class="quality" height="14" role="img" aria-label="Quality of the readings: gaps and bad values"></canvas>
<p class="key"><span class="swatch good"></span> good <span class="swatch bad"></span> bad value <span class="swatch gap"></span> gap <span class="swatch episode"></span> episode</p>
<table class="summary"><tbody>${rows.join('')}</tbody></table>
<h3>Episodes</h3>
${table}
</section>`;
}

function eventsTable({ events, form }: ReplayResult, charted: readonly Charted[]): string {
  const seen = charted.map(({ id }) => id);
  const rows = events.slice(0, EVENTS_SHOWN).map((event) => eventRow(event, seen.indexOf(event.feederId), form));
  const more =
    events.length > EVENTS_SHOWN ? `<p>The first ${EVENTS_SHOWN} of ${events.length}; --json has all.</p>` : '';
  if (rows.length === 0) return '<section><h2>Events</h2><p>No event.</p></section>';
  return `<section class="events"><h2>Events</h2>${more}<table><thead><tr><th>time</th><th>feeder</th><th>event</th><th>element</th><th>current</th><th>level</th><th>reason</th></tr></thead><tbody>${rows.join('')}</tbody></table></section>`;
}

function eventRow(event: ReplayEvent, index: number, form: ReplayResult['form']): string {
  const { atMs, feederId, type, element, phase, currentA, levelPercent, reason } = event;
  const cells = [
    `<button type="button" class="jump">${escaped(String(showTime(atMs, form)))}</button>`,
    escaped(feederId),
    type,
    [element, phase].filter((part) => part !== undefined).join(' '),
    currentA === undefined ? '' : `${currentA.toFixed(1)} A`,
    levelPercent === undefined ? '' : `${levelPercent} %`,
    escaped(reason),
  ];
  return `<tr class="${type}" data-feeder="${index}" data-at="${atMs}">${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

function notes({ notes: all, broken, unknown }: ReplayResult): string {
  const lines = [
    ...all,
    ...(broken.count > 0 ? [`${broken.count} rows could not be read and were left out`] : []),
    ...[...unknown].map(([name, rows]) => `feeder ${name} is not in the configuration: ${rows} rows`),
  ];
  if (lines.length === 0) return '';
  return `<section><h2>Notes</h2><ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul></section>`;
}

function sheet(configuration: Configuration): string {
  const sections = settingsSheet(configuration).map(
    ({ title, rows }) =>
      `<h3>${escaped(title)}</h3><table><tbody>${rows.map(({ key, value, unit, source }) => `<tr><th>${escaped(key)}</th><td>${escaped(value)} ${unit}</td><td>${source}</td></tr>`).join('')}</tbody></table>`,
  );
  const seconds = (value: number | null) => (value === null ? 'never' : `${value} s`);
  const times = timesOf(configuration).map(
    ([id, all]) =>
      `<h3>${escaped(timesTitle(id))}</h3><table><thead><tr><th>× rating</th><th>current</th><th>atRisk</th><th>emergency</th><th>inverse</th><th>thermal, cold</th><th>thermal, after 0.8</th></tr></thead><tbody>${all.map((time) => `<tr><td>${time.multiple}</td><td>${time.currentA} A</td>${[time.atRiskS, time.emergencyS, time.inverseS, time.thermalColdS, time.thermalPreloadedS].map((value) => `<td>${seconds(value)}</td>`).join('')}</tr>`).join('')}</tbody></table>`,
  );
  return `<section class="sheet"><h2>Settings sheet</h2><p>Hash <code>${configuration.hash}</code></p>${sections.join('')}${times.join('')}<p class="sign">set by ______________________ checked by ______________________ date ____________</p></section>`;
}
