// Example messages of the contract, made by the code that makes the real ones: the substation of config/substation.yaml
// on a clock that is set by hand, with one episode on its feeder F1 and a block after it. What happens is written here;
// what is said of it is not, but for the command, which no part of this program makes.
import { fileURLToPath } from 'node:url';
import { carryOut, type FeederCommand } from '../carry-out.ts';
import { type Clock, isoTime } from '../clock.ts';
import type { Command, CommandAck } from '../command-message.ts';
import { Commands } from '../commands.ts';
import { type Configuration, readConfiguration } from '../configuration.ts';
import type { ControlRequest } from '../control/types.ts';
import { EventBook } from '../event-book.ts';
import { HarmCaps } from '../harm-caps.ts';
import type { Curtailment, Event } from '../messages.ts';
import { Requests } from '../requests.ts';
import { statusReport } from '../status-report.ts';
import { TelemetryIntervals } from '../telemetry.ts';
import type { Telemetry } from '../telemetry-message.ts';
import { telemetryFeeder, type WatchedFeeder, watchedFeeder } from '../watched-feeder.ts';
import { watchedTransformer } from '../watched-transformer.ts';
import type { Example } from './asyncapi.ts';
import { ackOf } from './headend/ack.ts';

/** When F1 picks up. */
const START_MS = Date.parse('2026-01-14T18:00:00.200Z');
const FIRST_SEQUENCE = 1_768_000_000_018;
const FIRST_EVENT = 4_712;

/** Throws where config/substation.yaml is not good. */
export function exampleMessages(): Example[] {
  const { configuration } = readConfiguration(fileURLToPath(new URL('../../config/substation.yaml', import.meta.url)));
  if (configuration === null) throw new Error('config/substation.yaml is not good');
  const site = new ExampleSite(configuration);
  const { limit, refresh, step, release, event } = site.episode();
  const ack = ackOf(limit, 'partial', START_MS + 71_800, {
    devices: { targeted: 12, acknowledged: 11, failed: 1 },
    reason: '1 of 12 devices did not answer',
    controllableA: { L2: 112 },
  });
  const telemetry = site.telemetry();
  const { command, commandAck } = site.block('2026-01-14T21:00:00.912Z', '2026-01-14T23:30:00.000Z');
  return [
    { name: 'curtailment-limit', message: limit },
    { name: 'curtailment-refresh', message: refresh },
    { name: 'curtailment-step', message: step },
    { name: 'curtailment-release', message: release },
    { name: 'ack', message: ack },
    { name: 'event', message: event },
    { name: 'telemetry', message: telemetry },
    { name: 'status', message: site.status('online', 'connected') },
    { name: 'status-will', message: site.status('offline', 'connectionLost') },
    { name: 'command', message: command },
    { name: 'commandAck', message: commandAck },
  ];
}

