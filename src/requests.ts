// From a decision of control to the message that the head end gets: bounded by the caps once more, numbered, bound to
// its episode and to the request before it. A request that no broker has confirmed and that will not be said again is
// told of as an event, so that the head end knows every number.
import { type Clock, isoTime } from './clock.ts';
import type { ControlRequest } from './control/types.ts';
import type { EventBook } from './event-book.ts';
import { rounded } from './feeder.ts';
import type { HarmCaps } from './harm-caps.ts';
import type { Curtailment } from './messages.ts';
import { releaseOfLapsed, requestMessage } from './request-message.ts';
import type { OutgoingRequest } from './uplink/delivery.ts';
import type { WatchedFeeder } from './watched-feeder.ts';

/** A clock that is slewed or drifts sets no end ahead by more than this. */
const END_DOUBT_MS = 2_000;

export interface RequestsInput {
  readonly substationId: string;
  readonly settingsHash: string;
  readonly firstSequence: number;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly harmCaps: HarmCaps;
  readonly book: EventBook;
  /** Whether a broker is given this request in this very turn. */
  readonly promise: () => boolean;
  readonly isUp: () => boolean;
  /** The uplink is not to say what it has of this feeder. */
  readonly withhold: (feederId: string) => void;
}

/** `say` is false for a request that is born withheld. */
export interface MadeRequest {
  readonly request: OutgoingRequest;
  readonly say: boolean;
}

export class Requests {
  readonly #input: RequestsInput;
  readonly #withheld: { requestId: string; why: 'superseded' | 'expired' }[] = [];
  /** Overtaken while they were on their way to the broker. */
  #uncertain: OutgoingRequest[] = [];
  #nextSequence: number;

  constructor(input: RequestsInput) {
    this.#input = input;
    this.#nextSequence = input.firstSequence;
  }

  /** What control decides is bounded once more; what goes beyond a cap is told of, and gives null. */
  make(feeder: WatchedFeeder, decided: ControlRequest): MadeRequest | null {
    const { harmCaps, book } = this.#input;
    const passed = harmCaps.pass(feeder.settings.id, feeder.group.caps, decided);
    if (typeof passed !== 'string') return this.#prepare(feeder, passed);
    book.add(feeder.settings.id, 'alarm', `a ${decided.action} was not said: ${passed}`, { alarm: 'harmCap' });
    return null;
  }

  /** A request that was never given to a broker and never will be is still told of, as an event. */
  withhold(feeder: WatchedFeeder, request: OutgoingRequest, why: 'superseded' | 'expired'): void {
    this.#withheld.push({ requestId: request.message.requestId, why });
    if (feeder.latest === request) feeder.latest = null;
    this.#tellLater(request, `${why} before it could be sent`);
  }

  /** It came to its end before it could be said, or said again. */
  expire(feeder: WatchedFeeder, request: OutgoingRequest): void {
    if (!request.offered) this.withhold(feeder, request, 'expired');
    else if (!request.confirmed) {
      if (feeder.latest === request) feeder.latest = null;
      this.#tellLater(request, 'expired before a broker confirmed it');
    }
  }

  /** A broker took it, or refused it. */
  answered(feeder: WatchedFeeder, request: OutgoingRequest): void {
    const { action, episodeId } = request.message;
    if (request.confirmed && action === 'limit' && episodeId === feeder.episodeId) feeder.isLimitUnsure = false;
    this.#settleUncertain(({ offered, confirmed }) => confirmed || !offered);
  }

  /** What was on its way and has been overtaken will not be said again. */
  linkBroke(): void {
    this.#settleUncertain(() => true);
  }

  /** The devices have ended the limit by themselves: it is not said again, and its episode is over without a message. */
  lapse(feeder: WatchedFeeder): void {
    const { latest, lastOffered } = feeder;
    const nowMs = this.#input.clock.monotonicMs();
    this.#input.withhold(feeder.settings.id);
    if (latest !== null && lastOffered !== null)
      feeder.lapsed = { message: latest.message, heardId: lastOffered, sureMs: nowMs };
    if (latest !== null) this.expire(feeder, latest);
    endEpisode(feeder);
  }

