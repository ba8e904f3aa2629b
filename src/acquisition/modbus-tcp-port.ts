// Modbus TCP. Libraries take late, foreign and malformed answers for the right one (modbus-serial wraps transaction ids
// at 256 and checks neither protocol, length nor byte count); here one request is open at a time, all 16 bits of the
// transaction id count, and every field of an answer is checked before a word of it is read. On any breach, a time-out
// among them, the connection is destroyed: an answer that is still owed can then never be taken for another. It writes
// nothing but the two read function codes: no path in the program can change a meter.
import { connect, type Socket } from 'node:net';
import {
  answerIn,
  type ModbusPort,
  type OnAnswer,
  type OnFault,
  type OpenRequest,
  openRequest,
  type PortFault,
  REQUEST_BYTES,
  type WireRead,
  writeRequest,
} from './modbus-port.ts';

/** Transaction id, protocol id, length, and the unit id that belongs to the request. */
const HEADER_BYTES = 7;
const BEFORE_UNIT_BYTES = HEADER_BYTES - 1;
/** Modbus Messaging on TCP/IP V1.0b, 3.1.3: unit id and a PDU of at most 253 bytes. */
const LENGTH_MAX = 254;
const TRANSACTION_IDS = 65_536;
const KEEP_ALIVE_FIRST_MS = 15_000;
const NOTHING = Buffer.alloc(0);

interface Outstanding extends OpenRequest {
  readonly transactionId: number;
}

export class ModbusTcpPort implements ModbusPort {
  readonly #socket: Socket;
  readonly #onFault: OnFault;
  #received: Buffer = NOTHING;
  #outstanding: Outstanding | null = null;
  #transactionId: number;

  constructor(host: string, port: number, firstTransactionId: number, onFault: OnFault) {
    this.#transactionId = firstTransactionId % TRANSACTION_IDS;
    this.#onFault = onFault;
    this.#socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_FIRST_MS });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail('disconnected', error.code ?? error.message));
    this.#socket.on('close', () => this.#fail('disconnected', 'closed by the meter'));
  }

  open(opened: () => void): void {
    this.#socket.once('connect', opened);
  }

  ask(unitId: number, read: WireRead, answered: OnAnswer): void {
    // A second request while one is open would let one answer stand for another.
    if (this.#outstanding !== null) throw new Error('a request is still open on this connection');
    const frame = Buffer.allocUnsafe(BEFORE_UNIT_BYTES + REQUEST_BYTES);
    writeRequest(frame, BEFORE_UNIT_BYTES, unitId, read);
    frame.writeUInt16BE(this.#transactionId, 0);
    frame.writeUInt16BE(0, 2);
    frame.writeUInt16BE(REQUEST_BYTES, 4);
    this.#outstanding = { ...openRequest(unitId, read, answered), transactionId: this.#transactionId };
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    this.#socket.write(frame);
  }

  /** The transaction id tells every answer from every other. */
  choose<R extends WireRead>(_unitId: number, [first]: readonly R[]): R | null {
    return first ?? null;
  }

  quietFromMs(): number {
    return Number.NEGATIVE_INFINITY;
  }

  giveUp(): boolean {
    return false;
  }

  /** Ends the connection without a word; a port is never used again. */
  destroy(): void {
    this.#outstanding = null;
    this.#socket.removeAllListeners();
    // A destroyed socket may still report an error that nobody waits for.
    this.#socket.on('error', () => {});
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#received.length < HEADER_BYTES) return;
    const length = this.#received.readUInt16BE(4);
    const breach = headerBreach(this.#received, length, this.#outstanding);
    if (breach !== null) return this.#fail('invalidFrame', breach);
    const frameBytes = BEFORE_UNIT_BYTES + length;
    if (this.#received.length < frameBytes) return;
    // One request is open at a time, so bytes behind its answer belong to nothing that was asked.
    if (this.#received.length > frameBytes) return this.#fail('invalidFrame', 'more bytes than the answer has');
    const frame = this.#received;
    const breachInside = bodyBreach(frame, length, this.#outstanding);
    if (breachInside !== null) return this.#fail('invalidFrame', breachInside);
    const answered = this.#outstanding?.answered;
    this.#received = NOTHING;
    this.#outstanding = null;
    answered?.(answerIn(frame, BEFORE_UNIT_BYTES));
  }

  #fail(fault: PortFault, detail: string): void {
    this.destroy();
    this.#onFault(fault, detail, true);
  }
}

function headerBreach(received: Buffer, length: number, asked: Outstanding | null): string | null {
  if (asked === null) return 'an answer that nobody asked for';
  if (received.readUInt16BE(0) !== asked.transactionId)
    return `transaction ${received.readUInt16BE(0)}, not ${asked.transactionId}`;
  if (received.readUInt16BE(2) !== 0) return `protocol ${received.readUInt16BE(2)}, not 0`;
  if (length < 3 || length > LENGTH_MAX) return `a length of ${length} bytes`;
  if (received.readUInt8(6) !== asked.unitId) return `unit ${received.readUInt8(6)}, not ${asked.unitId}`;
  return null;
}

function bodyBreach(answer: Buffer, length: number, asked: Outstanding | null): string | null {
  const functionCode = answer.readUInt8(7);
  if (functionCode === ((asked?.functionCode ?? 0) | 0x80))
    return length === 3 ? null : `an exception of ${length} bytes`;
  if (functionCode !== asked?.functionCode) return `function code ${functionCode}, not ${asked?.functionCode}`;
  if (answer.readUInt8(8) !== asked.byteCount || length !== 3 + asked.byteCount) {
    return `${answer.readUInt8(8)} bytes of registers in a length of ${length}, not ${asked.byteCount}`;
  }
  return null;
}
