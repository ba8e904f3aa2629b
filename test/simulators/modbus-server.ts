// A Modbus TCP meter on a real socket that answers by script and misbehaves by script: it writes raw bytes, so that it
// can say what no library would let it say (foreign ids, false lengths, halves of frames, answers too late or twice).
// The tests of acquisition read from it; its `requests` are what really came over the wire.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ModbusRequest {
  /** From 0, over all connections. */
  readonly number: number;
  readonly transactionId: number;
  readonly unitId: number;
  readonly functionCode: number;
  readonly address: number;
  readonly count: number;
}

/** Bytes for one segment, after a wait. */
interface Piece {
  readonly delayMs?: number;
  readonly bytes: Uint8Array;
  /** Ends the connection behind them. */
  readonly closes?: boolean;
}

/** `close` ends the connection without an answer, `reset` breaks it off, `halfClose` ends only what the meter says. */
export type Script = (request: ModbusRequest) => readonly Piece[] | 'silence' | 'close' | 'reset' | 'halfClose';

/** Words by address. */
export type Registers = ReadonlyMap<number, number>;

/** How requests lie on the wire. */
export interface Framing {
  readonly requestBytes: number;
  parse(frame: Buffer, number: number): ModbusRequest;
}

const MBAP: Framing = { requestBytes: 12, parse };

export class ModbusServer {
  /** What came so far; a long run switches it off. */
  readonly requests: ModbusRequest[] = [];
  keepsRequests = true;
  /** How many came so far. */
  requestCount = 0;
  /** Connections accepted so far. */
  connections = 0;
  /** Sent to every new connection, before any request. */
  greeting: Uint8Array | null = null;
  script: Script;
  readonly #server: Server;
  readonly #framing: Framing;
  readonly #sockets = new Set<Socket>();

  private constructor(script: Script, framing: Framing) {
    this.script = script;
    this.#framing = framing;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  /** Listens on loopback; port 0 takes a free one. */
  static async start(script: Script, port = 0, framing = MBAP): Promise<ModbusServer> {
    const server = new ModbusServer(script, framing);
    server.#server.listen(port, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Says something unasked on every connection. */
  babble(bytes: Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  /** Ends every connection, as a gateway does with clients that were idle. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.dropAll();
    await closed;
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const { requestBytes } = this.#framing;
      for (; received.length >= requestBytes; received = received.subarray(requestBytes)) {
        const request = this.#framing.parse(received, this.requestCount++);
        if (this.keepsRequests) this.requests.push(request);
        void this.#reply(socket, request);
      }
    });
    socket.on('end', () => socket.end());
    // A client that gives up in the middle of an answer is what many tests are about.
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.greeting !== null) socket.write(this.greeting);
  }

  async #reply(socket: Socket, request: ModbusRequest): Promise<void> {
    const reply = this.script(request);
    if (reply === 'silence') return;
    if (reply === 'close') return void socket.destroy();
    if (reply === 'reset') return void socket.resetAndDestroy();
    if (reply === 'halfClose') return void socket.end();
    for (const { delayMs, bytes, closes } of reply) {
      if (delayMs !== undefined) await sleep(delayMs);
      if (socket.destroyed) return;
      socket.write(bytes);
      if (closes === true) socket.destroySoon();
    }
  }
}

function parse(frame: Buffer, number: number): ModbusRequest {
  return {
    number,
    transactionId: frame.readUInt16BE(0),
    unitId: frame.readUInt8(6),
    functionCode: frame.readUInt8(7),
    address: frame.readUInt16BE(8),
    count: frame.readUInt16BE(10),
  };
}

// ---- frames

/** The fields of an answer that a test may falsify. */
export interface AnswerFields {
  readonly transactionId?: number;
  readonly protocolId?: number;
  readonly length?: number;
  readonly unitId?: number;
  readonly functionCode?: number;
  readonly byteCount?: number;
}

/** The answer to `request` from `registers`, right but for the fields that are given. */
export function answerFrame(request: ModbusRequest, registers: Registers, fields: AnswerFields = {}): Buffer {
  const words = Array.from({ length: request.count }, (_, index) => registers.get(request.address + index) ?? 0);
  const frame = Buffer.alloc(9 + 2 * words.length);
  frame.writeUInt16BE(fields.transactionId ?? request.transactionId, 0);
  frame.writeUInt16BE(fields.protocolId ?? 0, 2);
  frame.writeUInt16BE(fields.length ?? 3 + 2 * words.length, 4);
  frame.writeUInt8(fields.unitId ?? request.unitId, 6);
  frame.writeUInt8(fields.functionCode ?? request.functionCode, 7);
  frame.writeUInt8(fields.byteCount ?? 2 * words.length, 8);
  for (const [index, word] of words.entries()) frame.writeUInt16BE(word, 9 + 2 * index);
  return frame;
}

/** The two words of a 32-bit float, high word first. */
export function float32(value: number): [number, number] {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
}

// ---- scripts

export const answering =
  (registers: Registers, fields: AnswerFields = {}): Script =>
  (request) => [{ bytes: answerFrame(request, registers, fields) }];

/** Good behaviour but for the requests for which `when` is true. */
export const except =
  (when: (request: ModbusRequest) => boolean, odd: Script, good: Script): Script =>
  (request) =>
    when(request) ? odd(request) : good(request);

export const silent: Script = () => 'silence';
export const closing: Script = () => 'close';
export const resetting: Script = () => 'reset';
export const halfClosing: Script = () => 'halfClose';

export const exception =
  (code: number): Script =>
  ({ transactionId, unitId, functionCode }) => {
    const bytes = Buffer.from([0, 0, 0, 0, 0, 3, unitId, functionCode | 0x80, code]);
    bytes.writeUInt16BE(transactionId);
    return [{ bytes }];
  };

export const late =
  (registers: Registers, delayMs: number): Script =>
  (request) => [{ delayMs, bytes: answerFrame(request, registers) }];

/** The first bytes of the answer and then nothing. */
export const halfAnswer =
  (registers: Registers, byteCount: number): Script =>
  (request) => [{ bytes: answerFrame(request, registers).subarray(0, byteCount) }];

/** The answer with one for the request to come behind it in the same segment. */
export const twoInOneSegment =
  (registers: Registers): Script =>
  (request) => {
    const next = answerFrame(request, registers, { transactionId: (request.transactionId + 1) % 65_536 });
    return [{ bytes: Buffer.concat([answerFrame(request, registers), next]) }];
  };

/** The answer, and a moment later the same again. */
export const twice =
  (registers: Registers): Script =>
  (request) => {
    const bytes = answerFrame(request, registers);
    return [{ bytes }, { delayMs: 1, bytes }];
  };

export const byteByByte =
  (registers: Registers): Script =>
  (request) =>
    Array.from(answerFrame(request, registers), (byte) => ({ delayMs: 1, bytes: Uint8Array.of(byte) }));
