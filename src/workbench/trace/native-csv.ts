// The native trace: `time,feeder,L1_A,L2_A,L3_A[,N_A]` in long form, times in ISO 8601 or seconds. It is read byte by
// byte without making a string of a row, because a year of seconds is 31 million of them; a row that is not plain
// digits (a sign of its own, an exponent, quotes, spaces) takes the slow way through strings, and comes to the same.
import { TraceProblem } from './problem.ts';
import type { TimeForm, TraceSink } from './sink.ts';
import { SECONDS_ZERO_MS } from './sink.ts';
import { parseNumber, parseTraceTime } from './time.ts';

const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const MINUS = 0x2d;
const ZERO = 0x30;
const POWERS = Float64Array.from({ length: 23 }, (_, power) => 10 ** power);
/** Digits that a double holds exactly, so that one division rounds as the decimal itself would. */
const DIGITS_MAX = 15;
/** `2026-01-05T17:00:` of a stamp: the minute, of which a row is mostly the same as the one before. */
const MINUTE_BYTES = 17;
const HEADER = 'time,feeder,L1_A,L2_A,L3_A[,N_A]';
/** A line without an end is no CSV; more than this is not kept in memory to find out. */
const LINE_BYTES_MAX = 1 << 20;

export class NativeCsvReader {
  readonly #file: string;
  readonly #sink: TraceSink;
  #line = 0;
  #hasNeutral = false;
  #form: TimeForm | null = null;
  #carry: Buffer = Buffer.alloc(0);
  /** Names seen, as bytes with their comma, and the slot of each. A row has the latest or the next after it, mostly. */
  readonly #names: Buffer[] = [];
  readonly #slots: number[] = [];
  #latest = 0;
  /** The minute of the last stamp, and its milliseconds. */
  readonly #minute = Buffer.alloc(MINUTE_BYTES);
  #minuteMs = Number.NaN;
  /** Where the parser stands, and whether it met something that is not plain. */
  #at = 0;
  #plain = true;

  constructor(file: string, sink: TraceSink) {
    this.#file = file;
    this.#sink = sink;
  }

