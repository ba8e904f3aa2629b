// The report in a real browser: it opens without any network, draws, zooms, pans, jumps to events and follows the
// theme. Screenshots go to the folder HEADROOM_SCREENSHOTS where that is set, for people to look at.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replayVerb } from '../../../src/workbench/replay/replay-verb.ts';
import { type Desk, nativeTrace, openDesk } from '../replay/desk.ts';

const CHROMIUM = '/usr/bin/chromium';
const isThere = existsSync(CHROMIUM);
if (!isThere && process.env['CI'] === 'true') throw new Error(`${CHROMIUM} is not there (apt-get install chromium)`);
if (!isThere) console.log(`skipped: ${CHROMIUM} is not there (apt-get install chromium)`);
const shots = process.env['HEADROOM_SCREENSHOTS'];

/** Two days at one minute: an evening over the pickup on each, a gap and a bad value. */
function twoDays(): string {
  const startMs = Date.UTC(2026, 0, 5);
  const rows: string[] = [];
  for (let minute = 0; minute < 2 * 1440; minute++) {
    if (minute > 600 && minute < 640) continue;
    const hour = (minute / 60) % 24;
    const evening = hour > 17 && hour < 20 ? 1 : 0;
    const base = 180 + 60 * Math.sin(((hour - 9) / 24) * 2 * Math.PI);
    const amperes = [base, base * 0.9 + evening * (130 + 20 * Math.sin(minute / 7)), base * 0.7].map((value) =>
      value.toFixed(1),
    );
    if (minute === 700) amperes[0] = '-';
    rows.push([new Date(startMs + minute * 60_000).toISOString(), ...amperes].join(' '));
  }
  return nativeTrace(rows.join('\n'));
}

