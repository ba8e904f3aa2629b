// Says what the journal holds to the head end, and hears its acknowledgements: requests first, each feeder's newest
// only and never after it has expired; then the sequence of events in order. What has to be kept about it is the
// caller's business, through the port.
import type { Clock, Timer } from '../clock.ts';
import type { CommandAck } from '../command-message.ts';
import {
  type Ack,
  ackSchema,
  type Curtailment,
  curtailmentSchema,
  type Event,
  parseMessage,
  type Status,
  statusSchema,
  topicsOf,
} from '../messages.ts';
import type { Telemetry } from '../telemetry-message.ts';
import type { UplinkSettings } from '../uplink-settings.ts';
import type { CertificateEnd } from './certificate-ends.ts';
import { Delivery, type OutgoingRequest, Pace } from './delivery.ts';
import { EventOutbox, type OutgoingEvent } from './event-outbox.ts';
import { type Connect, Link } from './link.ts';
import type { Publication } from './packets.ts';
import type { LinkAlarm } from './refusals.ts';
import { TelemetryQueue } from './telemetry-queue.ts';

/** What the uplink needs from the rest of the program. */
export interface UplinkPort {
  /** Called before a request that no broker was ever given is handed to one, unless that was promised. */
  offering(request: OutgoingRequest): void;
  /** A broker took it, or refused it. */
  answered(request: OutgoingRequest): void;
  /** A request came to its end before it could be said. */
  expired(request: OutgoingRequest): void;
  /** No acknowledgement after every repeat. */
  noAck(message: Curtailment): void;
  /** An acknowledgement; it is confirmed to the broker when this returns. */
  ack(ack: Ack, feederId: string): void;
  /** An order of the head end; it is confirmed to the broker when this returns. */
  command(payload: Uint8Array, retained: boolean): void;
  /** A message from outside that is no valid acknowledgement, or one of ours that the broker would not have. */
  trouble(topic: string, reason: string): void;
  /** One of our own retained requests, seen on the broker. */
  retainedSeen(message: Curtailment): void;
  linkChanged(up: boolean, reason: string): void;
  /** Something about the link that people have to see to; null when it is well again. */
  linkAlarm(alarm: LinkAlarm, reason: string | null): void;
  eventsAfter(sequence: number, count: number): OutgoingEvent[];
  /** The broker has every event up to here. */
  eventsSent(sequence: number): void;
  status(state: 'online' | 'offline', reason: Status['reason']): Status;
}

export interface UplinkInput {
  readonly settings: UplinkSettings;
  readonly substationId: string;
  readonly ackTimeoutMs: (feederId: string) => number;
  /** The journal is new: look once at what this substation left retained. */
  readonly learnRetained: boolean;
  readonly eventsSentTo: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** MQTT.js unless given. */
  readonly connect?: Connect | undefined;
  /** At once unless given. */
  readonly connectAfterMs?: number | undefined;
  readonly port: UplinkPort;
}

/** Waiting to be said; a flood of commands must not fill the memory. */
const ANSWERS_MAX = 32;
const GLANCE_MS = 2_000;
/** After a refusal by the broker, before anything is tried again. */
const REFUSED_WAIT_MS = 5_000;

/** A broker keeps a release this long after the end of what it releases, for devices whose clocks run late. */
const RELEASE_KEPT_MS = 3_600_000;
/** Characters that are left of the reason of an event that is too large for the broker. */
const SHORT_REASON = 100;

export class Uplink {
  readonly #input: UplinkInput;
  readonly #topics: ReturnType<typeof topicsOf>;
  readonly #delivery: Delivery;
  readonly #pace: Pace;
  readonly #link: Link;
  readonly #events: EventOutbox;
  readonly #telemetry = new TelemetryQueue();
  #learn: boolean;
  #timer: Timer | null = null;
  #eventsPausedUntilMs = 0;
  #statusWanted: Status['reason'] | null = null;
  readonly #answers: CommandAck[] = [];
  /** Requests of this turn that are about to be said. */
  #promised = 0;
  #closed = false;

