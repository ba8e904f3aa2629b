// Wires the data path for a configuration and runs it until it is told to stop: the verb `run`, and the inside of the
// demo. The heartbeat that health checks look at is fed by completed scans only, so a program that has stopped
// scanning is seen to be ill however alive its process is.
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { openAcquisition } from './acquisition/acquisition.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Configuration } from './configuration.ts';
import { Controller, type Observer } from './controller.ts';
import type { MeasuredSettings } from './feeder-settings.ts';
import { Historian } from './historian.ts';
import type { HistoryBounds } from './journal/history.ts';
import { checkIntegrity, type IntegrityCheck } from './journal/integrity.ts';
import { Journal } from './journal/journal.ts';
import { mountTrouble } from './journal/mount.ts';
import { type Running as Beating, HEARTBEAT_EVERY_MS, HEARTBEAT_FILE } from './journal/reader.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type ServiceManager, serviceManager } from './service-manager.ts';
import type { Settings } from './settings.ts';
import { periodMs, staleAfterMs } from './source-settings.ts';
import { Tally } from './tally.ts';
import { measuredTransformer, summedTransformer } from './transformer-settings.ts';
import { VERSION } from './version.ts';
import { Watchdog } from './watchdog.ts';
import { watchdogLimitS } from './watchdog-settings.ts';

/** The meters come first: MQTT.js takes longer to load than they do to answer. */
const CONNECT_AFTER_MS = 200;

export interface Running {
  readonly controller: Controller;
  /** Ends the program in order; takes at most about two seconds. */
  stop(): Promise<void>;
}

/** Starts the controller. Throws JournalInUse, or an Error in one line when the journal cannot be opened. */
export function startController(
  configuration: Configuration,
  log: Log,
  observer: Observer = {},
  clock: Clock = systemClock(),
): Running {
  const { settings, registerMaps, hash } = configuration;
  const journal = new Journal(settings.journal.path, settings.journal.maxMegabytes / 2);
  const tally = settings.metrics === undefined ? null : new Tally();
  const historian: Historian = new Historian({
    folder: settings.journal.path,
    bounds: historyBounds(settings),
    clock,
    log,
    isQuiet: () => controller.isQuiet,
    controlNow: (feederId) => controller.controlNow(feederId),
    isFeederQuiet: (feederId) => controller.isFeederQuiet(feederId),
    trouble: (reason) => controller.historyTrouble(reason),
  });
  const controller = new Controller({
    configuration,
    journal,
    clock,
    random: Math.random,
    log,
    connectAfterMs: CONNECT_AFTER_MS,
    observer: toAll([historian, observer, ...(tally === null ? [] : [tally])]),
  });
  log.info({ substation: settings.substation.id, settings: hash, feeders: settings.feeders.length }, 'running');
  const trouble = mountTrouble(settings.journal.path);
  if (trouble !== null) controller.programAlarm('unsafeStorage', 'program', true, trouble);
  const integrity = integrityCheck(settings.journal.path, clock, controller);
  const own: Beating = { version: VERSION, settings: hash, insecure: settings.uplink.allowInsecure };
  const beat = heartbeat(settings.journal.path, own, clock, log);
  const manager = serviceManager(process.env, clock, log);
  const watchdog = watchdogOf(settings, clock, log, controller, manager);
  const acquisition = openAcquisition({
    sources: settings.sources,
    feeders: measured(settings),
    summed: summedTransformer(settings.transformer),
    registerMaps,
    dataFolder: settings.journal.path,
    clock,
    random: Math.random,
    events: {
      readings(readings) {
        controller.readings(readings);
        beat();
        const sourceId = readings[0]?.sourceId;
        if (sourceId === undefined) return;
        watchdog.scanned(sourceId);
        tally?.scanned(sourceId);
      },
      sourceChanged(sourceId, answering, detail) {
        controller.sourceChanged(sourceId, answering, detail);
        watchdog.answering(sourceId, answering);
      },
      alarm: (change) => controller.measurementAlarm(change),
      changedOver: (feederId, sourceId, reason) => controller.changedOver(feederId, sourceId, reason),
    },
  });
  const metrics = tally === null ? null : metricsOf(configuration, { clock, controller, watchdog, tally }, log);
  return {
    controller,
    async stop() {
      (await metrics)?.close();
      watchdog.close();
      integrity.close();
      manager.stopping();
      // The controller first: that reads are cut off by the stop is no event of a source.
      await controller.stop();
      acquisition.close();
      historian.close();
      rmSync(join(settings.journal.path, HEARTBEAT_FILE), { force: true });
      journal.close();
    },
  };
}

/** Whatever has currents of its own. */
function measured({ feeders, transformer }: Settings): MeasuredSettings[] {
  const own = measuredTransformer(transformer);
  return own === null ? feeders : [...feeders, own];
}

