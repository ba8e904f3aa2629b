import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/acquisition/decode.ts';
import type { Register } from '../../src/acquisition/register-map.ts';
import { encode } from '../simulators/words.ts';

type Type = Register['type'];
type Order = Register['order'];

function register(type: Type, order: Order = 'ABCD', more: Partial<Register> = {}): Register {
  const current = { quantity: 'current', conductor: 'L1', functionCode: 4, address: 0, unit: 'A' } as const;
  return { ...current, type, order, scale: 1, sentinels: [], ...more };
}

describe('the words of a register become', () => {
  test.each<[string, number[], Type, Order, number | string]>([
    ['a float of an SDM630', [0x43ac, 0x8000], 'float32', 'ABCD', 345],
    ['the same, low word first', [0x8000, 0x43ac], 'float32', 'CDAB', 345],
    ['the same, bytes swapped', [0xac43, 0x0080], 'float32', 'BADC', 345],
    ['the same, low byte first throughout', [0x0080, 0xac43], 'float32', 'DCBA', 345],
    ['an unsigned word', [0xffff], 'uint16', 'ABCD', 65_535],
    ['a signed word', [0xffff], 'int16', 'ABCD', -1],
    ['a swapped word', [0x0100], 'uint16', 'BADC', 1],
    ['a word that has no low word to come first', [0x0100], 'uint16', 'CDAB', 256],
    ['an unsigned double word', [0xffff, 0xfffe], 'uint32', 'ABCD', 4_294_967_294],
    ['a signed double word', [0xffff, 0xfffe], 'int32', 'ABCD', -2],
    ['a signed double word, low word first', [0xfffe, 0xffff], 'int32', 'CDAB', -2],
    ['a double', [0x4075, 0x9000, 0, 0], 'float64', 'ABCD', 345],
    ['a double, low word first', [0, 0, 0x9000, 0x4075], 'float64', 'CDAB', 345],
    ['no number where the meter says NaN', [0x7fc0, 0], 'float32', 'ABCD', 'notANumber'],
    ['no number where the meter says NaN with a sign', [0xffff, 0xffff], 'float32', 'ABCD', 'notANumber'],
    ['no number where the meter says infinity', [0x7f80, 0], 'float32', 'ABCD', 'notANumber'],
    ['no number where the meter says minus infinity', [0xff80, 0], 'float32', 'ABCD', 'notANumber'],
    ['no number where a double is NaN', [0x7ff8, 0, 0, 0], 'float64', 'ABCD', 'notANumber'],
    ['no number where a word is missing', [0x43ac], 'float32', 'ABCD', 'invalidFrame'],
  ])('%s', (_, words, type, order, expected) => {
    expect(decode(words, 0, register(type, order))).toBe(expected);
  });

  test('amperes by the scale', () => {
    expect(decode([0, 345], 1, register('uint16', 'ABCD', { scale: 0.5 }))).toBe(172.5);
  });

  test('no number when the scale takes them beyond all numbers', () => {
    const [high, ...rest] = encode(1e308, 'float64', 'ABCD');
    expect(decode([high ?? 0, ...rest], 0, register('float64', 'ABCD', { scale: 1000 }))).toBe('notANumber');
  });
});

test.each<[Type, number]>([
  ['int16', 0x8000],
  ['int32', 0x80000000],
])('a sentinel of an %s may be written as its bits', (type, sentinel) => {
  const noValue = register(type, 'ABCD', { sentinels: [sentinel] });
  expect(decode(encode(-sentinel, type, 'ABCD'), 0, noValue)).toBe('sentinel');
  expect(decode(encode(sentinel - 1, type, 'ABCD'), 0, noValue)).toBe(sentinel - 1);
});

describe('what the maker uses for "no value" is a reason and never a current', () => {
  test.each<[Type, number]>([
    ['int16', -32_768],
    ['uint16', 65_535],
    ['int32', -2_147_483_648],
    ['uint32', 4_294_967_295],
    ['float32', -9999.9],
    ['float32', 3.4028235e38],
    ['float64', -9999.9],
  ])('%s %d', (type, sentinel) => {
    const noValue = register(type, 'ABCD', { scale: 0.1, sentinels: [sentinel] });
    expect(decode(encode(sentinel, type, 'ABCD'), 0, noValue)).toBe('sentinel');
    expect(decode(encode(1, type, 'ABCD'), 0, noValue)).toBe(0.1);
  });
});

const VALUES: Record<Type, fc.Arbitrary<number>> = {
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  uint16: fc.integer({ min: 0, max: 65_535 }),
  int32: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  uint32: fc.integer({ min: 0, max: 4_294_967_295 }),
  float32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }),
};
const TYPES = Object.keys(VALUES) as Type[];
const ORDERS: Order[] = ['ABCD', 'CDAB', 'BADC', 'DCBA'];

describe.each(TYPES)('every %s is read back as it was written', (type) => {
  test.each(ORDERS)('in order %s, wherever it stands in the telegram', (order) => {
    fc.assert(
      fc.property(VALUES[type], fc.array(fc.nat(65_535), { maxLength: 5 }), (value, before) => {
        expect(decode([...before, ...encode(value, type, order), 7], before.length, register(type, order))).toBe(value);
      }),
    );
  });
});
