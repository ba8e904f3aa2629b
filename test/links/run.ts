// `npm run test:links`: the controller over links that fail, one for each kind of weather, all at once: a meter that plays
// overloads, a real Mosquitto, and between the two a wire that delays, throttles, cuts, half-opens and swallows. In the
// end the weather clears, and what a witness at the broker saw, what the edge handed to the wire and what the journal
// keeps are held against one another. Exit code 1 with the evidence when anything was lost, out of order, said too late,
// or said in two sessions at once.
//
//   node test/links/run.ts [--seconds 90] [--seed 1] [--weather NAME] [--json]
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Curtailment } from '../../src/messages.ts';
import { endProcess } from '../end-to-end/headroom.ts';
import {
  curtailmentOf,
  drawSetup,
  eventOf,
  HeadEnd,
  playTrace,
  startController,
  Witness,
  writeConfiguration,
} from '../kill/bench.ts';
import {
  judgeCurtailments,
  judgeEpisodes,
  judgeEvents,
  judgeRequests,
  readJournal,
  toldAfterwards,
} from '../kill/checks.ts';
import { BadLink, type EdgeSession, type Handed } from '../simulators/bad-link.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { type Random, seeded } from '../simulators/random.ts';
import { clearUp, WEATHERS } from './weather.ts';

const FINISH_MS = 90_000;
const SHOWN_BREACHES = 5;
/** From the edge's decision to say it to the wire that reads it, on one machine that is busy. */
const HANDED_MS = 50;
/** A connection that is closed and its successor may be read in the wrong order in one turn. */
const ONE_TURN_MS = 5;

interface Outcome {
  readonly weather: string;
  readonly counts: { [what: string]: number };
  readonly breaches: string[];
}

/** One controller with everything that stands around it. */
interface Rig {
  readonly weather: string;
  readonly journal: string;
  readonly broker: Mosquitto;
  readonly link: BadLink;
  readonly witness: Witness;
  readonly headEnd: HeadEnd;
  readonly edge: ChildProcess;
  readonly random: Random;
}

async function rigUp(weather: string, folder: string, meterPort: number, random: Random): Promise<Rig> {
  const broker = await Mosquitto.start({ persistence: true, unlimitedQueue: true });
  const link = await BadLink.start(broker.port, () => random.between(0, 1));
  const witness = await Witness.connect(broker.url);
  const headEnd = await HeadEnd.connect(broker.url, random);
  mkdirSync(folder);
  const edge = startController(folder, writeConfiguration(folder, drawSetup(random), link.url, meterPort));
  while (witness.curtailments().length === 0 && edge.exitCode === null) await sleep(100);
  return { weather, journal: join(folder, 'journal'), broker, link, witness, headEnd, edge, random };
}

async function spoil({ weather, link, headEnd, random }: Rig, seconds: number): Promise<void> {
  const endMs = Date.now() + seconds * 1000;
  const isOver = () => Date.now() >= endMs;
  while (!isOver()) await WEATHERS[weather]?.(link, random, isOver);
  clearUp(link);
  headEnd.answers = false;
}

/** Without the meter every limit comes to its end, and everything gets said; then the controller is stopped in order. */
async function finish({ journal, broker, link, witness, headEnd, edge }: Rig): Promise<string[]> {
  const breaches: string[] = [];
  for (const untilMs = Date.now() + FINISH_MS; breaches.length === 0; await sleep(500)) {
    const { standing, events, requests, acked } = readJournal(journal);
    const said = new Set(witness.curtailments().map((one) => curtailmentOf(one).requestId));
    const newest = requests.at(-1);
    // One that was handed to the wire and never arrived is told of afterwards.
    const isSaid =
      newest === undefined ||
      newest.withheld !== null ||
      said.has(newest.requestId) ||
      toldAfterwards(events).has(newest.requestId);
    const isHeard = [...headEnd.acked].every((requestId) => acked.has(requestId));
    const isTold = witness.events().some((one) => eventOf(one).sequence === events.at(-1)?.sequence);
    if (standing.length === 0 && isSaid && isHeard && isTold) break;
    if (edge.exitCode !== null) breaches.push(`the controller ended by itself with ${edge.exitCode}`);
    if (Date.now() > untilMs) breaches.push(`not everything was said ${FINISH_MS / 1000} s after the weather cleared`);
  }
  await endProcess(edge);
  await sleep(500);
  await Promise.all([witness.close(), headEnd.close()]);
  await link.close();
  await broker.remove();
  return breaches;
}

