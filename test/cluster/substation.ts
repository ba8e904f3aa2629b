// One substation of the cluster run: the real uplink with one feeder, whose requests go on as soon as the head end has
// accepted the last one. What it keeps is in memory; it notes which requests a broker took and when it was connected.
import { type Clock, isoTime } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import type { Curtailment, Event } from '../../src/messages.ts';
import type { OutgoingRequest } from '../../src/uplink/delivery.ts';
import type { OutgoingEvent } from '../../src/uplink/event-outbox.ts';
import { Uplink, type UplinkPort } from '../../src/uplink/uplink.ts';
import { uplink as uplinkSettings } from '../../src/uplink-settings.ts';
import { requestAt } from '../workbench/headend/requests.ts';

export interface SubstationInput {
  readonly substationId: string;
  /** In order of preference. */
  readonly brokers: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  /** Mean time from one acknowledgement to the next request, s. */
  readonly everyS: number;
}

export class Substation {
  readonly substationId: string;
  /** Every request that was said, by id. */
  readonly said = new Map<string, { readonly message: Curtailment; acceptedMs: number | null }>();
  /** When the link came up and went, monotonic. */
  readonly links: { readonly up: boolean; readonly atMs: number; readonly reason: string }[] = [];
  readonly #input: SubstationInput;
  readonly #uplink: Uplink;
  readonly #events: OutgoingEvent[] = [];
  eventsSent = 0;
  #sequence = Date.now();
  #latest: Curtailment | null = null;
  #stopping = false;

  constructor(input: SubstationInput) {
    this.#input = input;
    this.substationId = input.substationId;
    const settings = uplinkSettings.parse({
      brokers: input.brokers.map((url) => ({ url })),
      allowInsecure: true,
      keepAliveS: 5,
    });
    this.#uplink = new Uplink({
      settings,
      substationId: input.substationId,
      ackTimeoutMs: () => 10_000,
      learnRetained: false,
      eventsSentTo: 0,
      clock: input.clock,
      random: input.random,
      port: this.#port(),
    });
    this.#nextSoon();
  }

  get isUp(): boolean {
    return this.#uplink.isUp;
  }

  /** Requests that the head end has not accepted yet. */
  get open(): number {
    return [...this.said.values()].filter(({ acceptedMs }) => acceptedMs === null).length;
  }

  get eventsWaiting(): number {
    return this.#events.length - this.eventsSent;
  }

  /** Nothing new is said from now on. */
  finish(): void {
    this.#stopping = true;
  }

  close(): Promise<void> {
    return this.#uplink.close();
  }

  #nextSoon(): void {
    const { clock, random, everyS } = this.#input;
    clock.at(clock.monotonicMs() + everyS * 1000 * (0.5 + random()), () => this.#next());
  }

  /** Limit, refresh, release, and from the start again. */
  #next(): void {
    if (this.#stopping) return;
    const { clock, substationId } = this.#input;
    const actions = ['limit', 'refresh', 'release'] as const;
    const action = actions[this.said.size % actions.length] ?? 'limit';
    this.#sequence += 1;
    const message: Curtailment = {
      ...requestAt(clock.wallMs(), this.#sequence, { substationId, feederId: 'F1', action }),
      requestId: newId(),
      supersedes: action === 'limit' ? null : (this.#latest?.requestId ?? null),
      ...(action === 'release' && { levelPercent: 100 }),
    };
    this.#latest = message;
    this.said.set(message.requestId, { message, acceptedMs: null });
    const request: OutgoingRequest = {
      message,
      payload: JSON.stringify(message),
      offered: this.#uplink.promise(),
      confirmed: false,
    };
    this.#uplink.say(request);
    this.#events.push(this.#event(message));
    this.#uplink.eventsAdded();
  }

  #event(message: Curtailment): OutgoingEvent {
    const sequence = this.#events.length + 1;
    const event: Event = {
      schema: 'headroom/v1/event',
      sequence,
      at: message.issuedAt,
      substationId: this.substationId,
      feederId: message.feederId,
      type: message.action,
      requestId: message.requestId,
      reason: 'cluster run',
      clockSynchronised: true,
    };
    return { sequence, feederId: message.feederId, body: JSON.stringify(event) };
  }

  #port(): UplinkPort {
    const { clock, substationId } = this.#input;
    return {
      offering: () => {},
      answered: () => {},
      expired: () => {},
      noAck: () => {},
      ack: ({ requestId }) => {
        const request = this.said.get(requestId);
        if (request === undefined || request.acceptedMs !== null) return;
        request.acceptedMs = clock.monotonicMs();
        this.#nextSoon();
      },
      command: () => {},
      linkAlarm: () => {},
      trouble: () => {},
      retainedSeen: () => {},
      linkChanged: (up, reason) => void this.links.push({ up, atMs: clock.monotonicMs(), reason }),
      eventsAfter: (sequence, count) => this.#events.slice(sequence, sequence + count),
      eventsSent: (sequence) => {
        this.eventsSent = Math.max(this.eventsSent, sequence);
      },
      status: (state, reason) => ({
        schema: 'headroom/v1/status',
        substationId,
        state,
        at: isoTime(clock.wallMs()),
        reason,
        version: 'cluster run',
        settings: { hash: '' },
        health: null,
        clock: null,
        insecure: true,
        feeders: null,
      }),
    };
  }
}
