import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/acquisition/decode.ts';
import { planReads, type Telegram } from '../../src/acquisition/read-plan.ts';
import { type Register, type Registers, WORDS_OF } from '../../src/acquisition/register-map.ts';
import { CONDUCTORS, type Conductor, PHASES as PHASE_NAMES } from '../../src/feeder.ts';
import { encode } from '../simulators/words.ts';

const FLOAT: Pick<Register, 'type' | 'order' | 'scale' | 'sentinels'> = {
  type: 'float32',
  order: 'ABCD',
  scale: 1,
  sentinels: [],
};

function current(conductor: Conductor, address: number, more: Partial<Register> = {}): Register {
  return { ...FLOAT, quantity: 'current', unit: 'A', functionCode: 4, conductor, address, ...more };
}

function meter(longestReadWords: number, ...registers: Register[]): Registers {
  return { longestReadWords, registers };
}

const show = ({ functionCode, address, count, fields }: Telegram) =>
  `${functionCode} @ ${address} + ${count}: ${fields.map(({ register, offset }) => `${register.conductor ?? register.quantity} at ${offset}`).join(', ')}`;

/** The best telegrams as `function code @ address + words: conductor at its first word`; those behind, after them. */
function plan(map: Registers, circuits = [1]): string[] | null {
  const plan = planReads(map, circuits);
  return plan && [...plan.phases.flatMap(({ telegrams }) => telegrams.slice(0, 1)), ...plan.others].map(show);
}

const PHASES = [current('L1', 6), current('L2', 8), current('L3', 10)];
const circuitAt = (circuit: number, address: number) => [
  current('L1', address, { circuit }),
  current('L2', address + 2, { circuit }),
  current('L3', address + 4, { circuit }),
];

describe('the three phases of a feeder', () => {
  test('are read in one telegram', () => {
    expect(plan(meter(80, ...PHASES))).toEqual(['4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4']);
  });

  test('are found in whatever order and length they stand', () => {
    const map = meter(20, current('L1', 9, { type: 'int16' }), current('L2', 4), current('L3', 1, { type: 'uint16' }));
    expect(plan(map)).toEqual(['4 @ 1 + 9: L1 at 8, L2 at 3, L3 at 0']);
  });

  test('that no one telegram can hold are not readable, so their instants are never mixed', () => {
    expect(plan(meter(5, ...PHASES))).toBeNull();
    expect(plan(meter(80, current('L1', 0), current('L2', 2), current('L3', 4, { functionCode: 3 })))).toBeNull();
    expect(plan(meter(80, current('L1', 0), current('L2', 2)))).toBeNull();
  });

  test('with a forbidden word between them are not readable', () => {
    const map = meter(80, current('L1', 0), current('L2', 2), current('L3', 8));
    const forbidden = { functionCode: 4, from: 5, to: 6 } as const;
    expect(plan({ ...map, unreadable: [forbidden] })).toBeNull();
    expect(plan({ ...map, unreadable: [{ ...forbidden, functionCode: 3 }] })).toHaveLength(1);
  });

  test('come with their scale factor, or not at all', () => {
    const scaled = PHASES.map((register) => ({ ...register, scaleRegister: 20 }));
    expect(plan(meter(80, ...scaled))).toEqual(['4 @ 6 + 15: L1 at 0, L2 at 2, L3 at 4']);
    expect(planReads(meter(80, ...scaled), [1])?.phases[0]?.telegrams[0]?.fields[0]?.scaleOffset).toBe(14);
    expect(plan(meter(14, ...scaled))).toBeNull();
  });

  test('are apparent power and voltage where the meter gives no current', () => {
    const of = (quantity: 'apparentPower' | 'voltage', from: number) =>
      (['L1', 'L2', 'L3'] as const).map((conductor, index) => current(conductor, from + 2 * index, { quantity }));
    expect(plan(meter(80, ...of('apparentPower', 20), ...of('voltage', 0)))?.[0]).toContain('4 @ 0 + 26');
    expect(plan(meter(20, ...of('apparentPower', 20), ...of('voltage', 0)))).toBeNull();
  });
});

