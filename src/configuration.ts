// Reads the configuration file whole: the schema of settings.ts, the register maps that it names, and the relations
// between values. What cannot work is a problem and stops every verb; what is legal but unwise is a warning.
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planCurrents } from './acquisition/read-plan.ts';
import { type RegisterMap, readRegisterMap } from './acquisition/register-map.ts';
import { DEFAULTS, type Settings, settingsSchema } from './settings.ts';
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
  const mapFiles = new Set<string>();
  if (read.given !== null && typeof read.given === 'object') {
    judgeUplink(read.given, say, folder);
    judgeSources(read.given, say);
    judgeFeeders(read.given, say);
    for (const [index, source] of list(read.given, 'sources').entries()) {
      const profile = text(source, 'profile');
      if (profile === null) continue;
      const mapFile = profileFile(profile, folder);
      const map = readRegisterMap(mapFile);
      // What is wrong inside a map is said once, however many sources use it; that it is not there, at each.
      const fresh = map.problems.filter((problem) => problem.line === 0 || !mapFiles.has(mapFile));
      problems.push(...fresh.map((problem) => nameMissingProfile(problem, index, profile, read.problemAt)));
      mapFiles.add(mapFile);
      if (map.value === null) continue;
      registerMaps.set(text(source, 'id') ?? '', map.value);
      if (planCurrents(map.value) === null) {
        say.refuse(
          ['sources', index, 'profile'],
          'a map whose three phase currents fit one telegram (longestReadWords)',
        );
      }
    }
  }
  const rank = (problem: Problem) => (problem.file === file ? '' : problem.file);
  const inOrder = (a: Problem, b: Problem) => rank(a).localeCompare(rank(b)) || a.line - b.line || a.column - b.column;
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

/** For verbs that only go on with a good configuration: prints every problem to stderr and gives null. */
export function configurationOrProblems(file: string): Configuration | null {
  const { configuration, problems } = readConfiguration(file);
  for (const problem of problems) process.stderr.write(`${showProblem(problem)}\n`);
  return configuration;
}

