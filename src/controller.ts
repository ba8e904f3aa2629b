// One scan: read, decide, keep, say. Readings and falling-due timers step control; what one turn of the event loop
// decides becomes one transaction of the journal and is then said. This file runs the data path and knows every part
// of it; the parts do not know one another.

import { Acknowledgements } from './acknowledgements.ts';
import type { MeasurementAlarm, SourceAlarm } from './acquisition/source-reading.ts';
import { carryOut, type Outcome } from './carry-out.ts';
import type { Clock, Timer } from './clock.ts';
import type { Moment } from './command-desk.ts';
import type { Command } from './command-message.ts';
import { Commands, type CommandsPort } from './commands.ts';
import type { Configuration } from './configuration.ts';
import { type Substation, stepReadings, stepTimers, substationDueMs } from './control/substation.ts';
import { type ControlInput, takeInput } from './control-input.ts';
import { EventBook } from './event-book.ts';
import type { FeederReading } from './feeder.ts';
import { followCalendar, selectGroup } from './group-in-force.ts';
import { HarmCaps } from './harm-caps.ts';
import { drawAhead, newId } from './ids.ts';
import type { ControlNow } from './journal/history.ts';
import type { Journal } from './journal/journal.ts';
import type { AnsweredCommand, Batch, JournalNews } from './journal/records.ts';
import { Keeper } from './keeper.ts';
import { type Heated, heatToKeep, KEEP_HEAT_EVERY_MS } from './kept-heat.ts';
import { type Log, type RationedLog, rationed } from './log.ts';
import type { Ack, Curtailment, Event } from './messages.ts';
import { rehearse } from './rehearsal.ts';
import { type MadeRequest, Requests } from './requests.ts';
import { resumeFeeders } from './resume-feeders.ts';
import { groupsByCommand } from './settings-groups.ts';
import { staleAfterMs } from './source-settings.ts';
import { StandingAlarms } from './standing-alarms.ts';
import { type StatusInput, standing, standingAlarms, statusReport } from './status-report.ts';
import { TelemetryIntervals } from './telemetry.ts';
import { TRANSFORMER } from './transformer-settings.ts';
import type { OutgoingRequest } from './uplink/delivery.ts';
import type { Connect } from './uplink/link.ts';
import { Uplink, type UplinkPort } from './uplink/uplink.ts';
import { VERSION } from './version.ts';
import {
  isAtRest,
  stateWord,
  storedRequest,
  telemetryFeeder,
  type WatchedFeeder,
  watchedFeeder,
} from './watched-feeder.ts';
import { takenReadings, type WatchedTransformer, watchedTransformer } from './watched-transformer.ts';

/** Looks over the controller's shoulder: the demo's screen, and tests. */
export interface Observer {
  /** Before control is given it. */
  reading?(reading: FeederReading): void;
  /** What else control is given, likewise. */
  input?(feederId: string, input: ControlInput): void;
  event?(event: Event): void;
  request?(message: Curtailment): void;
  ack?(ack: Ack): void;
  link?(up: boolean, reason: string): void;
}

export interface ControllerFigures {
  readonly feeders: Iterable<WatchedFeeder>;
  /** As the status names them. */
  readonly alarms: readonly string[];
  readonly insecure: boolean;
  readonly uplink: Pick<Uplink, 'isUp' | 'certificateEnds'>;
  readonly journal: Pick<Keeper, 'failure' | 'eventsWaiting' | 'walBytes'>;
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
  /** Looks for a broker at once unless given. */
  readonly connectAfterMs?: number;
  /** Random UUIDv7 unless given. */
  readonly newId?: () => string;
  /** Warms the path of a request up; true unless given. */
  readonly rehearse?: boolean;
}

/** A wall clock that has moved against the monotonic one by more than this was stepped. */
const CLOCK_STEP_MS = 2_000;
const HOUSEKEEPING_MS = 1_000;
const REHEARSE_AFTER_MS = 1_000;
const REHEARSE_EVERY_MS = 20;
const REHEARSALS = 300;
const REHEARSALS_AT_ONCE = 10;
/** Checkpoints wait for a moment without a pickup, in an episode no longer than this after the one before. */
const QUIET_WITHIN_MS = 60_000;
const GAP_REASONS = {
  lost: 'the journal had come further: these events are lost with it',
  shed: 'too many events waited to be sent: the oldest gave way',
};
const NEVER_KEPT = {
  event: 'events',
  request: 'requests',
  withheld: 'notes of requests that were not said',
  command: 'answers to commands',
  ack: 'acknowledgements',
  offer: 'notes of requests that were said',
};

