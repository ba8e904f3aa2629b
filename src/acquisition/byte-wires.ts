// The two ways on which Modbus RTU travels: a serial line of this machine, and TCP to a device server that passes bytes
// on. A missing serial driver is a fault of the lines that need it, and of nothing else.
import { connect } from 'node:net';
import { gapMs } from './line-pace.ts';
import type { ByteWire } from './modbus-rtu-port.ts';

export interface SerialSettings {
  readonly path: string;
  readonly baudRate: number;
  readonly parity: 'even' | 'odd' | 'none';
  readonly stopBits: 1 | 2;
}

const KEEP_ALIVE_FIRST_MS = 15_000;
/** Three requests without a single byte: a device server that was switched off says nothing at all. */
const SILENT_REQUESTS = 3;

export function serialWire(settings: SerialSettings): ByteWire {
  const { path, baudRate, parity, stopBits } = settings;
  return {
    gapMs: gapMs(baudRate),
    silentRequestsMax: Number.POSITIVE_INFINITY,
    open(opened, failed) {
      import('serialport').then(
        ({ SerialPort }) => {
          const port = new SerialPort({ path, baudRate, parity, stopBits, dataBits: 8, autoOpen: false });
          port.open((error) => (error === null ? opened(port) : failed(error.message.replace(/^Error: /, ''))));
        },
        () => failed('no serial driver for this machine (package serialport)'),
      );
      // The system opens a device at once or not at all.
      return () => {};
    },
  };
}

export function tcpWire(host: string, port: number): ByteWire {
  return {
    gapMs: 0,
    silentRequestsMax: SILENT_REQUESTS,
    open(opened, failed) {
      const socket = connect({
        host,
        port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_FIRST_MS,
      });
      const refused = (error: NodeJS.ErrnoException) => failed(error.code ?? error.message);
      socket.once('error', refused);
      socket.once('connect', () => {
        socket.off('error', refused);
        opened(socket);
      });
      return () => socket.destroy();
    },
  };
}
