// One scan: read, decide, keep, say. Readings and falling-due timers step control; what one turn of the event loop
// decides becomes one transaction of the journal and is then said. This file runs the data path and knows every part
// of it; the parts do not know one another.

import { AckWatch } from './ack-watch.ts';
import type { MeasurementAlarm, SourceAlarm } from './acquisition/source-reading.ts';
import { carryOut, type Outcome } from './carry-out.ts';
import { type Clock, isoTime, type Timer } from './clock.ts';
import { lastsMs, type Moment } from './command-desk.ts';
import type { Command } from './command-message.ts';
import { Commands, type CommandsPort } from './commands.ts';
import type { Configuration } from './configuration.ts';
import { nextDueMs, stepAck, stepClock, stepReading, stepTime } from './control/feeder-control.ts';
import { resumeState } from './control/resume.ts';
import type { ControlRequest, EventAction, FeederState } from './control/types.ts';
import { type FeederReading, rounded } from './feeder.ts';
import { HarmCaps } from './harm-caps.ts';
import { drawAhead, newId } from './ids.ts';
import { JoinedAlarms } from './joined-alarms.ts';
import type { AnsweredCommand, Batch, Journal, JournalNews, NewEvent } from './journal/journal.ts';
import { Keeper } from './keeper.ts';
import { heatToKeep, KEEP_HEAT_EVERY_MS, takeHeat } from './kept-heat.ts';
import type { Log } from './log.ts';
import type { Ack, Curtailment, Event, Status } from './messages.ts';
import { rehearse } from './rehearsal.ts';
import { expiresWallMs, requestMessage } from './request-message.ts';
import { groupByCalendar, groupsByCommand } from './settings-groups.ts';
import { staleAfterMs } from './source-settings.ts';
import { TelemetryIntervals } from './telemetry.ts';
import type { OutgoingRequest } from './uplink/delivery.ts';
import type { Connect } from './uplink/link.ts';
import { Uplink, type UplinkPort } from './uplink/uplink.ts';
import { VERSION } from './version.ts';
import {
  feederStatus,
  outgoingRequest,
  putInForce,
  stateWord,
  storedRequest,
  telemetryFeeder,
  tellOthers,
  type WatchedFeeder,
  watchedFeeder,
} from './watched-feeder.ts';

/** Looks over the controller's shoulder: the demo's screen, and tests. */
export interface Observer {
  reading?(reading: FeederReading): void;
  event?(event: Event): void;
  request?(message: Curtailment): void;
  ack?(ack: Ack): void;
  link?(up: boolean, reason: string): void;
}

export interface ControllerInput {
  readonly configuration: Configuration;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly observer?: Observer;
  /** MQTT.js unless given. */
  readonly connect?: Connect;
  /** Random UUIDv7 unless given. */
  readonly newId?: () => string;
  /** Warms the path of a request up; true unless given. */
  readonly rehearse?: boolean;
}

type EventDraft = Omit<Event, 'schema' | 'sequence' | 'substationId' | 'clockSynchronised'>;

/** A wall clock that has moved against the monotonic one by more than this was stepped. */
const CLOCK_STEP_MS = 2_000;
const HOUSEKEEPING_MS = 1_000;
/** Checkpoints wait for a moment without a pickup, in an episode no longer than this. */
const QUIET_WITHIN_MS = 60_000;
const GAP_REASONS = {
  lost: 'the journal had come further: these events are lost with it',
  shed: 'too many events waited to be sent: the oldest gave way',
  dropped: 'the journal could not be written for so long that the oldest events of that time are lost',
};

export class Controller {
  readonly #input: ControllerInput;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #keeper: Keeper;
  readonly #feeders = new Map<string, WatchedFeeder>();
  readonly #uplink: Uplink;
  readonly #newId: () => string;
  readonly #drafts: EventDraft[] = [];
  readonly #harmCaps: HarmCaps;
  readonly #joined = new JoinedAlarms<EventDraft>();
  readonly #commands: Commands;
  readonly #telemetry: TelemetryIntervals;
  readonly #answered: AnsweredCommand[] = [];
  readonly #withheld: { requestId: string; why: 'superseded' | 'expired' }[] = [];
  #nextSequence: number;
  #settling = false;
  #timer: Timer | null = null;
  #housekeeping: Timer | null = null;
  #wallOffsetMs: number;
  #stopped = false;
  readonly #silentSources = new Set<string>();
  /** What is odd about the readings, as the status names it. */
  readonly #measurementAlarms = new Map<string, string>();
  readonly #linkAlarms = new Set<string>();
  readonly #programAlarms = new Set<string>();
  /** What is wrong with a feeder's acknowledgements, until a better one comes. */
  readonly #ackAlarms = new Map<string, 'noAck' | 'rejected' | 'failed' | 'notApplied'>();
  readonly #ackWatch = new AckWatch();
  #historyFailing = false;
  #saidFailure: string | null = null;
  /** The last moment that was good for clean-up. */
  #tidiedMs = 0;
  #heatKeptMs = Number.NEGATIVE_INFINITY;
  #saidStanding = '';

