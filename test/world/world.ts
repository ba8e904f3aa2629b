// One seed's world from beginning to end: the whole controller with its own control, journal and uplink, on simulated
// clocks, disk, meter, broker and head end. It runs as fast as the machine can, and the same plan runs the same way.
import { hash } from 'node:crypto';
import type { Configuration } from '../../src/configuration.ts';
import { Controller } from '../../src/controller.ts';
import type { Batch, StoredEvent } from '../../src/journal/records.ts';
import { silentLog } from '../../src/log.ts';
import type { Curtailment } from '../../src/messages.ts';
import type { Settings } from '../../src/settings.ts';
import { type Random, seeded } from '../simulators/random.ts';
import { Broker, type Message, type SimulatedClient } from './broker.ts';
import { Disk, type Fate, type GatedJournal } from './disk.ts';
import { HeadEnd } from './head-end.ts';
import { Breach, Invariants, type Moment } from './invariants.ts';
import { type Boot, EPOCH_MS, machineClock, type Wall } from './machine-clock.ts';
import { Meter } from './meter.ts';
import { type Aim, type Fault, feederIds, type Plan, settingsOf } from './plan.ts';
import { Street } from './street.ts';
import { Timeline } from './timeline.ts';

const HOUR_MS = 3_600_000;
/** After the last fault, with little load: longer than the longest episode and everything that follows it. */
const REST_MS = 12 * HOUR_MS;
/** In a second of the world, however much is going on. */
const BUSIEST_STEPS = 100_000;

export interface Outcome {
  /** Null where everything held. */
  readonly breach: string | null;
  /** Of everything that the broker took, in order: the same for the same plan. */
  readonly trace: string;
  readonly counts: { readonly [what: string]: number };
}

/** One run of the program, from its start to its end. */
interface Life {
  readonly controller: Controller;
  readonly journal: GatedJournal;
  readonly folder: string;
  isRunning: boolean;
  startedWallMs: number;
}