class ExampleSite {
  readonly #configuration: Configuration;
  readonly #feeders: ReadonlyMap<string, WatchedFeeder>;
  readonly #feeder: WatchedFeeder;
  #wallMs = START_MS;
  #ids = 0;
  readonly #clock: Clock = {
    monotonicMs: () => this.#wallMs - START_MS,
    wallMs: () => this.#wallMs,
    at: () => ({ cancel() {} }),
    afterTurn: () => {},
    bootId: '',
    synchronised: () => true,
  };

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    const { feeders, sources } = configuration.settings;
    this.#feeders = new Map(feeders.map((one) => [one.id, watchedFeeder(one, sources, START_MS)]));
    const [feeder] = this.#feeders.values();
    if (feeder === undefined) throw new Error('config/substation.yaml has no feeder');
    this.#feeder = feeder;
  }

  /** What control decides in an episode that begins as the worked example of docs/settings.md, and the limit's event. */
  episode(): { [name in 'limit' | 'refresh' | 'step' | 'release']: Curtailment } & { event: Event } {
    const { leaseS, refreshS, responseTimeS } = this.#feeder.group.curtailment;
    const limit: ControlRequest = {
      kind: 'request',
      action: 'limit',
      atMs: 30_000,
      endMs: 30_000 + leaseS * 1000,
      episodeStartedMs: 0,
      levelPercent: { L2: 60 },
      reductionA: { L2: 50 },
      trigger: {
        element: 'atRisk',
        isUrgent: false,
        phase: 'L2',
        pickupA: this.#feeder.group.atRisk.pickupA,
        pickedUpMs: 0,
      },
      currentA: { L1: 212.4, L2: 360, L3: 236.1, N: 137.9 },
      quality: { L1: 'good', L2: 'good', L3: 'good' },
      readingAgeMs: 112,
      reason: 'atRisk on L2',
      mode: 'live',
      group: this.#feeder.group.name,
      thermalPercent: null,
      timeToLimitS: null,
    };
    const refreshMs = 30_000 + refreshS * 1000;
    const refresh: ControlRequest = {
      ...limit,
      action: 'refresh',
      atMs: refreshMs,
      endMs: refreshMs + leaseS * 1000,
      currentA: { L1: 204.7, L2: 322.5, L3: 228.3, N: 109.6 },
      readingAgeMs: 87,
    };
    const stepMs = refreshMs + 900_000;
    const step: ControlRequest = {
      ...limit,
      atMs: stepMs,
      endMs: stepMs + leaseS * 1000,
      levelPercent: { L2: 85 },
      reductionA: { L2: 18.75 },
      currentA: { L1: 188.2, L2: 241.9, L3: 201.5, N: 48.6 },
      readingAgeMs: 41,
    };
    const release: ControlRequest = {
      ...step,
      action: 'release',
      atMs: stepMs + responseTimeS * 1000,
      levelPercent: { L2: 100 },
      reductionA: { L2: 0 },
      currentA: { L1: 181.6, L2: 252.3, L3: 195, N: 65 },
    };
    const { settings, hash } = this.#configuration;
    const book = new EventBook(settings.substation.id, this.#clock);
    const requests = new Requests({
      substationId: settings.substation.id,
      settingsHash: hash,
      firstSequence: FIRST_SEQUENCE,
      clock: this.#clock,
      newId: () => exampleId(this.#ids++),
      harmCaps: new HarmCaps(0),
      book,
      promise: () => true,
      isUp: () => true,
      withhold: () => {},
    });
    const say = (decided: ControlRequest) => {
      this.#wallMs = START_MS + decided.atMs;
      const made = requests.make(this.#feeder, decided);
      if (made === null) throw new Error('the caps of config/substation.yaml forbid the example');
      made.request.confirmed = true;
      requests.answered(this.#feeder, made.request);
      return made.request.message;
    };
    const said = say(limit);
    const events: Event[] = [];
    for (const draft of book.take(this.#clock.monotonicMs())) book.newEvent(draft, events).body(FIRST_EVENT);
    const [event] = events;
    if (event === undefined) throw new Error('the limit has no event');
    return { limit: said, event, refresh: say(refresh), step: say(step), release: say(release) };
  }

  /** Ten minutes with a reading of F1 every 200 ms, L3 at times uncertain, and no neutral. */
  telemetry(): Telemetry {
    const { settings } = this.#configuration;
    this.#wallMs = Date.parse('2026-01-14T18:00:00.000Z');
    const said: Telemetry[] = [];
    // As it stands half a minute after the pickup.
    const outlook = () => ({ state: 'curtailing', levelPercent: 60 });
    const telemetry = new TelemetryIntervals(
      settings.substation.id,
      settings.uplink,
      [{ ...telemetryFeeder(this.#feeder), outlook }],
      this.#clock,
      () => 0,
      (message) => void said.push(message),
    );
    const feederId = this.#feeder.settings.id;
    const wave = (middleA: number, swingA: number, turn: number) =>
      Math.round((middleA + swingA * Math.sin(turn)) * 10) / 10;
    for (let reading = 0; reading < 3_000; reading++) {
      const turn = reading / 240;
      telemetry.take({
        feederId,
        sourceId: this.#feeder.settings.currents.source,
        atMs: this.#clock.monotonicMs(),
        L1: { currentA: wave(206, 18, turn), quality: 'good', reason: null },
        L2: { currentA: wave(334, 32, turn + 1), quality: 'good', reason: null },
        L3: { currentA: wave(229, 12, turn + 2), quality: reading % 50 === 0 ? 'uncertain' : 'good', reason: null },
        N: { currentA: null, quality: 'bad', reason: 'noAnswer' },
        exporting: [],
      });
      this.#wallMs += 200;
    }
    telemetry.tick();
    const [message] = said;
    if (message === undefined) throw new Error('no telemetry was said');
    return message;
  }

  /** The head end blocks F1, and the answer. */
  block(takenAt: string, until: string): { command: Command; commandAck: CommandAck } {
    this.#wallMs = Date.parse(takenAt);
    const issuedMs = this.#wallMs - 912;
    const command: Command = {
      schema: 'headroom/v1/command',
      commandId: '019bbe4c-5c11-7c3e-9d51-0c1b3a6f2e77',
      action: 'block',
      feederId: this.#feeder.settings.id,
      issuedAt: isoTime(issuedMs),
      expiresAt: isoTime(issuedMs + 600_000),
      until,
    };
    const answers: CommandAck[] = [];
    const commands = new Commands(this.#configuration.settings.uplink.commandsPerMinute, this.#clock, {
      targets: () => [...this.#feeders.keys()].map((feederId) => ({ feederId, groupsByCommand: [] })),
      answerTo: () => null,
      isUnkept: () => false,
      carryOut: (taken, now) => carryOut(taken as FeederCommand, now, [this.#feeder]),
      event: () => {},
      keep: () => {},
      say: (answer) => void answers.push(answer),
    });
    commands.take(Buffer.from(JSON.stringify(command)), false);
    const [commandAck] = answers;
    if (commandAck === undefined) throw new Error('the command was not answered');
    return { command, commandAck };
  }

  status(state: 'online' | 'offline', reason: 'connected' | 'connectionLost') {
    const { settings, hash } = this.#configuration;
    return statusReport(
      {
        substationId: settings.substation.id,
        settingsHash: hash,
        insecure: settings.uplink.allowInsecure,
        feeders: this.#feeders,
        transformer: watchedTransformer(settings, this.#feeders),
        otherAlarms: () => ['meter-2/silent'],
        clock: this.#clock,
      },
      state,
      reason,
    );
  }
}

/** A UUIDv7 that is the same at every run. */
function exampleId(order: number): string {
  return `019bbdaa-8ef8-7000-8000-00000000000${order}`;
}
