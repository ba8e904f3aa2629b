// The verb `simulate`: one feeder in the closed loop for a day or a year, without control and with it: what the feeder
// carried, what control did, and what it cost each customer.
import { writeFileSync } from 'node:fs';
import type { Action } from '../../control/types.ts';
import { rounded } from '../../feeder.ts';
import { chartPage, chartPlace, type LineChart } from '../report/chart-page.ts';
import { escaped } from '../report/html.ts';
import { tableHtml } from '../report/html-page.ts';
import { tableText } from '../study/rows.ts';
import { CONTROLLERS, type ControllerName, loopOf } from './controllers.ts';
import { DAYS } from './data.ts';
import { SLOT_STEPS } from './head-watch.ts';
import { wallMsOf } from './messenger.ts';
import type { Plant, YearResult } from './plant.ts';
import { assumptionsOf, feederOf, loadData, plantOptions, scenarioOf } from './scenario.ts';

export interface SimulateOptions {
  readonly data?: string | undefined;
  readonly feeder?: string | undefined;
  readonly controller: Exclude<ControllerName, 'none'>;
  readonly evs?: number | undefined;
  /** How many sections downstream have a meter of their own. */
  readonly sections: number;
  readonly seed: number;
  /** 1 to 365; the whole year without it. */
  readonly day?: number | undefined;
  /** `enwl` or `ieee`. */
  readonly homes: string;
  readonly heatPumps: number;
  readonly tariff: number;
  readonly report?: string | undefined;
  readonly json?: boolean | undefined;
}

interface Trace {
  readonly result: YearResult;
  readonly actions: readonly { readonly feederId: string; readonly action: Action }[];
  /** Per five minutes: the highest current of each phase at the head, and the highest thermal state, percent. */
  readonly times: readonly number[];
  readonly currents: readonly [number[], number[], number[]];
  readonly heat: readonly number[];
}

interface SimulationDocument {
  readonly feeder: string;
  readonly evs: number;
  readonly seed: number;
  readonly day: number | null;
  readonly controller: string;
  readonly without: ReturnType<typeof summaryOf>;
  readonly with: ReturnType<typeof summaryOf>;
  readonly customers: readonly {
    readonly car: number;
    readonly home: number;
    readonly chargerA: number;
    readonly occasions: number;
    readonly minutes: number;
    /** Energy that came later than it would have, or not at all. */
    readonly kwhLate: number;
    /** Sessions that ended short of what the car wanted. */
    readonly unfinished: number;
  }[];
  readonly events: readonly ReturnType<typeof eventOf>[];
  readonly assumptions: readonly string[];
}

/** The exit code: 0 done, 2 for data, a feeder or a day that is not there. */
export function simulateVerb(options: SimulateOptions): number {
  try {
    process.stdout.write(simulated(options));
    return 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`headroom: ${error.message}\n`);
    return 2;
  }
}

function simulated({
  data: folder,
  feeder: name,
  controller,
  evs,
  sections,
  seed,
  day,
  homes,
  heatPumps,
  tariff,
  report,
  json,
}: SimulateOptions): string {
  if (day !== undefined && (day < 1 || day > DAYS)) throw new RangeError(`day ${day}, expected 1 to ${DAYS}`);
  if (!CONTROLLERS.includes(controller))
    throw new RangeError(`controller ${controller}, expected one of ${CONTROLLERS.join(', ')}`);
  const data = loadData(folder, name);
  const feeder = feederOf(data, name);
  const options = plantOptions({ homes, heatPumps, tariff });
  const { plant, cars: all } = scenarioOf(data, feeder, options);
  const count = Math.min(all.length, evs ?? feeder.phaseOf.length);
  const cars = all.slice(0, count);
  const range = day === undefined ? {} : { fromDay: day - 1, toDay: day };
  const run = (which: ControllerName): Trace => traced(plant, seed, which, cars, { ...range, sections });
  const [without, controlled] = [run('none'), run(controller)];
  const notes = [`data: ${data.origin}`, ...assumptionsOf(data, options, sections)];
  const document: SimulationDocument = {
    feeder: feeder.name,
    evs: count,
    seed,
    day: day ?? null,
    controller,
    without: summaryOf(without.result),
    with: summaryOf(controlled.result),
    customers: cars.map(({ home, driver }, car) => ({
      car: car + 1,
      home: home + 1,
      chargerA: driver.chargerA,
      occasions: controlled.result.occasions[car] ?? 0,
      minutes: rounded(controlled.result.minutes[car] ?? 0, 1),
      kwhLate: rounded(((controlled.result.minutes[car] ?? 0) / 60) * driver.chargerA * 0.23, 2),
      unfinished: controlled.result.unfinishedOf[car] ?? 0,
    })),
    events: controlled.actions.map(eventOf),
    assumptions: notes,
  };
  if (report !== undefined) writeFileSync(report, page(document, without, controlled));
  return json === true ? `${JSON.stringify(document, null, 2)}\n` : textOf(document);
}

