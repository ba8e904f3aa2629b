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

/** What may say lines that others cause, in any number. */
export interface RationedLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** A line is written before the program goes on, so that a flood of messages must not become a flood of lines. */
const LINES_PER_MINUTE = 60;
const MINUTE_MS = 60_000;

/** So many lines of one message text a minute; the first of a later minute says in `leftOut` how many were not written. */
export function rationed(log: Log, nowMs: () => number): RationedLog {
  const kinds = new Map<string, { sinceMs: number; lines: number; leftOut: number }>();
  const pass = (message: string): object | null => {
    const kind = kinds.get(message) ?? { sinceMs: nowMs(), lines: 0, leftOut: 0 };
    kinds.set(message, kind);
    if (nowMs() - kind.sinceMs >= MINUTE_MS) Object.assign(kind, { sinceMs: nowMs(), lines: 0 });
    kind.lines += 1;
    if (kind.lines > LINES_PER_MINUTE) {
      kind.leftOut += 1;
      return null;
    }
    const { leftOut } = kind;
    kind.leftOut = 0;
    return leftOut === 0 ? {} : { leftOut };
  };
  const write = (level: 'info' | 'warn') => (fields: object, message: string) => {
    const more = pass(message);
    if (more !== null) log[level]({ ...fields, ...more }, message);
  };
  return { info: write('info'), warn: write('warn') };
}