  constructor(input: UplinkInput) {
    this.#input = input;
    this.#topics = topicsOf(input.substationId);
    this.#delivery = new Delivery(input.ackTimeoutMs);
    this.#pace = new Pace(input.settings.historyMessagesPerS);
    this.#events = new EventOutbox(input.eventsSentTo, (sequence, count) => input.port.eventsAfter(sequence, count));
    this.#learn = input.learnRetained;
    const { settings, substationId, clock, random, connect, connectAfterMs, port } = input;
    this.#link = new Link({
      settings,
      clientId: `headroom-${substationId}`,
      will: { topic: this.#topics.status, payload: () => JSON.stringify(port.status('offline', 'connectionLost')) },
      subscriptions: [this.#topics.everyAck, this.#topics.command, this.#topics.status],
      clock,
      random,
      connect,
      connectAfterMs,
      urgent: () => this.#delivery.waiting(),
      events: {
        up: () => this.#up(),
        down: (reason) => this.#down(reason),
        alarm: (alarm, reason) => port.linkAlarm(alarm, reason),
        message: (topic, payload, retained, done) => this.#message(topic, payload, retained, done),
      },
    });
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** When the certificates that the link rests on end. */
  get certificateEnds(): readonly CertificateEnd[] {
    return this.#link.certificateEnds;
  }

  /** How many more messages may go out now. */
  get #room(): number {
    return this.#link.room - this.#promised;
  }

  /** A request from before the start, with what is known of it. */
  restore(request: OutgoingRequest, acked: boolean): void {
    this.#delivery.put(request, { acked, wanted: false });
  }

