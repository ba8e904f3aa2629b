// Numbers as a meter keeps them: the other direction of src/acquisition/decode.ts, and not made from it.
import { type Register, WORDS_OF } from '../../src/acquisition/register-map.ts';

/** The words of a meter that keeps `value` in this form: the letters of an order name its bytes, A the highest. */
export function encode(value: number, type: Register['type'], order: Register['order']): number[] {
  const bytes = Buffer.alloc(2 * WORDS_OF[type]);
  const write = {
    int16: () => bytes.writeInt16BE(value),
    uint16: () => bytes.writeUInt16BE(value),
    int32: () => bytes.writeInt32BE(value),
    uint32: () => bytes.writeUInt32BE(value),
    float32: () => bytes.writeFloatBE(value),
    float64: () => bytes.writeDoubleBE(value),
  };
  write[type]();
  if (order === 'DCBA' || order === 'BADC') bytes.swap16();
  const words = Array.from({ length: WORDS_OF[type] }, (_, index) => bytes.readUInt16BE(2 * index));
  return order === 'CDAB' || order === 'DCBA' ? words.reverse() : words;
}
