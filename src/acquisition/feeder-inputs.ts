// From what the sources give to what control sees: every reading is judged here, for every kind of source alike, and of
// a feeder with two sources the readings of one are passed on.
import type { Clock } from '../clock.ts';
import type { FeederReading } from '../feeder.ts';
import type { MeasuredSettings } from '../feeder-settings.ts';
import { type SourceSettings, staleAfterMs } from '../source-settings.ts';
import { type ChangeOver, type ChangeOverSettings, newChangeOver, takeReading, type Which } from './change-over.ts';
import {
  type AlarmChange,
  judgeReading,
  newQualityMemory,
  type QualityMemory,
  type QualityRules,
} from './quality-judge.ts';
import { qualityRules } from './quality-rules.ts';
import type { AcquisitionEvents, SourceAlarm, SourceEvents, SourceReading } from './source-reading.ts';
import { checkSum, newSumMemory, noteFeeder, type SumMemory, type SumRules } from './sum-check.ts';

/** A meter of its own above feeders: what it reads is held against their sum. */
export interface SummedFeeders extends Omit<SumRules, 'staleAfterMs'> {
  readonly id: string;
}

/** One feeder on one source. */
interface Input {
  readonly which: Which;
  readonly rules: QualityRules;
  readonly memory: QualityMemory;
}

interface WatchedInputs {
  readonly bySource: ReadonlyMap<string, Input>;
  /** Null where there is no backup. */
  readonly changeOver: { readonly state: ChangeOver; readonly settings: ChangeOverSettings } | null;
}

export class FeederInputs implements SourceEvents {
  readonly #feeders = new Map<string, WatchedInputs>();
  readonly #events: AcquisitionEvents;
  readonly #clock: Clock;
  readonly #sum: { readonly of: SummedFeeders; readonly rules: SumRules; readonly memory: SumMemory } | null;

  constructor(
    feeders: readonly MeasuredSettings[],
    sources: readonly SourceSettings[],
    summed: SummedFeeders | null,
    clock: Clock,
    events: AcquisitionEvents,
  ) {
    this.#events = events;
    this.#clock = clock;
    // Readings of sources with different paces: the slowest still has one that counts.
    const staleMs = Math.max(...sources.map(staleAfterMs));
    this.#sum = summed && { of: summed, rules: { ...summed, staleAfterMs: staleMs }, memory: newSumMemory() };
    for (const feeder of feeders) this.#feeders.set(feeder.id, watched(feeder, sources, clock.monotonicMs()));
  }

  readings(readings: readonly SourceReading[]): void {
    const wallOffsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    const passed = readings.flatMap((reading) => this.#judge(reading, wallOffsetMs) ?? []);
    for (const reading of passed) this.#checkSum(reading);
    if (passed.length > 0) this.#events.readings(passed);
  }

  sourceChanged(sourceId: string, answering: boolean, detail: string): void {
    this.#events.sourceChanged(sourceId, answering, detail);
  }

  alarm(change: SourceAlarm): void {
    this.#events.alarm(change);
  }

  #checkSum(reading: FeederReading): void {
    if (this.#sum === null) return;
    const { of, rules, memory } = this.#sum;
    const { feederId, sourceId } = reading;
    if (feederId !== of.id) return noteFeeder(memory, reading);
    const changes: AlarmChange[] = [];
    checkSum(memory, rules, reading, changes);
    for (const change of changes) this.#events.alarm({ feederId, sourceId, ...change });
  }

  /** The judged reading; null where the feeder is on its other source. */
  #judge(reading: SourceReading, wallOffsetMs: number): FeederReading | null {
    const { feederId, sourceId, atMs } = reading;
    const feeder = this.#feeders.get(feederId);
    const input = feeder?.bySource.get(sourceId);
    if (feeder === undefined || input === undefined) return null;
    const changes: AlarmChange[] = [];
    const judged = judgeReading(input.memory, input.rules, reading, atMs + wallOffsetMs, changes);
    for (const change of changes) this.#events.alarm({ feederId, sourceId, ...change });
    const { changeOver } = feeder;
    if (changeOver === null) return judged;
    const { state, settings } = changeOver;
    const reason = takeReading(state, settings, input.which, judged);
    if (reason !== null) this.#events.changedOver(feederId, sourceOf(feeder, state.used), reason);
    return state.used === input.which ? judged : null;
  }
}

function sourceOf({ bySource }: WatchedInputs, which: Which): string {
  for (const [sourceId, input] of bySource) if (input.which === which) return sourceId;
  return '';
}

function watched(feeder: MeasuredSettings, sources: readonly SourceSettings[], nowMs: number): WatchedInputs {
  const { currents, backup, ctRatio } = feeder;
  const staleMs = (sourceId: string) => {
    const source = sources.find(({ id }) => id === sourceId);
    return source === undefined ? 0 : staleAfterMs(source);
  };
  const input = (which: Which, sourceId: string, ratio: MeasuredSettings['ctRatio']): [string, Input] => [
    sourceId,
    { which, rules: qualityRules(feeder, ratio, staleMs(sourceId)), memory: newQualityMemory() },
  ];
  const preferred = input('preferred', currents.source, ctRatio);
  if (backup === undefined) return { bySource: new Map([preferred]), changeOver: null };
  const stale = { preferred: staleMs(currents.source), backup: staleMs(backup.source) };
  return {
    bySource: new Map([preferred, input('backup', backup.source, backup.ctRatio)]),
    changeOver: {
      state: newChangeOver(nowMs),
      settings: { awayAfterMs: stale.preferred / 2, backAfterMs: backup.backAfterS * 1000, staleAfterMs: stale },
    },
  };
}
