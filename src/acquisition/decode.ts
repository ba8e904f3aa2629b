// Registers to a number, or to the reason why there is none. Pure; the one place where words become amperes.
import type { QualityReason } from '../feeder.ts';
import type { Register } from './register-map.ts';
import { WORDS_OF } from './register-map.ts';

const bytes = new DataView(new ArrayBuffer(8));

/**
 * The value of `register` in its unit, from `words` as they came, the register's first word being at `offset`.
 * A sentinel, NaN or an infinity is a reason, never a number.
 */
export function decode(words: readonly number[], offset: number, register: Register): number | QualityReason {
  const count = WORDS_OF[register.type];
  const lowWordFirst = register.order === 'CDAB' || register.order === 'DCBA';
  const swapBytes = register.order === 'BADC' || register.order === 'DCBA';
  for (let index = 0; index < count; index++) {
    const word = words[offset + (lowWordFirst ? count - 1 - index : index)];
    if (word === undefined) return 'invalidFrame';
    bytes.setUint16(index * 2, word, swapBytes);
  }
  const raw = number(register.type);
  if (!Number.isFinite(raw)) return 'notANumber';
  return register.sentinels.includes(raw) ? 'sentinel' : raw * register.scale;
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
