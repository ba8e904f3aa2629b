// The program in the simulated world: its lives, one after another, each the whole controller with its journal and its
// history on what the disk kept of the one before. When it ends, the code that was running comes to its end without any
// effect, as if the power had been cut under it.
import type { Configuration } from '../../src/configuration.ts';
import { Controller } from '../../src/controller.ts';
import { Historian } from '../../src/historian.ts';
import { silentLog } from '../../src/log.ts';
import type { Random } from '../simulators/random.ts';
import { Breach } from './breach.ts';
import type { Broker, SimulatedClient } from './broker.ts';
import type { Crash } from './crash.ts';
import type { Disk, Files, Gate, GatedJournal } from './disk.ts';
import { type Boot, EPOCH_MS, machineClock, type Wall } from './machine-clock.ts';
import { type Plan, settingsOf } from './plan.ts';
import type { Timeline } from './timeline.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Of a planned stop. */
const STOP_STEPS_MAX = 10_000;

export interface ProgramInput {
  readonly plan: Plan;
  readonly timeline: Timeline;
  readonly disk: Disk;
  readonly broker: Broker;
  readonly wall: Wall;
  readonly random: Random;
  /** Asked and told of the journal's writes for as long as the program runs. */
  readonly gate: Omit<Gate, 'later'>;
  readonly opened: (folder: string) => void;
  readonly linkChanged: (up: boolean) => void;
  /** Nothing of the life that has ended has any effect from here on. */
  readonly ended: () => void;
}

/** One run of the program, from its start to its end. */
interface Life {
  readonly controller: Controller;
  readonly journal: GatedJournal;
  readonly historian: Historian | null;
  readonly folder: string;
}

export class Program {
  readonly counts = { crashes: 0, starts: 0 };
  /** True times of starts that could not know how long the program had been away. */
  readonly lostCountMs: number[] = [];
  /** True times between which it was away. */
  readonly #aways: { readonly fromMs: number; untilMs: number }[] = [];
  /** Under way while it stops as it was told to. */
  stopping: Promise<void> | null = null;
  readonly #input: ProgramInput;
  readonly #configuration: Configuration;
  #boot: Boot;
  #life: Life | null = null;
  #running: { isRunning: boolean } = { isRunning: false };
  #client: SimulatedClient | null = null;
  #ids = 0;