export class Controller {
  readonly #input: ControllerInput;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #keeper: Keeper;
  /** Of what the head end and the broker send. */
  readonly #outsideLog: RationedLog;
  readonly #feeders = new Map<string, WatchedFeeder>();
  readonly #transformer: WatchedTransformer | null;
  readonly #substation: Substation;
  readonly #book: EventBook;
  readonly #alarms = new StandingAlarms();
  readonly #harmCaps: HarmCaps;
  readonly #requests: Requests;
  readonly #uplink: Uplink;
  readonly #acknowledgements: Acknowledgements;
  readonly #commands: Commands;
  readonly #telemetry: TelemetryIntervals;
  readonly #status: StatusInput;
  readonly #answered: AnsweredCommand[] = [];
  /** Made beside the decisions of control. */
  readonly #releases: MadeRequest[] = [];
  #settling = false;
  #timer: Timer | null = null;
  #housekeeping: Timer | null = null;
  #rehearsal: Timer | null = null;
  #wallOffsetMs: number;
  #stopped = false;
  #saidFailure: string | null = null;
  /** When clean-up was done last. */
  #tidiedMs = 0;
  #heatKeptMs = Number.NEGATIVE_INFINITY;
  #saidStanding = '';

  constructor(input: ControllerInput) {
    this.#input = input;
    this.#clock = input.clock;
    this.#journal = input.journal;
    this.#keeper = new Keeper(input.journal, input.clock, input.log);
    this.#outsideLog = rationed(input.log, () => input.clock.monotonicMs());
    const { settings, hash } = input.configuration;
    for (const one of settings.feeders) {
      const feeder = watchedFeeder(one, settings.sources, this.#clock.wallMs(), settings.caps.feedersAtOnce);
      feeder.recorded = (given) => input.observer?.input?.(one.id, given);
      this.#feeders.set(one.id, feeder);
    }
    this.#transformer = watchedTransformer(settings, this.#feeders);
    this.#substation = { feeders: [...this.#feeders.values()], transformer: this.#transformer };
    this.#book = new EventBook(settings.substation.id, this.#clock);
    this.#harmCaps = new HarmCaps(settings.caps.feedersAtOnce);
    this.#requests = new Requests({
      substationId: settings.substation.id,
      settingsHash: hash,
      // Above anything that this substation can have said before: while storage failed it may have said more than the
      // journal knows of, but never a request per millisecond.
      firstSequence: Math.max((this.#journal.lastSequence() ?? 0) + 1, Math.floor(this.#clock.wallMs())),
      clock: this.#clock,
      newId: input.newId ?? newId,
      harmCaps: this.#harmCaps,
      book: this.#book,
      promise: () => this.#uplink.promise(),
      isUp: () => this.#uplink.isUp,
      withhold: (feederId) => this.#uplink.withhold(feederId),
    });
    this.#tellOfJournal();
    this.#book.add(null, 'restart', `version ${VERSION}, settings ${hash}`);
    const resumed = resumeFeeders({
      feeders: this.#feeders,
      transformer: this.#transformer,
      journal: this.#journal,
      keeper: this.#keeper,
      harmCaps: this.#harmCaps,
      requests: this.#requests,
      book: this.#book,
    });
    // A step of the wall clock while the program was away is noticed like any other.
    this.#wallOffsetMs = resumed.wallOffsetMs;
    this.#acknowledgements = new Acknowledgements({
      feeders: this.#feeders,
      keeper: this.#keeper,
      book: this.#book,
      alarms: this.#alarms,
      clock: this.#clock,
      log: this.#outsideLog,
      changed: () => this.#settleSoon(),
      taken: (ack) => input.observer?.ack?.(ack),
    });
    this.#acknowledgements.resume(this.#journal);
    this.#commands = new Commands(settings.uplink.commandsPerMinute, this.#clock, this.#commandsPort());
    this.#status = {
      substationId: settings.substation.id,
      settingsHash: hash,
      insecure: settings.uplink.allowInsecure,
      feeders: this.#feeders,
      transformer: this.#transformer,
      otherAlarms: () => this.#otherAlarms(),
      clock: this.#clock,
    };
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
      connectAfterMs: input.connectAfterMs,
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
    for (const { latest } of this.#feeders.values())
      if (latest !== null) this.#uplink.restore(latest, resumed.acked.has(latest.message.requestId));
    this.#housekeep();
    this.#saidStanding = standing(this.#status);
    this.#settle({ states: this.#allStates() });
    // The start is over by then, and the first readings are there.
    if (input.rehearse !== false)
      this.#rehearsal = this.#clock.at(this.#clock.monotonicMs() + REHEARSE_AFTER_MS, () => this.#rehearse());
  }

  // ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

  /** All feeders of one source, from one telegram. */
  readings(readings: readonly FeederReading[]): void {
    if (this.#stopped) return;
    for (const reading of readings) {
      if (!this.#feeders.has(reading.feederId)) continue;
      this.#input.observer?.reading?.(reading);
      this.#telemetry.take(reading);
    }
    stepReadings(this.#substation, takenReadings(readings, this.#feeders));
    this.#settleSoon();
  }

  sourceChanged(sourceId: string, answering: boolean, detail: string): void {
    if (this.#stopped) return;
    this.#alarms.set('sources', sourceId, answering ? null : `${sourceId}/silent`);
    this.#book.add(null, 'source', answering ? detail : `does not answer: ${detail}`, { sourceId });
    this.#settleSoon();
  }

  /** What is odd about the measurement of a feeder or about a source, or no longer is. */
  measurementAlarm({
    feederId,
    sourceId,
    phase,
    alarm,
    standing: stands,
    reason,
  }: MeasurementAlarm | SourceAlarm): void {
    if (this.#stopped) return;
    const name = `${feederId ?? sourceId}/${alarm}${phase === null ? '' : ` ${phase}`}`;
    // The two sources of a feeder may both be odd, and one of them mend.
    this.#alarms.set('measurement', `${sourceId} ${name}`, stands ? name : null);
    const about = { alarm, sourceId, ...(phase !== null && { phase }) };
    const ofFeeder = feederId === TRANSFORMER ? null : feederId;
    this.#book.add(ofFeeder, stands ? 'alarm' : 'alarmEnd', reason, about);
    this.#settleSoon();
  }

  /** A feeder takes its readings from another source from now on; its timers go on. */
  changedOver(feederId: string, sourceId: string, reason: string): void {
    const feeder = this.#feeders.get(feederId);
    const source = this.#input.configuration.settings.sources.find(({ id }) => id === sourceId);
    if (this.#stopped || feeder === undefined || source === undefined) return;
    takeInput(feeder, { kind: 'source', staleAfterMs: staleAfterMs(source), atMs: this.#clock.monotonicMs() });
    const onBackup = sourceId !== feeder.settings.currents.source;
    this.#alarms.set('measurement', `backup of ${feederId}`, onBackup ? `${feederId}/onBackup` : null);
    this.#book.add(feederId, 'source', reason, { sourceId });
    this.#settleSoon();
  }

  /** The measurement history is not kept, and why; null when it is again. */
  historyTrouble(reason: string | null): void {
    if (this.#stopped) return;
    this.#alarms.set('history', 'history', reason === null ? null : 'journal/historyFailed');
    const type = reason === null ? 'alarmEnd' : 'alarm';
    this.#book.add(null, type, reason ?? 'kept again', { alarm: 'historyFailed' });
    this.#settleSoon();
  }

  /** The journal was looked through and is damaged: a new one begins. */
  journalDamaged(reason: string): void {
    if (this.#stopped) return;
    this.#keeper.beginAnew(reason);
    this.#tellOfJournal();
  }

  /** What is wrong with the program itself; `what` is a source, or the program. */
  programAlarm(alarm: string, what: string, stands: boolean, reason: string): void {
    if (this.#stopped) return;
    const name = `${what}/${alarm}`;
    this.#alarms.set('program', name, stands ? name : null);
    const sourceId = what === 'program' ? {} : { sourceId: what };
    this.#book.add(null, stands ? 'alarm' : 'alarmEnd', reason, { alarm, ...sourceId });
    this.#settleSoon();
  }

  /** No element is picked up and no limit stands: a pause of some milliseconds is in the way of no decision. */
  get isQuiet(): boolean {
    for (const { state } of this.#feeders.values()) if (!isAtRest(state)) return false;
    return true;
  }

  /** The same of one feeder. */
  isFeederQuiet(feederId: string): boolean {
    const feeder = this.#feeders.get(feederId);
    return feeder !== undefined && isAtRest(feeder.state);
  }

  /** All that the next decision about a feeder rests on, as it is now; null where there is no such feeder. */
  controlNow(feederId: string): ControlNow | null {
    const feeder = this.#feeders.get(feederId);
    if (feeder === undefined) return null;
    const { state, control, group } = feeder;
    const { hash } = this.#input.configuration;
    return { settingsHash: hash, group: group.name, staleAfterMs: control.staleAfterMs, state };
  }

  /** How things stand, for whoever looks on from outside. */
  figures(): ControllerFigures {
    const { isUp, certificateEnds } = this.#uplink;
    return {
      feeders: this.#feeders.values(),
      alarms: standingAlarms(this.#status),
      insecure: this.#status.insecure,
      uplink: { isUp, certificateEnds },
      journal: this.#keeper,
    };
  }

  /** State of one feeder in a word, for the screen. */
  stateOf(feederId: string): string {
    const state = this.#feeders.get(feederId)?.state;
    return state === undefined ? 'unknown' : stateWord(state);
  }

  /** A planned stop: the limits are left to their leases, the journal is whole, the head end knows. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#settle({ stopping: true });
    this.#stopped = true;
    this.#timer?.cancel();
    this.#housekeeping?.cancel();
    this.#rehearsal?.cancel();
    for (const feeder of this.#feeders.values()) feeder.actions.length = 0;
    if (this.#transformer !== null) this.#transformer.actions.length = 0;
    this.#keepStates();
    this.#keeper.keepProgress();
    await this.#uplink.close();
  }

  // ── scan: decide ────────────────────────────────────────────────────────────────────────────────────────────────

  #stepTimers(): void {
    stepTimers(this.#substation, this.#clock.monotonicMs());
    this.#settleSoon();
  }

  #armTimer(): void {
    const dueMs = substationDueMs(this.#substation);
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

  #settle({ stopping = false, states = this.#changedStates() } = {}): void {
    const requests = this.#releases.splice(0);
    this.#drainTransformer();
    for (const feeder of this.#feeders.values()) if (feeder.actions.length > 0) this.#drain(feeder, requests);
    const drafts = this.#book.take(stopping ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs());
    if (states.length + drafts.length + requests.length === 0 && !this.#requests.hasWithheld) return this.#armTimer();
    const withheld = this.#requests.takeWithheld();
    const events: Event[] = [];
    this.#keeper.commit({
      states,
      requests: requests.map(({ request, say }) => storedRequest(request, say)),
      withheld,
      events: drafts.map((draft) => this.#book.newEvent(draft, events)),
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

  /** Of whatever has decided something; with the transformer go all its feeders, which carry what it wants of them. */
  #changedStates(): Batch['states'] {
    const of = this.#transformer;
    const isWhole = of !== null && of.actions.length > 0;
    const feeders = [...this.#feeders.values()].filter(
      (feeder) => feeder.actions.length > 0 || (isWhole && of.feeders.includes(feeder)),
    );
    const states = feeders.map(({ settings, state }) => ({ feederId: settings.id, state }));
    return isWhole ? [...states, { feederId: TRANSFORMER, state: of.state }] : states;
  }

  #drainTransformer(): void {
    for (const action of this.#transformer?.actions.splice(0) ?? [])
      if (action.kind === 'event') this.#book.addOfTransformer(action);
  }

  #drain(feeder: WatchedFeeder, requests: MadeRequest[]): void {
    for (const action of feeder.actions.splice(0)) {
      if (action.kind === 'event') {
        this.#book.addAction(feeder, action);
        if (action.type === 'alarm' && action.alarm === 'lapsed') this.#requests.lapse(feeder);
      } else {
        const made = this.#requests.make(feeder, action);
        if (made !== null) requests.push(made);
      }
    }
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
    const now = standing(this.#status);
    if (now !== this.#saidStanding) this.#uplink.sayStatus('changed');
    this.#saidStanding = now;
  }

  #allStates(): Batch['states'] {
    const states = [...this.#feeders].map(([feederId, { state }]) => ({ feederId, state }));
    return this.#transformer === null ? states : [...states, { feederId: TRANSFORMER, state: this.#transformer.state }];
  }

  #keepStates(): void {
    this.#keeper.commit({ states: this.#allStates(), requests: [], events: [], withheld: [] });
  }

  // ── uplink ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #port(): UplinkPort {
    const { log, observer } = this.#input;
    return {
      offering: (request) => this.#offering(request),
      answered: (request) => {
        const feeder = this.#feeders.get(request.message.feederId);
        if (feeder !== undefined) this.#requests.answered(feeder, request);
      },
      expired: (request) => {
        const feeder = this.#feeders.get(request.message.feederId);
        if (feeder !== undefined) this.#requests.expire(feeder, request);
        this.#settleSoon();
      },
      noAck: (message) => this.#acknowledgements.missing(message),
      ack: (ack, feederId) => this.#acknowledgements.take(ack, feederId),
      command: (payload, retained) => this.#commands.take(payload, retained),
      trouble: (topic, reason) => this.#outsideLog.warn({ topic, reason }, 'message not taken'),
      retainedSeen: (message) => this.#retainedSeen(message),
      linkChanged: (up, reason) => {
        if (!up) this.#requests.linkBroke();
        if (!this.#book.isEmpty) this.#settleSoon();
        log.info({ up, reason }, 'link');
        observer?.link?.(up, reason);
      },
      linkAlarm: (alarm, reason) => {
        this.#alarms.set('uplink', alarm, reason === null ? null : `uplink/${alarm}`);
        this.#book.add(null, reason === null ? 'alarmEnd' : 'alarm', reason ?? 'well again', { alarm });
        this.#settleSoon();
      },
      eventsAfter: (sequence, count) => this.#keeper.attempt((journal) => journal.eventsAfter(sequence, count)) ?? [],
      eventsSent: (sequence) => this.#keeper.eventsSent(sequence),
      status: (state, reason) => statusReport(this.#status, state, reason),
    };
  }

  #offering(request: OutgoingRequest): void {
    const feeder = this.#feeders.get(request.message.feederId);
    if (feeder !== undefined && feeder.episodeId === request.message.episodeId)
      feeder.lastOffered = request.message.requestId;
    this.#keeper.keep('offer', (journal) => journal.offer(request.message.requestId));
  }

  /** A request of this substation from before the journal: everything from now on has to be newer. */
  #retainedSeen({ sequence, substationId }: Curtailment): void {
    if (substationId === this.#status.substationId && this.#requests.passBy(sequence)) this.#sayLimitsAgain(0);
  }

  #otherAlarms(): string[] {
    return [
      ...this.#alarms.names(),
      ...(this.#keeper.failure !== null ? ['journal/undurable'] : []),
      ...(this.#commands.isFlooded ? ['commands/flood'] : []),
    ];
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
      event: (feederId, type, reason, more) => this.#book.add(feederId, type, reason, more),
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
    if (command.action === 'settingsGroup') return selectGroup(command, now, meant);
    return carryOut(command, now, meant);
  }

  // ── housekeeping ────────────────────────────────────────────────────────────────────────────────────────────────

  #housekeep(): void {
    const nowMs = this.#clock.monotonicMs();
    const offsetMs = this.#clock.wallMs() - nowMs;
    if (Math.abs(offsetMs - this.#wallOffsetMs) > CLOCK_STEP_MS) {
      const byS = Math.round((offsetMs - this.#wallOffsetMs) / 1000);
      this.#book.add(null, 'alarm', `the wall clock was stepped by ${byS} s`, { alarm: 'clockStep' });
      const steppedMs = offsetMs - this.#wallOffsetMs;
      this.#wallOffsetMs = offsetMs;
      this.#sayLimitsAgain(steppedMs);
    }
    this.#releaseLapsed();
    this.#followCalendars(nowMs);
    if (this.#book.isDue(nowMs)) this.#settleSoon();
    this.#keeper.retry();
    this.#keeper.keepProgress();
    this.#keepHeat(nowMs);
    this.#commands.tidy(nowMs);
    this.#telemetry.tick();
    this.#acknowledgements.watch();
    const isGood = () => this.isQuiet || nowMs - this.#tidiedMs > QUIET_WITHIN_MS;
    if (this.#keeper.isTidyDue && !this.#settling && isGood()) {
      this.#tidiedMs = nowMs;
      this.#keeper.tidy();
    }
    this.#tellOfJournal();
    this.#housekeeping = this.#clock.at(nowMs + HOUSEKEEPING_MS, () => this.#housekeep());
  }

  /** A lapsed limit must not stand on the broker with an end to come, whatever has become of the wall clock. */
  #releaseLapsed(): void {
    for (const feeder of this.#feeders.values()) {
      const made = feeder.lapsed === null ? null : this.#requests.releaseLapsed(feeder);
      if (made === null) continue;
      this.#releases.push(made);
      this.#settleSoon();
    }
  }

  #followCalendars(monotonicMs: number): void {
    const now = { monotonicMs, wallMs: this.#clock.wallMs() };
    for (const feeder of this.#feeders.values()) {
      followCalendar(feeder, 'by the calendar', now);
      if (feeder.actions.length > 0) this.#settleSoon();
    }
  }

  #keepHeat(nowMs: number): void {
    if (nowMs < this.#heatKeptMs + KEEP_HEAT_EVERY_MS) return;
    this.#heatKeptMs = nowMs;
    const of = this.#transformer;
    const heated: Heated[] = of === null ? [] : [{ id: TRANSFORMER, thermal: of.settings.thermal, state: of.state }];
    for (const [id, { control, state }] of this.#feeders) heated.push({ id, thermal: control.thermal, state });
    const body = heatToKeep(heated, this.#keeper.stamp());
    if (body !== null) this.#keeper.attempt((journal) => journal.keepHeat(body));
  }

  /** A few times now, and on until all is done: no scan waits for long, and none while anything is picked up. */
  #rehearse(done = 0): void {
    const [feeder] = this.#feeders.values();
    if (this.#stopped || feeder === undefined) return;
    const isQuiet = this.isQuiet;
    if (isQuiet && !this.#rehearseOnce(feeder)) return;
    const next = isQuiet ? done + REHEARSALS_AT_ONCE : done;
    if (next >= REHEARSALS) return;
    this.#rehearsal = this.#clock.at(this.#clock.monotonicMs() + REHEARSE_EVERY_MS, () => this.#rehearse(next));
  }

  /** False where it failed. */
  #rehearseOnce({ settings, group, control }: WatchedFeeder): boolean {
    const substationId = this.#input.configuration.settings.substation.id;
    try {
      const input = { substationId, feeder: settings, group, control, journal: this.#journal };
      rehearse(input, REHEARSALS_AT_ONCE);
      return true;
    } catch (error) {
      this.#input.log.warn({ error: (error as Error).message }, 'the rehearsal failed');
      return false;
    }
  }

  /** What has become of the journal itself: that it cannot be written, that a new one began, that events are lost. */
  #tellOfJournal(): void {
    const { failure } = this.#keeper;
    if ((failure === null) !== (this.#saidFailure === null))
      this.#book.add(null, failure === null ? 'alarmEnd' : 'alarm', failure ?? 'written again', { alarm: 'undurable' });
    this.#saidFailure = failure;
    for (const news of this.#keeper.takeNews()) {
      if (news.kind === 'replaced') {
        this.#book.add(null, 'alarm', news.reason, { alarm: 'journalReplaced' });
        this.#keepStates();
      } else this.#book.add(null, 'gap', gapReason(news), gapOf(news));
    }
    if (!this.#book.isEmpty) this.#settleSoon();
  }

  /** The wall clock was stepped by so much, or 0 for another reason. */
  #sayLimitsAgain(steppedMs: number): void {
    for (const feeder of this.#feeders.values())
      takeInput(feeder, { kind: 'clock', steppedMs, atMs: this.#clock.monotonicMs() });
    this.#settleSoon();
  }
}

type Missing = Exclude<JournalNews, { kind: 'replaced' }>;

function gapReason(news: Missing): string {
  if (news.kind !== 'dropped') return GAP_REASONS[news.kind];
  return `the journal could not be written for so long that the oldest ${NEVER_KEPT[news.what]} of that time are not in it`;
}

/** What could not be written never had a number. */
function gapOf(news: Missing): Partial<Event> {
  if (news.kind === 'dropped') return { count: news.count };
  return { firstSequence: news.first, lastSequence: news.last, count: news.count };
}
