// Two independent Mosquittos, each with a head end of its own, and substations that prefer one of them: when one goes,
// its substations go on at the other, and every request is accepted, with one session of each substation at a time.
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { newDevice } from '../../src/workbench/headend/fleet.ts';
import { openHeadEnd } from '../../src/workbench/headend/head-end.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { until } from '../uplink/site.ts';
import { Substation } from './substation.ts';

const SUBSTATIONS = 12;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

describe.skipIf(!mosquittoOrSkip())('a pair of brokers', { timeout: 60_000 }, () => {
  test('takes over from one another: each request is accepted, and no substation is with both', async () => {
    const clock = systemClock();
    const pair = [await Mosquitto.start({ persistence: true }), await Mosquitto.start({ persistence: true })] as const;
    for (const broker of pair) opened.push(() => broker.remove());
    const seen = new Set<string>();
    for (const [index, { url }] of pair.entries()) {
      const headEnd = await openHeadEnd(
        {
          broker: url,
          session: `headend-${index}`,
          roundTripS: 0.05,
          perSecond: 0,
          failureShare: 0,
          effectDelayS: 0.05,
          worker: 0,
          workers: 1,
          fleet: (group) => [newDevice(group, 0, 'apc', 'L2')],
          random: Math.random,
          clock,
        },
        { request: ({ requestId }) => void seen.add(requestId) },
      );
      opened.push(() => headEnd.close());
    }
    const urls = pair.map(({ url }) => url);
    const substations = Array.from({ length: SUBSTATIONS }, (_, index) => {
      const brokers = index % 2 === 0 ? urls : urls.toReversed();
      return new Substation({ substationId: `SUB-${index}`, brokers, clock, random: Math.random, everyS: 0.5 });
    });
    for (const substation of substations) opened.push(() => substation.close());
    const accepted = ({ said }: Substation) =>
      [...said.values()].filter(({ acceptedMs }) => acceptedMs !== null).length;
    await until(() => substations.every((one) => accepted(one) >= 2), 15_000);

    const before = substations.map(accepted);
    const atMs = clock.monotonicMs();
    await pair[0].stop();
    await until(() => substations.every((one, index) => accepted(one) >= (before[index] ?? 0) + 3), 30_000);
    const cutOff = substations.filter(({ links }) => links.some((link) => !link.up && link.atMs >= atMs));
    expect(cutOff).toHaveLength(SUBSTATIONS / 2);
    const backMs = cutOff.map(({ links }) => (links.find((link) => link.up && link.atMs >= atMs)?.atMs ?? 0) - atMs);
    console.log(
      `${cutOff.length} of ${SUBSTATIONS} went over to the other broker, the last after ${Math.round(Math.max(...backMs))} ms`,
    );

    for (const substation of substations) substation.finish();
    await until(() => substations.every(({ open, eventsWaiting }) => open === 0 && eventsWaiting === 0), 20_000);
    const said = substations.flatMap((one) => [...one.said.keys()]);
    expect(said.filter((requestId) => !seen.has(requestId))).toEqual([]);
    // Up and down by turns: a second session would be an up without a down before it.
    for (const { links } of substations)
      expect(links.map(({ up }) => up)).toEqual(links.map((_, index) => index % 2 === 0));
  });
});
