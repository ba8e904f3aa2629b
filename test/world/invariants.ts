// What must hold at every step of the simulated world, however it goes: judged at the moment at which a message is
// handed to the broker's connection, against the journal as a connection of its own reads it from the disk.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { readAhead } from '../../src/journal/ahead.ts';
import { verifyEvents } from '../../src/journal/reader.ts';
import type { Batch, StoredEvent } from '../../src/journal/records.ts';
import { type Ack, type Curtailment, curtailmentSchema, type Event, eventSchema } from '../../src/messages.ts';
import { Breach } from './breach.ts';
import type { Message } from './broker.ts';
import { DROPOUT_A } from './plan.ts';
import { judgeRestraint, type Kept, type Restraints } from './restraint.ts';

/** At 80 parts per million in four hours. */
const DRIFT_MS = 1_200;

/** What the judge has to know of the moment. */
export interface Moment {
  readonly wallMs: number;
  /** True time. */
  readonly nowMs: number;
  /** The last commit failed: what is said meanwhile is marked undurable. */
  readonly isUndurable: boolean;
  /** Storage fails just now, for single writes too. */
  readonly isFailing: boolean;
}

/** What may keep a request from being said, by true time. */
export interface Excuses {
  /** There was time enough between these with a link that led to a broker. */
  couldSay(fromMs: number, toMs: number): boolean;
  /** The program was started between these and could not know how long it had been away. */
  lostCount(fromMs: number, toMs: number): boolean;
  /** The wall clock was stepped between these, or begun to be kept. */
  steppedClock(fromMs: number, toMs: number): boolean;
  /** For how long between these the program was not running, ms. */
  awayMs(fromMs: number, toMs: number): number;
}

export class Invariants {
  readonly #longestLeaseMs: number;
  readonly #excuses: Excuses;
  #db: Database.Database | null = null;
  #select: ReturnType<typeof prepare> | null = null;
  /** Bodies of requests that were handed over, by id, and the newest of each feeder. */
  readonly #bodies = new Map<string, string>();
  readonly #idOf = new Map<number, string>();
  readonly #newest = new Map<string, Curtailment>();
  readonly #limited = new Set<string>();
  readonly #events = new Map<number, string>();
  #nextEvent = 1;
  /** In true time: a wall clock that was stepped meanwhile says nothing of how much of a lease is left. */
  readonly #decidedMs = new Map<string, number>();
  /** Episodes of which a request was decided. */
  readonly #begun = new Set<string>();
  /** Requests that were said while storage failed. */
  readonly undurable = new Set<string>();
  /** Known to be on the disk since the last start. */
  #kept: string[] = [];
  #keptEvent = 0;
  /** Feeders whose present request has to be said on this connection before any event. */
  #owed = new Map<string, Curtailment>();
  /** When the head end said of an episode for the last time that it is being sent on; by its requests. */
  readonly #dispatchedMs = new Map<string, number>();
  /** Acknowledgements that were confirmed while storage failed. */
  readonly #owedAcks = new Set<string>();

  constructor(longestLeaseMs: number, excuses: Excuses) {
    this.#longestLeaseMs = longestLeaseMs;
    this.#excuses = excuses;
  }

