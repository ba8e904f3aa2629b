// One seed's world from beginning to end: the whole controller with its own control, journal and uplink, on simulated
// clocks, disk, meter, broker and head end. It runs as fast as the machine can, and the same plan runs the same way.
import { hash } from 'node:crypto';
import type { FeederState } from '../../src/control/types.ts';
import type { Batch, StoredEvent } from '../../src/journal/records.ts';
import type { Curtailment } from '../../src/messages.ts';
import { type Random, seeded } from '../simulators/random.ts';
import { Breach } from './breach.ts';
import { Broker, type Message, type SimulatedClient } from './broker.ts';
import { type Crash, CrashPoint } from './crash.ts';
import { type Defect, Disk, type Fate, type Files } from './disk.ts';
import { calm, type Surroundings, strike } from './faults.ts';
import { HeadEnd } from './head-end.ts';
import { Heat } from './heat.ts';
import { Invariants, type Moment } from './invariants.ts';
import { LinkLog } from './link-log.ts';
import { EPOCH_MS, Wall } from './machine-clock.ts';
import { Meter } from './meter.ts';
import { type EdgeNow, Orders } from './orders.ts';
import { type Fault, feederIds, type Plan, restraintsOf, THERMAL } from './plan.ts';
import { Program } from './program.ts';
import { historyIsKept, nothingStands } from './rest.ts';
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

