// The Modbus wires of the program: one connection per host and port or per serial line, shared by the sources on it.
import type { Clock } from '../clock.ts';
import { type ModbusSettings, wireOf } from '../source-settings.ts';
import { ModbusConnection } from './modbus-connection.ts';

export class ModbusLines {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #lines = new Map<string, ModbusConnection>();

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The connection of the wire that this source is on; made with the first source that asks. */
  of(settings: ModbusSettings): ModbusConnection {
    const wire = wireOf(settings);
    const line = this.#lines.get(wire) ?? this.#open(settings);
    this.#lines.set(wire, line);
    return line;
  }

  close(): void {
    for (const line of this.#lines.values()) line.close();
  }

  #open(settings: ModbusSettings): ModbusConnection {
    if (settings.type !== 'modbus-tcp') throw new Error(`${settings.type} is not there yet`);
    return new ModbusConnection(settings.host, settings.port, this.#clock, this.#random);
  }
}
