import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/acquisition/decode.ts';
import { planReads } from '../../src/acquisition/read-plan.ts';
import { layoutsOf, readRegisterMap } from '../../src/acquisition/register-map.ts';
import { showProblem } from '../../src/yaml-file.ts';
import { float32 } from '../simulators/modbus-server.ts';

const METERS = join(import.meta.dirname, '../../hardware/meters');
const folder = mkdtempSync(join(tmpdir(), 'register-map-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(readdirSync(METERS).filter((name) => name.endsWith('.yaml')))('the shipped map %s', (name) => {
  test('reads without a problem', () => {
    expect(readRegisterMap(join(METERS, name)).problems.map(showProblem)).toEqual([]);
  });

  test('lets the three phases be read in one telegram', () => {
    const { value } = readRegisterMap(join(METERS, name));
    for (const layout of layoutsOf(value ?? expect.fail())) {
      const carried = planReads(layout, [1])?.phases[0]?.telegrams[0]?.fields.map(({ register }) => register) ?? [];
      const phases = carried.filter(({ quantity }) => quantity === 'current').map(({ conductor }) => conductor);
      expect(phases).toEqual(expect.arrayContaining(['L1', 'L2', 'L3']));
    }
  });

  test('has words beside the amperes that they must give', () => {
    expect(Object.keys(CAPTURED)).toContain(name.replace('.yaml', ''));
  });
});

/** By map: first address, words in hexadecimal, and what they are. */
const CAPTURED: Record<string, [number, string, Record<string, number>][]> = {
  'eastron-sdm630': [[0x0006, '43ac8000 43484000 3f000000', { L1: 345, L2: 200.25, L3: 0.5 }]],
  'janitza-umg96rm': [[19_012, '43ac8000 43484000 3f000000', { L1: 345, L2: 200.25, L3: 0.5 }]],
  'janitza-umg604': [[1_325, '43ac8000 43484000 c1200000', { L1: 345, L2: 200.25, L3: -10 }]],
  'schneider-iem3000': [[0x0bb7, '43ac8000 43484000 ffc00000', { L1: 345, L2: 200.25, L3: Number.NaN }]],
  'schneider-pm5000': [[2_999, '43ac8000 43484000 3f000000 41480000', { L1: 345, L2: 200.25, L3: 0.5, N: 12.5 }]],
  'siemens-pac3200': [[13, '43ac8000 43484000 3f000000', { L1: 345, L2: 200.25, L3: 0.5 }]],
  'siemens-pac4200': [
    [13, '43ac8000 43484000 3f000000', { L1: 345, L2: 200.25, L3: 0.5 }],
    [295, '41480000', { N: 12.5 }],
  ],
  // 345000 is 0x000543A8: its low word comes first.
  'carlo-gavazzi-em24': [[0x0c, '43a80005 0e3a0003 ffffffff', { L1: 345, L2: 200.25, L3: -0.001 }]],
  'carlo-gavazzi-em340': [[0x0c, '43a80005 0e3a0003 ffff7fff', { L1: 345, L2: 200.25, L3: Number.NaN }]],
  'abb-ab-series': [[0x5b0c, '000086c4 00004e39 ffffffff', { L1: 345, L2: 200.25, L3: Number.NaN }]],
  // Model 203, length 105, total, L1, L2, L3, scale factor -2.
  sunspec: [[0, '00cb0069 ffff86c4 4e398000 fffe0000', { L1: -310.36, L2: 200.25, L3: Number.NaN }]],
};

describe.each(Object.entries(CAPTURED))('the words of %s', (name, captured) => {
  test('are amperes by its map', () => {
    const map = readRegisterMap(join(METERS, `${name}.yaml`)).value ?? expect.fail();
    const registers = layoutsOf(map)[0]?.registers ?? [];
    for (const [first, hex, expected] of captured) {
      const words = (hex.replaceAll(' ', '').match(/.{4}/g) ?? []).map((word) => Number.parseInt(word, 16));
      for (const [conductor, currentA] of Object.entries(expected)) {
        const register = registers.find((one) => one.quantity === 'current' && one.conductor === conductor);
        const { address, scaleRegister } = register ?? expect.fail();
        const scaleAt = scaleRegister === undefined ? null : scaleRegister - first;
        const decoded = decode(words, address - first, register ?? expect.fail(), scaleAt);
        if (Number.isNaN(currentA)) expect(['sentinel', 'notANumber']).toContain(decoded);
        else expect(decoded).toBeCloseTo(currentA, 9);
      }
    }
  });
});

test('the floats of a SunSpec model 213 are amperes', () => {
  const map = readRegisterMap(join(METERS, 'sunspec.yaml')).value ?? expect.fail();
  const registers = layoutsOf(map)[1]?.registers ?? [];
  const words = [213, 124, 0x4454, 0, 0x43ac, 0x8000, 0x4348, 0x4000, 0x7fc0, 0];
  const read = (conductor: string) => {
    const register = registers.find((one) => one.quantity === 'current' && one.conductor === conductor);
    return decode(words, register?.address ?? 0, register ?? expect.fail());
  };
  expect(['L1', 'L2', 'L3'].map(read)).toEqual([345, 200.25, 'notANumber']);
});

