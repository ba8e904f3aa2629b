// Watches that scans go on: how long the event loop stood still, which source completes none, and when none at all has
// completed for so long that only a new start can help. It never looks at what a scan brought: a meter that does not
// answer is an alarm, and its polls complete all the same.
import type { Clock, Timer } from './clock.ts';

/** A source of scans, in monotonic milliseconds. */
interface Expected {
  readonly periodMs: number;
  /** Without a completed scan for longer than this, scans are missed. */
  readonly overdueMs: number;
}

export interface WatchdogInput {
  readonly clock: Clock;
  readonly sources: ReadonlyMap<string, Expected>;
  /** A pause of the event loop that is longer is an alarm. */
  readonly stallMs: number;
  /** Without any completed scan for longer than this, the program has to end. */
  readonly limitMs: number;
  /** An alarm begins or ends; `what` tells one source from another. */
  alarm(alarm: WatchdogAlarm, what: string, standing: boolean, reason: string): void;
  /** At each completed scan. */
  scanned(): void;
  /** Called once. */
  expired(reason: string): void;
}

type WatchdogAlarm = 'stalled' | 'scansMissed';

const CHECK_MS = 250;
/** An alarm of a stall stands until there has been none for this long. */
const STALL_ENDS_MS = 60_000;

export class Watchdog {
  readonly #input: WatchdogInput;
  readonly #scannedMs = new Map<string, number>();
  readonly #overdue = new Set<string>();
  readonly #silent = new Set<string>();
  #anyScannedMs: number;
  #stalledMs: number | null = null;
  #graceUntilMs = 0;
  readonly #scanMs: number;
  #dueMs: number;
  #timer: Timer;
  /** Since the start. */
  readonly figures = { stalls: 0, longestStallMs: 0, missedScans: 0 };

  constructor(input: WatchdogInput) {
    this.#input = input;
    const nowMs = input.clock.monotonicMs();
    this.#anyScannedMs = nowMs;
    this.#scanMs = Math.max(0, ...[...input.sources.values()].map(({ overdueMs }) => overdueMs));
    for (const sourceId of input.sources.keys()) this.#scannedMs.set(sourceId, nowMs);
    this.#dueMs = nowMs + CHECK_MS;
    this.#timer = input.clock.at(this.#dueMs, () => this.#check());
  }

  /** A scan of this source has come to its end: its readings were judged, good or bad. */
  scanned(sourceId: string): void {
    const nowMs = this.#input.clock.monotonicMs();
    const missed = this.#missed(sourceId, nowMs);
    this.#anyScannedMs = nowMs;
    this.#scannedMs.set(sourceId, nowMs);
    this.figures.missedScans += missed;
    if (this.#overdue.delete(sourceId))
      this.#input.alarm('scansMissed', sourceId, false, `${missed} scans missed, ${this.figures.missedScans} in all`);
    this.#input.scanned();
  }

  /** A source that does not answer is an alarm of its own: when it is asked again is its own business. */
  answering(sourceId: string, isAnswering: boolean): void {
    if (!isAnswering) this.#silent.add(sourceId);
    else if (this.#silent.delete(sourceId)) this.#scannedMs.set(sourceId, this.#input.clock.monotonicMs());
  }

  close(): void {
    this.#timer.cancel();
  }

  /** How many scans there should have been since the last one; 0 while it is not overdue. */
  #missed(sourceId: string, nowMs: number): number {
    const { periodMs, overdueMs } = this.#input.sources.get(sourceId) ?? { periodMs: 1, overdueMs: Infinity };
    if (this.#silent.has(sourceId)) return 0;
    const sinceMs = nowMs - (this.#scannedMs.get(sourceId) ?? nowMs);
    return sinceMs > overdueMs ? Math.floor(sinceMs / periodMs) : 0;
  }

  #check(): void {
    const nowMs = this.#input.clock.monotonicMs();
    const lateMs = nowMs - this.#dueMs;
    this.#judgeStall(nowMs, lateMs);
    // After a standstill the sources get the time of a scan before they are judged.
    if (lateMs > CHECK_MS) this.#graceUntilMs = nowMs + this.#scanMs;
    if (nowMs >= this.#graceUntilMs) {
      if (this.#isExpired(nowMs)) return;
      this.#judgeSources(nowMs);
    }
    this.#dueMs = nowMs + CHECK_MS;
    this.#timer = this.#input.clock.at(this.#dueMs, () => this.#check());
  }

  #judgeStall(nowMs: number, lateMs: number): void {
    if (lateMs > this.#input.stallMs) {
      const wasStanding = this.#stalledMs !== null;
      this.#stalledMs = nowMs;
      this.figures.stalls += 1;
      this.figures.longestStallMs = Math.max(this.figures.longestStallMs, lateMs);
      if (!wasStanding)
        this.#input.alarm('stalled', 'program', true, `the event loop stood still for ${Math.round(lateMs)} ms`);
    } else if (this.#stalledMs !== null && nowMs - this.#stalledMs > STALL_ENDS_MS) {
      this.#stalledMs = null;
      const { stalls, longestStallMs } = this.figures;
      this.#input.alarm('stalled', 'program', false, `${stalls} in all, the longest ${Math.round(longestStallMs)} ms`);
    }
  }

  #judgeSources(nowMs: number): void {
    for (const sourceId of this.#scannedMs.keys()) {
      if (this.#overdue.has(sourceId) || this.#missed(sourceId, nowMs) === 0) continue;
      this.#overdue.add(sourceId);
      const sinceMs = nowMs - (this.#scannedMs.get(sourceId) ?? nowMs);
      this.#input.alarm('scansMissed', sourceId, true, `no scan completed for ${Math.round(sinceMs)} ms`);
    }
  }

  #isExpired(nowMs: number): boolean {
    if (nowMs - this.#anyScannedMs <= this.#input.limitMs) return false;
    this.#input.expired(`no scan of any source completed for ${Math.round((nowMs - this.#anyScannedMs) / 1000)} s`);
    return true;
  }
}
