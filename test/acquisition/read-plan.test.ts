import { expect, test } from 'vitest';
import { conductorsOf } from '../../src/acquisition/modbus-source.ts';
import { planCurrents } from '../../src/acquisition/read-plan.ts';
import type { Register, RegisterMap } from '../../src/acquisition/register-map.ts';
import type { Conductor } from '../../src/feeder.ts';

const FLOAT: Pick<Register, 'type' | 'order' | 'scale' | 'sentinels'> = {
  type: 'float32',
  order: 'ABCD',
  scale: 1,
  sentinels: [],
};

function current(conductor: Conductor, address: number, more: Partial<Register> = {}): Register {
  return { ...FLOAT, quantity: 'current', unit: 'A', functionCode: 4, conductor, address, ...more };
}

function meter(longestReadWords: number, ...registers: Register[]): RegisterMap {
  return { maker: 'Maker', model: 'Model', source: 'a test', verified: 'not yet', longestReadWords, registers };
}

/** Telegrams as `function code @ address + words: conductor at its first word`. */
function plan(map: RegisterMap): (string | null)[] | null {
  const plan = planCurrents(map);
  return (
    plan &&
    [plan.phases, plan.neutral].map((telegram) => {
      if (telegram === null) return null;
      const currents = telegram.currents.map(({ conductor, offset }) => `${conductor} at ${offset}`).join(', ');
      return `${telegram.functionCode} @ ${telegram.address} + ${telegram.count}: ${currents}`;
    })
  );
}

const PHASES = [current('L1', 6), current('L2', 8), current('L3', 10)];

test('the three phases are read in one telegram', () => {
  expect(plan(meter(80, ...PHASES))).toEqual(['4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4', null]);
});

test('the neutral comes with the phases where one telegram can hold both', () => {
  const map = meter(80, ...PHASES, current('N', 20));
  expect(plan(map)).toEqual(['4 @ 6 + 16: L1 at 0, L2 at 2, L3 at 4, N at 14', null]);
});

test('a neutral that is too far away has a telegram of its own', () => {
  expect(plan(meter(80, ...PHASES, current('N', 85)))).toEqual([
    '4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4',
    '4 @ 85 + 2: N at 0',
  ]);
  expect(plan(meter(80, ...PHASES, current('N', 84)))).toEqual([
    '4 @ 6 + 80: L1 at 0, L2 at 2, L3 at 4, N at 78',
    null,
  ]);
});

test('a neutral behind another function code has a telegram of its own', () => {
  expect(plan(meter(80, ...PHASES, current('N', 12, { functionCode: 3 })))).toEqual([
    '4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4',
    '3 @ 12 + 2: N at 0',
  ]);
});

test('phases that stand in another order, or in words of other lengths, are found where they are', () => {
  const map = meter(20, current('L1', 9, { type: 'int16' }), current('L2', 4), current('L3', 1, { type: 'uint16' }));
  expect(plan(map)).toEqual(['4 @ 1 + 9: L1 at 8, L2 at 3, L3 at 0', null]);
});

test('phases that no one telegram can hold are not readable, so their instants are never mixed', () => {
  expect(plan(meter(5, ...PHASES))).toBeNull();
  expect(plan(meter(80, current('L1', 0), current('L2', 2), current('L3', 4, { functionCode: 3 })))).toBeNull();
  expect(plan(meter(80, current('L1', 0), current('L2', 2)))).toBeNull();
});

test('voltages and powers are no part of the telegram', () => {
  const voltage: Register = { ...FLOAT, quantity: 'voltage', unit: 'V', functionCode: 4, conductor: 'L1', address: 0 };
  expect(plan(meter(80, voltage, ...PHASES))).toEqual(['4 @ 6 + 6: L1 at 0, L2 at 2, L3 at 4', null]);
});

test('the plan tells which conductors the meter gives', () => {
  const given = (...registers: Register[]) => conductorsOf(planCurrents(meter(80, ...registers)) ?? expect.fail());
  expect(given(...PHASES)).toEqual(['L1', 'L2', 'L3']);
  expect(given(...PHASES, current('N', 12))).toEqual(['L1', 'L2', 'L3', 'N']);
  expect(given(...PHASES, current('N', 200))).toEqual(['L1', 'L2', 'L3', 'N']);
});
