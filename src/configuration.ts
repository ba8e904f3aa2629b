// Reads the configuration file whole: the schema of settings.ts, the register maps that it names, and the relations
// between values. What cannot work is a problem and stops every verb; what is legal but unwise is a warning.
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planReads } from './acquisition/read-plan.ts';
import { circuitOf, layoutsOf, type RegisterMap, readRegisterMap } from './acquisition/register-map.ts';
import { field, list, number, type Say, text } from './judge.ts';
import { judgeFeeders } from './judge-feeders.ts';
import { judgePace } from './judge-pace.ts';
import { judgeSources } from './judge-sources.ts';
import { judgeTimes } from './judge-times.ts';
import { judgeTransformer } from './judge-transformer.ts';
import { judgeUplink } from './judge-uplink.ts';
import { type Settings, settingsSchema } from './settings.ts';
import type { SourceSettings } from './source-settings.ts';
import { type Path, type Problem, readYamlFile, showProblem } from './yaml-file.ts';

/** A configuration that can be run. Paths in `settings` are absolute. */
export interface Configuration {
  readonly file: string;
  readonly settings: Settings;
  /** By source id. */
  readonly registerMaps: ReadonlyMap<string, RegisterMap>;
  /** 16 hexadecimal digits over every value in force, register maps included. */
  readonly hash: string;
}