interface Say {
  /** `value` says what is in force where the file says nothing. */
  refuse(path: Path, expected: string, value?: string): void;
  warn(path: Path, expected: string, value?: string): void;
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

// The rules below look at the values as given, so that one wrong value does not hide what is wrong with another.

function judgeUplink(given: unknown, say: Say, folder: string): void {
  const uplink = field(given, 'uplink');
  const insecure = field(uplink, 'allowInsecure') === true;
  for (const [index, broker] of list(uplink, 'brokers').entries()) {
    const url = text(broker, 'url');
    if (url?.startsWith('mqtt://') && !insecure) {
      say.refuse(['uplink', 'brokers', index, 'url'], 'mqtts://, or allowInsecure: true in uplink');
    }
  }
  const urls = list(uplink, 'brokers').map((broker) => text(broker, 'url'));
  if (urls.some((url) => url?.startsWith('mqtts://')) && field(uplink, 'tls') === undefined) {
    say.warn(['uplink', 'tls'], 'a caFile in it, unless a public authority signed the broker');
  }
  if (insecure) say.warn(['uplink', 'allowInsecure'], 'false outside a bench: what is said can be read and forged');
  const files: Path[] = [
    ['tls', 'caFile'],
    ['tls', 'certFile'],
    ['tls', 'keyFile'],
    ['user', 'passwordFile'],
  ];
  for (const [group, key] of files as [string, string][]) {
    const path = text(field(uplink, group), key);
    if (path === null || path === '') continue;
    if (!isFile(resolve(folder, path))) {
      say.refuse(['uplink', group, key], 'a file that is there, relative to this one');
    }
  }
  const tls = field(uplink, 'tls');
  const [certificate, key] = [field(tls, 'certFile'), field(tls, 'keyFile')];
  if (certificate !== undefined && key === undefined) say.refuse(['uplink', 'tls', 'keyFile'], 'the key of certFile');
  if (certificate === undefined && key !== undefined) {
    say.refuse(['uplink', 'tls', 'certFile'], 'the certificate that keyFile belongs to');
  }
}

function isFile(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function judgeSources(given: unknown, say: Say): void {
  const sources = list(given, 'sources');
  refuseDoubles(sources, 'sources', say);
  for (const [index, source] of sources.entries()) {
    const pollMs = number(source, 'pollMs') ?? 200;
    const staleMs = number(source, 'staleAfterMs');
    if (staleMs !== null && staleMs <= pollMs) {
      say.refuse(['sources', index, 'staleAfterMs'], `more than pollMs (${pollMs})`);
    }
    const id = text(source, 'id');
    const used = list(given, 'feeders').some((feeder) => text(field(feeder, 'currents'), 'source') === id);
    if (id !== null && !used) say.warn(['sources', index, 'id'], 'the id of a source that a feeder uses');
  }
}

function judgeFeeders(given: unknown, say: Say): void {
  const feeders = list(given, 'feeders');
  refuseDoubles(feeders, 'feeders', say);
  const sourceIds = list(given, 'sources').flatMap((source) => text(source, 'id') ?? []);
  for (const [index, feeder] of feeders.entries()) {
    const at = ['feeders', index];
    const source = text(field(feeder, 'currents'), 'source');
    if (source !== null && !sourceIds.includes(source)) {
      say.refuse([...at, 'currents', 'source'], `the id of one of the sources (${sourceIds.join(', ')})`);
    }
    if (field(feeder, 'targetGroup') === undefined) {
      say.warn([...at, 'targetGroup'], 'the chargers behind this feeder: without them it only alarms');
    }
    for (const [group, settings] of list(feeder, 'settings').entries()) {
      judgeGroup(settings, [...at, 'settings', group], number(feeder, 'fuseA'), say);
    }
  }
}

function judgeGroup(group: unknown, at: Path, fuseA: number | null, say: Say): void {
  const ratingA = number(group, 'ratingA');
  for (const element of ['atRisk', 'emergency']) {
    const pickupA = number(field(group, element), 'pickupA');
    const dropoutA = number(field(group, element), 'dropoutA');
    if (pickupA !== null && dropoutA !== null && dropoutA >= pickupA) {
      say.refuse([...at, element, 'dropoutA'], `less than pickupA (${pickupA})`);
    }
    if (number(field(group, element), 'delayS') === 0) {
      say.warn([...at, element, 'delayS'], 'a delay: at 0 one reading is enough for a request');
    }
  }
  const atRiskA = number(field(group, 'atRisk'), 'pickupA');
  const emergencyA = number(field(group, 'emergency'), 'pickupA');
  if (atRiskA !== null && emergencyA !== null && emergencyA <= atRiskA) {
    say.refuse([...at, 'emergency', 'pickupA'], `more than that of atRisk (${atRiskA})`);
  }
  if (atRiskA !== null && ratingA !== null && atRiskA > ratingA) {
    say.warn([...at, 'atRisk', 'pickupA'], `at most ratingA (${ratingA}): at risk comes before the rating`);
  }
  if (ratingA !== null && fuseA !== null && ratingA > fuseA) {
    say.warn([...at, 'ratingA'], `at most fuseA (${fuseA}): the fuse may go first`);
  }
  judgeTimes(group, at, say);
}

function judgeTimes(group: unknown, at: Path, say: Say): void {
  const times = field(group, 'curtailment');
  const caps = field(group, 'caps');
  const leaseS = number(times, 'leaseS') ?? DEFAULTS.leaseS;
  const longestLeaseS = number(caps, 'longestLeaseS') ?? DEFAULTS.longestLeaseS;
  const refreshS = number(times, 'refreshS') ?? DEFAULTS.refreshS;
  const responseTimeS = number(times, 'responseTimeS') ?? DEFAULTS.responseTimeS;
  const endSpreadS = number(times, 'endSpreadS') ?? DEFAULTS.endSpreadS;
  const spareS = Math.min(leaseS, longestLeaseS) - refreshS;
  const place = (key: string): Path => [...at, 'curtailment', key];
  const byDefault = (key: keyof typeof DEFAULTS, from: unknown = times) =>
    field(from, key) === undefined ? `${DEFAULTS[key]} (by default)` : undefined;
  if (leaseS <= refreshS) say.refuse(place('leaseS'), `more than refreshS (${refreshS})`, byDefault('leaseS'));
  else if (spareS <= 0) {
    const value = byDefault('longestLeaseS', caps);
    say.refuse([...at, 'caps', 'longestLeaseS'], `more than refreshS (${refreshS}), since it cuts leaseS`, value);
  } else if (endSpreadS > spareS) {
    const expected = `at most the lease less refreshS (${spareS}), which is used instead`;
    say.warn(place('endSpreadS'), expected, byDefault('endSpreadS'));
  }
  if (responseTimeS === 0) say.warn(place('responseTimeS'), 'more than 0 in service: the closed loop is off');
  else if (responseTimeS < DEFAULTS.responseTimeS) {
    say.warn(
      place('responseTimeS'),
      `at least ${DEFAULTS.responseTimeS}: DCC, HAN and the chargers’ random delay of 600 s`,
    );
  }
  const onOff = field(times, 'mode') === 'onOff';
  const levels: Path[] = [place('floorPercent'), [...at, 'caps', 'deepestLevelPercent']];
  for (const [index, level] of levels.entries()) {
    const percent = number(index === 0 ? times : caps, String(level.at(-1))) ?? 0;
    if (onOff && percent > 0) say.refuse(level, '0 in mode onOff, which knows only off');
    else if (percent === 100) say.refuse(level, 'less than 100, which is no limit at all');
  }
}

function refuseDoubles(items: unknown[], name: string, say: Say): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const id = text(item, 'id');
    if (id === null) continue;
    if (seen.has(id)) say.refuse([name, index, 'id'], `an id that no other of the ${name} has`);
    seen.add(id);
  }
}

function field(from: unknown, key: string): unknown {
  return from !== null && typeof from === 'object' ? (from as Record<string, unknown>)[key] : undefined;
}

function list(from: unknown, key: string): unknown[] {
  const value = field(from, key);
  return Array.isArray(value) ? value : [];
}

function number(from: unknown, key: string): number | null {
  const value = field(from, key);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(from: unknown, key: string): string | null {
  const value = field(from, key);
  return typeof value === 'string' ? value : null;
}

function absolutePaths(settings: Settings, folder: string): Settings {
  const absolute = (path: string) => resolve(folder, path);
  const { tls, user, ...uplink } = settings.uplink;
  return {
    ...settings,
    sources: settings.sources.map((source) => ({
      ...source,
      profile: source.profile.includes('/') ? absolute(source.profile) : source.profile,
    })),
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
