// What must hold at the world's end beside the journal itself: nothing is limited for ever, neither the chargers nor
// what the broker would tell a newcomer, and whatever became of the history on the way, it is there again.
import { historySpans } from '../../src/journal/history-reader.ts';
import type { Curtailment } from '../../src/messages.ts';
import { Breach } from './breach.ts';
import type { Broker } from './broker.ts';
import { EPOCH_MS } from './machine-clock.ts';
import type { Street } from './street.ts';

const HOUR_MS = 3_600_000;
/** Minutes are written every five. */
const HISTORY_LATE_MS = 10 * 60_000;

export function nothingStands(streets: Iterable<Street>, broker: Broker, nowMs: number): void {
  for (const street of streets) {
    if (street.isLimited(nowMs)) throw new Breach(`chargers of ${street.id} are limited for ever`);
    const retained = broker.retained.get(`headroom/v1/WORLD-1/feeder/${street.id}/curtailment`);
    if (retained === undefined) continue;
    const { action, end } = JSON.parse(retained) as Curtailment;
    if (action !== 'release' && Date.parse(end) > EPOCH_MS + nowMs)
      throw new Breach(`a limit stands on ${street.id} for ever: ${retained}`);
  }
}

/** There is a history, it is up to date, and its minutes make sense. */
export function historyIsKept(folder: string, feederIds: Iterable<string>, nowMs: number): void {
  const wallMs = EPOCH_MS + nowMs;
  for (const feederId of feederIds) {
    const minutes = [...historySpans(folder, { feederId, fromMs: wallMs - HOUR_MS })];
    const last = minutes.at(-1)?.startMs ?? Number.NEGATIVE_INFINITY;
    if (wallMs - last > HISTORY_LATE_MS)
      throw new Breach(`the history of ${feederId} ends ${(wallMs - last) / 1000} s ago`);
    for (const { L1 } of minutes)
      if ((L1.minA ?? 0) > (L1.avgA ?? 0) || (L1.avgA ?? 0) > (L1.maxA ?? 0))
        throw new Breach(`a minute that makes no sense: ${JSON.stringify(L1)}`);
  }
}