export interface Judgement {
  readonly configuration: Configuration | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

const METERS_FOLDER = fileURLToPath(new URL('../hardware/meters/', import.meta.url));

/** Reads and judges `file` and everything that it refers to; every problem is in the answer, none is thrown. */
export function readConfiguration(file: string): Judgement {
  const read = readYamlFile(file, settingsSchema);
  const problems: Problem[] = [...read.problems];
  const warnings: Problem[] = [];
  const say: Say = {
    refuse: (path, expected, value) => problems.push(read.problemAt(path, expected, value)),
    warn: (path, expected, value) => warnings.push(read.problemAt(path, expected, value)),
  };
  const folder = dirname(resolve(file));
  const registerMaps = new Map<string, RegisterMap>();
  /** By file: the meters of a substation are often all of one make, and a map is read once. */
  const mapFiles = new Map<string, ReturnType<typeof readRegisterMap>>();
  if (read.given !== null && typeof read.given === 'object') {
    judgeUplink(read.given, say, folder);
    judgeSources(read.given, say, folder);
    judgeFeeders(read.given, say);
    judgeTransformer(read.given, say);
    for (const [index, source] of list(read.given, 'sources').entries()) {
      const profile = text(source, 'profile');
      if (profile === null) continue;
      const mapFile = profileFile(profile, folder);
      const map = mapFiles.get(mapFile) ?? readRegisterMap(mapFile);
      // What is wrong inside a map is said once, however many sources use it; that it is not there, at each.
      const fresh = map.problems.filter((problem) => problem.line === 0 || !mapFiles.has(mapFile));
      problems.push(...fresh.map((problem) => nameMissingProfile(problem, index, profile, read.problemAt)));
      mapFiles.set(mapFile, map);
      if (map.value === null) continue;
      registerMaps.set(text(source, 'id') ?? '', map.value);
      judgeCircuits(read.given, index, map.value, say);
    }
  }
  if (read.value !== null && problems.length === 0) {
    judgePace(read.value, registerMaps, say);
    judgeTimes(read.value, read.given, say);
  }
  const rank = (problem: Problem) => (problem.file === file ? '' : problem.file);
  // By code units: a collator takes tens of milliseconds to load, at every start.
  const inOrder = (a: Problem, b: Problem) =>
    (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0) || a.line - b.line || a.column - b.column;
  problems.sort(inOrder);
  warnings.sort(inOrder);
  if (read.value === null || problems.length > 0) return { configuration: null, problems, warnings };
  const settings = absolutePaths(read.value, folder);
  return {
    configuration: { file, settings, registerMaps, hash: settingsHash(read.value, registerMaps) },
    problems,
    warnings,
  };
}

/** A map can be read, and has the circuits that the feeders on its source name. */
function judgeCircuits(given: unknown, index: number, map: RegisterMap, say: Say): void {
  const layouts = layoutsOf(map);
  const circuits = [...new Set(layouts.flatMap(({ registers }) => registers.map(circuitOf)))].sort((a, b) => a - b);
  if (layouts.some((layout) => circuits.some((circuit) => planReads(layout, [circuit]) === null))) {
    say.refuse(['sources', index, 'profile'], 'a map whose three phase currents fit one telegram (longestReadWords)');
  }
  const id = text(list(given, 'sources')[index], 'id');
  for (const [feeder, settings] of list(given, 'feeders').entries()) {
    for (const key of ['currents', 'backup']) {
      const input = field(settings, key);
      const circuit = number(input, 'circuit');
      if (text(input, 'source') !== id || circuits.includes(circuit ?? 1)) continue;
      const value = circuit === null ? '1 by default' : undefined;
      say.refuse(['feeders', feeder, key, 'circuit'], `a circuit of its meter (${circuits.join(', ')})`, value);
    }
  }
}

/** For verbs that only go on with a good configuration: prints every problem to stderr and gives null. */
export function configurationOrProblems(file: string): Configuration | null {
  const { configuration, problems } = readConfiguration(file);
  for (const problem of problems) process.stderr.write(`${showProblem(problem)}\n`);
  return configuration;
}

/** A name is a map that ships with the program; anything with a slash is a path, relative to `folder`. */
export function profileFile(profile: string, folder: string): string {
  if (profile.includes('/')) return isAbsolute(profile) ? profile : join(folder, profile);
  return join(METERS_FOLDER, `${profile}.yaml`);
}

/** A map that is not there is a problem of the line that names it; one that is wrong inside is a problem of its own file. */
function nameMissingProfile(
  problem: Problem,
  index: number,
  profile: string,
  at: (path: Path, expected: string) => Problem,
): Problem {
  if (problem.line > 0) return problem;
  const names = readdirSync(METERS_FOLDER).flatMap((name) => (name.endsWith('.yaml') ? [name.slice(0, -5)] : []));
  const expected = profile.includes('/')
    ? 'the path of a register map that is there, relative to this file'
    : `the name of a map in hardware/meters (${names.sort().join(', ')}), or a path with a slash in it`;
  return at(['sources', index, 'profile'], expected);
}

function absolutePaths(settings: Settings, folder: string): Settings {
  const absolute = (path: string) => resolve(folder, path);
  const { tls, user, ...uplink } = settings.uplink;
  return {
    ...settings,
    sources: settings.sources.map((source) => sourceInForce(source, absolute)),
    uplink: {
      ...uplink,
      ...(tls && {
        tls: {
          caFile: absolute(tls.caFile),
          ...(tls.certFile && { certFile: absolute(tls.certFile) }),
          ...(tls.keyFile && { keyFile: absolute(tls.keyFile) }),
        },
      }),
      ...(user && { user: { ...user, passwordFile: absolute(user.passwordFile) } }),
    },
    journal: { ...settings.journal, path: absolute(settings.journal.path) },
  };
}

/** A source as it is in force: its paths absolute, and no policy where nothing is secured. */
function sourceInForce(source: SourceSettings, absolute: (path: string) => string): SourceSettings {
  if (source.type !== 'opcua')
    return source.profile.includes('/') ? { ...source, profile: absolute(source.profile) } : source;
  const { user, ...rest } = source;
  const files = ['passwordFile', 'certFile', 'keyFile'] as const;
  const given = files.flatMap((key) => {
    const path = user?.[key];
    return path === undefined ? [] : [[key, absolute(path)] as const];
  });
  return {
    ...rest,
    ...(source.securityMode === 'None' && { securityPolicy: 'None' as const }),
    ...(user && { user: { ...user, ...Object.fromEntries(given) } }),
  };
}

/** Key order does not count, so that moving a line is no change of settings. */
function settingsHash(settings: Settings, maps: ReadonlyMap<string, RegisterMap>): string {
  const sorted = (value: unknown): unknown =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, inner]) => [key, sorted(inner)]),
        )
      : Array.isArray(value)
        ? value.map(sorted)
        : value;
  return createHash('sha256')
    .update(JSON.stringify(sorted({ settings, maps: Object.fromEntries(maps) })))
    .digest('hex')
    .slice(0, 16);
}
