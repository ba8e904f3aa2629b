// Reads a YAML file against a zod schema and says everything that is wrong with it at once, each problem with its
// place, the value that stands there and what was expected. Configurations and register maps are read by it.
import { readFileSync } from 'node:fs';
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import { z } from 'zod';

// A file is judged once, at the start: compiling the judge would take longer than that.
z.config({ jitless: true });

/** One thing wrong, in one line for a person: where, what stands there, what should. */
export interface Problem {
  readonly file: string;
  /** 1-based; 0 when the file itself could not be read. */
  readonly line: number;
  readonly column: number;
  /** Dotted path of the value, as in `feeders[0].settings[0].ratingA`; empty for the whole file. */
  readonly path: string;
  /** The value as found, shortened; null where nothing stands. */
  readonly value: string | null;
  readonly expected: string;
}

export type Path = readonly (string | number)[];

/** A parsed file: `value` is there only when no problem is. `given` is what the file says before checks and defaults. */
export interface YamlFile<T> {
  readonly value: T | null;
  readonly given: unknown;
  readonly problems: readonly Problem[];
  /**
   * Makes a problem for a value of this file, for rules that a schema cannot hold. `value` says what is in force where
   * the file itself says nothing.
   */
  problemAt(path: Path, expected: string, value?: string): Problem;
}

export function showProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const value = problem.value ?? 'missing';
  const line = `${place}: ${problem.path === '' ? value : `${problem.path} is ${value}`}, expected ${problem.expected}`;
  // What a file has in it may be anything, and a terminal obeys some of it.
  return line.replace(/[\p{Cc}\p{Cf}\uFFFD]/gu, '·');
}

/** Reads and judges `file`; a file that cannot be read is one problem, never an exception. */
export function readYamlFile<S extends z.ZodType>(file: string, schema: S): YamlFile<z.output<S>> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    const value = { ENOENT: 'not found', EISDIR: 'a folder', EACCES: 'not permitted' }[code] ?? code;
    const problem = { file, line: 0, column: 0, path: '', value, expected: 'a readable file' };
    return { value: null, given: undefined, problems: [problem], problemAt: () => problem };
  }
  return parseYaml(file, text, schema);
}

/** As `readYamlFile`, for text that is already at hand; `file` only names it. */
function parseYaml<S extends z.ZodType>(file: string, text: string, schema: S): YamlFile<z.output<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, merge: true });
  const at = (offset: number, path: string, value: string | null, expected: string): Problem => {
    const { line, col } = lines.linePos(offset);
    // An empty file has no line to count; it is line 1 all the same, since 0 means that the file could not be read.
    return { file, line: Math.max(1, line), column: Math.max(1, col), path, value, expected };
  };
  const errors: YAMLError[] = [...document.errors, ...document.warnings];
  // One slip makes the parser stumble again further on: after a tab nothing else is worth telling.
  const tabs = errors.filter((error) => error.code === 'TAB_AS_INDENT');
  const doubled = errors.filter((error) => error.code === 'DUPLICATE_KEY');
  const problems = (tabs.length > 0 ? [...tabs, ...doubled] : errors).map((error) => {
    const offset = openQuote(document, error) ?? error.pos[0];
    return at(offset, '', ...explainYaml(error, text.slice(offset)));
  });
  const expected = 'the values written out: anchors and aliases are not followed';
  visit(document, {
    Alias: (_key, alias) => {
      problems.push(at(alias.range?.[0] ?? 0, '', `*${alias.source}`, expected));
    },
    Pair: (_key, { key, value }) => {
      const isMerge = isScalar(key) && key.source === '<<';
      if (isMerge && !isAlias(value)) problems.push(at(key.range?.[0] ?? 0, '', '<<', expected));
    },
  });
  // A key that stands twice and an alias are wrong, but all else in the file can still be judged; what is no YAML cannot.
  const given: unknown = errors.length === doubled.length ? resolved(document) : undefined;
  const readable = given !== undefined;
  const problemAt = (path: Path, expected: string, value?: string): Problem => {
    const found = locate(document.contents, path, given);
    return at(value === undefined ? found.offset : found.keyOffset, showPath(path), value ?? found.value, expected);
  };
  if (!readable) return { value: null, given, problems: firstOfEachLine(problems), problemAt };
  const parsed = schema.safeParse(given);
  if (parsed.success) return { value: problems.length > 0 ? null : parsed.data, given, problems, problemAt };
  const known = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  for (const issue of parsed.error.issues) {
    for (const problem of explain(issue, known, given, problemAt)) {
      if (!problems.some((other) => other.path === problem.path && other.expected === problem.expected))
        problems.push(problem);
    }
  }
  return { value: null, given, problems, problemAt };
}

