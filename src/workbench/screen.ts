// What the demonstration shows: every two seconds a line with the amperes of each phase and the highest of them drawn
// against the pickup, and between them what happens: pickup, request, acknowledgement, release.
import type { Configuration } from '../configuration.ts';
import { type FeederReading, PHASES } from '../feeder.ts';
import type { Ack, Curtailment, Event } from '../messages.ts';

const BAR_WIDTH = 40;
const colours = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
const red = paint(31);
const green = paint(32);
const yellow = paint(33);
const cyan = paint(36);
const faint = paint(2);

export class Screen {
  readonly #configuration: Configuration;
  readonly #print: (line: string) => void;
  readonly #startedMs = performance.now();
  #latest: FeederReading | null = null;
  #limits = 0;
  #limitedSinceMs: number | null = null;
  #limitedS = 0;

  constructor(configuration: Configuration, print: (line: string) => void) {
    this.#configuration = configuration;
    this.#print = print;
  }

  intro(meterPort: number, brokerPort: number): void {
    const { pickupA, dropoutA, delayS, resetDelayS } = this.#atRisk();
    this.#print('Headroom: a winter evening on one feeder, in two minutes. Ctrl-C ends it.');
    this.#print(
      `  meter (Modbus TCP) 127.0.0.1:${meterPort}   broker (MQTT) 127.0.0.1:${brokerPort}   journal in a temporary folder`,
    );
    this.#print(
      `  feeder F1: at risk at ${pickupA} A for ${delayS} s, dropped out below ${dropoutA} A for ${resetDelayS} s`,
    );
    this.#print('');
    this.#print(
      faint(`  time      L1      L2      L3   ${'highest phase against the pickup'.padEnd(BAR_WIDTH + 8)}state`),
    );
  }

  reading(reading: FeederReading): void {
    this.#latest = reading;
  }

  line(state: string): void {
    if (this.#latest === null) return;
    const { pickupA, dropoutA } = this.#atRisk();
    const amperes = PHASES.map((phase) => this.#latest?.[phase].currentA ?? null);
    const highestA = Math.max(...amperes.map((value) => value ?? 0));
    const columns = amperes.map((value) => (value === null ? '-' : `${value.toFixed(0)} A`).padStart(8)).join('');
    const shade = highestA >= pickupA ? red : highestA >= dropoutA ? yellow : green;
    const filled = Math.min(BAR_WIDTH + 6, Math.round((highestA / pickupA) * BAR_WIDTH));
    const bar = '█'.repeat(filled).padEnd(BAR_WIDTH + 6);
    this.#print(
      `${this.#time()}${columns}   ${shade(bar.slice(0, BAR_WIDTH))}│${shade(bar.slice(BAR_WIDTH))} ${state}`,
    );
  }

  event(event: Event): void {
    const { type, element, phase, currentA, reason, alarm, sourceId } = event;
    // Requests have a line of their own, with what they ask for.
    if (['limit', 'refresh', 'release', 'restart'].includes(type)) return;
    const what = [alarm ?? sourceId ?? element, phase, currentA === undefined ? undefined : `${currentA.toFixed(0)} A`];
    const shade = type === 'dropout' || type === 'alarmEnd' || type === 'source' ? green : yellow;
    this.#print(
      `${this.#time()}  ${shade(type.padEnd(9))} ${what.filter((part) => part !== undefined).join(' ')}, ${reason}`,
    );
  }

  request(message: Curtailment): void {
    const { action, phases, levelPercent, end, sequence, reductionA } = message;
    if (action === 'limit' && this.#limitedSinceMs === null) {
      this.#limits += 1;
      this.#limitedSinceMs = performance.now();
    }
    if (action === 'release') this.#countLimited();
    const relief = phases.map((phase) => `${phase} −${(reductionA[phase] ?? 0).toFixed(0)} A`).join(' ');
    const asked =
      action === 'release'
        ? 'chargers free again'
        : `chargers to ${levelPercent} % (${relief}) until ${end.slice(11, 19)}`;
    this.#print(`${this.#time()}  ${cyan(`→ ${action}`.padEnd(9))} ${phases.join(' ')}: ${asked}, request ${sequence}`);
  }

  ack({ status, sequence }: Ack): void {
    this.#print(`${this.#time()}  ${cyan(`← ${status}`)}, request ${sequence}`);
  }

  outro(): void {
    this.#countLimited();
    const times = this.#limits === 1 ? 'one limit' : `${this.#limits} limits`;
    this.#print('');
    this.#print(
      `${times}, ${Math.round(this.#limitedS)} s in all. Next: config/substation.yaml, and headroom check CONFIG.`,
    );
  }

  #countLimited(): void {
    if (this.#limitedSinceMs !== null) this.#limitedS += (performance.now() - this.#limitedSinceMs) / 1000;
    this.#limitedSinceMs = null;
  }

  #atRisk() {
    const group = this.#configuration.settings.feeders[0]?.settings[0];
    if (group === undefined) throw new Error('the demonstration needs a feeder');
    return group.atRisk;
  }

  #time(): string {
    return `${((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(6)} s`;
  }
}