  constructor(input: ProgramInput) {
    this.#input = input;
    this.#configuration = {
      file: 'world.yaml',
      settings: settingsOf(input.plan),
      registerMaps: new Map(),
      hash: '0123456789abcdef',
    };
    this.#boot = this.#newBoot(-60_000);
  }

  get isRunning(): boolean {
    return this.#running.isRunning;
  }

  /** Null between two lives. */
  get controller(): Controller | null {
    return this.#running.isRunning ? (this.#life?.controller ?? null) : null;
  }

  /** The journal's; null between two lives. */
  get folder(): string | null {
    return this.#life?.folder ?? null;
  }

  get client(): SimulatedClient | null {
    return this.#client;
  }

  /** For how long of that time it was away. */
  awayMs(fromMs: number, toMs: number): number {
    const within = this.#aways.map((one) => Math.min(one.untilMs, toMs) - Math.max(one.fromMs, fromMs));
    return within.reduce((sum, ms) => sum + Math.max(0, ms), 0);
  }

  /** As its clock shows. */
  get monotonicMs(): number {
    return ((this.#input.timeline.nowMs - this.#boot.bootedMs) * (1e6 + this.#input.plan.driftPpm)) / 1e6;
  }

  /** After a power cut the time away is known by a wall clock that was right on both sides, and never was wrong lately. */
  start(isNewBoot = false): void {
    const { plan, timeline, disk, broker, wall, random, gate } = this.#input;
    const { nowMs } = timeline;
    const isDoubtful = !wall.isSynchronised || wall.changedMs.some((ms) => ms > nowMs - DAY_MS);
    if (isNewBoot && isDoubtful) this.lostCountMs.push(nowMs);
    const running = { isRunning: true };
    this.#running = running;
    const away = this.#aways.at(-1);
    if (away !== undefined) away.untilMs = nowMs;
    this.counts.starts += 1;
    const isRunning = () => running.isRunning;
    const { folder } = disk;
    const clock = machineClock(timeline, this.#boot, wall, random, isRunning);
    const journal = disk.open({
      fate: () => (running.isRunning ? gate.fate() : 'done'),
      deciding: (batch) => running.isRunning && gate.deciding(batch),
      committed: (batch, events) => running.isRunning && gate.committed(batch, events),
      crash: (before) => running.isRunning && gate.crash(before),
      later: (call) => timeline.after(0, call),
    });
    this.#input.opened(folder);
    const historian = plan.keepsHistory
      ? new Historian({
          folder,
          bounds: { days: 30, feeders: plan.feeders, maxBytes: 64e6 },
          clock,
          log: silentLog,
          isQuiet: () => controller.isQuiet,
          controlNow: (feederId) => controller.controlNow(feederId),
          isFeederQuiet: (feederId) => controller.isFeederQuiet(feederId),
          trouble: (reason) => running.isRunning && controller.historyTrouble(reason),
        })
      : null;
    const controller: Controller = new Controller({
      configuration: this.#configuration,
      journal,
      clock,
      random: () => random.between(0, 1),
      log: silentLog,
      observer: {
        link: (up) => running.isRunning && this.#input.linkChanged(up),
        reading: (reading) => historian?.reading(reading),
        input: (feederId, input) => historian?.input(feederId, input),
        event: (event) => historian?.event(event),
      },
      connect: (_url, options) => {
        const client = broker.connect(isRunning, options);
        if (running.isRunning) this.#client = client as unknown as SimulatedClient;
        return client;
      },
      newId: () => this.#newId(),
      rehearse: false,
    });
    const life = { controller, journal, historian, folder };
    if (!running.isRunning) return this.#closeLater(life);
    this.#life = life;
  }

  /** It ends where it stands; `before` is what the disk held before an unsynced write. */
  crash(crash: Crash, before: Files | null = null): void {
    if (!this.#running.isRunning) return;
    const isPowerCut = crash.kind === 'power';
    this.#input.disk.keep(before, isPowerCut);
    this.counts.crashes += 1;
    this.#running.isRunning = false;
    this.#client?.vanish(isPowerCut);
    this.#bury();
    if (crash.kind === 'power') this.#loseClock(crash);
    this.#input.timeline.after(crash.downMs, () => this.start(isPowerCut));
  }

  /** A planned stop; it is started again after `downMs`, where that is finite. */
  async stop(downMs: number): Promise<void> {
    const { timeline, disk } = this.#input;
    const life = this.#life;
    if (life === null) return;
    this.stopping = life.controller.stop();
    let isStopped = false;
    void this.stopping.then(() => {
      isStopped = true;
    });
    // A crash may come in the middle of a stop.
    for (let steps = 0; !isStopped && this.isRunning && steps < STOP_STEPS_MAX; steps++) {
      timeline.step(timeline.nowMs + 5_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.stopping = null;
    if (!this.isRunning) return;
    if (!isStopped) throw new Breach('a planned stop never came to its end');
    this.#running.isRunning = false;
    disk.keep();
    this.#bury();
    if (Number.isFinite(downMs)) timeline.after(downMs, () => this.start());
  }

  /** With the world. */
  abandon(): void {
    this.#running.isRunning = false;
    this.#bury();
  }

  #newBoot(bootedMs: number): Boot {
    return { bootId: `boot-${this.#ids++}`, bootedMs, driftPpm: this.#input.plan.driftPpm };
  }

  #newId(): string {
    this.#ids += 1;
    return `01990000-0000-7000-8000-${this.#ids.toString(16).padStart(12, '0')}`;
  }

  /** Closes what is left of a life, once its code has come to its end. */
  #bury(): void {
    const life = this.#life;
    this.#life = null;
    this.#client = null;
    this.#aways.push({ fromMs: this.#input.timeline.nowMs, untilMs: Number.POSITIVE_INFINITY });
    this.#input.ended();
    if (life !== null) this.#closeLater(life);
  }

  #closeLater(life: Life): void {
    queueMicrotask(() => {
      life.historian?.close();
      life.journal.close();
      this.#input.disk.forget(life.folder);
    });
  }

  #loseClock({ clock, downMs }: Crash & { kind: 'power' }): void {
    const { timeline, wall, random } = this.#input;
    const { nowMs } = timeline;
    this.#boot = this.#newBoot(nowMs + Math.max(0, downMs - 8_000));
    if (clock === 'right') return;
    wall.doubt(nowMs);
    if (clock === 'reset') wall.offsetMs = -(EPOCH_MS + nowMs) + 1_000_000;
    timeline.after(downMs + random.between(0, HOUR_MS), () => wall.synchronise(timeline.nowMs));
  }
}