/** What the document says, its aliases followed; undefined where they lead nowhere, or to more than a person writes. */
function resolved(document: Document): unknown {
  try {
    return document.toJS() ?? null;
  } catch {
    return undefined;
  }
}

/** One slip makes the parser stumble several times on the same line; the first is the one that helps. */
function firstOfEachLine(problems: readonly Problem[]): Problem[] {
  return problems.filter((problem, index) => problems.findIndex((other) => other.line === problem.line) === index);
}

/** Where a quotation began that is never closed: the parser only knows where it gave up. */
function openQuote(document: Document, error: YAMLError): number | null {
  let offset: number | null = null;
  if (!error.message.startsWith('Missing closing')) return null;
  visit(document, {
    Scalar: (_key, scalar) => {
      if (scalar.type?.startsWith('QUOTE') && (scalar.range?.[1] ?? 0) >= error.pos[0])
        offset = scalar.range?.[0] ?? null;
    },
  });
  return offset;
}

/** What stands at a place that is no YAML, and what should. */
function explainYaml(error: YAMLError, rest: string): [string, string] {
  const line = rest.split(/\r?\n/, 1)[0]?.trim() ?? '';
  const value = line === '' ? 'the end of the line' : `\`${line.length > 60 ? `${line.slice(0, 57)}...` : line}\``;
  const message = error.message.split('\n')[0] ?? '';
  if (/^Missing closing/.test(message)) return [value, 'a quotation mark at its end'];
  if (/^Flow (map|sequence) in block/.test(message)) return [value, 'the } or ] that closes what is open before it'];
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return [`${/^[^\s:,{}]*/.exec(rest)?.[0] ?? ''} a second time`, 'each key once in its group'];
    case 'TAB_AS_INDENT':
      return ['a tab', 'spaces as indentation'];
    case 'MULTIPLE_DOCS':
      return [value, 'one document in the file'];
    case 'NON_STRING_KEY':
      return [value, 'a plain word as key'];
    case 'TAG_RESOLVE_FAILED':
      return [value, 'the plain value: tags (!) are not taken'];
    case 'MULTILINE_IMPLICIT_KEY':
      return [value, 'a key, a colon, a space and a value'];
    case 'BAD_INDENT':
      return [value, 'the lines of one group to start in one column, and what is within it further right'];
    default:
      if (message.startsWith('Nested mappings'))
        return [value, 'one key, a colon, a space and a value on a line; a dash of a list has a space behind it'];
      if (message.startsWith('Implicit map keys')) return [value, 'a key, a colon, a space and a value'];
      if (message.startsWith('Sequence item without')) {
        return [value, 'the column of the lines that it belongs to, or a dash for the next of the list'];
      }
      return [value, `valid YAML: ${message}`];
  }
}

