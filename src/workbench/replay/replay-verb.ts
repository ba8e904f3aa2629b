// The verb `replay`: runs the traces, prints what was found, and says on stderr what could not be read.
import { writeFileSync } from 'node:fs';
import { configurationOrProblems } from '../../configuration.ts';
import { readMapping } from '../trace/mapping.ts';
import { TraceProblem } from '../trace/problem.ts';
import { progressBar } from './progress-bar.ts';
import { replay } from './replay.ts';
import { brokenText, replayJson, replayText } from './show-results.ts';

export interface ReplayOptions {
  readonly mapping?: string | undefined;
  readonly feeder?: string | undefined;
  readonly gap?: number | undefined;
  readonly strict?: boolean | undefined;
  /** Prints no results: the report or a caller has them. */
  readonly quiet?: boolean | undefined;
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
  const bar = progressBar(process.stderr);
  try {
    const { gap: gapS, strict, feeder } = options;
    const result = await replay({
      configuration,
      traces,
      mapping,
      feeder,
      gapS,
      strict,
      charts: options.report !== undefined,
      progress: bar.show,
    });
    bar.clear();
    process.stderr.write(brokenText(result));
    if (options.report !== undefined) {
      const { reportHtml } = await import('../report/report.ts');
      writeFileSync(options.report, reportHtml({ configuration, traces, result }));
    }
    if (options.quiet !== true) process.stdout.write(options.json === true ? replayJson(result) : replayText(result));
    return 0;
  } catch (error) {
    bar.clear();
    if (!(error instanceof TraceProblem)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}
