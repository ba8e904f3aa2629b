// One contestant through one scenario: meters, proxies, broker and head end are put up around it, it is started, the
// evening is played with the faults in their time, and judged at the end.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/workbench/seeded-random.ts';
import { Mosquitto } from '../../test/simulators/mosquitto.ts';
import { BadLink } from './bad-link.ts';
import { type Contestant, environment, type Job } from './contestants.ts';
import { fillDisk, freeDisk, mountDisk, unmountDisk } from './disk.ts';
import { DROPOUT_A, evening, PICKUP_A, restored } from './evening.ts';
import { HeadEnd } from './head-end.ts';
import type { Verdict } from './judge.ts';
import { EveningMeter, FALSE_KINDS } from './meter.ts';
import { verdictOf } from './oracle.ts';
import { isTimed } from './plan.ts';
import { hasFaketime, Program, type Used } from './program.ts';
import type { Scenario, Window } from './scenarios.ts';

export interface Result extends Verdict {
  readonly scenario: string;
  readonly contestant: string;
  readonly round: number;
  readonly seed: string;
  /** Transitions of the trace that no answer ever showed: nobody can have known. */
  readonly unseen: number;
  readonly repeats: number;
  readonly falseAnswers: number;
  readonly reads: number;
  readonly unread: number;
  readonly used: Used & { readonly cpuPercent: number };
  readonly died: string | null;
}

const READY_MS = 180_000;
const TICK_MS = 5;
/** After the last step, for what is still under way; no longer than anything is missing, but for the least. */
const AFTER_MS = { least: 500, most: 10_000 };
/** Before that, real time: who is killed has so long to come back. */
const NO_KILL_MS = 6_000;

export class Skipped extends Error {}

/** One contestant in one scenario: `open`, `start`, `play` and `close`, in that order; `close` whatever happened. */
export class Rig {
  readonly contestant: Contestant;
  readonly scenario: Scenario;
  readonly #round: number;
  readonly #folder: string;
  readonly #seed: string;
  readonly #bornMs = performance.now();
  readonly #bornWallMs = Date.now();
  readonly #random: () => number;
  readonly #meters: EveningMeter[] = [];
  readonly #meterLinks: BadLink[] = [];
  readonly #killsMs: number[] = [];
  #readsAtKill = 0;
  #beginsWallMs = Number.POSITIVE_INFINITY;
  #disk: string | null = null;
  #broker: Mosquitto | null = null;
  #brokerLink: BadLink | null = null;
  #headEnd: HeadEnd | null = null;
  #program: Program | null = null;

  constructor(contestant: Contestant, scenario: Scenario, round: number, folder: string) {
    this.contestant = contestant;
    this.scenario = scenario;
    this.#round = round;
    this.#folder = folder;
    this.#seed = `${scenario.name} ${round}`;
    this.#random = seededRandom(`${this.#seed} faults`);
  }

