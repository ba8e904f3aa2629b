// One meter: at each poll reads its phase currents in one telegram and delivers a reading for every feeder on it, good
// or bad; a neutral that needs a telegram of its own follows at its own slow pace and is judged with the next scan.
import type { Clock } from '../clock.ts';
import { CONDUCTORS, type Conductor, type QualityReason } from '../feeder.ts';
import type { ModbusSettings } from '../source-settings.ts';
import { decode } from './decode.ts';
import type { ModbusConnection, ReadAnswer } from './modbus-connection.ts';
import type { ReadPlan, Telegram } from './read-plan.ts';
import type { Given, SourceEvents, SourceReading } from './source-reading.ts';

/** A feeder that takes its currents from this source. */
export interface FeederBinding {
  readonly feederId: string;
}

/** A neutral does not heat in seconds, and its telegram holds the wire that the phases want: once a second is plenty. */
const NEUTRAL_EVERY_MS = 1_000;

export class ModbusSource {
  readonly #settings: ModbusSettings;
  readonly #plan: ReadPlan;
  readonly #bindings: readonly FeederBinding[];
  readonly #connection: ModbusConnection;
  readonly #clock: Clock;
  readonly #events: SourceEvents;
  #reading = false;
  #answering: boolean | null = null;
  #neutral: { readonly atMs: number; readonly decoded: number | QualityReason } | null = null;
  #neutralDueMs = 0;

  constructor(
    settings: ModbusSettings,
    plan: ReadPlan,
    bindings: readonly FeederBinding[],
    connection: ModbusConnection,
    clock: Clock,
    events: SourceEvents,
  ) {
    this.#settings = settings;
    this.#plan = plan;
    this.#bindings = bindings;
    this.#connection = connection;
    this.#clock = clock;
    this.#events = events;
  }

  /** One poll. While the last one is still waiting for its answer this does nothing: a slow meter sets its own pace. */
  poll(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#read(this.#plan.phases, (answer) => {
      this.#reading = false;
      this.#deliver(answer);
      if ('words' in answer) this.#readNeutral();
    });
  }

  #read(telegram: Telegram, done: (answer: ReadAnswer) => void): void {
    const { unitId, timeoutMs, pauseMs } = this.#settings;
    this.#connection.read({ unitId, reads: [telegram], timeoutMs, pauseMs }, done);
  }

  #deliver(answer: ReadAnswer): void {
    const atMs = this.#clock.monotonicMs();
    const decoded = 'words' in answer ? decodeAll(this.#plan.phases, answer.words) : answer.fault;
    const readings = this.#bindings.map((binding) => this.#readingOf(binding, decoded, atMs));
    this.#events.readings(readings);
    const answering = 'words' in answer;
    if (answering !== this.#answering) {
      this.#answering = answering;
      this.#events.sourceChanged(this.#settings.id, answering, answering ? 'answers' : answer.detail);
    }
  }

  #readingOf({ feederId }: FeederBinding, decoded: DecodedCurrents | QualityReason, atMs: number): SourceReading {
    const conductor = (name: Conductor): Given =>
      typeof decoded === 'string' ? decoded : (decoded[name] ?? 'unavailable');
    return {
      feederId,
      sourceId: this.#settings.id,
      atMs,
      L1: conductor('L1'),
      L2: conductor('L2'),
      L3: conductor('L3'),
      N: this.#plan.neutral === null ? conductor('N') : this.#latestNeutral(atMs),
    };
  }

  #latestNeutral(atMs: number): Given {
    const { pollMs, timeoutMs } = this.#settings;
    // Three of its reads, as for the phases; it is read no more often than they are.
    const staleMs = 3 * Math.max(NEUTRAL_EVERY_MS, pollMs) + timeoutMs;
    if (this.#neutral === null || atMs - this.#neutral.atMs > staleMs) return 'unavailable';
    return this.#neutral.decoded;
  }

  #readNeutral(): void {
    const telegram = this.#plan.neutral;
    const nowMs = this.#clock.monotonicMs();
    if (telegram === null || nowMs < this.#neutralDueMs) return;
    this.#neutralDueMs = nowMs + NEUTRAL_EVERY_MS;
    this.#reading = true;
    this.#read(telegram, (answer) => {
      this.#reading = false;
      const decoded = 'words' in answer ? (decodeAll(telegram, answer.words).N ?? 'unavailable') : answer.fault;
      this.#neutral = { atMs: this.#clock.monotonicMs(), decoded };
    });
  }
}

type DecodedCurrents = { [C in Conductor]?: number | QualityReason };

function decodeAll(telegram: Telegram, words: readonly number[]): DecodedCurrents {
  const decoded: DecodedCurrents = {};
  for (const { conductor, register, offset } of telegram.currents) decoded[conductor] = decode(words, offset, register);
  return decoded;
}

/** Names every conductor that a plan gives, for people. */
export function conductorsOf(plan: ReadPlan): Conductor[] {
  const given = new Set(
    [...plan.phases.currents, ...(plan.neutral?.currents ?? [])].map((current) => current.conductor),
  );
  return CONDUCTORS.filter((conductor) => given.has(conductor));
}
