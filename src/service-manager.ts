// Speaks to systemd as sd_notify(3) says: READY when the first scan has completed, WATCHDOG for as long as scans do,
// STOPPING before the end. Node opens no datagram sockets of the unix family and the program compiles nothing, so
// systemd's own `systemd-notify` does it, from a shell that stays: a child per message would cost a fork of this whole
// process in the way of a scan. Its messages come from another process than the service's main one, so the unit needs
// NotifyAccess=all.
import { spawn } from 'node:child_process';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

export interface ServiceManager {
  /** A scan has completed. */
  scanned(): void;
  stopping(): void;
  /** What the manager waits for between two messages; null where it does not watch. */
  readonly watchdogMs: number | null;
}

/** Where nobody listens, every call does nothing. */
const NOBODY: ServiceManager = { scanned() {}, stopping() {}, watchdogMs: null };
/** Messages in the time that the manager waits. */
const FEEDS_PER_WATCHDOG = 3;
const SHELL = 'while read -r state; do systemd-notify "$state"; done';

export function serviceManager(env: NodeJS.ProcessEnv, clock: Clock, log: Log): ServiceManager {
  if (!env['NOTIFY_SOCKET']) return NOBODY;
  const watchdogMs = watchdogOf(env);
  const feedEveryMs = (watchdogMs ?? Number.POSITIVE_INFINITY) / FEEDS_PER_WATCHDOG;
  const shell = spawn('/bin/sh', ['-c', SHELL], { stdio: ['pipe', 'ignore', 'inherit'], env });
  const failed = (error: Error) => log.error({ error: error.message }, 'the service manager cannot be told');
  shell.on('error', failed);
  shell.stdin.on('error', failed);
  shell.unref();
  const say = (state: string) => void shell.stdin.write(`${state}\n`);
  let fedMs: number | null = null;
  return {
    watchdogMs,
    scanned() {
      const nowMs = clock.monotonicMs();
      if (fedMs === null) say('READY=1');
      if (fedMs !== null && nowMs - fedMs < feedEveryMs) return;
      fedMs = nowMs;
      if (watchdogMs !== null) say('WATCHDOG=1');
    },
    stopping() {
      say('STOPPING=1');
      shell.stdin.end();
    },
  };
}

/** systemd names the process that it watches: a child of it has the same environment, and is not meant. */
function watchdogOf(env: NodeJS.ProcessEnv): number | null {
  const [usec, pid] = [Number(env['WATCHDOG_USEC']), env['WATCHDOG_PID']];
  if (!Number.isFinite(usec) || usec <= 0 || (pid !== undefined && Number(pid) !== process.pid)) return null;
  return usec / 1000;
}
