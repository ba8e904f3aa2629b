// Judges what the head end orders, before anything is done about it: form, size, age, number and whether the order is
// one that the settings allow. Everything from outside is taken for hostile until it has passed; what passes is carried
// out by the controller, which keeps the answer. Pure but for its two buckets: time is given.
import { z } from 'zod';
import { type Command, type CommandAck, commandSchema } from './command-message.ts';
import { commandId as commandIdField } from './message-fields.ts';
import { parseMessage } from './messages.ts';

/** What a command may name. */
export interface CommandTarget {
  readonly feederId: string;
  /** Names of the settings groups that a command may put in force. */
  readonly groupsByCommand: readonly string[];
}

export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly clockSynchronised: boolean;
}

/** `tooMany` is neither kept nor told of one by one: a flood must not fill the journal. */
export type Verdict =
  | { readonly kind: 'take'; readonly command: Command }
  | {
      readonly kind: 'refuse';
      readonly commandId: string | null;
      readonly status: CommandAck['status'];
      readonly reason: string;
    }
  | { readonly kind: 'tooMany'; readonly commandId: string | null; readonly reason: string };

/** A block and test mode last at most this long, and no command stays valid for longer. */
export const LONGEST_MS = 24 * 3_600_000;
/** How far the clocks of the head end and the edge may be apart. */
const CLOCK_APART_MS = 60_000;
/** What brings relief to customers is taken with a doubtful clock too, and has a bucket that no other order empties. */
const RELIEF: readonly Command['action'][] = ['release', 'block'];

export class CommandDesk {
  readonly #relief: Bucket;
  readonly #others: Bucket;
  readonly #perMinute: number;

  /** `perMinute` for each of the two kinds; 0 takes none. */
  constructor(perMinute: number) {
    this.#perMinute = perMinute;
    this.#relief = new Bucket(perMinute);
    this.#others = new Bucket(perMinute);
  }

  judge(payload: Uint8Array, retained: boolean, now: Moment, targets: readonly CommandTarget[]): Verdict {
    const command = parseMessage(commandSchema, payload);
    const readable = typeof command !== 'string';
    const commandId = readable ? command.commandId : idIn(payload);
    const bucket = readable && RELIEF.includes(command.action) ? this.#relief : this.#others;
    if (!bucket.take(now.monotonicMs))
      return { kind: 'tooMany', commandId, reason: `more than ${this.#perMinute} commands a minute` };
    if (!readable) return { kind: 'refuse', commandId, status: 'rejected', reason: command };
    const late = retained ? null : age(command, now);
    if (late !== null) return { kind: 'refuse', commandId, ...late };
    const reason = retained ? 'a command must not be retained' : fault(command, targets);
    return reason === null ? { kind: 'take', command } : { kind: 'refuse', commandId, status: 'rejected', reason };
  }
}

/** What is wrong with its times; with a clock that may be wrong only orders of relief are taken, whatever they say. */
function age(command: Command, { wallMs, clockSynchronised }: Moment): Pick<CommandAck, 'status' | 'reason'> | null {
  const rejected = (reason: string) => ({ status: 'rejected', reason }) as const;
  const issuedMs = Date.parse(command.issuedAt);
  const expiresMs = Date.parse(command.expiresAt);
  if (expiresMs <= issuedMs) return rejected('expiresAt is not after issuedAt');
  if (expiresMs - issuedMs > LONGEST_MS) return rejected('expiresAt is more than 24 h after issuedAt');
  if (!clockSynchronised)
    return RELIEF.includes(command.action) ? null : rejected("the edge's clock is not synchronised");
  if (wallMs >= expiresMs) return { status: 'expired', reason: `expired at ${command.expiresAt}` };
  return issuedMs > wallMs + CLOCK_APART_MS ? rejected('issuedAt is in the future') : null;
}

/** What it asks for that there is not. */
function fault(command: Command, targets: readonly CommandTarget[]): string | null {
  const { feederId } = command;
  const meant = targets.filter((target) => feederId === undefined || target.feederId === feederId);
  if (meant.length === 0) return `there is no feeder ${feederId}`;
  if (command.action !== 'settingsGroup' || command.group === undefined) return null;
  const { group } = command;
  const allowed = meant.every(({ groupsByCommand }) => groupsByCommand.includes(group));
  return allowed ? null : `no settings group ${group} that a command may put in force`;
}

/**
 * For how long a block, test mode or group is to last from now, in milliseconds; null where it has no end of its own.
 * With a clock that may be wrong, the head end's own two times tell.
 */
export function lastsMs(command: Command & { readonly until?: string | undefined }, now: Moment): number | null {
  if (command.until === undefined) return null;
  const fromMs = now.clockSynchronised ? now.wallMs : Date.parse(command.issuedAt);
  return Math.max(0, Date.parse(command.until) - fromMs);
}

const commandIdOnly = z.object({ commandId: commandIdField });

/** The id of a command that is otherwise not one, so that even that is answered. */
function idIn(payload: Uint8Array): string | null {
  const loose = parseMessage(commandIdOnly, payload);
  return typeof loose === 'string' ? null : loose.commandId;
}

/** So many at once, and so many a minute after that. */
class Bucket {
  readonly #perMinute: number;
  #left: number;
  #filledMs: number | null = null;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
    this.#left = perMinute;
  }

  take(nowMs: number): boolean {
    const grown = ((nowMs - (this.#filledMs ?? nowMs)) / 60_000) * this.#perMinute;
    this.#left = Math.min(this.#perMinute, this.#left + grown);
    this.#filledMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