  /** A life begins on what the disk kept of the one before. */
  opened(folder: string): void {
    const db = new Database(join(folder, 'journal.db'), { readonly: true });
    this.#db = db;
    this.#select = prepare(db);
    for (const requestId of this.#kept) {
      if (this.#request(requestId) === undefined)
        throw new Breach(`lost in a crash: request ${requestId} was committed`);
    }
    const { last } = this.#select.lastEvent.get() as { last: number | null };
    const ahead = readAhead(db)?.events.at(-1)?.sequence ?? 0;
    if (Math.max(last ?? 0, ahead) < this.#keptEvent)
      throw new Breach(`lost in a crash: event ${this.#keptEvent} was committed`);
    this.#kept = [];
    const { broken } = verifyEvents(folder);
    if (broken !== null) throw new Breach(`the chain of events is broken at ${broken}`);
  }

  closed(): void {
    this.#db?.close();
    this.#db = null;
    this.#owed.clear();
    this.#owedAcks.clear();
  }

  /** Before a commit, of which nobody knows yet whether it will be one. */
  decided({ requests }: Batch, { nowMs }: Moment): void {
    for (const { requestId, episodeId, body } of requests) {
      if (!this.#decidedMs.has(requestId)) this.#decidedMs.set(requestId, nowMs);
      if (!this.#begun.has(episodeId)) this.#isNecessary(JSON.parse(body) as Curtailment);
      this.#begun.add(episodeId);
    }
  }

  /** A last resort: an episode begins on what is measured, of an element that has not dropped out. */
  #isNecessary({ action, trigger: { element, phase, currentA }, requestId }: Curtailment): void {
    if (action !== 'limit') throw new Breach(`an episode begins with a ${action}: ${requestId}`);
    const measuredA = currentA[phase] ?? Number.NEGATIVE_INFINITY;
    const leastA = element === 'atRisk' || element === 'emergency' ? DROPOUT_A[element] : 0;
    if (measuredA < leastA)
      throw new Breach(`not necessary: ${element} on ${phase} at ${measuredA} A, under ${leastA} A: ${requestId}`);
  }

  committed(batch: Batch, events: readonly StoredEvent[]): void {
    for (const { requestId } of batch.requests) this.#kept.push(requestId);
    this.#keptEvent = events.at(-1)?.sequence ?? this.#keptEvent;
  }

  /** The link is up: what stands is to be said before any event. */
  connected({ wallMs, nowMs, isUndurable }: Moment): void {
    this.#owed = new Map();
    // What was decided last is in memory alone: the disk does not say what stands.
    if (isUndurable) return;
    for (const row of this.#sql().newest.all() as NewestRow[]) {
      const request = JSON.parse(row.body) as Curtailment;
      const leftMs = Date.parse(request.end) - Date.parse(request.issuedAt);
      const fromMs = this.#decidedMs.get(request.requestId) ?? nowMs;
      // Decided with a clock that drifts: what is over but for seconds may be over.
      const { lostCount } = this.#excuses;
      const isLapsed = nowMs + DRIFT_MS >= fromMs + leftMs || lostCount(fromMs, nowMs);
      const isOver = isLapsed || row.withheld !== null || wallMs >= Date.parse(request.validUntil);
      if (!isOver && (request.action !== 'release' || row.ack_status === null))
        this.#owed.set(request.feederId, request);
    }
  }

  /** Given to the connection. */
  handed({ topic, payload }: Message, moment: Moment): void {
    if (topic.endsWith('/curtailment')) this.#curtailment(payload, moment);
    else if (topic.endsWith('/event')) this.#event(payload, moment);
  }

  /** An acknowledgement was confirmed to the broker, which forgets it. */
  confirmed({ topic, payload }: Message, { isFailing, isUndurable, nowMs }: Moment): void {
    if (!topic.endsWith('/curtailment/ack')) return;
    const { requestId, status } = JSON.parse(payload) as Ack;
    if (status === 'dispatched') this.#dispatchedMs.set(requestId, nowMs);
    if (isFailing || isUndurable) this.#owedAcks.add(payload);
    else this.#isAckKept(payload);
  }

  /** What was confirmed while storage failed is caught up with; a crash in between takes it away. */
  caughtUp(): void {
    for (const payload of this.#owedAcks) this.#isAckKept(payload);
    this.#owedAcks.clear();
  }

  #isAckKept(payload: string): void {
    const { requestId, sequence, status } = JSON.parse(payload) as Ack;
    if (this.#request(requestId) === undefined) return;
    const isKept = this.#sql().ack.get(requestId, sequence, status) !== undefined;
    if (!isKept) throw new Breach(`confirmed and not kept: ${payload}`);
  }

  #curtailment(payload: string, { wallMs, isUndurable, isFailing }: Moment): void {
    const message = JSON.parse(payload) as Curtailment;
    const { requestId, sequence, feederId, episodeId, action } = message;
    const said = `${feederId} ${action} ${sequence} ${requestId}`;
    if (isFailing || isUndurable) this.undurable.add(requestId);
    this.#durable(message, payload, isUndurable);
    const before = this.#bodies.get(requestId);
    if (before === undefined) this.#isSound(message, payload);
    else if (before !== payload) throw new Breach(`two bodies for one id: ${before} and ${payload}`);
    this.#bodies.set(requestId, payload);
    const other = this.#idOf.get(sequence) ?? requestId;
    if (other !== requestId) throw new Breach(`sequence ${sequence} for two requests: ${other} and ${requestId}`);
    this.#idOf.set(sequence, requestId);
    const last = this.#newest.get(feederId);
    if (last !== undefined && sequence < last.sequence && !this.undurable.has(last.requestId))
      throw new Breach(`sequence goes back: ${said} after ${last.action} ${last.sequence}`);
    this.#newest.set(feederId, message);
    if (wallMs >= Date.parse(message.validUntil))
      throw new Breach(
        `said ${wallMs - Date.parse(message.validUntil)} ms too late: ${said}, valid until ${message.validUntil}`,
      );
    if (action === 'limit') this.#limited.add(episodeId);
    else if (!this.#limited.has(episodeId) && !this.#mayHaveBeenLimited(episodeId, action))
      throw new Breach(`an episode without its limit: ${said}, episode ${episodeId}`);
    this.#owed.delete(feederId);
  }

  /** A request is on the disk, as it is said and as said, before it is said. */
  #durable(message: Curtailment, payload: string, isUndurable: boolean): void {
    const row = this.#request(message.requestId);
    if (isUndurable) return;
    if (row === undefined) {
      if (this.undurable.has(message.requestId)) return;
      throw new Breach(`said before it was kept: ${payload}`);
    }
    if (row.body !== payload) throw new Breach(`kept otherwise than said: ${row.body} and ${payload}`);
    if (row.withheld !== null) throw new Breach(`said, and kept as ${row.withheld}: ${payload}`);
    if (row.offered !== 1 && !this.undurable.has(message.requestId))
      throw new Breach(`said, and kept as never offered: ${payload}`);
  }

  /** By itself: valid, and bounded. */
  #isSound(message: Curtailment, payload: string): void {
    const parsed = curtailmentSchema.safeParse(message);
    if (!parsed.success) throw new Breach(`not valid: ${parsed.error.issues[0]?.message}: ${payload}`);
    const { issuedAt, end, validUntil, durationS, action, episodeId } = message;
    const leftMs = Date.parse(end) - Date.parse(issuedAt);
    // What releases a limit that lapsed bears that limit's own end, however far off it is on a clock that was set back.
    const isOfLapsed = action === 'release' && this.#sql().limitWithEnd.get(episodeId, end) !== undefined;
    if (!isOfLapsed && (leftMs > this.#longestLeaseMs + 1 || durationS * 1000 > this.#longestLeaseMs + 500))
      throw new Breach(`longer than its lease: ${payload}`);
    if (Date.parse(validUntil) > Date.parse(end)) throw new Breach(`valid after its end: ${payload}`);
    if ((action === 'release') !== (message.levelPercent === 100)) throw new Breach(`level and action: ${payload}`);
  }

  /** A crash came between: the limit counts as sent, and its release is said for whoever heard it. */
  #mayHaveBeenLimited(episodeId: string, action: string): boolean {
    return action === 'release' && this.#sql().offeredLimit.get(episodeId) !== undefined;
  }

  #event(payload: string, { wallMs }: Moment): void {
    const event = JSON.parse(payload) as Event;
    const { sequence } = event;
    const before = this.#events.get(sequence);
    if (before === undefined) {
      if (!eventSchema.safeParse(event).success) throw new Breach(`not valid: ${payload}`);
      if (sequence !== this.#nextEvent) throw new Breach(`event ${sequence} came before event ${this.#nextEvent}`);
      this.#nextEvent = sequence + 1;
      const row = this.#sql().event.get(sequence) as { body: string } | undefined;
      if (row?.body !== payload) throw new Breach(`event said before it was kept: ${payload}`);
      this.#events.set(sequence, payload);
    } else if (before !== payload) throw new Breach(`two bodies for one event: ${before} and ${payload}`);
    for (const request of this.#owed.values()) {
      if (wallMs < Date.parse(request.validUntil))
        throw new Breach(`event ${sequence} went before the request of ${request.feederId}, ${request.requestId}`);
    }
  }

  /** At the end of the world, when everything has been said: nothing lost, nothing left standing. */
  atRest(taken: ReadonlySet<string>): void {
    const historical = new Set([...this.events()].flatMap((event) => event.request?.requestId ?? []));
    const newestTaken = new Map<string, number>();
    const rows = this.#sql().requests.all() as (RequestRow & { request_id: string; sequence: number })[];
    for (const { request_id, body } of rows) {
      const { feederId, sequence } = JSON.parse(body) as Curtailment;
      if (taken.has(request_id)) newestTaken.set(feederId, Math.max(sequence, newestTaken.get(feederId) ?? 0));
    }
    for (const { request_id, sequence, body, offered, withheld } of rows) {
      const request = JSON.parse(body) as Curtailment;
      if (withheld !== null && !historical.has(request_id))
        throw new Breach(`withheld as ${withheld}, and no event tells of it: ${body}`);
      if (withheld !== null || taken.has(request_id) || this.undurable.has(request_id)) continue;
      if (offered !== 1) throw new Breach(`dropped without a word: ${body}`);
      if (sequence > (newestTaken.get(request.feederId) ?? 0) && !this.#mayBeUnsaid(request))
        throw new Breach(`lost, nothing later was said: ${body}`);
    }
    const { last } = this.#sql().lastEvent.get() as { last: number | null };
    if (this.#nextEvent - 1 !== (last ?? 0))
      throw new Breach(`the journal has events up to ${last}, said was up to ${this.#nextEvent - 1}`);
    for (const { feeder_id, body } of this.#sql().states.all() as { feeder_id: string; body: string }[]) {
      if (JSON.parse(body).episode !== null) throw new Breach(`the episode of ${feeder_id} never ended`);
    }
  }

  /** Over the whole of it no more was asked of customers than the settings allow. */
  isRestrained(restraints: Restraints): void {
    const rows = this.#sql().requests.all() as (RequestRow & { request_id: string })[];
    const kept = new Map<string, Kept>();
    const dispatchedMs = new Map<string, number>();
    for (const { request_id, body } of rows) {
      const message = JSON.parse(body) as Curtailment;
      kept.set(request_id, { message, decidedMs: this.#decidedMs.get(request_id) ?? 0 });
      const sentMs = this.#dispatchedMs.get(request_id) ?? Number.NEGATIVE_INFINITY;
      dispatchedMs.set(message.episodeId, Math.max(sentMs, dispatchedMs.get(message.episodeId) ?? 0));
    }
    const { lostCount, awayMs } = this.#excuses;
    judgeRestraint(restraints, { events: this.events(), kept, dispatchedMs, lostCount, awayMs });
  }

  /** It expired before anybody could be told of it, as far as the program could know. */
  #mayBeUnsaid(request: Curtailment): boolean {
    const fromMs = this.#decidedMs.get(request.requestId);
    if (fromMs === undefined) throw new Breach(`a request that nobody decided: ${request.requestId}`);
    const toMs = fromMs + Math.max(0, Date.parse(request.validUntil) - Date.parse(request.issuedAt));
    const { couldSay, lostCount, steppedClock } = this.#excuses;
    return !couldSay(fromMs, toMs) || lostCount(fromMs, toMs) || steppedClock(fromMs, toMs);
  }

  *events(): Generator<Event> {
    for (const body of this.#events.values()) yield JSON.parse(body) as Event;
  }

  /** The answer of a command is on the disk. */
  isAnswerKept(commandId: string): boolean {
    if (this.#sql().command.get(commandId) !== undefined || this.#db === null) return true;
    return readAhead(this.#db)?.commands.some((command) => command.commandId === commandId) ?? false;
  }

  /** How many there were, for the summary. */
  counts() {
    return { requests: this.#bodies.size, events: this.#nextEvent - 1, episodes: this.#limited.size };
  }

  /** As the tables have it, or the row that waits to be brought into them. */
  #request(requestId: string): RequestRow | undefined {
    const row = this.#sql().request.get(requestId) as RequestRow | undefined;
    if (row !== undefined || this.#db === null) return row;
    const ahead = readAhead(this.#db)?.requests.find((request) => request.requestId === requestId);
    return ahead && { body: ahead.body, offered: ahead.offered ? 1 : 0, withheld: ahead.withheld };
  }

  #sql(): ReturnType<typeof prepare> {
    if (this.#select === null) throw new Error('no journal is open');
    return this.#select;
  }
}

interface RequestRow {
  readonly body: string;
  readonly offered: number;
  readonly withheld: string | null;
}
interface NewestRow {
  readonly body: string;
  readonly withheld: string | null;
  readonly ack_status: string | null;
}

function prepare(db: Database.Database) {
  return {
    request: db.prepare('SELECT body, offered, withheld FROM request WHERE request_id = ?'),
    requests: db.prepare('SELECT request_id, sequence, body, offered, withheld FROM request ORDER BY sequence'),
    newest: db.prepare(
      'SELECT body, withheld, ack_status FROM request WHERE sequence IN (SELECT max(sequence) FROM request GROUP BY feeder_id)',
    ),
    offeredLimit: db.prepare(
      `SELECT 1 FROM request WHERE episode_id = ? AND offered = 1 AND json_extract(body, '$.action') = 'limit'`,
    ),
    limitWithEnd: db.prepare(
      `SELECT 1 FROM request WHERE episode_id = ? AND json_extract(body, '$.end') = ?
       AND json_extract(body, '$.action') <> 'release'`,
    ),
    ack: db.prepare('SELECT 1 FROM ack WHERE request_id = ? AND sequence = ? AND status = ?'),
    command: db.prepare('SELECT 1 FROM command WHERE command_id = ?'),
    event: db.prepare('SELECT body FROM event WHERE sequence = ?'),
    lastEvent: db.prepare('SELECT max(sequence) AS last FROM event'),
    states: db.prepare('SELECT feeder_id, body FROM state'),
  };
}
