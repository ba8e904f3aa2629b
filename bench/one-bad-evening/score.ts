// From the results of all rounds to one row for each contestant and scenario, median and worst, and the table of them.
import { isTimed } from './plan.ts';
import type { Result } from './rig.ts';
import type { Scenario } from './scenarios.ts';

export interface Spread {
  readonly median: number;
  readonly worst: number;
}

/** Of all rounds together. A quantile is null where fewer than one sample would lie above it. */
export interface Latency {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number | null;
  readonly p999Ms: number | null;
}

export interface Row {
  readonly scenario: string;
  readonly contestant: string;
  readonly rounds: number;
  readonly expected: Spread;
  readonly unseen: Spread;
  readonly lost: Spread;
  readonly expired: Spread;
  readonly wrong: Spread;
  readonly doubles: Spread;
  readonly outOfOrder: Spread;
  /** Until the first right request after the link's return, s of the evening; null where there is no return. */
  readonly returnS: Spread | null;
  /** Of the scenarios without faults; else null. */
  readonly latency: Latency | null;
  /** Over the floor's. */
  readonly ratio: { readonly p50: number; readonly p99: number | null; readonly p999: number | null } | null;
  readonly cpuPercent: Spread;
  readonly residentMb: Spread;
  readonly writtenMb: Spread;
  /** Rounds in which it ended by itself. */
  readonly died: number;
}

export const FLOOR = 'c-floor';

export function score(
  results: readonly Result[],
  scenarios: readonly Scenario[],
  contestants: readonly { readonly name: string }[],
): Row[] {
  const rows: Row[] = [];
  for (const scenario of scenarios) {
    const { name } = scenario;
    const here = results.filter(({ scenario }) => scenario === name);
    const floor = latencyOf(here.filter(({ contestant }) => contestant === FLOOR));
    for (const { name: contestant } of contestants) {
      const own = here.filter((one) => one.contestant === contestant);
      if (own.length === 0) continue;
      const latency = isTimed(scenario) ? latencyOf(own) : null;
      rows.push({
        scenario: name,
        contestant,
        rounds: own.length,
        expected: spread(own, (one) => one.expected),
        unseen: spread(own, (one) => one.unseen),
        lost: spread(own, (one) => one.lost),
        expired: spread(own, (one) => one.expired),
        wrong: spread(own, (one) => one.wrong),
        doubles: spread(own, (one) => one.doubles),
        outOfOrder: spread(own, (one) => one.outOfOrder),
        returnS: own[0]?.returnsMs.length ? spread(own, returnS) : null,
        latency,
        ratio:
          latency === null || floor === null
            ? null
            : {
                p50: latency.p50Ms / floor.p50Ms,
                p99: over(latency.p99Ms, floor.p99Ms),
                p999: over(latency.p999Ms, floor.p999Ms),
              },
        cpuPercent: spread(own, (one) => one.used.cpuPercent),
        residentMb: spread(own, (one) => one.used.residentMb),
        writtenMb: spread(own, (one) => one.used.writtenMb),
        died: own.filter(({ died }) => died !== null).length,
      });
    }
  }
  return rows;
}

function returnS({ returnsMs }: Result): number {
  return Math.max(...returnsMs.map((ms) => (ms === null ? Number.POSITIVE_INFINITY : ms / 1000)));
}

function spread(results: readonly Result[], of: (result: Result) => number): Spread {
  return spreadOf(results.map(of));
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, worst: sorted.at(-1) ?? 0 };
}

function over(own: number | null, floor: number | null): number | null {
  return own === null || floor === null ? null : own / floor;
}

function latencyOf(results: readonly Result[]): Latency | null {
  const sorted = results.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const samples = sorted.length;
  if (samples === 0) return null;
  const at = (share: number) => sorted[Math.ceil(share * samples) - 1] ?? 0;
  const honest = (share: number) => (samples * (1 - share) < 1 - 1e-9 ? null : at(share));
  return { samples, p50Ms: at(0.5), p99Ms: honest(0.99), p999Ms: honest(0.999) };
}

export const NOTE =
  'Median of the rounds, the worst in brackets where it differs. Latency: from the answer that showed it, all rounds together; a quantile where at least one sample lies above it; × floor: p50, p99, p99.9.';

/** The same for all tables, so that they stand under each other. */
const NAME_WIDTH = 18;

type Column = readonly [heading: string, of: (row: Row) => string];

export const COLUMNS: readonly Column[] = [
  ['expected', (row) => String(row.expected.median)],
  ['unseen', (row) => both(row.unseen)],
  ['lost', (row) => both(row.lost)],
  ['expired', (row) => both(row.expired)],
  ['wrong', (row) => both(row.wrong)],
  ['doubles', (row) => both(row.doubles)],
  ['disorder', (row) => both(row.outOfOrder)],
  ['return s', (row) => (row.returnS === null ? '' : both(row.returnS, 1))],
  ['samples', (row) => number(row.latency?.samples, 0)],
  ['p50 ms', (row) => number(row.latency?.p50Ms, 2)],
  ['p99', (row) => number(row.latency?.p99Ms, 2)],
  ['p99.9', (row) => number(row.latency?.p999Ms, 2)],
  ['× floor', ratios],
  ['cpu %', (row) => number(row.cpuPercent.median, 1)],
  ['MB', (row) => number(row.residentMb.worst, 0)],
  ['written MB', (row) => number(row.writtenMb.median, 2)],
];

/** Over the floor's: p50, p99, p99.9. */
export function ratios({ ratio }: Row): string {
  return ratio === null
    ? ''
    : [ratio.p50, ratio.p99, ratio.p999]
        .map((one) => number(one, 2))
        .join(' ')
        .trimEnd();
}

/** Median, and the worst where it differs. */
export function both({ median, worst }: Spread, digits = 0): string {
  const [a, b] = [number(median, digits), number(worst, digits)];
  return a === b ? a : `${a} (${b})`;
}

export function number(value: number | null | undefined, digits: number): string {
  if (value === undefined || value === null) return '';
  return Number.isFinite(value) ? value.toFixed(digits) : 'never';
}

export function table(rows: readonly Row[], skipped: readonly string[]): string {
  const lines: string[] = [];
  for (const scenario of new Set(rows.map((row) => row.scenario))) {
    const here = rows.filter((row) => row.scenario === scenario);
    const cells = here.map((row) => [row.contestant, ...COLUMNS.map(([, of]) => of(row)), row.died ? 'died' : '']);
    lines.push(...aligned([[scenario, ...COLUMNS.map(([heading]) => heading), ''], ...cells]), '');
  }
  lines.push(NOTE);
  for (const line of new Set(skipped)) lines.push(`left out: ${line}`);
  return lines.join('\n');
}

/** Headings first; a column without anything in it is left out. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const columns = (rows[0] ?? []).map((_, column) => rows.map((row) => row[column] ?? ''));
  const used = columns.filter((cells, column) => column === 0 || cells.slice(1).some((cell) => cell !== ''));
  const padded = used.map((cells, column) => {
    const width = column === 0 ? NAME_WIDTH : Math.max(...cells.map(({ length }) => length));
    return cells.map((cell) => (column === 0 ? cell.padEnd(width) : cell.padStart(width)));
  });
  return rows.map((_, row) =>
    padded
      .map((cells) => cells[row])
      .join('  ')
      .trimEnd(),
  );
}
