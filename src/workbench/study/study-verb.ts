// The verb `study`: hosting capacity of one feeder or of all of them, without and with control.

import { progressBar } from '../replay/progress-bar.ts';
import type { StudyData } from '../simulate/data.ts';
import type { PlantOptions } from '../simulate/plant.ts';
import { assumptionsOf, feederOf, halfOf, loadData, plantOptions } from '../simulate/scenario.ts';
import { type FleetDistance, fleetDistances, fleetRow } from './fleet.ts';
import type { Job, JobResult } from './jobs.ts';
import { kindOf, manyFeedersJson, manyFeedersText } from './many-feeders.ts';
import { Pool } from './pool.ts';
import { writeFleetReport, writeManyFeedersReport, writeStudyReport } from './report.ts';
import { COLUMNS, COMPARED, CONTROLLED, cellsOf, type Row, STRESSED, studyJson, tableText } from './rows.ts';

export interface StudyOptions {
  readonly data?: string | undefined;
  /** A name, or `all`. */
  readonly feeder?: string | undefined;
  readonly mode: 'proportional' | 'onOff';
  /** How many sections downstream have a meter of their own. */
  readonly sections: number;
  readonly seeds: number;
  /** Other seeds than those that control was tried with while it was made. */
  readonly firstSeed: number;
  /** `enwl` or `ieee`. */
  readonly homes: string;
  readonly heatPumps: number;
  readonly tariff: number;
  readonly table?: boolean | undefined;
  /** The fleet against what was measured, and no capacity. */
  readonly fleet?: boolean | undefined;
  readonly workers?: number | undefined;
  readonly resume?: string | undefined;
  readonly report?: string | undefined;
  readonly json?: boolean | undefined;
}

/** The exit code: 0 done, 2 for data or a feeder that is not there. */
export async function studyVerb(options: StudyOptions): Promise<number> {
  if (!['proportional', 'onOff'].includes(options.mode)) {
    process.stderr.write(`headroom: mode ${options.mode}, expected proportional or onOff\n`);
    return 2;
  }
  const bar = progressBar(process.stderr, 'jobs');
  const pool = new Pool({
    folder: options.data,
    feeder: options.feeder,
    workers: options.workers,
    resumeFile: options.resume,
    progress: bar.show,
  });
  try {
    const data = loadData(options.data, options.feeder);
    const study = new Study(data, pool, options);
    process.stderr.write(study.preface());
    if (options.fleet === true) {
      process.stdout.write(fleetText(data, options));
      return 0;
    }
    const text = options.feeder === 'all' ? await study.allFeeders() : await study.oneFeeder();
    bar.clear();
    process.stdout.write(text);
    return 0;
  } catch (error) {
    bar.clear();
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`headroom: ${error.message}\n`);
    return 2;
  } finally {
    await pool.close();
  }
}

function fleetText(data: StudyData, { report, json }: StudyOptions): string {
  const distances = fleetDistances(data);
  if (report !== undefined) writeFleetReport(report, distances);
  if (json === true) return `${JSON.stringify(distances.map(fleetRow), null, 2)}\n`;
  if (distances.length === 0) return 'no measured curve in this data\n';
  const rows = distances.map((one) => Object.values(fleetRow(one)).map(String));
  return tableText(Object.keys(fleetRow(distances[0] as FleetDistance)), rows);
}

class Study {
  readonly #data: StudyData;
  readonly #pool: Pool;
  readonly #options: StudyOptions;
  readonly #plant: PlantOptions;

  constructor(data: StudyData, pool: Pool, options: StudyOptions) {
    this.#data = data;
    this.#pool = pool;
    this.#options = options;
    this.#plant = plantOptions(options);
  }

