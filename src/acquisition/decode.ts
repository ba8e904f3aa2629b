// Registers to a number, or to the reason why there is none. Pure; the one place where words become amperes.
import type { QualityReason } from '../feeder.ts';
import type { Register } from './register-map.ts';
import { WORDS_OF } from './register-map.ts';

const bytes = new DataView(new ArrayBuffer(8));

/**
 * The value of `register` in its unit, from `words` as they came, the register's first word being at `offset`, its scale
 * factor, if it has one, at `scaleOffset`. A sentinel, NaN or an infinity is a reason, never a number.
 */
export function decode(
  words: readonly number[],
  offset: number,
  register: Register,
  scaleOffset: number | null = null,
): number | QualityReason {
  const count = WORDS_OF[register.type];
  const lowWordFirst = register.order === 'CDAB' || register.order === 'DCBA';
  const swapBytes = register.order === 'BADC' || register.order === 'DCBA';
  for (let index = 0; index < count; index++) {
    const word = words[offset + (lowWordFirst ? count - 1 - index : index)];
    if (word === undefined) return 'invalidFrame';
    bytes.setUint16(index * 2, word, swapBytes);
  }
  const raw = number(register.type);
  if (register.sentinels.some((sentinel) => asRead(sentinel, register.type) === raw)) return 'sentinel';
  const factor = scaleOffset === null ? 1 : powerOfTen(words[scaleOffset]);
  if (typeof factor !== 'number') return factor;
  const value = raw * register.scale * factor;
  return Number.isFinite(value) ? value : 'notANumber';
}

/** SunSpec Information Model Specification 1.1: scale factors go from -10 to 10, 0x8000 is "not implemented". */
const NO_SCALE = 0x8000;
const SCALE_MAX = 10;

function powerOfTen(word: number | undefined): number | QualityReason {
  if (word === undefined) return 'invalidFrame';
  const exponent = word >= 0x8000 ? word - 0x1_0000 : word;
  if (word === NO_SCALE || Math.abs(exponent) > SCALE_MAX) return 'sentinel';
  // A division by a whole power of ten is exact where a product with its inverse is not.
  return exponent < 0 ? 1 / 10 ** -exponent : 10 ** exponent;
}

/**
 * A sentinel as the register would give it: -9999.9 in a map is -9999.900390625 in a float32, and the 0x8000 that makers
 * print for an int16 is -32768.
 */
function asRead(sentinel: number, type: Register['type']): number {
  if (type === 'float32') return Math.fround(sentinel);
  const span = type === 'int16' ? 2 ** 16 : type === 'int32' ? 2 ** 32 : 0;
  return sentinel >= span / 2 && sentinel < span ? sentinel - span : sentinel;
}

function number(type: Register['type']): number {
  switch (type) {
    case 'int16':
      return bytes.getInt16(0);
    case 'uint16':
      return bytes.getUint16(0);
    case 'int32':
      return bytes.getInt32(0);
    case 'uint32':
      return bytes.getUint32(0);
    case 'float32':
      return bytes.getFloat32(0);
    case 'float64':
      return bytes.getFloat64(0);
  }
}
