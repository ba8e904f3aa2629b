// From what the sources give to what control sees: every reading is judged here, for every kind of source alike.
import { type FeederReading, PHASES, type Phase } from '../feeder.ts';
import type { FeederSettings } from '../feeder-settings.ts';
import { judgeCurrent, type Plausibility } from './quality.ts';
import type { AcquisitionEvents, SourceAlarm, SourceEvents, SourceReading } from './source-reading.ts';

export class FeederInputs implements SourceEvents {
  readonly #feeders: ReadonlyMap<string, FeederSettings>;
  readonly #plausibilities: ReadonlyMap<string, Plausibility>;
  readonly #events: AcquisitionEvents;

  constructor(feeders: readonly FeederSettings[], events: AcquisitionEvents) {
    this.#feeders = new Map(feeders.map((feeder) => [feeder.id, feeder]));
    this.#plausibilities = new Map(feeders.map((feeder) => [feeder.id, plausibilityOf(feeder)]));
    this.#events = events;
  }

  readings(readings: readonly SourceReading[]): void {
    const judged = readings.flatMap((reading) => {
      const plausibility = this.#plausibilities.get(reading.feederId);
      return plausibility === undefined
        ? []
        : [judge(reading, plausibility, signsOf(this.#feeders.get(reading.feederId)))];
    });
    this.#events.readings(judged);
  }

  sourceChanged(sourceId: string, answering: boolean, detail: string): void {
    this.#events.sourceChanged(sourceId, answering, detail);
  }

  alarm(change: SourceAlarm): void {
    this.#events.alarm(change);
  }
}

function judge(
  { feederId, sourceId, atMs, L1, L2, L3, N, powerW }: SourceReading,
  plausibility: Plausibility,
  signs: Record<Phase, string>,
): FeederReading {
  return {
    feederId,
    sourceId,
    atMs,
    L1: judgeCurrent(L1, plausibility),
    L2: judgeCurrent(L2, plausibility),
    L3: judgeCurrent(L3, plausibility),
    N: judgeCurrent(N, plausibility),
    exporting: PHASES.filter((phase) => signs[phase] === 'confirmed' && (powerW?.[phase] ?? 0) < 0),
  };
}

/** No CT delivers more than this many times its primary current; where that is not known, the rating stands for it. */
const IMPOSSIBLE = 30;

function plausibilityOf(feeder: FeederSettings): Plausibility {
  const { primaryA, secondaryA } = feeder.ctRatio ?? { primaryA: null, secondaryA: 1 };
  const ratingA = Math.max(...feeder.settings.map((group) => group.ratingA));
  return {
    ratio: primaryA === null ? 1 : primaryA / secondaryA,
    ctPrimaryA: primaryA,
    impossibleA: IMPOSSIBLE * (primaryA ?? ratingA),
  };
}

function signsOf(feeder: FeederSettings | undefined): Record<Phase, string> {
  const sign = feeder?.powerSign ?? 'unknown';
  return typeof sign === 'string' ? { L1: sign, L2: sign, L3: sign } : sign;
}
