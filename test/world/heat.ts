// How hot the conductors of the simulated world truly are, from what truly flows in them, also while nobody looks: the
// controller may take them for hotter, never for cooler. A gap in what it saw is taken by it at the higher of the
// currents on both sides, so only short ones can be judged.
import { heatPercent } from '../../src/control/thermal.ts';
import type { FeederState, ThermalSettings, ThermalState } from '../../src/control/types.ts';
import { PHASES, type Phase } from '../../src/feeder.ts';
import { Breach } from './breach.ts';

const LONGEST_GAP_MS = 120_000;
const DOUBT_PERCENT = 4;

interface Conductor {
  heatPercent: number;
  currentA: number;
  sinceMs: number;
}
interface Watched {
  readonly phases: { readonly [P in Phase]: Conductor };
  seenMs: number;
  /** Not judged before this true time. */
  judgedFromMs: number;
}

export class Heat {
  readonly #settings: ThermalSettings;
  readonly #feeders = new Map<string, Watched>();

  constructor(settings: ThermalSettings) {
    this.#settings = settings;
  }

  /** What flows from now on; `isSeen` when the program is given it. */
  flows(feederId: string, currentsA: { readonly [P in Phase]: number }, isSeen: boolean, nowMs: number): void {
    const watched = this.#feeders.get(feederId) ?? this.#begin(feederId, currentsA, nowMs);
    for (const name of PHASES) {
      const conductor = watched.phases[name];
      conductor.heatPercent = this.#trueHeat(conductor, nowMs);
      conductor.currentA = currentsA[name];
      conductor.sinceMs = nowMs;
    }
    // What a gap may have hidden fades as heat does.
    if (nowMs - watched.seenMs > LONGEST_GAP_MS)
      watched.judgedFromMs = nowMs + 5 * this.#settings.timeConstantMin * 60_000;
    if (isSeen) watched.seenMs = nowMs;
  }

  /** What the program keeps of a feeder; `monotonicMs` is its own time. */
  kept(feederId: string, state: FeederState, monotonicMs: number, nowMs: number): void {
    const watched = this.#feeders.get(feederId);
    if (watched === undefined || nowMs < watched.judgedFromMs) return;
    for (const name of PHASES) {
      const { thermal } = state[name];
      if (thermal.known === 'no') continue;
      const believed = heatPercent(thermal, this.#settings, monotonicMs);
      const truly = this.#trueHeat(watched.phases[name], nowMs);
      if (believed < truly - DOUBT_PERCENT)
        throw new Breach(`cooler than it is: ${feederId} ${name} at ${truly.toFixed(1)} %, taken for ${believed}`);
    }
  }

  #begin(feederId: string, currentsA: { readonly [P in Phase]: number }, nowMs: number): Watched {
    const conductor = (name: Phase): Conductor => ({
      heatPercent: Math.min(95, 100 * (currentsA[name] / this.#settings.ratingA) ** 2),
      currentA: currentsA[name],
      sinceMs: nowMs,
    });
    const phases = { L1: conductor('L1'), L2: conductor('L2'), L3: conductor('L3') };
    const watched = { phases, seenMs: nowMs, judgedFromMs: nowMs };
    this.#feeders.set(feederId, watched);
    return watched;
  }

  #trueHeat({ heatPercent: heat, currentA, sinceMs }: Conductor, nowMs: number): number {
    const as = { known: 'yes', heatPercent: heat, heatMs: sinceMs, heatA: currentA } as ThermalState;
    return heatPercent(as, this.#settings, nowMs);
  }
}
