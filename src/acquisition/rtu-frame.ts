// One Modbus RTU frame (unit, function code, body, CRC) judged against what was asked and what is still owed. Pure.
import crc16 from 'modbus-serial/utils/crc16.js';
import type { Asked } from './modbus-port.ts';

const EXCEPTION_BYTES = 5;
/** Unit, function code, byte count and CRC around the registers. */
const AROUND_BYTES = 5;

/** What may still come over the line, as far as a frame can be told by it. */
export interface Owed {
  mayCome(answer: Asked): boolean;
  owesAny(unitId: number, functionCode: number): boolean;
}

export type RtuFrame =
  /** More bytes are needed to tell. */
  | { readonly kind: 'incomplete' }
  /** The answer to what is asked now, or its exception. */
  | { readonly kind: 'answer' | 'exception'; readonly bytes: number }
  /** An answer, or an exception, to an earlier request: owed, or given a second time. */
  | { readonly kind: 'late'; readonly bytes: number; readonly answer: Asked | null }
  /** Nothing that belongs here. */
  | { readonly kind: 'breach'; readonly detail: string };

/** Judges the frame that `received` begins with; `asked` is null while nothing is. */
export function judgeFrame(received: Buffer, asked: Asked | null, owed: Owed): RtuFrame {
  if (received.length < 3) return { kind: 'incomplete' };
  const unitId = received.readUInt8(0);
  const code = received.readUInt8(1);
  const byteCount = received.readUInt8(2);
  const functionCode = code & 0x7f;
  const isException = code !== functionCode;
  const answer = { unitId, functionCode, byteCount };
  const isForUs = asked !== null && unitId === asked.unitId && functionCode === asked.functionCode;
  const isAsked = isForUs && (isException || byteCount === asked.byteCount);
  const isLate = !isAsked && (isException ? owed.owesAny(unitId, functionCode) : owed.mayCome(answer));
  if (!isAsked && !isLate) return { kind: 'breach', detail: foreign(answer, code, asked) };
  const bytes = isException ? EXCEPTION_BYTES : AROUND_BYTES + byteCount;
  if (received.length < bytes) return { kind: 'incomplete' };
  const crc = received.readUInt16LE(bytes - 2);
  if (crc !== crc16(received.subarray(0, bytes - 2))) return { kind: 'breach', detail: 'a CRC that does not fit' };
  if (isLate) return { kind: 'late', bytes, answer: isException ? null : answer };
  return { kind: isException ? 'exception' : 'answer', bytes };
}

function foreign({ unitId, byteCount }: Asked, code: number, asked: Asked | null): string {
  if (asked === null) return 'bytes that nobody asked for';
  if (unitId !== asked.unitId) return `unit ${unitId}, not ${asked.unitId}`;
  if (code !== asked.functionCode) return `function code ${code}, not ${asked.functionCode}`;
  return `${byteCount} bytes of registers, not ${asked.byteCount}`;
}
