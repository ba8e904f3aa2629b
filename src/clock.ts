// Time for the whole program. Everything that counts (delays, staleness, leases) runs on monotonic milliseconds since
// boot, which survive a restart of the process but not of the machine; the wall clock only labels. Tests pass a clock
// that they move by hand, so nothing else in `src` may call Date.now, performance.now or setTimeout for its timing.
import { existsSync, readFileSync } from 'node:fs';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since boot in whole eighths; never steps. */
  monotonicMs(): number;
  /** Milliseconds since 1970, UTC; may step. */
  wallMs(): number;
  /** Calls once when `monotonicMs()` has reached `atMs`, never before. */
  at(atMs: number, call: () => void): Timer;
  /** Calls once when the present turn of the event loop has taken in what had already arrived. */
  afterTurn(call: () => void): void;
  /** Names the boot that monotonic time counts from: two stamps compare only within one boot. */
  readonly bootId: string;
  /** Whether a time service says that the wall clock is right. */
  synchronised(): boolean;
}

/** systemd-timesyncd and chrony's systemd integration make this file when the clock has been set from a server. */
const SYNCHRONISED_FILE = '/run/systemd/timesync/synchronized';
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
/** setTimeout fires at once for longer waits than this (2^31 - 1 ms). */
const LONGEST_WAIT_MS = 2_147_483_647;

export function systemClock(): Clock {
  const bootOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  // Eighths are exact in doubles and in microseconds, so sums of them are exact, and so is what a record says of them.
  const monotonicMs = () => Math.floor((performance.now() + bootOffsetMs) * 8) / 8;
  let synchronisedCheckedMs = Number.NEGATIVE_INFINITY;
  let synchronised = false;
  return {
    monotonicMs,
    wallMs: () => Date.now(),
    at(atMs, call) {
      let handle: NodeJS.Timeout;
      const arm = () => {
        const waitMs = atMs - monotonicMs();
        if (waitMs <= 0) return call();
        // Node counts whole milliseconds and may fire a fraction early: round up, and look again.
        handle = setTimeout(arm, Math.min(Math.ceil(waitMs), LONGEST_WAIT_MS));
      };
      handle = setTimeout(arm, Math.min(Math.max(0, Math.ceil(atMs - monotonicMs())), LONGEST_WAIT_MS));
      return { cancel: () => clearTimeout(handle) };
    },
    afterTurn: (call) => void setImmediate(call),
    bootId: existsSync(BOOT_ID_FILE) ? readFileSync(BOOT_ID_FILE, 'utf8').trim() : 'unknown',
    synchronised() {
      const nowMs = monotonicMs();
      // A file look-up per request would cost more than the request: once a minute is as fresh as the answer is.
      if (nowMs - synchronisedCheckedMs > 60_000) {
        synchronisedCheckedMs = nowMs;
        synchronised = existsSync(SYNCHRONISED_FILE);
      }
      return synchronised;
    },
  };
}

/** The instant in the one form that messages, events and the terminal use. */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
