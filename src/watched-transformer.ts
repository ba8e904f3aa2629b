// The transformer as the controller carries it: with the feeders that hang on it, and its state over a restart.

import type { SteppedTransformer, Taken } from './control/substation.ts';
import { newTransformerState, OWN_ELEMENTS, settleTransformerInto } from './control/transformer.ts';
import { transformerSettings } from './control-settings.ts';
import { type FeederReading, PHASES } from './feeder.ts';
import type { Status } from './messages.ts';
import type { Settings } from './settings.ts';
import { staleAfterMs } from './source-settings.ts';
import { type GivenTransformer, TRANSFORMER } from './transformer-settings.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

export interface WatchedTransformer extends SteppedTransformer {
  readonly feeders: readonly WatchedFeeder[];
}

/** Null where the substation has none, or one without elements, which watches nothing. */
export function watchedTransformer(
  { transformer: given, sources }: Settings,
  all: ReadonlyMap<string, WatchedFeeder>,
): WatchedTransformer | null {
  if (given === undefined || !hasElements(given)) return null;
  const feeders = given.feeders.flatMap((id) => all.get(id) ?? []);
  const meter = sources.find(({ id }) => id === given.currents?.source);
  const stale = meter === undefined ? feeders.map(({ control }) => control.staleAfterMs) : [staleAfterMs(meter)];
  const settings = transformerSettings(given, Math.max(...stale));
  const state = newTransformerState();
  settleTransformerInto(state, settings);
  return {
    state,
    settings,
    feeders,
    isMetered: meter !== undefined,
    actions: [],
  };
}

/** One without them watches nothing. */
export function hasElements({ atRisk, emergency, inverse, thermal }: GivenTransformer): boolean {
  return [atRisk, emergency, inverse, thermal].some((element) => element !== undefined);
}

/** Readings as control takes them, with whose they are; those of nobody are left out. */
export function takenReadings(
  readings: readonly FeederReading[],
  feeders: ReadonlyMap<string, WatchedFeeder>,
): Taken[] {
  const taken: Taken[] = [];
  for (const reading of readings) {
    const feeder = feeders.get(reading.feederId) ?? null;
    if (feeder !== null || reading.feederId === TRANSFORMER) taken.push({ feeder, reading });
  }
  return taken;
}

/** What the retained status says of it. */
export function transformerStatus({ state }: WatchedTransformer): NonNullable<Status['transformer']> {
  const has = (status: string) =>
    PHASES.some((name) => OWN_ELEMENTS.some((element) => state[name][element].status === status));
  if (state.blind) return { state: 'blind' };
  return { state: has('operated') ? 'over' : has('pickedUp') ? 'pickingUp' : 'normal' };
}
