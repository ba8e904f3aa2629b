// How fluid the report of a year of one-minute readings is in headless Chromium: the time of each redraw while it is
// zoomed by the wheel and panned from the whole year to an hour, and what the page costs to make, to load and to keep.
//   node bench/report/run.ts [--steps 60] [--shots FOLDER]
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { replayVerb } from '../../src/workbench/replay/replay-verb.ts';
import { noiseA, oneFeeder, THERMAL } from '../one-feeder.ts';

const { values } = parseArgs({ options: { steps: { type: 'string', default: '60' }, shots: { type: 'string' } } });
const MINUTES = 365 * 1440;
const folder = mkdtempSync(join(tmpdir(), 'headroom-bench-report-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const [config, trace, report] = ['bench.yaml', 'year.csv', 'year.html'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
writeFileSync(config, oneFeeder([THERMAL]));

/** Load by day and season, noise on it, and evenings over the pickup in winter. */
function year(): string {
  const startMs = Date.UTC(2025, 0, 1);
  const rows = ['time,feeder,L1_A,L2_A,L3_A'];
  const next = noiseA(40);
  for (let minute = 0; minute < MINUTES; minute++) {
    const day = minute / 1440;
    const hour = (minute / 60) % 24;
    const winter = 1 + 0.25 * Math.cos((2 * Math.PI * day) / 365);
    const base = winter * (170 + 60 * Math.sin(((hour - 9) / 24) * 2 * Math.PI) + (hour > 17 && hour < 20 ? 55 : 0));
    const stamp = new Date(startMs + minute * 60_000).toISOString().slice(0, 19);
    rows.push(`${stamp}Z,F1,${[base, base * 0.9, base * 0.7].map((value) => (value + next()).toFixed(1)).join(',')}`);
  }
  return `${rows.join('\n')}\n`;
}
writeFileSync(trace, year());
const startMs = performance.now();
if ((await replayVerb(config, [trace], { report, quiet: true })) !== 0) process.exit(1);
const madeS = (performance.now() - startMs) / 1000;

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
const openedMs = performance.now();
await page.goto(pathToFileURL(report).href);
await page.waitForSelector('body[data-ready="true"]');
const loadedS = (performance.now() - openedMs) / 1000;
const shot = async (name: string) => {
  if (values.shots !== undefined) await page.screenshot({ path: join(values.shots, `${name}.png`) });
};
await shot('year-all');

const box = await (await page.$('.currents .u-over'))?.boundingBox();
if (!box) throw new Error('no chart');
/** Milliseconds of the redraw that a turn of the wheel brings, and of uPlot's own drawing after it: two frames on. */
const drawn: number[] = [];
const redraw = async (act: () => Promise<void>) => {
  await act();
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  drawn.push(Number(await page.getAttribute('section.feeder', 'data-drawn-ms')));
};
const steps = Number(values.steps);
await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
for (let step = 0; step < steps; step++) await redraw(() => page.mouse.wheel(0, step < steps / 2 ? -120 : 120));
await shot('year-back');
drawn.sort((a, b) => a - b);
const at = (share: number) => (drawn[Math.min(drawn.length - 1, Math.floor(share * drawn.length))] ?? 0).toFixed(1);
console.log(
  `${MINUTES.toLocaleString('en')} readings: page made in ${madeS.toFixed(1)} s, ${(statSync(report).size / 1e6).toFixed(1)} MB, opened in ${loadedS.toFixed(1)} s`,
);
console.log(
  `${drawn.length} steps of zoom between a year and an hour: median ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms (a frame is 16.7 ms)`,
);
await browser.close();
