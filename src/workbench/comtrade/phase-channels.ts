// Which channels of a record are the currents of a feeder: those that a mapping names, else the first of each phase
// whose unit is amperes, by the phase that the recorder gives or by the name.
import { CONDUCTORS, type Conductor } from '../../feeder.ts';
import type { AnalogChannel, RecordConfiguration } from './record.ts';

export interface PhaseChannel {
  readonly conductor: Conductor;
  /** Index of `configuration.analog`. */
  readonly channel: number;
  /** Primary amperes of one of the channel's units. */
  readonly amperesPerUnit: number;
}

const AMPERES: Record<string, number> = { a: 1, amp: 1, amps: 1, ampere: 1, amperes: 1, ka: 1000, ma: 0.001 };
const PHASE_WORDS: readonly [Conductor, RegExp][] = [
  ['L1', /^(a|l1|r|1|i_?a|i_?l?1|f?\d*-?ia)$/i],
  ['L2', /^(b|l2|s|2|i_?b|i_?l?2|f?\d*-?ib)$/i],
  ['L3', /^(c|l3|t|3|i_?c|i_?l?3|f?\d*-?ic)$/i],
  ['N', /^(n|g|e|i_?n|i_?g|i_?0|3i_?0|f?\d*-?i[ng])$/i],
];

/** By unit, phase and name; empty where no channel is in amperes. */
export function findPhaseChannels({ analog }: RecordConfiguration): PhaseChannel[] {
  const found: PhaseChannel[] = [];
  for (const [channel, candidate] of analog.entries()) {
    const perUnit = amperesOf(candidate);
    if (perUnit === null) continue;
    const conductor = conductorOf(candidate);
    if (conductor === null || found.some((other) => other.conductor === conductor)) continue;
    found.push({ conductor, channel, amperesPerUnit: perUnit * toPrimary(candidate) });
  }
  return found.sort((a, b) => CONDUCTORS.indexOf(a.conductor) - CONDUCTORS.indexOf(b.conductor));
}

/** The channel of a name or, from 1, a number; null where there is none. */
export function namedChannel(
  { analog }: RecordConfiguration,
  conductor: Conductor,
  name: string,
  scale: number,
): PhaseChannel | null {
  const byName = analog.findIndex((channel) => channel.name === name);
  const channel = byName >= 0 ? byName : /^\d+$/.test(name) ? Number(name) - 1 : -1;
  const candidate = analog[channel];
  if (candidate === undefined) return null;
  return { conductor, channel, amperesPerUnit: (amperesOf(candidate) ?? 1) * toPrimary(candidate) * scale };
}

function amperesOf({ unit }: AnalogChannel): number | null {
  return AMPERES[unit.toLowerCase()] ?? null;
}

function toPrimary({ isSecondary, primary, secondary }: AnalogChannel): number {
  return isSecondary ? primary / secondary : 1;
}

function conductorOf({ phase, name }: AnalogChannel): Conductor | null {
  const words = [phase, name.split(/\s/)[0] ?? '', name.replace(/\d+$/, '')];
  for (const word of words) {
    const known = PHASE_WORDS.find(([, form]) => form.test(word));
    if (known !== undefined) return known[0];
  }
  return null;
}
