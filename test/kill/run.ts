// `npm run test:kill`: kills the controller at random moments, most of them around a request, starts it again on the
// same journal, and at the end holds everything that a witness saw against everything that the journal has. Exit code 1
// with the evidence when anything was lost, doubled, changed, out of order or said too late.
//
//   node test/kill/run.ts [--runs 50] [--seed 1] [--json]
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endProcess, verb } from '../end-to-end/headroom.ts';
import { Mosquitto, mosquittoOrSkip } from '../simulators/mosquitto.ts';
import { type Random, seeded } from '../simulators/random.ts';
import {
  curtailmentOf,
  drawSetup,
  eventOf,
  HeadEnd,
  playTrace,
  retainedNow,
  type Seen,
  type Setup,
  SUBSTATION,
  startController,
  Witness,
  writeConfiguration,
} from './bench.ts';
import { judgeCurtailments, judgeEpisodes, judgeEvents, judgeRequests, readJournal } from './checks.ts';
import { Patience, Starvation } from './starvation.ts';

/** No run is longer than this once it is online, whatever its kill waits for. */
const LONGEST_RUN_MS = 3_000;
/** Of nothing new, in which nobody had to wait for a processor: then what is missing will not come. */
const PATIENCE_MS = 20_000;
const STOP_MS = 2_000;
const SHOWN_BREACHES = 20;

interface Bench {
  readonly folder: string;
  readonly configuration: string;
  readonly setup: Setup;
  readonly witness: Witness;
  readonly starvation: Starvation;
  readonly random: Random;
  readonly counts: { [what: string]: number };
  readonly breaches: string[];
}

/** When to kill. `around` says what for; `due` gives the wall time that a message calls for, null for none. */
interface Aim {
  readonly around: 'any moment' | 'start' | 'request seen' | 'limit due' | 'refresh due';
  readonly latestMs: number;
  /** Or from its first message on. */
  readonly isFromStart: boolean;
  due(seen: Seen): number | null;
}

function drawAim({ random, setup }: Bench): Aim {
  const draw = random.between(0, 1);
  // Around the millisecond in which a request is decided, kept and said.
  const nearMs = random.chance(0.5) ? random.between(-2, 5) : random.between(0, 2);
  const never = () => null;
  if (draw < 0.2) return { around: 'any moment', latestMs: random.between(50, 2_500), isFromStart: true, due: never };
  if (draw < 0.3) return { around: 'start', latestMs: random.between(200, 700), isFromStart: true, due: never };
  if (draw < 0.6) {
    let left = random.whole(1, 3);
    const afterMs = random.between(0, 5);
    const due = (seen: Seen) => (seen.topic.endsWith('/curtailment') && --left === 0 ? seen.atMs + afterMs : null);
    return { around: 'request seen', latestMs: LONGEST_RUN_MS, isFromStart: false, due };
  }
  if (draw < 0.85) {
    const due = (seen: Seen) => {
      if (!seen.topic.endsWith('/event')) return null;
      const { type, element, feederId, at } = eventOf(seen);
      const delayS = setup.times[feederId ?? '']?.atRiskDelayS;
      if (type !== 'pickup' || element !== 'atRisk' || delayS === undefined) return null;
      const dueMs = Date.parse(at) + delayS * 1000;
      return dueMs > seen.atMs ? dueMs + nearMs : null;
    };
    return { around: 'limit due', latestMs: LONGEST_RUN_MS, isFromStart: false, due };
  }
  const due = (seen: Seen) => {
    if (!seen.topic.endsWith('/curtailment')) return null;
    const { action, feederId, issuedAt } = curtailmentOf(seen);
    const dueMs = Date.parse(issuedAt) + (setup.times[feederId]?.refreshS ?? 0) * 1000;
    return action !== 'release' && dueMs > seen.atMs ? dueMs + nearMs : null;
  };
  return { around: 'refresh due', latestMs: LONGEST_RUN_MS, isFromStart: false, due };
}

/** Wall time with fractions: timers count whole milliseconds, too coarse for what is aimed at. */
const exactMs = () => performance.timeOrigin + performance.now();

/** Not the last will of one that was killed. */
function isOnlineSaid({ topic, payload }: Seen): boolean {
  return topic.endsWith('/status') && JSON.parse(payload).state === 'online';
}

/**
 * Resolves at the moment that the aim asks for. What waits for a message has its time from the moment at which the
 * controller is online, however long a start takes on a busy machine; false where it never is.
 */
