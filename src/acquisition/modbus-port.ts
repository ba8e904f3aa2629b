// What a Modbus wire is to the connection above it and to modbus-serial, which sits between the two: a port that
// carries one request at a time and lets an answer through only when it belongs to that request.
import type { EventEmitter } from 'node:events';

/** One read of registers, as it goes over the wire. */
export interface WireRead {
  readonly functionCode: 3 | 4;
  readonly address: number;
  readonly count: number;
  /** It may reach beyond what the meter's map names, so the meter may refuse it; used only where nothing else will do. */
  readonly isGuess?: boolean;
}

/** Why a port gave up a request; `noAnswer` is the connection's own deadline. */
export type PortFault = 'disconnected' | 'invalidFrame';

/** Hears that the open request, if there is one, has failed; `isGone` when the port can never be used again. */
export type OnFault = (fault: PortFault, detail: string, isGone: boolean) => void;

export interface ModbusPort extends EventEmitter {
  readonly isOpen: boolean;
  /** Called by modbus-serial; `done` is called once the port can be written to. */
  open(done: (error?: Error) => void): void;
  /** Called by modbus-serial with a request in RTU form. Throws for anything but a read. */
  write(frame: Buffer): void;
  /** The first of `reads` whose answer could not be mistaken for one that is still owed; null when there is none now. */
  choose<R extends WireRead>(unitId: number, reads: readonly R[]): R | null;
  /** From when on, in monotonic milliseconds, the wire is quiet enough for a request. */
  quietFromMs(): number;
  /** Gives up the open request; false when the port has to go with it. */
  giveUp(): boolean;
  destroy(): void;
}

/** What an answer must match. */
export interface Asked {
  readonly unitId: number;
  readonly functionCode: number;
  readonly byteCount: number;
}

const REQUEST_BYTES = 8;
const READ_FUNCTION_CODES: readonly number[] = [3, 4];

/**
 * What the request in RTU form (unit, function code, address, count, CRC) asks for. Throws when it is anything but a
 * read: every byte that the program sends to a meter passes here, so none can change one.
 */
export function askedBy(frame: Buffer): Asked {
  const functionCode = frame.readUInt8(1);
  if (!READ_FUNCTION_CODES.includes(functionCode) || frame.length !== REQUEST_BYTES) {
    throw new Error(`function code ${functionCode} would not be a read`);
  }
  return { unitId: frame.readUInt8(0), functionCode, byteCount: 2 * frame.readUInt16BE(4) };
}
