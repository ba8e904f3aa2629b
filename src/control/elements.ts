// What the elements of a feeder ask of its limit, the same question for each of them: which has operated, by how much the
// conductor is over, and whether it may be held back. The limit (curtailment.ts, wants.ts) knows no element by name.
import { type Conductor, ELEMENTS, type Element, PHASES, type Phase } from '../feeder.ts';
import type {
  ConductorState,
  ControlSettings,
  ElementSettings,
  ElementState,
  FeederState,
  OwnElement,
  PhaseState,
} from './types.ts';

/** The elements of one conductor's state; the neutral has the two of definite time. */
const NEUTRAL_ELEMENTS = ['atRisk', 'emergency'] as const;

/**
 * The higher goes first. Above 0: not held back by minimum times, dwell, operation caps or budget. What the transformer
 * asks for is as urgent as that element of its own which asks.
 */
const URGENCY: { readonly [E in OwnElement]: number } = {
  emergency: 2,
  thermal: 1,
  atRisk: 0,
  inverse: 0,
};

/** Phases that carry this share of the highest current are asked when the neutral is over: it is their unbalance. */
const CARRIES_NEUTRAL_SHARE = 0.95;

/** What the thermal element asks for at most, as a share of its rating: under it the heat falls below 100 % by itself. */
export const THERMAL_AIM = 0.95;

/** One phase, and what is wanted of it. */
export interface Ask {
  /** The most urgent element that asks; of one urgency the first in the order of ELEMENTS. */
  readonly element: Element;
  /** Where that element is: the phase itself or the neutral. */
  readonly conductor: Conductor;
  /** Of that element: the higher goes first, and above 0 it is not held back. */
  readonly urgency: number;
  readonly pickupA: number;
  readonly pickedUpMs: number;
  readonly operatedMs: number;
  /** When the latest of the urgent elements operated; null where none asks. */
  readonly urgentSinceMs: number | null;
  /** How far the current is over the lowest pickup of all that ask; negative is under. */
  readonly overPickupA: number;
  /** And over the lowest dropout; never negative. */
  readonly overDropoutA: number;
}

/** Not held back by minimum times, dwell, operation caps or budget. */
export function isUrgent({ urgency }: Ask): boolean {
  return urgency > 0;
}

export function urgencyOf(element: OwnElement): number {
  return URGENCY[element];
}

/** What the operated elements ask of a phase; null when none asks, being content, or is seen. */
export function askOf(state: FeederState, settings: ControlSettings, name: Phase): Ask | null {
  const phase = state[name];
  let ask: Ask | null = null;
  if (isBlocked(state, null) || phase.isReverse) return null;
  if (phase.fresh) {
    for (const element of ELEMENTS) {
      if (!asks(phase[element]) || isBlocked(state, element)) continue;
      ask = joined(ask, ownAsk(phase, settings, name, element));
    }
  }
  const { N } = state;
  if (N.fresh && phase.fresh && (asks(N.atRisk) || asks(N.emergency)) && carriesNeutral(state, phase)) {
    for (const element of NEUTRAL_ELEMENTS) {
      const set = settings.neutral?.[element];
      if (set !== undefined && asks(N[element]) && !isBlocked(state, element))
        ask = joined(ask, askBy(N, N[element], element, 'N', set));
    }
  }
  return ask;
}

/** Whether any element of a conductor that is seen has picked up or operated, and may ask. */
export function isAsked(state: FeederState): boolean {
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.fresh || phase.isReverse) continue;
    for (const element of ELEMENTS) if (isActive(phase[element]) && !isBlocked(state, element)) return true;
  }
  return state.N.fresh && NEUTRAL_ELEMENTS.some((name) => isActive(state.N[name]) && !isBlocked(state, name));
}

/**
 * Whether a limit rests on a transformer that is not seen: nobody else asks, and it asks, or its room is what the release
 * waits for. Such a limit is held to its end at most.
 */
export function restsOnUnseen(state: FeederState): boolean {
  let isUnseen = false;
  for (const name of PHASES) {
    const phase = state[name];
    if (!phase.transformerSeen && phase.levelPercent < 100) isUnseen = true;
    for (const element of ELEMENTS) {
      if (!isActive(phase[element]) || isBlocked(state, element)) continue;
      if (element !== 'transformer' || phase.transformerSeen) return false;
    }
  }
  return isUnseen && !NEUTRAL_ELEMENTS.some((name) => isActive(state.N[name]));
}

