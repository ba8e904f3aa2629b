import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/acquisition/decode.ts';
import { planCurrents } from '../../src/acquisition/read-plan.ts';
import { readRegisterMap } from '../../src/acquisition/register-map.ts';
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
    expect(value && planCurrents(value)?.phases.currents.map((current) => current.conductor)).toEqual(
      expect.arrayContaining(['L1', 'L2', 'L3']),
    );
  });
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
