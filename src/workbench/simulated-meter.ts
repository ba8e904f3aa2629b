// A meter for the bench: a Modbus TCP server that answers as the meter of a register map, with the currents that it was
// last given. It serves reads and nothing else. modbus-serial's own ServerTCP takes port 0 for 502 and answers a timer
// turn later, so the few lines of protocol are here, on node:net.
import { createServer, type Server, type Socket } from 'node:net';
import { type Register, type RegisterMap, WORDS_OF } from '../acquisition/register-map.ts';
import { type Conductor, PHASES } from '../feeder.ts';
import { encode } from './encode.ts';

/** Amperes; NaN where there is no value, which a float register serves as NaN and an integer one as its sentinel. */
export type MeterCurrents = { readonly [C in Conductor]: number };

export interface SimulatedMeterOptions {
  readonly map: RegisterMap;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly voltageV?: number;
  /** For the power registers only. */
  readonly powerFactor?: number;
  readonly frequencyHz?: number;
}

export interface SimulatedMeter {
  readonly host: string;
  readonly port: number;
  /** What every read from now on is answered with; before the first call there is no value. */
  set(currents: MeterCurrents): void;
  /** Ends every connection and frees the port. */
  close(): Promise<void>;
}

type FunctionCode = 3 | 4;
/** The words from address `first` on; null where the register cannot say its value, 0 where the map has no register. */
interface Image {
  readonly first: number;
  readonly words: readonly (number | null)[];
}

const HEADER_BYTES = 7;
/** Unit id and a PDU of at most 253 bytes. */
const LENGTH_MAX = 254;
const READ_LENGTH = 6;
const ILLEGAL_FUNCTION = 1;
const ILLEGAL_ADDRESS = 2;
const ILLEGAL_VALUE = 3;
const DEVICE_FAILURE = 4;

/** Rejects when the port cannot be had. Every unit id is answered. */
export async function openSimulatedMeter(options: SimulatedMeterOptions): Promise<SimulatedMeter> {
  const { map, host, port } = options;
  let images: Record<FunctionCode, Image>;
  const set = (currents: MeterCurrents) => {
    images = { 3: imageOf(currents, 3, options), 4: imageOf(currents, 4, options) };
  };
  set({ L1: Number.NaN, L2: Number.NaN, L3: Number.NaN, N: Number.NaN });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    serve(socket, (functionCode, address, count) => read(images[functionCode], address, count, map.longestReadWords));
  });
  await listen(server, host, port);
  const bound = server.address();
  return {
    host,
    port: bound !== null && typeof bound === 'object' ? bound.port : port,
    set,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Both function codes serve the whole map; where two registers share an address, the one with this code has it. */
function imageOf(currents: MeterCurrents, functionCode: FunctionCode, options: SimulatedMeterOptions): Image {
  const { registers } = options.map;
  const first = Math.min(...registers.map((register) => register.address));
  const end = Math.max(...registers.map((register) => register.address + WORDS_OF[register.type]));
  const words: (number | null)[] = new Array(end - first).fill(0);
  const ownLast = [...registers].sort(
    (a, b) => Number(a.functionCode === functionCode) - Number(b.functionCode === functionCode),
  );
  for (const register of ownLast) {
    const encoded = encode(presentValue(register, currents, options), register);
    for (let index = 0; index < WORDS_OF[register.type]; index++) {
      words[register.address - first + index] = encoded?.[index] ?? null;
    }
  }
  return { first, words };
}

function presentValue(
  { quantity, conductor }: Register,
  currents: MeterCurrents,
  options: SimulatedMeterOptions,
): number {
  const { voltageV = 240, powerFactor = 1, frequencyHz = 50 } = options;
  switch (quantity) {
    case 'frequency':
      return frequencyHz;
    case 'counter':
      return 0;
    case 'voltage':
      return conductor === 'N' ? 0 : voltageV;
    case 'current':
      return conductor === undefined ? Number.NaN : currents[conductor];
    case 'apparentPower':
    case 'power': {
      if (conductor === 'N') return 0;
      const currentA =
        conductor === undefined ? PHASES.reduce((sum, phase) => sum + currents[phase], 0) : currents[conductor];
      return voltageV * currentA * (quantity === 'power' ? powerFactor : 1);
    }
  }
}

/** The words asked for, or the code of the exception. */
function read(image: Image, address: number, count: number, longestReadWords: number): number[] | number {
  if (count < 1 || count > longestReadWords) return ILLEGAL_VALUE;
  const offset = address - image.first;
  if (offset < 0 || offset + count > image.words.length) return ILLEGAL_ADDRESS;
  const words = image.words.slice(offset, offset + count).filter((word) => word !== null);
  return words.length === count ? words : DEVICE_FAILURE;
}

type Answer = (functionCode: FunctionCode, address: number, count: number) => number[] | number;

/** Takes frames from the stream however it was cut; what is no Modbus ends the connection, for nothing after it fits. */
function serve(socket: Socket, answer: Answer): void {
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (received.length >= HEADER_BYTES) {
      const length = received.readUInt16BE(4);
      if (received.readUInt16BE(2) !== 0 || length < 2 || length > LENGTH_MAX) {
        socket.destroy();
        return;
      }
      const frameBytes = 6 + length;
      if (received.length < frameBytes) return;
      socket.write(answerFrame(received.subarray(0, frameBytes), answer));
      received = received.subarray(frameBytes);
    }
  });
}

function answerFrame(request: Buffer, answer: Answer): Buffer {
  const functionCode = request.readUInt8(7);
  if (functionCode !== 3 && functionCode !== 4) return frame(request, [functionCode | 0x80, ILLEGAL_FUNCTION]);
  const isWhole = request.readUInt16BE(4) === READ_LENGTH;
  const words = isWhole ? answer(functionCode, request.readUInt16BE(8), request.readUInt16BE(10)) : ILLEGAL_VALUE;
  if (typeof words === 'number') return frame(request, [functionCode | 0x80, words]);
  return frame(request, [functionCode, 2 * words.length, ...words.flatMap((word) => [word >> 8, word & 0xff])]);
}

/** `pdu` under the request's own transaction and unit id. */
function frame(request: Buffer, pdu: readonly number[]): Buffer {
  const header = Buffer.from(request.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(1 + pdu.length, 4);
  return Buffer.concat([header, Buffer.from(pdu)]);
}