  constructor(input: ControllerInput) {
    this.#input = input;
    this.#clock = input.clock;
    this.#journal = input.journal;
    this.#newId = input.newId ?? newId;
    this.#wallOffsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    this.#keeper = new Keeper(input.journal, input.clock, input.log);
    // Above anything that this substation can have said before: while storage failed it may have said more than the
    // journal knows of, but never a request per millisecond.
    this.#nextSequence = Math.max((this.#journal.lastSequence() ?? 0) + 1, Math.floor(this.#clock.wallMs()));
    const { settings, hash } = input.configuration;
    for (const feeder of settings.feeders)
      this.#feeders.set(
        feeder.id,
        watchedFeeder(feeder, settings.sources, this.#clock.wallMs(), settings.caps.feedersAtOnce),
      );
    this.#harmCaps = new HarmCaps(settings.caps.feedersAtOnce);
    if (input.rehearse !== false) this.#rehearse();
    this.#tellOfJournal();
    this.#draft(null, 'restart', `version ${VERSION}, settings ${hash}`);
    const acks = this.#resume();
    this.#commands = new Commands(settings.uplink.commandsPerMinute, this.#clock, this.#commandsPort());
    this.#uplink = new Uplink({
      settings: settings.uplink,
      substationId: settings.substation.id,
      ackTimeoutMs: (feederId) => (this.#feeders.get(feederId)?.group.curtailment.ackTimeoutS ?? 60) * 1000,
      // Also with a journal: while it could not be written, more may have been said than it knows of.
      learnRetained: true,
      eventsSentTo: this.#keeper.eventsSentTo,
      clock: this.#clock,
      random: input.random,
      connect: input.connect,
      port: this.#port(),
    });
    this.#telemetry = new TelemetryIntervals(
      settings.substation.id,
      settings.uplink,
      [...this.#feeders.values()].map(telemetryFeeder),
      this.#clock,
      input.random,
      (message, waitMs) => this.#uplink.telemetry(message, waitMs),
    );
    for (const feeder of this.#feeders.values()) {
      if (feeder.latest !== null) this.#uplink.restore(feeder.latest, acks.has(feeder.latest.message.requestId));
    }
    this.#housekeep();
    this.#keeper.commit({ states: this.#allStates(), requests: [], events: [], withheld: [] });
    this.#saidStanding = this.#standing();
    this.#settleSoon();
  }

  /** All feeders of one source, from one telegram. */
  readings(readings: readonly FeederReading[]): void {
    if (this.#stopped) return;
    let decided = false;
    for (const reading of readings) {
      const feeder = this.#feeders.get(reading.feederId);
      if (feeder === undefined) continue;
      tellOthers(feeder, this.#feeders.values());
      stepReading(feeder.state, feeder.control, reading, feeder.actions);
      decided ||= feeder.actions.length > 0;
      this.#telemetry.take(reading);
      this.#input.observer?.reading?.(reading);
    }
    if (decided) this.#settleSoon();
    else this.#armTimer();
  }

  sourceChanged(sourceId: string, answering: boolean, detail: string): void {
    if (this.#stopped) return;
    if (answering) this.#silentSources.delete(sourceId);
    else this.#silentSources.add(sourceId);
    this.#draft(null, 'source', answering ? detail : `does not answer: ${detail}`, { sourceId });
    this.#settleSoon();
  }

  /** What is odd about the measurement of a feeder or about a source, or no longer is. */
  measurementAlarm({ feederId, sourceId, phase, alarm, standing, reason }: MeasurementAlarm | SourceAlarm): void {
    if (this.#stopped) return;
    const name = `${feederId ?? sourceId}/${alarm}${phase === null ? '' : ` ${phase}`}`;
    // The two sources of a feeder may both be odd, and one of them mend.
    const key = `${sourceId} ${name}`;
    if (standing) this.#measurementAlarms.set(key, name);
    else this.#measurementAlarms.delete(key);
    const type = standing ? 'alarm' : 'alarmEnd';
    this.#draft(feederId, type, reason, { alarm, sourceId, ...(phase !== null && { phase }) });
    this.#settleSoon();
  }

  /** A feeder takes its readings from another source from now on; its timers go on. */
  changedOver(feederId: string, sourceId: string, reason: string): void {
    const feeder = this.#feeders.get(feederId);
    const source = this.#input.configuration.settings.sources.find(({ id }) => id === sourceId);
    if (this.#stopped || feeder === undefined || source === undefined) return;
    feeder.control = { ...feeder.control, staleAfterMs: staleAfterMs(source) };
    const key = `backup of ${feederId}`;
    if (sourceId === feeder.settings.currents.source) this.#measurementAlarms.delete(key);
    else this.#measurementAlarms.set(key, `${feederId}/onBackup`);
    this.#draft(feederId, 'source', reason, { sourceId });
    this.#settleSoon();
  }

  /** No element is picked up and no limit stands: a pause of some milliseconds is in the way of no decision. */
  get isQuiet(): boolean {
    return [...this.#feeders.values()].every(({ state }) => ['normal', 'blind'].includes(stateWord(state)));
  }

  /** The measurement history is not kept, and why; null when it is again. */
  historyTrouble(reason: string | null): void {
    if (this.#stopped) return;
    this.#historyFailing = reason !== null;
    this.#draft(null, reason === null ? 'alarmEnd' : 'alarm', reason ?? 'kept again', { alarm: 'historyFailed' });
    this.#settleSoon();
  }

  /** What is wrong with the program itself; `what` is a source, or the program. */
  programAlarm(alarm: string, what: string, standing: boolean, reason: string): void {
    if (this.#stopped) return;
    const name = `${what}/${alarm}`;
    if (standing) this.#programAlarms.add(name);
    else this.#programAlarms.delete(name);
    const sourceId = what === 'program' ? {} : { sourceId: what };
    this.#draft(null, standing ? 'alarm' : 'alarmEnd', reason, { alarm, ...sourceId });
    this.#settleSoon();
  }

  /** State of one feeder in a word, for the screen. */
  stateOf(feederId: string): string {
    const state = this.#feeders.get(feederId)?.state;
    return state === undefined ? 'unknown' : stateWord(state);
  }

  /** A planned stop: the limits are left to their leases, the journal is whole, the head end knows. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#settle(true);
    this.#stopped = true;
    this.#timer?.cancel();
    this.#housekeeping?.cancel();
    for (const feeder of this.#feeders.values()) feeder.actions.length = 0;
    this.#keeper.commit({ states: this.#allStates(), requests: [], events: [], withheld: [] });
    this.#keeper.keepProgress();
    await this.#uplink.close();
  }

  #allStates(): Batch['states'] {
    return [...this.#feeders].map(([feederId, { state }]) => ({ feederId, state }));
  }

  // ── scan: decide ────────────────────────────────────────────────────────────────────────────────────────────────

  #stepTimers(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const feeder of this.#feeders.values()) {
      tellOthers(feeder, this.#feeders.values());
      stepTime(feeder.state, feeder.control, nowMs, feeder.actions);
    }
    this.#settleSoon();
  }

  #armTimer(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { state, control } of this.#feeders.values()) dueMs = Math.min(dueMs, nextDueMs(state, control));
    this.#timer?.cancel();
    this.#timer = Number.isFinite(dueMs) ? this.#clock.at(dueMs, () => this.#stepTimers()) : null;
  }

  // ── keep, then say ──────────────────────────────────────────────────────────────────────────────────────────────

  /** What the sources bring in the same turn is decided first and kept together. */
  #settleSoon(): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#clock.afterTurn(() => {
      this.#settling = false;
      if (!this.#stopped) this.#settle();
    });
  }

  #settle(stopping = false): void {
    const requests: { request: OutgoingRequest; say: boolean }[] = [];
    const changed: WatchedFeeder[] = [];
    for (const feeder of this.#feeders.values()) {
      if (feeder.actions.length === 0) continue;
      changed.push(feeder);
      for (const action of feeder.actions.splice(0)) {
        if (action.kind === 'event') this.#draftAction(feeder, action);
        else requests.push(...this.#passCaps(feeder, action));
      }
    }
    const nowMs = stopping ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs();
    const drafts = [...this.#joined.due(nowMs), ...this.#joined.pass(this.#drafts.splice(0), nowMs)];
    if (changed.length === 0 && drafts.length === 0 && this.#withheld.length === 0) return this.#armTimer();
    const withheld = this.#withheld.splice(0);
    const events: Event[] = [];
    this.#keeper.commit({
      states: changed.map(({ settings, state }) => ({ feederId: settings.id, state })),
      requests: requests.map(({ request, say }) => storedRequest(request, say)),
      withheld,
      events: drafts.map((draft) => this.#newEvent(draft, events)),
      commands: this.#answered.splice(0),
    });
    // What a later request of this same turn has superseded before it could be said stays unsaid.
    const unsaid = new Set(withheld.map(({ requestId }) => requestId));
    for (const { request, say } of requests)
      if (say && !unsaid.has(request.message.requestId)) this.#uplink.say(request);
    this.#uplink.eventsAdded();
    this.#armTimer();
    const messages = requests.map(({ request }) => request.message);
    // MQTT.js hands its bytes to the socket when this turn ends: what people read waits until then.
    this.#clock.afterTurn(() => this.#tell(messages, events));
  }

  /** After it is said: the log, the observer and the retained status are in nobody's way here. */
  #tell(messages: readonly Curtailment[], events: readonly Event[]): void {
    const { log, observer } = this.#input;
    this.#keeper.settle();
    drawAhead();
    for (const event of events) {
      const { sequence, feederId, type, element, phase, currentA, alarm, sourceId, reason } = event;
      log.info({ sequence, feederId, type, element, phase, currentA, alarm, sourceId, reason }, 'event');
      observer?.event?.(event);
    }
    for (const message of messages) {
      const { requestId, sequence, feederId, action, phases, levelPercent, end } = message;
      log.info({ requestId, sequence, feederId, action, phases, levelPercent, end }, 'request');
      observer?.request?.(message);
    }
    const standing = this.#standing();
    if (standing !== this.#saidStanding) this.#uplink.sayStatus('changed');
    this.#saidStanding = standing;
  }

  /** What control decides is bounded once more; what goes beyond a cap is told of and not said. */
  #passCaps(feeder: WatchedFeeder, request: ControlRequest): { request: OutgoingRequest; say: boolean }[] {
    const passed = this.#harmCaps.pass(feeder.settings.id, feeder.group.caps, request);
    if (typeof passed !== 'string') return [this.#prepare(feeder, passed)];
    this.#draft(feeder.settings.id, 'alarm', `a ${request.action} was not said: ${passed}`, { alarm: 'harmCap' });
    return [];
  }

  /** Makes the message, and settles what becomes of the request before it. */
  #prepare(feeder: WatchedFeeder, request: ControlRequest): { request: OutgoingRequest; say: boolean } {
    const { latest } = feeder;
    const nowMs = this.#clock.monotonicMs();
    if (feeder.episodeId === null) {
      feeder.episodeId = this.#newId();
      feeder.episodeSince = this.#nextSequence;
    }
    const { episodeId } = feeder;
    if (latest !== null && !latest.offered) {
      this.#withhold(feeder, latest, 'superseded');
      this.#uplink.withhold(feeder.settings.id);
    }
    // A head end that never heard of this episode is told of it as a limit, and of its end not at all.
    const heard = feeder.lastOffered !== null;
    const action = request.action === 'refresh' && (!heard || feeder.isLimitUnsure) ? 'limit' : request.action;
    const say = request.action !== 'release' || heard;
    const message = requestMessage(
      { ...request, action },
      {
        substationId: this.#input.configuration.settings.substation.id,
        feeder: feeder.settings,
        group: feeder.groups.get(request.group)?.group ?? feeder.group,
        settingsHash: this.#input.configuration.hash,
        requestId: this.#newId(),
        sequence: this.#nextSequence++,
        episodeId,
        supersedes: feeder.lastOffered,
        wallOffsetMs: this.#clock.wallMs() - nowMs,
        nowMs,
        clockSynchronised: this.#clock.synchronised(),
      },
    );
    const offered = say && this.#uplink.isUp;
    const outgoing = { message, payload: JSON.stringify(message), expiresWallMs: expiresWallMs(message), offered };
    // A request that is born withheld is told of by its event, and by nothing else.
    feeder.latest = say ? outgoing : null;
    if (offered) feeder.lastOffered = message.requestId;
    this.#drafts.push({
      ...this.#at(feeder.settings.id),
      type: message.action,
      element: message.trigger.element,
      phase: message.trigger.phase,
      ...this.#ampere(feeder.state[message.trigger.phase].currentA),
      levelPercent: message.levelPercent,
      requestId: message.requestId,
      episodeId,
      reason: request.reason,
      ...(!say && { historical: true, request: message }),
    });
    if (request.action === 'release') this.#endEpisode(feeder);
    return { request: outgoing, say };
  }

  /** A request that was never given to a broker and never will be is still told of, as an event. */
  #withhold(feeder: WatchedFeeder, request: OutgoingRequest, why: 'superseded' | 'expired'): void {
    const { message } = request;
    this.#withheld.push({ requestId: message.requestId, why });
    if (feeder.latest === request) feeder.latest = null;
    this.#drafts.push({
      ...this.#at(feeder.settings.id),
      type: message.action,
      levelPercent: message.levelPercent,
      requestId: message.requestId,
      episodeId: message.episodeId,
      reason: `${why} before it could be sent`,
      historical: true,
      request: message,
    });
  }

  #endEpisode(feeder: WatchedFeeder): void {
    feeder.episodeId = null;
    feeder.lastOffered = null;
  }

  // ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #draftAction(feeder: WatchedFeeder, action: EventAction): void {
    const { kind: _kind, atMs, currentA, thermalPercent, ...rest } = action;
    const at = isoTime(this.#clock.wallMs() + atMs - this.#clock.monotonicMs());
    const episode = feeder.episodeId === null ? {} : { episodeId: feeder.episodeId };
    this.#drafts.push({
      feederId: feeder.settings.id,
      at,
      ...rest,
      ...episode,
      ...(currentA !== undefined && this.#ampere(currentA)),
      ...(thermalPercent !== undefined && { thermalPercent: rounded(thermalPercent) }),
    });
    // A lapse ends the episode without a message: the devices have ended it by themselves.
    if (action.type === 'alarm' && action.alarm === 'lapsed') this.#endEpisode(feeder);
  }

  #draft(feederId: string | null, type: Event['type'], reason: string, more: Partial<EventDraft> = {}): void {
    this.#drafts.push({ ...this.#at(feederId), type, reason, ...more });
  }

  #at(feederId: string | null) {
    return { feederId, at: isoTime(this.#clock.wallMs()) };
  }

  #ampere(currentA: number) {
    return { currentA: rounded(currentA) };
  }

  /** The event's number is the journal's to give; the finished event is added to `made`. */
  #newEvent(draft: EventDraft, made: Event[]): NewEvent {
    const { substation } = this.#input.configuration.settings;
    const clockSynchronised = this.#clock.synchronised();
    return {
      feederId: draft.feederId,
      body: (sequence) => {
        const event: Event = {
          schema: 'headroom/v1/event',
          sequence,
          substationId: substation.id,
          ...draft,
          clockSynchronised,
        };
        made.push(event);
        return JSON.stringify(event);
      },
    };
  }

  // ── uplink ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #port(): UplinkPort {
    const { log, observer } = this.#input;
    return {
      offering: (request) => this.#offering(request),
      expired: (request) => {
        const feeder = this.#feeders.get(request.message.feederId);
        // A request that may have been heard is known of already; one that certainly was not is told of as an event.
        if (feeder !== undefined && !request.offered) this.#withhold(feeder, request, 'expired');
        this.#settleSoon();
      },
      noAck: ({ feederId, requestId, episodeId }) => {
        this.#draft(feederId, 'alarm', 'no acknowledgement after three repeats', {
          alarm: 'noAck',
          requestId,
          episodeId,
        });
        this.#ackAlarms.set(feederId, 'noAck');
        this.#settleSoon();
      },
      ack: (ack, feederId) => this.#ack(ack, feederId),
      command: (payload, retained) => this.#commands.take(payload, retained),
      trouble: (topic, reason) => log.warn({ topic, reason }, 'message not taken'),
      retainedSeen: (message) => this.#retainedSeen(message),
      linkChanged: (up, reason) => {
        // What the journal ends with is said before anything that is decided from now on.
        if (up) for (const feeder of this.#feeders.values()) feeder.isLimitUnsure = false;
        log.info({ up, reason }, 'link');
        observer?.link?.(up, reason);
      },
      linkAlarm: (alarm, reason) => this.#linkAlarm(alarm, reason),
      eventsAfter: (sequence, count) => this.#keeper.attempt((journal) => journal.eventsAfter(sequence, count)) ?? [],
      eventsSent: (sequence) => this.#keeper.eventsSent(sequence),
      status: (state, reason) => this.#status(state, reason),
    };
  }

  #linkAlarm(alarm: string, reason: string | null): void {
    if (reason === null) this.#linkAlarms.delete(alarm);
    else this.#linkAlarms.add(alarm);
    this.#draft(null, reason === null ? 'alarmEnd' : 'alarm', reason ?? 'well again', { alarm });
    this.#settleSoon();
  }

  #offering(request: OutgoingRequest): void {
    const feeder = this.#feeders.get(request.message.feederId);
    if (feeder !== undefined && feeder.episodeId === request.message.episodeId)
      feeder.lastOffered = request.message.requestId;
    this.#keeper.keep((journal) => journal.offer(request.message.requestId));
  }

  /** Kept before the broker is told that it was taken. */
  #ack(ack: Ack, feederId: string): void {
    const { requestId, sequence, status, reason } = ack;
    const body = JSON.stringify(ack);
    const outcome = this.#keeper.keep((journal) =>
      journal.keepAck({ feederId, requestId, sequence, status, body }, this.#clock.wallMs()),
    );
    if (outcome === 'repeated') return;
    if (outcome === 'unknown')
      return this.#input.log.warn({ feederId, requestId, status }, 'acknowledgement of an unknown request');
    const feeder = this.#feeders.get(feederId);
    const verdict = this.#ackWatch.judge(feederId, feeder?.latest?.message ?? null, ack);
    if (verdict === 'contradicts') {
      this.#draft(feederId, 'alarm', `${status} after an end`, { alarm: 'contradictoryAck', requestId });
      this.#settleSoon();
    } else if (verdict === 'good') this.#ackAlarm(feederId, status, requestId, reason ?? 'no reason given');
    if (verdict !== 'contradicts' && feeder?.episodeId != null && sequence >= feeder.episodeSince) {
      stepAck(feeder.state, feeder.control, ack, this.#clock.monotonicMs(), feeder.actions);
      this.#settleSoon();
    }
    this.#input.log.info({ feederId, requestId, status }, 'ack');
    this.#input.observer?.ack?.(ack);
  }

  /** A bad one raises an alarm, a better one ends it; that something was taken on does not mean that it was done. */
  #ackAlarm(feederId: string, status: Ack['status'], requestId: string, reason: string): void {
    const standing = this.#ackAlarms.get(feederId);
    if (status === 'rejected' || status === 'failed') {
      this.#draft(feederId, 'alarm', reason, { alarm: status, requestId });
      this.#ackAlarms.set(feederId, status);
      this.#settleSoon();
    } else if (standing !== undefined && !(standing === 'notApplied' && status === 'dispatched')) {
      this.#draft(feederId, 'alarmEnd', `acknowledged as ${status}`, { alarm: standing, requestId });
      this.#ackAlarms.delete(feederId);
      this.#settleSoon();
    }
  }

  /** Once a second: limits that were taken on and have not been applied in their time. */
  #watchAcks(): void {
    for (const [feederId, { latest, group }] of this.#feeders) {
      const { responseTimeS } = group.curtailment;
      if (latest === null || !this.#ackWatch.isOverdue(feederId, latest.message, responseTimeS, this.#clock.wallMs()))
        continue;
      const { requestId, episodeId } = latest.message;
      this.#draft(feederId, 'alarm', `not applied within responseTimeS ${responseTimeS}`, {
        alarm: 'notApplied',
        requestId,
        episodeId,
      });
      this.#ackAlarms.set(feederId, 'notApplied');
      this.#settleSoon();
    }
  }

  // ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

  #commandsPort(): CommandsPort {
    return {
      targets: () =>
        [...this.#feeders].map(([feederId, { settings }]) => ({
          feederId,
          groupsByCommand: groupsByCommand(settings.settings),
        })),
      answerTo: (commandId) => this.#keeper.attempt((journal) => journal.answerTo(commandId)) ?? null,
      isUnkept: () => this.#keeper.failure !== null,
      carryOut: (command, now) => this.#carryOut(command, now),
      event: (feederId, type, reason, more) => this.#draft(feederId, type, reason, more),
      keep: (answered) => {
        if (answered !== null) this.#answered.push(answered);
        this.#settle();
      },
      say: (answer) => this.#uplink.answer(answer),
    };
  }

  #carryOut(command: Command, now: Moment): Outcome {
    if (command.action === 'sayAgain') {
      this.#uplink.sayAllAgain();
      return { done: 'status and standing requests' };
    }
    const { feederId } = command;
    const meant = [...this.#feeders.values()].filter(({ settings }) => (feederId ?? settings.id) === settings.id);
    if (command.action === 'settingsGroup') return this.#selectGroup(command, now, meant);
    return carryOut(command, now, meant);
  }

  #selectGroup(
    command: Extract<Command, { action: 'settingsGroup' }>,
    now: Moment,
    feeders: readonly WatchedFeeder[],
  ): Outcome {
    const { group } = command;
    const forMs = lastsMs(command, now);
    for (const feeder of feeders) {
      feeder.state.groupByCommand = group !== undefined;
      feeder.state.groupUntilMs = group === undefined || forMs === null ? null : now.monotonicMs + forMs;
      if (group !== undefined) putInForce(feeder, group, 'by command', now.monotonicMs);
    }
    if (group === undefined) this.#judgeGroups('the calendar holds again, by command');
    return { done: feeders.map(({ settings, group: { name } }) => `${settings.id}: group ${name}`).join(', ') };
  }

  /** The calendar, where no command stands against it. */
  #judgeGroups(reason: string): void {
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    for (const feeder of this.#feeders.values()) {
      const { state, settings } = feeder;
      if (state.groupByCommand && state.groupUntilMs !== null && nowMs >= state.groupUntilMs) {
        state.groupByCommand = false;
        state.groupUntilMs = null;
      }
      if (state.groupByCommand || settings.settings.length === 1) continue;
      putInForce(feeder, groupByCalendar(settings.settings, wallMs).name, reason, nowMs);
      if (feeder.actions.length > 0) this.#settleSoon();
    }
  }

  /** A request of this substation from before the journal: everything from now on has to be newer. */
  #retainedSeen({ sequence, substationId }: Curtailment): void {
    if (substationId !== this.#input.configuration.settings.substation.id || sequence < this.#nextSequence) return;
    this.#nextSequence = sequence + 1;
    this.#sayLimitsAgain();
  }

  #status(state: 'online' | 'offline', reason: Status['reason']): Status {
    const { configuration } = this.#input;
    const alarms = this.#alarms();
    const will = reason === 'connectionLost';
    return {
      schema: 'headroom/v1/status',
      substationId: configuration.settings.substation.id,
      state,
      at: isoTime(this.#clock.wallMs()),
      reason,
      version: VERSION,
      settings: { hash: configuration.hash },
      health: will ? null : { state: alarms.length === 0 ? 'ok' : 'degraded', alarms },
      clock: will ? null : { synchronised: this.#clock.synchronised(), offsetMs: null },
      insecure: configuration.settings.uplink.allowInsecure,
      feeders: will ? null : this.#feederStatuses(),
    };
  }

  #feederStatuses(): NonNullable<Status['feeders']> {
    const wallOffsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    return [...this.#feeders.values()].map((feeder) => feederStatus(feeder, wallOffsetMs));
  }

  /** What the retained status says that may change by itself: it is said anew when this has changed. */
  #standing(): string {
    const modes = [...this.#feeders.values()].map(({ state }) => [
      state.testUntilMs,
      state.group,
      state.groupUntilMs,
      ...state.blocks.map((b) => b.untilMs),
    ]);
    return JSON.stringify([this.#alarms(), modes]);
  }

  #alarms(): string[] {
    const feeders = [...this.#feeders].flatMap(([id, { state }]) => [
      ...(state.blind ? [`${id}/blind`] : []),
      ...(state.heatAssumed ? [`${id}/thermalAssumed`] : []),
      ...state.alarms.map((alarm) => `${id}/${alarm}`),
    ]);
    const sources = [...this.#silentSources].map((id) => `${id}/silent`);
    const acks = [...this.#ackAlarms].map(([id, alarm]) => `${id}/${alarm}`);
    return [
      ...feeders,
      ...new Set(this.#measurementAlarms.values()),
      ...this.#programAlarms,
      ...acks,
      ...sources,
      ...(this.#keeper.failure !== null ? ['journal/undurable'] : []),
      ...[...this.#linkAlarms].map((alarm) => `uplink/${alarm}`),
      ...(this.#commands.isFlooded ? ['commands/flood'] : []),
      ...(this.#historyFailing ? ['journal/historyFailed'] : []),
    ];
  }

  // ── housekeeping and restart ────────────────────────────────────────────────────────────────────────────────────

  #housekeep(): void {
    const nowMs = this.#clock.monotonicMs();
    const offsetMs = this.#clock.wallMs() - nowMs;
    if (Math.abs(offsetMs - this.#wallOffsetMs) > CLOCK_STEP_MS) {
      this.#draft(
        null,
        'alarm',
        `the wall clock was stepped by ${Math.round((offsetMs - this.#wallOffsetMs) / 1000)} s`,
        { alarm: 'clockStep' },
      );
      this.#wallOffsetMs = offsetMs;
      this.#sayLimitsAgain();
    }
    this.#judgeGroups('by the calendar');
    if (this.#joined.isDue(nowMs)) this.#settleSoon();
    this.#keeper.retry();
    this.#keeper.keepProgress();
    this.#keepHeat(nowMs);
    this.#commands.tidy(nowMs);
    this.#telemetry.tick();
    this.#watchAcks();
    if (!this.#settling && (this.isQuiet || nowMs - this.#tidiedMs > QUIET_WITHIN_MS)) {
      this.#tidiedMs = nowMs;
      this.#keeper.tidy();
    }
    this.#tellOfJournal();
    this.#housekeeping = this.#clock.at(nowMs + HOUSEKEEPING_MS, () => this.#housekeep());
  }

  #keepHeat(nowMs: number): void {
    if (nowMs < this.#heatKeptMs + KEEP_HEAT_EVERY_MS) return;
    this.#heatKeptMs = nowMs;
    const body = heatToKeep(this.#feeders.values(), this.#keeper.stamp());
    if (body !== null) this.#keeper.attempt((journal) => journal.keepHeat(body));
  }

  #rehearse(): void {
    const [feeder] = this.#feeders.values();
    if (feeder === undefined) return;
    const { settings, group, control } = feeder;
    const substationId = this.#input.configuration.settings.substation.id;
    try {
      rehearse({ substationId, feeder: settings, group, control, journal: this.#journal });
    } catch (error) {
      this.#input.log.warn({ error: (error as Error).message }, 'the rehearsal failed');
    }
  }

  /** What has become of the journal itself: that it cannot be written, that a new one began, that events are lost. */
  #tellOfJournal(): void {
    const { failure } = this.#keeper;
    if ((failure === null) !== (this.#saidFailure === null))
      this.#draft(null, failure === null ? 'alarmEnd' : 'alarm', failure ?? 'written again', { alarm: 'undurable' });
    this.#saidFailure = failure;
    for (const news of this.#keeper.takeNews()) {
      if (news.kind === 'replaced') {
        this.#draft(null, 'alarm', news.reason, { alarm: 'journalReplaced' });
        this.#keeper.commit({ states: this.#allStates(), requests: [], events: [], withheld: [] });
      } else this.#draft(null, 'gap', GAP_REASONS[news.kind], gapOf(news));
    }
    if (this.#drafts.length > 0) this.#settleSoon();
  }

  #sayLimitsAgain(): void {
    for (const { state, control, actions } of this.#feeders.values())
      stepClock(state, control, this.#clock.monotonicMs(), actions);
    this.#settleSoon();
  }

  /** A group that a command had put in force stays, if it is still one; else the calendar's is in force from now on. */
  #resumeGroup(feeder: WatchedFeeder): void {
    const { state, groups, group } = feeder;
    const kept = state.group === null ? undefined : groups.get(state.group);
    const changed = kept !== undefined && kept.group !== group;
    if (kept !== undefined) {
      feeder.group = kept.group;
      feeder.control = kept.control;
    } else state.groupByCommand = false;
    if (state.groupByCommand && !feeder.group.byCommand) state.groupByCommand = false;
    if (changed && !state.groupByCommand) putInForce(feeder, group.name, 'by the calendar', this.#clock.monotonicMs());
    state.group = feeder.group.name;
  }

  /** Goes on where the journal ends. Gives the requests that have been acknowledged. */
  #resume(): Set<string> {
    const acked = new Set<string>();
    const now = this.#keeper.stamp();
    for (const stored of this.#journal.latestRequests()) {
      const feeder = this.#feeders.get(stored.feederId);
      if (stored.ackStatus !== null) acked.add(stored.requestId);
      if (feeder !== undefined && stored.withheld === null) feeder.latest = outgoingRequest(stored);
    }
    const heat = this.#keeper.attempt((journal) => journal.heat()) ?? null;
    for (const { feederId, state, stamp } of this.#journal.states()) {
      const feeder = this.#feeders.get(feederId);
      if (feeder === undefined) continue;
      takeHeat(state as FeederState, feederId, stamp, heat);
      const resumed = resumeState(state as FeederState, stamp, now);
      feeder.state = resumed.state;
      this.#resumeGroup(feeder);
      this.#harmCaps.resume(feederId, resumed.state);
      if (resumed.state.episode !== null && feeder.latest !== null) {
        feeder.episodeId = feeder.latest.message.episodeId;
        feeder.episodeSince = feeder.latest.message.sequence;
        const { requestId, supersedes } = feeder.latest.message;
        feeder.lastOffered = feeder.latest.offered ? requestId : supersedes;
        feeder.isLimitUnsure = feeder.latest.message.action === 'limit' && !acked.has(requestId);
      }
      if (resumed.lost !== null) this.#draft(feederId, 'restart', resumed.lost);
      // A limit that is over, by time or because nobody knows how long the stop was, is not said again.
      if (resumed.state.episode === null && feeder.latest !== null && feeder.latest.message.action !== 'release') {
        if (!feeder.latest.offered) this.#withhold(feeder, feeder.latest, 'expired');
        feeder.latest = null;
      }
    }
    return acked;
  }
}

/** Events that could not be written never had a number. */
function gapOf(news: Exclude<JournalNews, { kind: 'replaced' }>): Partial<EventDraft> {
  if (news.kind === 'dropped') return { count: news.count };
  return { firstSequence: news.first, lastSequence: news.last, count: news.count };
}