  /** Puts up everything but the contestant. Rejects with Skipped where this machine cannot do it. */
  async open(): Promise<void> {
    const { rate, clock, diskFull, pollMs, timeoutMs, leaseS, meterLink, brokerLink } = this.scenario;
    if ((rate !== 1 || clock.length > 0) && !hasFaketime) throw new Skipped('needs the package faketime');
    rmSync(this.#folder, { recursive: true, force: true });
    mkdirSync(this.#folder, { recursive: true });
    if (diskFull !== null) {
      this.#disk = mountDisk(join(this.#folder, 'disk'));
      if (this.#disk === null) throw new Skipped('needs to be root, for a small file system');
    }
    const folder = this.#disk ?? join(this.#folder, 'work');
    mkdirSync(folder, { recursive: true });
    this.#broker = await Mosquitto.start({ unlimitedQueue: true });
    this.#headEnd = await HeadEnd.start(this.#broker.port, () => this.#now());
    let brokerPort = this.#broker.port;
    if (brokerLink.length > 0) {
      this.#brokerLink = new BadLink(brokerPort);
      brokerPort = await this.#brokerLink.start();
    }
    const meterPorts: number[] = [];
    for (const meter of this.#makeMeters()) {
      this.#meters.push(meter);
      const port = await meter.start();
      if (meterLink.length > 0) this.#meterLinks.push(new BadLink(port));
      meterPorts.push((await this.#meterLinks.at(-1)?.start()) ?? port);
    }
    const job: Job = {
      folder,
      meterPorts,
      brokerPort,
      pollMs,
      timeoutMs,
      leaseS,
      pickupA: PICKUP_A,
      dropoutA: DROPOUT_A,
    };
    this.#program = new Program({
      command: await this.contestant.command(job),
      environment: environment(job),
      folder,
      log: join(this.#folder, 'log'),
      rate,
      clockMoves: clock.length > 0,
      alone: isTimed(this.scenario),
      wallMs: () => this.#wallMs(),
    });
  }

  /** Resolves when the contestant reads its meters and has found its broker. Rejects where it never does. */
  async start(): Promise<void> {
    const program = this.#opened(this.#program);
    program.start();
    await this.#ready(program, 0);
    await sleep(500);
  }

  /** It has read each meter some times since it had been read so often, and has found its broker. */
  async #ready(program: Program, readsBefore: number): Promise<void> {
    const isReady = () =>
      this.#meters.every(({ reads }) => reads > readsBefore + 4) &&
      (this.#brokerLink === null || this.#brokerLink.connections > 0);
    for (const untilMs = performance.now() + READY_MS; !isReady(); await sleep(20)) {
      if (program.died !== null) throw new Error(`it ${program.died} before it began`);
      if (performance.now() > untilMs) throw new Error(`it did not begin within ${READY_MS / 1000} s`);
    }
  }

  async play(): Promise<Result> {
    const { scenario } = this;
    const [program, headEnd] = [this.#opened(this.#program), this.#opened(this.#headEnd)];
    const before = program.used();
    const beganMs = performance.now();
    this.#beginsWallMs = this.#wallMs();
    await this.#playFaults(program);
    const after = program.used();
    const seconds = (performance.now() - beganMs) / 1000;
    const { said, unread } = headEnd;
    const [killsMs, beginsWallMs] = [this.#killsMs, this.#beginsWallMs];
    const judge = () => verdictOf({ scenario, meters: this.#meters, said, killsMs, beginsWallMs });
    // Who is still on the way back from the last kill has its time too; who never comes is judged by what it said.
    if (this.#killsMs.length > 0) await this.#ready(program, this.#readsAtKill).catch(() => {});
    await sleep(AFTER_MS.least);
    for (let waitedMs = AFTER_MS.least; waitedMs < AFTER_MS.most && judge().lost > 0; waitedMs += 250) await sleep(250);
    const verdict = judge();
    const meters = this.#meters.map(({ shown, falseAnswers, reads }) => ({ reads, falseAnswers, shown }));
    const raw = { seed: this.#seed, scenario, beginsWallMs, killsMs, meters, said, unread, verdict };
    writeFileSync(join(this.#folder, 'raw.json'), `${JSON.stringify(raw, null, 1)}\n`);
    return {
      ...verdict,
      scenario: scenario.name,
      contestant: this.contestant.name,
      round: this.#round,
      seed: this.#seed,
      unseen: this.#meters.reduce((sum, meter) => sum + meter.transitions, 0) - verdict.expected,
      repeats: said.length - new Set(said.map(({ id, afterwards }) => `${id} ${afterwards}`)).size,
      falseAnswers: this.#meters.reduce((sum, { falseAnswers }) => sum + falseAnswers.length, 0),
      reads: this.#meters.reduce((sum, { reads }) => sum + reads, 0),
      unread: unread.length,
      used: {
        cpuS: after.cpuS - before.cpuS,
        cpuPercent: (100 * (after.cpuS - before.cpuS)) / seconds,
        residentMb: after.residentMb,
        writtenMb: after.writtenMb - before.writtenMb,
      },
      died: program.died,
    };
  }

  async close(): Promise<void> {
    await this.#program?.stop();
    await this.#headEnd?.close();
    for (const one of [...this.#meters, ...this.#meterLinks]) await one.close();
    await this.#brokerLink?.close();
    await this.#broker?.remove();
    if (this.#disk !== null) unmountDisk(this.#disk);
  }

  #wallMs(): number {
    return this.#bornWallMs + (performance.now() - this.#bornMs) * this.scenario.rate;
  }

  /** Evening time, ms; before the start no step has come and no fault is there. */
  #now(): number {
    return Number.isFinite(this.#beginsWallMs) ? this.#wallMs() - this.#beginsWallMs : 0;
  }

  #faultOf<F>(windows: readonly Window<F>[]): F | null {
    return windows.find(({ fromMs, toMs }) => this.#now() >= fromMs && this.#now() < toMs)?.fault ?? null;
  }

  #makeMeters(): EveningMeter[] {
    const { scenario } = this;
    const { feeders, durationMs, dwellMs, pollMs, falseOneIn, timeoutMs, rate } = scenario;
    return Array.from(
      { length: feeders },
      (_, index) =>
        new EveningMeter({
          steps: scenario.together
            ? restored(durationMs, dwellMs)
            : evening(`${this.#seed} F${index + 1}`, durationMs, dwellMs, pollMs),
          now: () => this.#now(),
          fault: () => this.#faultOf(scenario.meterFaults),
          falseOneIn,
          firstFalse: Math.floor((index * FALSE_KINDS.length) / feeders),
          timeoutMs: timeoutMs / rate,
          random: this.#random,
        }),
    );
  }

  async #playFaults(program: Program): Promise<void> {
    const { durationMs, rate, kills, diskFull, brokerLink, meterLink, ...scenario } = this.scenario;
    // Each at moments of its own: started all at once they would wait for each other.
    const random = seededRandom(`${this.#seed} ${this.contestant.name} kills`);
    const killsMs = Array.from(
      { length: kills },
      (_, index) => ((durationMs - NO_KILL_MS * rate) * (index + 0.2 + 0.8 * random())) / kills,
    );
    const clock = [...scenario.clock];
    let full = false;
    for (; this.#now() < durationMs; await sleep(TICK_MS)) {
      await this.#brokerLink?.set(this.#faultOf(brokerLink));
      for (const link of this.#meterLinks) await link.set(this.#faultOf(meterLink));
      const nowMs = this.#now();
      if (clock[0] !== undefined && nowMs >= clock[0].atMs) program.setClock(clock.shift()?.offsetS ?? 0);
      if (killsMs[0] !== undefined && nowMs >= killsMs[0]) {
        killsMs.shift();
        await program.kill();
        this.#killsMs.push(this.#now());
        this.#readsAtKill = Math.max(...this.#meters.map(({ reads }) => reads));
        program.start();
      }
      const isFull = diskFull !== null && nowMs >= diskFull.fromMs && nowMs < diskFull.toMs;
      if (this.#disk !== null && isFull) await fillDisk(this.#disk);
      if (this.#disk !== null && full && !isFull) freeDisk(this.#disk);
      full = isFull;
    }
  }

  #opened<T>(part: T | null): T {
    if (part === null) throw new Error(`${this.#seed}: not opened`);
    return part;
  }
}
