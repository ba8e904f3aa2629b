// The inputs that an export carries, so that its replay comes to the events of the live run: every time in them on the
// clock of the record, as the rows have it.
import { onClockAhead } from '../../control/resume.ts';
import type { FeederState, TransformerWord } from '../../control/types.ts';
import type { ControlInput } from '../../control-input.ts';
import { CONDUCTORS } from '../../feeder.ts';
import { readEventsBetween } from '../../journal/reader.ts';
import type { Event } from '../../messages.ts';
import { type InputsFile, timesOnRecord } from '../trace/inputs-file.ts';
import type { RecordedPart, RecordedSeries } from './recorded-series.ts';

/** An event is labelled by another look at the wall clock than its record. */
const LABELS_APART_MS = 2;
/** Joined alarms and slow storage come later than what they tell of. */
const KEPT_LATER_MS = 900_000;

/** Of one feeder or several; or a line that says why a record carries none. */
export function exportInputs(folder: string, series: readonly RecordedSeries[]): InputsFile | string {
  const parts = series.flatMap(({ feederId, parts }) => parts.map((part) => ({ feederId, part })));
  const [first] = parts;
  if (first === undefined) return 'minutes carry no inputs: a replay of them is open loop';
  const hash = first.part.start?.control.settingsHash;
  if (hash === undefined || parts.some(({ part }) => part.start === null))
    return 'the record does not know what it began from: a replay of it is open loop';
  if (parts.some(({ part }) => part.start?.control.settingsHash !== hash))
    return 'the settings changed between the records: export them one by one to carry their inputs';
  const records = parts.map(({ feederId, part }) => recordOf(folder, feederId, part));
  const substationId = records.flatMap(({ events }) => events)[0]?.substationId ?? '';
  return { format: 'headroom/inputs/1', substationId, settingsHash: hash, records };
}

function eventsOf(folder: string, feederId: string, { rows, inputs }: RecordedPart): Event[] {
  const fromMs = (rows[0]?.atMs ?? 0) - LABELS_APART_MS;
  const toMs = (rows.at(-1)?.atMs ?? 0) + LABELS_APART_MS;
  const events = readEventsBetween(folder, feederId, fromMs - KEPT_LATER_MS, toMs + KEPT_LATER_MS) as Event[];
  const times = timesOnRecord(events, inputs);
  return events.filter((_, index) => (times[index] ?? 0) >= fromMs && (times[index] ?? 0) <= toMs);
}

function recordOf(folder: string, feederId: string, part: RecordedPart): InputsFile['records'][number] {
  const { trigger, rows, start, inputs } = part;
  if (start === null) throw new Error('a record without a start carries no inputs');
  const { control, aheadMs } = start;
  return {
    feederId,
    trigger,
    firstMs: rows[0]?.atMs ?? 0,
    readings: rows.length,
    group: control.group,
    staleAfterMs: control.staleAfterMs,
    state: onClockAhead(control.state as FeederState, aheadMs) as unknown as Record<string, unknown>,
    quality: qualityOf(rows),
    inputs: inputs.map(({ after, input }) => ({ after, input: inputAhead(input as ControlInput, aheadMs) })),
    events: eventsOf(folder, feederId, part),
  };
}

function inputAhead(input: ControlInput, byMs: number): ControlInput {
  const atMs = input.atMs + byMs;
  if (input.kind === 'transformer') {
    const { L1, L2, L3 } = input.words;
    return { ...input, atMs, words: { L1: wordAhead(L1, byMs), L2: wordAhead(L2, byMs), L3: wordAhead(L3, byMs) } };
  }
  if (input.kind !== 'command') return { ...input, atMs };
  const { command } = input;
  if (command.action === 'block') return { ...input, atMs, command: { ...command, untilMs: command.untilMs + byMs } };
  if (command.action === 'testMode' && command.untilMs !== null)
    return { ...input, atMs, command: { ...command, untilMs: command.untilMs + byMs } };
  return { ...input, atMs };
}

/** Stretches of equal rows; a value is good and none is bad where nothing is said. */
function qualityOf(rows: RecordedPart['rows']): InputsFile['records'][number]['quality'] {
  const stretches: InputsFile['records'][number]['quality'] = [];
  let before = '';
  for (const [index, { quality, exporting }] of rows.entries()) {
    const odd = CONDUCTORS.filter((name) => quality[name] === 'uncertain').map((name) => [name, 'uncertain' as const]);
    const word = JSON.stringify([odd, exporting]);
    const last = stretches.at(-1);
    if (odd.length > 0 || exporting.length > 0) {
      if (last !== undefined && last.to === index - 1 && word === before) last.to = index;
      else
        stretches.push({
          from: index,
          to: index,
          ...Object.fromEntries(odd),
          ...(exporting.length > 0 && { exporting: [...exporting] }),
        });
    }
    before = word;
  }
  return stretches;
}

function wordAhead(word: TransformerWord, byMs: number): TransformerWord {
  return { ...word, overSinceMs: word.overSinceMs + byMs, operatedMs: word.operatedMs + byMs };
}
