// From a decision to the chargers, as in service: the request becomes the real message, which the simulated head end takes.
import type { ControlRequest } from '../../control/types.ts';
import { requestMessage } from '../../request-message.ts';
import { STEP_S } from './cars.ts';
import type { HeadEndChain } from './head-end.ts';
import type { TargetGroup } from './target-group.ts';
import type { Thresholds } from './thresholds.ts';

/** A Monday, as the first day of the season's year is. */
const START_WALL_MS = Date.UTC(2018, 0, 1);
export const STEP_MS = STEP_S * 1000;

export function wallMsOf(step: number): number {
  return START_WALL_MS + step * STEP_MS;
}

export class Messenger {
  episodes = 0;
  readonly #thresholds: Thresholds;
  readonly #chain: HeadEndChain;
  readonly #group: TargetGroup;
  #sequence = 0;
  #episodeMs: number | null = null;

  constructor(thresholds: Thresholds, chain: HeadEndChain, group: TargetGroup) {
    this.#thresholds = thresholds;
    this.#chain = chain;
    this.#group = group;
  }

  send(request: ControlRequest, step: number): void {
    if (this.#episodeMs !== request.episodeStartedMs) {
      this.#episodeMs = request.episodeStartedMs;
      this.episodes++;
      this.#group.episode = this.episodes;
    }
    this.#sequence++;
    const message = requestMessage(request, {
      ...this.#thresholds,
      substationId: 'SIM',
      settingsHash: '',
      requestId: String(this.#sequence),
      sequence: this.#sequence,
      episodeId: String(this.episodes),
      supersedes: null,
      wallOffsetMs: wallMsOf(0),
      nowMs: step * STEP_MS,
      clockSynchronised: true,
    });
    this.#chain.take(message, step);
  }
}
