// Reads a recorded trace of one feeder: amperes per phase over time, from a CSV file (gzipped or not) in Headroom's own
// form or in kW per phase. A file that cannot be a trace is one clear error; a row that says nothing certain is left
// out and counted; a cell without a value is NaN. Nothing unknown ever becomes 0.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { PHASES, type Phase } from '../feeder.ts';
import { type Problem, showProblem } from '../yaml-file.ts';

/** Magnitudes in amperes; NaN where the cell was blank. */
interface TraceRow {
  /** Seconds since 1970, or the trace's own seconds: see `Trace.timeForm`. */
  readonly atS: number;
  readonly L1_A: number;
  readonly L2_A: number;
  readonly L3_A: number;
  /** Null where the trace has no neutral at all. */
  readonly N_A: number | null;
}

export interface Trace {
  readonly file: string;
  /** The one that was read, for people: `724374 feeder 2`. */
  readonly name: string;
  /** In order of time, at least one. */
  readonly rows: readonly TraceRow[];
  /** `utc`: ISO 8601 stamps, taken as UTC where they name no zone. `seconds`: from a zero of the trace's own. */
  readonly timeForm: TimeForm;
  /** Rows of this feeder, or of none, that were left out, and the first of them. */
  readonly skippedRows: number;
  readonly firstSkipped: Problem | null;
  readonly blankCells: number;
  /** Cells of the wrong sign, read as magnitudes. */
  readonly negativeCells: number;
  /** What amperes were derived from kW with; null where the trace has amperes. */
  readonly assumed: { readonly voltageV: number; readonly powerFactor: number } | null;
}

export interface TraceOptions {
  /** Needed where the file holds several. */
  readonly substation?: string | undefined;
  readonly feeder?: string | undefined;
  /** Phase to neutral, for a trace in kW. */
  readonly voltageV?: number | undefined;
  readonly powerFactor?: number | undefined;
}

export type TimeForm = 'utc' | 'seconds';

export const DEFAULT_VOLTAGE_V = 240;
export const DEFAULT_POWER_FACTOR = 0.98;

/** The file is no trace, or holds nothing of the feeder asked for; the message is one line for a person. */
export class TraceError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(showProblem(problem));
    this.name = 'TraceError';
    this.problem = problem;
  }
}

/** Throws a `TraceError` when the file gives no row of one feeder. */
export function readTrace(file: string, options: TraceOptions = {}): Trace {
  const { voltageV = DEFAULT_VOLTAGE_V, powerFactor = DEFAULT_POWER_FACTOR } = options;
  const lines = textOf(file)
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  const columns = columnsOf(file, lines[0] ?? '');
  const reader = new FeederReader(file, columns, columns.isPower ? 1000 / (voltageV * powerFactor) : 1);
  const choose = chooser(file, columns, options);
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index];
    if (line === undefined || line.trim() === '') continue;
    const cells = cellsOf(line);
    if (choose.takes(cells, index + 1)) reader.read(cells, index + 1);
  }
  const { rows, timeForm, skippedRows, firstSkipped, blankCells, negativeCells } = reader;
  if (timeForm === null) throw firstSkipped === null ? choose.nothingFound() : new TraceError(firstSkipped);
  const assumed = columns.isPower ? { voltageV, powerFactor } : null;
  const { name } = choose;
  return { file, name, rows, timeForm, skippedRows, firstSkipped, blankCells, negativeCells, assumed };
}

/** A time as traces and the command line write it: ISO 8601, UTC where no zone stands, or plain seconds. */
export function parseTime(text: string): { readonly atS: number; readonly form: TimeForm } | null {
  const seconds = parseNumber(text);
  if (seconds !== null) return { atS: seconds, form: 'seconds' };
  const parts = ISO_TIME.exec(text);
  if (parts === null) return null;
  const [, date = '', time = '00:00', zone = 'Z'] = parts;
  const atMs = Date.parse(`${date}T${time}${zone}`);
  // Date.parse takes 31 February for 3 March.
  const isRealDate = new Date(Date.parse(`${date}T00:00Z`)).toJSON()?.startsWith(date) === true;
  return Number.isNaN(atMs) || !isRealDate ? null : { atS: atMs / 1000, form: 'utc' };
}

const ISO_TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const IDS_SHOWN = 12;

function parseNumber(text: string): number | null {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : null;
}