  /** Whether one more request can be handed to the broker in this turn. One that was promised this is to be said. */
  promise(): boolean {
    if (this.#room <= 0) return false;
    this.#promised += 1;
    return true;
  }

  /** A new request, durable already: `offered` where it was promised to go out at once. */
  say(request: OutgoingRequest): void {
    this.#delivery.put(request, { acked: false, wanted: true });
    if (request.offered) {
      this.#promised -= 1;
      request.offered = !this.#isTooLate(request);
      this.#sendRequest(request);
    }
    if (!this.#link.isUp) this.#link.hurry();
    this.#pump();
  }

  /** The feeder's newest request will not be said. */
  withhold(feederId: string): void {
    this.#delivery.drop(feederId);
  }

  /** The journal has new events. They follow the requests of the same turn. */
  eventsAdded(): void {
    this.#events.added();
    this.#input.clock.afterTurn(() => this.#pump());
  }

  /** Answers a command; one that finds no link is said when there is one, and the head end may ask again. */
  answer(answer: CommandAck): void {
    this.#answers.push(answer);
    if (this.#answers.length > ANSWERS_MAX) this.#answers.shift();
    this.#pump();
  }

  /** Telemetry waits in memory: while the link is down only the newest is kept, and a restart forgets it. */
  telemetry(message: Telemetry, waitMs: number): void {
    this.#telemetry.add(message, this.#input.clock.monotonicMs(), waitMs);
    this.#pump();
  }

  /** The status and every standing request once more. */
  sayAllAgain(): void {
    this.#delivery.sayAllAgain();
    this.sayStatus('asked');
  }

  /** Says the retained status anew, for a change of health. */
  sayStatus(reason: Status['reason']): void {
    this.#statusWanted = reason;
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#link.close(this.#statusMessage('offline', 'stopped'));
  }

  #statusMessage(state: 'online' | 'offline', reason: Status['reason']): Publication {
    return {
      topic: this.#topics.status,
      payload: JSON.stringify(this.#input.port.status(state, reason)),
      retain: true,
    };
  }

  #up(): void {
    this.#input.port.linkChanged(true, 'connected');
    this.#delivery.sayAllAgain();
    this.#events.rewind();
    this.#statusWanted = 'connected';
    if (this.#learn) this.#link.glance(this.#topics.everyCurtailment, GLANCE_MS);
    this.#learn = false;
    this.#pump();
  }

  #down(reason: string): void {
    this.#delivery.interrupted();
    this.#telemetry.interrupted();
    this.#input.port.linkChanged(false, reason);
  }

  #pump(): void {
    if (this.#closed) return;
    const nowMs = this.#input.clock.monotonicMs();
    for (const message of this.#delivery.overdue(nowMs)) this.#input.port.noAck(message);
    if (this.#statusWanted !== null && this.#room > 0) {
      const status = this.#statusMessage('online', this.#statusWanted);
      this.#statusWanted = null;
      this.#link.publish(status, () => this.#pump());
    }
    while (this.#room > 0) {
      const request = this.#delivery.next(nowMs);
      if (request === null) break;
      this.#sendRequest(request);
    }
    while (this.#room > 0 && this.#answers.length > 0) this.#sendAnswer();
    if (nowMs >= this.#eventsPausedUntilMs) this.#sendEvents(nowMs);
    this.#sendTelemetry(nowMs);
    this.#arm(nowMs);
  }

  #sendRequest(request: OutgoingRequest): void {
    const { message, payload } = request;
    const wallMs = this.#input.clock.wallMs();
    // What is too late to begin is not sent; what was sent stands at the broker until its end.
    const keptMs = message.action === 'release' ? RELEASE_KEPT_MS : 0;
    const forgottenWallMs = Date.parse(message.end) + keptMs;
    if (this.#isTooLate(request)) {
      this.#delivery.drop(message.feederId);
      this.#input.port.expired(request);
      return;
    }
    if (!request.offered) {
      this.#input.port.offering(request);
      request.offered = true;
    }
    this.#delivery.sending(request);
    const publication: Publication = {
      topic: this.#topics.curtailment(message.feederId),
      payload,
      // What is only tried out must not be found as the request in force by whoever comes later.
      retain: message.mode === 'live',
      expiryS: Math.max(1, Math.round((forgottenWallMs - wallMs) / 1000)),
      responseTopic: this.#topics.ack(message.feederId),
      correlationId: message.requestId,
    };
    this.#link.publish(publication, (refused) => {
      request.offered = refused === null;
      request.confirmed = refused === null;
      if (refused === null) this.#delivery.taken(request, this.#input.clock.monotonicMs());
      else {
        this.#delivery.refused(request, this.#input.clock.monotonicMs() + REFUSED_WAIT_MS);
        this.#input.port.trouble(publication.topic, `refused by the broker: ${refused}`);
      }
      this.#input.port.answered(request);
      this.#pump();
    });
  }

  #isTooLate({ message }: OutgoingRequest): boolean {
    return this.#input.clock.wallMs() >= Date.parse(message.validUntil);
  }

  #sendAnswer(): void {
    const answer = this.#answers.shift();
    if (answer === undefined) return;
    const topic = this.#topics.commandAck;
    const { commandId: correlationId } = answer;
    this.#link.publish({ topic, payload: JSON.stringify(answer), retain: false, correlationId }, (refused) => {
      if (refused !== null) this.#input.port.trouble(topic, `refused by the broker: ${refused}`);
      this.#pump();
    });
  }

  #sendEvents(nowMs: number): void {
    while (this.#room > 0 && this.#pace.allowance(nowMs) >= 1) {
      const event = this.#events.next();
      if (event === undefined) return;
      this.#pace.spend();
      const topic = this.#topics.event(event.feederId);
      const publication = this.#fitting(topic, event.body);
      if (publication === null) {
        this.#eventTaken(event.sequence);
        continue;
      }
      this.#link.publish(publication, (refused) => {
        if (refused === null) this.#eventTaken(event.sequence);
        else this.#eventRefused(topic, refused);
        this.#pump();
      });
    }
  }

  /**
   * An event that the broker would take for too large is said without what is long about it. One that is too large even
   * then is passed over, because those behind it would wait for ever: null. Either way an alarm says so.
   */
  #fitting(topic: string, body: string): Publication | null {
    const whole = { topic, payload: body, retain: false };
    if (this.#link.fits(whole)) return whole;
    this.#link.tooLarge(whole);
    const { request: _, reason, ...rest }: Event = JSON.parse(body);
    const short: Event = { ...rest, reason: reason.slice(0, SHORT_REASON), shortened: true };
    const cut = { ...whole, payload: JSON.stringify(short) };
    return this.#link.fits(cut) ? cut : null;
  }

  /** Behind everything else, at the pace of the backlog. */
  #sendTelemetry(nowMs: number): void {
    if (this.#events.isWaiting) return;
    while (this.#room > 0 && this.#pace.allowance(nowMs) >= 1) {
      const next = this.#telemetry.next(nowMs);
      if (next === null) return;
      this.#pace.spend();
      const { message } = next;
      const topic = this.#topics.telemetry(message.feederId);
      this.#link.publish({ topic, payload: JSON.stringify(message), retain: false }, (refused) => {
        next.done();
        if (refused !== null) this.#input.port.trouble(topic, `refused by the broker: ${refused}`);
        this.#pump();
      });
    }
  }

  #eventTaken(sequence: number): void {
    this.#input.port.eventsSent(this.#events.taken(sequence));
  }

  /** The broker will not have it: the events wait, and go on from there again; the link itself is sound. */
  #eventRefused(topic: string, reason: string): void {
    this.#events.rewind();
    this.#eventsPausedUntilMs = this.#input.clock.monotonicMs() + REFUSED_WAIT_MS;
    this.#input.port.trouble(topic, `refused by the broker: ${reason}`);
  }

  /** One timer for whichever comes first: an acknowledgement overdue, the pace of the backlog, the end of a pause. */
  #arm(nowMs: number): void {
    this.#timer?.cancel();
    let dueMs = this.#delivery.nextDueMs(nowMs);
    if (this.#link.isUp && nowMs < this.#eventsPausedUntilMs) dueMs = Math.min(dueMs, this.#eventsPausedUntilMs);
    else if (this.#room > 0 && this.#events.isWaiting) dueMs = Math.min(dueMs, this.#pace.nextMs(nowMs));
    else if (this.#room > 0) dueMs = Math.min(dueMs, Math.max(this.#telemetry.dueMs(), this.#pace.nextMs(nowMs)));
    this.#timer = Number.isFinite(dueMs) ? this.#input.clock.at(dueMs, () => this.#pump()) : null;
  }

  /**
   * The last will of a session on another broker of the same cluster may come after our birth on this one, and would
   * stand as retained: it is answered with the truth.
   */
  #heardStatus(payload: Uint8Array, retained: boolean): void {
    if (retained) return;
    const status = parseMessage(statusSchema, payload);
    if (typeof status !== 'string' && status.state === 'offline') this.sayStatus('connected');
  }

  #message(topic: string, payload: Uint8Array, retained: boolean, done: () => void): void {
    const feederId = topic.split('/')[4] ?? '';
    const { port } = this.#input;
    if (topic === this.#topics.curtailment(feederId)) {
      const message =
        payload.length === 0 || !retained ? 'not a retained request' : parseMessage(curtailmentSchema, payload);
      if (typeof message !== 'string') port.retainedSeen(message);
    } else if (topic === this.#topics.ack(feederId)) {
      const ack = parseMessage(ackSchema, payload);
      if (typeof ack === 'string') port.trouble(topic, ack);
      else {
        this.#delivery.acked(feederId, ack.requestId, ack.sequence);
        port.ack(ack, feederId);
      }
    } else if (topic === this.#topics.command) {
      port.command(payload, retained);
    } else if (topic === this.#topics.status) {
      this.#heardStatus(payload, retained);
    } else {
      port.trouble(topic, 'a topic that was not subscribed');
    }
    done();
  }
}
