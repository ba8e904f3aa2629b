// What is to be told in the sequence of events, gathered over one turn of the event loop and taken out all together,
// with what repeats too often joined. An event gets its number when the journal takes it.
import { type Clock, isoTime } from './clock.ts';
import type { EventAction } from './control/types.ts';
import { rounded } from './feeder.ts';
import { JoinedAlarms } from './joined-alarms.ts';
import type { NewEvent } from './journal/records.ts';
import type { Event } from './messages.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

export type EventDraft = Omit<Event, 'schema' | 'sequence' | 'substationId' | 'clockSynchronised'>;

export class EventBook {
  readonly #substationId: string;
  readonly #clock: Clock;
  readonly #drafts: EventDraft[] = [];
  readonly #joined = new JoinedAlarms<EventDraft>();

  constructor(substationId: string, clock: Clock) {
    this.#substationId = substationId;
    this.#clock = clock;
  }

  /** Happened now. */
  add(feederId: string | null, type: Event['type'], reason: string, more: Partial<EventDraft> = {}): void {
    this.#drafts.push({ feederId, at: isoTime(this.#clock.wallMs()), type, reason, ...more });
  }

  /** What control tells of, at its own time. */
  addAction({ settings, episodeId }: WatchedFeeder, action: EventAction): void {
    this.#push(settings.id, episodeId, action);
  }

  /** What control tells of the transformer, which is no single feeder's. */
  addOfTransformer(action: EventAction): void {
    const named = action.element === undefined ? `transformer: ${action.reason}` : action.reason;
    this.#push(null, null, { ...action, reason: named });
  }

  #push(feederId: string | null, episodeId: string | null, action: EventAction): void {
    const { kind: _kind, atMs, currentA, thermalPercent, ...rest } = action;
    this.#drafts.push({
      feederId,
      at: isoTime(this.#clock.wallMs() + atMs - this.#clock.monotonicMs()),
      ...rest,
      ...(episodeId !== null && { episodeId }),
      ...(currentA !== undefined && { currentA: rounded(currentA) }),
      ...(thermalPercent !== undefined && { thermalPercent: rounded(thermalPercent) }),
    });
  }

  get isEmpty(): boolean {
    return this.#drafts.length === 0;
  }

  /** Joined repetitions wait to be taken. */
  isDue(nowMs: number): boolean {
    return this.#joined.isDue(nowMs);
  }

  /** What is to be told by now; with an infinite time, everything that is held back too. */
  take(nowMs: number): EventDraft[] {
    return [...this.#joined.due(nowMs), ...this.#joined.pass(this.#drafts.splice(0), nowMs)];
  }

  /** For the journal, whose it is to give the number; the finished event is added to `made`. */
  newEvent(draft: EventDraft, made: Event[]): NewEvent {
    const clockSynchronised = this.#clock.synchronised();
    return {
      feederId: draft.feederId,
      body: (sequence) => {
        const event: Event = {
          schema: 'headroom/v1/event',
          sequence,
          substationId: this.#substationId,
          ...draft,
          clockSynchronised,
        };
        made.push(event);
        return JSON.stringify(event);
      },
    };
  }
}
