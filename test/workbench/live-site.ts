// A live controller for tests of the desk: a real journal and history in a folder, a broker, and a clock moved by hand.
// Whoever drives it says what each meter gives, second by second.
import { type AlarmChange, judgeReading, newQualityMemory } from '../../src/acquisition/quality-judge.ts';
import { qualityRules } from '../../src/acquisition/quality-rules.ts';
import type { Given, MeasurementAlarm } from '../../src/acquisition/source-reading.ts';
import { type Configuration, readConfiguration } from '../../src/configuration.ts';
import { Controller } from '../../src/controller.ts';
import type { MeasuredSettings } from '../../src/feeder-settings.ts';
import { Historian } from '../../src/historian.ts';
import { Journal } from '../../src/journal/journal.ts';
import { silentLog } from '../../src/log.ts';
import type { Curtailment } from '../../src/messages.ts';
import type { Settings } from '../../src/settings.ts';
import { staleAfterMs } from '../../src/source-settings.ts';
import { measuredTransformer } from '../../src/transformer-settings.ts';
import { showProblem } from '../../src/yaml-file.ts';
import { handClock, whileTimeGoes } from '../simulators/hand-clock.ts';
import type { MqttBroker } from '../simulators/mqtt-broker.ts';

const START_MS = Date.parse('2026-01-15T17:00:00.000Z');
export const ROOT = 'headroom/v1/SUB-1';

/** What the meter of a feeder, or of the transformer, gives for the three phases. */
export type Amperes = readonly [Given, Given, Given];

/** Feeders on one meter, all with the same settings groups; `more` is what stands beside them. */
export function siteText(url: string, feeders: readonly string[], groups: string, more: string): string {
  const each = feeders.map(
    (id) => `  - id: ${id}
    currents: { source: meter }
    targetGroup: { id: TG-${id}, version: 1 }
    controllableA: { L1: 90, L2: 120, L3: 90 }
    settings:
${groups}`,
  );
  return `substation: { id: SUB-1 }
uplink: { brokers: [{ url: "${url}" }], allowInsecure: true, historyMessagesPerS: 0 }
sources:
  - { id: meter, type: modbus-tcp, host: 127.0.0.1, profile: eastron-sdm630, pollMs: 1000, staleAfterMs: 3000 }
feeders:
${each.join('')}${more}`;
}

export function goodConfiguration(file: string): Configuration {
  const { configuration, problems } = readConfiguration(file);
  if (configuration === null) throw new Error(problems.map(showProblem).join('\n'));
  return configuration;
}

export async function startSite(configuration: Configuration, clock: ReturnType<typeof siteClock>, broker: MqttBroker) {
  const { settings } = configuration;
  const folder = settings.journal.path;
  const journal = new Journal(folder);
  const requests: Curtailment[] = [];
  const historian: Historian = new Historian({
    folder,
    bounds: { days: 30, feeders: settings.feeders.length, maxBytes: 1e8 },
    clock,
    log: silentLog,
    isQuiet: () => controller.isQuiet,
    controlNow: (feederId) => controller.controlNow(feederId),
    isFeederQuiet: (feederId) => ['normal', 'blind'].includes(controller.stateOf(feederId)),
    trouble: (reason) => {
      if (reason !== null) throw new Error(reason);
    },
  });
  const before = broker.publishes(`${ROOT}/status`).length;
  const controller = new Controller({
    configuration,
    journal,
    clock,
    random: () => 0.5,
    log: silentLog,
    observer: {
      reading: (reading) => historian.reading(reading),
      input: (feederId, input) => historian.input(feederId, input),
      event: (event) => historian.event(event),
      request: (message) => void requests.push(message),
    },
  });
  const judges = new Map(measuredOf(settings).map((measured) => [measured.id, judgeOf(measured, settings)]));
  await until(() => broker.publishes(`${ROOT}/status`).length > before);
  return {
    requests,
    /** A second passes, and the meters give this, by feeder; `transformer` is its own. */
    async second(amperes: Readonly<Record<string, Amperes>>) {
      clock.advance(1000);
      const atMs = clock.monotonicMs();
      const changes: MeasurementAlarm[] = [];
      const readings = Object.entries(amperes).map(([feederId, [L1, L2, L3]]) => {
        const judge = judges.get(feederId);
        if (judge === undefined) throw new Error(`${feederId} is not measured`);
        return judge({ L1, L2, L3 }, atMs, clock.wallMs(), changes);
      });
      for (const change of changes) controller.measurementAlarm(change);
      controller.readings(readings);
      await turns();
    },
    async stop() {
      await whileTimeGoes(clock, controller.stop());
      historian.close();
      journal.close();
    },
  };
}

function measuredOf({ feeders, transformer }: Settings): MeasuredSettings[] {
  const measured = measuredTransformer(transformer);
  return measured === null ? feeders : [...feeders, measured];
}

/** As acquisition judges what one meter gives. */
function judgeOf(measured: MeasuredSettings, { sources }: Settings) {
  const sourceId = measured.currents.source;
  const source = sources.find(({ id }) => id === sourceId);
  if (source === undefined) throw new Error(`${sourceId} is no source`);
  const memory = newQualityMemory();
  const rules = qualityRules(measured, measured.ctRatio, staleAfterMs(source));
  return (phases: { L1: Given; L2: Given; L3: Given }, atMs: number, wallMs: number, out: MeasurementAlarm[]) => {
    const changes: AlarmChange[] = [];
    const given = { feederId: measured.id, sourceId, atMs, ...phases, N: 'unavailable' } as const;
    const judged = judgeReading(memory, rules, given, wallMs, changes);
    out.push(...changes.map((change) => ({ feederId: measured.id, sourceId, ...change })));
    return judged;
  };
}

export function siteClock() {
  const inner = handClock(1_000_000);
  const clock = { ...inner, offsetMs: START_MS - 1_000_000, wallMs: () => inner.monotonicMs() + clock.offsetMs };
  return clock;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 2));
}