/** Gzip is known by its first bytes, whatever the file is called. */
function textOf(file: string): string {
  try {
    const content = readFileSync(file);
    const isGzip = content[0] === 0x1f && content[1] === 0x8b;
    return (isGzip ? gunzipSync(content) : content).toString('utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const value = { ENOENT: 'not found', EISDIR: 'a folder', EACCES: 'not permitted' }[code ?? ''] ?? message;
    const expected = 'a readable CSV file, gzipped or not';
    throw new TraceError({ file, line: 0, column: 0, path: '', value, expected });
  }
}

function cellsOf(line: string): string[] {
  return line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
}

/** Where each field stands in a row; `isPower` for the form in kW. */
interface Columns {
  readonly isPower: boolean;
  readonly count: number;
  readonly timeName: string;
  readonly time: number;
  readonly substation: number | null;
  readonly feeder: number;
  readonly phases: readonly { readonly phase: Phase; readonly name: string; readonly index: number }[];
  readonly neutral: number | null;
}

function columnsOf(file: string, header: string): Columns {
  const names = cellsOf(header);
  const isPower = !names.includes('L1_A') && names.includes('L1_kW');
  const form = isPower ? 'timestamp,substation_id,feeder,L1_kW,L2_kW,L3_kW' : 'time,feeder,L1_A,L2_A,L3_A[,N_A]';
  const found = header.length > 60 ? `${header.slice(0, 57)}...` : header;
  const column = (name: string): number => {
    const index = names.indexOf(name);
    if (index >= 0) return index;
    const expected = `a header like ${form}, not "${found}"`;
    throw new TraceError({ file, line: 1, column: 1, path: name, value: 'missing', expected });
  };
  const timeName = isPower ? 'timestamp' : 'time';
  return {
    isPower,
    count: names.length,
    timeName,
    time: column(timeName),
    substation: isPower ? column('substation_id') : null,
    feeder: column('feeder'),
    phases: PHASES.map((phase) => {
      const name = isPower ? `${phase}_kW` : `${phase}_A`;
      return { phase, name, index: column(name) };
    }),
    neutral: !isPower && names.includes('N_A') ? names.indexOf('N_A') : null,
  };
}

/** Picks the rows of one feeder: the one asked for, or the only one that there is. */
function chooser(file: string, columns: Columns, { substation, feeder }: TraceOptions) {
  const substationsSeen = new Set<string>();
  /** Of the substation asked for. */
  const feedersSeen = new Set<string>();
  let chosen: string | null = null;
  const problem = (line: number, path: string, value: string, expected: string) =>
    new TraceError({ file, line, column: line > 0 ? 1 : 0, path, value, expected });
  return {
    get name() {
      return chosen ?? '';
    },
    /** A row that names no feeder is taken too, so that it is counted with the broken ones. */
    takes(cells: readonly string[], line: number): boolean {
      const substationId = columns.substation === null ? '' : (cells[columns.substation] ?? '');
      const feederId = cells[columns.feeder] ?? '';
      if (columns.substation !== null && substation !== undefined && substationId !== substation) {
        substationsSeen.add(substationId);
        return false;
      }
      if (feederId === '') return true;
      feedersSeen.add(substation === undefined ? `${substationId} ${feederId}`.trim() : feederId);
      if (feeder !== undefined && feederId !== feeder) return false;
      const name = `${substationId} feeder ${feederId}`.trim();
      if (chosen !== null && chosen !== name) {
        const expected = 'one of them to be named, by its substation and feeder';
        throw problem(line, 'feeder', `both ${chosen} and ${name}`, expected);
      }
      chosen = name;
      return true;
    },
    nothingFound(): TraceError {
      const oneOf = (ids: ReadonlySet<string>) => {
        const more = ids.size > IDS_SHOWN ? ` and ${ids.size - IDS_SHOWN} more` : '';
        return `one of ${[...ids].slice(0, IDS_SHOWN).join(', ')}${more}`;
      };
      if (feedersSeen.size > 0) return problem(0, 'feeder', `"${feeder}"`, oneOf(feedersSeen));
      if (substationsSeen.size > 0) return problem(0, 'substation', `"${substation}"`, oneOf(substationsSeen));
      return problem(0, 'row', 'not there', 'at least one under the header');
    },
  };
}

/** Turns rows of one feeder into amperes and counts what it could not use. */
class FeederReader {
  readonly rows: TraceRow[] = [];
  timeForm: TimeForm | null = null;
  skippedRows = 0;
  firstSkipped: Problem | null = null;
  blankCells = 0;
  negativeCells = 0;
  readonly #file: string;
  readonly #columns: Columns;
  readonly #amperesPerUnit: number;

  constructor(file: string, columns: Columns, amperesPerUnit: number) {
    this.#file = file;
    this.#columns = columns;
    this.#amperesPerUnit = amperesPerUnit;
  }

  read(cells: readonly string[], line: number): void {
    const { count, timeName, time: timeIndex, feeder, phases, neutral } = this.#columns;
    const skip = (path: string, value: string, expected: string) => {
      this.skippedRows++;
      this.firstSkipped ??= { file: this.#file, line, column: 1, path, value, expected };
    };
    if (cells.length !== count) return skip('row', `${cells.length} cells`, `${count}, as in the header`);
    if (cells[feeder] === '') return skip('feeder', '""', 'the id of one');
    const timeText = cells[timeIndex] ?? '';
    const time = parseTime(timeText);
    if (time === null || (this.timeForm !== null && this.timeForm !== time.form)) {
      return skip(timeName, `"${timeText}"`, 'ISO 8601 or seconds, the same in every row');
    }
    const beforeS = this.rows.at(-1)?.atS;
    if (beforeS !== undefined && time.atS <= beforeS) return skip(timeName, timeText, 'a time after the row before');
    const fields = neutral === null ? phases : [...phases, { name: 'N_A', index: neutral }];
    const values: number[] = [];
    for (const { name, index } of fields) {
      const cell = cells[index] ?? '';
      const value = cell === '' || cell.toLowerCase() === 'nan' ? Number.NaN : parseNumber(cell);
      if (value === null) return skip(name, `"${cell}"`, 'a number, or nothing');
      values.push(value);
    }
    this.timeForm = time.form;
    this.blankCells += values.filter((value) => Number.isNaN(value)).length;
    this.negativeCells += values.filter((value) => value < 0).length;
    const [L1_A = Number.NaN, L2_A = Number.NaN, L3_A = Number.NaN, N_A = null] = values.map(
      (value) => Math.abs(value) * this.#amperesPerUnit,
    );
    this.rows.push({ atS: time.atS, L1_A, L2_A, L3_A, N_A });
  }
}
