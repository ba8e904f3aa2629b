// The wire under modbus-serial. That library takes late, foreign and malformed answers for the right one (its TCP port
// wraps transaction ids at 256 and checks neither protocol, length nor byte count), so it gets this port instead: one
// request at a time, all 16 bits of the transaction id, and every field of the answer checked before the library sees
// it. On any breach, a time-out among them, the connection is destroyed: an answer that is still owed can then never
// be taken for another. It writes nothing but the two read function codes: no path in the program can change a meter.
import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import crc16 from 'modbus-serial/utils/crc16.js';
import { type Asked, askedBy, type ModbusPort, type OnFault, type PortFault, type WireRead } from './modbus-port.ts';

const HEADER_BYTES = 7;
/** Modbus Messaging on TCP/IP V1.0b, 3.1.3: unit id and a PDU of at most 253 bytes. */
const LENGTH_MAX = 254;
const TRANSACTION_IDS = 65_536;
const KEEP_ALIVE_FIRST_MS = 15_000;

interface Outstanding extends Asked {
  readonly transactionId: number;
}

/** The shape that modbus-serial expects of a port, on a socket of our own. */
export class ModbusTcpPort extends EventEmitter implements ModbusPort {
  readonly #socket: Socket;
  readonly #onFault: OnFault;
  #received: Buffer = Buffer.alloc(0);
  #outstanding: Outstanding | null = null;
  #transactionId: number;
  isOpen = false;

  constructor(host: string, port: number, firstTransactionId: number, onFault: OnFault) {
    super();
    this.#transactionId = firstTransactionId % TRANSACTION_IDS;
    this.#onFault = onFault;
    this.#socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_FIRST_MS });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail('disconnected', error.code ?? error.message));
    this.#socket.on('close', () => this.#fail('disconnected', 'closed by the meter'));
  }

  /** Called by modbus-serial. */
  open(done: (error?: Error) => void): void {
    this.#socket.once('connect', () => {
      this.isOpen = true;
      done();
    });
  }

  /** Called by modbus-serial with a read request in RTU form: unit, function code, address, count, CRC. */
  write(frame: Buffer): void {
    const asked = askedBy(frame);
    // A second request while one is open would let one answer stand for another.
    if (this.#outstanding !== null) throw new Error('a request is still open on this connection');
    this.#outstanding = { ...asked, transactionId: this.#transactionId };
    const request = Buffer.allocUnsafe(12);
    request.writeUInt16BE(this.#transactionId, 0);
    request.writeUInt16BE(0, 2);
    request.writeUInt16BE(6, 4);
    frame.copy(request, 6, 0, 6);
    this.#transactionId = (this.#transactionId + 1) % TRANSACTION_IDS;
    this.#socket.write(request);
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
    this.isOpen = false;
    this.#outstanding = null;
    this.removeAllListeners();
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
    const frameBytes = 6 + length;
    if (this.#received.length < frameBytes) return;
    // One request is open at a time, so bytes behind its answer belong to nothing that was asked.
    if (this.#received.length > frameBytes) return this.#fail('invalidFrame', 'more bytes than the answer has');
    const answer = this.#received;
    const breachInside = bodyBreach(answer, length, this.#outstanding);
    if (breachInside !== null) return this.#fail('invalidFrame', breachInside);
    this.#received = Buffer.alloc(0);
    this.#outstanding = null;
    this.emit('data', withCrc(answer.subarray(6)));
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

/** modbus-serial wants the RTU form back: the same bytes with their CRC. */
function withCrc(body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(body.length + 2);
  body.copy(frame);
  frame.writeUInt16LE(crc16(body), body.length);
  return frame;
}
