// The Modbus wires of the program: one connection per host and port or per serial line, shared by the sources on it.
import type { Clock } from '../clock.ts';
import { type ModbusSettings, wireOf } from '../source-settings.ts';
import { serialWire, tcpWire } from './byte-wires.ts';
import { ModbusConnection } from './modbus-connection.ts';
import type { OnFault } from './modbus-port.ts';
import { type ByteWire, ModbusRtuPort } from './modbus-rtu-port.ts';
import { ModbusTcpPort } from './modbus-tcp-port.ts';
import { OwedAnswers } from './owed-answers.ts';

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
    const line = this.#lines.get(wire) ?? openLine(settings, this.#clock, this.#random);
    this.#lines.set(wire, line);
    return line;
  }

  close(): void {
    for (const line of this.#lines.values()) line.close();
  }
}

function openLine(settings: ModbusSettings, clock: Clock, random: () => number): ModbusConnection {
  switch (settings.type) {
    case 'modbus-tcp':
      return tcpConnection(settings.host, settings.port, clock, random);
    case 'modbus-rtu':
      return rtuConnection(serialWire(settings), settings.timeoutMs, clock, random);
    case 'modbus-rtu-over-tcp':
      return rtuConnection(tcpWire(settings.host, settings.port), settings.timeoutMs, clock, random);
  }
}

/** `random` gives the first transaction id of each connection and the wait before the next. */
export function tcpConnection(host: string, port: number, clock: Clock, random: () => number): ModbusConnection {
  const newPort = (onFault: OnFault) => new ModbusTcpPort(host, port, Math.floor(random() * 65_536), onFault);
  return new ModbusConnection(newPort, clock, random);
}

/** Beyond this many time-outs a meter has dropped a request, if it ever had it. */
const OWED_TIMEOUTS = 10;
const OWED_AT_LEAST_MS = 5_000;

/** What is owed outlives a connection: a device server gives a new one what the line still brings. */
export function rtuConnection(wire: ByteWire, timeoutMs: number, clock: Clock, random: () => number): ModbusConnection {
  const owed = new OwedAnswers(clock, Math.max(OWED_AT_LEAST_MS, OWED_TIMEOUTS * timeoutMs));
  return new ModbusConnection((onFault) => new ModbusRtuPort(wire, owed, clock, onFault), clock, random);
}
