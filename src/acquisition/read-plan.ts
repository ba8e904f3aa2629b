// Which telegrams read a meter: the three phase currents always in one, so that they belong to one instant, the
// neutral with them where the map allows, else in a telegram of its own. Pure.
import { type Conductor, PHASES } from '../feeder.ts';
import { type Register, type RegisterMap, WORDS_OF } from './register-map.ts';

export interface Telegram {
  readonly functionCode: 3 | 4;
  readonly address: number;
  readonly count: number;
  /** What it carries, each with the place of its first word in the answer. */
  readonly currents: readonly { readonly conductor: Conductor; readonly register: Register; readonly offset: number }[];
}

export interface ReadPlan {
  readonly phases: Telegram;
  /** Null where the phases' telegram carries it, or the meter has none. */
  readonly neutral: Telegram | null;
}

/** Null when the map's phase currents cannot be read in one telegram. */
export function planCurrents(map: RegisterMap): ReadPlan | null {
  const current = (conductor: Conductor) =>
    map.registers.find((register) => register.quantity === 'current' && register.conductor === conductor);
  const phases = PHASES.map(current).filter((register) => register !== undefined);
  const neutral = current('N');
  const phasesOnly = telegram(phases, map.longestReadWords);
  if (phases.length < PHASES.length || phasesOnly === null) return null;
  if (neutral === undefined) return { phases: phasesOnly, neutral: null };
  const together = telegram([...phases, neutral], map.longestReadWords);
  if (together !== null) return { phases: together, neutral: null };
  return { phases: phasesOnly, neutral: telegram([neutral], map.longestReadWords) };
}

function telegram(registers: readonly Register[], longestReadWords: number): Telegram | null {
  const [first] = registers;
  if (first === undefined || registers.some((register) => register.functionCode !== first.functionCode)) return null;
  const address = Math.min(...registers.map((register) => register.address));
  const end = Math.max(...registers.map((register) => register.address + WORDS_OF[register.type]));
  if (end - address > longestReadWords) return null;
  const currents = registers.flatMap((register) =>
    register.conductor === undefined
      ? []
      : [{ conductor: register.conductor, register, offset: register.address - address }],
  );
  return { functionCode: first.functionCode, address, count: end - address, currents };
}
