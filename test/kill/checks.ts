// What must hold over every message that the witness saw and every row of the journal, however often the controller was
// killed. Each check gives one line of evidence per breach.
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Curtailment, curtailmentSchema, eventSchema } from '../../src/messages.ts';
import { curtailmentOf, eventOf, type Seen } from './bench.ts';

interface JournalRequest {
  readonly requestId: string;
  readonly sequence: number;
  readonly offered: boolean;
  readonly withheld: string | null;
  readonly body: string;
  readonly message: Curtailment;
}

export interface JournalContent {
  readonly requests: JournalRequest[];
  readonly events: { readonly sequence: number; readonly body: string }[];
  readonly acked: Set<string>;
  /** Feeders with a standing episode. */
  readonly standing: string[];
  readonly integrity: string;
}

/** Read by a connection of its own, whether the controller runs or not. */
export function readJournal(folder: string): JournalContent {
  const db = new Database(join(folder, 'journal.db'), { readonly: true, timeout: 2_000 });
  try {
    const rows = db.prepare('SELECT * FROM request ORDER BY sequence').all() as {
      request_id: string;
      sequence: number;
      offered: number;
      withheld: string | null;
      body: string;
    }[];
    const requests = rows.map(({ request_id, sequence, offered, withheld, body }) => ({
      requestId: request_id,
      sequence,
      offered: offered === 1,
      withheld,
      body,
      message: JSON.parse(body) as Curtailment,
    }));
    const events = db.prepare('SELECT sequence, body FROM event ORDER BY sequence').all() as JournalContent['events'];
    const acks = db.prepare('SELECT DISTINCT request_id FROM ack').all() as { request_id: string }[];
    const states = db.prepare('SELECT feeder_id, body FROM state').all() as { feeder_id: string; body: string }[];
    return {
      requests,
      events,
      acked: new Set(acks.map(({ request_id }) => request_id)),
      standing: states.filter(({ body }) => JSON.parse(body).episode !== null).map(({ feeder_id }) => feeder_id),
      integrity: db.pragma('integrity_check', { simple: true }) as string,
    };
  } finally {
    db.close();
  }
}

/** Requests that an event tells of because they may never have arrived. */
export function toldAfterwards(events: JournalContent['events']): Set<string> {
  return new Set(
    events.map(({ body }) => JSON.parse(body)).flatMap((event) => (event.historical ? [event.requestId] : [])),
  );
}

/** From the controller's clock to the witness, on one machine. */
const TRANSIT_MS = 100;

const short = ({ sequence, action, feederId, episodeId, requestId }: Curtailment) =>
  `${feederId} ${action} sequence ${sequence} request ${requestId} episode ${episodeId}`;

/** Everything that was said as curtailment, by itself; `starvedMs` is how long it waited for a processor on its way. */
export function judgeCurtailments(
  seen: readonly Seen[],
  { requests }: JournalContent,
  starvedMs: (fromMs: number, toMs: number) => number = () => 0,
): string[] {
  const breaches: string[] = [];
  const byRequest = new Map<string, string>();
  const bySequence = new Map<number, string>();
  const newest = new Map<string, Curtailment>();
  const limited = new Set<string>();
  for (const one of seen) {
    const parsed = curtailmentSchema.safeParse(JSON.parse(one.payload));
    if (!parsed.success) {
      breaches.push(`not valid against the contract: ${one.payload}`);
      continue;
    }
    const message = parsed.data;
    const { requestId, sequence, feederId, episodeId, action } = message;
    const before = byRequest.get(requestId);
    if (before !== undefined && before !== one.payload)
      breaches.push(`one request with two bodies: ${before} and ${one.payload}`);
    byRequest.set(requestId, one.payload);
    const other = bySequence.get(sequence);
    if (other !== undefined && other !== requestId)
      breaches.push(`sequence ${sequence} for two requests: ${other} and ${requestId}`);
    bySequence.set(sequence, requestId);
    const last = newest.get(feederId);
    if (last !== undefined && sequence < last.sequence)
      breaches.push(`sequence goes back: ${short(message)} after ${short(last)}`);
    newest.set(feederId, message);
    if (action === 'limit') limited.add(episodeId);
    // The release of a limit that may have gone out in a crash is said all the same, for whoever heard the limit.
    const unsure = requests.some(
      (one) => one.message.episodeId === episodeId && one.offered && one.message.action === 'limit',
    );
    if (!limited.has(episodeId) && !(action === 'release' && unsure))
      breaches.push(`an episode without its limit: ${short(message)}`);
    const validMs = Date.parse(message.validUntil);
    const lateMs = one.atMs - validMs;
    if (lateMs > TRANSIT_MS + (lateMs > TRANSIT_MS ? starvedMs(validMs, one.atMs) : 0))
      breaches.push(`${short(message)} seen ${lateMs} ms after its validUntil`);
  }
  return breaches;
}

