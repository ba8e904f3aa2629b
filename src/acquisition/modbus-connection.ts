// One Modbus wire, shared by the sources behind one host and port or on one serial line: reads go over it one at a
// time, in turn, each with a deadline; whatever breaks it ends the read at once with a reason, and a new connection is
// made after a jittered wait. A client object is never used for a second connection (modbus-serial keeps state that
// outlives the socket).
import ModbusClient from 'modbus-serial';
import type { Clock, Timer } from '../clock.ts';
import type { QualityReason } from '../feeder.ts';
import type { ModbusPort, OnFault, WireRead } from './modbus-port.ts';
import { SilentUnits } from './silent-units.ts';

export interface ReadRequest<R extends WireRead = WireRead> {
  readonly unitId: number;
  /** Any of these will do, the first one best. */
  readonly reads: readonly R[];
  readonly timeoutMs: number;
  /** Quiet to keep on the wire before it. */
  readonly pauseMs: number;
}

export interface Fault {
  readonly fault: QualityReason;
  readonly detail: string;
  /** The exception code where the meter answered with one, and the read that it is about. */
  readonly exception?: { readonly code: number; readonly read: WireRead };
}

export type ReadAnswer<R extends WireRead = WireRead> =
  | { readonly words: readonly number[]; readonly read: R; readonly tookMs: number }
  | Fault;

type Done<R extends WireRead> = (answer: ReadAnswer<R>) => void;

/** A read that waits or is open. */
interface Job {
  readonly request: ReadRequest;
  readonly done: Done<WireRead>;
}

/** The two calls of modbus-serial that the program uses; its own types hide the class behind `default`. */
interface Client {
  open(done: (error?: Error) => void): void;
  writeFC3(unitId: number, address: number, count: number, done: Result): void;
  writeFC4(unitId: number, address: number, count: number, done: Result): void;
}
type Result = (error: (Error & { modbusCode?: number }) | null, result?: { data: number[] }) => void;
const Client = ModbusClient as unknown as new (port: ModbusPort) => Client;

const RECONNECT_FIRST_MS = 100;
/** A meter is on the same site: looking for it every few seconds costs nothing. */
const RECONNECT_LONGEST_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** Exception 11: a gateway has waited in vain for the unit behind it, and held the wire for as long. */
const TARGET_SILENT = 11;

export class ModbusConnection {
  readonly #newPort: (onFault: OnFault) => ModbusPort;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #silentUnits: SilentUnits;
  #port: ModbusPort | null = null;
  #client: Client | null = null;
  #ready = false;
  #closed = false;
  #failuresInRow = 0;
  #timer: Timer | null = null;
  /** Armed while the next read waits for quiet on the wire. */
  #quietTimer: Timer | null = null;
  #idleFromMs = Number.NEGATIVE_INFINITY;
  #waitsForQuietFromMs: number | null = null;
  /** Why the last connection ended; null while the first is being made. */
  #lastFault: Fault | null = null;
  #open: (Job & { readonly deadline: Timer }) | null = null;
  readonly #waiting: Job[] = [];

  constructor(newPort: (onFault: OnFault) => ModbusPort, clock: Clock, random: () => number) {
    this.#newPort = newPort;
    this.#clock = clock;
    this.#random = random;
    this.#silentUnits = new SilentUnits(clock);
    this.#connect();
  }

  /**
   * Reads registers; `done` is called exactly once, later, with the words or the reason why there are none. Each caller
   * has at most one read under way, so the queue is as long as there are sources.
   */
  read<R extends WireRead>(request: ReadRequest<R>, done: Done<R>): void {
    const fault = this.#ready ? this.#silentUnits.fault(request.unitId) : this.#lastFault;
    // In a turn of its own: whoever asks again at once does not keep the program from everything else.
    if (fault !== null) return this.#clock.afterTurn(() => done(fault));
    this.#waiting.push({ request, done: done as Done<WireRead> });
    this.#sendNext();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#giveUp({ fault: 'disconnected', detail: 'closed' });
  }