/** Whether an operator has blocked the element; with null, the whole feeder. */
export function isBlocked({ blocks }: FeederState, element: Element | null): boolean {
  return blocks.some((block) => block.element === element);
}

/** Calls for every element of every conductor. */
export function eachElement(
  state: FeederState,
  call: (state: ElementState, on: ConductorState, element: Element) => void,
): void {
  for (const name of PHASES) for (const element of ELEMENTS) call(state[name][element], state[name], element);
  for (const element of NEUTRAL_ELEMENTS) call(state.N[element], state.N, element);
}

/** Whether any element of any conductor has that status. By name and without a loop: most scans ask this, of nothing. */
export function someElement({ L1, L2, L3, N }: FeederState, status: ElementState['status']): boolean {
  return (
    someOfPhase(L1, status) ||
    someOfPhase(L2, status) ||
    someOfPhase(L3, status) ||
    N.atRisk.status === status ||
    N.emergency.status === status
  );
}

function someOfPhase(
  { atRisk, emergency, inverse, thermal, transformer }: PhaseState,
  status: ElementState['status'],
): boolean {
  return (
    atRisk.status === status ||
    emergency.status === status ||
    inverse.status === status ||
    thermal.status === status ||
    transformer.status === status
  );
}

function asks({ status, locked }: ElementState): boolean {
  return status === 'operated' && !locked;
}

function isActive({ status, locked }: ElementState): boolean {
  return status !== 'normal' && !locked;
}

function ownAsk(phase: PhaseState, settings: ControlSettings, name: Phase, element: Element): Ask | null {
  const state = phase[element];
  if (element === 'transformer') return transformerAsk(phase, name);
  const set = thresholds(settings, element);
  return set === null ? null : askBy(phase, state, element, name, set);
}

/** Its share is what the transformer is over on this phase: whether it will be content is for the transformer to say. */
function transformerAsk(phase: PhaseState, name: Phase): Ask | null {
  const { transformer, transformerCause: cause, transformerShareA } = phase;
  if (cause === null || transformerShareA <= 0) return null;
  const urgency = URGENCY[cause.element];
  return {
    element: 'transformer',
    conductor: name,
    urgency,
    pickupA: cause.pickupA,
    pickedUpMs: transformer.overSinceMs,
    operatedMs: transformer.operatedMs,
    urgentSinceMs: urgency > 0 ? transformer.operatedMs : null,
    overPickupA: transformerShareA,
    overDropoutA: transformerShareA,
  };
}

/** The current at which an element asks, and the one under which it is content; null where it is off. */
export function thresholds(
  settings: ElementSettings,
  element: OwnElement,
): { readonly pickupA: number; readonly dropoutA: number } | null {
  if (element !== 'thermal') return settings[element] ?? null;
  const { thermal } = settings;
  return thermal === undefined ? null : { pickupA: thermal.ratingA, dropoutA: thermal.ratingA * THERMAL_AIM };
}

/** Null while it is content: under its dropout it lends its urgency to no other, though it has not dropped out yet. */
function askBy(
  { currentA }: { readonly currentA: number },
  { overSinceMs, operatedMs }: ElementState,
  element: OwnElement,
  conductor: Conductor,
  { pickupA, dropoutA }: { readonly pickupA: number; readonly dropoutA: number },
): Ask | null {
  if (currentA < dropoutA) return null;
  const urgency = URGENCY[element];
  return {
    element,
    conductor,
    urgency,
    pickupA,
    pickedUpMs: overSinceMs,
    operatedMs,
    urgentSinceMs: urgency > 0 ? operatedMs : null,
    overPickupA: currentA - pickupA,
    overDropoutA: currentA - dropoutA,
  };
}

function joined(a: Ask | null, b: Ask | null): Ask | null {
  if (a === null || b === null) return a ?? b;
  const first = a.urgency >= b.urgency ? a : b;
  return {
    ...first,
    urgentSinceMs: latest(a.urgentSinceMs, b.urgentSinceMs),
    overPickupA: Math.max(a.overPickupA, b.overPickupA),
    overDropoutA: Math.max(a.overDropoutA, b.overDropoutA),
  };
}

function latest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

function carriesNeutral({ L1, L2, L3 }: FeederState, phase: PhaseState): boolean {
  const highestA = Math.max(L1.fresh ? L1.currentA : 0, L2.fresh ? L2.currentA : 0, L3.fresh ? L3.currentA : 0);
  return phase.currentA >= highestA * CARRIES_NEUTRAL_SHARE;
}
