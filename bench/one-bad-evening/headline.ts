// One line for each contestant: what a round of all scenarios cost it, and its latencies where they are best counted.
import type { Result } from './rig.ts';
import { aligned, both, number, type Row, ratios, spreadOf } from './score.ts';

/** One feeder, so the latency is that of one transition by itself, and samples enough for p99.9. */
const LATENCY_OF = 'clean-10ms';
const RETURN_OF = 'broker-10s';

export function headline(results: readonly Result[], rows: readonly Row[]): string {
  const scenarios = new Set(rows.map(({ scenario }) => scenario)).size;
  const lines = [...new Set(rows.map(({ contestant }) => contestant))].map((name) => {
    const own = results.filter(({ contestant }) => contestant === name);
    const inRound = (of: (result: Result) => number) => both(spreadOf(sumsByRound(own, of)));
    const rowOf = (scenario: string) => rows.find((row) => row.contestant === name && row.scenario === scenario);
    const [timed, returned] = [rowOf(LATENCY_OF), rowOf(RETURN_OF)?.returnS];
    return [
      name,
      inRound((one) => one.expected),
      inRound((one) => one.lost),
      inRound((one) => one.expired),
      inRound((one) => one.wrong),
      inRound((one) => one.doubles),
      inRound((one) => one.outOfOrder),
      returned ? both(returned, 1) : '',
      number(timed?.latency?.p50Ms, 2),
      number(timed?.latency?.p99Ms, 2),
      number(timed?.latency?.p999Ms, 2),
      timed === undefined ? '' : ratios(timed),
      number(timed?.cpuPercent.median, 1),
      number(timed?.residentMb.worst, 0),
    ];
  });
  const headings = ['in a round', 'expected', 'lost', 'expired', 'wrong', 'doubles', 'disorder'];
  const more = ['return s', 'p50 ms', 'p99', 'p99.9', '× floor', 'cpu %', 'MB'];
  return [
    ...aligned([[...headings, ...more], ...lines]),
    `All ${scenarios} scenarios of a round together; return: ${RETURN_OF}; latency, cpu and MB: ${LATENCY_OF}.`,
  ].join('\n');
}

function sumsByRound(results: readonly Result[], of: (result: Result) => number): number[] {
  const byRound = Map.groupBy(results, ({ round }) => round);
  return [...byRound.values()].map((some) => some.reduce((sum, one) => sum + of(one), 0));
}
