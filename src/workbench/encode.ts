// A number to registers: the inverse of acquisition's decode, for the other end of the wire. Pure. What a register
// cannot say is null, so that a simulated meter never puts a wrong number where a real one would have none.
import { decode } from '../acquisition/decode.ts';
import { type Register, WORDS_OF } from '../acquisition/register-map.ts';

const INTEGER_RANGE = {
  int16: [-0x8000, 0x7fff],
  uint16: [0, 0xffff],
  int32: [-0x8000_0000, 0x7fff_ffff],
  uint32: [0, 0xffff_ffff],
} as const;

const bytes = new DataView(new ArrayBuffer(8));

/**
 * The words of `value`, given in the register's unit, in the order of the wire. A value that is not finite becomes NaN
 * in a float and the first sentinel in an integer. Null where the register has no words for it: an integer without a
 * sentinel, a value beyond the type, or one whose words mean "no value".
 */
export function encode(value: number, register: Register): number[] | null {
  const raw = rawOf(value, register);
  if (raw === null) return null;
  write(raw, register.type);
  const count = WORDS_OF[register.type];
  const lowWordFirst = register.order === 'CDAB' || register.order === 'DCBA';
  const swapBytes = register.order === 'BADC' || register.order === 'DCBA';
  const words = Array.from({ length: count }, (_, index) =>
    bytes.getUint16(2 * (lowWordFirst ? count - 1 - index : index), swapBytes),
  );
  const isReadAsNumber = typeof decode(words, 0, register) === 'number';
  return isReadAsNumber === Number.isFinite(value) ? words : null;
}

/** What stands in the register before it becomes bytes; null where an integer has no room for it. */
function rawOf(value: number, { type, scale, sentinels }: Register): number | null {
  const isFloat = type === 'float32' || type === 'float64';
  if (!Number.isFinite(value)) return isFloat ? Number.NaN : (sentinels[0] ?? null);
  if (isFloat) return value / scale;
  const raw = Math.round(value / scale);
  const [lowest, highest] = INTEGER_RANGE[type];
  return raw < lowest || raw > highest ? null : raw;
}

function write(raw: number, type: Register['type']): void {
  switch (type) {
    case 'int16':
      return bytes.setInt16(0, raw);
    case 'uint16':
      return bytes.setUint16(0, raw);
    case 'int32':
      return bytes.setInt32(0, raw);
    case 'uint32':
      return bytes.setUint32(0, raw);
    case 'float32':
      return bytes.setFloat32(0, raw);
    case 'float64':
      return bytes.setFloat64(0, raw);
  }
}