describe('what is wanted beside the phases', () => {
  test('rides with them where it is near', () => {
    expect(plan(meter(80, ...PHASES, current('N', 20)))).toEqual(['4 @ 6 + 16: L1 at 0, L2 at 2, L3 at 4, N at 14']);
    const power = current('L1', 12, { quantity: 'power', unit: 'W' });
    expect(plan(meter(80, ...PHASES, power))).toEqual(['4 @ 6 + 8: L1 at 0, L2 at 2, L3 at 4, L1 at 6']);
  });

  test('has a telegram of its own where the gap costs more, or where one telegram cannot hold it', () => {
    const apart = ['4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4', '4 @ 29 + 2: N at 0'];
    expect(plan(meter(80, ...PHASES, current('N', 29)))).toEqual(apart);
    expect(plan(meter(22, ...PHASES, current('N', 27)))?.length).toBe(2);
    expect(plan(meter(80, ...PHASES, current('N', 12, { functionCode: 3 })))?.[1]).toBe('3 @ 12 + 2: N at 0');
  });

  test('shares telegrams', () => {
    const power = (['L1', 'L2', 'L3'] as const).map((conductor, index) =>
      current(conductor, 100 + 2 * index, { quantity: 'power', unit: 'W' }),
    );
    const { conductor: _, ...frequency } = current('N', 110, { quantity: 'frequency', unit: 'Hz' });
    expect(plan(meter(80, ...PHASES, ...power, frequency))?.[1]).toBe(
      '4 @ 100 + 12: L1 at 0, L2 at 2, L3 at 4, frequency at 10',
    );
  });

  test('is no voltage', () => {
    const voltage = current('L1', 100, { quantity: 'voltage', unit: 'V' });
    expect(plan(meter(80, voltage, ...PHASES))).toHaveLength(1);
  });
});

