// Golden traces: text tables that an engineer reads and writes, in test/traces/*.txt. First prose up to an empty line:
// what the trace shows. Then settings, `name value` with two or more spaces between the pairs; what is not written has
// the value in DEFAULTS below. Then the table. A row is one reading; with `-` for the currents only time passes, and its
// quality may be `clock` (the wall clock was stepped) or `restart` (the state goes through text and back). A quality
// may be given per phase (`good,bad,good`). `does` lists the actions in order, each with its own time where that is
// not the row's (`refresh@35`). A column `N_A` may follow L3_A. With `-` for the currents the quality may also be a
// command: `block:600`, `block:600:now`, `block:600:atRisk`, `unblock`, `release`, `release:now`, `test:600`, `test:off`,
// `group:other` (the group whose settings begin with `other`). After a quality `+L1+L2` names the phases that feed back.
// `source:30` (readings come from another source, whose staleness limit is 30 s). Or an acknowledgement: `ack:dispatched`, `ack:partial:6of10` (devices), `ack:dispatched:60A` (on every phase). A trace that fails is printed whole, as it really went, in the same form.
import { readFileSync } from 'node:fs';
import type { ControlAck } from '../../src/control/acks.ts';
import { eachElement } from '../../src/control/elements.ts';
import {
  newFeederState,
  nextDueMs,
  stepAck,
  stepClock,
  stepCommand,
  stepReading,
  stepSettings,
  stepSource,
  stepTime,
} from '../../src/control/feeder-control.ts';
import type {
  Action,
  ConductorInput,
  ControlCommand,
  ControlReading,
  ControlSettings,
  ElementState,
  FeederState,
  OilSettings,
} from '../../src/control/types.ts';
import { ELEMENTS, type Element, PHASES, type Phase, type Quality, rounded } from '../../src/feeder.ts';

export const DEFAULTS = {
  ratingA: '400',
  pickupA: '400',
  dropoutA: '360',
  delayS: '10',
  resetDelayS: '30',
  emergencyPickupA: 'none',
  emergencyDropoutA: '380',
  emergencyDelayS: '2',
  emergencyResetDelayS: '30',
  /** `SI`, `VI` or `EI` switches the inverse-time element on. */
  curve: 'none',
  inversePickupA: '400',
  inverseDropoutA: '360',
  timeMultiplier: '1',
  inverseResetDelayS: '30',
  /** A number switches the thermal element on. */
  timeConstantMin: 'none',
  coolingTimeConstantMin: 'same',
  thermalRatingA: '400',
  leadTimeMin: '15',
  resetPercent: '95',
  alarmPercent: 'none',
  /** A number switches the thermal element on with oil and winding, its other constants being typical ones. */
  oilTimeConstantMin: 'none',
  windingTimeConstantMin: '4',
  otherPickupA: '300',
  otherDropoutA: '270',
  /** `none` is a group without the thermal element. */
  otherThermalRatingA: '300',
  otherResponseTimeS: 'same',
  /** `same` or `none` chargers. */
  otherTarget: 'same',
  neutralPickupA: 'none',
  neutralDropoutA: '150',
  mode: 'proportional',
  floorPercent: '0',
  leaseS: '1800',
  refreshS: '600',
  responseTimeS: '0',
  maxEpisodeS: '14400',
  releaseStepPercent: '25',
  minOnS: '0',
  minOffS: '0',
  episodesPerYear: '0',
  minutesPerYear: '0',
  refuseBeyond: 'no',
  operationsPerDay: '0',
  requestsPerHour: '0',
  deepestLevelPercent: '0',
  longestLeaseS: '7200',
  feedersAtOnce: '0',
  /** One number for every phase, `96/128/96`, or `unknown`. */
  controllableA: 'unknown',
  staleAfterS: '60',
  /** `confirmed` on every phase. */
  powerSign: 'unknown',
  /** `no` is a feeder without a target group. */
  mayRequest: 'yes',
  /** What else requests are shown with: `end`, `relief`, `why`, or `nothing`. */
  show: 'nothing',
};
export type SettingName = keyof typeof DEFAULTS;