function moment(aim: Aim, witness: Witness, patience: Patience): Promise<boolean> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | null = null;
    let isOnline = false;
    let aimed = false;
    const done = (isHit: boolean) => {
      if (timer !== null) clearTimeout(timer);
      clearInterval(watch);
      unlisten();
      resolve(isHit);
    };
    const arm = () => {
      timer = setTimeout(() => done(true), aim.latestMs);
    };
    const watch = setInterval(() => !isOnline && timer === null && patience.isOver('') && done(false), 250);
    const unlisten = witness.listen((seen) => {
      if (!isOnline && isOnlineSaid(seen)) {
        isOnline = true;
        if (timer === null) arm();
      }
      const dueMs = aimed ? null : aim.due(seen);
      if (dueMs === null) return;
      aimed = true;
      if (timer !== null) clearTimeout(timer);
      timer = setTimeout(
        () => {
          while (exactMs() < dueMs);
          done(true);
        },
        Math.max(0, dueMs - exactMs() - 2),
      );
    });
    if (aim.isFromStart) arm();
  });
}

/** One start, one kill, and what the journal had by then. */
async function killOnce(bench: Bench, isLong: boolean): Promise<void> {
  const { folder, configuration, setup, witness, starvation, random, counts, breaches } = bench;
  const aim = drawAim(bench);
  const child = startController(folder, configuration);
  starvation.watch(child.pid);
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const isHit = await Promise.race([moment(aim, witness, new Patience(starvation, PATIENCE_MS)), ended]);
  if (isHit === false) breaches.push(`the controller was not online in ${PATIENCE_MS / 1000} s: see controller.log`);
  if (child.exitCode !== null)
    breaches.push(`the controller ended by itself with ${child.exitCode}: see controller.log`);
  child.kill('SIGKILL');
  await ended;
  count(counts, `killed around ${aim.around}`);
  // What it had given to the broker arrives.
  await sleep(30);
  const journal = join(folder, 'journal');
  let isBetween = false;
  if (existsSync(join(journal, 'journal.db'))) {
    const { requests, standing } = readJournal(journal);
    const seen = new Set(witness.curtailments().map((one) => curtailmentOf(one).requestId));
    const newest = [...new Map(requests.map((request) => [request.message.feederId, request])).values()];
    isBetween = newest.some(({ requestId, withheld }) => withheld === null && !seen.has(requestId));
    if (standing.length > 0) count(counts, 'killed in an episode');
    if (isBetween) count(counts, 'killed between journal and broker');
  }
  // Mostly started again at once; sometimes later, above all with a request that nobody may have heard, so that the
  // next one is due before the link is up; and now and then when every limit has ended.
  if (isLong) await sleep(setup.leaseS * 1000 + 300);
  else if (random.chance(isBetween ? 0.7 : 0.3)) await sleep(random.between(0, isBetween ? 2_500 : 1_000));
}

/**
 * The last start is left to release what stands and to say all that there is, with little flowing, so that nothing new
 * is asked for; then it is stopped in order.
 */
async function finish(bench: Bench, headEnd: HeadEnd, broker: string): Promise<void> {
  const { folder, configuration, witness, starvation, breaches } = bench;
  const journal = join(folder, 'journal');
  const child: ChildProcess = startController(folder, configuration);
  starvation.watch(child.pid);
  const startedMs = Date.now();
  const isUp = () => witness.seen.some((seen) => seen.atMs > startedMs && isOnlineSaid(seen));
  const patience = new Patience(starvation, PATIENCE_MS);
  for (;;) {
    await sleep(100);
    if (child.exitCode !== null) {
      breaches.push(`the last start ended by itself with ${child.exitCode}: see controller.log`);
      return;
    }
    const { standing, events, acked } = readJournal(journal);
    const unsaid = (events.at(-1)?.sequence ?? 0) - (witness.events().map(eventOf).at(-1)?.sequence ?? 0);
    const unkept = [...headEnd.acked].filter((requestId) => !acked.has(requestId));
    // No more answers once nothing stands, so that none is on its way when the end comes.
    if (standing.length === 0) headEnd.answers = false;
    const isRest = standing.length === 0 && unsaid === 0 && unkept.length === 0 && headEnd.onTheirWay === 0;
    if (isRest && isUp()) break;
    const left = `standing ${standing.join() || 'none'}, ${unsaid} events to be said, ${unkept.length} answers to be kept`;
    if (!patience.isOver(`${left} ${witness.seen.length} ${events.length}`)) continue;
    breaches.push(`the last start has come to a halt: ${left}${isUp() ? '' : ', and it never was online'}`);
    break;
  }
  const stoppingMs = Date.now();
  await endProcess(child);
  if (child.exitCode !== 0) breaches.push(`SIGTERM ended it with ${child.exitCode ?? child.signalCode}, expected 0`);
  const stopMs = Date.now() - stoppingMs - starvation.waitedMs(stoppingMs, Date.now());
  if (stopMs > STOP_MS) breaches.push(`SIGTERM took ${Math.round(stopMs)} ms, expected ${STOP_MS} ms at most`);
  await sleep(300);
  const retained = await retainedNow(broker);
  const status = retained.get(`headroom/v1/${SUBSTATION}/status`);
  if (status === undefined || JSON.parse(status).state !== 'offline')
    breaches.push(`the retained status is ${status}, expected offline`);
  for (const feederId of Object.keys(bench.setup.times)) {
    const topic = `headroom/v1/${SUBSTATION}/feeder/${feederId}/curtailment`;
    const newest = witness.curtailments().findLast((one) => one.topic === topic);
    if (newest === undefined || retained.get(topic) === newest.payload) continue;
    // One whose end has come, as after a long time away, is gone from the broker by its expiry.
    if (!retained.has(topic) && Date.parse(curtailmentOf(newest).end) <= Date.now()) continue;
    breaches.push(`retained on ${feederId} is ${retained.get(topic)}, the newest was ${newest.payload}`);
  }
}

