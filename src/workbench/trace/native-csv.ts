// The native trace: `time,feeder,L1_A,L2_A,L3_A[,N_A]` in long form, times in ISO 8601 or seconds. It is read byte by
// byte without making a string of a row, because a year of seconds is 31 million of them; a row that is not plain
// digits (a sign of its own, an exponent, quotes, spaces) takes the slow way through strings, and comes to the same.
import { TraceProblem } from './problem.ts';
import type { TimeForm, TraceSink } from './sink.ts';
import { IS_WHOLE, newRow, type Row, SECONDS_ZERO_MS } from './sink.ts';
import { parseNumber, parseTraceTime } from './time.ts';

const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const ZULU = 0x5a;
const COLON = 0x3a;
const TEE = 0x54;
const BLANK = 0x20;
const POWERS = Float64Array.from({ length: 16 }, (_, power) => 10 ** power);
/** Digits that 32 bits hold, so that one division of whole numbers rounds as the decimal itself would. */
const DIGITS_MAX = 9;
/** A decimal with no more of them is the double that rounding to milliamperes comes to. */
const MILLI_DECIMALS = 3;
/** More is no time of a reading, and is judged where there is time to. */
const SECONDS_DIGITS_MAX = 10;
const YEAR_MAX = 2299;
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
  /** Behind the name that `#feeder` found. */
  #at = 0;
  readonly #row = newRow();

  constructor(file: string, sink: TraceSink) {
    this.#row.fill(Number.NaN);
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
    if (this.#form === null) return 0;
    const row = this.#row;
    const timed = this.#form === 'utc' ? this.#stamp(bytes, start, row) : this.#seconds(bytes, start, row);
    if (timed === 0) return 0;
    const slot = this.#feeder(bytes, timed);
    if (slot < 0) return 0;
    const next = this.#numbers(bytes, this.#at, row);
    if (next === 0) return 0;
    if (!this.#sink.reading(slot, row)) this.#early(slot, textOf(bytes, start, next));
    return next;
  }

  /** The amperes of a row, up to behind its line end: digits with at most one point, a minus before them. 0: not plain. */
  #numbers(bytes: Buffer, start: number, row: Row): number {
    const count = this.#hasNeutral ? 4 : 3;
    let at = start;
    let isWhole = 1;
    for (let column = 1; column <= count; column++) {
      let byte = bytes[at] as number;
      const isNegative = byte === MINUS;
      if (isNegative) byte = bytes[++at] as number;
      const from = at;
      let digits = 0;
      let mantissa = 0;
      let decimals = 0;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = (mantissa * 10 + (byte - ZERO)) | 0;
        byte = bytes[++at] as number;
      }
      digits = at - from;
      if (byte === DOT) {
        const point = at;
        byte = bytes[++at] as number;
        while (byte >= ZERO && byte <= NINE) {
          mantissa = (mantissa * 10 + (byte - ZERO)) | 0;
          byte = bytes[++at] as number;
        }
        decimals = at - point - 1;
        digits += decimals;
        if (decimals > MILLI_DECIMALS) isWhole = 0;
      }
      if (column === count && byte === CR) byte = bytes[++at] as number;
      if (byte !== (column === count ? LF : COMMA) || digits === 0 || digits > DIGITS_MAX) return 0;
      at++;
      const value = mantissa / (POWERS[decimals] as number);
      row[column] = isNegative ? -value : value;
    }
    row[IS_WHOLE] = isWhole;
    return at;
  }

  /** Seconds as plain digits and their comma: where the next cell begins; 0 where they are not plain. */
  #seconds(bytes: Buffer, start: number, row: Row): number {
    let at = start;
    let byte = bytes[at] as number;
    let seconds = 0;
    while (byte >= ZERO && byte <= NINE) {
      seconds = seconds * 10 + (byte - ZERO);
      byte = bytes[++at] as number;
    }
    if (at === start || at - start > SECONDS_DIGITS_MAX) return 0;
    if (byte === DOT) {
      const point = at;
      byte = bytes[++at] as number;
      let fraction = 0;
      while (byte >= ZERO && byte <= NINE && at - point <= DIGITS_MAX) {
        fraction = fraction * 10 + (byte - ZERO);
        byte = bytes[++at] as number;
      }
      seconds += fraction / (POWERS[at - point - 1] as number);
    }
    row[0] = SECONDS_ZERO_MS + seconds * 1000;
    return byte === COMMA ? at + 1 : 0;
  }

  /** `2026-01-05T17:00:30[.25][Z],`; the minute is looked up where it is not that of the row before. */
  #stamp(bytes: Buffer, start: number, row: Row): number {
    const minute = this.#minute;
    for (let index = MINUTE_BYTES - 1; index >= 0; index--) {
      if (bytes[start + index] === minute[index]) continue;
      if (!this.#newMinute(bytes, start)) return 0;
      break;
    }
    let at = start + MINUTE_BYTES;
    const tens = (bytes[at++] as number) - ZERO;
    const ones = (bytes[at++] as number) - ZERO;
    let byte = bytes[at] as number;
    let fraction = 0;
    if (byte === DOT) {
      const point = at;
      let digits = 0;
      byte = bytes[++at] as number;
      while (byte >= ZERO && byte <= NINE && at - point <= DIGITS_MAX) {
        digits = digits * 10 + (byte - ZERO);
        byte = bytes[++at] as number;
      }
      fraction = (digits * 1000) / (POWERS[at - point - 1] as number);
    }
    if (byte === ZULU) byte = bytes[++at] as number;
    if (byte !== COMMA || tens < 0 || tens > 5 || ones < 0 || ones > 9) return 0;
    row[0] = this.#minuteMs + (tens * 10 + ones) * 1000 + fraction;
    return at + 1;
  }

  /** Digits are looked at one by one: a string and a parser for each minute were a fifth of the time (measured). */
  #newMinute(bytes: Buffer, start: number): boolean {
    const two = (at: number): number => {
      const tens = (bytes[start + at] as number) - ZERO;
      const ones = (bytes[start + at + 1] as number) - ZERO;
      return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
    };
    const separator = bytes[start + 10];
    if (bytes[start + 4] !== MINUS || bytes[start + 7] !== MINUS || bytes[start + 13] !== COLON) return false;
    if (bytes[start + 16] !== COLON || (separator !== TEE && separator !== BLANK)) return false;
    const [year, month, day] = [two(0) * 100 + two(2), two(5), two(8)];
    const [hour, minute] = [two(11), two(14)];
    // A date that is none, and the 24th hour, are judged where there is time to.
    if (
      !(
        year >= 1970 &&
        year <= YEAR_MAX &&
        month >= 1 &&
        month <= 12 &&
        day >= 1 &&
        day <= 28 &&
        hour <= 23 &&
        minute <= 59
      )
    ) {
      const time = parseTraceTime(`${textOf(bytes, start, start + MINUTE_BYTES)}00`);
      if (time === null || time.form !== 'utc') return false;
      this.#minuteMs = time.atMs;
    } else this.#minuteMs = Date.UTC(year, month - 1, day, hour, minute);
    this.#minute.set(bytes.subarray(start, start + MINUTE_BYTES));
    return true;
  }

  /** The slot of the name that stands here, and in `#at` where the next cell begins; -1 where it was not seen before. */
  #feeder(bytes: Buffer, start: number): number {
    const names = this.#names;
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
    this.#row.set([time.atMs, ...values.map((value) => value ?? Number.NaN)]);
    this.#row[IS_WHOLE] = 0;
    if (!this.#sink.reading(slot, this.#row)) this.#early(slot, text);
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