describe('a meter of several circuits', () => {
  test('is read in one telegram where it may be that long, else in as few as hold whole circuits', () => {
    const registers = [1, 2, 3, 4].flatMap((circuit) => circuitAt(circuit, circuit * 10));
    expect(plan(meter(125, ...registers), [1, 2, 3, 4])).toHaveLength(1);
    const short = planReads(meter(16, ...registers), [1, 2, 3, 4]);
    expect(short?.phases.map(({ circuits }) => circuits)).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test('is read for the circuits that feeders are on', () => {
    const registers = [...circuitAt(1, 0), ...circuitAt(2, 6), ...circuitAt(3, 200)];
    expect(plan(meter(125, ...registers), [3])).toEqual(['4 @ 200 + 6: L1 at 0, L2 at 2, L3 at 4']);
    expect(plan(meter(125, ...registers), [4])).toBeNull();
  });
});

test('telegrams of other lengths hold the phases too; what the map does not name is only a guess', () => {
  const voltage = current('L1', 2, { quantity: 'voltage', unit: 'V' });
  const telegrams = planReads(meter(12, voltage, ...PHASES), [1])?.phases[0]?.telegrams ?? [];
  expect(telegrams.map(({ address, count, isGuess }) => [address, count, isGuess])).toEqual([
    [6, 6, false],
    [2, 10, false],
    [2, 12, true],
  ]);
});

test('a SunSpec model is read with its id and length before the currents', () => {
  const place = { address: 40_070, model: 203, lengthWords: 105 };
  const telegram = planReads(meter(100, ...PHASES), [1], place)?.phases[0]?.telegrams[0];
  expect(telegram).toMatchObject({ address: 40_070, count: 12, signature: { offset: 0, words: [203, 105] } });
});

const TYPES = Object.keys(WORDS_OF) as Register['type'][];
const ORDERS = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
const SENTINEL = 77;

type Named = Pick<Register, 'quantity' | 'conductor'>;
/** What is read of a meter, and what is not. */
const WANTED: Named[] = [
  ...CONDUCTORS.map((conductor) => ({ quantity: 'current', conductor }) as const),
  ...PHASE_NAMES.map((conductor) => ({ quantity: 'power', conductor }) as const),
  { quantity: 'frequency' },
];
const UNWANTED: Named[] = PHASE_NAMES.map((conductor) => ({ quantity: 'voltage', conductor }));

/** A register with what the meter shows in it: whole numbers, which every type holds and every scale leaves exact. */
interface Shown {
  readonly register: Register;
  readonly value: number;
  readonly exponent: number | null;
}

/** Registers anywhere, in any order, of any type and word order, some with a scale factor behind them. */
const meters = fc
  .record({
    circuits: fc.constantFrom([1], [1, 2]),
    form: fc.array(
      fc.record({
        gap: fc.nat(30),
        functionCode: fc.constantFrom(3, 4, 4, 4),
        type: fc.constantFrom(...TYPES),
        order: fc.constantFrom(...ORDERS),
        value: fc.oneof(fc.integer({ min: 0, max: 30_000 }), fc.constant(SENTINEL)),
        exponent: fc.option(fc.integer({ min: -2, max: 2 }), { nil: null }),
      }),
      { minLength: 24, maxLength: 24 },
    ),
    shuffle: fc.infiniteStream(fc.nat(1_000)),
  })
  .map(({ circuits, form, shuffle }) => {
    const named = circuits.flatMap((circuit) =>
      [...WANTED, ...UNWANTED].flatMap((one) =>
        one.quantity === 'frequency' && circuit > 1 ? [] : [{ ...one, circuit, rank: shuffle.next().value ?? 0 }],
      ),
    );
    let address = 0;
    const shown = named
      .sort((a, b) => a.rank - b.rank)
      .map(({ rank: _, ...one }, index): Shown => {
        const { gap, functionCode, type, order, value, exponent } = form[index] ?? expect.fail();
        // The phases of a circuit are of one function code, or no telegram can hold them.
        const code = one.quantity === 'current' ? 4 : (functionCode as 3 | 4);
        address += gap;
        const own = address;
        address += WORDS_OF[type] + (exponent === null ? 0 : 1);
        const scaled = exponent === null ? {} : { scaleRegister: own + WORDS_OF[type] };
        const base = {
          ...FLOAT,
          unit: 'A' as const,
          functionCode: code,
          address: own,
          type,
          order,
          sentinels: [SENTINEL],
        };
        return { register: { ...base, ...one, ...scaled }, value, exponent };
      });
    return { circuits, shown };
  });

test('of any map, a plan reads once and right every register that is wanted, and breaks no rule', () => {
  let plans = 0;
  const forbidden = fc.option(fc.nat(300), { nil: null });
  fc.assert(
    fc.property(meters, fc.integer({ min: 6, max: 125 }), forbidden, ({ circuits, shown }, longest, word) => {
      const words = new Map<number, number>();
      for (const { register, value, exponent } of shown) {
        const { address, type, order } = register;
        for (const [index, one] of encode(value, type, order).entries()) words.set(address + index, one);
        if (exponent !== null) words.set(address + WORDS_OF[type], exponent & 0xffff);
      }
      // A map that forbids one of its own registers contradicts itself.
      fc.pre(word === null || !words.has(word));
      const unreadable = word === null ? [] : [{ functionCode: 4 as const, from: word, to: word }];
      const registers = shown.map(({ register }) => register);
      const plan = planReads({ longestReadWords: longest, registers, unreadable }, circuits);
      if (plan === null) return;
      plans += 1;
      const best = plan.phases.map(({ telegrams }) => telegrams[0] ?? expect.fail());
      expect(plan.phases.flatMap((group) => group.circuits)).toEqual(circuits);
      for (const { register, value, exponent } of shown) {
        const carrying = [...best, ...plan.others].flatMap((telegram) =>
          telegram.fields.filter((field) => field.register === register).map((field) => ({ telegram, field })),
        );
        if (register.quantity !== 'voltage') expect(carrying).toHaveLength(1);
        for (const { telegram, field } of carrying) {
          expect(telegram.functionCode).toBe(register.functionCode);
          const answer = Array.from({ length: telegram.count }, (_, index) => words.get(telegram.address + index) ?? 0);
          const decoded = decode(answer, field.offset, register, field.scaleOffset);
          if (value === SENTINEL) expect(decoded).toBe('sentinel');
          else expect(decoded).toBeCloseTo(value * 10 ** (exponent ?? 0), 9);
        }
      }
      for (const { circuits: together, telegrams } of plan.phases) {
        for (const { fields } of telegrams)
          for (const circuit of together)
            for (const phase of PHASE_NAMES)
              expect(
                fields.some(
                  ({ register }) =>
                    register.quantity === 'current' && register.conductor === phase && register.circuit === circuit,
                ),
              ).toBe(true);
      }
      for (const { functionCode, address, count } of [
        ...plan.phases.flatMap((group) => group.telegrams),
        ...plan.others,
      ]) {
        expect(count).toBeLessThanOrEqual(longest);
        expect(functionCode === 4 && word !== null && word >= address && word < address + count).toBe(false);
      }
    }),
    { numRuns: 2_000 },
  );
  // Phases that lie too far apart for one telegram have no plan: some do not.
  expect(plans).toBeGreaterThan(50);
});