/** Typical of ONAN distribution transformers (IEC 60076-7), as the settings have them by default. */
export const OIL: OilSettings = {
  ambientC: 20,
  hotSpotC: 120,
  topOilRiseK: 55,
  hotSpotGradientK: 23,
  lossRatio: 5,
  oilExponent: 0.8,
  windingExponent: 1.6,
  oilTimeConstantMin: 180,
  windingTimeConstantMin: 4,
  k11: 1,
  k22: 2,
};

/** Monotonic time does not begin with the trace. */
export const START_MS = 500_000;
const COLUMNS = ['t_s', 'L1_A', 'L2_A', 'L3_A', 'quality', 'state', 'does'];
const WITH_NEUTRAL = ['t_s', 'L1_A', 'L2_A', 'L3_A', 'N_A', 'quality', 'state', 'does'];

interface Row {
  readonly cells: readonly string[];
  readonly atMs: number;
  readonly input:
    | ControlReading
    | ControlCommand
    | ControlAck
    | 'time'
    | 'clock'
    | 'restart'
    | 'group:other'
    | 'group:test'
    | { readonly staleAfterMs: number };
}

export interface Trace {
  readonly prose: string;
  readonly settingsText: string;
  readonly settings: ControlSettings;
  readonly other: ControlSettings;
  readonly show: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

export interface Outcome {
  readonly states: readonly string[];
  readonly does: readonly string[];
  readonly actions: readonly Action[];
  readonly final: FeederState;
}

export function readTrace(file: string): Trace {
  const [prose = '', settingsText = '', table = ''] = readFileSync(file, 'utf8')
    .trim()
    .split(/\n\s*\n/);
  const values = readValues(settingsText, file);
  const [header = '', ...lines] = table.split('\n');
  const columns = [COLUMNS, WITH_NEUTRAL].find((some) => some.join() === header.trim().split(/\s+/).join());
  if (columns === undefined) throw new Error(`${file}: columns "${header}"`);
  const rows = lines.map((line) => readRow(line, columns, file));
  return {
    prose,
    settingsText,
    settings: settingsOf(values, file),
    other: otherOf(values, file),
    show: values.show,
    columns,
    rows,
  };
}

/** Settings written as in a trace, for other tests. */
export function readTraceSettings(text: string): ControlSettings {
  return settingsOf(readValues(text, text), text);
}

function readValues(text: string, file: string): Record<SettingName, string> {
  const values: Record<SettingName, string> = { ...DEFAULTS };
  for (const pair of text.trim().split(/\s{2,}|\n/)) {
    const [name = '', value, ...rest] = pair.trim().split(/\s+/);
    if (!(name in DEFAULTS) || value === undefined || rest.length > 0) throw new Error(`${file}: setting "${pair}"`);
    values[name as SettingName] = value;
  }
  return values;
}

/** Runs a trace; `between` may do to the state what must not matter, before each row, and gives the state to go on with. */
export function runTrace(
  { settings: first, other, rows, show }: Trace,
  between: (state: FeederState, settings: ControlSettings, beforeMs: number, out: Action[]) => FeederState = same,
): Outcome {
  let state = newFeederState();
  const refusals: string[] = [];
  let settings = first;
  const outcome = { states: [] as string[], does: [] as string[], actions: [] as Action[] };
  for (const { atMs, input } of rows) {
    const out: Action[] = [];
    state = between(state, settings, atMs, out);
    if (input === 'clock') stepClock(state, settings, atMs, out);
    else if (input === 'time' || input === 'restart') stepTime(state, settings, atMs, out);
    else if (typeof input === 'object' && 'staleAfterMs' in input) {
      stepSource(state, settings, input.staleAfterMs, atMs, out);
      settings = { ...settings, ...input };
    } else if (typeof input === 'object' && 'status' in input) stepAck(state, settings, input, atMs, out);
    else if (input === 'group:other' || input === 'group:test') {
      const after = input === 'group:other' ? other : first;
      stepSettings(state, settings, after, 'by command', atMs, out);
      settings = after;
    } else if ('action' in input) {
      const refused = stepCommand(state, settings, input, atMs, out);
      if (refused !== null) refusals.push(refused);
    } else stepReading(state, settings, input, out);
    if (input === 'restart') state = throughText(state);
    outcome.states.push(stateWord(state));
    outcome.does.push([doesText(out, atMs, show), ...refusals.splice(0)].join(', refused: '));
    outcome.actions.push(...out);
  }
  return { ...outcome, final: state };
}

const same = (state: FeederState) => state;

export function throughText(state: FeederState): FeederState {
  return JSON.parse(JSON.stringify(state)) as FeederState;
}

/** Steps time at instants between the last row and the next, the due ones among them. */
export function stepBetween(
  state: FeederState,
  settings: ControlSettings,
  beforeMs: number,
  out: Action[],
): FeederState {
  const fromMs = state.steppedToMs;
  for (const share of [0.1, 0.37, 0.5, 0.93]) {
    const dueMs = nextDueMs(state, settings);
    if (dueMs < beforeMs) stepTime(state, settings, dueMs, out);
    if (fromMs > 0) stepTime(state, settings, fromMs + (beforeMs - fromMs) * share, out);
  }
  return state;
}

/** The file as it would be if what happened were right, wrong rows marked with what was wanted; null if all is right. */
export function wrongTrace(trace: Trace, outcome: Outcome): string | null {
  const wanted = trace.rows.map(({ cells }) => [cells.at(-2), cells.at(-1)].join('  '));
  const happened = trace.rows.map((_, i) => [outcome.states[i], outcome.does[i]].join('  '));
  if (wanted.every((text, i) => text === happened[i])) return null;
  const lines = formatTrace(trace, outcome).split('\n');
  const first = lines.length - 1 - trace.rows.length;
  for (const [i, text] of wanted.entries()) {
    if (text !== happened[i]) lines[first + i] += `     <<< wanted: ${text}`;
  }
  return lines.join('\n');
}

/** The trace as a file, with what happened as what is wanted. */
function formatTrace(trace: Trace, { states, does }: Outcome): string {
  const { columns } = trace;
  const rows = trace.rows.map(({ cells }, i) => [...cells.slice(0, -2), states[i] ?? '', does[i] ?? '']);
  const table = [[...columns], ...rows];
  const widths = columns.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  const lines = table.map((cells) =>
    cells
      .map((cell, column) =>
        column < columns.length - 3 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return `${[trace.prose, trace.settingsText, lines.join('\n')].join('\n\n')}\n`;
}

function readRow(line: string, columns: readonly string[], file: string): Row {
  const cells = line.trim().split(/\s{2,}/);
  const [t_s = '', L1 = '', L2 = '', L3 = '', fifth = ''] = cells;
  const [neutral, quality = ''] = columns === WITH_NEUTRAL ? [fifth, cells[5]] : ['20', fifth];
  const atMs = START_MS + Math.round(Number(t_s) * 1000);
  if (cells.length !== columns.length || Number.isNaN(atMs)) throw new Error(`${file}: row "${line}"`);
  if (L1 === '-' && L2 === '-' && L3 === '-' && quality !== 'bad') {
    if (quality === 'group:other' || quality === 'group:test') return { cells, atMs, input: quality };
    if (quality.startsWith('source:')) return { cells, atMs, input: { staleAfterMs: Number(quality.slice(7)) * 1000 } };
    const input =
      quality === 'clock' || quality === 'restart'
        ? quality
        : (command(quality, atMs) ?? acknowledgement(quality) ?? 'time');
    return { cells, atMs, input };
  }
  const [qualities = '', ...exporting] = quality.split('+');
  const [q1 = 'bad', q2 = q1, q3 = q1] = qualities.split(',');
  const N = input(neutral, neutral === '-' ? 'bad' : 'good');
  const reading = { atMs, L1: input(L1, q1), L2: input(L2, q2), L3: input(L3, q3), N };
  return { cells, atMs, input: { ...reading, exporting: exporting as Phase[] } };
}

export function command(text: string, atMs: number): ControlCommand | null {
  const [action = '', ...words] = text.split(':');
  const numbers = words.map(Number).filter((word) => !Number.isNaN(word));
  const untilMs = atMs + (numbers[0] ?? 0) * 1000;
  const element: Element | null = ELEMENTS.find((name) => words.includes(name)) ?? null;
  const immediate = words.includes('now');
  if (action === 'block') return { action, element, untilMs, immediate };
  if (action === 'unblock') return { action, element };
  if (action === 'release') return { action, immediate };
  if (action === 'test') return { action: 'testMode', untilMs: words.includes('off') ? null : untilMs };
  return null;
}

export function acknowledgement(text: string): ControlAck | null {
  const [word, status = '', more = ''] = text.split(':');
  if (word !== 'ack') return null;
  const devices = /^(\d+)of(\d+)$/.exec(more);
  if (devices !== null) return { status, devices: { targeted: Number(devices[2]), acknowledged: Number(devices[1]) } };
  const currentA = Number(more.replace('A', ''));
  return more === '' ? { status } : { status, controllableA: { L1: currentA, L2: currentA, L3: currentA } };
}

function input(currentText: string, quality: string): ConductorInput {
  return { currentA: currentText === '-' ? null : Number(currentText), quality: quality as Quality };
}

/** Settings of a trace that writes only `values`. */
export function settingsWith(values: Partial<Record<SettingName, string>>): ControlSettings {
  return settingsOf({ ...DEFAULTS, ...values }, 'test');
}

function otherOf(values: Record<SettingName, string>, file: string): ControlSettings {
  const { otherPickupA, otherDropoutA, otherThermalRatingA, otherTarget, otherResponseTimeS } = values;
  const changed = {
    pickupA: otherPickupA,
    dropoutA: otherDropoutA,
    ...(otherThermalRatingA === 'none' ? { timeConstantMin: 'none' } : { thermalRatingA: otherThermalRatingA }),
    ...(otherResponseTimeS !== 'same' && { responseTimeS: otherResponseTimeS }),
  };
  const settings = { ...settingsOf({ ...values, ...changed }, file), group: 'other' };
  return otherTarget === 'same' ? settings : { ...settings, target: null, mayRequest: false };
}

function settingsOf(values: Record<SettingName, string>, file: string): ControlSettings {
  const number = (name: SettingName): number => {
    const value = Number(values[name]);
    if (Number.isNaN(value)) throw new Error(`${file}: ${name} is not a number`);
    return value;
  };
  const confirmed = values.powerSign === 'confirmed';
  const [c1 = 0, c2 = c1, c3 = c1] = values.controllableA.split('/').map(Number);
  const emergency = {
    pickupA: Number(values.emergencyPickupA),
    dropoutA: number('emergencyDropoutA'),
    delayS: number('emergencyDelayS'),
    resetDelayS: number('emergencyResetDelayS'),
  };
  const atRisk = {
    pickupA: number('pickupA'),
    dropoutA: number('dropoutA'),
    delayS: number('delayS'),
    resetDelayS: number('resetDelayS'),
  };
  const neutral = { pickupA: Number(values.neutralPickupA), dropoutA: number('neutralDropoutA') };
  const inverse = {
    pickupA: number('inversePickupA'),
    dropoutA: number('inverseDropoutA'),
    timeMultiplier: number('timeMultiplier'),
    resetDelayS: number('inverseResetDelayS'),
  };
  const hasOil = values.oilTimeConstantMin !== 'none';
  const heats = hasOil ? 'oilTimeConstantMin' : 'timeConstantMin';
  const thermal = () => ({
    ratingA: number('thermalRatingA'),
    timeConstantMin: number(heats),
    coolingTimeConstantMin: number(values.coolingTimeConstantMin === 'same' ? heats : 'coolingTimeConstantMin'),
    ...(hasOil && {
      oil: {
        ...OIL,
        oilTimeConstantMin: number('oilTimeConstantMin'),
        windingTimeConstantMin: number('windingTimeConstantMin'),
      },
    }),
    leadTimeMin: number('leadTimeMin'),
    resetPercent: number('resetPercent'),
    alarmPercent: values.alarmPercent === 'none' ? null : number('alarmPercent'),
  });
  return {
    group: 'test',
    ratingA: number('ratingA'),
    atRisk,
    emergency: values.emergencyPickupA === 'none' ? undefined : emergency,
    inverse: values.curve === 'none' ? undefined : { curve: values.curve as 'SI' | 'VI' | 'EI', ...inverse },
    thermal: values.timeConstantMin === 'none' && !hasOil ? undefined : thermal(),
    neutral: values.neutralPickupA === 'none' ? undefined : { atRisk: { ...atRisk, ...neutral } },
    curtailment: {
      mode: values.mode === 'onOff' ? 'onOff' : 'proportional',
      floorPercent: number('floorPercent'),
      leaseS: number('leaseS'),
      refreshS: number('refreshS'),
      responseTimeS: number('responseTimeS'),
      maxEpisodeS: number('maxEpisodeS'),
      releaseStepPercent: number('releaseStepPercent'),
      minOnS: number('minOnS'),
      minOffS: number('minOffS'),
    },
    budget: {
      episodesPerYear: number('episodesPerYear'),
      minutesPerYear: number('minutesPerYear'),
      refuseBeyond: values.refuseBeyond === 'yes',
    },
    caps: {
      operationsPerDay: number('operationsPerDay'),
      requestsPerHour: number('requestsPerHour'),
      deepestLevelPercent: number('deepestLevelPercent'),
      longestLeaseS: number('longestLeaseS'),
      feedersAtOnce: number('feedersAtOnce'),
    },
    controllableA: values.controllableA === 'unknown' ? null : { L1: c1, L2: c2, L3: c3 },
    staleAfterMs: number('staleAfterS') * 1000,
    signConfirmed: { L1: confirmed, L2: confirmed, L3: confirmed },
    target: values.mayRequest === 'yes' ? 'TG-1 1' : null,
    mayRequest: values.mayRequest === 'yes',
  };
}

export function stateWord(state: FeederState): string {
  if (state.blind) return 'blind';
  const elements: ElementState[] = [];
  eachElement(state, (element) => elements.push(element));
  const operated = elements.filter(({ status }) => status === 'operated');
  if (operated.some(({ underSinceMs }) => underSinceMs === null))
    return state.episode === null ? 'pickingUp' : 'curtailing';
  if (elements.some(({ status }) => status === 'pickedUp')) return state.episode === null ? 'pickingUp' : 'curtailing';
  return state.episode === null && operated.length === 0 ? 'normal' : 'droppingOut';
}

export function doesText(actions: readonly Action[], rowMs: number, show: string): string {
  const texts: string[] = [];
  let last = '';
  for (const action of actions) {
    const at = action.atMs === rowMs ? '' : `@${seconds(action.atMs)}`;
    const { verb, what } = wordsOf(action, show);
    // The same of several phases at once is said once.
    const key = action.kind === 'event' && action.phase !== undefined ? `${action.element} ${verb}${at}` : '';
    if (key !== '' && key === last) texts[texts.length - 1] += ` ${action.kind === 'event' ? action.phase : ''}`;
    else texts.push(`${verb}${at}${what}`);
    last = key;
  }
  return texts.length === 0 ? '-' : texts.join(', ');
}

function wordsOf(action: Action, show: string): { verb: string; what: string } {
  if (action.kind === 'event') {
    const { type, alarm = '', element, phase } = action;
    if (type === 'block' || type === 'test' || type === 'settings')
      return { verb: type, what: `${element === undefined ? '' : ` ${element}`} (${action.reason})` };
    if (type === 'blind') return { verb: type, what: '' };
    if (phase === undefined) return { verb: type === 'alarmEnd' ? 'over' : type, what: ` ${alarm}` };
    return { verb: element === 'atRisk' ? type : `${element} ${type}`, what: ` ${phase}` };
  }
  const phases = PHASES.filter((name) => action.levelPercent[name] !== undefined);
  const levels = phases.map((name) => {
    const relief = show === 'relief' ? ` ${rounded(action.reductionA[name] ?? 0, 1)}A` : '';
    return action.action === 'release' ? ` ${name}` : ` ${name} ${action.levelPercent[name]}%${relief}`;
  });
  const end = show === 'end' && action.action !== 'release' ? ` until ${seconds(action.endMs)}` : '';
  const why = show === 'why' ? ` (${action.reason})` : '';
  const verb = action.mode === 'test' ? `test ${action.action}` : action.action;
  return { verb, what: (action.action === 'refresh' ? '' : levels.join('')) + end + why };
}

function seconds(atMs: number): number {
  return rounded((atMs - START_MS) / 1000, 3);
}