export class World {
  readonly timeline = new Timeline();
  readonly #plan: Plan;
  readonly #settings: Settings;
  readonly #random: Random;
  readonly #disk: Disk;
  readonly #broker: Broker;
  readonly #headEnd: HeadEnd;
  readonly #streets: ReadonlyMap<string, Street>;
  readonly #meter: Meter;
  readonly #invariants: Invariants;
  readonly #wall: Wall = { offsetMs: 0, isSynchronised: true };
  readonly #taken = new Set<string>();
  readonly #counts = { crashes: 0, starts: 0, faults: 0, readings: 0, commits: 0, refused: 0 };
  #boot: Boot;
  #life: Life | null = null;
  #running: { isRunning: boolean } = { isRunning: false };
  #client: SimulatedClient | null = null;
  #aim: { fault: Fault & { kind: 'kill' | 'power' }; left: number; isCounting: boolean } | null = null;
  #diskFault: 'full' | 'ioError' | 'lies' | null = null;
  #isUndurable = false;
  #isCalm = false;
  #stopping: Promise<void> | null = null;
  #ids = 0;
  #trace = '';
  /** Requests from before this, as the machine tells time, may be taken as lapsed by a program that lost count. */
  #countLostWallMs: number | null = null;
  readonly #restarts: number[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#settings = settingsOf(plan);
    this.#random = seeded(plan.seed + 1);
    this.#disk = new Disk(seeded(plan.seed + 2));
    const { timeline } = this;
    this.#broker = new Broker(timeline, seeded(plan.seed + 3), {
      handed: (client, message) => this.#handed(client, message),
      taken: (_client, message) => this.#took(message),
      confirmed: (message) => this.#life !== null && this.#invariants.confirmed(message, this.#moment()),
    });
    const fullChangeMs = Math.max(60, Number(plan.curtailment['responseTimeS'])) * 900;
    this.#streets = new Map(
      feederIds(plan).map((id, index) => [
        id,
        new Street(id, seeded(plan.seed + 100 + index), fullChangeMs, plan.busyShare),
      ]),
    );
    this.#headEnd = new HeadEnd(timeline, this.#broker, this.#streets, seeded(plan.seed + 4));
    this.#meter = new Meter([...this.#streets.values()], seeded(plan.seed + 5));
    const leaseMs = Math.min(Number(plan.curtailment['leaseS']), 7200) * 1000;
    this.#invariants = new Invariants(leaseMs);
    this.#boot = this.#newBoot(-60_000);
  }

  /** Runs it all. */
  async run(): Promise<Outcome> {
    let breach: string | null = null;
    try {
      await this.#runAll();
    } catch (error) {
      breach = error instanceof Breach ? error.message : `${(error as Error).stack}`;
      breach = `${breach} (at ${this.#hours()})`;
    }
    this.#running.isRunning = false;
    this.#bury();
    this.#disk.remove();
    const hours = this.timeline.nowMs / HOUR_MS;
    const counts = { ...this.#counts, ...this.#invariants.counts(), hours, feederHours: hours * this.#plan.feeders };
    return { breach, trace: this.#trace, counts };
  }

  async #runAll(): Promise<void> {
    const endMs = this.#plan.hours * HOUR_MS;
    this.#start();
    this.#poll();
    for (const fault of this.#plan.faults) this.timeline.at(fault.atMs, () => this.#strike(fault));
    await this.#until(endMs);
    this.#calm();
    await this.#until(endMs + REST_MS);
    this.#atRest();
    await this.#stop(Number.POSITIVE_INFINITY);
  }

  async #until(untilMs: number): Promise<void> {
    for (let [steps, secondMs] = [0, 0]; ; steps++) {
      const hasMore = this.timeline.step(untilMs);
      if (this.timeline.nowMs > secondMs) [steps, secondMs] = [0, this.timeline.nowMs + 1_000];
      if (steps > BUSIEST_STEPS)
        throw new Breach(`more than ${BUSIEST_STEPS} steps in a second: it goes round in circles`);
      this.#countSteps();
      if (this.#stopping !== null) await new Promise((resolve) => setImmediate(resolve));
      if (!hasMore) return;
    }
  }

  #hours(): string {
    return `hour ${(this.timeline.nowMs / HOUR_MS).toFixed(6)}`;
  }

  // ── the program's lives ─────────────────────────────────────────────────────────────────────────────────────────

  #newBoot(bootedMs: number): Boot {
    return { bootId: `boot-${this.#ids++}`, bootedMs, driftPpm: this.#plan.driftPpm };
  }

  #start(): void {
    const running = { isRunning: true };
    this.#running = running;
    this.#isUndurable = false;
    this.#counts.starts += 1;
    const isRunning = () => running.isRunning;
    const { folder } = this.#disk;
    const clock = machineClock(this.timeline, this.#boot, this.#wall, this.#random, isRunning);
    const journal = this.#disk.open({
      fate: () => (running.isRunning ? this.#fate() : 'done'),
      committed: (batch, events) => running.isRunning && this.#committed(batch, events),
      crash: () => running.isRunning && this.#end(),
    });
    this.#invariants.opened(folder);
    this.#restarts.push(clock.wallMs());
    const controller = new Controller({
      configuration: this.#configuration(),
      journal,
      clock,
      random: () => this.#random.between(0, 1),
      log: silentLog,
      observer: { link: (up) => up && isRunning() && this.#connected() },
      connect: (_url, options) => {
        const client = this.#broker.connect(isRunning, options);
        if (running.isRunning) this.#client = client as unknown as SimulatedClient;
        return client;
      },
      newId: () => this.#newId(),
      rehearse: false,
    });
    const life = { controller, journal, folder, isRunning: true, startedWallMs: clock.wallMs() };
    if (!running.isRunning) return this.#closeLater(life);
    this.#life = life;
  }

  #configuration(): Configuration {
    return { file: 'world.yaml', settings: this.#settings, registerMaps: new Map(), hash: '0123456789abcdef' };
  }

  #newId(): string {
    this.#ids += 1;
    return `01990000-0000-7000-8000-${this.#ids.toString(16).padStart(12, '0')}`;
  }

  /** The program ends where it stands; what the disk has kept has been set aside. */
  #end(): void {
    const fault = this.#aim?.fault;
    this.#aim = null;
    if (fault === undefined) throw new Error('a crash that nobody asked for');
    this.#counts.crashes += 1;
    this.#running.isRunning = false;
    this.#client?.vanish(fault.kind === 'power');
    this.#bury();
    if (fault.kind === 'power') this.#loseClock(fault);
    this.timeline.after(fault.downMs, () => this.#start());
  }

  /** Closes what is left of a life, once its code has come to its end. */
  #bury(): void {
    const life = this.#life;
    this.#life = null;
    this.#client = null;
    this.#invariants.closed();
    if (life !== null) this.#closeLater(life);
  }

  #closeLater(life: Life): void {
    queueMicrotask(() => {
      life.journal.close();
      this.#disk.forget(life.folder);
    });
  }

  #loseClock({ clock, downMs }: Fault & { kind: 'power' }): void {
    this.#boot = this.#newBoot(this.timeline.nowMs + Math.max(0, downMs - 8_000));
    if (clock === 'right') return;
    this.#wall.isSynchronised = false;
    if (clock === 'reset') this.#wall.offsetMs = -(EPOCH_MS + this.timeline.nowMs) + 1_000_000;
    this.#countLostWallMs = Number.POSITIVE_INFINITY;
    this.timeline.after(downMs + this.#random.between(0, HOUR_MS), () => this.#synchronise());
  }

  #synchronise(): void {
    this.#wall.offsetMs = 0;
    this.#wall.isSynchronised = true;
  }

  async #stop(downMs: number): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    this.#stopping = life.controller.stop();
    let isStopped = false;
    void this.#stopping.then(() => {
      isStopped = true;
    });
    // A crash may come in the middle of a stop.
    for (let steps = 0; !isStopped && this.#running.isRunning && steps < 10_000; steps++) {
      this.timeline.step(this.timeline.nowMs + 5_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#stopping = null;
    if (!this.#running.isRunning) return;
    if (!isStopped) throw new Breach('a planned stop never came to its end');
    this.#running.isRunning = false;
    this.#disk.keep();
    this.#bury();
    if (Number.isFinite(downMs)) this.timeline.after(downMs, () => this.#start());
  }

  // ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────

  #strike(fault: Fault): void {
    this.#counts.faults += 1;
    const { timeline } = this;
    const { weather } = this.#broker;
    const during = (forMs: number, begin: () => void, over: () => void) => {
      begin();
      timeline.after(forMs, over);
    };
    switch (fault.kind) {
      case 'kill':
      case 'power':
        return this.#take(fault);
      case 'stop':
        return void this.#plannedStop(fault.downMs);
      case 'cut':
        return this.#broker.cutAll('cut');
      case 'halfOpen':
        return this.#broker.halfOpenAll();
      case 'forget':
        return this.#broker.forget();
      case 'down':
      case 'blackHole':
        this.#broker.cutAll('the broker went');
        return during(
          fault.forMs,
          () => Object.assign(weather, { isDown: true, isMute: fault.kind === 'blackHole' }),
          () => Object.assign(weather, { isDown: false, isMute: false }),
        );
      case 'mute':
        return during(
          fault.forMs,
          () => Object.assign(weather, { isMute: true }),
          () => Object.assign(weather, { isMute: false }),
        );
      case 'refuses':
        return during(
          fault.forMs,
          () => Object.assign(weather, { refuses: true }),
          () => Object.assign(weather, { refuses: false }),
        );
      case 'slow':
        return during(
          fault.forMs,
          () => Object.assign(weather, { slowestMs: 9_000 }),
          () => Object.assign(weather, { slowestMs: 60 }),
        );
      case 'headEndAway':
        return during(
          fault.forMs,
          () => Object.assign(this.#headEnd, { isAway: true }),
          () => this.#headEnd.back(),
        );
      case 'silent':
      case 'notANumber':
      case 'uncertain':
      case 'frozen':
        return this.#meter.spoil(fault.kind, fault.feeder, timeline.nowMs + fault.forMs);
      case 'full':
      case 'ioError':
      case 'lies':
        return during(
          fault.forMs,
          () => {
            this.#diskFault = fault.kind;
          },
          () => {
            this.#diskFault = null;
          },
        );
      case 'clockStep':
        this.#wall.offsetMs += fault.byMs;
        timeline.after(this.#random.between(0, 2 * HOUR_MS), () => this.#synchronise());
        return;
      case 'unsynchronised':
        return during(
          fault.forMs,
          () => {
            this.#wall.isSynchronised = false;
          },
          () => this.#synchronise(),
        );
    }
  }

  #take(fault: Fault & { kind: 'kill' | 'power' }): void {
    if (!this.#running.isRunning || this.#isCalm) return;
    if (this.#aim !== null) {
      // The one before found nothing to come at so far: it comes now, and this one after it.
      const { downMs } = this.#aim.fault;
      this.timeline.after(downMs + 1_000, () => this.#take(fault));
      return this.#crashNow();
    }
    const { aim } = fault;
    this.#aim = { fault, left: aim.at === 'moment' ? 0 : aim.nth, isCounting: false };
    if (aim.at === 'moment') this.#crashNow();
  }

  #crashNow(): void {
    if (!this.#running.isRunning) return;
    this.#disk.keep();
    this.#end();
  }

  /** Whether the crash that is under way comes at this point. */
  #isDue<A extends Aim['at']>(at: A): (Aim & { at: A }) | null {
    const aim = this.#aim?.fault.aim;
    if (this.#aim === null || aim?.at !== at) return null;
    this.#aim.left -= 1;
    return this.#aim.left <= 0 ? (aim as Aim & { at: A }) : null;
  }

  #countSteps(): void {
    if (this.#aim?.isCounting && this.#isDue('step') !== null) this.#crashNow();
  }

  #fate(): Fate {
    if (this.#aim !== null) this.#aim.isCounting = true;
    const aim = this.#isDue('write');
    if (aim !== null) return aim.how;
    if (this.#diskFault === 'ioError' && this.#random.chance(0.5)) return 'done';
    return this.#diskFault ?? 'done';
  }

  #committed(batch: Batch, events: readonly StoredEvent[] | null): void {
    this.#counts.commits += 1;
    this.#isUndurable = events === null;
    if (events === null) this.#counts.refused += 1;
    else this.#invariants.committed(batch, events, this.#moment());
  }

  async #plannedStop(downMs: number): Promise<void> {
    if (this.#running.isRunning && this.#aim === null) this.#stopping = this.#stop(downMs);
  }

  // ── what the broker and the judge are told ──────────────────────────────────────────────────────────────────────

  #moment(): Moment {
    const wallMs = Math.floor(EPOCH_MS + this.timeline.nowMs + this.#wall.offsetMs);
    return {
      wallMs,
      nowMs: this.timeline.nowMs,
      isUndurable: this.#isUndurable,
      isFailing: this.#diskFault === 'full' || this.#diskFault === 'ioError',
    };
  }

  #connected(): void {
    this.#invariants.connected(this.#moment(), () => this.#countLostWallMs !== null);
  }

  #handed(client: SimulatedClient, message: Message): void {
    const aim = this.#isDue('publish');
    if (aim?.how === 'before') return this.#crashNow();
    this.#invariants.handed(message, this.#moment());
    if (aim?.how === 'after') this.timeline.after(0, () => client === this.#client && this.#crashNow());
  }

  #took({ topic, payload }: Message): void {
    this.#trace = hash('sha1', `${this.#trace}${topic}${payload}`);
    if (topic.endsWith('/curtailment')) this.#taken.add((JSON.parse(payload) as Curtailment).requestId);
  }

  // ── readings ────────────────────────────────────────────────────────────────────────────────────────────────────

  #poll(): void {
    const { timeline } = this;
    timeline.after(this.#plan.pollMs, () => this.#poll());
    const life = this.#life;
    if (life === null || !this.#running.isRunning) return;
    const atMs = ((timeline.nowMs - this.#boot.bootedMs) * (1e6 + this.#plan.driftPpm)) / 1e6;
    const { readings, turned } = this.#meter.read(timeline.nowMs, atMs);
    this.#counts.readings += readings.length;
    life.controller.readings(readings);
    if (turned !== null) life.controller.sourceChanged('meter', turned, turned ? 'answers' : 'timed out');
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on nothing is wrong, and little is drawn. */
  #calm(): void {
    this.#isCalm = true;
    this.#aim = null;
    this.#diskFault = null;
    Object.assign(this.#broker.weather, { isDown: false, isMute: false, refuses: false, slowestMs: 60 });
    this.#headEnd.back();
    this.#meter.mend();
    for (const street of this.#streets.values()) street.isQuiet = true;
    this.#synchronise();
  }

  #atRest(): void {
    if (this.#life === null) throw new Breach('the program is not running at the end');
    this.#invariants.atRest(this.#taken, (request) => this.#mayHaveLapsedUnsaid(request));
    const { nowMs } = this.timeline;
    for (const street of this.#streets.values()) {
      if (street.isLimited(nowMs)) throw new Breach(`chargers of ${street.id} are limited for ever`);
      this.#isRetainedOver(street.id, nowMs);
    }
  }

  #isRetainedOver(feederId: string, nowMs: number): void {
    const retained = this.#broker.retained.get(`headroom/v1/WORLD-1/feeder/${feederId}/curtailment`);
    if (retained === undefined) return;
    const { action, end } = JSON.parse(retained) as Curtailment;
    if (action !== 'release' && Date.parse(end) > EPOCH_MS + nowMs)
      throw new Breach(`a limit stands on ${feederId} for ever: ${retained}`);
  }

  /** A request that nobody heard because of a crash counts as sent; it need not be said any more once it has ended. */
  #mayHaveLapsedUnsaid({ issuedAt, end, validUntil }: Curtailment): boolean {
    const from = Date.parse(issuedAt);
    const to = Math.max(Date.parse(end), Date.parse(validUntil));
    return this.#countLostWallMs !== null || this.#restarts.some((wallMs) => wallMs >= from) || to <= from;
  }
}
