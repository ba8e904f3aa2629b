// One seed's world from beginning to end: the whole controller with its own control, journal and uplink, on simulated
// clocks, disk, meter, broker and head end. It runs as fast as the machine can, and the same plan runs the same way.
import { hash } from 'node:crypto';
import type { Configuration } from '../../src/configuration.ts';
import type { FeederState } from '../../src/control/types.ts';
import { Controller } from '../../src/controller.ts';
import { Historian } from '../../src/historian.ts';
import { historySpans } from '../../src/journal/history-reader.ts';
import type { Batch, StoredEvent } from '../../src/journal/records.ts';
import { silentLog } from '../../src/log.ts';
import type { Curtailment } from '../../src/messages.ts';
import type { Settings } from '../../src/settings.ts';
import { type Random, seeded } from '../simulators/random.ts';
import { Breach } from './breach.ts';
import { Broker, type Message, type SimulatedClient } from './broker.ts';
import { type Defect, Disk, type Fate, type Files, type GatedJournal } from './disk.ts';
import { calm, type Surroundings, strike } from './faults.ts';
import { HeadEnd } from './head-end.ts';
import { Heat } from './heat.ts';
import { Invariants, type Moment } from './invariants.ts';
import { LinkLog } from './link-log.ts';
import { type Boot, EPOCH_MS, machineClock, Wall } from './machine-clock.ts';
import { Meter } from './meter.ts';
import { type EdgeNow, Orders } from './orders.ts';
import { type Aim, type Fault, feederIds, type Plan, settingsOf, THERMAL } from './plan.ts';
import { Street } from './street.ts';
import { Timeline } from './timeline.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Minutes are written every five. */
const HISTORY_LATE_MS = 10 * 60_000;
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
  readonly historian: Historian;
  readonly folder: string;
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
  readonly #wall = new Wall();
  readonly #taken = new Set<string>();
  readonly #counts = { crashes: 0, starts: 0, faults: 0, readings: 0, commits: 0, refused: 0 };
  #boot: Boot;
  #life: Life | null = null;
  #running: { isRunning: boolean } = { isRunning: false };
  #client: SimulatedClient | null = null;
  #aim: { fault: Fault & { kind: 'kill' | 'power' }; left: number; isCounting: boolean } | null = null;
  #diskFault: 'full' | 'ioError' | Defect | null = null;
  #isUndurable = false;
  #isCalm = false;
  #stopping: Promise<void> | null = null;
  #ids = 0;
  #trace = '';
  /** True times of starts that could not know how long the program had been away. */
  readonly #lostCountMs: number[] = [];
  readonly #linkLog = new LinkLog();
  readonly #orders: Orders;
  readonly #around: Surroundings;
  /** Null in a world without thermal elements. */
  readonly #heat: Heat | null;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#settings = settingsOf(plan);
    this.#random = seeded(plan.seed + 1);
    this.#disk = new Disk(seeded(plan.seed + 2));
    const { timeline } = this;
    this.#broker = new Broker(timeline, seeded(plan.seed + 3), {
      handed: (client, message) => this.#handed(client, message),
      taken: (_client, message) => this.#took(message),
      confirmed: (message) => this.#life !== null && this.#confirmed(message),
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
    const isIn = (times: readonly number[], fromMs: number, toMs: number) =>
      times.some((ms) => fromMs <= ms && ms <= toMs);
    this.#invariants = new Invariants(leaseMs, {
      couldSay: (fromMs, toMs) => this.#linkLog.couldSay(fromMs, toMs),
      lostCount: (fromMs, toMs) => isIn(this.#lostCountMs, fromMs, toMs),
      steppedClock: (fromMs, toMs) => isIn(this.#wall.changedMs, fromMs, toMs),
    });
    this.#orders = new Orders(timeline, this.#broker, seeded(plan.seed + 6), feederIds(plan));
    this.#heat = plan.isThermal
      ? new Heat({ ...THERMAL, coolingTimeConstantMin: THERMAL.timeConstantMin, alarmPercent: null })
      : null;
    this.#around = {
      timeline,
      random: this.#random,
      broker: this.#broker,
      headEnd: this.#headEnd,
      meter: this.#meter,
      disk: this.#disk,
      wall: this.#wall,
      orders: this.#orders,
      linkLog: this.#linkLog,
      isLinkUp: () => this.#client?.connected === true,
      storageFails: (how) => {
        this.#diskFault = how;
      },
      caughtUp: () => this.#caughtUp(),
    };
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
    const counts = {
      ...this.#counts,
      ...this.#invariants.counts(),
      orders: this.#orders.count,
      hours,
      feederHours: hours * this.#plan.feeders,
    };
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

  /** After a power cut the time away is known by a wall clock that was right on both sides, and never was wrong lately. */
  #start(isNewBoot = false): void {
    const { nowMs } = this.timeline;
    const isDoubtful = !this.#wall.isSynchronised || this.#wall.changedMs.some((ms) => ms > nowMs - DAY_MS);
    if (isNewBoot && isDoubtful) this.#lostCountMs.push(nowMs);
    const running = { isRunning: true };
    this.#running = running;
    this.#isUndurable = false;
    this.#counts.starts += 1;
    const isRunning = () => running.isRunning;
    const { folder } = this.#disk;
    const clock = machineClock(this.timeline, this.#boot, this.#wall, this.#random, isRunning);
    const journal = this.#disk.open({
      fate: () => (running.isRunning ? this.#fate() : 'done'),
      deciding: (batch) => running.isRunning && this.#invariants.decided(batch, this.#moment()),
      committed: (batch, events) => running.isRunning && this.#committed(batch, events),
      crash: (before) => running.isRunning && this.#crashNow(before),
      later: (call) => this.timeline.after(0, call),
    });
    this.#invariants.opened(folder);
    const historian = new Historian({
      folder,
      bounds: { days: 30, feeders: this.#plan.feeders, maxBytes: 64e6 },
      clock,
      log: silentLog,
      isQuiet: () => controller.isQuiet,
      controlNow: (feederId) => controller.controlNow(feederId),
      isFeederQuiet: (feederId) => ['normal', 'blind'].includes(controller.stateOf(feederId)),
      trouble: (reason) => running.isRunning && controller.historyTrouble(reason),
    });
    const controller: Controller = new Controller({
      configuration: this.#configuration(),
      journal,
      clock,
      random: () => this.#random.between(0, 1),
      log: silentLog,
      observer: {
        link: (up) => isRunning() && this.#linkChanged(up),
        reading: (reading) => historian.reading(reading),
        input: (feederId, input) => historian.input(feederId, input),
        event: (event) => historian.event(event),
      },
      connect: (_url, options) => {
        const client = this.#broker.connect(isRunning, options);
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
    this.timeline.after(fault.downMs, () => this.#start(fault.kind === 'power'));
  }

  /** Closes what is left of a life, once its code has come to its end. */
  #bury(): void {
    const life = this.#life;
    this.#life = null;
    this.#client = null;
    this.#linkLog.end(this.timeline.nowMs);
    this.#invariants.closed();
    if (life !== null) this.#closeLater(life);
  }

  #closeLater(life: Life): void {
    queueMicrotask(() => {
      life.historian.close();
      life.journal.close();
      this.#disk.forget(life.folder);
    });
  }

  #loseClock({ clock, downMs }: Fault & { kind: 'power' }): void {
    this.#boot = this.#newBoot(this.timeline.nowMs + Math.max(0, downMs - 8_000));
    if (clock === 'right') return;
    const { nowMs } = this.timeline;
    this.#wall.doubt(nowMs);
    if (clock === 'reset') this.#wall.offsetMs = -(EPOCH_MS + nowMs) + 1_000_000;
    this.timeline.after(downMs + this.#random.between(0, HOUR_MS), () => this.#wall.synchronise(this.timeline.nowMs));
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
    if (fault.kind === 'kill' || fault.kind === 'power') this.#take(fault);
    else if (fault.kind === 'stop') void this.#plannedStop(fault.downMs);
    else strike(fault, this.#around);
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

  #crashNow(before: Files | null = null): void {
    if (!this.#running.isRunning) return;
    this.#disk.keep(before, this.#aim?.fault.kind === 'power');
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
    else this.#invariants.committed(batch, events);
    if (events === null || this.#heat === null || this.#life === null) return;
    const monotonicMs = this.#monotonicMs();
    for (const { feederId, state } of batch.states)
      this.#heat.kept(feederId, state as FeederState, monotonicMs, this.timeline.nowMs);
  }

  #caughtUp(): void {
    if (this.#diskFault === null && !this.#isUndurable && this.#life !== null) this.#invariants.caughtUp();
  }

  #monotonicMs(): number {
    return ((this.timeline.nowMs - this.#boot.bootedMs) * (1e6 + this.#plan.driftPpm)) / 1e6;
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

  #linkChanged(up: boolean): void {
    if (!up) return this.#linkLog.end(this.timeline.nowMs);
    if (!this.#broker.weather.refuses) this.#linkLog.begin(this.timeline.nowMs);
    this.#invariants.connected(this.#moment());
  }

  #edgeNow(): EdgeNow {
    const { isFailing, isUndurable } = this.#moment();
    return {
      wallOffsetMs: this.#wall.offsetMs,
      isSynchronised: this.#wall.isSynchronised,
      isFailing: isFailing || isUndurable,
    };
  }

  #confirmed(message: Message): void {
    const moment = this.#moment();
    this.#invariants.confirmed(message, moment);
    if (message.topic.endsWith('/command'))
      this.#orders.confirmed(
        message,
        (id) => this.#invariants.isAnswerKept(id),
        moment.isFailing || moment.isUndurable,
      );
  }

  #handed(client: SimulatedClient, message: Message): void {
    const aim = this.#isDue('publish');
    if (aim?.how === 'before') return this.#crashNow();
    this.#invariants.handed(message, this.#moment());
    if (message.topic.endsWith('/command/ack')) this.#orders.answered(message, this.#edgeNow());
    else if (message.topic.endsWith('/curtailment')) this.#orders.curtailment(message.payload);
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
    const isRunning = life !== null && this.#running.isRunning;
    const { readings, turned } = this.#meter.read(timeline.nowMs, this.#monotonicMs());
    for (const street of this.#streets.values())
      this.#heat?.flows(street.id, street.latestA, isRunning && this.#meter.isSound(street.id), timeline.nowMs);
    if (!isRunning) return;
    this.#counts.readings += readings.length;
    life.controller.readings(readings);
    if (turned !== null) life.controller.sourceChanged('meter', turned, turned ? 'answers' : 'timed out');
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on nothing is wrong, and little is drawn. */
  #calm(): void {
    this.#isCalm = true;
    this.#aim = null;
    calm(this.#around);
    for (const street of this.#streets.values()) street.isQuiet = true;
  }

  #atRest(): void {
    if (this.#life === null) throw new Breach('the program is not running at the end');
    this.#invariants.atRest(this.#taken);
    this.#orders.atRest(this.#invariants.events());
    this.#isHistoryKept(this.#life.folder);
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

  /** Whatever became of it on the way: there is a history, it is up to date, and its minutes make sense. */
  #isHistoryKept(folder: string): void {
    const { nowMs } = this.timeline;
    for (const feederId of this.#streets.keys()) {
      const fromMs = EPOCH_MS + nowMs - HOUR_MS;
      const minutes = [...historySpans(folder, { feederId, fromMs })];
      const last = minutes.at(-1)?.startMs ?? Number.NEGATIVE_INFINITY;
      if (EPOCH_MS + nowMs - last > HISTORY_LATE_MS)
        throw new Breach(`the history of ${feederId} ends ${(EPOCH_MS + nowMs - last) / 1000} s ago`);
      for (const { L1 } of minutes)
        if ((L1.minA ?? 0) > (L1.avgA ?? 0) || (L1.avgA ?? 0) > (L1.maxA ?? 0))
          throw new Breach(`a minute that makes no sense: ${JSON.stringify(L1)}`);
    }
  }
}
