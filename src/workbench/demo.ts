// What `npm start` runs: the real controller on config/demo.yaml, with a meter, a broker and a head end in the same
// process. Three cars come home to one phase of a feeder at the hour of the evening peak; a person sees the amperes
// rise to the pickup, the request, the acknowledgement, the chargers giving way, and the release two minutes later.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Aedes } from 'aedes';
import { systemClock } from '../clock.ts';
import { type Configuration, configurationOrProblems } from '../configuration.ts';
import type { Phase } from '../feeder.ts';
import { silentLog } from '../log.ts';
import type { Curtailment, Event } from '../messages.ts';
import { startController } from '../run.ts';
import { newDevice } from './headend/fleet.ts';
import { openHeadEnd } from './headend/head-end.ts';
import { Screen } from './screen.ts';
import { openSimulatedMeter, type SimulatedMeter } from './simulated-meter.ts';

const DEMO_CONFIG = fileURLToPath(new URL('../../config/demo.yaml', import.meta.url));
const LENGTH_S = 115;
const STEP_MS = 100;
const LINE_EVERY_MS = 2_000;
/** The chain of the demonstration: the head end's devices have a request after 1 s and have all acted 4 s later. */
const DCC_DELAY_S = 1;
const EFFECT_DELAY_S = 4;

/** Three 7 kW cars on L2: when each plugs in and how long it needs, in seconds of the demonstration. */
const CARS = [
  { pluggedInS: 10, needS: 45, currentA: 32 },
  { pluggedInS: 16, needS: 48, currentA: 32 },
  { pluggedInS: 22, needS: 52, currentA: 32 },
];

/** Gives the exit code: 0 when the evening has been played or Ctrl-C ended it, 2 when the configuration is wrong. */
export async function demo(): Promise<number> {
  const configuration = configurationOrProblems(DEMO_CONFIG);
  const [map] = configuration?.registerMaps.values() ?? [];
  if (configuration === null || map === undefined) return 2;
  const folder = mkdtempSync(join(tmpdir(), 'headroom-demo-'));
  const stops: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const broker = await openBroker();
    stops.push(broker.close);
    const meter = await openSimulatedMeter({ map, host: '127.0.0.1', port: 0 });
    stops.push(() => meter.close());
    const evening = new Evening();
    const screen = new Screen(configuration, (line) => void process.stdout.write(`${line}\n`));
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const headEnd = await openHeadEnd(
      {
        broker: url,
        roundTripS: DCC_DELAY_S,
        perSecond: 0,
        failureShare: 0,
        effectDelayS: EFFECT_DELAY_S,
        worker: 0,
        workers: 1,
        fleet: (group) => CARS.map((_, index) => newDevice(group, index, 'apc', 'L2')),
        random: Math.random,
        clock: systemClock(),
      },
      { dispatched: (message) => evening.obey(message) },
    );
    stops.push(() => headEnd.close());
    evening.step(meter);
    screen.intro(meter.port, broker.port);
    const running = startController(onPorts(configuration, meter.port, url, folder), silentLog, {
      reading: (reading) => screen.reading(reading),
      event: (event: Event) => screen.event(event),
      request: (message) => screen.request(message),
      ack: (ack) => screen.ack(ack),
    });
    stops.push(() => running.stop());
    await play(evening, meter, () => screen.line(running.controller.stateOf('F1')));
    screen.outro();
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
  return 0;
}

/** Until the evening is over or Ctrl-C. */
function play(evening: Evening, meter: SimulatedMeter, line: () => void): Promise<void> {
  return new Promise((resolve) => {
    const stepping = setInterval(() => {
      evening.step(meter);
      if (evening.elapsedS() > LENGTH_S) finish();
    }, STEP_MS);
    const lines = setInterval(line, LINE_EVERY_MS);
    const finish = () => {
      clearInterval(stepping);
      clearInterval(lines);
      process.removeListener('SIGINT', finish);
      process.removeListener('SIGTERM', finish);
      resolve();
    };
    process.once('SIGINT', finish);
    process.once('SIGTERM', finish);
  });
}

/** The feeder of the demonstration: homes with their evening peak, and cars that obey the head end. */
class Evening {
  readonly #startedMs = performance.now();
  readonly #doneS = CARS.map(() => 0);
  #lastS = 0;
  #permitted = { fromPercent: 100, toPercent: 100, sinceS: 0 };

  elapsedS(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** The chargers begin to move to the permitted level; each takes its own time, so together they ramp. */
  obey({ phases, levelPercent }: Curtailment): void {
    if (!phases.includes('L2')) return;
    this.#permitted = { fromPercent: this.#permittedPercent(), toPercent: levelPercent, sinceS: this.elapsedS() };
  }

  step(meter: SimulatedMeter): void {
    const nowS = this.elapsedS();
    const share = this.#permittedPercent() / 100;
    let carsA = 0;
    for (const [index, car] of CARS.entries()) {
      const charging = nowS >= car.pluggedInS && (this.#doneS[index] ?? 0) < car.needS;
      if (!charging) continue;
      carsA += car.currentA * share;
      this.#doneS[index] = (this.#doneS[index] ?? 0) + (nowS - this.#lastS) * share;
    }
    this.#lastS = nowS;
    const L1 = homesA('L1', nowS);
    const L2 = homesA('L2', nowS) + carsA;
    const L3 = homesA('L3', nowS);
    // Magnitudes with 120 degrees between them: what is left over flows in the neutral.
    const N = Math.sqrt(L1 ** 2 + L2 ** 2 + L3 ** 2 - L1 * L2 - L2 * L3 - L3 * L1);
    meter.set({ L1, L2, L3, N });
  }

  #permittedPercent(): number {
    const { fromPercent, toPercent, sinceS } = this.#permitted;
    const done = Math.min(1, (this.elapsedS() - sinceS) / EFFECT_DELAY_S);
    return fromPercent + (toPercent - fromPercent) * Math.max(0, done);
  }
}

const HOMES_A: { readonly [P in Phase]: { readonly floorA: number; readonly peakA: number } } = {
  L1: { floorA: 150, peakA: 62 },
  L2: { floorA: 192, peakA: 88 },
  L3: { floorA: 165, peakA: 70 },
};
const PEAK_AT_S = 32;
const PEAK_WIDTH_S = 30;

/** An evening peak as a bell, with the small restlessness of real homes. */
function homesA(phase: Phase, nowS: number): number {
  const { floorA, peakA } = HOMES_A[phase];
  const bell = Math.exp(-(((nowS - PEAK_AT_S) / PEAK_WIDTH_S) ** 2));
  return floorA + peakA * bell + 1.5 * Math.sin(nowS * 1.7 + floorA) + 0.8 * Math.sin(nowS * 5.3);
}

function onPorts(
  configuration: Configuration,
  meterPort: number,
  brokerUrl: string,
  journalFolder: string,
): Configuration {
  const { settings } = configuration;
  return {
    ...configuration,
    settings: {
      ...settings,
      sources: settings.sources.map((source) => ({ ...source, host: '127.0.0.1', port: meterPort })),
      uplink: { ...settings.uplink, brokers: [{ protocol: 'auto' as const, url: brokerUrl }] },
      journal: { ...settings.journal, path: journalFolder },
    },
  };
}

async function openBroker(): Promise<{ port: number; close(): Promise<void> }> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}