  /** Takes the next bytes of the file. Throws what the sink throws, and a `TraceProblem` for a header that is none. */
  push(chunk: Buffer): void {
    const last = chunk.lastIndexOf(LF);
    if (last < 0) return this.#keep(Buffer.concat([this.#carry, chunk]));
    let start = 0;
    if (this.#carry.length > 0) {
      start = chunk.indexOf(LF) + 1;
      const line = Buffer.concat([this.#carry, chunk.subarray(0, start)]);
      this.#rows(line, 0, line.length);
    }
    this.#rows(chunk, start, last + 1);
    // A copy, since the chunk's memory is used again for the next.
    this.#keep(Buffer.from(chunk.subarray(last + 1)));
  }

  /** The end of the file: a last line may have no line end. */
  end(): void {
    if (this.#carry.length > 0) this.#rows(Buffer.concat([this.#carry, Buffer.from('\n')]), 0, this.#carry.length + 1);
    if (this.#line === 0) this.#header('');
    this.#carry = Buffer.alloc(0);
  }

  #keep(rest: Buffer): void {
    this.#carry = rest;
    if (rest.length <= LINE_BYTES_MAX) return;
    const value = `${rest.length} bytes without a line end`;
    throw new TraceProblem({
      file: this.#file,
      line: this.#line + 1,
      column: 1,
      path: 'row',
      value,
      expected: 'lines',
    });
  }

  /** All of `bytes` from `start` to `end`, which is behind a line end. */
  #rows(bytes: Buffer, start: number, end: number): void {
    if (this.#line === 0) {
      const next = bytes.indexOf(LF, start) + 1;
      this.#header(textOf(bytes, start, next));
      start = next;
      this.#line = 1;
    }
    while (start < end) {
      this.#line++;
      const next = this.#plainRow(bytes, start);
      if (next > 0) {
        start = next;
        continue;
      }
      const stop = bytes.indexOf(LF, start);
      this.#oddRow(textOf(bytes, start, stop));
      start = stop + 1;
    }
  }

  #header(line: string): void {
    const names = namesOf(line);
    const wanted = ['time', 'feeder', 'L1_A', 'L2_A', 'L3_A', ...(names.length > 5 ? ['N_A'] : [])];
    const wrong = wanted.findIndex((name, index) => names[index] !== name);
    if (wrong >= 0 || names.length > 6) {
      const name = wanted[wrong] ?? 'N_A';
      const found = line.trim().length > 60 ? `${line.trim().slice(0, 57)}...` : line.trim();
      throw new TraceProblem({
        file: this.#file,
        line: 1,
        column: 1,
        path: name,
        value: 'missing',
        expected: `a header like ${HEADER}, not "${found}", or a mapping file (--mapping) for another CSV`,
      });
    }
    this.#hasNeutral = names.length === 6;
  }

  /** Reads a row that is plain and answers where the next begins; 0 where it is not plain, and nothing was taken. */
  #plainRow(bytes: Buffer, start: number): number {
    this.#at = start;
    this.#plain = true;
    const atMs = this.#form === 'utc' ? this.#stamp(bytes) : this.#form === 'seconds' ? this.#seconds(bytes) : 0;
    if (this.#form === null || !this.#plain) return 0;
    const slot = this.#feeder(bytes);
    if (slot < 0) return 0;
    const L1_A = this.#number(bytes, COMMA);
    const L2_A = this.#number(bytes, COMMA);
    let L3_A: number;
    let N_A = Number.NaN;
    if (this.#hasNeutral) {
      L3_A = this.#number(bytes, COMMA);
      N_A = this.#number(bytes, LF);
    } else {
      L3_A = this.#number(bytes, LF);
    }
    if (!this.#plain) return 0;
    if (!this.#sink.reading(slot, atMs, L1_A, L2_A, L3_A, N_A)) this.#early(slot, textOf(bytes, start, this.#at));
    return this.#at;
  }

  /** Digits, at most one point, an optional minus; behind it `end`, or a carriage return before a line end. */
  #number(bytes: Buffer, end: number): number {
    let at = this.#at;
    let byte = bytes[at] as number;
    const negative = byte === MINUS;
    if (negative) byte = bytes[++at] as number;
    const from = at;
    let points = 0;
    let mantissa = 0;
    let decimals = 0;
    let digit = byte - ZERO;
    while (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit;
      digit = (bytes[++at] as number) - ZERO;
    }
    if (digit === DOT - ZERO) {
      const point = at;
      digit = (bytes[++at] as number) - ZERO;
      while (digit >= 0 && digit <= 9) {
        mantissa = mantissa * 10 + digit;
        digit = (bytes[++at] as number) - ZERO;
      }
      decimals = at - point - 1;
      points = 1;
    }
    const length = at - from;
    byte = digit + ZERO;
    if (byte === CR && end === LF) byte = bytes[++at] as number;
    if (byte !== end || length === points || length > DIGITS_MAX) {
      this.#plain = false;
      return Number.NaN;
    }
    this.#at = at + 1;
    const value = decimals === 0 ? mantissa : mantissa / (POWERS[decimals] as number);
    return negative ? -value : value;
  }

  #seconds(bytes: Buffer): number {
    const seconds = this.#number(bytes, COMMA);
    return SECONDS_ZERO_MS + seconds * 1000;
  }

  /** `2026-01-05T17:00:30[.25][Z]`; the minute is looked up where it is that of the row before. */
  #stamp(bytes: Buffer): number {
    const start = this.#at;
    const minute = this.#minute;
    for (let index = MINUTE_BYTES - 1; index >= 0; index--) {
      if (bytes[start + index] !== minute[index]) {
        if (!this.#newMinute(bytes, start)) {
          this.#plain = false;
          return Number.NaN;
        }
        break;
      }
    }
    let at = start + MINUTE_BYTES;
    const tens = (bytes[at++] as number) - ZERO;
    const ones = (bytes[at++] as number) - ZERO;
    let byte = bytes[at] as number;
    let fraction = 0;
    if (byte === DOT) {
      let scale = 100;
      byte = bytes[++at] as number;
      while (byte >= ZERO && byte <= ZERO + 9) {
        fraction += (byte - ZERO) * scale;
        scale /= 10;
        byte = bytes[++at] as number;
      }
    }
    if (byte === 0x5a) byte = bytes[++at] as number;
    if (byte !== COMMA || tens < 0 || tens > 5 || ones < 0 || ones > 9) {
      this.#plain = false;
      return Number.NaN;
    }
    this.#at = at + 1;
    return this.#minuteMs + (tens * 10 + ones) * 1000 + fraction;
  }