  /**
   * The release of a limit that has lapsed while the wall clock was ahead, so that its `end` is still to come by the
   * clock as it is now: whoever finds it retained would take it as in force. Null where there is no such limit.
   */
  releaseLapsed(feeder: WatchedFeeder): MadeRequest | null {
    const { lapsed } = feeder;
    const { clock, newId, promise } = this.#input;
    const wallMs = clock.wallMs();
    if (lapsed === null || clock.monotonicMs() < lapsed.sureMs || lapsed.message.mode === 'test') return null;
    if (Date.parse(lapsed.message.end) <= wallMs + END_DOUBT_MS) return null;
    const message = releaseOfLapsed(lapsed, {
      requestId: newId(),
      sequence: this.#nextSequence++,
      at: isoTime(wallMs),
      clockSynchronised: clock.synchronised(),
    });
    const payload = JSON.stringify(message);
    feeder.latest = { message, payload, offered: promise(), confirmed: false };
    feeder.lapsed = null;
    this.#tell(feeder, message, 'it has lapsed, and its end is still to come on the corrected clock', true);
    return { request: feeder.latest, say: true };
  }

  get hasWithheld(): boolean {
    return this.#withheld.length > 0;
  }

  /** Those withheld since the last time, for the journal. */
  takeWithheld(): { requestId: string; why: 'superseded' | 'expired' }[] {
    return this.#withheld.splice(0);
  }

  /** Everything from now on is newer than `sequence`; false where it is already. */
  passBy(sequence: number): boolean {
    if (sequence < this.#nextSequence) return false;
    this.#nextSequence = sequence + 1;
    return true;
  }

  /** Makes the message, and settles what becomes of the request before it. */
  #prepare(feeder: WatchedFeeder, request: ControlRequest): MadeRequest {
    const { substationId, settingsHash, clock, newId, promise } = this.#input;
    const { latest } = feeder;
    const nowMs = clock.monotonicMs();
    if (feeder.episodeId === null) {
      feeder.episodeId = newId();
      feeder.episodeSince = this.#nextSequence;
      feeder.isLimitUnsure = true;
    }
    const { episodeId } = feeder;
    if (latest !== null) this.#supersede(feeder, latest);
    // A head end that may not have heard of this episode is told of it as a limit, and where it certainly has not, of
    // its end not at all.
    const action = request.action === 'refresh' && feeder.isLimitUnsure ? 'limit' : request.action;
    const say = request.action !== 'release' || feeder.lastOffered !== null;
    const message = requestMessage(
      { ...request, action },
      {
        substationId,
        feeder: feeder.settings,
        group: feeder.groups.get(request.group)?.group ?? feeder.group,
        settingsHash,
        requestId: newId(),
        sequence: this.#nextSequence++,
        episodeId,
        supersedes: feeder.lastOffered,
        wallOffsetMs: clock.wallMs() - nowMs,
        nowMs,
        clockSynchronised: clock.synchronised(),
      },
    );
    const offered = say && promise();
    const outgoing = { message, payload: JSON.stringify(message), offered, confirmed: false };
    // A request that is born withheld is told of by its event, and by nothing else.
    feeder.latest = say ? outgoing : null;
    feeder.lapsed = null;
    if (offered) feeder.lastOffered = message.requestId;
    this.#tell(feeder, message, request.reason, say);
    if (request.action === 'release') endEpisode(feeder);
    return { request: outgoing, say };
  }

  #supersede(feeder: WatchedFeeder, latest: OutgoingRequest): void {
    if (!latest.offered) {
      this.withhold(feeder, latest, 'superseded');
      this.#input.withhold(feeder.settings.id);
    } else if (!latest.confirmed) {
      this.#uncertain.push(latest);
      if (!this.#input.isUp()) this.linkBroke();
    }
  }

  /** Of those that were overtaken on their way, the ones that `isSettled` means are done with: told of, or confirmed. */
  #settleUncertain(isSettled: (request: OutgoingRequest) => boolean): void {
    for (const request of this.#uncertain)
      if (isSettled(request) && !request.confirmed) this.#tellLater(request, 'superseded before a broker confirmed it');
    this.#uncertain = this.#uncertain.filter((request) => !isSettled(request));
  }

  #tellLater(request: OutgoingRequest, reason: string): void {
    const { message } = request;
    this.#input.book.add(message.feederId, message.action, reason, {
      levelPercent: message.levelPercent,
      requestId: message.requestId,
      episodeId: message.episodeId,
      historical: true,
      request: message,
    });
  }

  #tell(feeder: WatchedFeeder, message: Curtailment, reason: string, say: boolean): void {
    const { element, phase, currentA } = message.trigger;
    const decidedA = currentA[phase];
    this.#input.book.add(feeder.settings.id, message.action, reason, {
      element,
      phase,
      // As it was decided by: a reading of the same turn may have come since.
      ...(decidedA !== null && { currentA: rounded(decidedA) }),
      levelPercent: message.levelPercent,
      requestId: message.requestId,
      episodeId: message.episodeId,
      ...(!say && { historical: true, request: message }),
    });
  }
}

/** The next request begins an episode of its own. */
function endEpisode(feeder: WatchedFeeder): void {
  feeder.episodeId = null;
  feeder.lastOffered = null;
}
