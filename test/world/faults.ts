// What goes wrong in the simulated world around the program, each for its time: broker, wire, head end, meter, disk and
// clocks. What ends the program itself is the world's own.
import type { Random } from '../simulators/random.ts';
import type { Broker } from './broker.ts';
import type { Defect, Disk } from './disk.ts';
import type { HeadEnd } from './head-end.ts';
import type { LinkLog } from './link-log.ts';
import type { Wall } from './machine-clock.ts';
import type { Meter } from './meter.ts';
import type { Orders } from './orders.ts';
import type { Fault } from './plan.ts';
import type { Timeline } from './timeline.ts';

const HOUR_MS = 3_600_000;
/** After a disk is well again; the keeper tries every second. */
const CATCH_UP_MS = 3_000;
const SLOWEST_MS = { well: 60, slow: 9_000 };

export interface Surroundings {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly broker: Broker;
  readonly headEnd: HeadEnd;
  readonly meter: Meter;
  readonly disk: Disk;
  readonly wall: Wall;
  readonly orders: Orders;
  readonly linkLog: LinkLog;
  readonly isLinkUp: () => boolean;
  readonly storageFails: (how: 'full' | 'ioError' | Defect | null) => void;
  /** What was kept in memory has had time to be written. */
  readonly caughtUp: () => void;
}

export type OuterFault = Exclude<Fault, { kind: 'kill' | 'power' | 'stop' }>;

export function strike(fault: OuterFault, around: Surroundings): void {
  const { timeline, random, broker, headEnd, meter, disk, wall, orders, linkLog } = around;
  const { weather } = broker;
  const { nowMs } = timeline;
  const during = (forMs: number, begin: () => void, over: () => void) => {
    begin();
    timeline.after(forMs, over);
  };
  const weatherDuring = (forMs: number, bad: Partial<typeof weather>, good: Partial<typeof weather>) =>
    during(
      forMs,
      () => Object.assign(weather, bad),
      () => Object.assign(weather, good),
    );
  switch (fault.kind) {
    case 'cut':
      return broker.cutAll('cut');
    case 'halfOpen':
      linkLog.end(nowMs);
      return broker.halfOpenAll();
    case 'forget':
      return broker.forget();
    case 'down':
    case 'blackHole':
      broker.cutAll('the broker went');
      return weatherDuring(
        fault.forMs,
        { isDown: true, isMute: fault.kind === 'blackHole' },
        { isDown: false, isMute: false },
      );
    case 'mute':
      return weatherDuring(fault.forMs, { isMute: true }, { isMute: false });
    case 'refuses':
      linkLog.end(nowMs);
      weatherDuring(fault.forMs, { refuses: true }, { refuses: false });
      return void timeline.after(fault.forMs, () => around.isLinkUp() && linkLog.begin(timeline.nowMs));
    case 'slow':
      return weatherDuring(fault.forMs, { slowestMs: SLOWEST_MS.slow }, { slowestMs: SLOWEST_MS.well });
    case 'headEndAway':
      headEnd.isAway = true;
      return void timeline.after(fault.forMs, () => headEnd.back());
    case 'silent':
    case 'notANumber':
    case 'uncertain':
    case 'frozen':
      return meter.spoil(fault.kind, fault.feeder, nowMs + fault.forMs);
    case 'full':
    case 'ioError':
    case 'lies':
    case 'late':
    case 'forgetful':
      return during(
        fault.forMs,
        () => around.storageFails(fault.kind),
        () => {
          around.storageFails(null);
          timeline.after(CATCH_UP_MS, around.caughtUp);
        },
      );
    case 'history':
      return disk.spoilHistory(fault.how);
    case 'order':
      return orders.give(fault.order);
    case 'clockStep':
      wall.step(fault.byMs, nowMs);
      return void timeline.after(random.between(0, 2 * HOUR_MS), () => wall.synchronise(timeline.nowMs));
    case 'unsynchronised':
      wall.doubt(nowMs);
      return void timeline.after(fault.forMs, () => wall.synchronise(timeline.nowMs));
  }
}

/** Nothing is wrong any more. */
export function calm({ timeline, broker, headEnd, meter, wall, storageFails }: Surroundings): void {
  storageFails(null);
  Object.assign(broker.weather, { isDown: false, isMute: false, refuses: false, slowestMs: SLOWEST_MS.well });
  headEnd.back();
  meter.mend();
  wall.synchronise(timeline.nowMs);
}
