// One Modbus connection, shared by the sources behind one host and port: reads go over it one at a time, each with a
// deadline; whatever breaks it ends the read at once with a reason, and a new connection is made after a jittered
// wait. A client object is never used for a second connection (modbus-serial keeps state that outlives the socket).
import ModbusClient from 'modbus-serial';
import type { Clock, Timer } from '../clock.ts';
import type { QualityReason } from '../feeder.ts';
import { ModbusTcpPort } from './modbus-tcp-port.ts';

export interface ReadRequest {
  readonly unitId: number;
  readonly functionCode: 3 | 4;
  readonly address: number;
  readonly count: number;
  readonly timeoutMs: number;
}

export type ReadAnswer =
  | { readonly words: readonly number[] }
  | { readonly fault: QualityReason; readonly detail: string };

type Done = (answer: ReadAnswer) => void;

/** The two calls of modbus-serial that the program uses; its own types hide the class behind `default`. */
interface Client {
  open(done: (error?: Error) => void): void;
  writeFC3(unitId: number, address: number, count: number, done: Result): void;
  writeFC4(unitId: number, address: number, count: number, done: Result): void;
}
type Result = (error: (Error & { modbusCode?: number }) | null, result?: { data: number[] }) => void;
const Client = ModbusClient as unknown as new (port: ModbusTcpPort) => Client;

const RECONNECT_FIRST_MS = 100;
/** A meter is on the same site: looking for it every few seconds costs nothing. */
const RECONNECT_LONGEST_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;

export class ModbusConnection {
  readonly #host: string;
  readonly #portNumber: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  #port: ModbusTcpPort | null = null;
  #client: Client | null = null;
  #ready = false;
  #closed = false;
  #failuresInRow = 0;
  #timer: Timer | null = null;
  /** Why the last connection ended; null while the first is being made. */
  #lastFault: { fault: QualityReason; detail: string } | null = null;
  #open: { readonly request: ReadRequest; readonly done: Done; readonly deadline: Timer } | null = null;
  readonly #waiting: { readonly request: ReadRequest; readonly done: Done }[] = [];

  constructor(host: string, port: number, clock: Clock, random: () => number) {
    this.#host = host;
    this.#portNumber = port;
    this.#clock = clock;
    this.#random = random;
    this.#connect();
  }

  /**
   * Reads registers; `done` is called exactly once, later, with the words or the reason why there are none. Each caller
   * has at most one read under way, so the queue is as long as there are sources.
   */
  read(request: ReadRequest, done: Done): void {
    const fault = this.#lastFault;
    if (this.#ready && this.#open === null) this.#send(request, done);
    else if (this.#ready || fault === null) this.#waiting.push({ request, done });
    else queueMicrotask(() => done(fault));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#giveUp('disconnected', 'closed');
  }

  #connect(): void {
    if (this.#closed) return;
    const firstId = Math.floor(this.#random() * 65_536);
    const port = new ModbusTcpPort(this.#host, this.#portNumber, firstId, (fault, detail) => this.#lost(fault, detail));
    this.#port = port;
    this.#client = new Client(port);
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + CONNECT_TIMEOUT_MS, () =>
      this.#lost('disconnected', 'no connection in time'),
    );
    this.#client.open(() => {
      this.#timer?.cancel();
      this.#ready = true;
      this.#sendNext();
    });
  }

  #sendNext(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next.request, next.done);
  }

  #send(request: ReadRequest, done: Done): void {
    const deadline = this.#clock.at(this.#clock.monotonicMs() + request.timeoutMs, () =>
      this.#lost('noAnswer', `no answer within ${request.timeoutMs} ms`),
    );
    this.#open = { request, done, deadline };
    const result: Result = (error, read) => {
      if (read !== undefined && error === null) this.#answer({ words: read.data });
      else if (error?.modbusCode !== undefined) this.#answer({ fault: 'exception', detail: error.message });
      else this.#lost('invalidFrame', error?.message ?? 'no data');
    };
    if (request.functionCode === 3) this.#client?.writeFC3(request.unitId, request.address, request.count, result);
    else this.#client?.writeFC4(request.unitId, request.address, request.count, result);
  }

  #answer(answer: ReadAnswer): void {
    const open = this.#open;
    if (open === null) return;
    open.deadline.cancel();
    this.#open = null;
    this.#failuresInRow = 0;
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

  #lost(fault: QualityReason, detail: string): void {
    // The read that broke it is answered; those behind it go over the next connection, or one dead meter would keep
    // every other one behind its gateway from ever being read.
    this.#giveUp(fault, detail, this.#open !== null);
    if (this.#closed) return;
    // Full jitter, so that the sources behind a restarted gateway do not come back in the same instant.
    const longestMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 2 ** Math.min(this.#failuresInRow++, 10));
    this.#timer = this.#clock.at(this.#clock.monotonicMs() + this.#random() * longestMs, () => this.#connect());
  }

  /** Ends the connection and the read that is open, and those that wait unless they are to be kept. */
  #giveUp(fault: QualityReason, detail: string, keepWaiting = false): void {
    this.#timer?.cancel();
    this.#port?.destroy();
    this.#port = null;
    this.#client = null;
    this.#ready = false;
    this.#lastFault = { fault, detail };
    const ended = this.#open;
    this.#open = null;
    ended?.deadline.cancel();
    const waiting = keepWaiting ? [] : this.#waiting.splice(0);
    ended?.done({ fault, detail });
    for (const { done } of waiting) done({ fault: 'disconnected', detail });
  }
}
