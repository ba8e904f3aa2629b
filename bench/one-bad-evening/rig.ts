// One contestant through one scenario: meters, proxies, broker and head end around it, the faults in their time, and the
// judgement at the end.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/workbench/seeded-random.ts';
import { Mosquitto } from '../../test/simulators/mosquitto.ts';
import { BadLink } from './bad-link.ts';
import { type Contestant, environment, type Job } from './contestants.ts';
import { DROPOUT_A, evening, PICKUP_A, restored, transitions } from './evening.ts';
import { HeadEnd, type Said } from './head-end.ts';
import { judge, type Utterance, type Verdict } from './judge.ts';
import { EveningMeter } from './meter.ts';
import { hasFaketime, Program, type Used } from './program.ts';
import type { Scenario, Window } from './scenarios.ts';

export interface Result extends Verdict {
  readonly scenario: string;
  readonly contestant: string;
  readonly round: number;
  readonly seed: string;
  /** Transitions of the trace that no answer ever showed: nobody can have known. */
  readonly unseen: number;
  readonly repeats: number;
  readonly falseAnswers: number;
  readonly reads: number;
  readonly unread: number;
  readonly used: Used & { readonly cpuPercent: number };
  readonly died: string | null;
}

const READY_MS = 60_000;
const TICK_MS = 5;
/** After the last step, for what is still under way. */
const AFTER_MS = 1_500;
const DISK_MB = 24;

export class Skipped extends Error {}

/** Rejects with Skipped where this machine cannot do it, with an Error where the contestant never began. */
export async function run(contestant: Contestant, scenario: Scenario, round: number, folder: string): Promise<Result> {
  const { rate, feeders } = scenario;
  if ((rate !== 1 || scenario.clock.length > 0) && !hasFaketime) throw new Skipped('needs the package faketime');
  const seed = `${scenario.name} ${round}`;
  const bornMs = performance.now();
  const bornWallMs = Date.now();
  const wallMs = () => bornWallMs + (performance.now() - bornMs) * rate;
  let beginsWallMs = Number.POSITIVE_INFINITY;
  /** Before the start no step has come and no fault is there. */
  const now = () => (Number.isFinite(beginsWallMs) ? wallMs() - beginsWallMs : 0);
  const at = <F>(windows: readonly Window<F>[]) =>
    windows.find(({ fromMs, toMs }) => now() >= fromMs && now() < toMs)?.fault ?? null;

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const disk = scenario.diskFull === null ? null : mountDisk(join(folder, 'disk'));
  const work = disk ?? join(folder, 'work');
  mkdirSync(work, { recursive: true });
  const broker = await Mosquitto.start({ unlimitedQueue: true });
  const brokerProxy = new BadLink(broker.port);
  const headEnd = await HeadEnd.start(broker.port, now);
  const random = seededRandom(`${seed} faults`);
  const meters = Array.from({ length: feeders }, (_, index) => {
    const { durationMs, dwellMs, pollMs, falseOneIn, timeoutMs } = scenario;
    return new EveningMeter({
      steps: scenario.together
        ? restored(durationMs, dwellMs)
        : evening(`${seed} F${index + 1}`, durationMs, dwellMs, pollMs),
      now,
      fault: () => at(scenario.meterFaults),
      falseOneIn,
      timeoutMs: timeoutMs / rate,
      random,
    });
  });
  const meterPorts = await Promise.all(meters.map((meter) => meter.start()));
  const meterProxies = scenario.meterLink.length > 0 ? meterPorts.map((port) => new BadLink(port)) : [];
  const direct = scenario.brokerLink.length === 0;
  const job: Job = {
    folder: work,
    meterPorts: meterProxies.length > 0 ? await Promise.all(meterProxies.map((proxy) => proxy.start())) : meterPorts,
    brokerPort: direct ? broker.port : await brokerProxy.start(),
    pollMs: scenario.pollMs,
    timeoutMs: scenario.timeoutMs,
    leaseS: scenario.leaseS,
    pickupA: PICKUP_A,
    dropoutA: DROPOUT_A,
  };
  const program = new Program({
    command: contestant.command(job),
    environment: environment(job),
    folder: work,
    log: join(folder, 'log'),
    rate,
    clockMoves: scenario.clock.length > 0,
    wallMs,
  });
  try {
    program.start();
    await ready(() => meters.every(({ reads }) => reads > 4) && (direct || brokerProxy.connections > 0), program);
    await sleep(500);
    const before = program.used();
    const beganMs = performance.now();
    beginsWallMs = wallMs();
    await play(scenario, { now, random, program, brokerProxy, meterProxies, disk, linkFault: at });
    const after = program.used();
    const seconds = (performance.now() - beganMs) / 1000;
    await sleep(AFTER_MS);
    const verdict = judged(scenario, meters, headEnd.said, beginsWallMs);
    keepRaw(folder, { scenario, beginsWallMs, meters, said: headEnd.said, unread: headEnd.unread, verdict });
    return {
      ...verdict,
      scenario: scenario.name,
      contestant: contestant.name,
      round,
      seed,
      unseen: meters.reduce((sum, meter) => sum + meter.transitions, 0) - verdict.expected,
      repeats: headEnd.said.length - new Set(headEnd.said.map(({ id, afterwards }) => `${id} ${afterwards}`)).size,
      falseAnswers: meters.reduce((sum, { falseAnswers }) => sum + falseAnswers.length, 0),
      reads: meters.reduce((sum, { reads }) => sum + reads, 0),
      unread: headEnd.unread.length,
      used: {
        cpuS: after.cpuS - before.cpuS,
        cpuPercent: (100 * (after.cpuS - before.cpuS)) / seconds,
        residentMb: after.residentMb,
        writtenMb: after.writtenMb - before.writtenMb,
      },
      died: program.died,
    };
  } finally {
    await program.stop();
    await headEnd.close();
    for (const one of [...meters, ...meterProxies]) await one.close();
    await brokerProxy.close();
    await broker.remove();
    if (disk !== null) spawnSync('umount', [disk]);
  }
}