/** The journal's requests against what was seen: nothing lost, nothing said that is not kept, nothing said wrongly. */
export function judgeRequests(seen: readonly Seen[], { requests, events }: JournalContent): string[] {
  const breaches: string[] = [];
  const said = new Map(seen.map((one) => [curtailmentOf(one).requestId, one.payload]));
  const kept = new Map(requests.map((request) => [request.requestId, request]));
  for (const [requestId, payload] of said) {
    const request = kept.get(requestId);
    if (request === undefined) breaches.push(`said, and not in the journal: ${payload}`);
    else if (request.body !== payload) breaches.push(`the journal has another body: ${request.body} and ${payload}`);
    else if (request.withheld !== null) breaches.push(`said, and withheld as ${request.withheld}: ${payload}`);
    else if (!request.offered) breaches.push(`said, and kept as never offered: ${payload}`);
  }
  const historical = toldAfterwards(events);
  const newestSaid = new Map<string, number>();
  for (const { sequence, message } of requests.filter(({ requestId }) => said.has(requestId)))
    newestSaid.set(message.feederId, sequence);
  for (const { requestId, withheld, sequence, message, offered } of requests) {
    if (withheld !== null && !historical.has(requestId))
      breaches.push(`withheld as ${withheld} without a historical event: ${short(message)}`);
    // Told of as one that may never have arrived.
    if (withheld !== null || said.has(requestId) || historical.has(requestId)) continue;
    if (sequence > (newestSaid.get(message.feederId) ?? 0))
      breaches.push(`lost, nothing later was said: ${short(message)}`);
    // Certainly never given to a broker, and nobody was told.
    else if (!offered) breaches.push(`dropped without being withheld: ${short(message)}`);
  }
  return breaches;
}

/**
 * One request after another of each feeder: an episode goes on while its limit stands, and only then. What is refreshed
 * is decided at the time of its reading, a lease before the new end; on a busy machine it is issued a little later.
 */
export function judgeEpisodes({ requests }: JournalContent, leaseMs = 0): string[] {
  const breaches: string[] = [];
  const before = new Map<string, Curtailment>();
  const newestOffered = new Map<string, string>();
  for (const { message, withheld } of requests) {
    const last = before.get(message.feederId);
    before.set(message.feederId, message);
    if (last !== undefined) {
      const same = last.episodeId === message.episodeId;
      const decidedMs = Math.min(Date.parse(message.issuedAt), Date.parse(message.end) - leaseMs);
      const standing = last.action !== 'release' && decidedMs < Date.parse(last.end);
      if (standing && !same) breaches.push(`a standing episode got another id: ${short(last)}, then ${short(message)}`);
      // A release that was due before the end, and could only be said after it, is the one thing that may follow.
      const late = withheld !== null || (message.action === 'release' && last.action !== 'release');
      if (!standing && same && !late)
        breaches.push(`an episode that was over went on: ${short(last)}, then ${short(message)}`);
    }
    const superseded = newestOffered.get(message.episodeId) ?? null;
    if (message.supersedes !== superseded)
      breaches.push(`supersedes ${message.supersedes}, expected ${superseded}: ${short(message)}`);
    if (withheld === null) newestOffered.set(message.episodeId, message.requestId);
  }
  return breaches;
}

/** The sequence of events: complete, in order, one body to a number, and the journal's own. */
export function judgeEvents(seen: readonly Seen[], { events }: JournalContent): string[] {
  const breaches: string[] = [];
  const byNumber = new Map<number, string>();
  let next = 1;
  for (const one of seen) {
    if (!eventSchema.safeParse(JSON.parse(one.payload)).success)
      breaches.push(`not valid against the contract: ${one.payload}`);
    const { sequence } = eventOf(one);
    const before = byNumber.get(sequence);
    if (before !== undefined && before !== one.payload)
      breaches.push(`event ${sequence} with two bodies: ${before} and ${one.payload}`);
    byNumber.set(sequence, one.payload);
    // Said again after a restart is allowed; ahead of its turn is not.
    if (sequence > next) breaches.push(`event ${sequence} came before event ${next}`);
    next = Math.max(next, sequence + 1);
  }
  for (const { sequence, body } of events) {
    const said = byNumber.get(sequence);
    if (said === undefined) breaches.push(`event ${sequence} was never seen: ${body}`);
    else if (said !== body) breaches.push(`the journal has another event ${sequence}: ${body} and ${said}`);
  }
  const last = events.at(-1)?.sequence ?? 0;
  if (events.length !== last) breaches.push(`the journal has ${events.length} events up to number ${last}`);
  if (next - 1 > last) breaches.push(`event ${next - 1} was seen, the journal ends at ${last}`);
  return breaches;
}
