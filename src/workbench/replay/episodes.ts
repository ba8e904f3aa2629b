// Episodes out of what control says: from the first pickup that operated to the full release. Where nothing can be
// asked (no target group, a cap), to the dropout of the last element.
import type { Action, ControlRequest, Episode } from '../../control/types.ts';
import { type Conductor, type Element, rounded } from '../../feeder.ts';
import type { ReplayEpisode } from './results.ts';

interface Open {
  startMs: number;
  element: Element;
  phase: Conductor;
  peakA: number;
  deepestLevelPercent: number | null;
  limitedSinceMs: number | null;
}

export class Episodes {
  readonly closed: ReplayEpisode[] = [];
  #open: Open | null = null;
  /** When each element that is not at rest picked up, and the highest current since anything was watched. */
  readonly #picked = new Map<string, number>();
  #peakA = 0;

  /** An element is not at rest or an episode is open, so that peaks count. */
  get isWatching(): boolean {
    return this.#open !== null || this.#picked.size > 0;
  }

  peak(currentA: number): void {
    if (currentA > this.#peakA) this.#peakA = currentA;
    if (this.#open !== null && currentA > this.#open.peakA) this.#open.peakA = currentA;
  }

  /** `highestA` is that of the reading that brought the action. */
  take(action: Action, highestA: number): void {
    if (!this.isWatching) this.#peakA = highestA;
    if (action.kind === 'request') return this.#request(action);
    const { type, element, phase, atMs } = action;
    if (type === 'alarm' && action.alarm === 'lapsed') return this.#lapsed(atMs);
    if (element === undefined || phase === undefined) return;
    const key = `${element} ${phase}`;
    if (type === 'pickup') this.#picked.set(key, atMs);
    else if (type === 'operate') {
      this.#begin(this.#picked.get(key) ?? atMs, element, phase);
    } else if (type === 'dropout') {
      this.#picked.delete(key);
      if (this.#picked.size === 0 && this.#open?.limitedSinceMs === null) this.#close(atMs);
    }
  }

  /** Another record begins, in which this episode stands, or none. */
  resume(episode: Episode | null, levelPercent: number, atMs: number): void {
    if (episode === null) {
      if (this.#open !== null) this.#close(atMs);
      return;
    }
    const { startedMs, trigger, firstLimitMs } = episode;
    this.#begin(startedMs, trigger.element, trigger.phase);
    if (this.#open === null) return;
    this.#open.limitedSinceMs ??= firstLimitMs;
    this.#open.deepestLevelPercent = Math.min(this.#open.deepestLevelPercent ?? 100, levelPercent);
  }

  /** The trace is over. */
  end(atMs: number): void {
    if (this.#open !== null) this.#close(atMs, false);
  }

  #begin(startMs: number, element: Element, phase: Conductor): void {
    this.#open ??= {
      startMs,
      element,
      phase,
      peakA: this.#peakA,
      deepestLevelPercent: null,
      limitedSinceMs: null,
    };
  }

  #request({ action, atMs, episodeStartedMs, trigger, levelPercent }: ControlRequest): void {
    if (action === 'release') return this.#close(atMs);
    // After the longest time an element that has not dropped out since may ask again.
    this.#begin(episodeStartedMs, trigger.element, trigger.phase);
    const open = this.#open;
    if (open === null) return;
    open.limitedSinceMs ??= atMs;
    open.deepestLevelPercent = Math.min(open.deepestLevelPercent ?? 100, ...Object.values(levelPercent));
  }

  #lapsed(atMs: number): void {
    this.#close(atMs);
    this.#picked.clear();
  }

  #close(atMs: number, ended = true): void {
    const open = this.#open;
    if (open === null) return;
    const limitedMs = open.limitedSinceMs === null ? 0 : atMs - open.limitedSinceMs;
    this.closed.push({
      startMs: open.startMs,
      endMs: ended ? atMs : null,
      element: open.element,
      phase: open.phase,
      peakA: rounded(open.peakA),
      deepestLevelPercent: open.deepestLevelPercent,
      minutes: rounded((atMs - open.startMs) / 60_000, 3),
      limitedMinutes: rounded(limitedMs / 60_000, 3),
    });
    this.#open = null;
  }
}