function judge({ weather, journal, link, witness, headEnd }: Rig, breaches: string[]): Outcome {
  const whole = readJournal(journal);
  // What the end itself brings (a meter that is gone, joined alarms) is kept, and said at the next start.
  const lastSeen = Math.max(0, ...witness.events().map((one) => eventOf(one).sequence));
  const kept = { ...whole, events: whole.events.filter(({ sequence }) => sequence <= lastSeen) };
  // When a message came out of a bad link says nothing about when it was said.
  const seen = witness.curtailments().map((one) => ({ ...one, atMs: 0 }));
  breaches.push(
    ...judgeCurtailments(seen, kept),
    ...judgeRequests(seen, kept),
    ...judgeEpisodes(kept),
    ...judgeEvents(witness.events(), kept),
    ...judgeMoments(link.handed),
    ...judgeSessions(link.sessions),
  );
  // Stricter than after a kill: each request was seen, or its event says that it may not have been.
  const told = new Set(seen.map((one) => curtailmentOf(one).requestId));
  for (const event of witness.events().map(eventOf))
    if (event.historical === true && event.request !== undefined) told.add(event.request.requestId);
  for (const { requestId, sequence, message } of kept.requests)
    if (!told.has(requestId)) breaches.push(`lost: ${message.feederId} ${message.action} ${sequence} ${requestId}`);
  for (const requestId of headEnd.acked)
    if (!kept.acked.has(requestId)) breaches.push(`an acknowledgement was lost: request ${requestId}`);
  const historical = new Set(
    witness.events().flatMap((one) => (eventOf(one).historical === true ? [eventOf(one).requestId] : [])),
  );
  const counts = {
    requests: kept.requests.length,
    'said as curtailment': new Set(seen.map((one) => curtailmentOf(one).requestId)).size,
    'as historical events': historical.size,
    'handed to the wire': link.handed.length,
    'events seen': witness.events().length,
    sessions: link.sessions.length,
    acknowledged: kept.acked.size,
  };
  // A run in which the weather did no harm shows nothing.
  if (counts.requests < 20 || counts['said as curtailment'] < 5) breaches.push('too little was said to show anything');
  return { weather, counts, breaches };
}

/** Nothing is handed to the wire as curtailment after its `validUntil`. */
function judgeMoments(handed: readonly Handed[]): string[] {
  return handed
    .filter(({ topic }) => topic.endsWith('/curtailment'))
    .flatMap(({ atMs, payload }) => {
      const { validUntil, action, sequence } = JSON.parse(payload) as Curtailment;
      const lateMs = atMs - Date.parse(validUntil);
      return lateMs > HANDED_MS ? [`${action} ${sequence} was said ${lateMs} ms after its validUntil`] : [];
    });
}

/** The edge is never a client twice at the same time. */
function judgeSessions(sessions: readonly EdgeSession[]): string[] {
  return sessions.flatMap(({ openedMs }, index) => {
    const before = sessions[index - 1];
    return before !== undefined && before.closedMs > openedMs + ONE_TURN_MS
      ? [`session ${index + 1} was opened while session ${index} stood`]
      : [];
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '90' },
      seed: { type: 'string', default: '1' },
      weather: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  const names = Object.keys(WEATHERS).filter((name) => values.weather === undefined || name === values.weather);
  if (names.length === 0 || !(seconds > 0) || !Number.isInteger(seed)) {
    console.error(
      `expected --seconds over 0, --seed a whole number, --weather one of: ${Object.keys(WEATHERS).join(', ')}`,
    );
    return 2;
  }
  if (!mosquittoOrSkip()) return 0;
  const folder = mkdtempSync(join(tmpdir(), 'headroom-links-'));
  const meter = await playTrace(folder, seeded(seed));
  let failed = 0;
  try {
    const rigs = await Promise.all(
      names.map((name, index) => rigUp(name, join(folder, String(index)), meter.port, seeded(seed * 100 + index))),
    );
    await Promise.all(rigs.map((rig) => spoil(rig, seconds)));
    await meter.stop();
    const ends = await Promise.all(rigs.map(finish));
    for (const [index, rig] of rigs.entries()) {
      const { weather, counts, breaches } = judge(rig, ends[index] ?? []);
      failed += breaches.length;
      const listed = Object.entries(counts).map(([what, number]) => `${what} ${number}`);
      if (values.json) console.log(JSON.stringify({ weather, seed, seconds, ...counts, breaches }));
      else console.log(`${weather}: ${listed.join(', ')}; breaches ${breaches.length}`);
      for (const breach of breaches.slice(0, SHOWN_BREACHES)) console.error(`  breach: ${breach}`);
    }
  } finally {
    await meter.stop();
  }
  if (failed > 0) console.error(`${failed} breaches; journals and logs are in ${folder}`);
  else rmSync(folder, { recursive: true });
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
