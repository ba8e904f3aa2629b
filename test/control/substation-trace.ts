// Golden traces of several feeders on one transformer, in test/traces/transformer/*.txt. As in trace.ts: prose, settings,
// table. A setting is of every feeder; with `T.` before its name of the transformer (whose elements are off unless
// given), with `F1.` of that feeder. The columns `F1_A`, `F2_A`, … are the currents of L1 in amperes, L2 and L3 carrying
// 100 A each; a column `T_A` is the transformer's own meter. A quality may be given per column (`good,bad`),
// with the phases that feed back behind it (`good+L1`). Instead of
// currents `-` and: nothing (time passes), `restart`, or a command or acknowledgement of a feeder (`F1:block:600`).
// `state` has a word for the transformer, then for each feeder; `does` says whose it is.
import { readFileSync } from 'node:fs';
import { newFeederState, stepAck, stepCommand } from '../../src/control/feeder-control.ts';
import { type SteppedFeeder, type Substation, stepReadings, stepTimers } from '../../src/control/substation.ts';
import { newTransformerState, OWN_ELEMENTS, type TransformerState } from '../../src/control/transformer.ts';
import type { Action, ConductorInput, ControlReading } from '../../src/control/types.ts';
import type { Phase, Quality } from '../../src/feeder.ts';
import { bounded } from './bounded.ts';
import {
  acknowledgement,
  command,
  DEFAULTS,
  doesText,
  type SettingName,
  START_MS,
  settingsWith,
  stateWord,
  throughText,
} from './trace.ts';

