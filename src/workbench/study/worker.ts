// One worker of a study: loads the data once, then does the jobs that it is given, one at a time.
import { parentPort, workerData } from 'node:worker_threads';
import { loadData } from '../simulate/scenario.ts';
import { type Job, runJob } from './jobs.ts';

const { folder, feeder } = workerData as { folder: string | undefined; feeder: string | undefined };
const data = loadData(folder, feeder);

parentPort?.on('message', (job: Job) => parentPort?.postMessage(runJob(data, job)));
