// Any CSV by a mapping file: rows are split with their quotes, filtered, and turned into amperes. Nothing is guessed:
// what turns power into current stands in the mapping, and is told with the results.
import { CONDUCTORS } from '../../feeder.ts';
import { isAmperes, type MappedFeeder, type Mapping } from './mapping.ts';
import { TraceProblem } from './problem.ts';
import { newRow, type TraceSink } from './sink.ts';
import { isTraceTime, parseNumber } from './time.ts';
import { type TimeReader, timeReader } from './time-format.ts';

const LF = 0x0a;
/** A line without an end is no CSV; more than this is not kept in memory to find out. */
const LINE_CHARACTERS_MAX = 1 << 20;
const NAMES_SHOWN = 20;
/** What one of the unit is in amperes, or in volt-amperes where it is a power. */
const PER_UNIT: Record<Mapping['unit'], number> = {
  A: 1,
  kA: 1e3,
  W: 1,
  kW: 1e3,
  MW: 1e6,
  VA: 1,
  kVA: 1e3,
  MVA: 1e6,
  Wh: 3600,
  kWh: 3.6e6,
};

interface Cell {
  readonly name: string;
  readonly index: number;
}
interface Plan {
  readonly slot: number;
  readonly where: readonly { readonly index: number; readonly value: string }[];
  /** In the order of CONDUCTORS; null where there is none. */
  readonly values: readonly (Cell | null)[];
  readonly volts: readonly (Cell | null)[];
  readonly isTotal: boolean;
  /** Of the feeder's row before. */
  beforeMs: number;
}

export class MappedCsvReader {
  readonly #file: string;
  readonly #mapping: Mapping;
  readonly #sink: TraceSink;
  readonly #time: TimeReader;
  #carry = '';
  #decoder = new TextDecoder('utf-8');
  #line = 0;
  #timeCells: readonly Cell[] = [];
  #count = 0;
  #where: Plan['where'] = [];
  #plans: Plan[] = [];
  readonly #row = newRow();

  /** Throws a `TraceProblem` where the mapping cannot be one for a CSV. */
  constructor(file: string, mapping: Mapping, sink: TraceSink) {
    this.#file = file;
    this.#mapping = mapping;
    this.#sink = sink;
    const { time } = mapping;
    if (time === undefined) throw this.#refuse('time', 'missing', 'it in the mapping file, for a CSV');
    this.#time = timeReader(time.format, time.zone);
  }

  push(chunk: Buffer): void {
    const last = chunk.lastIndexOf(LF);
    if (last < 0) return this.#keep(this.#carry + this.#decoder.decode(chunk, { stream: true }));
    const text = this.#carry + this.#decoder.decode(chunk.subarray(0, last + 1), { stream: true });
    this.#keep(this.#decoder.decode(chunk.subarray(last + 1), { stream: true }));
    for (const line of text.slice(0, -1).split('\n')) this.#readLine(line);
  }

