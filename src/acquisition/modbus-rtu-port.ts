// Modbus RTU under modbus-serial: a serial line, or one behind a device server that passes its bytes on over TCP. The
// library's own RTU ports let one late answer shift every later one by a request, for ever; this one knows what is
// owed, checks unit, function code, length and CRC before the library sees an answer, and keeps the line quiet after
// a breach. It writes nothing but reads.
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import { type Asked, askedBy, type ModbusPort, type OnFault, type WireRead } from './modbus-port.ts';
import type { OwedAnswers } from './owed-answers.ts';
import { judgeFrame } from './rtu-frame.ts';

/** A stream of bytes that is yet to be opened. */
export interface ByteWire {
  /** Calls `opened` or `failed` at most once; gives what ends an attempt that is no longer wanted. */
  open(opened: (stream: Duplex) => void, failed: (detail: string) => void): () => void;
  /** Quiet between frames, 3.5 characters by the standard; 0 where a device server keeps it. */
  readonly gapMs: number;
  /** A connection that may be dead without knowing is made anew after this many unanswered requests in a row. */
  readonly silentRequestsMax: number;
}

/** After something that was no answer the rest of it is waited out: longer than any serial driver holds bytes back. */
const QUIET_AFTER_BREACH_MS = 50;

export class ModbusRtuPort extends EventEmitter implements ModbusPort {
  readonly #wire: ByteWire;
  readonly #owed: OwedAnswers;
  readonly #clock: Clock;
  readonly #onFault: OnFault;
  #stream: Duplex | null = null;
  #abandonOpening = () => {};
  #received: Buffer = Buffer.alloc(0);
  #asked: Asked | null = null;
  #lastByteMs = Number.NEGATIVE_INFINITY;
  #isBroken = false;
  #isDestroyed = false;
  #silentRequests = 0;

  constructor(wire: ByteWire, owed: OwedAnswers, clock: Clock, onFault: OnFault) {
    super();
    this.#wire = wire;
    this.#owed = owed;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  get isOpen(): boolean {
    return this.#stream !== null;
  }

  open(done: (error?: Error) => void): void {
    const opened = (stream: Duplex) => {
      if (this.#isDestroyed) return endQuietly(stream);
      this.#stream = stream;
      stream.on('data', (chunk: Buffer) => this.#receive(chunk));
      stream.on('error', (error: NodeJS.ErrnoException) => this.#gone(error.code ?? error.message));
      stream.on('close', () => this.#gone('closed'));
      done();
    };
    this.#abandonOpening = this.#wire.open(opened, (detail) => this.#gone(detail));
  }

  choose<R extends WireRead>(unitId: number, reads: readonly R[]): R | null {
    return this.#owed.choose(unitId, reads);
  }

  quietFromMs(): number {
    return this.#lastByteMs + (this.#isBroken ? QUIET_AFTER_BREACH_MS : this.#wire.gapMs);
  }

  write(frame: Buffer): void {
    const asked = askedBy(frame);
    if (this.#asked !== null) throw new Error('a request is still open on this line');
    this.#asked = asked;
    this.#received = Buffer.alloc(0);
    this.#isBroken = false;
    this.#stream?.write(frame);
  }

  /** The line goes on: what is owed is known. */
  giveUp(): boolean {
    this.#end();
    this.#silentRequests += 1;
    return this.#silentRequests < this.#wire.silentRequestsMax;
  }

  destroy(): void {
    this.#isDestroyed = true;
    if (this.#asked !== null) this.#end();
    this.removeAllListeners();
    if (this.#stream === null) this.#abandonOpening();
    else endQuietly(this.#stream);
    this.#stream = null;
  }

  #receive(chunk: Buffer): void {
    this.#lastByteMs = this.#clock.monotonicMs();
    this.#silentRequests = 0;
    if (this.#isBroken) return;
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length > 0) {
      const asked = this.#asked;
      const frame = judgeFrame(this.#received, asked, this.#owed);
      if (frame.kind === 'incomplete') return;
      if (frame.kind === 'breach') return this.#breach(frame.detail);
      const body = this.#received.subarray(0, frame.bytes);
      this.#received = this.#received.subarray(frame.bytes);
      if (frame.kind === 'late') {
        if (frame.answer !== null) this.#owed.pay(frame.answer);
        continue;
      }
      // Where the unit still owes an answer, nobody can say which of its requests an exception is about.
      if (asked !== null && frame.kind === 'exception' && this.#owed.owesAny(asked.unitId, asked.functionCode))
        this.#owed.add(asked);
      this.#asked = null;
      this.emit('data', body);
    }
  }

  /** While nothing is asked, bytes that belong to nothing are noise: they only keep the line from being quiet. */
  #breach(detail: string): void {
    this.#isBroken = true;
    this.#received = Buffer.alloc(0);
    if (this.#asked === null) return;
    this.#end();
    this.#onFault('invalidFrame', detail, false);
  }

  #end(): void {
    if (this.#asked !== null) this.#owed.add(this.#asked);
    this.#asked = null;
    this.#received = Buffer.alloc(0);
  }

  #gone(detail: string): void {
    if (this.#isDestroyed) return;
    this.destroy();
    this.#onFault('disconnected', detail, true);
  }
}

/** A stream that is given up may still report an error that nobody waits for. */
function endQuietly(stream: Duplex): void {
  stream.removeAllListeners();
  stream.on('error', () => {});
  stream.destroy();
}
