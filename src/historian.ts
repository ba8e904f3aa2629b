// Keeps the measurement history: makes minutes of readings, holds the fastest readings of each feeder in memory and
// writes them down around a pickup. It looks over the controller's shoulder, works once a second and never waits for
// an answer; when its file fails, control does not notice, and an alarm says so.
import { statfsSync } from 'node:fs';
import type { Clock, Timer } from './clock.ts';
import type { ControlInput } from './control-input.ts';
import { ControlTrail } from './control-trail.ts';
import type { FeederReading } from './feeder.ts';
import { type ControlNow, History, type HistoryBounds, setHistoryAside } from './journal/history.ts';
import { type FeederMinute, Minutes } from './journal/minutes.ts';
import { RING_READINGS, Ring } from './journal/samples.ts';
import type { Log } from './log.ts';
import type { Event } from './messages.ts';

export interface HistorianInput {
  readonly folder: string;
  readonly bounds: HistoryBounds;
  readonly clock: Clock;
  readonly log: Log;
  /** No element is picked up: a pause of some milliseconds is in nobody's way. */
  readonly isQuiet: () => boolean;
  /** Of one feeder: what its next decision rests on, and whether an element is picked up or a limit stands. */
  readonly controlNow: (feederId: string) => ControlNow | null;
  readonly isFeederQuiet: (feederId: string) => boolean;
  /** Why nothing is kept; null when it is again. */
  readonly trouble: (reason: string | null) => void;
}

const TICK_MS = 1_000;
/** One page is written for some forty minutes of feeders, so a batch costs storage less the longer it waits. */
const FLUSH_MS = 300_000;
/** No moment is quiet in a long episode: then it is done all the same. */
const OVERDUE_MS = 600_000;
/** A record begins this long before what it is for and ends this long after the last of it, with the feeder at rest. */
const BEFORE_MS = 30_000;
const AFTER_MS = 30_000;
/** An hour at a poll of 200 ms. Of what comes later there are the minutes, and the record of the next event. */
const RECORD_READINGS_MAX = 18_000;
/** Well before the ring comes round. */
const PIECE_READINGS = 256;
const RETRY_MS = 60_000;
/** A month of 12 feeders has 500,000; this is what waits in memory while the file fails, oldest dropped first. */
const WAITING_MINUTES_MAX = 5_000;
/** The last of the disk is the journal's. */
const FREE_BYTES_MIN = 16e6;

const TRIGGERS: ReadonlySet<Event['type']> = new Set(['pickup', 'operate', 'limit', 'release', 'dropout']);

interface Recording {
  readonly trigger: string;
  readonly triggerMs: number;
  readonly triggerWallMs: number;
  readonly clockSynchronised: boolean;
  readonly start: ControlNow | null;
  /** Number of its first reading. */
  readonly first: number;
  /** Number in the file; null before the first piece is written. */
  record: number | null;
  untilMs: number;
  next: number;
  /** Number of the next input. */
  nextInput: number;
  readonly lastNumber: number;
}

interface Watched {
  readonly minutes: Minutes;
  readonly ring: Ring;
  readonly trail: ControlTrail;
  recording: Recording | null;
}

export class Historian {
  readonly #input: HistorianInput;
  readonly #feeders = new Map<string, Watched>();
  #waiting: FeederMinute[] = [];
  #history: History | null = null;
  #failing = false;
  #isClosing = false;
  /** Clean-up goes on, a bite a second. */
  #tooMuch = false;
  #timer: Timer;
  #flushDueMs: number;
  #openDueMs: number;

  constructor(input: HistorianInput) {
    this.#input = input;
    const nowMs = input.clock.monotonicMs();
    this.#flushDueMs = nowMs + FLUSH_MS;
    // Opened in the first tick: the first reading does not wait for it.
    this.#openDueMs = nowMs;
    this.#timer = input.clock.at(nowMs + TICK_MS, () => this.#tick());
  }