export interface SubstationTrace {
  readonly prose: string;
  readonly settingsText: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

interface Values {
  readonly all: Partial<Record<SettingName, string>>;
  readonly own: ReadonlyMap<string, Partial<Record<SettingName, string>>>;
}

export interface World extends Substation {
  readonly feeders: readonly SteppedFeeder[];
  readonly transformer: NonNullable<Substation['transformer']>;
}

export function readSubstationTrace(file: string): SubstationTrace {
  const [prose = '', settingsText = '', table = ''] = readFileSync(file, 'utf8')
    .trim()
    .split(/\n\s*\n/);
  const [columns = [], ...rows] = table.split('\n').map((line) => line.trim().split(/\s{2,}/));
  if (rows.some((cells) => cells.length !== columns.length)) throw new Error(`${file}: a row of another length`);
  return { prose, settingsText, columns, rows };
}

/** A substation at rest with the settings of the trace. */
export function worldOf(settingsText: string, columns: readonly string[]): World {
  const { all, own } = readValues(settingsText);
  const feeders = columns
    .filter((name) => /^F\d+_A$/.test(name))
    .map((name) => {
      const control = bounded(settingsWith({ ...all, ...own.get(name.slice(0, -2)) }));
      return { state: newFeederState(), control, actions: [] as Action[] };
    });
  const given = { ...DEFAULTS, ...own.get('T') };
  const set = settingsWith(given);
  const settings = bounded({
    atRisk: own.get('T')?.pickupA === undefined ? undefined : set.atRisk,
    emergency: set.emergency,
    inverse: set.inverse,
    thermal: set.thermal,
    staleAfterMs: set.staleAfterMs,
  });
  const isMetered = columns.includes('T_A');
  const transformer = { state: newTransformerState(), settings, feeders, isMetered, actions: [] as Action[] };
  return { feeders, transformer };
}

function readValues(text: string): Values {
  const all: Partial<Record<SettingName, string>> = {};
  const own = new Map<string, Partial<Record<SettingName, string>>>();
  for (const pair of text.trim().split(/\s{2,}|\n/)) {
    const [, who, name = '', value] = /^(?:(T|F\d+)\.)?(\w+) (\S+)$/.exec(pair.trim()) ?? [];
    if (!(name in DEFAULTS) || value === undefined) throw new Error(`setting "${pair}"`);
    if (who === undefined) all[name as SettingName] = value;
    else own.set(who, { ...own.get(who), [name]: value });
  }
  return { all, own };
}

export interface SubstationOutcome {
  readonly states: readonly string[];
  readonly does: readonly string[];
}

/** Runs it; with `isWritten` every state goes through text before every row. */
export function runSubstationTrace(
  { settingsText, columns, rows }: SubstationTrace,
  isWritten = false,
): SubstationOutcome {
  const world = worldOf(settingsText, columns);
  const show = readValues(settingsText).all.show ?? 'nothing';
  const states: string[] = [];
  const does: string[] = [];
  for (const cells of rows) {
    const atMs = START_MS + Math.round(Number(cells[0]) * 1000);
    if (isWritten) writeOut(world);
    stepRow(world, columns, cells, atMs);
    states.push([wordOf(world.transformer.state), ...world.feeders.map(({ state }) => stateWord(state))].join('/'));
    does.push(saidBy(world, atMs, show));
  }
  return { states, does };
}

function stepRow(world: World, columns: readonly string[], cells: readonly string[], atMs: number): void {
  const quality = cells[columns.indexOf('quality')] ?? '';
  const [who = '', ...words] = quality.split(':');
  const feeder = /^F\d+$/.test(who) ? world.feeders[Number(who.slice(1)) - 1] : undefined;
  if (feeder !== undefined) {
    stepTimers(world, atMs);
    const text = words.join(':');
    const [ack, order] = [acknowledgement(text), command(text, atMs)];
    if (ack !== null) stepAck(feeder.state, feeder.control, ack, atMs, feeder.actions);
    else if (order !== null) stepCommand(feeder.state, feeder.control, order, atMs, feeder.actions);
    return;
  }
  const currents = columns.filter((name) => name.endsWith('_A'));
  if (cells[1] === '-') {
    stepTimers(world, atMs);
    if (quality === 'restart') writeOut(world);
    return;
  }
  const qualities = quality.split(',');
  const taken = currents.map((name, index) => ({
    feeder: name === 'T_A' ? null : (world.feeders[Number(name.slice(1, -2)) - 1] ?? null),
    reading: readingOf(cells[index + 1] ?? '', qualities[index] ?? qualities[0] ?? 'bad', atMs),
  }));
  stepReadings(world, taken);
}

function readingOf(currentText: string, qualityText: string, atMs: number): ControlReading {
  const [word, ...exporting] = qualityText.split('+');
  const quality = word as Quality;
  const other: ConductorInput = { currentA: quality === 'bad' ? null : 100, quality };
  const L1 = { currentA: quality === 'bad' ? null : Number(currentText), quality };
  return { atMs, L1, L2: other, L3: other, N: { currentA: null, quality: 'bad' }, exporting: exporting as Phase[] };
}

/** Every state through text and back, as over a restart. */
export function writeOut({ feeders, transformer }: World): void {
  for (const feeder of feeders) feeder.state = throughText(feeder.state);
  transformer.state = JSON.parse(JSON.stringify(transformer.state)) as TransformerState;
}

function wordOf(state: TransformerState): string {
  const has = (status: string) =>
    [state.L1, state.L2, state.L3].some((on) => OWN_ELEMENTS.some((element) => on[element].status === status));
  if (state.blind) return 'blind';
  return has('operated') ? 'over' : has('pickedUp') ? 'pickingUp' : 'normal';
}

function saidBy({ feeders, transformer }: World, atMs: number, show: string): string {
  const texts: string[] = [];
  for (const [index, { actions }] of [transformer, ...feeders].entries()) {
    const text = doesText(actions.splice(0), atMs, show).replaceAll('transformer ', '');
    if (text !== '-') texts.push(`${index === 0 ? 'T' : `F${index}`}: ${text}`);
  }
  return texts.length === 0 ? '-' : texts.join('; ');
}

/** The file as it would be if what happened were right, wrong rows marked with what was wanted; null if all is right. */
export function wrongSubstationTrace(trace: SubstationTrace, { states, does }: SubstationOutcome): string | null {
  const wanted = trace.rows.map((cells) => cells.slice(-2).join('  '));
  const happened = trace.rows.map((_, i) => [states[i], does[i]].join('  '));
  if (wanted.every((text, i) => text === happened[i])) return null;
  const table = [
    trace.columns,
    ...trace.rows.map((cells, i) => [...cells.slice(0, -2), states[i] ?? '', does[i] ?? '']),
  ];
  const widths = trace.columns.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  const lines = table.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  for (const [i, text] of wanted.entries()) if (text !== happened[i]) lines[i + 1] += `     <<< wanted: ${text}`;
  return [trace.prose, trace.settingsText, lines.join('\n')].join('\n\n');
}
