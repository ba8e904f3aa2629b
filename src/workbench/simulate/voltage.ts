// The lowest voltage at any home for the currents of one instant: resistances only, currents in phase with their own
// voltages and 120° apart, so what the other two phases carry through the mutual resistance helps by half.
import { VOLTAGE_V } from './data.ts';
import type { FeederModel } from './feeder-model.ts';

export function lowestVoltageV({ branches, phaseOf }: FeederModel, homeA: Float64Array): number {
  const { parent, ownOhm, mutualOhm, ofHome } = branches;
  const count = parent.length;
  const currentA = [0, 1, 2].map(() => new Float64Array(count));
  for (let home = 0; home < homeA.length; home++) {
    const flow = currentA[phaseOf[home] as number] as Float64Array;
    const at = ofHome[home] as number;
    flow[at] = (flow[at] as number) + (homeA[home] as number);
  }
  for (const flow of currentA) {
    for (let at = count - 1; at > 0; at--) {
      const above = parent[at] as number;
      flow[above] = (flow[above] as number) + (flow[at] as number);
    }
  }
  let highestDropV = 0;
  for (const [phase, flow] of currentA.entries()) {
    const [second, third] = [currentA[(phase + 1) % 3] as Float64Array, currentA[(phase + 2) % 3] as Float64Array];
    const dropV = new Float64Array(count);
    for (let at = 1; at < count; at++) {
      const ownV = (flow[at] as number) * (ownOhm[at] as number);
      const mutualV = (((second[at] as number) + (third[at] as number)) / 2) * (mutualOhm[at] as number);
      dropV[at] = (dropV[parent[at] as number] as number) + ownV - mutualV;
    }
    for (let home = 0; home < homeA.length; home++) {
      if (phaseOf[home] === phase) highestDropV = Math.max(highestDropV, dropV[ofHome[home] as number] as number);
    }
  }
  return VOLTAGE_V - highestDropV;
}