  /** Before control is given it. A restart in the midst of something makes a record of its own. */
  reading(reading: FeederReading): void {
    const { clock } = this.#input;
    const { feederId, atMs } = reading;
    const isFirst = !this.#feeders.has(feederId);
    const feeder = this.#feeder(feederId);
    const { ring, trail, minutes } = feeder;
    const unwritten = feeder.recording?.nextInput ?? null;
    trail.beforeReading(ring.count, atMs, BEFORE_MS, ring.count - RING_READINGS, unwritten);
    ring.push(reading);
    if (isFirst && !this.#input.isFeederQuiet(feederId)) this.#begin(feeder, 'restart', clock.synchronised());
    const over = minutes.add(reading, clock.wallMs(), clock.synchronised());
    if (over !== null) this.#wait(over);
  }

  /** What else control is given, likewise. */
  input(feederId: string, input: ControlInput): void {
    const feeder = this.#feeders.get(feederId);
    feeder?.trail.input(feeder.ring.count, input);
  }

  /** Begins or lengthens the record of the event's feeder. */
  event({ feederId, type, element, phase, historical, clockSynchronised }: Event): void {
    if (feederId === null || historical === true || !TRIGGERS.has(type)) return;
    const feeder = this.#feeder(feederId);
    const trigger = [type, element, phase].filter((word) => word !== undefined).join(' ');
    if (feeder.recording === null) this.#begin(feeder, trigger, clockSynchronised);
    else feeder.recording.untilMs = this.#input.clock.monotonicMs() + AFTER_MS;
  }

  /** Writes down what there is. */
  close(): void {
    this.#timer.cancel();
    for (const { minutes } of this.#feeders.values()) {
      const over = minutes.end();
      if (over !== null) this.#wait(over);
    }
    this.#isClosing = true;
    this.#attempt((history) => this.#writeRecords(history));
    this.#attempt((history) => this.#writeMinutes(history));
    this.#history?.close();
    this.#history = null;
  }

  #feeder(feederId: string): Watched {
    const known = this.#feeders.get(feederId);
    if (known !== undefined) return known;
    const trail = new ControlTrail(() => this.#input.controlNow(feederId));
    const feeder = { minutes: new Minutes(feederId), ring: new Ring(), trail, recording: null };
    this.#feeders.set(feederId, feeder);
    return feeder;
  }

  #begin(feeder: Watched, trigger: string, clockSynchronised: boolean): void {
    const { clock } = this.#input;
    const { ring, trail } = feeder;
    const triggerMs = clock.monotonicMs();
    const start = trail.start(triggerMs - BEFORE_MS, ring.count - RING_READINGS);
    const first = start?.number ?? ring.since(triggerMs - BEFORE_MS);
    feeder.recording = {
      trigger,
      triggerMs,
      triggerWallMs: clock.wallMs(),
      clockSynchronised,
      start: start?.control ?? null,
      first,
      record: null,
      untilMs: triggerMs + AFTER_MS,
      next: first,
      nextInput: start?.input ?? 0,
      lastNumber: first + RECORD_READINGS_MAX,
    };
  }

  #wait(minute: FeederMinute): void {
    this.#waiting.push(minute);
    if (this.#waiting.length > WAITING_MINUTES_MAX) this.#waiting.shift();
  }

  #tick(): void {
    const { clock, isQuiet } = this.#input;
    const nowMs = clock.monotonicMs();
    this.#timer = clock.at(nowMs + TICK_MS, () => this.#tick());
    this.#attempt((history) => this.#writeRecords(history));
    if (this.#tooMuch && isQuiet()) this.#attempt((history) => this.#clean(history));
    const overdueMs = nowMs - this.#flushDueMs;
    if (overdueMs < 0 || (overdueMs < OVERDUE_MS && !isQuiet())) return;
    this.#flushDueMs = nowMs + FLUSH_MS;
    this.#flush();
  }

