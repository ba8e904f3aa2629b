// What becomes of the head end's acknowledgements: kept before the broker is told that they were taken, judged against
// the request in force, handed to control, and an alarm where the head end says no, contradicts itself or says nothing.
import { AckWatch } from './ack-watch.ts';
import type { Clock } from './clock.ts';
import { takeInput } from './control-input.ts';
import type { EventBook } from './event-book.ts';
import type { Journal } from './journal/journal.ts';
import type { Keeper } from './keeper.ts';
import type { RationedLog } from './log.ts';
import { type Ack, ackSchema, type Curtailment, type Event } from './messages.ts';
import type { StandingAlarms } from './standing-alarms.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

type AckAlarm = 'noAck' | 'rejected' | 'failed' | 'notApplied';
const ACK_ALARMS: ReadonlySet<string | undefined> = new Set<AckAlarm>(['noAck', 'rejected', 'failed', 'notApplied']);

interface StandingAlarm {
  readonly alarm: AckAlarm;
  /** The request that it is about. */
  readonly requestId: string;
}

/** A restart looks so far back for what was told, which takes some milliseconds; what is older is told again. */
const EVENTS_LOOKED_AT = 5_000;

export interface AcknowledgementsInput {
  readonly feeders: ReadonlyMap<string, WatchedFeeder>;
  readonly keeper: Keeper;
  readonly book: EventBook;
  readonly alarms: StandingAlarms;
  readonly clock: Clock;
  readonly log: RationedLog;
  /** Something is to be kept and said. */
  readonly changed: () => void;
  readonly taken: (ack: Ack) => void;
}

export class Acknowledgements {
  readonly #input: AcknowledgementsInput;
  readonly #watch = new AckWatch();
  /** What is wrong with a feeder's acknowledgements, until a better one comes. */
  readonly #standing = new Map<string, StandingAlarm>();

  constructor(input: AcknowledgementsInput) {
    this.#input = input;
  }

  /**
   * What was told before a restart stands, and is not told again; what was heard and never told of, because the program
   * ended in between, is told now.
   */
  resume(journal: Journal): void {
    for (const body of journal.alarmsOfLate(EVENTS_LOOKED_AT)) {
      const { type, feederId, alarm, requestId } = JSON.parse(body) as Event;
      if (feederId === null || requestId === undefined || !ACK_ALARMS.has(alarm)) continue;
      this.#stands(feederId, type === 'alarm' ? { alarm: alarm as AckAlarm, requestId } : null);
    }
    for (const [feederId, { latest }] of this.#input.feeders) {
      if (latest === null) continue;
      const acks = journal.acksOf(latest.message.requestId).map((body) => ackSchema.parse(JSON.parse(body)));
      const last = acks.findLast((ack) => this.#watch.judge(feederId, latest.message, ack) === 'good');
      if (last !== undefined) this.#judged(feederId, last);
    }
  }

  take(ack: Ack, feederId: string): void {
    const { feeders, keeper, book, clock, log, changed, taken } = this.#input;
    const { requestId, sequence, status } = ack;
    const body = JSON.stringify(ack);
    const outcome = keeper.keep('ack', (journal) =>
      journal.keepAck({ feederId, requestId, sequence, status, body }, clock.wallMs()),
    );
    if (outcome === 'repeated') return;
    if (outcome === 'unknown')
      return log.warn({ feederId, requestId, status }, 'acknowledgement of an unknown request');
    const feeder = feeders.get(feederId);
    const verdict = this.#watch.judge(feederId, feeder?.latest?.message ?? null, ack);
    if (verdict === 'contradicts') {
      book.add(feederId, 'alarm', `${status} after an end`, { alarm: 'contradictoryAck', requestId });
      changed();
    } else if (verdict !== 'late') this.#judged(feederId, ack);
    if (
      verdict !== 'contradicts' &&
      verdict !== 'over' &&
      feeder?.episodeId != null &&
      sequence >= feeder.episodeSince
    ) {
      const { controllableA, devices } = ack;
      takeInput(feeder, { kind: 'ack', ack: { status, controllableA, devices }, atMs: clock.monotonicMs() });
      changed();
    }
    log.info({ feederId, requestId, status }, 'ack');
    taken(ack);
  }

  /** After every repeat. */
  missing({ feederId, requestId, episodeId }: Curtailment): void {
    this.#raise(feederId, 'noAck', 'no acknowledgement after three repeats', { requestId, episodeId });
  }

  /** Once a second: limits that were taken on and have not been applied in their time. */
  watch(): void {
    const wallMs = this.#input.clock.wallMs();
    for (const [feederId, { latest, group }] of this.#input.feeders) {
      if (latest === null) continue;
      const { responseTimeS } = group.curtailment;
      if (!this.#watch.isOverdue(feederId, latest.message, responseTimeS, wallMs)) continue;
      const { requestId, episodeId } = latest.message;
      this.#raise(feederId, 'notApplied', `not applied within responseTimeS ${responseTimeS}`, {
        requestId,
        episodeId,
      });
    }
  }

  /** A bad one raises an alarm, a better one ends it; that something was taken on does not mean that it was done. */
  #judged(feederId: string, { status, requestId, reason }: Ack): void {
    const standing = this.#standing.get(feederId);
    if (status === 'rejected' || status === 'failed')
      return this.#raise(feederId, status, reason ?? 'no reason given', { requestId });
    if (standing === undefined) return;
    const isOfSame = standing.requestId === requestId;
    if (standing.alarm === 'notApplied' && isOfSame && (status === 'accepted' || status === 'dispatched')) return;
    const { book, changed } = this.#input;
    this.#stands(feederId, null);
    book.add(feederId, 'alarmEnd', `acknowledged as ${status}`, { alarm: standing.alarm, requestId });
    changed();
  }

  /** Once for a request, over restarts too. */
  #raise(feederId: string, alarm: AckAlarm, reason: string, about: { requestId: string; episodeId?: string }): void {
    const standing = this.#standing.get(feederId);
    if (standing?.alarm === alarm && standing.requestId === about.requestId) return;
    const { book, changed } = this.#input;
    this.#stands(feederId, { alarm, requestId: about.requestId });
    book.add(feederId, 'alarm', reason, { alarm, ...about });
    changed();
  }

  #stands(feederId: string, standing: StandingAlarm | null): void {
    if (standing === null) this.#standing.delete(feederId);
    else this.#standing.set(feederId, standing);
    this.#input.alarms.set('acks', feederId, standing === null ? null : `${feederId}/${standing.alarm}`);
  }
}
