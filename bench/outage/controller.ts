// The controller's side of the outage: `week` is one of simulated time with no broker, `return` goes on
// from there in real time. A process for each, so that its memory is that of the controller; it prints one line of JSON
// with its figures. Started by run.ts.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { type Clock, isoTime, systemClock } from '../../src/clock.ts';
import { Controller } from '../../src/controller.ts';
import type { FeederReading } from '../../src/feeder.ts';
import { Historian } from '../../src/historian.ts';
import { Journal } from '../../src/journal/journal.ts';
import { silentLog } from '../../src/log.ts';
import { settingsSchema } from '../../src/settings.ts';
import { handClock } from '../../test/simulators/hand-clock.ts';

const [phase = '', folder = '', url = '', queued = '100000', ended = '0'] = process.argv.slice(2);
const FEEDERS = 12;
const WEEK_S = 7 * 24 * 3600;
const STEP_S = 10;
const BATCH = 500;
const DAY_S = 24 * 3600;

const feederIds = Array.from({ length: FEEDERS }, (_, n) => `F${n + 1}`);
const settings = settingsSchema.parse({
  substation: { id: 'OUTAGE' },
  uplink: { brokers: [{ url }], allowInsecure: true, historyMessagesPerS: 0 },
  sources: [{ id: 'meter', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630', staleAfterMs: 60_000 }],
  feeders: feederIds.map((id) => ({
    id,
    currents: { source: 'meter' },
    targetGroup: { id: `TG-${id}`, version: 1 },
    controllableA: { L1: 96, L2: 96, L3: 96 },
    settings: [
      {
        name: 'one',
        ratingA: 385,
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 },
        budget: { episodesPerYear: 1_000, minutesPerYear: 100_000 },
      },
    ],
  })),
  journal: { path: folder },
});
const configuration = { file: 'outage.yaml', settings, registerMaps: new Map(), hash: '0123456789abcdef' };

// As main.ts does.
setFlagsFromString('--semi-space-growth-factor=1');
if (phase === 'week') await week();
else await comeBack(Number(ended));

/** Every feeder overloaded every evening, and a meter that comes and goes every minute. */
async function week(): Promise<void> {
  const real = systemClock();
  const clock = { ...handClock(real.monotonicMs()), wallMs: () => real.wallMs() - WEEK_S * 1000 };
  const startMs = clock.monotonicMs();
  const wallMs = () => real.wallMs() - WEEK_S * 1000 + (clock.monotonicMs() - startMs);
  const simulated: Clock = { ...clock, wallMs };
  const { controller, historian, journal } = start(simulated);
  for (let second = 0; second <= WEEK_S; second += STEP_S) {
    clock.advance(STEP_S * 1000);
    controller.readings(feederIds.map((id, n) => reading(id, currentA(second, n), clock.monotonicMs(), historian)));
    if (second % 60 === 0) controller.sourceChanged('meter', (second / 60) % 2 === 0, 'comes and goes');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await controller.stop();
  historian.close();
  const events = journal.eventsAfter(0, 1_000_000);
  say({ phase, endMs: clock.monotonicMs(), events: events.length, peakMB: peakMB(), diskMB: diskMB() });
  fillUp(journal, Number(queued) - events.length);
  journal.close();
}

function currentA(second: number, feeder: number): number {
  // The last evening begins five minutes before the week ends: its limits stand when the broker is back.
  const hour = ((second + 4 * 3600) % DAY_S) / 3600 - feeder / 2_400;
  const isEvening = hour >= 3.91 && hour < 4.5;
  return isEvening ? 360 : 200 + 50 * Math.sin(hour + feeder);
}

/** Up to the number of queued messages that is asked for. */
function fillUp(journal: Journal, count: number): void {
  const at = isoTime(Date.now());
  for (let n = 0; n < count; n += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, count - n) }, (_, k) => ({
      feederId: feederIds[k % FEEDERS] ?? null,
      body: (sequence: number) =>
        JSON.stringify({
          schema: 'headroom/v1/event',
          sequence,
          substationId: 'OUTAGE',
          feederId: feederIds[k % FEEDERS],
          at,
          type: 'pickup',
          element: 'atRisk',
          phase: 'L2',
          currentA: 360.25,
          reason: 'at or above pickupA 345',
          clockSynchronised: true,
        }),
    }));
    journal.commit(
      { states: [], requests: [], withheld: [], events },
      { monotonicMs: 0, wallMs: Date.now(), bootId: 'test', clockSynchronised: true },
    );
  }
}

/** With the broker there again; ends when everything has been taken. */
async function comeBack(endMs: number): Promise<void> {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const { controller, historian, journal } = start(goingOn(endMs));
  while (journal.eventsAfter(journal.eventsSentTo(), 1).length > 0)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  say({ phase, seconds, cpuS: Math.round((user + system) / 1e4) / 100, peakMB: peakMB(), diskMB: diskMB() });
  await controller.stop();
  historian.close();
  journal.close();
}

/** Real time, which goes on where simulated time ended. */
function goingOn(atMs: number): Clock {
  const real = systemClock();
  const byMs = atMs - real.monotonicMs();
  return {
    ...real,
    monotonicMs: () => real.monotonicMs() + byMs,
    at: (dueMs, call) => real.at(dueMs - byMs, call),
    bootId: 'test',
    synchronised: () => true,
  };
}

function start(clock: Clock) {
  const journal = new Journal(folder, settings.journal.maxMegabytes / 2);
  const historian: Historian = new Historian({
    folder,
    bounds: { days: 30, feeders: FEEDERS, maxBytes: 256e6 },
    clock,
    log: silentLog,
    isQuiet: () => controller.isQuiet,
    controlNow: (feederId) => controller.controlNow(feederId),
    isFeederQuiet: (feederId) => ['normal', 'blind'].includes(controller.stateOf(feederId)),
    trouble: (reason) => controller.historyTrouble(reason),
  });
  const observer = { event: historian.event.bind(historian) };
  const controller: Controller = new Controller({
    configuration,
    journal,
    clock,
    random: Math.random,
    log: silentLog,
    observer,
  });
  return { controller, historian, journal };
}

function reading(feederId: string, current: number, atMs: number, historian: Historian): FeederReading {
  const at = { currentA: current, quality: 'good', reason: null } as const;
  const made = { feederId, sourceId: 'meter', atMs, L1: at, L2: at, L3: at, N: at, exporting: [] };
  historian.reading(made);
  return made;
}

function peakMB(): number {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024);
}

function diskMB(): number {
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1e4) / 100;
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