function traced(
  plant: Plant,
  seed: number,
  which: ControllerName,
  cars: Parameters<Plant['run']>[1],
  { sections, ...range }: { fromDay?: number; toDay?: number; sections: number },
): Trace {
  const actions: { feederId: string; action: Action }[] = [];
  const times: number[] = [];
  const currents: Trace['currents'] = [[], [], []];
  const heat: number[] = [];
  let slot = -1;
  const result = plant.run(seed, cars, {
    ...range,
    stopAtViolation: false,
    loop: loopOf(plant, which, seed, { sections, action: (action, feederId) => actions.push({ feederId, action }) }),
    watch(fromStep, _to, currentsA, heatNow) {
      const now = Math.floor(fromStep / SLOT_STEPS);
      if (now !== slot) {
        times.push(wallMsOf(now * SLOT_STEPS) / 1000);
        for (const phase of currents) phase.push(0);
        heat.push(0);
        slot = now;
      }
      const last = times.length - 1;
      for (const [phase, values] of currents.entries())
        values[last] = rounded(Math.max(values[last] ?? 0, currentsA[phase] ?? 0), 1);
      heat[last] = rounded(Math.max(heat[last] ?? 0, 100 * Math.max(...heatNow)), 1);
    },
  });
  return { result, actions, times, currents, heat };
}

function summaryOf(result: YearResult) {
  return {
    peakThermalPercent: rounded(result.peakThermalPercent, 1),
    hoursOverRating: result.overRatingHalfHours / 2,
    secondsOver125PercentOfFuse: result.overFuseS,
    lowestVoltageV: rounded(result.lowestVoltageV, 1),
    sessions: result.sessions,
    unfinished: result.unfinished,
    episodes: result.episodes,
  };
}

function eventOf({ feederId, action }: Trace['actions'][number]) {
  const at = new Date(wallMsOf(0) + action.atMs).toISOString();
  if (action.kind === 'event') {
    const { type, element, phase, currentA, reason } = action;
    return {
      at,
      feederId,
      type,
      element,
      phase,
      currentA: currentA === undefined ? undefined : rounded(currentA),
      reason,
    };
  }
  const { trigger, levelPercent, reason } = action;
  return { at, feederId, type: action.action, element: trigger.element, phase: trigger.phase, levelPercent, reason };
}

const CUSTOMER_COLUMNS = ['car', 'home', 'charger', 'occasions', 'minutes', 'kWh late', 'not finished'];

/** Those whom a limit has touched, or who left short. */
function customerRows({ customers }: SimulationDocument): string[][] {
  return customers
    .filter(({ occasions, unfinished }) => occasions > 0 || unfinished > 0)
    .map(({ car, home, chargerA, occasions, minutes, kwhLate, unfinished }) =>
      [car, home, `${chargerA} A`, occasions, minutes, kwhLate, unfinished].map(String),
    );
}

function summaryRows({ without, with: controlled }: SimulationDocument): string[][] {
  const names = {
    peakThermalPercent: 'highest thermal state, %',
    hoursOverRating: 'hours over the rating',
    secondsOver125PercentOfFuse: 'seconds over 1.25 times the fuse',
    lowestVoltageV: 'lowest voltage, V',
    sessions: 'sessions',
    unfinished: 'sessions not finished at departure',
    episodes: 'episodes',
  } as const;
  return Object.entries(names).map(([key, name]) => {
    const of = key as keyof typeof names;
    return [name, String(without[of]), String(controlled[of])];
  });
}

function textOf(document: SimulationDocument): string {
  const { feeder, evs, seed, day, controller, events, assumptions } = document;
  const title = `feeder ${feeder}, ${evs} EVs, seed ${seed}, ${day === null ? 'the whole year' : `day ${day}`}`;
  const shown = events.map(({ at, feederId, type, element, phase, reason, ...rest }) => [
    at,
    feederId,
    phase ?? '',
    type,
    element ?? '',
    'levelPercent' in rest ? levelsText(rest.levelPercent) : '',
    reason,
  ]);
  return [
    `${title}\n`,
    tableText(['', 'without control', controller], summaryRows(document)),
    tableText(CUSTOMER_COLUMNS, customerRows(document)),
    shown.length === 0
      ? 'no event\n'
      : tableText(['UTC', 'feeder', 'phase', 'event', 'element', 'level', 'reason'], shown),
    `${assumptions.map((line) => `  ${line}`).join('\n')}\n`,
  ].join('\n');
}

function levelsText(levels: { readonly [name: string]: number | undefined }): string {
  return Object.entries(levels)
    .map(([name, level]) => `${name} ${level} %`)
    .join(', ');
}

function page(document: SimulationDocument, without: Trace, controlled: Trace): string {
  const chart = (title: string, { times, currents, heat }: Trace): LineChart => ({
    title,
    xLabel: 'UTC',
    x: times,
    isTime: true,
    series: [
      ...currents.map((values, phase) => ({ label: `L${phase + 1}, A`, values })),
      { label: 'highest thermal state, %', values: heat },
    ],
  });
  const charts = [chart('Without control', without), chart(`With control: ${document.controller}`, controlled)];
  const { feeder, evs, seed, day, assumptions, events } = document;
  const eventRows = events.map(({ at, feederId, type, phase, reason }) => [at, feederId, phase ?? '', type, reason]);
  const body = `<p class="notice">${evs} EVs, seed ${seed}, ${day === null ? 'the whole year' : `day ${day}`}; the highest of every five minutes at the head. Not protection: the fuse stays the backstop.</p>
<section>${charts.map((one, index) => chartPlace(index, one)).join('\n')}</section>
<section><h2>In numbers</h2>${tableHtml(['', 'without control', document.controller], summaryRows(document))}</section>
<section><h2>Customers whom a limit touched, or who left short</h2>${tableHtml(CUSTOMER_COLUMNS, customerRows(document))}</section>
<section><h2>Events</h2>${tableHtml(['UTC', 'feeder', 'phase', 'event', 'reason'], eventRows)}</section>
<section><h2>What it rests on</h2><ul>${assumptions.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul></section>`;
  return chartPage(`Simulation of feeder ${feeder}`, body, charts);
}