/** Every observer is told, in this order. */
function toAll(observers: readonly Observer[]): Observer {
  return {
    reading: (reading) => {
      for (const one of observers) one.reading?.(reading);
    },
    input: (feederId, input) => {
      for (const one of observers) one.input?.(feederId, input);
    },
    event: (event) => {
      for (const one of observers) one.event?.(event);
    },
    request: (message) => {
      for (const one of observers) one.request?.(message);
    },
    ack: (ack) => {
      for (const one of observers) one.ack?.(ack);
    },
    link: (up, reason) => {
      for (const one of observers) one.link?.(up, reason);
    },
  };
}

/** Once, when the start is long over. */
function integrityCheck(folder: string, clock: Clock, controller: Controller): { close(): void } {
  let check: IntegrityCheck | null = null;
  const timer = clock.at(clock.monotonicMs() + INTEGRITY_AFTER_MS, async () => {
    check = checkIntegrity(folder);
    const found = await check.found;
    if (found !== null) controller.journalDamaged(found);
  });
  return {
    close() {
      timer.cancel();
      check?.stop();
    },
  };
}

interface Measured {
  readonly clock: Clock;
  readonly controller: Controller;
  readonly watchdog: Watchdog;
  readonly tally: Tally;
}

/** Loaded when everything else runs; a port that cannot be had is told of and stops nothing. */
async function metricsOf(
  { settings, hash }: Configuration,
  { clock, controller, watchdog, tally }: Measured,
  log: Log,
): Promise<Metrics | null> {
  try {
    const { openMetrics } = await import('./metrics.ts');
    const opened = await openMetrics({
      port: settings.metrics?.port ?? 0,
      clock,
      settingsHash: hash,
      controller: () => controller.figures(),
      watchdog: watchdog.figures,
      tally,
    });
    log.info({ url: opened.url }, 'metrics');
    return opened;
  } catch (error) {
    log.error({ error: (error as Error).message }, 'the metrics cannot be served');
    return null;
  }
}

/** The history has what the journal leaves of the megabytes, at least half of them. */
function historyBounds({ feeders, journal }: Settings): HistoryBounds {
  return { days: journal.historyDays, feeders: feeders.length, maxBytes: (journal.maxMegabytes * 1e6) / 2 };
}

const INTEGRITY_AFTER_MS = 60_000;

/** Told by its exit code from every other end. */
const EXIT_WATCHDOG = 70;
/** For the event of it to be kept and said. */
const LAST_WORDS_MS = 500;

function watchdogOf(
  settings: Settings,
  clock: Clock,
  log: Log,
  controller: Controller,
  manager: ServiceManager,
): Watchdog {
  const limitMs = watchdogLimitS(settings) * 1000;
  if (manager.watchdogMs !== null && manager.watchdogMs <= limitMs)
    log.warn({ watchdogMs: manager.watchdogMs, limitMs }, 'systemd ends the program before it can say why');
  return new Watchdog({
    clock,
    sources: new Map(
      settings.sources.map((source) => [source.id, { periodMs: periodMs(source), overdueMs: staleAfterMs(source) }]),
    ),
    stallMs: settings.watchdog.stallMs,
    limitMs,
    alarm: (alarm, what, standing, reason) => controller.programAlarm(alarm, what, standing, reason),
    scanned: () => manager.scanned(),
    expired(reason) {
      log.error({ reason }, 'ended by the watchdog, to be started again');
      controller.programAlarm('watchdog', 'program', true, `${reason}: the program ends, to be started again`);
      clock.at(clock.monotonicMs() + LAST_WORDS_MS, () => process.exit(EXIT_WATCHDOG));
    },
  });
}

/** The verb: runs until SIGINT or SIGTERM. */
export async function run(configuration: Configuration, log: Log): Promise<void> {
  const running = startController(configuration, log);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  log.info({}, 'stopping: limits are left to their leases');
  await running.stop();
}

function heartbeat(folder: string, own: Beating, clock: Clock, log: Log): () => void {
  const file = join(folder, HEARTBEAT_FILE);
  let dueMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs < dueMs) return;
    const first = dueMs === Number.NEGATIVE_INFINITY;
    dueMs = nowMs + HEARTBEAT_EVERY_MS;
    try {
      if (first) writeFileSync(file, JSON.stringify(own));
      else utimesSync(file, clock.wallMs() / 1000, clock.wallMs() / 1000);
    } catch (error) {
      log.error({ error: (error as Error).message }, 'the heartbeat cannot be written');
    }
    // A kill never writes the compile cache, so it is written once everything that a scan needs has been loaded.
    if (first) flushCompileCache();
  };
}
