// How long the processes of a kill run waited for a processor that others had. What took its time is judged by the time
// that they had, not by the clock on the wall: on a machine that is busy a start takes a minute and nothing is wrong.
// Linux counts it per process in /proc/PID/schedstat; where there is no such file nothing counts as waited for.
import { readFileSync } from 'node:fs';

const SAMPLE_MS = 25;

/** Nanoseconds in which the main thread could have run and did not; null where the process has ended. */
function waitedNs(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]);
  } catch {
    return null;
  }
}

export class Starvation {
  /** Milliseconds waited up to a wall time, one after another, by whichever of them waited longest. */
  readonly #samples: { readonly atMs: number; readonly sumMs: number }[] = [{ atMs: Date.now(), sumMs: 0 }];
  readonly #waitedNs = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(...pids: number[]) {
    this.watch(process.pid);
    for (const pid of pids) this.watch(pid);
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#timer.unref();
  }

  /** From now on this one too, until it ends. */
  watch(pid: number | undefined): void {
    if (pid !== undefined) this.#waitedNs.set(pid, waitedNs(pid) ?? 0);
  }

  /** Milliseconds between two wall times in which one of them waited, a sample's length more at both ends. */
  waitedMs(fromMs: number, toMs: number): number {
    this.#sample();
    const before = this.#samples.findLast(({ atMs }) => atMs <= fromMs) ?? this.#samples[0];
    const last = this.#samples.findLastIndex(({ atMs }) => atMs < toMs);
    const after = this.#samples[last + 1] ?? this.#samples.at(-1);
    return (after?.sumMs ?? 0) - (before?.sumMs ?? 0);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    let longestMs = 0;
    for (const [pid, before] of this.#waitedNs) {
      const now = waitedNs(pid);
      if (now === null) this.#waitedNs.delete(pid);
      else this.#waitedNs.set(pid, now);
      longestMs = Math.max(longestMs, ((now ?? before) - before) / 1e6);
    }
    this.#samples.push({ atMs: Date.now(), sumMs: (this.#samples.at(-1)?.sumMs ?? 0) + longestMs });
  }
}

/** Runs out when nothing has changed for `limitMs` in which nobody had to wait for a processor. */
export class Patience {
  readonly #starvation: Starvation;
  readonly #limitMs: number;
  #mark = '';
  #sinceMs = Date.now();

  constructor(starvation: Starvation, limitMs: number) {
    this.#starvation = starvation;
    this.#limitMs = limitMs;
  }

  /** `mark` tells one state of things from another. */
  isOver(mark: string): boolean {
    const nowMs = Date.now();
    if (mark !== this.#mark) [this.#mark, this.#sinceMs] = [mark, nowMs];
    return nowMs - this.#sinceMs - this.#starvation.waitedMs(this.#sinceMs, nowMs) > this.#limitMs;
  }
}