export class World {
  readonly timeline = new Timeline();
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #disk: Disk;
  readonly #broker: Broker;
  readonly #headEnd: HeadEnd;
  readonly #streets: ReadonlyMap<string, Street>;
  readonly #meter: Meter;
  readonly #invariants: Invariants;
  readonly #wall = new Wall();
  readonly #program: Program;
  readonly #crashPoint = new CrashPoint();
  readonly #linkLog = new LinkLog();
  readonly #orders: Orders;
  readonly #around: Surroundings;
  /** Null in a world without thermal elements. */
  readonly #heat: Heat | null;
  readonly #taken = new Set<string>();
  readonly #counts = { faults: 0, readings: 0, commits: 0, refused: 0 };
  #diskFault: 'full' | 'ioError' | Defect | null = null;
  #isUndurable = false;
  #isCalm = false;
  #trace = '';
  /** Found where it could not be thrown. */
  #failure: Error | null = null;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = seeded(plan.seed + 1);
    this.#disk = new Disk(seeded(plan.seed + 2));
    const { timeline } = this;
    this.#broker = new Broker(timeline, seeded(plan.seed + 3), {
      handed: (client, message) => this.#handed(client, message),
      taken: (_client, message) => this.#took(message),
      confirmed: (message) => this.#program.folder !== null && this.#confirmed(message),
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
    this.#program = new Program({
      plan,
      timeline,
      disk: this.#disk,
      broker: this.#broker,
      wall: this.#wall,
      random: this.#random,
      gate: {
        fate: () => this.#fate(),
        deciding: (batch) => this.#judged(() => this.#invariants.decided(batch, this.#moment())),
        committed: (batch, events) => this.#judged(() => this.#committed(batch, events)),
        crash: (before) => this.#crashNow(before),
      },
      opened: (folder) => {
        this.#isUndurable = false;
        if (this.#wall.isSynchronised && this.#program.lostCountMs.at(-1) === timeline.nowMs) this.#orders.lostCount();
        this.#invariants.opened(folder);
      },
      linkChanged: (up) => this.#linkChanged(up),
      ended: () => {
        this.#linkLog.end(timeline.nowMs);
        this.#invariants.closed();
      },
    });
    const leaseMs = Math.min(Number(plan.curtailment['leaseS']), 7200) * 1000;
    const isIn = (times: readonly number[], fromMs: number, toMs: number) =>
      times.some((ms) => fromMs <= ms && ms <= toMs);
    this.#invariants = new Invariants(leaseMs, {
      couldSay: (fromMs, toMs) => this.#linkLog.couldSay(fromMs, toMs),
      lostCount: (fromMs, toMs) => isIn(this.#program.lostCountMs, fromMs, toMs),
      steppedClock: (fromMs, toMs) => isIn(this.#wall.changedMs, fromMs, toMs),
      awayMs: (fromMs, toMs) => this.#program.awayMs(fromMs, toMs),
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
      isLinkUp: () => this.#program.client?.connected === true,
      storageFails: (how) => {
        this.#diskFault = how;
      },
      caughtUp: () => this.#caughtUp(),
    };
  }

  /** Runs it all. */
  async run(): Promise<Outcome> {
    let breach: string | null = null;
    try {
      await this.#runAll();
    } catch (error) {
      breach = error instanceof Breach ? error.message : `${(error as Error).stack}`;
      breach = `${breach} (at hour ${(this.timeline.nowMs / HOUR_MS).toFixed(6)})`;
    }
    this.#program.abandon();
    this.#disk.remove();
    const hours = this.timeline.nowMs / HOUR_MS;
    const counts = {
      ...this.#program.counts,
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
    this.#program.start();
    this.#poll();
    for (const fault of this.#plan.faults) this.timeline.at(fault.atMs, () => this.#strike(fault));
    await this.#until(endMs);
    this.#calm();
    await this.#until(endMs + REST_MS);
    this.#atRest();
    await this.#program.stop(Number.POSITIVE_INFINITY);
  }

  async #until(untilMs: number): Promise<void> {
    for (let [steps, secondMs] = [0, 0]; ; steps++) {
      const hasMore = this.timeline.step(untilMs);
      if (this.timeline.nowMs > secondMs) [steps, secondMs] = [0, this.timeline.nowMs + 1_000];
      if (steps > BUSIEST_STEPS)
        throw new Breach(`more than ${BUSIEST_STEPS} steps in a second: it goes round in circles`);
      if (this.#crashPoint.atStep()) this.#crashNow();
      if (this.#program.stopping !== null) await new Promise((resolve) => setImmediate(resolve));
      if (this.#failure !== null) throw this.#failure;
      if (!hasMore) return;
    }
  }

  // ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────

  #strike(fault: Fault): void {
    this.#counts.faults += 1;
    if (fault.kind === 'kill' || fault.kind === 'power') this.#take(fault);
    else if (fault.kind === 'stop') this.#plannedStop(fault.downMs);
    else strike(fault, this.#around);
  }

  #take(crash: Crash): void {
    if (!this.#program.isRunning || this.#isCalm) return;
    const { waiting } = this.#crashPoint;
    if (waiting !== null) {
      // The one before found nothing to come at so far: it comes now, and this one after it.
      this.timeline.after(waiting.downMs + 1_000, () => this.#take(crash));
      this.#crashNow();
    } else if (this.#crashPoint.aim(crash)) this.#crashNow();
  }

  #crashNow(before: Files | null = null): void {
    const { waiting } = this.#crashPoint;
    if (waiting === null || !this.#program.isRunning) return;
    this.#crashPoint.clear();
    this.#program.crash(waiting, before);
  }

  #plannedStop(downMs: number): void {
    if (!this.#program.isRunning || this.#crashPoint.waiting !== null) return;
    this.#program.stop(downMs).catch((error: Error) => {
      this.#failure ??= error;
    });
  }

  #fate(): Fate {
    const crash = this.#crashPoint.atWrite();
    if (crash !== null) return crash;
    if (this.#diskFault === 'ioError' && this.#random.chance(0.5)) return 'done';
    return this.#diskFault ?? 'done';
  }

  #committed(batch: Batch, events: readonly StoredEvent[] | null): void {
    this.#counts.commits += 1;
    this.#isUndurable = events === null;
    if (events === null) this.#counts.refused += 1;
    else this.#invariants.committed(batch, events);
    if (events === null || this.#heat === null || this.#program.controller === null) return;
    const { monotonicMs } = this.#program;
    for (const { feederId, state } of batch.states)
      this.#heat.kept(feederId, state as FeederState, monotonicMs, this.timeline.nowMs);
  }

  /** The program would take what is thrown in the midst of a write for a failure of its storage. */
  #judged(judge: () => void): void {
    try {
      judge();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  #caughtUp(): void {
    if (this.#diskFault === null && !this.#isUndurable && this.#program.folder !== null) this.#invariants.caughtUp();
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
    const crash = this.#crashPoint.atPublish();
    if (crash === 'before') return this.#crashNow();
    this.#invariants.handed(message, this.#moment());
    if (message.topic.endsWith('/command/ack')) this.#orders.answered(message, this.#edgeNow());
    else if (message.topic.endsWith('/curtailment')) this.#orders.curtailment(message.payload);
    if (crash === 'after') this.timeline.after(0, () => client === this.#program.client && this.#crashNow());
  }

  #took({ topic, payload }: Message): void {
    this.#trace = hash('sha1', `${this.#trace}${topic}${payload}`);
    if (topic.endsWith('/curtailment')) this.#taken.add((JSON.parse(payload) as Curtailment).requestId);
  }

  // ── readings ────────────────────────────────────────────────────────────────────────────────────────────────────

  #poll(): void {
    const { timeline } = this;
    timeline.after(this.#plan.pollMs, () => this.#poll());
    const { controller, monotonicMs } = this.#program;
    const { readings, turned } = this.#meter.read(timeline.nowMs, monotonicMs);
    for (const street of this.#streets.values())
      this.#heat?.flows(
        street.id,
        street.latestA,
        controller !== null && this.#meter.isSound(street.id),
        timeline.nowMs,
      );
    if (controller === null) return;
    this.#counts.readings += readings.length;
    controller.readings(readings);
    if (turned !== null) controller.sourceChanged('meter', turned, turned ? 'answers' : 'timed out');
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on nothing is wrong, and little is drawn. */
  #calm(): void {
    this.#isCalm = true;
    this.#crashPoint.clear();
    calm(this.#around);
    for (const street of this.#streets.values()) street.isQuiet = true;
  }

  #atRest(): void {
    const { folder } = this.#program;
    if (folder === null) throw new Breach('the program is not running at the end');
    this.#invariants.atRest(this.#taken);
    this.#invariants.isRestrained(restraintsOf(this.#plan));
    this.#orders.atRest(this.#invariants.events());
    const { nowMs } = this.timeline;
    if (this.#plan.keepsHistory) historyIsKept(folder, this.#streets.keys(), nowMs);
    nothingStands(this.#streets.values(), this.#broker, nowMs);
  }
}