  #newMinute(bytes: Buffer, start: number): boolean {
    const time = parseTraceTime(`${textOf(bytes, start, start + MINUTE_BYTES)}00`);
    if (time === null || time.form !== 'utc') return false;
    this.#minute.set(bytes.subarray(start, start + MINUTE_BYTES));
    this.#minuteMs = time.atMs;
    return true;
  }

  /** The slot of the name that stands here; -1 where it was not seen before. */
  #feeder(bytes: Buffer): number {
    const names = this.#names;
    const start = this.#at;
    for (let tried = 0; tried < names.length; tried++) {
      const later = this.#latest + tried;
      const which = later < names.length ? later : later - names.length;
      const name = names[which] as Buffer;
      let index = 0;
      while (index < name.length && bytes[start + index] === name[index]) index++;
      if (index < name.length) continue;
      this.#at = start + index;
      this.#latest = which;
      return this.#slots[which] as number;
    }
    return -1;
  }

  /** A row that is not plain, as text: what can be read is, what cannot is told. */
  #oddRow(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (text.trim() === '') return;
    const cells = text.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
    const count = this.#hasNeutral ? 6 : 5;
    const [timeText = '', feeder = '', ...amperes] = cells;
    const slot = cells.length === count && feeder !== '' ? this.#slotOf(feeder) : null;
    if (cells.length !== count) return this.#problem('row', `${cells.length} cells`, `${count}, as in the header`);
    if (slot === null) return this.#problem('feeder', '""', 'the id of one');
    const time = parseTraceTime(timeText);
    if (time === null || (this.#form !== null && time.form !== this.#form))
      return this.#problem('time', JSON.stringify(timeText), 'ISO 8601 or seconds, the same in every row', slot);
    const values = amperes.map((cell) => (cell === '' || /^nan$/i.test(cell) ? Number.NaN : parseNumber(cell)));
    const wrong = values.indexOf(null);
    if (wrong >= 0) {
      const name = ['L1_A', 'L2_A', 'L3_A', 'N_A'][wrong] ?? 'N_A';
      return this.#problem(name, JSON.stringify(amperes[wrong]), 'a number, or nothing', slot);
    }
    if (this.#form === null) {
      this.#form = time.form;
      this.#sink.timeForm(time.form, this.#file);
    }
    const [L1_A, L2_A, L3_A, N_A] = values.map((value) => value ?? Number.NaN);
    const nan = Number.NaN;
    if (!this.#sink.reading(slot, time.atMs, L1_A ?? nan, L2_A ?? nan, L3_A ?? nan, N_A ?? nan))
      this.#early(slot, text);
  }

  /** The slot of a name; one that is new is known by its bytes from now on. */
  #slotOf(feeder: string): number {
    const bytes = Buffer.from(`${feeder},`);
    const known = this.#names.findIndex((name) => Buffer.compare(name, bytes) === 0);
    if (known >= 0) return this.#slots[known] as number;
    const slot = this.#sink.slotOf(feeder);
    this.#names.push(bytes);
    this.#slots.push(slot);
    return slot;
  }

  #early(slot: number, line: string): void {
    this.#problem('time', line.slice(0, line.indexOf(',')), 'a time after the feeder’s row before', slot);
  }

  #problem(path: string, value: string, expected: string, slot: number | null = null): void {
    this.#sink.broken({ file: this.#file, line: this.#line, column: 1, path, value, expected }, slot);
  }
}

function namesOf(line: string): string[] {
  return line
    .replace(/^\uFEFF/, '')
    .trim()
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
}

function textOf(bytes: Buffer, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
    .toString('utf8')
    .replace(/\n$/, '');
}