/** `feeders[0].settings[1].ratingA`, as people write it. */
function showPath(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

function showValue(value: unknown): string | null {
  if (value === undefined) return null;
  if (value === null) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') return 'a group of keys';
  // Who puts a password into an address should not read it again in a log or a ticket.
  const text = typeof value === 'string' ? JSON.stringify(value.replace(/\/\/[^/@]*@/, '//...@')) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Where the value at `path` stands, or the nearest thing around it that is there. */
function locate(
  root: unknown,
  path: Path,
  given: unknown,
): { offset: number; keyOffset: number; value: string | null } {
  let node: unknown = root;
  let value: unknown = given;
  let offset = isNode(root) ? (root.range?.[0] ?? 0) : 0;
  let keyOffset = offset;
  for (const step of path) {
    value = value !== null && typeof value === 'object' ? (value as Record<string | number, unknown>)[step] : undefined;
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === step);
      if (pair !== undefined && isNode(pair.key)) offset = keyOffset = pair.key.range?.[0] ?? offset;
      next = pair?.value;
    } else if (isCollection(node)) {
      next = node.items[Number(step)];
      if (isNode(next)) keyOffset = next.range?.[0] ?? keyOffset;
    }
    if (isNode(next)) offset = next.range?.[0] ?? offset;
    node = next;
  }
  // A number as it is written: 0x1F6 and .inf say more to the one who wrote them than 502 and Infinity.
  const written = typeof value === 'number' && isScalar(node) ? node.source : undefined;
  return { offset, keyOffset, value: written ?? showValue(value) };
}

type Issue = z.core.$ZodIssue;
type Known = z.core.JSONSchema.JSONSchema;

/** A zod issue in the words of this project: what was expected, with its unit or range. */
function explain(issue: Issue, schema: Known, given: unknown, problemAt: YamlFile<unknown>['problemAt']): Problem[] {
  const path = issue.path as Path;
  const known = knownAt(path, schema, given);
  if (issue.code === 'unrecognized_keys') {
    const keys = Object.keys(known?.properties ?? {});
    return issue.keys.map((key) => {
      const near = nearest(key, keys);
      const here = showPath(path).replace(/\[\d+\]/g, '[]');
      const homes = near === null ? homesOf(key, schema).filter((home) => home !== here) : [];
      const home = homes.length === 1 ? `: it belongs into ${homes[0]}` : '';
      const expected = `one of ${keys.join(', ')}${near === null ? home : `: did you mean ${near}?`}`;
      return problemAt([...path, key], expected, 'an unknown key');
    });
  }
  // These two carry their own words in the schema.
  const own = issue.code === 'custom' || (issue.code === 'invalid_format' && issue.format === 'regex');
  const problem = problemAt(path, own || known === undefined ? issue.message : describe(known));
  const fix = known === undefined ? null : plainFix(known, problem.value);
  return [fix === null ? problem : { ...problem, expected: `${problem.expected}; ${fix}` }];
}

/** The groups of the file that have such a key, as in `feeders[].settings[]`. */
function homesOf(key: string, schema: Known, at = ''): string[] {
  const inner = schema.oneOf ?? schema.anyOf ?? [];
  const here = schema.properties?.[key] !== undefined && at !== '' ? [at] : [];
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    homesOf(key, child as Known, at === '' ? name : `${at}.${name}`),
  );
  const items = schema.items === undefined ? [] : homesOf(key, schema.items as Known, `${at}[]`);
  return [...new Set([...here, ...below, ...items, ...inner.flatMap((kind) => homesOf(key, kind as Known, at))])];
}

/** What to write instead, where a slip of YAML is plain to see. `shown` is the value as the problem shows it. */
function plainFix(known: Known, shown: string | null): string | null {
  const text = /^"(.*)"$/.exec(shown ?? '')?.[1];
  if (text === undefined) return null;
  if (/[\u201c\u201d\u2018\u2019]/.test(text)) return 'quotation marks are " or \'';
  if (known.type === 'boolean' && /^(on|yes|off|no)$/i.test(text)) return `write ${/^(on|yes)$/i.test(text)}`;
  if (known.type !== 'number' && known.type !== 'integer') return null;
  const sexagesimal = /^(\d+):([0-5]\d)$/.exec(text);
  if (sexagesimal !== null) {
    return `write ${Number(sexagesimal[1]) * 60 + Number(sexagesimal[2])} where ${text} is minutes and seconds`;
  }
  const number = /^[-+]?\d[\d_]*(?:\.\d+)?(?=\s*(?:$|%|[a-zA-ZΩµ]+$))/.exec(text)?.[0].replaceAll('_', '');
  return number === undefined ? null : `write ${number}: the unit is in the key, and a number has no quotes`;
}

