// What becomes of the head end's commands: judged, carried out, kept together with its event and its answer, answered;
// in this order, and all before the broker is told that the command was taken. A command id that has had an answer
// gets the same one again and nothing else, over restarts too.
import type { Clock } from './clock.ts';
import { isoTime } from './clock.ts';
import { CommandDesk, type CommandTarget, type Moment } from './command-desk.ts';
import type { Command, CommandAck } from './command-message.ts';
import type { AnsweredCommand } from './journal/records.ts';
import type { Event } from './messages.ts';

export interface CommandsPort {
  targets(): readonly CommandTarget[];
  /** The answer of before a restart. */
  answerTo(commandId: string): string | null;
  /** What was decided could not be written lately. */
  isUnkept(): boolean;
  /** Does it, and says in a few words what was done; a string in `refused` where it cannot be. */
  carryOut(command: Command, now: Moment): { readonly done: string } | { readonly refused: string };
  event(feederId: string | null, type: Event['type'], reason: string, more: Partial<Event>): void;
  /** Keeps what the command has brought about, with its answer. */
  keep(answered: AnsweredCommand | null): void;
  say(answer: CommandAck): void;
}

/** Answers that are remembered beside the journal, for the time that it cannot be written. */
const REMEMBERED_MAX = 1_000;
/** A flood is over when this long nothing was too much. */
const FLOOD_OVER_MS = 60_000;

export class Commands {
  readonly #port: CommandsPort;
  readonly #clock: Clock;
  readonly #desk: CommandDesk;
  readonly #remembered = new Map<string, CommandAck>();
  #flood: { count: number; lastMs: number } | null = null;

  constructor(perMinute: number, clock: Clock, port: CommandsPort) {
    this.#desk = new CommandDesk(perMinute);
    this.#clock = clock;
    this.#port = port;
  }

  /** Standing as `commands/flood` in the status. */
  get isFlooded(): boolean {
    return this.#flood !== null;
  }

  take(payload: Uint8Array, retained: boolean): void {
    const clock = this.#clock;
    const now = {
      monotonicMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
      clockSynchronised: clock.synchronised(),
    };
    const verdict = this.#desk.judge(payload, retained, now, this.#port.targets());
    const commandId = verdict.kind === 'take' ? verdict.command.commandId : verdict.commandId;
    // Before anything else: what was carried out must not be told of as refused, however many others there are.
    const former = commandId === null ? null : this.#former(commandId);
    if (former !== null) return this.#port.say(former);
    if (verdict.kind === 'tooMany') return this.#tooMany(commandId, verdict.reason, now);
    if (verdict.kind === 'refuse') return this.#close(commandId, null, verdict.status, verdict.reason, now);
    const { command } = verdict;
    const { feederId = null } = command;
    if (this.#port.isUnkept() && command.action !== 'release' && command.action !== 'block')
      return this.#close(commandId, feederId, 'rejected', 'the journal cannot be written', now);
    const outcome = this.#port.carryOut(command, now);
    if ('done' in outcome) this.#close(commandId, feederId, 'accepted', `${command.action}: ${outcome.done}`, now);
    else this.#close(commandId, feederId, 'rejected', `${command.action}: ${outcome.refused}`, now);
  }

  /** To be called now and then. */
  tidy(nowMs: number): void {
    const flood = this.#flood;
    if (flood === null || nowMs - flood.lastMs < FLOOD_OVER_MS) return;
    this.#flood = null;
    this.#port.event(null, 'alarmEnd', `${flood.count} commands were too many`, {
      alarm: 'commandFlood',
      count: flood.count,
    });
    this.#port.keep(null);
  }

  #former(commandId: string): CommandAck | null {
    const remembered = this.#remembered.get(commandId);
    if (remembered !== undefined) return remembered;
    const kept = this.#port.answerTo(commandId);
    return kept === null ? null : JSON.parse(kept);
  }

  #close(
    commandId: string | null,
    feederId: string | null,
    status: CommandAck['status'],
    reason: string,
    now: Moment,
  ): void {
    const said = `${status}: ${reason}`.slice(0, 1000);
    this.#port.event(feederId, 'command', said, commandId === null ? {} : { commandId });
    if (commandId === null) return this.#port.keep(null);
    const answer = answerOf(commandId, status, reason, now);
    this.#remembered.set(commandId, answer);
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= REMEMBERED_MAX) break;
      this.#remembered.delete(oldest);
    }
    this.#port.keep({ commandId, answer: JSON.stringify(answer) });
    this.#port.say(answer);
  }

  /** One alarm for a whole flood: it must fill neither the journal nor the link. */
  #tooMany(commandId: string | null, reason: string, now: Moment): void {
    if (this.#flood === null) {
      this.#port.event(null, 'alarm', reason, { alarm: 'commandFlood' });
      this.#port.keep(null);
    }
    this.#flood = { count: (this.#flood?.count ?? 0) + 1, lastMs: now.monotonicMs };
    if (commandId !== null) this.#port.say(answerOf(commandId, 'rejected', reason, now));
  }
}

function answerOf(commandId: string, status: CommandAck['status'], reason: string, { wallMs }: Moment): CommandAck {
  return {
    schema: 'headroom/v1/command/ack',
    commandId,
    status,
    reason: reason.slice(0, 1000),
    at: isoTime(wallMs),
  };
}
