// The commands of the simulated head end, and what must hold of them: each is answered, always the same, done once
// however often it comes, and a feeder that is blocked asks for no more. A command is said again until it is answered,
// and now and then once more after that.
import { isoTime } from '../../src/clock.ts';
import type { Command, CommandAck } from '../../src/command-message.ts';
import type { Curtailment, Event } from '../../src/messages.ts';
import type { Random } from '../simulators/random.ts';
import { Breach } from './breach.ts';
import type { Broker, Message } from './broker.ts';
import { EPOCH_MS } from './machine-clock.ts';
import type { Timeline } from './timeline.ts';

const TOPIC = 'headroom/v1/WORLD-1/command';
const VALID_MS = 30 * 60_000;
const AGAIN_MS = 60_000;
const LONGEST_AGAIN_MS = 3_600_000;
/** The default of `commandsPerMinute`. */
const COMMANDS_PER_MINUTE = 12;
/** Clocks of head end and edge count as the same up to here. */
const CLOCK_APART_MS = 60_000;

/** An order as a plan has it. */
export interface Order {
  readonly action: Command['action'];
  /** Null: every feeder. */
  readonly feederId: string | null;
  readonly forMs: number;
  readonly immediate: boolean;
}

/** How the edge was when it answered. */
export interface EdgeNow {
  readonly wallOffsetMs: number;
  readonly isSynchronised: boolean;
  /** Storage failed lately: what was done need not outlive a crash. */
  readonly isFailing: boolean;
}

interface Given {
  readonly order: Order;
  readonly command: Command;
  readonly untilMs: number;
  answer: string | null;
  /** Answered or done while storage failed. */
  isUndurable: boolean;
}

export class Orders {
  readonly #timeline: Timeline;
  readonly #broker: Broker;
  readonly #random: Random;
  readonly #given = new Map<string, Given>();
  /** Feeders that ask for no more until the true time. */
  readonly #blocked = new Map<string, number>();
  readonly #said = new Map<string, Curtailment>();
  readonly #feederIds: readonly string[];
  #confirmedMs: number[] = [];

  constructor(timeline: Timeline, broker: Broker, random: Random, feederIds: readonly string[]) {
    this.#timeline = timeline;
    this.#broker = broker;
    this.#random = random;
    this.#feederIds = feederIds;
  }

  give(order: Order): void {
    const { nowMs } = this.#timeline;
    const commandId = `01980000-0000-7000-8000-${(this.#given.size + 1).toString(16).padStart(12, '0')}`;
    const untilMs = nowMs + order.forMs;
    const command = {
      schema: 'headroom/v1/command',
      commandId,
      action: order.action,
      ...(order.feederId !== null && { feederId: order.feederId }),
      issuedAt: isoTime(EPOCH_MS + nowMs),
      expiresAt: isoTime(EPOCH_MS + nowMs + VALID_MS),
      ...(['block', 'testMode', 'settingsGroup'].includes(order.action) && { until: isoTime(EPOCH_MS + untilMs) }),
      ...(order.action === 'settingsGroup' && { group: 'holiday' }),
      ...(['block', 'release'].includes(order.action) && { immediate: order.immediate }),
    } as Command;
    this.#given.set(commandId, { order, command, untilMs, answer: null, isUndurable: false });
    this.#say(commandId);
  }