describe.skipIf(!isThere)('the report', () => {
  let desk: Desk;
  let browser: BrowserContext;
  let page: Page;
  let profile: string;
  const asked: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    desk = openDesk();
    const { file } = desk.configuration();
    const report = join(desk.folder, 'report.html');
    expect(await replayVerb(file, [desk.file('days.csv', twoDays())], { report, quiet: true })).toBe(0);
    profile = mkdtempSync(join(tmpdir(), 'headroom-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
      viewport: { width: 1200, height: 900 },
      colorScheme: 'light',
    });
    page = await browser.newPage();
    page.on('request', (request) => asked.push(request.url()));
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(pathToFileURL(report).href);
    await page.waitForSelector('body[data-ready="true"]');
  });
  afterAll(async () => {
    await browser?.close();
    desk?.close();
    if (profile !== undefined) rmSync(profile, { recursive: true, force: true });
  });

  const shot = async (name: string) => {
    if (shots !== undefined) await page.screenshot({ path: join(shots, `${name}.png`) });
  };
  const range = async (): Promise<[number, number]> => {
    const { from, to } = await page.$eval('section.feeder', (section) => ({
      ...(section as unknown as { dataset: Record<string, string> }).dataset,
    }));
    return [Number(from), Number(to)];
  };
  /** How many pixels of the first chart are not the paper's. */
  const inked = () =>
    page.$eval('.currents canvas', (element) => {
      const canvas = element as unknown as {
        width: number;
        height: number;
        getContext(kind: string): { getImageData(...box: number[]): { data: Uint8Array } };
      };
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((count, value, index) => count + (index % 4 === 3 && value > 0 ? 1 : 0), 0);
    });

  test('opens from the file alone: nothing else is asked for, no error', async () => {
    expect(
      asked.filter((url) => !url.startsWith('file:') && !url.startsWith('blob:') && !url.startsWith('data:')),
    ).toEqual([]);
    expect(errors).toEqual([]);
    await shot('light-all');
  });

  test('draws both charts, and says what they show', async () => {
    expect(await page.$$eval('.chart canvas', (all) => all.length)).toBe(2);
    expect(await inked()).toBeGreaterThan(10_000);
    const text = await page.innerText('body');
    for (const part of [
      'open loop',
      'Feeder F1',
      'Settings sheet',
      'settings group desk',
      'atRisk.pickupA',
      'operating times',
      'set by ____',
    ])
      expect(text).toContain(part);
    expect(await page.$$eval('table.episodes tbody tr', (all) => all.length)).toBe(2);
  });

  test('a gap is a hole in the currents, also where many readings share a pixel', async () => {
    /** Pixels in the colour of L1 from one minute of the trace to another. */
    const ofL1 = (minutes: readonly [number, number]) =>
      page.$eval(
        '.currents canvas',
        (element, [from, to]) => {
          const canvas = element as unknown as {
            width: number;
            height: number;
            getContext(kind: string): { getImageData(...box: number[]): { data: Uint8Array } };
          };
          const [axisPx, rightPx, minutesInAll] = [60, 16, 2 * 1440 - 1];
          const x = (minute: number) => axisPx + (minute / minutesInAll) * (canvas.width - axisPx - rightPx);
          const wide = Math.floor(x(to) - x(from));
          const { data } = canvas.getContext('2d').getImageData(Math.ceil(x(from)), 0, wide, canvas.height);
          let count = 0;
          for (let at = 0; at < data.length; at += 4)
            if ((data[at] ?? 255) < 60 && (data[at + 2] ?? 0) > 140 && data[at + 3] === 255) count++;
          return count;
        },
        minutes,
      );
    expect(await ofL1([606, 635])).toBe(0);
    expect(await ofL1([560, 590])).toBeGreaterThan(5);
  });

  test('on a narrow screen nothing but wide tables is wider than the screen', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    const [wide, screen] = await page.$eval('html', (html) => {
      const { scrollWidth, clientWidth } = html as unknown as { scrollWidth: number; clientWidth: number };
      return [scrollWidth, clientWidth];
    });
    await shot('light-narrow');
    expect(wide).toBe(screen);
    await page.setViewportSize({ width: 1200, height: 900 });
  });

  test('zooms by the buttons, the wheel and a drag, pans, and comes back', async () => {
    const [from, to] = await range();
    await page.click('[data-do="in"]');
    const [nearFrom, nearTo] = await range();
    expect(nearTo - nearFrom).toBeCloseTo((to - from) / 2, 0);
    await page.click('[data-do="later"]');
    expect((await range())[0]).toBeGreaterThan(nearFrom);
    const box = await (await page.$('.currents .u-over'))?.boundingBox();
    if (!box) throw new Error('no chart');
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.wheel(0, -200);
    await expect.poll(async () => (await range())[1] - (await range())[0]).toBeLessThan(nearTo - nearFrom);
    await page.click('[data-do="all"]');
    await page.mouse.move(box.x + box.width * 0.3, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
    await page.mouse.up();
    const [dragFrom, dragTo] = await range();
    expect((dragTo - dragFrom) / (to - from)).toBeCloseTo(0.3, 1);
    await page.keyboard.down('Shift');
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.keyboard.up('Shift');
    expect((await range())[0]).toBeGreaterThan(dragFrom);
    await page.mouse.dblclick(box.x + 100, box.y + 50);
    expect(await range()).toEqual([from, to]);
  });

  test('an event jumps to its moment', async () => {
    const row = await page.$('section.events tr.limit');
    const atS = Number(await row?.getAttribute('data-at')) / 1000;
    await (await row?.$('button'))?.click();
    const [from, to] = await range();
    expect((from + to) / 2).toBeCloseTo(atS, 0);
    expect(await row?.getAttribute('class')).toContain('selected');
    await shot('light-zoomed');
  });

  test('dark and light, by the screen and by the button; paper is light', async () => {
    const paper = () =>
      page.$eval(
        'body',
        (body) =>
          (globalThis as unknown as { getComputedStyle(of: unknown): { backgroundColor: string } }).getComputedStyle(
            body,
          ).backgroundColor,
      );
    await expect.poll(paper).toBe('rgb(255, 255, 255)');
    await page.emulateMedia({ colorScheme: 'dark' });
    await expect.poll(paper).toBe('rgb(20, 24, 29)');
    await shot('dark-zoomed');
    await page.click('[data-do="all"]');
    await shot('dark-all');
    await page.click('#theme');
    await expect.poll(paper).toBe('rgb(255, 255, 255)');
    await page.click('#theme');
    const pdf = await page.pdf({ format: 'A4', printBackground: true });
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    expect(await inked()).toBeGreaterThan(10_000);
    expect(errors).toEqual([]);
  });
});
