// What the engineer wrote about a feeder, as control takes it: one of these for each settings group. And about the
// transformer.

import type { TransformerSettings } from './control/transformer.ts';
import type { ControlSettings, ElementSettings, ThermalSettings } from './control/types.ts';
import type { Phase } from './feeder.ts';
import { type FeederSettings, type SettingsGroup, targetOf } from './feeder-settings.ts';
import { type GivenTransformer, ratedCurrentA } from './transformer-settings.ts';

/** `staleAfterMs` is that of the feeder's source. */
export function controlSettings(
  feeder: FeederSettings,
  group: SettingsGroup,
  staleAfterMs: number,
  feedersAtOnce: number,
): ControlSettings {
  const target = targetOf(feeder, group);
  return {
    group: group.name,
    ratingA: group.ratingA,
    ...elementSettings(group),
    atRisk: group.atRisk,
    neutral: group.neutral,
    curtailment: group.curtailment,
    budget: group.budget,
    caps: { ...group.caps, feedersAtOnce },
    controllableA: feeder.controllableA ?? null,
    signConfirmed: signConfirmed(feeder.powerSign),
    staleAfterMs,
    target: target && `${target.id} ${target.version}`,
    mayRequest: target !== null,
  };
}

export function signConfirmed(sign: FeederSettings['powerSign']): NonNullable<ControlSettings['signConfirmed']> {
  const is = (name: Phase) => (typeof sign === 'string' ? sign : sign[name]) === 'confirmed';
  return { L1: is('L1'), L2: is('L2'), L3: is('L3') };
}

type GivenElements = Pick<GivenTransformer, 'atRisk' | 'emergency' | 'inverse'> & {
  readonly thermal?: (NonNullable<SettingsGroup['thermal']> & Pick<ThermalSettings, 'oil'>) | undefined;
};

function elementSettings({ atRisk, emergency, inverse, thermal }: GivenElements): ElementSettings {
  return {
    atRisk,
    emergency,
    inverse,
    thermal: thermal && {
      ...thermal,
      coolingTimeConstantMin: thermal.coolingTimeConstantMin ?? thermal.timeConstantMin,
      alarmPercent: thermal.alarmPercent ?? null,
    },
  };
}

/** `staleAfterMs` is that of its meter, or the longest of its feeders'. */
export function transformerSettings(given: GivenTransformer, staleAfterMs: number): TransformerSettings {
  const thermal = given.thermal && {
    ...given.thermal,
    ratingA: given.thermal.ratingA ?? ratedCurrentA(given),
    timeConstantMin: given.thermal.timeConstantMin ?? given.thermal.oil?.oilTimeConstantMin ?? 0,
  };
  return { ...elementSettings({ ...given, thermal }), staleAfterMs };
}
