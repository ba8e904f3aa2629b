// Figures for Prometheus: one page on 127.0.0.1, gathered when it is asked for, so that nobody's scan waits for them. The
// file is loaded only where the settings ask for metrics. Labels are few and bounded: feeders, phases, sources, words.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Clock } from './clock.ts';
import type { ControllerFigures } from './controller.ts';
import { CONDUCTORS, PHASES } from './feeder.ts';
import type { Tally } from './tally.ts';
import { VERSION } from './version.ts';
import { stateWord, type WatchedFeeder } from './watched-feeder.ts';

export interface MetricsInput {
  readonly port: number;
  readonly clock: Clock;
  readonly settingsHash: string;
  readonly controller: () => ControllerFigures;
  readonly watchdog: { readonly stalls: number; readonly longestStallMs: number; readonly missedScans: number };
  readonly tally: Tally;
}

export interface Metrics {
  readonly url: string;
  close(): void;
}

const HOST = '127.0.0.1';
const PATH = '/metrics';
const STATES = ['normal', 'pickingUp', 'curtailing', 'droppingOut', 'blind'];

/** Serves them. Rejects where the port cannot be had. */
export async function openMetrics(input: MetricsInput): Promise<Metrics> {
  const page = pageOf(input);
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== PATH) return void response.writeHead(404).end();
    page.metrics().then(
      (text) => response.writeHead(200, { 'content-type': page.contentType }).end(text),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 8;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(input.port, HOST, resolve);
  });
  // A scraper that holds a connection must not hold up a stop.
  server.unref();
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}${PATH}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

type Labels = { readonly [name: string]: string };
type Rows = Iterable<readonly [labels: Labels, value: number]>;

function pageOf({ clock, settingsHash, controller, watchdog, tally }: MetricsInput): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[], rows: () => Rows) =>
    new Gauge({
      name: `headroom_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of rows()) this.set(labels, value);
      },
    });
  const counter = (name: string, help: string, labelNames: string[], rows: () => Rows) =>
    new Counter({
      name: `headroom_${name}_total`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of rows()) this.inc(labels, value);
      },
    });
  const feeders = (row: (feeder: WatchedFeeder) => Rows) => () =>
    [...controller().feeders].flatMap((one) => [...row(one)]);
  const counted = (count: { entries(): { labels: Labels; times: number }[] }) => () =>
    count.entries().map(({ labels, times }) => [labels, times] as const);
  const one = (value: number): Rows => [[{}, value]];

  gauge('build_info', 'Version and settings in force; always 1.', ['version', 'settings'], () => [
    [{ version: VERSION, settings: settingsHash }, 1],
  ]);
  gauge('current_amperes', 'Latest usable current of a conductor.', ['feeder', 'phase'], () =>
    [...tally.latest.values()].flatMap((reading) =>
      CONDUCTORS.flatMap((phase) => {
        const { currentA } = reading[phase];
        return currentA === null ? [] : [[{ feeder: reading.feederId, phase }, currentA] as const];
      }),
    ),
  );
  gauge('reading_age_seconds', 'Since the latest reading of a feeder, usable or not.', ['feeder'], () =>
    [...tally.latest.values()].map(({ feederId, atMs }) => [{ feeder: feederId }, (clock.monotonicMs() - atMs) / 1000]),
  );
  gauge(
    'state',
    'State of control: 1 for the one that it is in.',
    ['feeder', 'state'],
    feeders(({ settings, state }) =>
      STATES.map((word) => [{ feeder: settings.id, state: word }, word === stateWord(state) ? 1 : 0]),
    ),
  );
  gauge(
    'level_percent',
    'Permitted level in force; 100 is no limit.',
    ['feeder', 'phase'],
    feeders(({ settings, state }) =>
      PHASES.map((phase) => [{ feeder: settings.id, phase }, state[phase].levelPercent]),
    ),
  );
  gauge('alarm', 'Alarms that stand, by the names of the status; 1 each.', ['alarm'], () =>
    controller().alarms.map((alarm) => [{ alarm }, 1]),
  );
  counter('scans', 'Polls or notifications that were judged.', ['source'], counted(tally.scans));
  counter('missed_scans', 'Scans that there should have been.', [], () => one(watchdog.missedScans));
  counter('event_loop_stalls', 'Pauses of the program longer than watchdog.stallMs.', [], () => one(watchdog.stalls));
  gauge('event_loop_stall_longest_seconds', 'The longest of them since the start.', [], () =>
    one(watchdog.longestStallMs / 1000),
  );
  counter('events', 'Entries of the sequence of events.', ['type'], counted(tally.events));
  counter('requests', 'Requests that were decided.', ['feeder', 'action'], counted(tally.requests));
  counter('acks', 'Acknowledgements that were taken.', ['status'], counted(tally.acks));
  gauge('uplink_up', 'Whether the link to a broker stands.', [], () => one(controller().uplink.isUp ? 1 : 0));
  counter('uplink_losses', 'Links that stood and broke.', [], () => one(tally.linkLosses));
  gauge('uplink_insecure', 'Whether allowInsecure is in force.', [], () => one(controller().insecure ? 1 : 0));
  gauge('certificate_end_timestamp_seconds', 'When a certificate ends, by its file or broker.', ['of'], () =>
    controller().uplink.certificateEnds.map(({ of, endsWallMs }) => [{ of }, endsWallMs / 1000]),
  );
  gauge('journal_durable', 'Whether what is decided can be written.', [], () =>
    one(controller().journal.failure === null ? 1 : 0),
  );
  gauge('journal_events_waiting', 'Events that no broker has taken yet.', [], () =>
    one(controller().journal.eventsWaiting),
  );
  gauge(
    'journal_wal_bytes',
    'Length of the write-ahead log of the journal; a reader that holds on makes it grow.',
    [],
    () => one(controller().journal.walBytes),
  );
  gauge('resident_memory_bytes', 'Resident memory of the program.', [], () => one(process.memoryUsage.rss()));
  counter('cpu_seconds', 'Processor time of the program.', [], () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  });
  return registry;
}
