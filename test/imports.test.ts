// Who may import whom, held by reading the source: the folders of the data path do not know one another, control is
// pure, and each package that does I/O has one place. A violation names the file and what it imports or calls.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

/** The folders of the data path, in order. Only the wiring files know more than one of them. */
const DATA_PATH = ['acquisition', 'control', 'journal', 'uplink'];
const WIRING = [
  'src/controller.ts',
  'src/run.ts',
  'src/command-line.ts',
  'src/main.ts',
  'src/request-message.ts',
  'src/rehearsal.ts',
  'src/keeper.ts',
  'src/historian.ts',
  'src/commands.ts',
  'src/carry-out.ts',
  'src/watched-feeder.ts',
  'src/control-input.ts',
  'src/control-trail.ts',
  'src/watched-transformer.ts',
  'src/control-settings.ts',
  'src/kept-heat.ts',
  'src/harm-caps.ts',
  'src/metrics.ts',
  'src/tally.ts',
  'src/event-book.ts',
  'src/requests.ts',
  'src/acknowledgements.ts',
  'src/group-in-force.ts',
  'src/resume-feeders.ts',
  'src/status-report.ts',
  'src/headroom.js',
];
/** What a shared noun may import of a folder, each with the reason in that file's head. */
const EXCEPTIONS: Record<string, readonly string[]> = {
  'src/configuration.ts': ['src/acquisition/register-map.ts', 'src/acquisition/read-plan.ts'],
  'src/judge-feeders.ts': ['src/control/elements.ts'],
  'src/judge-pace.ts': [
    'src/acquisition/line-pace.ts',
    'src/acquisition/read-plan.ts',
    'src/acquisition/register-map.ts',
  ],
};
/** Where each package may be imported; the workbench holds the other end of the wire and may import any of them. */
const PACKAGES: Record<string, readonly string[] | 'anywhere'> = {
  'modbus-serial': ['src/acquisition/'],
  'better-sqlite3': ['src/journal/'],
  mqtt: ['src/uplink/'],
  pino: ['src/log.ts'],
  aedes: [],
  commander: ['src/command-line.ts'],
  'node-opcua-client': ['src/acquisition/'],
  'node-opcua-crypto': ['src/acquisition/'],
  'prom-client': ['src/metrics.ts'],
  serialport: ['src/acquisition/'],
  uplot: [],
  uuid: 'anywhere',
  yaml: 'anywhere',
  zod: 'anywhere',
};
const CLOCK_CALLS = /\bDate\.now\b|\bperformance\.now\b|\bprocess\.hrtime\b|\bnew Date\(\)/g;
const IMPURE =
  /\basync\b|\bawait\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\b|\bprocess\b|\bMath\.random\b|\bcrypto\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bPromise\b|\bconsole\b|\bfetch\b/g;

/** The code alone: comments gone, and with `strings: false` what stands in quotes too. Templates stay, for their code. */
function code(text: string, { strings }: { strings: boolean }): string {
  return text.replace(/\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, (part) =>
    part.startsWith('/') ? ' ' : strings ? part : "''",
  );
}

