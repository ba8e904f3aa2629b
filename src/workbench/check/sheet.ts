// The settings sheet: every value in force, element by element, with its unit and whether the file gives it or it is the
// default. The unit is the end of the key, as everywhere; so a new setting is on the sheet as soon as it is in the schema.
import type { Configuration } from '../../configuration.ts';
import { feeder } from '../../feeder-settings.ts';
import { settingsSchema } from '../../settings.ts';
import { staleAfterMs } from '../../source-settings.ts';
import { type GivenTransformer, ratedCurrentA } from '../../transformer-settings.ts';
import { watchdogLimitS } from '../../watchdog-settings.ts';
import { type Path, readYamlFile } from '../../yaml-file.ts';

interface SheetRow {
  /** Within its section: `atRisk.pickupA`. */
  readonly key: string;
  readonly value: string;
  readonly unit: string;
  readonly source: 'given' | 'default' | 'derived';
}
export interface SheetSection {
  readonly title: string;
  readonly rows: readonly SheetRow[];
}

const UNITS: readonly (readonly [RegExp, string])[] = [
  [/Percent$/, '%'],
  [/Ms$/, 'ms'],
  [/Min$/, 'min'],
  [/Days$/, 'd'],
  [/Megabytes$/, 'MB'],
  [/Kva$/, 'kVA'],
  [/K$/, 'K'],
  [/C$/, '°C'],
  [/PerS$/, '1/s'],
  [/PerMinute$/, '1/min'],
  [/PerHour$/, '1/h'],
  [/PerDay$/, '1/d'],
  [/^minutesPerYear$/, 'min/a'],
  [/PerYear$/, '1/a'],
  [/baudRate$/, 'Bd'],
  [/A$/, 'A'],
  [/V$/, 'V'],
  [/S$/, 's'],
];

/** Reads the file once more for what it gives; a configuration that is in force can be read. */
export function settingsSheet(configuration: Configuration): SheetSection[] {
  const { given } = readYamlFile(configuration.file, settingsSchema);
  const { feeders, sources, transformer: ofTransformer, ...rest } = configuration.settings;
  const rows = (value: unknown, path: Path) => leaves(value, path, path.length, given);
  const general = Object.entries(rest).map(([key, value]) => ({ title: key, rows: rows(value, [key]) }));
  if (rest.watchdog.limitS === undefined) {
    const limitS = String(watchdogLimitS(configuration.settings));
    general.find(({ title }) => title === 'watchdog')?.rows.push(derivedRow('limitS', limitS, 's'));
  }
  const ofSources = sources.map((source, index) => ({
    title: `source ${source.id}`,
    rows: withStaleness(rows(source, ['sources', index]), staleAfterMs(source)),
  }));
  const ofFeeders = feeders.flatMap(({ settings, ...ofFeeder }, index) => [
    {
      title: `feeder ${ofFeeder.id}`,
      rows: [...rows(ofFeeder, ['feeders', index]), ...absent(feeder.shape, ofFeeder)],
    },
    ...settings.map((group, at) => ({
      title: `feeder ${ofFeeder.id}, settings group ${group.name}`,
      rows: [
        ...rows(group, ['feeders', index, 'settings', at]),
        ...untoldThermal(group.thermal),
        ...offElements(group),
      ],
    })),
  ]);
  return [...general, ...ofSources, ...ofFeeders, ...transformerSection(ofTransformer, rows)];
}

/** With what follows from the rating: the rated current, and where the thermal element goes by it. */
function transformerSection(
  given: GivenTransformer | undefined,
  rows: (value: unknown, path: Path) => SheetRow[],
): SheetSection[] {
  if (given === undefined) return [];
  const ratedA = ratedCurrentA(given).toFixed(1);
  const off = ['atRisk', 'emergency', 'inverse', 'thermal'].flatMap((key) => (key in given ? [] : [offRow(key)]));
  const thermalRating = given.thermal?.ratingA === undefined && given.thermal !== undefined;
  return [
    {
      title: 'transformer',
      rows: [
        derivedRow('ratedCurrentA', ratedA, 'A'),
        ...rows(given, ['transformer']),
        ...(thermalRating ? [derivedRow('thermal.ratingA', ratedA, 'A')] : []),
        ...untoldThermal(given.thermal),
        ...off,
      ],
    },
  ];
}

/**
 * What the thermal element has without being told: no alarm, and a replica that cools as it heats (oil and winding have
 * time constants of their own).
 */
function untoldThermal(thermal: GivenTransformer['thermal']): SheetRow[] {
  if (thermal === undefined) return [];
  const { timeConstantMin, coolingTimeConstantMin, oil, alarmPercent } = thermal;
  const cools = timeConstantMin !== undefined && coolingTimeConstantMin === undefined && oil === undefined;
  return [
    ...(cools ? [derivedRow('thermal.coolingTimeConstantMin', String(timeConstantMin), 'min')] : []),
    ...(alarmPercent === undefined ? [offRow('thermal.alarmPercent')] : []),
  ];
}

function derivedRow(key: string, value: string, unit: string): SheetRow {
  return { key, value, unit, source: 'derived' };
}

function offRow(key: string): SheetRow {
  return { key, value: 'off', unit: '', source: 'default' };
}

/** Elements that the group could have and does not: a sheet to sign says so. */
function offElements(group: object): SheetRow[] {
  return absent(feeder.shape.settings.element.shape, group);
}

/** What could be there and is not. A group without chargers of its own has those of the feeder. */
function absent(shape: object, given: object): SheetRow[] {
  return Object.keys(shape).flatMap((key) => {
    if (key in given || key === 'settings') return [];
    const isOfFeeder = key === 'targetGroup' && shape !== feeder.shape;
    return [isOfFeeder ? derivedRow(key, 'that of the feeder', '') : offRow(key)];
  });
}

/** Every leaf under `value`, which stands at `path`; keys are told from `depth` on. */
function leaves(value: unknown, path: Path, depth: number, given: unknown): SheetRow[] {
  if (value === undefined) return [];
  if (value !== null && typeof value === 'object') {
    const isList = Array.isArray(value);
    return Object.entries(value).flatMap(([key, inner]) =>
      leaves(inner, [...path, isList ? Number(key) : key], depth, given),
    );
  }
  const key = path
    .slice(depth)
    .reduce<string>(
      (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${step}`),
      '',
    );
  return [
    { key, value: String(value ?? 'off'), unit: unitOf(path), source: isGiven(given, path) ? 'given' : 'default' },
  ];
}

/** The last key with a unit counts: amperes per phase are under `controllableA`. */
function unitOf(path: Path): string {
  for (const step of [...path].reverse()) {
    const unit = UNITS.find(([form]) => typeof step === 'string' && form.test(step))?.[1];
    if (unit !== undefined) return unit;
    if (typeof step === 'string' && !/^(L[123]|N)$/.test(step)) return '';
  }
  return '';
}

function isGiven(given: unknown, path: Path): boolean {
  let value = given;
  for (const step of path) {
    if (value === null || typeof value !== 'object') return value !== undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value !== undefined;
}

function withStaleness(rows: SheetRow[], valueMs: number): SheetRow[] {
  if (rows.some(({ key }) => key === 'staleAfterMs')) return rows;
  return [...rows, derivedRow('staleAfterMs', String(valueMs), 'ms')];
}
