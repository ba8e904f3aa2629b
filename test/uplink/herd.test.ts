// Two thousand substations on one real Mosquitto that restarts: nobody is left out, and they do not all come back in the
// same second. The waits run on a clock that is moved by hand, the connections are real ones.
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Link } from '../../src/uplink/link.ts';
import { uplink as uplinkSchema } from '../../src/uplink-settings.ts';
import { handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { seeded } from '../simulators/random.ts';
import { START_MS, until } from './site.ts';

const SUBSTATIONS = 2_000;
const STEP_MS = 250;
/** A twentieth a second is meant; what chance adds to the fullest of twenty seconds stays under this. */
const SHARE_MAX = 0.08;

describe.skipIf(!mosquittoOrSkip())('a broker with two thousand substations', { timeout: 120_000 }, () => {
  const clock = handClock(START_MS);
  const random = seeded(7);
  const links: Link[] = [];
  /** When a link began the connection that came up, on the clock that is moved by hand: how long it takes is the machine's. */
  let upsMs: number[] = [];
  let broker: Mosquitto;

  /** A step of the clock, and time for sockets to connect or to be refused, so that the next wait begins where it does. */
  async function step(): Promise<void> {
    clock.advance(STEP_MS);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

  beforeAll(async () => {
    broker = await Mosquitto.start({ persistence: true });
    const settings = uplinkSchema.parse({ brokers: [{ url: broker.url }], allowInsecure: true, keepAliveS: 3600 });
    for (let index = 0; index < SUBSTATIONS; index++) {
      let begunMs = 0;
      links.push(
        new Link({
          settings,
          connect: (url, options) => {
            begunMs = clock.monotonicMs();
            return mqtt.connect(url, options);
          },
          clientId: `headroom-SUB-${index}`,
          will: { topic: `headroom/v1/SUB-${index}/status`, payload: () => '{}' },
          subscriptions: [`headroom/v1/SUB-${index}/command`],
          clock,
          random: () => random.between(0, 1),
          urgent: () => false,
          events: {
            up: () => void upsMs.push(begunMs),
            down: () => {},
            alarm: () => {},
            message: (_topic, _payload, _retained, done) => done(),
          },
        }),
      );
      if (index % 100 === 99) await until(() => upsMs.length > index - 50, 20_000);
    }
    await until(() => links.every(({ isUp }) => isUp), 20_000);
  }, 60_000);
  afterAll(async () => {
    await broker?.stop();
    await whileTimeGoes(clock, Promise.all(links.map((link) => link.close(null))), { waitMs: 5 });
    await broker?.remove();
  }, 60_000);

  test.each([
    ['restarts at once', 0],
    ['is away for a minute', 60],
  ])('that %s gets them back a twentieth a second', async (_name, awayS) => {
    await broker.stop();
    await until(() => links.every(({ isUp }) => !isUp), 20_000);
    for (let ms = 0; ms < awayS * 1000; ms += STEP_MS) await step();
    upsMs = [];
    await broker.start();
    const backMs = clock.monotonicMs();
    for (let ms = 0; ms < 61_000 && upsMs.length < SUBSTATIONS; ms += STEP_MS) await step();
    await until(() => links.every(({ isUp }) => isUp), 20_000);
    const perSecond = new Array<number>(62).fill(0);
    for (const atMs of upsMs) {
      const second = Math.min(61, Math.floor((atMs - backMs) / 1000));
      perSecond[second] = (perSecond[second] ?? 0) + 1;
    }
    const longest = perSecond.findLastIndex((count) => count > 0) + 1;
    console.log(`away ${awayS} s: all back in ${longest} s, at most ${Math.max(...perSecond)} a second`);
    expect(upsMs).toHaveLength(SUBSTATIONS);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(SHARE_MAX * SUBSTATIONS);
  });
});