async function judge(bench: Bench, headEnd: HeadEnd): Promise<void> {
  const { folder, witness, starvation, counts, breaches } = bench;
  const journal = readJournal(join(folder, 'journal'));
  breaches.push(
    ...judgeCurtailments(witness.curtailments(), journal, (fromMs, toMs) => starvation.waitedMs(fromMs, toMs)),
    ...judgeRequests(witness.curtailments(), journal),
    ...judgeEpisodes(journal, bench.setup.leaseS * 1000),
    ...judgeEvents(witness.events(), journal),
  );
  for (const requestId of headEnd.acked) {
    if (!journal.acked.has(requestId)) breaches.push(`an acknowledgement was lost: request ${requestId}`);
  }
  if (journal.integrity !== 'ok') breaches.push(`the journal's file is not whole: ${journal.integrity}`);
  const proof = await verb('events', join(folder, 'journal'), '--verify');
  if (proof.code !== 0)
    breaches.push(`events --verify ended with ${proof.code}: ${proof.stdout.trim()}${proof.stderr.trim()}`);
  const { requests, events } = journal;
  const seen = witness.curtailments();
  Object.assign(counts, {
    episodes: new Set(requests.map(({ message }) => message.episodeId)).size,
    'requests kept': requests.length,
    'requests withheld': requests.filter(({ withheld }) => withheld !== null).length,
    'requests seen': new Set(seen.map((one) => curtailmentOf(one).requestId)).size,
    'curtailments seen': seen.length,
    'events kept': events.length,
    'events seen': witness.events().length,
    'requests acknowledged': journal.acked.size,
  });
}

function count(counts: Bench['counts'], what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

function listed(counts: Bench['counts']): string {
  return Object.entries(counts)
    .map(([what, number]) => `${what} ${number}`)
    .join(', ');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '50' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const [runs, seed] = [Number(values.runs), Number(values.seed)];
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
    console.error('expected --runs and --seed to be whole numbers, at least one run');
    return 2;
  }
  if (!mosquittoOrSkip()) return 0;
  const say = (line: string) => values.json || console.log(line);
  const random = seeded(seed);
  const folder = mkdtempSync(join(tmpdir(), 'headroom-kill-'));
  const broker = await Mosquitto.start({ persistence: true });
  const meter = await playTrace(folder, random);
  const witness = await Witness.connect(broker.url);
  const starvation = new Starvation(broker.pid);
  const headEnd = await HeadEnd.connect(broker.url, seeded(seed + 1));
  const setup = drawSetup(random);
  const configuration = writeConfiguration(folder, setup, broker.url, meter.port);
  const bench: Bench = { folder, configuration, setup, witness, starvation, random, counts: {}, breaches: [] };
  say(`${meter.what}; seed ${seed}, lease ${setup.leaseS} s, ${JSON.stringify(setup.times)}`);
  const startedMs = Date.now();
  try {
    for (let run = 1; run <= runs; run++) {
      await killOnce(bench, run % 50 === 25);
      if (run % 10 === 0 || run === runs)
        say(
          `${String(run).padStart(4)} runs, ${Math.round((Date.now() - startedMs) / 1000)} s: ${listed(bench.counts)}`,
        );
    }
    await meter.calm();
    await finish(bench, headEnd, broker.url);
    await judge(bench, headEnd);
  } finally {
    starvation.end();
    await meter.stop();
    await Promise.all([witness.close(), headEnd.close()]);
    await broker.remove();
  }
  const { counts, breaches } = bench;
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  if (values.json) console.log(JSON.stringify({ runs, seed, seconds, ...counts, breaches }, null, 2));
  for (const breach of breaches.slice(0, SHOWN_BREACHES)) console.error(`breach: ${breach}`);
  if (breaches.length > 0) console.error(`${breaches.length} breaches; journal and controller.log are in ${folder}`);
  else rmSync(folder, { recursive: true });
  say(`${runs} kills in ${seconds} s: ${listed(counts)}; breaches ${breaches.length}`);
  return breaches.length === 0 ? 0 : 1;
}

process.exitCode = await main();