/** What `text` imports, re-exports or loads, types included; null for an import whose address is computed. */
function imports(text: string): (string | null)[] {
  const statements = /\b(?:import|export)\b(?:\s+type\b)?\s*(?:[\w$*{][^;'"()]*?\bfrom\s*)?['"]([^'"\n]+)['"]/g;
  const calls = /\b(?:import|require)\s*\(\s*(?:['"]([^'"\n]+)['"]\s*[,)])?/g;
  const source = code(text, { strings: true });
  return [...source.matchAll(statements), ...source.matchAll(calls)].map((match) => match[1] ?? null);
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** `acquisition` for src/acquisition/decode.ts; empty for a file right under src. */
function folderOf(file: string): string {
  return file.split('/').length > 2 ? (file.split('/')[1] ?? '') : '';
}

/** The reason why `file` may not import `target`, another file of src; null where it may. */
function judgeFile(file: string, target: string): string | null {
  const from = folderOf(file);
  const to = folderOf(target);
  if (!target.startsWith('src/')) return from === 'workbench' ? null : 'it is outside src';
  if (from === 'workbench' || from === to) {
    return from === '' && WIRING.includes(target) && !WIRING.includes(file) ? 'a shared noun knows no wiring' : null;
  }
  if (to === 'workbench')
    return file === 'src/command-line.ts' ? null : 'only src/command-line.ts may import the workbench';
  if (WIRING.includes(file)) return null;
  if (WIRING.includes(target)) return 'only the wiring knows the wiring';
  if (from === 'control') return target === 'src/feeder.ts' ? null : 'control imports src/feeder.ts and itself alone';
  if (to === '') return null;
  if (from !== '') return 'the folders of the data path do not import one another';
  return EXCEPTIONS[file]?.includes(target) ? null : 'a shared noun imports no folder';
}

function judgePackage(file: string, specifier: string): string | null {
  const from = folderOf(file);
  if (specifier.startsWith('node:')) {
    const pure = specifier === 'node:assert' || specifier === 'node:assert/strict';
    return from === 'control' && !pure ? 'control is pure' : null;
  }
  if (from === 'control') return 'control is pure';
  const places = PACKAGES[packageOf(specifier)];
  if (places === undefined) return 'this test does not know where that package belongs';
  if (places === 'anywhere' || from === 'workbench') return null;
  return places.some((place) => file.startsWith(place)) ? null : `its place is ${places.join(', ') || 'the workbench'}`;
}

/** Everything that `file`, a path from the root, must not do. */
function violations(file: string, text: string): string[] {
  const found: string[] = [];
  for (const specifier of imports(text)) {
    if (specifier === null) {
      if (file !== 'src/headroom.js') found.push(`${file} imports a computed address: this test cannot follow it`);
      continue;
    }
    const reason = specifier.startsWith('.')
      ? judgeFile(file, posix.join(dirname(file), specifier))
      : judgePackage(file, specifier);
    if (reason !== null) found.push(`${file} imports ${specifier}: ${reason}`);
  }
  const bare = code(text, { strings: false });
  const folder = folderOf(file);
  if (folder === 'control') {
    for (const [word] of bare.matchAll(IMPURE)) found.push(`${file} uses ${word}: control is pure`);
  } else if (folder !== 'workbench' && file !== 'src/clock.ts') {
    for (const [word] of bare.matchAll(CLOCK_CALLS)) found.push(`${file} calls ${word}: time comes from src/clock.ts`);
  }
  if (!/^(?:#!.*\n)?(?:\/\/|\/\*)/.test(text)) found.push(`${file} does not open with a comment on what it is for`);
  return found;
}

const files = globSync('src/**/*.{ts,js}', { cwd: root }).map((file) => file.replaceAll('\\', '/'));

test('the source is there to be read', () => {
  expect(files).toContain('src/configuration.ts');
  expect(files.filter((file) => folderOf(file) === 'acquisition').length).toBeGreaterThan(3);
});

test('every folder under src is a stage of the data path or the workbench', () => {
  const folders = new Set(files.map(folderOf).filter((folder) => folder !== ''));
  expect([...folders].filter((folder) => !DATA_PATH.includes(folder) && folder !== 'workbench')).toEqual([]);
});

test('every file keeps to the directions', () => {
  expect(files.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')))).toEqual([]);
});

test('every package of package.json is in the table, and none that is not', () => {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(Object.keys(PACKAGES).sort()).toEqual(Object.keys({ ...dependencies, ...optionalDependencies }).sort());
});

// The rules themselves, on sources that break them: a rule that never bites is no rule.
test.each([
  ['src/control/feeder-control.ts', "import { isoTime } from '../clock.ts';", 'imports ../clock.ts'],
  ['src/control/feeder-control.ts', "import type { Settings } from '../settings.ts';", 'imports ../settings.ts'],
  ['src/control/feeder-control.ts', "import { v7 } from 'uuid';", 'imports uuid'],
  ['src/control/feeder-control.ts', "import { readFileSync } from 'node:fs';", 'imports node:fs'],
  ['src/control/feeder-control.ts', 'export async function f() {}', 'uses async'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: code in a template counts.
  ['src/control/feeder-control.ts', 'const id = `${Math.random()}`;', 'uses Math.random'],
  ['src/acquisition/a.ts', "export * from '../journal/journal.ts';", 'imports ../journal/journal.ts'],
  ['src/uplink/a.ts', "import {\n  step,\n} from '../control/control.ts';", 'imports ../control/control.ts'],
  ['src/uplink/a.ts', "import type { Run } from '../run.ts';", 'imports ../run.ts'],
  ['src/journal/a.ts', "const x = await import('../workbench/x.ts');", 'imports ../workbench/x.ts'],
  ['src/journal/a.ts', 'const x = await import(address);', 'imports a computed address'],
  ['src/journal/a.ts', "import '../acquisition/decode.ts';", 'imports ../acquisition/decode.ts'],
  ['src/journal/a.ts', "type M = import('mqtt').MqttClient;", 'imports mqtt'],
  ['src/journal/a.ts', "import x from 'left-pad';", 'imports left-pad'],
  ['src/journal/a.ts', 'const now = Date.now();', 'calls Date.now'],
  ['src/journal/a.ts', 'const now = new Date();', 'calls new Date()'],
  ['src/run.ts', "import { demo } from './workbench/demo.ts';", 'imports ./workbench/demo.ts'],
  ['src/main.ts', "import Aedes from 'aedes';", 'imports aedes'],
  ['src/main.ts', "import x from '../test/x.ts';", 'imports ../test/x.ts'],
  ['src/settings.ts', "import { decode } from './acquisition/decode.ts';", 'imports ./acquisition/decode.ts'],
  ['src/configuration.ts', "import { decode } from './acquisition/decode.ts';", 'imports ./acquisition/decode.ts'],
  ['src/settings.ts', "import { run } from './run.ts';", 'imports ./run.ts'],
])('%s with %j breaks a rule', (file, text, expected) => {
  const found = violations(file, `// What it is for.\n${text}\n`);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`${file} ${expected}: `);
});

test.each([
  ['src/control/a.ts', "import assert from 'node:assert/strict';\nimport type { Phase } from '../feeder.ts';"],
  ['src/control/a.ts', "// never await, never Date.now\nconst word = 'async';\nimport { b } from './b.ts';"],
  ['src/uplink/a.ts', "import mqtt from 'mqtt';\nimport { z } from 'zod';\nimport type { Clock } from '../clock.ts';"],
  ['src/command-line.ts', "await import('./workbench/demo.ts');\nimport { a } from './uplink/a.ts';"],
  ['src/workbench/a.ts', "import Aedes from 'aedes';\nimport { a } from '../control/a.ts';\nDate.now();"],
  ['src/configuration.ts', "import { planCurrents } from './acquisition/read-plan.ts';\nimport.meta.url;"],
])('%s may do this: %j', (file, text) => {
  expect(violations(file, `// What it is for.\n${text}\n`)).toEqual([]);
});

test('a file without a head comment is found', () => {
  expect(violations('src/clock.ts', 'export const a = 1;\n')).toHaveLength(1);
});
