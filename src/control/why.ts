// Why a level was set, in words that somebody can work out by hand: what operated, and of each phase what cannot be read
// off the settings and the currents that stand in the request beside it. It decides nothing.
import { PHASES } from '../feeder.ts';
import { movableA, reachSource } from './reach.ts';
import { returnA } from './relief.ts';
import type { ControlSettings, FeederState, PhaseState, Trigger } from './types.ts';
import type { Want } from './wants.ts';

/** Of a first or deeper level, which has been set. */
export function whyDeeper(
  state: FeederState,
  settings: ControlSettings,
  { element, phase }: Trigger,
  wants: readonly Want[],
): string {
  const what = element === 'transformer' ? whyTransformer(state, wants) : `${element} on ${phase}`;
  return [what, ...wants.flatMap((want) => whyPhase(state[want.phase], settings, want) ?? [])].join('; ');
}

/** What the transformer measured against which of its settings, and this feeder's share of the relief. */
function whyTransformer(state: FeederState, wants: readonly Want[]): string {
  const texts = wants.map(({ phase: name }) => {
    const { transformerCause: cause, transformerShareA } = state[name];
    if (cause === null) return `${name} by itself`;
    const { element, currentA, pickupA } = cause;
    return `${element} at ${amperes(currentA)}, pickup ${amperes(pickupA)}, share ${amperes(transformerShareA)} on ${name}`;
  });
  return `transformer ${texts.join('; ')}`;
}

/** Relief is what is over dropout and what earlier requests have brought by now; its level a share of what can be moved. */
function whyPhase(phase: PhaseState, settings: ControlSettings, { phase: name, ask }: Want): string | null {
  const texts: string[] = [];
  if (phase.deliveredA > 0)
    texts.push(`${amperes(ask.overDropoutA)} over dropout and ${amperes(phase.deliveredA)} of relief by now`);
  const source = reachSource(phase, settings, name);
  const canA = movableA(phase, settings, name);
  if (canA !== null && source !== null && source !== 'set') texts.push(`controllableA ${amperes(canA)}, ${source}`);
  return texts.length === 0 ? null : `${name}: ${texts.join(', ')}`;
}

/** Of a step of release that is about to be taken, to `levelOf` each phase: where each will land, and under what. */
export function whyShallower(
  state: FeederState,
  settings: ControlSettings,
  underA: number,
  levelOf: (phase: PhaseState) => number,
): string {
  const texts = PHASES.flatMap((name) => {
    const phase = state[name];
    const backA = returnA(phase, settings, name, levelOf(phase));
    const under = Number.isFinite(underA) ? `, under ${amperes(underA)}` : '';
    if (backA <= 0) return [];
    const allA = returnA(phase, settings, name, 100);
    return `${name} ${amperes(phase.currentA)} and ${amperes(backA)} back of ${amperes(allA)} in all${under}`;
  });
  return ['headroom for what comes back', ...texts].join('; ');
}

function amperes(currentA: number): string {
  return `${currentA.toFixed(1)} A`;
}