  /** Our client hands an answer to its socket. */
  answered({ payload }: Message, edge: EdgeNow): void {
    const { commandId, status, reason } = JSON.parse(payload) as CommandAck;
    // Neither kept nor meant to last: it is said again.
    if (reason.startsWith('more than')) return;
    const given = this.#given.get(commandId);
    if (given === undefined) throw new Breach(`an answer to a command that nobody gave: ${payload}`);
    given.isUndurable ||= edge.isFailing;
    if (given.answer !== null && given.answer !== payload && !given.isUndurable)
      throw new Breach(`two answers to one command: ${given.answer} and ${payload}`);
    const isNew = given.answer === null;
    given.answer ??= payload;
    if (isNew && status === 'accepted') this.#accepted(given, edge);
    if (isNew && this.#random.chance(0.2))
      this.#timeline.after(this.#random.between(0, 2 * AGAIN_MS), () => this.#publish(commandId));
  }

  /** The program was started on a clock that was wrong and that nobody could know to be: a block may count as over. */
  lostCount(): void {
    this.#blocked.clear();
  }

  /** A request is handed over: no deeper than the one before where an operator has blocked the feeder. */
  curtailment(payload: string): void {
    const request = JSON.parse(payload) as Curtailment;
    const before = this.#said.get(request.feederId);
    if (before !== undefined && request.sequence <= before.sequence) return;
    this.#said.set(request.feederId, request);
    const untilMs = this.#blocked.get(request.feederId) ?? 0;
    if (this.#timeline.nowMs >= untilMs || request.action === 'release' || this.#mayBeUnblocked(request.feederId))
      return;
    const deeper = request.phases.filter((phase) => levelOf(request, phase) < levelOf(before, phase));
    if (deeper.length > 0) throw new Breach(`asks for more on ${deeper} while it is blocked: ${payload}`);
  }

  /** What an unblock lets through is said before its answer is. */
  #mayBeUnblocked(feederId: string): boolean {
    return [...this.#given.values()].some(
      ({ order, answer }) => order.action === 'unblock' && answer === null && (order.feederId ?? feederId) === feederId,
    );
  }

  /** Confirmed to the broker, which forgets it: the answer is kept, unless there may have been too many. */
  confirmed({ payload }: Message, isKept: (commandId: string) => boolean, isFailing: boolean): void {
    const { commandId } = JSON.parse(payload) as Command;
    const { nowMs } = this.#timeline;
    this.#confirmedMs = [...this.#confirmedMs.filter((ms) => ms > nowMs - 60_000), nowMs];
    if (this.#confirmedMs.length > COMMANDS_PER_MINUTE) return;
    const given = this.#given.get(commandId);
    if (given !== undefined && isFailing) given.isUndurable = true;
    if (!isFailing && given?.isUndurable === false && !isKept(commandId))
      throw new Breach(`confirmed and not kept: command ${commandId}`);
  }

  atRest(events: Iterable<Event>): void {
    const told = new Map<string, number>();
    for (const { type, commandId } of events)
      if (type === 'command' && commandId !== undefined) told.set(commandId, (told.get(commandId) ?? 0) + 1);
    for (const [commandId, { answer, isUndurable }] of this.#given) {
      if (answer === null) throw new Breach(`never answered: command ${commandId}`);
      if ((told.get(commandId) ?? 0) !== 1 && !isUndurable)
        throw new Breach(`told of ${told.get(commandId) ?? 0} times: command ${commandId}`);
    }
  }

  get count(): number {
    return this.#given.size;
  }

  /** What ends a block is taken to end it at once, what begins one only where both clocks agree on its end. */
  #accepted({ order: { action, feederId }, untilMs }: Given, { wallOffsetMs, isSynchronised }: EdgeNow): void {
    const isAgreed = isSynchronised && Math.abs(wallOffsetMs) < CLOCK_APART_MS;
    for (const id of feederId === null ? this.#feederIds : [feederId]) {
      if (action === 'unblock') this.#blocked.delete(id);
      else if (action === 'block' && isAgreed) this.#blocked.set(id, untilMs - CLOCK_APART_MS);
    }
  }

  /** Again and again, ever more seldom; also after it has expired, for then the answer says so. */
  #say(commandId: string, againMs = AGAIN_MS): void {
    this.#publish(commandId);
    this.#timeline.after(againMs + this.#random.between(0, AGAIN_MS), () => {
      if (this.#given.get(commandId)?.answer === null) this.#say(commandId, Math.min(2 * againMs, LONGEST_AGAIN_MS));
    });
  }

  #publish(commandId: string): void {
    const payload = JSON.stringify(this.#given.get(commandId)?.command);
    this.#broker.publish({ topic: TOPIC, payload, retain: false }, null);
  }
}

function levelOf(request: Curtailment | undefined, phase: 'L1' | 'L2' | 'L3'): number {
  if (request === undefined || request.action === 'release' || !request.phases.includes(phase)) return 100;
  return request.levelPercentByPhase?.[phase] ?? request.levelPercent;
}
