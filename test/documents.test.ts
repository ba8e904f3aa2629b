// What the documents say can be done can be done: verbs and options exist, links lead somewhere, the example
// configuration and trace of the README work, and the examples of messages are what the schemas take.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readConfiguration } from '../src/configuration.ts';
import { curtailmentSchema } from '../src/messages.ts';
import { MESSAGES } from '../src/workbench/contract.ts';
import { generatedFiles } from '../src/workbench/generate.ts';
import { DEFAULT_RULES, readRules } from '../src/workbench/headend/rules.ts';
import { readPlayedTrace } from '../src/workbench/played-trace.ts';

const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'headroom-documents-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const documents = ['*.md', 'docs/**/*.md', 'hardware/**/*.md', 'bench/**/*.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: root, exclude: (path) => path.includes('node_modules') }),
);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const help = (...verb: string[]) =>
  execFileSync(process.execPath, [join(root, 'src/main.ts'), ...verb, '--help'], { encoding: 'utf8' });

const verbs = [...help().matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1] ?? '').filter((verb) => verb !== 'help');
const optionsOf = new Map(
  verbs.map((verb) => [verb, new Set([...help(verb).matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name))]),
);

/** The code of a document: fenced and indented blocks line by line, and spans. */
function codeOf(markdown: string): string[] {
  const fences = [...markdown.matchAll(/^```.*\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) => block.split('\n'));
  const rest = markdown.replace(/^```.*\n[\s\S]*?^```/gm, '');
  const indented = [...rest.matchAll(/^ {4}(.*)$/gm)].map(([, line = '']) => line);
  const spans = [...rest.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return [...fences, ...indented, ...spans];
}

/** What is wrong with a command line of this program in `code`. Elsewhere than at its start headroom is a noun. */
function faultsOf(code: string): string[] {
  const command = /(?:node src\/(?:main\.ts|headroom\.js)|^headroom) ([a-z]+)(.*)$/.exec(code);
  if (command === null) return [];
  const [, verb = '', rest = ''] = command;
  const options = optionsOf.get(verb);
  if (options === undefined) return [`${code}: no verb ${verb}`];
  const named = rest.match(/--[\w-]+/g) ?? [];
  return named.filter((option) => !options.has(option)).map((option) => `${code}: ${verb} has no ${option}`);
}

/** Rows of the README's table of verbs: the verb, and the whole row. */
const rows = [...read('README.md').matchAll(/^\| `([a-z]+)[^`]*` \|.*$/gm)].map(([row, verb = '']) => ({ verb, row }));

describe('verbs and options', () => {
  test.each(documents)('%s names none that is not there', (path) => {
    expect(codeOf(read(path)).flatMap(faultsOf)).toEqual([]);
  });

  test('the README has a row for each verb, with options that it has', () => {
    expect(rows.map(({ verb }) => verb).sort()).toEqual([...verbs].sort());
    const faults = rows.flatMap(({ verb, row }) =>
      (row.match(/--[\w-]+/g) ?? []).filter((option) => !optionsOf.get(verb)?.has(option)),
    );
    expect(faults).toEqual([]);
  });

  test('what is not there would be found', () => {
    expect(faultsOf('node src/main.ts rewind TRACE')).toHaveLength(1);
    expect(faultsOf('headroom events --verify --all FILE')).toEqual([
      'headroom events --verify --all FILE: events has no --all',
    ]);
    expect(faultsOf('docker build -t headroom .')).toEqual([]);
  });
});

/** As a forge makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

test.each(documents)('the links of %s lead somewhere', (path) => {
  const links = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  const dead = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : relative(root, join(root, dirname(path), file));
    if (target.startsWith('..') || !existsSync(join(root, target))) return true;
    if (anchor === undefined) return false;
    return ![...read(target).matchAll(/^#+ (.*)$/gm)].some(([, heading = '']) => anchorOf(heading) === anchor);
  });
  expect(dead).toEqual([]);
});

/** The block of a document under `<!-- file: NAME -->`, as a file. */
function fileIn(document: string, name: string): string {
  const block = new RegExp(`<!-- file: ${name} -->\\n\`\`\`\\w*\\n([^\`]*)\`\`\``).exec(read(document))?.[1];
  expect(block, name).toBeDefined();
  const file = join(scratch, name);
  writeFileSync(file, block ?? '');
  return file;
}

describe('the bench of the README', () => {
  test('the configuration is good', () => {
    const { problems, configuration } = readConfiguration(fileIn('README.md', 'bench.yaml'));
    expect(problems).toEqual([]);
    expect(configuration?.settings.feeders[0]?.id).toBe('F1');
  });

  test('the trace can be played, and goes over the pickup', async () => {
    const { rows: points, leftOut } = await readPlayedTrace(fileIn('README.md', 'evening.csv'), null, undefined);
    const pickupA = readConfiguration(fileIn('README.md', 'bench.yaml')).configuration?.settings.feeders[0]?.settings[0]
      ?.atRisk.pickupA;
    expect(leftOut.count).toBe(0);
    expect(Math.max(...points.map(({ currents }) => currents.L2))).toBeGreaterThan(pickupA ?? Number.POSITIVE_INFINITY);
  });
});

test('the rules of the contract are those of the reference head end, with its defaults', () => {
  const { caps, targetGroups } = readRules(fileIn('docs/head-end.md', 'rules.json'));
  expect({ ...caps, minutesPerDay: 0 }).toEqual(DEFAULT_RULES.caps);
  const limit = curtailmentSchema.parse(JSON.parse(read('docs/examples/curtailment-limit.json')));
  expect(targetGroups?.[limit.targetGroup.id]?.version).toBe(limit.targetGroup.version);
  const named = Object.entries(DEFAULT_RULES.caps).map(([name, value]) => `\`${name}\` (${value}`);
  expect(named.filter((one) => !read('docs/head-end.md').includes(one))).toEqual([]);
});

describe('generated examples', () => {
  const schemas = new Map(MESSAGES.map(({ name, schema }) => [name, schema]));
  const examples = globSync('docs/examples/*.json', { cwd: root });
  const kindOf = (path: string) => basename(path, '.json').split('-')[0] ?? '';

  test('none is left over from before, and none is missing', () => {
    const made = generatedFiles().map(({ path }) => path);
    const there = [...examples, ...globSync('docs/schemas/*.json', { cwd: root })];
    expect(there.sort()).toEqual(made.filter((path) => path.startsWith('docs/') && path.endsWith('.json')).sort());
  });

  test.each(examples)('%s is a message of the contract, by its JSON Schema too', (path) => {
    const message = JSON.parse(read(path));
    expect(schemas.get(kindOf(path))?.parse(message)).toEqual(message);
    const published = z.fromJSONSchema(JSON.parse(read(`docs/schemas/${kindOf(path)}.json`)));
    expect(published.safeParse(message).error).toBeUndefined();
    const wrong = { ...message, at: 'yesterday', issuedAt: 'yesterday', start: 'yesterday' };
    expect(published.safeParse(wrong).success).toBe(false);
  });

  test.each(examples)('%s stands in the contract', (path) => {
    expect(read('docs/head-end.md')).toContain(read(path));
  });
});

test('the contract names every field of a request', () => {
  const text = read('docs/head-end.md');
  const unnamed = Object.keys(curtailmentSchema.shape).filter((field) => !text.includes(`\`${field}\``));
  expect(unnamed).toEqual([]);
});
