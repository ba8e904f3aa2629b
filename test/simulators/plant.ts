// A small feeder with its chargers behind the chain of a head end: homes, cars that come and want energy, requests that
// reach each charger after the DCC's round trip and the charger's own random delay, 6 A as the least that a charger
// can do. Seeded, stepped by hand, and all of it real control: what is decided is what a controller would say.
import { newFeederState, stepAck, stepReading } from '../../src/control/feeder-control.ts';
import type { Action, ControlRequest, ControlSettings, FeederState } from '../../src/control/types.ts';
import { PHASES, type Phase } from '../../src/feeder.ts';

const STEP_MS = 10_000;
const DCC_MS = 25_000;
const LEAST_A = 6;

export interface Charger {
  readonly phase: Phase;
  readonly ratedA: number;
  readonly plugInMs: number;
  /** Ampere-seconds that the car wants. */
  readonly wantsAs: number;
}

export interface PlantOptions {
  readonly settings: ControlSettings;
  readonly chargers: readonly Charger[];
  /** Current of the homes on a phase, A. */
  readonly homesA: (phase: Phase, atMs: number) => number;
  readonly hours: number;
  readonly random: () => number;
  /** The most that a charger delays at random, s; 600 by the regulations. */
  readonly randomDelayS?: number;
  /** What the head end says in its acknowledgements; nothing unless given. */
  readonly acks?: 'none' | 'dispatched' | 'controllableA';
  /** Share of the chargers that never act. */
  readonly deafShare?: number;
  /** An earlier run's state, whose knowledge this one begins with. */
  readonly from?: FeederState;
  /** False: the same feeder without control. */
  readonly controlled?: boolean;
}

interface Device extends Charger {
  leftAs: number;
  levelPercent: number;
  readonly isDeaf: boolean;
  /** Levels on their way, each with its instant. */
  readonly coming: { readonly atMs: number; readonly levelPercent: number }[];
  /** When the standing limit ends by itself. */
  endMs: number;
}

export interface PlantRun {
  readonly actions: readonly Action[];
  readonly requests: readonly ControlRequest[];
  /** One row a step. */
  readonly rows: readonly { readonly atMs: number; readonly L1: number; readonly L2: number; readonly L3: number }[];
  /** Ampere-seconds that the cars have got. */
  readonly servedAs: number;
  readonly wantedAs: number;
  readonly state: FeederState;
}

export function runPlant(options: PlantOptions): PlantRun {
  const { settings, random, hours, deafShare = 0, controlled = true } = options;
  const devices = options.chargers.map(
    (charger): Device => ({
      ...charger,
      leftAs: charger.wantsAs,
      levelPercent: 100,
      isDeaf: random() < deafShare,
      coming: [],
      endMs: Number.POSITIVE_INFINITY,
    }),
  );
  const state = newFeederState();
  for (const name of PHASES) if (options.from !== undefined) Object.assign(state[name].reach, options.from[name].reach);
  const actions: Action[] = [];
  const rows: PlantRun['rows'][number][] = [];
  const acks: { readonly atMs: number; readonly endMs: number }[] = [];
  for (let atMs = STEP_MS; atMs <= hours * 3_600_000; atMs += STEP_MS) {
    const currents = { L1: 0, L2: 0, L3: 0 };
    for (const name of PHASES) currents[name] = options.homesA(name, atMs);
    for (const device of devices) currents[device.phase] += draw(device, atMs);
    rows.push({ atMs, ...currents });
    if (!controlled) continue;
    const out: Action[] = [];
    const good = (currentA: number) => ({ currentA, quality: 'good' as const });
    const { L1, L2, L3 } = currents;
    stepReading(state, settings, { atMs, L1: good(L1), L2: good(L2), L3: good(L3), N: good(0) }, out);
    while (acks[0] !== undefined && acks[0].atMs <= atMs) {
      acks.shift();
      stepAck(state, settings, { status: 'dispatched', controllableA: reachedBy(devices, options) }, atMs, out);
    }
    for (const action of out) {
      if (action.kind !== 'request') continue;
      send(devices, action, options);
      if (options.acks !== undefined && options.acks !== 'none')
        acks.push({ atMs: atMs + DCC_MS, endMs: action.endMs });
    }
    actions.push(...out);
  }
  return {
    actions,
    requests: actions.filter((action) => action.kind === 'request'),
    rows,
    servedAs: devices.reduce((total, { wantsAs, leftAs }) => total + wantsAs - leftAs, 0),
    wantedAs: devices.reduce((total, { wantsAs }) => total + wantsAs, 0),
    state,
  };
}

function draw(device: Device, atMs: number): number {
  while (device.coming[0] !== undefined && device.coming[0].atMs <= atMs) {
    device.levelPercent = device.coming.shift()?.levelPercent ?? 100;
  }
  if (atMs >= device.endMs) device.levelPercent = 100;
  if (atMs < device.plugInMs || device.leftAs <= 0) return 0;
  const permittedA = (device.ratedA * device.levelPercent) / 100;
  const currentA = permittedA < LEAST_A ? 0 : permittedA;
  device.leftAs -= (currentA * STEP_MS) / 1000;
  return currentA;
}

/** Every device of the phases acts after its own delay; it ends the limit by itself at an end of its own. */
function send(
  devices: readonly Device[],
  request: ControlRequest,
  { settings, random, randomDelayS = 600 }: PlantOptions,
): void {
  const spreadS = Math.min(600, Math.max(0, settings.curtailment.leaseS - settings.curtailment.refreshS));
  for (const device of devices) {
    const levelPercent = request.action === 'release' ? 100 : request.levelPercent[device.phase];
    if (levelPercent === undefined || device.isDeaf) continue;
    device.endMs = request.endMs - random() * spreadS * 1000;
    if (request.action === 'refresh') continue;
    const atMs = request.atMs + DCC_MS + random() * randomDelayS * 1000;
    // A newer level takes the place of one that has not been acted on.
    device.coming.length = 0;
    device.coming.push({ atMs, levelPercent });
    if (request.action === 'release') device.endMs = Number.POSITIVE_INFINITY;
  }
}

function reachedBy(devices: readonly Device[], { acks }: PlantOptions) {
  if (acks !== 'controllableA') return undefined;
  const reachedA = { L1: 0, L2: 0, L3: 0 };
  for (const { phase, ratedA, isDeaf } of devices) if (!isDeaf) reachedA[phase] += ratedA;
  return reachedA;
}

/** Seconds for which the highest phase was over `limitA`. */
export function overSeconds({ rows }: PlantRun, limitA: number): number {
  return (rows.filter(({ L1, L2, L3 }) => Math.max(L1, L2, L3) > limitA).length * STEP_MS) / 1000;
}

/** Highest thermal state of any phase by IEC 60255-149, percent, from the first row's steady state. */
export function peakThermalPercent({ rows }: PlantRun, ratingA: number, timeConstantMin = 60): number {
  const decay = Math.exp(-STEP_MS / (timeConstantMin * 60_000));
  let highest = 0;
  for (const name of PHASES) {
    let heat = ((rows[0]?.[name] ?? 0) / ratingA) ** 2;
    for (const row of rows) {
      heat = heat * decay + (row[name] / ratingA) ** 2 * (1 - decay);
      highest = Math.max(highest, heat);
    }
  }
  return highest * 100;
}