  #keep(rest: string): void {
    this.#carry = rest;
    if (rest.length <= LINE_CHARACTERS_MAX) return;
    throw this.#refuse('row', `${rest.length} characters without a line end`, 'lines');
  }

  end(): void {
    if (this.#carry !== '') this.#readLine(this.#carry);
    if (this.#count === 0) throw this.#refuse('row', 'missing', 'a header and rows under it');
  }

  #readLine(line: string): void {
    this.#line++;
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    const { headerLine, delimiter } = this.#mapping;
    if (this.#line < headerLine) return;
    const cells = cellsOf(this.#line === 1 ? text.replace(/^\uFEFF/, '') : text, delimiter);
    if (this.#line === headerLine) return this.#header(cells);
    if (cells.every((cell) => cell === '')) return;
    if (this.#count === 0) this.#header(cells.map(() => ''));
    // A delimiter too many at the end of a row means nothing.
    if (cells.length < this.#count || cells.slice(this.#count).some((cell) => cell !== ''))
      return this.#problem('row', `${cells.length} cells`, `${this.#count}, as in the header`, null);
    if (!this.#where.every(({ index, value }) => cells[index] === value)) return;
    for (const plan of this.#plans) {
      if (plan.where.every(({ index, value }) => cells[index] === value)) this.#take(plan, cells);
    }
  }

  #header(names: readonly string[]): void {
    const cell = (name: string): Cell => {
      const index = names.includes(name) ? names.indexOf(name) : /^\d+$/.test(name) ? Number(name) - 1 : -1;
      if (index >= 0 && index < names.length) return { name, index };
      const shown = names.slice(0, NAMES_SHOWN).map((known) => known.slice(0, 40));
      throw this.#refuse(name, 'missing', `one of the columns ${shown.join(', ') || `1 to ${names.length}`}`);
    };
    const filter = (where: Record<string, string> | undefined) =>
      Object.entries(where ?? {}).map(([name, value]) => ({ index: cell(name).index, value }));
    this.#count = names.length;
    this.#timeCells = (this.#mapping.time?.column ?? []).map(cell);
    this.#where = filter(this.#mapping.where);
    this.#plans = Object.entries(this.#mapping.feeders).map(([id, feeder]) => ({
      slot: this.#sink.slotOf(id),
      where: filter(feeder.where),
      beforeMs: Number.NEGATIVE_INFINITY,
      ...cellsFor(feeder, cell),
    }));
    this.#sink.timeForm(this.#time.form, this.#file);
    const assumed = assumption(this.#mapping);
    if (assumed !== null) this.#sink.note(`${this.#file}: ${assumed}`);
  }

  #take(plan: Plan, cells: readonly string[]): void {
    const { slot, values, volts, isTotal } = plan;
    const timeText = this.#timeCells.map(({ index }) => cells[index]).join(' ');
    const timeName = this.#timeCells.map(({ name }) => name).join(' ');
    const atMs = this.#time.read(timeText, plan.beforeMs);
    if (!isTraceTime(atMs)) {
      const { format = 'iso', zone = 'UTC' } = this.#mapping.time ?? {};
      const expected = zone === 'UTC' ? `a time as ${format}` : `a time as ${format}, as ${zone} has it`;
      return this.#problem(timeName, JSON.stringify(timeText), expected, slot);
    }
    const amperes: number[] = [];
    for (const [index, cell] of values.entries()) {
      const value = this.#number(cell, cells, slot);
      const volt = this.#number(volts[index] ?? null, cells, slot);
      if (value === null || volt === null) return;
      amperes.push(this.#amperes(value, volts[index] ? volt : (this.#mapping.voltageV ?? 1), isTotal));
    }
    this.#row.set([atMs, ...amperes]);
    if (this.#sink.reading(slot, this.#row)) plan.beforeMs = atMs;
    else this.#problem(timeName, timeText, 'a time after the feeder’s row before', slot);
  }

  /** NaN where there is no cell or nothing in it; null where it is no number, which has been told. */
  #number(cell: Cell | null, cells: readonly string[], slot: number): number | null {
    if (cell === null) return Number.NaN;
    const text = (cells[cell.index] ?? '').trim();
    if (text === '' || /^(nan|null|n\/a|na|-)$/i.test(text)) return Number.NaN;
    const value = parseNumber(this.#mapping.decimal === ',' ? text.replace(',', '.') : text);
    if (value === null) this.#problem(cell.name, JSON.stringify(text), 'a number, or nothing', slot);
    return value;
  }

  #amperes(value: number, voltV: number, isTotal: boolean): number {
    const { unit, intervalS = 1, powerFactor, scale, sign } = this.#mapping;
    const given = (sign === 'importIsNegative' ? -value : value) * scale * PER_UNIT[unit];
    if (isAmperes(unit)) return given;
    const power = unit.endsWith('Wh') ? given / intervalS : given;
    const apparent = unit.endsWith('VA') ? power : power / powerFactor;
    return apparent / (isTotal ? 3 : 1) / voltV;
  }

  #problem(path: string, value: string, expected: string, slot: number | null): void {
    this.#sink.broken({ file: this.#file, line: this.#line, column: 1, path, value, expected }, slot);
  }

  #refuse(path: string, value: string, expected: string): TraceProblem {
    return new TraceProblem({ file: this.#file, line: 1, column: 1, path, value, expected });
  }
}

function cellsFor(
  { total, voltage, ...columns }: MappedFeeder,
  cell: (name: string) => Cell,
): Pick<Plan, 'values' | 'volts' | 'isTotal'> {
  const find = (name: string | undefined) => (name === undefined ? null : cell(name));
  const isTotal = total !== undefined;
  const values = CONDUCTORS.map((conductor) => find(isTotal && conductor !== 'N' ? total : columns[conductor]));
  return { values, volts: CONDUCTORS.map((conductor) => find(voltage?.[conductor])), isTotal };
}

/** How power became current, for whoever reads the result. */
function assumption({ unit, voltageV, powerFactor, intervalS, feeders }: Mapping): string | null {
  if (isAmperes(unit)) return null;
  const measured = Object.values(feeders).some(({ voltage }) => voltage !== undefined);
  const volts = measured ? 'the measured voltage' : `${voltageV} V from phase to neutral`;
  const factor = unit.endsWith('VA') ? '' : ` and power factor ${powerFactor}`;
  const over = unit.endsWith('Wh') ? `, means over ${intervalS} s` : '';
  return `amperes from ${unit} by ${volts}${factor}${over}`;
}

/** Cells of a row, with quotes as RFC 4180 has them; a line end inside quotes is not supported. */
function cellsOf(line: string, delimiter: string): string[] {
  if (!line.includes('"')) return line.split(delimiter).map((cell) => cell.trim());
  const cells: string[] = [];
  let at = 0;
  while (at <= line.length) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*/.exec(line.slice(at));
    if (quoted !== null) {
      cells.push((quoted[1] ?? '').replaceAll('""', '"'));
      at += quoted[0].length;
      if (line[at] !== delimiter) break;
      at++;
    } else {
      const end = line.indexOf(delimiter, at);
      cells.push(line.slice(at, end < 0 ? undefined : end).trim());
      if (end < 0) break;
      at = end + 1;
    }
  }
  return cells;
}
