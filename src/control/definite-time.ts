// The definite-time element (IEC 61850 PTOC) on one phase. Its delay counts while the current is at or above pickupA
// and a usable reading below resets it; it drops out after the current has been below dropoutA for the reset delay. A
// missing or bad reading neither counts nor resets: an interval between two usable readings counts if both are beyond
// the threshold and no further apart than the staleness limit. Between readings the last one holds, so delays expire
// at their own instant and not at the next poll.
import type { DefiniteTimeSettings, ElementState } from './types.ts';

export type Transition = 'none' | 'pickup' | 'operate' | 'reset' | 'dropout';

/** Near enough for the time between to count: the last `good` reading, only the last `usable` one, or `none`. */
export type Bridged = 'good' | 'usable' | 'none';

export function newElement(): ElementState {
  return { status: 'normal', overSinceMs: 0, operatedMs: 0, underSinceMs: null, locked: false };
}

/** A usable reading. Whether a delay is over is `expireElement`'s business, which the caller asks next. */
export function readElement(
  element: ElementState,
  settings: DefiniteTimeSettings,
  currentA: number,
  atMs: number,
  good: boolean,
  bridged: Bridged,
): Transition {
  if (element.status !== 'operated') {
    if (currentA < settings.pickupA) return element.status === 'pickedUp' ? toNormal(element, 'reset') : 'none';
    if (element.status === 'pickedUp') {
      if (bridged === 'none') element.overSinceMs = atMs;
      return 'none';
    }
    element.status = 'pickedUp';
    element.overSinceMs = atMs;
    return 'pickup';
  }
  if (currentA >= settings.dropoutA) element.underSinceMs = null;
  // An uncertain reading never releases: it neither begins the drop-off nor bridges it.
  else if (good && (element.underSinceMs === null || bridged !== 'good')) element.underSinceMs = atMs;
  return 'none';
}

/** When the running delay ends, if the last reading holds until then; Infinity when none runs. */
export function elementDueMs(element: ElementState, settings: DefiniteTimeSettings): number {
  if (element.status === 'pickedUp') return element.overSinceMs + settings.delayS * 1000;
  if (element.status === 'operated' && element.underSinceMs !== null)
    return element.underSinceMs + settings.resetDelayS * 1000;
  return Number.POSITIVE_INFINITY;
}

/** Ends a delay that is over at `nowMs`. */
export function expireElement(element: ElementState, settings: DefiniteTimeSettings, nowMs: number): Transition {
  if (nowMs < elementDueMs(element, settings)) return 'none';
  if (element.status === 'operated') return toNormal(element, 'dropout');
  element.status = 'operated';
  element.operatedMs = nowMs;
  element.underSinceMs = null;
  return 'operate';
}

/** No usable reading for the staleness limit: what was being counted starts again; what has operated stays. */
export function blindElement(element: ElementState): Transition {
  element.underSinceMs = null;
  return element.status === 'pickedUp' ? toNormal(element, 'reset') : 'none';
}

/** Back to rest, without a word: for a limit that lapsed. */
export function resetElement(element: ElementState): void {
  toNormal(element, 'reset');
}

function toNormal(element: ElementState, transition: Transition): Transition {
  element.status = 'normal';
  element.underSinceMs = null;
  element.locked = false;
  return transition;
}
