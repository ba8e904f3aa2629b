// Jobs over all cores. What is done is kept in a file, one line a job, where one is given: a study that was stopped goes
// on from there.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Job, JobResult } from './jobs.ts';

export interface PoolOptions {
  readonly folder: string | undefined;
  readonly feeder: string | undefined;
  readonly workers?: number | undefined;
  readonly resumeFile?: string | undefined;
  readonly progress: (share: number, done: number) => void;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #workers: Worker[] = [];
  readonly #known: Map<string, JobResult>;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#known = knownOf(options.resumeFile);
  }

  /** The results in the order of the jobs. Rejects when a worker fails. */
  async run(jobs: readonly Job[]): Promise<JobResult[]> {
    const { workers = availableParallelism(), resumeFile, progress } = this.#options;
    const results: (JobResult | undefined)[] = jobs.map((job) => this.#known.get(JSON.stringify(job)));
    const todo = jobs.flatMap((job, index) => (results[index] === undefined ? [{ job, index }] : []));
    let done = jobs.length - todo.length;
    progress(done / jobs.length, done);
    const work = async (worker: Worker) => {
      for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
        const { job, index } = next;
        const result = await ask(worker, job);
        results[index] = result;
        this.#known.set(JSON.stringify(job), result);
        if (resumeFile !== undefined) appendFileSync(resumeFile, `${JSON.stringify({ job, result })}\n`);
        done++;
        progress(done / jobs.length, done);
      }
    };
    await Promise.all(Array.from({ length: Math.min(workers, todo.length) }, (_, at) => work(this.#worker(at))));
    return results.filter((result) => result !== undefined);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #worker(at: number): Worker {
    const { folder, feeder } = this.#options;
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    this.#workers[at] ??= new Worker(new URL(file, import.meta.url), { workerData: { folder, feeder } });
    return this.#workers[at];
  }
}

function ask(worker: Worker, job: Job): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const done = (result: JobResult) => {
      worker.off('error', failed);
      resolve(result);
    };
    const failed = (error: unknown) => {
      worker.off('message', done);
      reject(error);
    };
    worker.once('message', done);
    worker.once('error', failed);
    worker.postMessage(job);
  });
}

/** A last line that was cut off by the end of the process is left out. */
function knownOf(file: string | undefined): Map<string, JobResult> {
  const known = new Map<string, JobResult>();
  if (file === undefined || !existsSync(file)) return known;
  const lines = readFileSync(file, 'utf8').split('\n');
  for (const line of lines.slice(0, -1)) {
    const { job, result } = JSON.parse(line) as { job: Job; result: JobResult };
    known.set(JSON.stringify(job), result);
  }
  return known;
}
