// Opens every source of a configuration: one connection per host and port, one timer per poll period (a quarter of the
// processor time of a timer per meter, measured), and the feeders bound to the source that carries them.
import type { Clock, Timer } from '../clock.ts';
import type { FeederSettings } from '../feeder-settings.ts';
import type { SourceSettings } from '../source-settings.ts';
import { ModbusConnection } from './modbus-connection.ts';
import { type AcquisitionEvents, type FeederBinding, ModbusSource } from './modbus-source.ts';
import { planCurrents } from './read-plan.ts';
import type { RegisterMap } from './register-map.ts';

export interface Acquisition {
  close(): void;
}

export interface AcquisitionInput {
  readonly sources: readonly SourceSettings[];
  readonly feeders: readonly FeederSettings[];
  readonly registerMaps: ReadonlyMap<string, RegisterMap>;
  readonly clock: Clock;
  /** 0 ≤ random() < 1; jitters reconnects. */
  readonly random: () => number;
  readonly events: AcquisitionEvents;
}

/** Throws when a source has no readable map, which the configuration's checks have ruled out. */
export function openAcquisition(input: AcquisitionInput): Acquisition {
  const { sources, feeders, registerMaps, clock, random, events } = input;
  const connections = new Map<string, ModbusConnection>();
  const polled = new Map<number, ModbusSource[]>();
  for (const settings of sources) {
    const bindings = feeders.filter((feeder) => feeder.currents.source === settings.id).map(bindingOf);
    const map = registerMaps.get(settings.id);
    const plan = map && planCurrents(map);
    if (!plan) throw new Error(`source ${settings.id} has no readable register map`);
    const key = `${settings.host}:${settings.port}`;
    const connection = connections.get(key) ?? new ModbusConnection(settings.host, settings.port, clock, random);
    connections.set(key, connection);
    const source = new ModbusSource(settings, plan, bindings, connection, clock, events);
    polled.set(settings.pollMs, [...(polled.get(settings.pollMs) ?? []), source]);
  }
  const timers = [...polled].map(([pollMs, group]) =>
    every(pollMs, clock, () => {
      for (const source of group) source.poll();
    }),
  );
  return {
    close() {
      for (const timer of timers) timer.cancel();
      for (const connection of connections.values()) connection.close();
    },
  };
}

/** No CT delivers more than this many times its primary current; where that is not known, the rating stands for it. */
const IMPOSSIBLE = 30;

function bindingOf(feeder: FeederSettings): FeederBinding {
  const { primaryA, secondaryA } = feeder.ctRatio ?? { primaryA: null, secondaryA: 1 };
  const ratingA = Math.max(...feeder.settings.map((group) => group.ratingA));
  const plausibility = {
    ratio: primaryA === null ? 1 : primaryA / secondaryA,
    ctPrimaryA: primaryA,
    impossibleA: IMPOSSIBLE * (primaryA ?? ratingA),
  };
  return { feederId: feeder.id, plausibility };
}

/** Calls at whole multiples of the period, so that lateness never adds up; a turn that was missed is left out. */
function every(periodMs: number, clock: Clock, call: () => void): Timer {
  let dueMs = clock.monotonicMs();
  let timer: Timer;
  const turn = () => {
    dueMs += periodMs * Math.max(1, Math.ceil((clock.monotonicMs() - dueMs) / periodMs));
    timer = clock.at(dueMs, turn);
    call();
  };
  timer = clock.at(dueMs, turn);
  return { cancel: () => timer.cancel() };
}