/** The part of the schema that judges the value at `path`. */
function knownAt(path: Path, schema: Known, given: unknown): Known | undefined {
  let known = kindOf(schema, given);
  let value = given;
  for (const step of path) {
    const inner = typeof step === 'number' ? known?.items : (known?.properties?.[step] ?? known?.additionalProperties);
    value = value !== null && typeof value === 'object' ? (value as Record<string | number, unknown>)[step] : undefined;
    known = typeof inner === 'object' && !Array.isArray(inner) ? kindOf(inner as Known, value) : undefined;
  }
  return known;
}

/**
 * A group that comes in kinds, told apart by a constant (`type: modbus-tcp`), is judged as the kind that it says it is;
 * where it is none of them, all that is known is which kinds there are.
 */
function kindOf(known: Known, value: unknown): Known | undefined {
  const kinds = known.oneOf as Known[] | undefined;
  if (kinds === undefined) return known;
  const constants = kinds.map((kind) =>
    Object.entries(kind.properties ?? {}).flatMap(([key, inner]) => {
      const constant = (inner as Known).const;
      return constant === undefined ? [] : [[key, constant] as const];
    }),
  );
  const said = value as Record<string, unknown> | null | undefined;
  const index = constants.findIndex((pairs) => pairs.every(([key, constant]) => said?.[key] === constant));
  if (index >= 0) return kinds[index];
  const [key = ''] = constants[0]?.[0] ?? [];
  const names = constants.flatMap((pairs) => pairs.map(([, constant]) => constant as string));
  return { type: 'object', properties: { [key]: { enum: names } } };
}

/** What a part of the schema takes, for a person. */
function describe(known: Known): string {
  const what = form(known);
  return known.description === undefined || known.type === 'object' ? what : `${what}: ${known.description}`;
}

function form(known: Known): string {
  if (known.anyOf !== undefined) return known.anyOf.map((option) => form(option as Known)).join(' or ');
  if (known.const !== undefined) return String(known.const);
  if (known.enum !== undefined) return `one of ${known.enum.join(', ')}`;
  const { minItems, maxItems } = known;
  switch (known.type) {
    case 'object':
      return `a group of keys (${Object.keys(known.properties ?? {}).join(', ')})`;
    case 'array':
      return minItems === maxItems ? `a list of ${minItems}` : `a list of at least ${minItems}${upTo(maxItems)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return `a text${known.minLength ? ' that is not empty' : ''}${known.maxLength ? ` of at most ${known.maxLength} characters` : ''}`;
    default:
      return `a ${known.type === 'integer' ? 'whole number' : 'number'}${range(known)}`;
  }
}

function range({ minimum, exclusiveMinimum, maximum }: Known): string {
  if (exclusiveMinimum !== undefined) return ` more than ${exclusiveMinimum}${upTo(maximum)}`;
  return minimum === undefined ? '' : ` of at least ${minimum}${upTo(maximum)}`;
}

function upTo(most: number | undefined): string {
  return most === undefined || most >= Number.MAX_SAFE_INTEGER ? '' : ` and at most ${most}`;
}

/** The known key that is only a slip away: a third of its letters at most. */
function nearest(key: string, keys: readonly string[]): string | null {
  const ranked = keys
    .map((known) => ({ known, slips: editDistance(key.toLowerCase(), known.toLowerCase()) }))
    .filter(({ known, slips }) => slips <= Math.max(1, known.length / 3))
    .sort((a, b) => a.slips - b.slips);
  return ranked[0]?.known ?? null;
}

/** Levenshtein: letters to add, drop or change. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
