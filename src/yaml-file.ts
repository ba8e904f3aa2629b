// Reads a YAML file against a zod schema and says everything that is wrong with it at once, each problem with its
// place, the value that stands there and what was expected. Configurations and register maps are read by it.
import { readFileSync } from 'node:fs';
import { isCollection, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';

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
  /** Makes a problem for a value of this file, for rules that a schema cannot hold. */
  problemAt(path: Path, expected: string): Problem;
}

export function showProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const what = [problem.path, problem.value].filter((part) => part !== null && part !== '').join(' is ');
  return `${place}: ${what === '' ? '' : `${what}, `}expected ${problem.expected}`;
}

/** Reads and judges `file`; a file that cannot be read is one problem, never an exception. */
export function readYamlFile<S extends z.ZodType>(file: string, schema: S): YamlFile<z.output<S>> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    const problem = { file, line: 0, column: 0, path: '', value: code, expected: 'a readable file' };
    return { value: null, given: undefined, problems: [problem], problemAt: () => problem };
  }
  return parseYaml(file, text, schema);
}

/** As `readYamlFile`, for text that is already at hand; `file` only names it. */
export function parseYaml<S extends z.ZodType>(file: string, text: string, schema: S): YamlFile<z.output<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number, path: string, value: string | null, expected: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, path, value, expected };
  };
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) =>
    at(error.pos[0], '', error.message.split('\n')[0] ?? '', 'valid YAML'),
  );
  let given: unknown;
  try {
    given = document.toJS({ maxAliasCount: 0 });
  } catch {
    problems.push(at(0, '', 'an anchor with an alias', 'every value written out where it stands'));
  }
  const problemAt = (path: Path, expected: string): Problem => {
    const { offset, value } = locate(document.contents, path, given);
    return at(offset, showPath(path), value, expected);
  };
  if (problems.length > 0) return { value: null, given, problems, problemAt };
  const parsed = schema.safeParse(given);
  if (parsed.success) return { value: parsed.data, given, problems, problemAt };
  return { value: null, given, problems: parsed.error.issues.flatMap((issue) => explain(issue, problemAt)), problemAt };
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
  const text = typeof value === 'string' ? `"${value}"` : Array.isArray(value) ? 'a list' : JSON.stringify(value);
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return 'a group of keys';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Where the value at `path` stands, or the nearest thing around it that is there; an unknown key points at the key. */
function locate(root: unknown, path: Path, given: unknown): { offset: number; value: string | null } {
  let node: unknown = root;
  let value: unknown = given;
  let offset = isNode(root) ? (root.range?.[0] ?? 0) : 0;
  for (const step of path) {
    value = value !== null && typeof value === 'object' ? (value as Record<string | number, unknown>)[step] : undefined;
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String(item.key) === String(step));
      if (pair !== undefined && isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      next = pair?.value;
    } else if (isCollection(node)) {
      next = node.items[Number(step)];
    }
    if (isNode(next)) offset = next.range?.[0] ?? offset;
    node = next;
  }
  return { offset, value: showValue(value) };
}

type Issue = z.core.$ZodIssue;

/** A zod issue in the words of this project: what was expected, with its unit or range. */
function explain(issue: Issue, problemAt: (path: Path, expected: string) => Problem): Problem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const problem = problemAt([...path, key], 'no such key here');
      return { ...problem, value: 'an unknown key', expected: 'a key that the schema knows (config/schema.json)' };
    });
  }
  if (issue.code === 'invalid_union') {
    const options = issue.errors.flat();
    const first = options[0];
    if (first !== undefined) return explain({ ...first, path: [...path, ...first.path] }, problemAt);
  }
  return [problemAt(path, expectation(issue))];
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return article(issue.expected);
    case 'too_small':
      if (issue.origin === 'array') return `at least ${issue.minimum} of them`;
      return `${issue.origin === 'string' ? 'at least that many characters: ' : ''}${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'array') return `at most ${issue.maximum} of them`;
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const names: Record<string, string> = {
    object: 'a group of keys',
    array: 'a list',
    int: 'a whole number',
    boolean: 'true or false',
    string: 'a text',
    number: 'a number',
  };
  return names[expected] ?? `a ${expected}`;
}