  preface(): string {
    const lines = [
      `data: ${this.#data.origin}; ${this.#options.seeds} seed-years from seed ${this.#options.firstSeed}; thermal time constant and chain as below`,
      ...assumptionsOf(this.#data, this.#plant, this.#options.sections),
    ];
    return `${lines.map((line) => `  ${line}`).join('\n')}\n`;
  }

  async oneFeeder(): Promise<string> {
    const { mode, seeds, json, table, report } = this.#options;
    const feeder = feederOf(this.#data, this.#options.feeder);
    const rows: Row[] = [
      { name: 'no control', controller: 'none' },
      { name: `Headroom, ${mode}`, controller: mode },
    ];
    const compared = table === true ? COMPARED : rows;
    const results = await this.#pool.run(compared.map((row) => this.#job(feeder.name, row, 'budgeted')));
    const find = (controller: string) => results[compared.findIndex((row) => row.controller === controller)];
    const [without, controlled] = [find('none'), find(mode)];
    if (without === undefined || controlled === undefined) throw new Error('a row is missing');
    const document = studyJson(feeder.name, seeds, without, controlled);
    const stressed = table === true ? await this.#stressed(feeder.name, controlled.evs) : null;
    if (report !== undefined) {
      const curve = await this.#curve(feeder.name, mode, without, controlled);
      writeStudyReport(report, {
        title: feeder.name,
        document,
        compared,
        results,
        stressed,
        curve,
        notes: this.preface(),
      });
    }
    if (json === true) return `${JSON.stringify(document, null, 2)}\n`;
    const head = `feeder ${feeder.name}, ${feeder.phaseOf.length} homes, ${feeder.headRatingA} A, half: ${halfOf(this.#data, feeder)}\n`;
    const main = tableText(
      ['', ...COLUMNS],
      compared.map((row, at) => [row.name, ...cellsOf(results[at] ?? without)]),
    );
    const uplift = `uplift ${document.upliftPercent ?? 'of nothing'} %: ${document.without.evs} to ${document.with.evs} EVs\n`;
    if (stressed === null) return head + main + uplift;
    const under = tableText(
      [`with ${Math.max(0, controlled.evs)} EVs`, ...COLUMNS],
      STRESSED.map((row, at) => [row.name, ...cellsOf(stressed[at] ?? without)]),
    );
    return `${head}${main}${uplift}\n${under}`;
  }

  async allFeeders(): Promise<string> {
    const { mode, json, table, seeds, report } = this.#options;
    const names = this.#data.feeders.map(({ name }) => name);
    const bare = await this.#pool.run(
      names.map((name) => this.#job(name, { name: '', controller: 'none' }, 'budgeted')),
    );
    const all = names.flatMap((name, at) => {
      const without = bare[at];
      return without === undefined ? [] : [{ name, without }];
    });
    // Control says nothing of a feeder that is full without any EV, or never short.
    const short = all.filter(({ without }) => kindOf(without) === 'short');
    const rows = CONTROLLED.filter(({ controller }) => table === true || controller === mode);
    const results = await this.#pool.run(
      short.flatMap(({ name }) => rows.map((row) => this.#job(name, row, 'budgeted'))),
    );
    const controlledOf = (at: number) =>
      rows.flatMap(({ controller }, row) => {
        const result = results[at * rows.length + row];
        return result === undefined ? [] : [[controller, result] as const];
      });
    const feeders = all.map((one) => {
      const at = short.indexOf(one);
      return { ...one, controlled: new Map(at < 0 ? [] : controlledOf(at)) };
    });
    if (report !== undefined) writeManyFeedersReport(report, { feeders, mode, rows, notes: this.preface() });
    if (json === true) return `${JSON.stringify(manyFeedersJson(feeders, mode, seeds), null, 2)}\n`;
    return manyFeedersText(feeders, mode, rows);
  }

  async #stressed(feeder: string, evs: number): Promise<JobResult[]> {
    return this.#pool.run(STRESSED.map((row) => this.#job(feeder, row, Math.max(0, evs))));
  }

  /** Over-rating time and customer minutes against EVs, without and with control. */
  async #curve(feeder: string, mode: 'proportional' | 'onOff', without: JobResult, controlled: JobResult) {
    const most = Math.min(without.carsMax, Math.max(without.evs, controlled.evs, 4) * 1.5);
    const counts = Array.from({ length: 9 }, (_, at) => Math.round((most * at) / 8));
    const jobs = counts.flatMap((evs) =>
      (['none', mode] as const).map((controller) => ({
        ...this.#job(feeder, { name: '', controller }, evs),
        seeds: Math.min(10, this.#options.seeds),
      })),
    );
    const results = await this.#pool.run(jobs);
    return counts.map((evs, at) => ({
      evs,
      without: results[2 * at]?.outcome ?? null,
      with: results[2 * at + 1]?.outcome ?? null,
    }));
  }

  #job(feeder: string, { controller, stress, tariffShare }: Row, evs: Job['evs']): Job {
    const plant = { ...this.#plant, ...(tariffShare !== undefined && { tariffShare }) };
    const { seeds, firstSeed } = this.#options;
    // Only ours has use for more meters.
    const sections = controller === 'proportional' || controller === 'onOff' ? this.#options.sections : 0;
    return {
      feeder,
      plant,
      controller,
      stress,
      ...(sections > 0 && { sections }),
      seeds,
      ...(firstSeed !== 1 && { firstSeed }),
      evs,
    };
  }
}
