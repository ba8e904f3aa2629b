// Cuts a failing plan down to what it takes to fail: fewer faults, fewer feeders, fewer hours. What is left still breaks
// the same rule, though perhaps at another place.
import type { Plan } from './plan.ts';
import { World } from './world.ts';

/** What a breach is called, without its evidence. */
function rule(breach: string): string {
  return breach.split(/[:\d]/)[0] ?? breach;
}

export async function shrink(plan: Plan, breach: string, runsMax = 200): Promise<{ plan: Plan; breach: string }> {
  let best = { plan, breach };
  let runs = 0;
  const stillFails = async (candidate: Plan): Promise<boolean> => {
    if (runs++ >= runsMax) return false;
    const outcome = await new World(candidate).run();
    if (outcome.breach === null || rule(outcome.breach) !== rule(breach)) return false;
    best = { plan: candidate, breach: outcome.breach };
    return true;
  };
  await shorten(() => best, stillFails);
  await dropFaults(() => best.plan, stillFails);
  for (const feeders of [1, 2, 6]) {
    if (feeders < best.plan.feeders && (await stillFails({ ...best.plan, feeders }))) break;
  }
  return best;
}

type StillFails = (candidate: Plan) => Promise<boolean>;

/** Ends it soon after the breach, with the faults until then. */
async function shorten(best: () => { plan: Plan; breach: string }, stillFails: StillFails): Promise<void> {
  const { plan, breach } = best();
  const hour = Number(/at hour ([\d.]+)/.exec(breach)?.[1] ?? plan.hours);
  const hours = Math.min(plan.hours, Math.ceil(hour));
  await stillFails({ ...plan, hours, faults: plan.faults.filter(({ atMs }) => atMs <= hours * 3_600_000) });
}

/** Leaves out runs of faults, half of all at first, then ever shorter ones. */
async function dropFaults(best: () => Plan, stillFails: StillFails): Promise<void> {
  for (
    let length = Math.ceil(best().faults.length / 2);
    length >= 1;
    length = length === 1 ? 0 : Math.ceil(length / 2)
  ) {
    for (let from = 0; from < best().faults.length; ) {
      const { faults } = best();
      const left = [...faults.slice(0, from), ...faults.slice(from + length)];
      if (!(await stillFails({ ...best(), faults: left }))) from += length;
    }
  }
}