  #connect(): void {
    if (this.#closed) return;
    const port = this.#newPort((fault, detail, isGone) => {
      if (isGone) this.#lost({ fault, detail });
      else this.#answer({ fault, detail });
    });
    this.#port = port;
    this.#client = new Client(port);
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + CONNECT_TIMEOUT_MS, () =>
      this.#lost({ fault: 'disconnected', detail: 'no connection in time' }),
    );
    this.#client.open(() => {
      this.#timer?.cancel();
      this.#ready = true;
      this.#sendNext();
    });
  }

  /** Sends the read whose turn it is, once the wire is quiet enough for it. */
  #sendNext(): void {
    const [next] = this.#waiting;
    if (next === undefined || this.#port === null || !this.#ready || this.#open !== null || this.#quietTimer !== null)
      return;
    const nowMs = this.#clock.monotonicMs();
    const quietMs = Math.max(this.#port.quietFromMs(), this.#idleFromMs + next.request.pauseMs);
    const waitsFromMs = this.#waitsForQuietFromMs ?? nowMs;
    if (nowMs < quietMs && nowMs - waitsFromMs <= next.request.timeoutMs) {
      this.#waitsForQuietFromMs = waitsFromMs;
      this.#quietTimer = this.#clock.at(quietMs, () => {
        this.#quietTimer = null;
        this.#sendNext();
      });
      return;
    }
    this.#waitsForQuietFromMs = null;
    this.#waiting.shift();
    if (nowMs < quietMs) return this.#refuse(next, 'invalidFrame', 'the line is never quiet');
    const read = this.#port.choose(next.request.unitId, next.request.reads);
    if (read !== null) return this.#send(next, read);
    this.#refuse(next, 'noAnswer', 'not asked: it still owes answers that could be mistaken');
  }

  /** Answers a read that is not sent at all. */
  #refuse({ done }: Job, fault: QualityReason, detail: string): void {
    this.#clock.afterTurn(() => done({ fault, detail }));
    this.#sendNext();
  }

  #send({ request, done }: Job, read: WireRead): void {
    const { unitId, timeoutMs } = request;
    const sentMs = this.#clock.monotonicMs();
    const deadline = this.#clock.at(sentMs + timeoutMs, () => this.#late(unitId, timeoutMs));
    this.#open = { request, done, deadline };
    const result: Result = (error, words) => {
      if (words !== undefined && error === null) {
        this.#silentUnits.answered(unitId);
        this.#answer({ words: words.data, read, tookMs: this.#clock.monotonicMs() - sentMs });
      } else if (error?.modbusCode !== undefined) {
        const { modbusCode: code, message: detail } = error;
        const fault = { fault: 'exception', detail, exception: { code, read } } as const;
        if (code === TARGET_SILENT) this.#silentUnits.silent(unitId, this.#clock.monotonicMs() - sentMs, fault);
        else this.#silentUnits.answered(unitId);
        this.#answer(fault);
      } else this.#lost({ fault: 'invalidFrame', detail: error?.message ?? 'no data' });
    };
    const { functionCode, address, count } = read;
    if (functionCode === 3) this.#client?.writeFC3(unitId, address, count, result);
    else this.#client?.writeFC4(unitId, address, count, result);
  }

  #late(unitId: number, timeoutMs: number): void {
    const fault = { fault: 'noAnswer', detail: `no answer within ${timeoutMs} ms` } as const;
    this.#silentUnits.silent(unitId, timeoutMs, fault);
    if (this.#port?.giveUp() === true) this.#answer(fault);
    else this.#lost(fault);
  }

  /** Ends the read that is open; the wire goes on. */
  #answer(answer: ReadAnswer): void {
    const open = this.#open;
    if (open === null) return;
    open.deadline.cancel();
    this.#open = null;
    this.#idleFromMs = this.#clock.monotonicMs();
    if ('words' in answer || answer.fault === 'exception') this.#failuresInRow = 0;
    this.#sendNext();
    try {
      open.done(answer);
    } catch (error) {
      // modbus-serial would catch it here and report a fault of our own code as one of the meter.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #lost(fault: Fault): void {
    // The read that broke it is answered; those behind it go over the next connection, or one dead meter would keep
    // every other one behind its gateway from ever being read.
    this.#giveUp(fault, this.#open !== null);
    if (this.#closed) return;
    // Full jitter, so that the sources behind a restarted gateway do not come back in the same instant.
    const longestMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 2 ** Math.min(this.#failuresInRow++, 10));
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + this.#random() * longestMs, () => this.#connect());
  }

  /** Ends the connection and the read that is open, and those that wait unless they are to be kept. */
  #giveUp(fault: Fault, keepWaiting = false): void {
    this.#timer?.cancel();
    this.#quietTimer?.cancel();
    this.#quietTimer = null;
    this.#port?.destroy();
    this.#port = null;
    this.#client = null;
    this.#ready = false;
    this.#lastFault = fault;
    const ended = this.#open;
    this.#open = null;
    ended?.deadline.cancel();
    const waiting = keepWaiting ? [] : this.#waiting.splice(0);
    ended?.done(fault);
    for (const { done } of waiting) done({ fault: 'disconnected', detail: fault.detail });
  }
}
