// One feeder with its settings, and the noise of its load, for the benches of the desk.

/** `elements` are lines of the settings group. */
export function oneFeeder(elements: readonly string[]): string {
  return `substation: { id: SUB-1 }
uplink: { brokers: [{ url: "mqtts://headend.example:8883" }] }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, profile: eastron-sdm630 }
feeders:
  - id: F1
    currents: { source: meter-1 }
    targetGroup: { id: TG-F1, version: 1 }
    controllableA: { L1: 96, L2: 128, L3: 96 }
    settings:
      - name: bench
        ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }
${elements.map((line) => `        ${line}\n`).join('')}`;
}

export const EMERGENCY = 'emergency: { pickupA: 420, dropoutA: 345, delayS: 2, resetDelayS: 60 }';
export const THERMAL = 'thermal: { ratingA: 385, timeConstantMin: 60, leadTimeMin: 15, resetPercent: 95 }';

/** The same in every run: 0 up to `highestA`, in a thousand steps. */
export function noiseA(highestA: number): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return ((state % 1000) * highestA) / 1000;
  };
}
