// `npm run test:soak [-- --seconds N]`: the whole of acquisition as in service, 32 feeders on 8 gateways of four meters
// each, polled at 100 ms for ten minutes, while one answer in two thousand is missing, late, cut short, foreign or an
// exception. Of every period each feeder must have a good reading before the next begins; one that has none is a
// missed deadline. It is the meters' where one of that gateway misbehaved within the time that it takes to see it and to
// connect anew; any other is ours, and there must be none. Nor may what is held grow. Prints a line of JSON; exit code 1
// where one of both is so. On a machine that is busy with other things put `chrt -r 10` before `node`: a process that
// is not let run reads nothing.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openAcquisition } from '../../src/acquisition/acquisition.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfiguration } from '../../src/configuration.ts';
import { PHASES } from '../../src/feeder.ts';
import { type Held, held, heldNow, isFlat, shown } from './memory.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    odd: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
  },
});
const seconds = Number(values.seconds);
const [GATEWAYS, METERS_EACH, POLL_MS, TIMEOUT_MS] = [8, 4, 100, 80];
/** Seen by the time-out, then up to 100 ms of jitter and the connection itself; the four meters wait for one another. */
const EFFECT_MS = TIMEOUT_MS + 100 + 2 * POLL_MS;
const SETTLE_S = 5;
const SAMPLES = 10;

const folder = mkdtempSync(join(tmpdir(), 'headroom-soak-'));
const child = fork(join(import.meta.dirname, 'soak-meters-process.ts'), [String(GATEWAYS), values.odd, values.seed]);
const [{ ports }] = (await once(child, 'message')) as [{ ports: number[] }];
/** By gateway: when it misbehaved. */
const odd = ports.map((): number[] => []);
child.on('message', ({ gateway, atMs }: { gateway: number; atMs: number }) => odd[gateway]?.push(atMs));

const clock = systemClock();
const { sources, feeders, registerMaps } = settings();
/** By feeder and period: whether a good reading came in it. */
const periods = Math.floor((seconds * 1000) / POLL_MS);
const got = new Map(feeders.map(({ id }) => [id, new Uint8Array(periods)]));
const lag = monitorEventLoopDelay({ resolution: 10 });
let [readings, notGood, fromMs] = [0, 0, Number.POSITIVE_INFINITY];

const openedMs = clock.monotonicMs();
const acquisition = openAcquisition({
  sources,
  feeders,
  registerMaps,
  dataFolder: folder,
  clock,
  random: Math.random,
  events: {
    readings(given) {
      for (const reading of given) {
        readings += 1;
        if (PHASES.every((name) => reading[name].quality === 'good')) mark(reading.feederId, reading.atMs);
        else notGood += 1;
      }
    },
    sourceChanged() {},
    alarm() {},
    changedOver() {},
  },
});
await sleep(SETTLE_S * 1000);
const before = held();
// Periods are counted from the instant at which the polls began, so that a deadline is the next poll.
fromMs = openedMs + POLL_MS * Math.ceil((clock.monotonicMs() - openedMs) / POLL_MS);
lag.enable();
const cpu = process.cpuUsage();
const during: Held[] = [];
for (let n = 1; n <= SAMPLES; n++) {
  await sleep((seconds * 1000) / SAMPLES);
  during.push(heldNow());
}
const { user, system } = process.cpuUsage(cpu);
await sleep(2 * POLL_MS);
lag.disable();
const samples = [before, held()];
acquisition.close();
child.disconnect();
await once(child, 'exit');
rmSync(folder, { recursive: true, force: true });
report();

function mark(feederId: string, atMs: number): void {
  const period = Math.floor((atMs - fromMs) / POLL_MS);
  if (period >= 0 && period < periods) got.get(feederId)?.fill(1, period, period + 1);
}

function report(): void {
  let [meters, ours] = [0, 0];
  for (const [index, { id }] of feeders.entries()) {
    const gateway = Math.floor(index / METERS_EACH);
    for (const [period, there] of (got.get(id) ?? []).entries()) {
      if (there === 1) continue;
      const endMs = fromMs + (period + 1) * POLL_MS;
      if (odd[gateway]?.some((atMs) => atMs <= endMs && atMs > endMs - POLL_MS - EFFECT_MS)) meters += 1;
      else ours += 1;
    }
  }
  const ms = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100;
  const figures = {
    run: 'soak',
    feeders: feeders.length,
    connections: ports.length,
    pollMs: POLL_MS,
    seconds,
    readings,
    notGood,
    misbehaved: odd.flat().length,
    deadlines: feeders.length * periods,
    missedByMeters: meters,
    missedByUs: ours,
    turnMs: { p99: ms(lag.percentile(99)), max: ms(lag.max) },
    cpuPercent: Math.round((user + system) / seconds / 100) / 100,
    ...shown(samples),
    residentDuringMb: shown(during).residentMb,
  };
  console.log(JSON.stringify(figures));
  process.exitCode = ours === 0 && isFlat(samples) ? 0 : 1;
}

function settings() {
  const file = join(folder, 'soak.yaml');
  const all = ports.flatMap((port, gateway) =>
    Array.from({ length: METERS_EACH }, (_, meter) => ({ id: `${gateway}-${meter}`, port, unitId: meter + 1 })),
  );
  const group = { name: 'soak', ratingA: 400, atRisk: { pickupA: 360, dropoutA: 320, delayS: 30, resetDelayS: 60 } };
  writeFileSync(
    file,
    JSON.stringify({
      substation: { id: 'SOAK' },
      uplink: { brokers: [{ url: 'mqtts://127.0.0.1' }] },
      sources: all.map(({ id, port, unitId }) => ({
        ...{ id: `meter-${id}`, type: 'modbus-tcp', host: '127.0.0.1', port, unitId },
        ...{ profile: 'eastron-sdm630', pollMs: POLL_MS, timeoutMs: TIMEOUT_MS },
      })),
      feeders: all.map(({ id }) => ({
        id: `F${id}`,
        currents: { source: `meter-${id}` },
        settings: [group],
      })),
      journal: { path: folder },
    }),
  );
  const { configuration, problems } = readConfiguration(file);
  if (configuration === null) throw new Error(JSON.stringify(problems[0]));
  return { ...configuration.settings, registerMaps: configuration.registerMaps };
}
