// What a feeder carried, said every interval and sooner where something has changed. Intervals end on the wall clock's
// whole multiples, so that those of many substations can be laid side by side, and each substation says them a little
// later by a draw of its own, so that they do not all speak at once.
import { type Clock, isoTime } from './clock.ts';
import { type FeederReading, PHASES } from './feeder.ts';
import { Interval } from './interval.ts';
import type { Telemetry } from './telemetry-message.ts';

interface TelemetrySettings {
  /** 0: nothing is said. */
  readonly telemetryS: number;
  /** Of the rating; 0: only a change of state is said before its time. */
  readonly telemetryChangePercent: number;
}

/** What is known of a feeder beside its readings. */
interface FeederOutlook {
  readonly state: string;
  readonly levelPercent: number;
}

export interface TelemetryFeeder {
  readonly feederId: string;
  readonly ratingA: number;
  /** A reading older than this is no reading. */
  readonly freshMs: number;
  readonly outlook: () => FeederOutlook;
}

/** A message, and how long it is to wait before it is said. */
type SayTelemetry = (message: Telemetry, waitMs: number) => void;

interface Watched extends TelemetryFeeder {
  readonly interval: Interval;
  startMs: number;
  /** Since when something was said before its time: not again within a minute. */
  earlyMs: number;
  saidA: number | null;
  latestA: number | null;
  said: string;
}

const EARLY_EVERY_MS = 60_000;
/** A tenth of the interval, but no more than this. */
const SPREAD_LONGEST_MS = 60_000;

export class TelemetryIntervals {
  readonly #substationId: string;
  readonly #settings: TelemetrySettings;
  readonly #clock: Clock;
  readonly #say: SayTelemetry;
  readonly #feeders: Map<string, Watched>;
  readonly #spreadMs: number;
  #endWallMs: number;

  constructor(
    substationId: string,
    settings: TelemetrySettings,
    feeders: readonly TelemetryFeeder[],
    clock: Clock,
    random: () => number,
    say: SayTelemetry,
  ) {
    this.#substationId = substationId;
    this.#settings = settings;
    this.#clock = clock;
    this.#say = say;
    const startMs = clock.monotonicMs();
    this.#feeders = new Map(
      feeders.map((feeder) => [
        feeder.feederId,
        {
          ...feeder,
          interval: new Interval(feeder.freshMs),
          startMs,
          earlyMs: Number.NEGATIVE_INFINITY,
          saidA: null,
          latestA: null,
          said: '',
        },
      ]),
    );
    const { telemetryS } = settings;
    this.#spreadMs = random() * Math.min(SPREAD_LONGEST_MS, telemetryS * 100);
    this.#endWallMs = this.#nextEnd();
  }

  take(reading: FeederReading): void {
    const feeder = this.#feeders.get(reading.feederId);
    if (feeder === undefined || this.#settings.telemetryS === 0) return;
    feeder.interval.take(reading);
    let highestA: number | null = null;
    for (const phase of PHASES) {
      const { currentA } = reading[phase];
      if (currentA !== null && currentA > (highestA ?? 0)) highestA = currentA;
    }
    feeder.latestA = highestA;
  }

  /** Once a second. */
  tick(): void {
    if (this.#settings.telemetryS === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    // A clock that was set back would else leave a day without a message.
    const over = wallMs >= this.#endWallMs || this.#endWallMs - wallMs > this.#settings.telemetryS * 1000;
    if (over) this.#endWallMs = this.#nextEnd();
    for (const feeder of this.#feeders.values()) {
      if (over) this.#close(feeder, 'interval', nowMs);
      else if (this.#hasChanged(feeder) && nowMs - feeder.earlyMs >= EARLY_EVERY_MS) {
        feeder.earlyMs = nowMs;
        this.#close(feeder, 'change', nowMs);
      }
    }
  }

  #nextEnd(): number {
    const { telemetryS } = this.#settings;
    const lengthMs = telemetryS * 1000;
    return lengthMs === 0 ? Number.POSITIVE_INFINITY : (Math.floor(this.#clock.wallMs() / lengthMs) + 1) * lengthMs;
  }

  #hasChanged(feeder: Watched): boolean {
    if (feeder.said === '') return false;
    if (feeder.said !== mark(feeder.outlook())) return true;
    const { saidA, latestA, ratingA } = feeder;
    const percent = this.#settings.telemetryChangePercent;
    if (percent === 0 || saidA === null || latestA === null) return false;
    return Math.abs(latestA - saidA) > (percent / 100) * ratingA;
  }

  #close(feeder: Watched, reason: Telemetry['reason'], nowMs: number): void {
    const wallOffsetMs = this.#clock.wallMs() - nowMs;
    const outlook = feeder.outlook();
    const message: Telemetry = {
      schema: 'headroom/v1/telemetry',
      substationId: this.#substationId,
      feederId: feeder.feederId,
      start: isoTime(feeder.startMs + wallOffsetMs),
      end: isoTime(nowMs + wallOffsetMs),
      reason,
      ...feeder.interval.close(nowMs),
      ...outlook,
      clockSynchronised: this.#clock.synchronised(),
    };
    feeder.startMs = nowMs;
    feeder.said = mark(outlook);
    feeder.saidA = feeder.latestA;
    this.#say(message, reason === 'interval' ? this.#spreadMs : 0);
  }
}

/** Pickups come and go: what is worth a message of its own is sight and the level. */
function mark({ state, levelPercent }: FeederOutlook): string {
  return `${state === 'blind'} ${levelPercent}`;
}
