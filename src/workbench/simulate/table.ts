// A plain CSV with a header, gzipped or not, whole in memory: what the study's data is read with. None of the files has
// quoted cells.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function readTable(path: string): Table {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const [header = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  return { header: header.split(','), rows: lines.map((line) => line.split(',')) };
}

/** The columns of a table by name. Throws where one is not there. */
export function columnsOf<Name extends string>(path: string, { header }: Table, names: readonly Name[]): number[] {
  return names.map((name) => {
    const at = header.indexOf(name);
    if (at < 0) throw new RangeError(`${path}: no column ${name}, expected among ${header.slice(0, 12).join(', ')}`);
    return at;
  });
}

/** The columns from the second on as numbers, one array a column: a table of profiles. */
export function profilesOf({ header, rows }: Table): Float32Array[] {
  return header.slice(1).map((_, column) => Float32Array.from(rows, (row) => Number(row[column + 1])));
}
