// The verb `replay`: runs the traces, prints what was found, and says on stderr what could not be read.
import { writeFileSync } from 'node:fs';
import { type Configuration, configurationOrProblems } from '../../configuration.ts';
import { readMapping } from '../trace/mapping.ts';
import { TraceProblem } from '../trace/problem.ts';
import { compareJson, compareText } from './compare.ts';
import { progressBar } from './progress-bar.ts';
import { type ReplayInput, replay } from './replay.ts';
import { brokenText, replayJson, replayText } from './show-results.ts';
import { parseSweep, runSweep, type Sweep, sweepJson, sweepText } from './sweep.ts';

export interface ReplayOptions {
  readonly mapping?: string | undefined;
  readonly feeder?: string | undefined;
  readonly initialThermal?: number | undefined;
  readonly gap?: number | undefined;
  readonly strict?: boolean | undefined;
  /** Prints no results: the report or a caller has them. */
  readonly quiet?: boolean | undefined;
  readonly compare?: string | undefined;
  readonly sweep?: string | undefined;
  readonly report?: string | undefined;
  readonly json?: boolean | undefined;
}

/** The exit code: 0 done, 2 for a configuration or a trace that cannot be used. */
export async function replayVerb(config: string, traces: readonly string[], options: ReplayOptions): Promise<number> {
  const configuration = configurationOrProblems(config);
  if (configuration === null) return 2;
  const mapping = options.mapping === undefined ? undefined : readMapping(options.mapping);
  if (typeof mapping === 'string') {
    process.stderr.write(`${mapping}\n`);
    return 2;
  }
  const sweep = options.sweep === undefined ? undefined : parseSweep(options.sweep);
  if (typeof sweep === 'string') {
    process.stderr.write(`${sweep}\n`);
    return 2;
  }
  if (sweep !== undefined && options.compare !== undefined) {
    process.stderr.write('--sweep and --compare, expected one of them\n');
    return 2;
  }
  const other = options.compare === undefined ? undefined : configurationOrProblems(options.compare);
  if (other === null) return 2;
  const bar = progressBar(process.stderr);
  const { gap: gapS, strict, feeder, report, initialThermal: initialThermalPercent } = options;
  const charts = report !== undefined;
  const input = {
    configuration,
    traces,
    mapping,
    feeder,
    gapS,
    initialThermalPercent,
    strict,
    // Two settings side by side are both open loop.
    isChanged: other !== undefined,
    charts,
    progress: bar.show,
  };
  try {
    const text = sweep === undefined ? await replayed(input, other, options) : await swept(input, sweep, options);
    bar.clear();
    if (options.quiet !== true) process.stdout.write(text);
    return 0;
  } catch (error) {
    bar.clear();
    if (!(error instanceof TraceProblem)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

async function replayed(input: ReplayInput, other: Configuration | undefined, options: ReplayOptions): Promise<string> {
  const { configuration, traces } = input;
  const result = await replay(input);
  process.stderr.write(brokenText(result));
  const second =
    other === undefined
      ? undefined
      : { configuration: other, result: await replay({ ...input, configuration: other, charts: false }) };
  if (options.report !== undefined) {
    const { reportHtml } = await import('../report/report.ts');
    writeFileSync(options.report, reportHtml({ configuration, traces, result, other: second }));
  }
  if (second === undefined) return options.json === true ? replayJson(result) : replayText(result);
  return (options.json === true ? compareJson : compareText)({ configuration, result }, second);
}

async function swept(input: ReplayInput, sweep: Sweep, { json, report }: ReplayOptions): Promise<string> {
  const rows = await runSweep({ ...input, charts: false }, sweep);
  if (report !== undefined) {
    const { sweepHtml } = await import('../report/sweep-report.ts');
    writeFileSync(report, sweepHtml(input.configuration, input.traces, sweep, rows));
  }
  return (json === true ? sweepJson : sweepText)(rows, sweep);
}
