// Hosting capacity of many feeders: each with the mode that is asked about, and every controller by its median. Pure.
import type { ControllerName } from '../simulate/controllers.ts';
import { quantile } from './capacity.ts';
import type { JobResult } from './jobs.ts';
import { COLUMNS, cellsOf, type Row, studyJson, tableText, upliftPercent } from './rows.ts';

export interface StudiedFeeder {
  readonly name: string;
  readonly without: JobResult;
  /** Of each controller that was run; of none where control says nothing of the feeder. */
  readonly controlled: ReadonlyMap<ControllerName, JobResult>;
}

const HALVES = ['tuning', 'heldOut', 'both'] as const;
/** What the project is to reach on half of the feeders at least. */
const MUCH_PERCENT = 60;

/** Full or over without any EV, never short with all that there could be, or in between: the only ones that control says something of. */
export function kindOf({ evs, carsMax }: JobResult): 'full' | 'never' | 'short' {
  return evs <= 0 ? 'full' : evs >= carsMax ? 'never' : 'short';
}

/** The document of --json: as for one feeder, with its kind and half. */
export function manyFeedersJson(feeders: readonly StudiedFeeder[], mode: ControllerName, seeds: number): object[] {
  return feeders.map(({ name, without, controlled }) => {
    const [kind, half, held] = [kindOf(without), without.half, controlled.get(mode)];
    return held === undefined
      ? { kind, half, feeder: name, seeds, without: { evs: without.evs } }
      : { kind, half, ...studyJson(name, seeds, without, held) };
  });
}

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function manyFeedersText(feeders: readonly StudiedFeeder[], mode: ControllerName, rows: readonly Row[]): string {
  const { header, rows: cells } = feederTable(feeders, mode);
  const compared = comparedTable(feeders, rows);
  const tail = rows.length > 1 ? `\n${tableText(compared.header, compared.rows)}` : '';
  return `${tableText(header, cells)}${summaryLines(feeders, mode).join('\n')}\n${tail}`;
}

/** One line for each feeder that control says something of. */
export function feederTable(feeders: readonly StudiedFeeder[], mode: ControllerName): Table {
  return {
    header: ['feeder', 'half', 'homes', 'A', 'without', 'uplift', ...COLUMNS],
    rows: feeders.flatMap(({ name, without, controlled }) => {
      const held = controlled.get(mode);
      if (held === undefined) return [];
      const { half, homes, ratingA, evs } = without;
      const uplift = `${upliftPercent(without, held)} %`;
      return [[name, half, String(homes), String(ratingA), String(evs), uplift, ...cellsOf(held)]];
    }),
  };
}

export function summaryLines(feeders: readonly StudiedFeeder[], mode: ControllerName): string[] {
  const apart = (kind: string) => feeders.filter(({ without }) => kindOf(without) === kind).map(({ name }) => name);
  return [
    ...HALVES.map((half) => {
      const uplifts = upliftsOf(feeders, mode, half);
      return `${half}: median uplift ${quantile(uplifts, 0.5)} % over ${uplifts.length} feeders`;
    }),
    `full or over without any EV: ${apart('full').join(', ') || 'none'}`,
    `never short with 2 EVs a home: ${apart('never').join(', ') || 'none'}`,
  ];
}

/** One line for each controller, over the same feeders. */
export function comparedTable(feeders: readonly StudiedFeeder[], rows: readonly Row[]): Table {
  return {
    header: ['median uplift', ...HALVES, 'lowest', `at least ${MUCH_PERCENT} %`, 'fewer than without', 'years over'],
    rows: rows.map(({ name, controller }) => {
      const all = upliftsOf(feeders, controller);
      const over = feeders.map(({ controlled }) => controlled.get(controller)?.outcome?.violatedYears ?? 0);
      return [
        name,
        ...HALVES.map((half) => `${quantile(upliftsOf(feeders, controller, half), 0.5)} %`),
        `${quantile(all, 0)} %`,
        String(all.filter((percent) => percent >= MUCH_PERCENT).length),
        String(all.filter((percent) => percent < 0).length),
        String(over.reduce((sum, years) => sum + years, 0)),
      ];
    }),
  };
}

/** In percent, of the feeders that control says something of, in their order. */
export function upliftsOf(
  feeders: readonly StudiedFeeder[],
  controller: ControllerName,
  half: (typeof HALVES)[number] = 'both',
): number[] {
  return feeders.flatMap(({ without, controlled }) => {
    const held = controlled.get(controller);
    return held === undefined || (half !== 'both' && without.half !== half) ? [] : [upliftPercent(without, held) ?? 0];
  });
}
