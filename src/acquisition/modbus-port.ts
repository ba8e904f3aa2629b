// What a Modbus wire is to the connection above it: a port that carries one read at a time and lets an answer through
// only when it belongs to that read. What the ports of TCP and of serial lines have in common is here: the request
// without what its wire puts around it, and the answer.

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

/** What a meter says to a read. */
export type MeterAnswer = { readonly words: readonly number[] } | { readonly exceptionCode: number };
export type OnAnswer = (answer: MeterAnswer) => void;

export interface ModbusPort {
  /** `opened` is called once the port can be asked. */
  open(opened: () => void): void;
  /** `answered` is called once, unless the port tells of a fault before. Throws for anything but a read. */
  ask(unitId: number, read: WireRead, answered: OnAnswer): void;
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

/** A request that is open, and who waits for its answer. */
export interface OpenRequest extends Asked {
  readonly answered: OnAnswer;
}

export function openRequest(unitId: number, read: WireRead, answered: OnAnswer): OpenRequest {
  return { unitId, functionCode: read.functionCode, byteCount: 2 * read.count, answered };
}

/** Unit, function code, address and count. */
export const REQUEST_BYTES = 6;
const READ_FUNCTION_CODES: readonly number[] = [3, 4];

/**
 * Writes the request into `frame` at `offset`. Throws when it is anything but a read: every byte that the program sends
 * to a meter is written here, so none can change one.
 */
export function writeRequest(frame: Buffer, offset: number, unitId: number, read: WireRead): void {
  const { functionCode, address, count } = read;
  if (!READ_FUNCTION_CODES.includes(functionCode)) throw new Error(`function code ${functionCode} would not be a read`);
  frame.writeUInt8(unitId, offset);
  frame.writeUInt8(functionCode, offset + 1);
  frame.writeUInt16BE(address, offset + 2);
  frame.writeUInt16BE(count, offset + 4);
}

/** The answer in a frame that has been found right, from its unit id at `offset` on. */
export function answerIn(frame: Buffer, offset: number): MeterAnswer {
  if (frame.readUInt8(offset + 1) >= 0x80) return { exceptionCode: frame.readUInt8(offset + 2) };
  const words = new Array<number>(frame.readUInt8(offset + 2) / 2);
  for (let index = 0; index < words.length; index++) words[index] = frame.readUInt16BE(offset + 3 + 2 * index);
  return { words };
}
