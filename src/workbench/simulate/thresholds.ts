// The settings of a simulated feeder: thresholds from its ratings and the chain's times alone, none from its loads.
import { rounded } from '../../feeder.ts';
import { type FeederSettings, feeder as feederSchema, type SettingsGroup } from '../../feeder-settings.ts';
import type { MeteredPlace } from './metered-places.ts';
import { TIME_CONSTANT_MIN } from './plant.ts';

export interface Thresholds {
  readonly feeder: FeederSettings;
  readonly group: SettingsGroup;
}

/** The chain: two trips over the DCC, the HAN and 600 s of random delay at most, in round numbers. */
const RESPONSE_TIME_S = 780;
/** The relief comes on a ramp over the chargers' random delay: half of it is there, on average, at half of this. */
const LEAD_TIME_MIN = 10;
/** A current transformer of class 3 may show so much less than there is. */
const METER_SHARE = 0.97;
/** Before anything has been measured: half of what a phase at its rating carries are cars. */
const MOVABLE_SHARE = 0.5;
/** Over the rating for a while is what the thermal element is there to permit; beyond this it is not waited for. */
const AT_RISK_SHARE = 3;
const RELEASE_UNDER_SHARE = 1.3;

export function thresholds(place: MeteredPlace, mode: 'proportional' | 'onOff'): Thresholds {
  const ratingA = rounded(place.ratingA * METER_SHARE, 1);
  const movableA = rounded(ratingA * MOVABLE_SHARE, 1);
  const settings = feederSchema.parse({
    id: place.id,
    currents: { source: 'meter' },
    targetGroup: { id: `TG-${place.id}`, version: 1 },
    controllableA: { L1: movableA, L2: movableA, L3: movableA },
    settings: [
      {
        name: 'study',
        ratingA,
        // The thermal element decides alone: a short overload needs no curtailment at all.
        atRisk: {
          pickupA: ratingA * AT_RISK_SHARE,
          dropoutA: ratingA * RELEASE_UNDER_SHARE,
          delayS: 60,
          resetDelayS: 60,
        },
        thermal: { ratingA, timeConstantMin: TIME_CONSTANT_MIN, leadTimeMin: LEAD_TIME_MIN, resetPercent: 95 },
        // The chargers' own random delay spreads their return.
        curtailment: { mode, responseTimeS: RESPONSE_TIME_S, releaseStepPercent: 100, endSpreadS: 0 },
        budget: { episodesPerYear: 0, minutesPerYear: 0 },
        caps: { requestsPerHour: 0 },
      },
    ],
  });
  const [group] = settings.settings;
  if (group === undefined) throw new RangeError('no settings group');
  return { feeder: settings, group };
}