test('the words of an SDM630 are amperes, volts and hertz by its map', () => {
  const map = readRegisterMap(join(METERS, 'eastron-sdm630.yaml')).value ?? expect.fail();
  const wire = new Map([
    [0x0000, [0x4366, 0x3334]], // 230.2 V
    [0x0006, [0x43ac, 0x8000]], // 345.0 A
    [0x0008, [0x4348, 0x4000]], // 200.25 A
    [0x000a, [0x3f00, 0x0000]], // 0.5 A
    [0x0046, [0x4247, 0xeb85]], // 49.98 Hz
    [0x00e0, [0x42f6, 0xe979]], // 123.456 A
  ]);
  const read = (quantity: string, conductor?: string) => {
    const register = map.registers.find((one) => one.quantity === quantity && one.conductor === conductor);
    return register && decode(wire.get(register.address) ?? [], 0, register);
  };
  expect(read('current', 'L1')).toBe(345);
  expect(read('current', 'L2')).toBe(200.25);
  expect(read('current', 'L3')).toBe(0.5);
  expect(read('current', 'N')).toBe(Math.fround(123.456));
  expect(read('voltage', 'L1')).toBeCloseTo(230.2, 4);
  expect(read('frequency')).toBeCloseTo(49.98, 4);
  expect(float32(345)).toEqual(wire.get(0x0006));
});

const GOOD = `maker: Maker
model: Model
source: the manual, page 12
verified: not yet
longestReadWords: 80
registers:
  - { quantity: current, conductor: L1, functionCode: 4, address: 6, type: float32, unit: A }
  - { quantity: current, conductor: L2, functionCode: 4, address: 8, type: float32, unit: A }
  - { quantity: current, conductor: L3, functionCode: 4, address: 10, type: float32, unit: A }
`;

function problemsOf(text: string): string[] {
  const file = join(folder, 'map.yaml');
  writeFileSync(file, text);
  const { value, problems } = readRegisterMap(file);
  expect(value === null).toBe(problems.length > 0);
  return problems.map((problem) => showProblem(problem).slice(folder.length + 1));
}

describe("an engineer's own map", () => {
  test('reads with defaults for what it does not say', () => {
    const file = join(folder, 'good.yaml');
    writeFileSync(file, GOOD);
    expect(readRegisterMap(file).value?.registers[0]).toMatchObject({ order: 'ABCD', scale: 1, sentinels: [] });
  });

  test.each<[string, [RegExp | string, string], string]>([
    ['a function code that writes', ['4, address: 8', '16, address: 8'], '8:55: registers[1].functionCode is 16, '],
    ['an address that no telegram can name', ['s: 10', 's: 65536'], '9:67: registers[2].address is 65536, '],
    ['a type that is none', ['6, type: float32', '6, type: float'], '7:76: registers[0].type is "float", '],
    ['a telegram that is too long', ['Words: 80', 'Words: 126'], '5:19: longestReadWords is 126, '],
    ['a key that nobody knows', ['6, type', '6, typ: x, type'], '7:70: registers[0].typ is an unknown key, '],
    ['a phase that is missing', [/ {2}- .*L3.*\n/, ''], '7:3: registers is '],
    ['a phase that is there twice', ['conductor: L2', 'conductor: L1'], '8:5: registers[1] is '],
    ['a circuit that lacks a phase', ['L2, functionCode', 'L2, circuit: 2, functionCode'], '7:3: registers is '],
    ['neither registers nor models', [/registers:(.|\n)*/, ''], '1:1: registers is missing'],
    ['an origin that is not told', ['source: the manual, page 12\n', ''], '1:1: source'],
    ['text that is no YAML', ['maker: Maker', 'maker: "Maker'], ''],
  ])('has %s shown with its line and column', (_, [from, to], expected) => {
    expect(problemsOf(GOOD.replace(from, to))[0]).toContain(`map.yaml:${expected}`);
  });

  test('is told of both function codes that read', () => {
    expect(problemsOf(GOOD.replace('Code: 4', 'Code: 6'))[0]).toContain('expected 3 or 4');
  });

  test('shows all that is wrong at once', () => {
    expect(problemsOf(GOOD.replace('Words: 80', 'Words: 0').replaceAll('unit: A', 'unit: kA'))).toHaveLength(4);
  });

  test('that is not there is one problem and no exception', () => {
    const { value, problems } = readRegisterMap(join(folder, 'none.yaml'));
    expect(value).toBeNull();
    expect(problems.map(({ line, expected }) => [line, expected])).toEqual([[0, 'a readable file']]);
  });
});
