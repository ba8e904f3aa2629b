// Runs the seeds that it is sent, one after another, beside others on the other cores.
import { parentPort } from 'node:worker_threads';
import { planOf } from './plan.ts';
import { World } from './world.ts';

parentPort?.on('message', async ({ seed, hours }: { seed: number; hours: number }) => {
  const plan = planOf(seed, hours);
  parentPort?.postMessage({ seed, plan, outcome: await new World(plan).run() });
});