async function ready(isReady: () => boolean, program: Program): Promise<void> {
  for (const untilMs = performance.now() + READY_MS; !isReady(); await sleep(20)) {
    if (program.died !== null) throw new Error(`it ${program.died} before it began`);
    if (performance.now() > untilMs) throw new Error(`it did not begin within ${READY_MS / 1000} s`);
  }
}

interface Stage {
  readonly now: () => number;
  readonly random: () => number;
  readonly program: Program;
  readonly brokerProxy: BadLink;
  readonly meterProxies: readonly BadLink[];
  readonly disk: string | null;
  readonly linkFault: <F>(windows: readonly Window<F>[]) => F | null;
}

async function play(scenario: Scenario, stage: Stage): Promise<void> {
  const { now, random, program, brokerProxy, meterProxies, disk } = stage;
  const kills = Array.from(
    { length: scenario.kills },
    (_, index) => (scenario.durationMs * (index + 0.2 + 0.6 * random())) / scenario.kills,
  );
  const clock = [...scenario.clock];
  let full = false;
  for (; now() < scenario.durationMs; await sleep(TICK_MS)) {
    await brokerProxy.set(stage.linkFault(scenario.brokerLink));
    for (const proxy of meterProxies) await proxy.set(stage.linkFault(scenario.meterLink));
    if (clock[0] !== undefined && now() >= clock[0].atMs) program.setClock(clock.shift()?.offsetS ?? 0);
    if (kills[0] !== undefined && now() >= kills[0]) {
      kills.shift();
      await program.kill();
      program.start();
    }
    const isFull = scenario.diskFull !== null && now() >= scenario.diskFull.fromMs && now() < scenario.diskFull.toMs;
    if (disk !== null && isFull) fill(disk);
    if (disk !== null && full && !isFull) rmSync(join(disk, 'ballast'), { force: true });
    full = isFull;
  }
}

function judged(
  scenario: Scenario,
  meters: readonly EveningMeter[],
  said: readonly Said[],
  beginsWallMs: number,
): Verdict {
  const returnsMs = scenario.brokerLink.filter(({ fault }) => fault !== 'slow').map(({ toMs }) => toMs);
  const jumps = scenario.clock.length > 0;
  // A stamp is made where the decision is; an arrival has its way behind it too.
  const slackMs = (jumps ? 500 : 100) * scenario.rate;
  const behindMs = scenario.rate === 1 ? 0 : clockBehindMs(said, beginsWallMs);
  const verdicts = meters.map((meter, index) => {
    const own = said.filter(({ feeder }) => feeder === `F${index + 1}`);
    return judge({
      expected: transitions(meter.shown),
      // Where the wall clock jumps a stamp says nothing: there the link is up and arrival is decision.
      said: own.map(
        (one): Utterance => ({
          ...one,
          decidedMs: jumps ? one.arrivedMs : one.decidedWallMs - beginsWallMs + behindMs,
          validUntilMs: jumps ? Number.POSITIVE_INFINITY : one.validUntilWallMs - beginsWallMs + behindMs,
        }),
      ),
      slackMs,
      // A stamp is rounded to a millisecond, and the clock's lag is known to some milliseconds of the rig's.
      earlyMs: 5 + 20 * (scenario.rate - 1),
      returnsMs,
    });
  });
  const sum = (of: (one: Verdict) => number) => verdicts.reduce((total, one) => total + of(one), 0);
  return {
    expected: sum((one) => one.expected),
    lost: sum((one) => one.lost),
    expired: sum((one) => one.expired),
    wrong: sum((one) => one.wrong),
    doubles: sum((one) => one.doubles),
    outOfOrder: sum((one) => one.outOfOrder),
    latenciesMs: verdicts.flatMap((one) => one.latenciesMs),
    returnsMs: verdicts.flatMap((one) => one.returnsMs),
  };
}

/** A clock that runs faster begins when its process does: the message that was quickest to arrive shows by how much. */
function clockBehindMs(said: readonly Said[], beginsWallMs: number): number {
  const live = said.filter(({ afterwards }) => !afterwards);
  const lags = live.map(({ arrivedMs, decidedWallMs }) => arrivedMs - (decidedWallMs - beginsWallMs));
  return lags.length === 0 ? 0 : Math.min(...lags);
}

function keepRaw(
  folder: string,
  raw: {
    scenario: Scenario;
    beginsWallMs: number;
    meters: readonly EveningMeter[];
    said: readonly Said[];
    unread: readonly string[];
    verdict: Verdict;
  },
): void {
  const meters = raw.meters.map(({ shown, falseAnswers, reads }) => ({ reads, falseAnswers, shown }));
  writeFileSync(join(folder, 'raw.json'), `${JSON.stringify({ ...raw, meters }, null, 1)}\n`);
}

/** A file system of its own in memory, so that it can be full without anybody else noticing. */
function mountDisk(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'evening', folder]);
  if (mounted.status !== 0) throw new Skipped('needs to be root, for a small file system');
  return folder;
}

/** Takes what is free, again and again: what a contestant deletes it does not get back. */
function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail === 0) return;
  try {
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(bavail * bsize), { flag: 'a' });
  } catch {
    // That it has no room for all of it is what is wanted.
  }
}
