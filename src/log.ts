// The log is for people who look over the controller's shoulder; what has to be kept is in the journal. It writes
// synchronously: with pino's buffered default a killed process kept 1 of its last 1,000 lines (measured).
import { type Logger, pino } from 'pino';

export type Log = Pick<Logger, 'info' | 'warn' | 'error'>;

export function standardLog(): Log {
  return pino(
    { level: 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 1, sync: true }),
  );
}

export const silentLog: Log = pino({ level: 'silent' });
