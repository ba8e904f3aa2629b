// The wire of the installer's verbs: the program's own connection, as promises, closed when the work is done.
import { type SerialSettings, serialWire, tcpWire } from '../../acquisition/byte-wires.ts';
import type { ModbusConnection, ReadAnswer } from '../../acquisition/modbus-connection.ts';
import { rtuConnection, tcpConnection } from '../../acquisition/modbus-lines.ts';
import type { WireRead } from '../../acquisition/modbus-port.ts';
import { systemClock } from '../../clock.ts';

export type ReadUnit = <R extends WireRead>(unitId: number, reads: readonly R[]) => Promise<ReadAnswer<R>>;

/** Reads with this deadline; a read that finds no connection yet waits for it. */
export function reader(connection: ModbusConnection, timeoutMs: number, pauseMs = 0): ReadUnit {
  return (unitId, reads) => new Promise((done) => connection.read({ unitId, reads, timeoutMs, pauseMs }, done));
}

export function openTcp(host: string, port: number): ModbusConnection {
  return tcpConnection(host, port, systemClock(), Math.random);
}

/** A serial line by its device, or behind a device server by `host:port`. */
export function openLine(line: string, settings: Omit<SerialSettings, 'path'>, timeoutMs: number): ModbusConnection {
  const server = /^([^/]+):(\d+)$/.exec(line);
  const wire = server === null ? serialWire({ path: line, ...settings }) : tcpWire(server[1] ?? '', Number(server[2]));
  // Most units of a scan are silent: that is no reason to make the connection anew.
  const patient = { ...wire, silentRequestsMax: Number.POSITIVE_INFINITY };
  return rtuConnection(patient, timeoutMs, systemClock(), Math.random);
}
