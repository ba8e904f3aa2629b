// Finds the parts of a COMTRADE record: the files .cfg, .dat and .hdr side by side, in whatever case, or the sections of
// one .cff file.
import { existsSync, readFileSync } from 'node:fs';
import { TraceProblem } from '../trace/problem.ts';

export interface RecordParts {
  readonly configuration: { readonly file: string; readonly bytes: Buffer; readonly firstLine: number };
  readonly data: { readonly file: string; readonly bytes: Buffer };
  /** What people wrote beside it; empty where nothing. */
  readonly header: string;
  /** What machines wrote beside it: the .inf part. */
  readonly information: string;
}

export function isComtradeName(file: string): boolean {
  return /\.(cfg|dat|hdr|inf|cff)$/i.test(file);
}

/** `dataFile` where the data do not stand beside. Throws a `TraceProblem` where a part is missing. */
export function recordParts(file: string, dataFile: string | null = null): RecordParts {
  if (/\.cff$/i.test(file)) return sections(file, read(file));
  const base = file.slice(0, -4);
  const upper = /\.[A-Z]{3}$/.test(file);
  const configuration = partFile(base, 'cfg', upper);
  const data = dataFile ?? partFile(base, 'dat', upper);
  const optional = (part: string) => {
    const path = partFile(base, part, upper);
    return existsSync(path) ? readFileSync(path).toString('latin1').replaceAll('\u001a', '') : '';
  };
  return {
    configuration: { file: configuration, bytes: read(configuration), firstLine: 1 },
    data: { file: data, bytes: read(data) },
    header: optional('hdr'),
    information: optional('inf'),
  };
}

function partFile(base: string, part: string, upper: boolean): string {
  const [first, second] = upper ? [part.toUpperCase(), part] : [part, part.toUpperCase()];
  return existsSync(`${base}.${first}`) || !existsSync(`${base}.${second}`) ? `${base}.${first}` : `${base}.${second}`;
}

const SECTION = /^--- *file type: *(CFG|INF|HDR|DAT)([^\r\n]*?) *---[ \t]*\r?\n/gim;

function sections(file: string, bytes: Buffer): RecordParts {
  // Latin-1 keeps one character per byte, so that places in the text are places in the bytes.
  const text = bytes.toString('latin1');
  const found = new Map<string, { from: number; to: number; firstLine: number }>();
  const marks = [...text.matchAll(SECTION)];
  for (const [index, mark] of marks.entries()) {
    const from = mark.index + mark[0].length;
    const name = (mark[1] ?? '').toUpperCase();
    // What follows the data are bytes of the data, whatever they look like.
    const to = name === 'DAT' ? bytes.length : (marks[index + 1]?.index ?? bytes.length);
    found.set(name, { from, to, firstLine: text.slice(0, from).split('\n').length });
    if (name === 'DAT') break;
  }
  const [configuration, data] = [found.get('CFG'), found.get('DAT')];
  if (configuration === undefined || data === undefined) {
    const value = `without ${configuration === undefined ? 'CFG' : 'DAT'}`;
    const expected = 'sections --- file type: CFG --- and --- file type: DAT … ---';
    throw new TraceProblem({ file, line: 1, column: 1, path: '', value, expected });
  }
  const part = (name: string) => {
    const section = found.get(name);
    return section === undefined ? '' : text.slice(section.from, section.to);
  };
  return {
    configuration: {
      file,
      bytes: bytes.subarray(configuration.from, configuration.to),
      firstLine: configuration.firstLine,
    },
    data: { file, bytes: bytes.subarray(data.from, data.to) },
    header: part('HDR'),
    information: part('INF'),
  };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const value = { ENOENT: 'not found', EISDIR: 'a folder', EACCES: 'not permitted' }[code ?? ''] ?? message;
    const expected =
      'the parts of a COMTRADE record: .cfg and .dat side by side (or named one after the other), or one .cff';
    throw new TraceProblem({ file, line: 0, column: 0, path: '', value, expected });
  }
}
