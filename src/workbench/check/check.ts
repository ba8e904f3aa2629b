// The answer of `check`: the warnings, and then what a protection engineer signs: the settings hash that the controller
// will report, every value in force element by element, and the times in which the elements operate.
import type { Configuration, Judgement } from '../../configuration.ts';
import { transformerSettings } from '../../control-settings.ts';
import { ratedCurrentA, TRANSFORMER } from '../../transformer-settings.ts';
import { watchedFeeder } from '../../watched-feeder.ts';
import { hasElements } from '../../watched-transformer.ts';
import { showProblem } from '../../yaml-file.ts';
import { type OperatingTime, operatingTimes, PRELOAD } from './operating-times.ts';
import { type SheetSection, settingsSheet } from './sheet.ts';

/** Problems are the caller's to print on stderr, except in JSON. */
export function check(judgement: Judgement, json: boolean): string {
  const { configuration, problems, warnings } = judgement;
  if (json) return checkJson(judgement);
  const lines = warnings.map((warning) => `warning: ${showProblem(warning)}`);
  if (configuration === null) {
    lines.push(`${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`);
    return `${lines.join('\n')}\n`;
  }
  const { hash, file, settings } = configuration;
  const { id, name } = settings.substation;
  lines.push(
    `${file}: good, settings hash ${hash}`,
    '',
    `Settings sheet of ${id}${name === undefined ? '' : ` ${name}`}`,
    ...settingsSheet(configuration).flatMap(sectionLines),
    ...timesOf(configuration).flatMap(([id, times]) => timeLines(id, times)),
    `settings hash ${hash}, warnings ${warnings.length}`,
    'set by ______________________   checked by ______________________   date ____________',
  );
  return `${lines.join('\n')}\n`;
}

/** By feeder, and of the transformer under its own id. */
export function timesOf({ settings }: Configuration): [string, OperatingTime[]][] {
  const { feeders, sources, transformer } = settings;
  const ofFeeders = feeders.map((feeder): [string, OperatingTime[]] => {
    const { control } = watchedFeeder(feeder, sources);
    return [feeder.id, operatingTimes(control, control.ratingA)];
  });
  if (transformer === undefined || !hasElements(transformer)) return ofFeeders;
  const elements = transformerSettings(transformer, 0);
  return [...ofFeeders, [TRANSFORMER, operatingTimes(elements, ratedCurrentA(transformer))]];
}

/** Whose operating times they are, for people. */
export function timesTitle(id: string): string {
  return `operating times of ${id === TRANSFORMER ? 'the transformer, of its rated current' : `feeder ${id}`}`;
}

function checkJson({ configuration, problems, warnings }: Judgement): string {
  const good = configuration !== null;
  const document = {
    ok: good,
    hash: configuration?.hash ?? null,
    problems,
    warnings,
    settings: configuration?.settings ?? null,
    sheet: good ? settingsSheet(configuration) : null,
    operatingTimes: good ? Object.fromEntries(timesOf(configuration)) : null,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function sectionLines({ title, rows }: SheetSection): string[] {
  return [
    '',
    title,
    ...rows.map(({ key, value, unit, source }) =>
      `  ${key.padEnd(40)} ${`${value} ${unit}`.trimEnd().padEnd(32)} ${source}`.trimEnd(),
    ),
  ];
}

function timeLines(id: string, times: readonly OperatingTime[]): string[] {
  const seconds = (value: number | null) => (value === null ? '-' : `${value} s`);
  const columns: [string, (time: OperatingTime) => string][] = [
    ['× rating', ({ multiple }) => multiple.toFixed(2)],
    ['current', ({ currentA }) => `${currentA} A`],
    ['atRisk', ({ atRiskS }) => seconds(atRiskS)],
    ['emergency', ({ emergencyS }) => seconds(emergencyS)],
    ['inverse', ({ inverseS }) => seconds(inverseS)],
    ['thermal cold', ({ thermalColdS }) => seconds(thermalColdS)],
    [`after ${PRELOAD}`, ({ thermalPreloadedS }) => seconds(thermalPreloadedS)],
    ['100 % cold', ({ fullColdS }) => seconds(fullColdS)],
    [`after ${PRELOAD}`, ({ fullPreloadedS }) => seconds(fullPreloadedS)],
  ];
  const line = (cells: string[]) => `  ${cells.map((cell) => cell.padStart(12)).join(' ')}`;
  return [
    '',
    `${timesTitle(id)}, from a step of the current; - never`,
    line(columns.map(([name]) => name)),
    ...times.map((time) => line(columns.map(([, show]) => show(time)))),
    '',
  ];
}