  #flush(): void {
    const { clock, folder, log } = this.#input;
    if (this.#history?.isReplaced) {
      log.warn({}, 'the history was moved away: it begins anew');
      this.#closeQuietly();
    }
    for (const { minutes } of this.#feeders.values()) {
      const over = minutes.isOver(clock.wallMs()) ? minutes.end() : null;
      if (over !== null) this.#wait(over);
    }
    this.#attempt((history) => {
      leaveRoom(folder);
      this.#writeMinutes(history);
      this.#clean(history);
      if (history.wantsCheckpoint) history.checkpoint();
    });
  }

  #clean(history: History): void {
    this.#tooMuch = history.clean();
  }

  #writeMinutes(history: History): void {
    if (this.#waiting.length === 0) return;
    history.keepMinutes(this.#waiting);
    this.#waiting = [];
  }

  #writeRecords(history: History): void {
    const nowMs = this.#input.clock.monotonicMs();
    for (const [feederId, feeder] of this.#feeders) {
      const { recording, ring, trail } = feeder;
      if (recording === null) continue;
      const isOver = this.#isClosing || (nowMs >= recording.untilMs && this.#input.isFeederQuiet(feederId));
      const last = isOver || ring.count >= recording.lastNumber;
      if (recording.record !== null && !last && ring.count - recording.next < PIECE_READINGS) continue;
      recording.record ??= history.beginDisturbance({ feederId, ...recording });
      const samples = ring.pack(recording.next, recording.triggerMs);
      const { inputs, next } = trail.inputsFrom(recording.nextInput);
      const placed = inputs.map(({ after, input }) => ({ after: after - recording.first, input }));
      history.keepPiece({ record: recording.record, samples, inputs: placed, last });
      recording.next = ring.count;
      recording.nextInput = next;
      if (last) feeder.recording = null;
    }
  }

  /** One piece of work on the file; what fails is tried again later, and nobody waits for it. */
  #attempt(work: (history: History) => void): void {
    const nowMs = this.#input.clock.monotonicMs();
    if (this.#history === null && nowMs < this.#openDueMs) return;
    try {
      this.#history ??= this.#open();
      work(this.#history);
      this.#succeeded();
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #open(): History {
    const { folder, bounds } = this.#input;
    leaveRoom(folder);
    return new History(folder, bounds);
  }

  #succeeded(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#input.log.info({}, 'the history is written again');
    this.#input.trouble(null);
  }

  #failed(error: Error): void {
    const { folder, log, trouble, clock } = this.#input;
    const damaged = /CORRUPT|NOTADB/.test((error as { code?: string }).code ?? '');
    this.#closeQuietly();
    this.#openDueMs = clock.monotonicMs() + (damaged ? 0 : RETRY_MS);
    this.#flushDueMs = Math.min(this.#flushDueMs, this.#openDueMs);
    for (const feeder of this.#feeders.values()) feeder.recording = null;
    const reason = damaged ? `${error.message}: the file is set aside` : error.message;
    if (damaged) this.#setAside(folder);
    log.error({ error: reason }, 'the history cannot be written');
    if (!this.#failing) trouble(reason);
    this.#failing = true;
  }

  #closeQuietly(): void {
    try {
      this.#history?.close();
    } catch (error) {
      this.#input.log.error({ error: (error as Error).message }, 'the history does not close');
    }
    this.#history = null;
  }

  #setAside(folder: string): void {
    try {
      setHistoryAside(folder);
    } catch (error) {
      this.#openDueMs = this.#input.clock.monotonicMs() + RETRY_MS;
      this.#input.log.error({ error: (error as Error).message }, 'the damaged history cannot be set aside');
    }
  }
}

function leaveRoom(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < FREE_BYTES_MIN) throw new Error(`under ${FREE_BYTES_MIN / 1e6} MB of the disk are free`);
}
