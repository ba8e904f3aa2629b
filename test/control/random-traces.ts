// Random settings and random traces of one feeder, for what has to hold whatever they are.
import fc from 'fast-check';
import type { ControlAck } from '../../src/control/acks.ts';
import { newFeederState, stepAck, stepClock, stepReading, stepTime } from '../../src/control/feeder-control.ts';
import type { Action, ConductorInput, ControlSettings, FeederState } from '../../src/control/types.ts';
import { bounded } from './bounded.ts';

export const HOUR_MS = 3_600_000;
const START_MS = 1_000_000;
export const RUNS = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? (process.env['CI'] ? 10_000 : 2_000)) };

export type Row =
  | { readonly gapMs: number; readonly kind: 'time' }
  | { readonly gapMs: number; readonly kind: 'clock' }
  | { readonly gapMs: number; readonly kind: 'ack'; readonly ack: ControlAck }
  | { readonly gapMs: number; readonly kind: 'others'; readonly limited: number }
  | { readonly gapMs: number; readonly kind: 'reading'; readonly inputs: readonly ConductorInput[] };

export const anyOf = <T>(...values: T[]) => fc.constantFrom(...values);

export const settingsArb: fc.Arbitrary<ControlSettings> = fc
  .record({
    dropoutA: anyOf(340, 360, 399),
    delayS: anyOf(0, 2, 10, 30),
    resetDelayS: anyOf(0, 5, 30),
    emergency: fc.option(
      fc.record({
        pickupA: anyOf(401, 450),
        dropoutA: anyOf(345, 380, 400),
        delayS: anyOf(0, 2, 15),
        resetDelayS: anyOf(0, 30),
      }),
      { nil: undefined },
    ),
    inverse: fc.option(
      fc.record({
        curve: anyOf('SI' as const, 'VI' as const, 'EI' as const),
        pickupA: anyOf(390, 405),
        timeMultiplier: anyOf(0.05, 1),
        dropoutA: anyOf(350, 389),
        resetDelayS: anyOf(0, 30),
      }),
      { nil: undefined },
    ),
    thermal: fc.option(
      fc.record({
        ratingA: anyOf(380, 420),
        timeConstantMin: anyOf(0.5, 5),
        coolingTimeConstantMin: anyOf(0.5, 5),
        leadTimeMin: anyOf(0, 1),
        resetPercent: anyOf(95, 70),
        alarmPercent: anyOf(null, 60),
      }),
      { nil: undefined },
    ),
    neutralA: anyOf(undefined, undefined, 390),
    mode: anyOf('proportional' as const, 'onOff' as const),
    floorPercent: anyOf(0, 30),
    leaseS: anyOf(60, 300, 1800),
    refreshShare: anyOf(0.3, 0.5, 0.9),
    responseTimeS: anyOf(0, 0, 47, 300),
    maxEpisodeS: anyOf(100, 1000, 14_400),
    releaseStepPercent: anyOf(7, 25, 100),
    minOnS: anyOf(0, 50),
    minOffS: anyOf(0, 100),
    budget: fc.record({
      episodesPerYear: anyOf(0, 1, 4),
      minutesPerYear: anyOf(0, 3, 40),
      refuseBeyond: anyOf(false, false, true),
    }),
    operationsPerDay: anyOf(0, 0, 1, 3),
    requestsPerHour: anyOf(0, 0, 1, 3, 20),
    deepestLevelPercent: anyOf(0, 45),
    longestLeaseS: anyOf(90, 7200),
    controllableA: fc.option(fc.record({ L1: anyOf(0, 50, 96), L2: anyOf(128, 77.7), L3: anyOf(90, 300) })),
    staleAfterS: anyOf(5, 30, 120),
    isOpenLoop: anyOf(false, false, false, true),
    feedersAtOnce: anyOf(0, 0, 0, 2),
    mayRequest: anyOf(true, true, true, false),
  })
  .map((some) => ({
    atRisk: { pickupA: 400, dropoutA: some.dropoutA, delayS: some.delayS, resetDelayS: some.resetDelayS },
    emergency: some.emergency,
    inverse: some.inverse,
    thermal: some.thermal,
    neutral: some.neutralA === undefined ? undefined : { atRisk: neutralAtRisk(some.neutralA) },
    curtailment: {
      mode: some.mode,
      floorPercent: some.floorPercent,
      leaseS: some.leaseS,
      refreshS: Math.floor(Math.min(some.leaseS, some.longestLeaseS) * some.refreshShare),
      responseTimeS: some.responseTimeS,
      maxEpisodeS: some.maxEpisodeS,
      releaseStepPercent: some.releaseStepPercent,
      minOnS: some.minOnS,
      minOffS: some.minOffS,
    },
    budget: some.budget,
    caps: {
      operationsPerDay: some.operationsPerDay,
      requestsPerHour: some.requestsPerHour,
      deepestLevelPercent: some.deepestLevelPercent,
      longestLeaseS: some.longestLeaseS,
      feedersAtOnce: some.feedersAtOnce,
    },
    controllableA: some.controllableA,
    group: 'test',
    ratingA: 400,
    staleAfterMs: some.staleAfterS * 1000,
    isOpenLoop: some.isOpenLoop,
    mayRequest: some.mayRequest,
  }));

function neutralAtRisk(pickupA: number) {
  return { pickupA, dropoutA: 350, delayS: 5, resetDelayS: 10 };
}

export const currentArb = fc.oneof(
  { weight: 4, arbitrary: anyOf(100, 300, 345, 359.9, 360, 399, 400, 405, 430, 450, 500) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 700, noNaN: true }) },
);
export const goodArb: fc.Arbitrary<ConductorInput> = currentArb.map((currentA) => ({ currentA, quality: 'good' }));
export const inputArb: fc.Arbitrary<ConductorInput> = fc.oneof(
  { weight: 12, arbitrary: goodArb },
  { weight: 2, arbitrary: currentArb.map((currentA) => ({ currentA, quality: 'uncertain' as const })) },
  { weight: 2, arbitrary: fc.constant({ currentA: null, quality: 'bad' as const }) },
  { weight: 1, arbitrary: anyOf(Number.NaN, Number.POSITIVE_INFINITY, null).map(broken) },
);
export const gapArb = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 5000 }) },
  { weight: 3, arbitrary: anyOf(200, 1000, 2000, 5000, 10_000, 30_000) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 120_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 * HOUR_MS }) },
  { weight: 1, arbitrary: fc.double({ min: 0.01, max: 60_000, noNaN: true }) },
);

/** Amperes that nobody should believe among them. */
const ackArb: fc.Arbitrary<ControlAck> = fc.record({
  status: anyOf('accepted', 'dispatched', 'applied', 'partial', 'rejected'),
  controllableA: anyOf(undefined, { L1: 60, L2: 20, L3: 0 }, { L1: 1e9 }, { L2: Number.NaN, L3: -5 }),
  devices: anyOf(undefined, { targeted: 10, acknowledged: 6 }, { targeted: 0, acknowledged: 0 }),
});

/** Phases go together for the most part, and rows repeat, or delays would hardly ever end. */
export function rowsArb(
  input: fc.Arbitrary<ConductorInput>,
  gap: fc.Arbitrary<number>,
  maxLength = 14,
): fc.Arbitrary<Row[]> {
  const inputs = fc.oneof(
    { weight: 2, arbitrary: input.map((one) => [one, one, one]) },
    { weight: 3, arbitrary: fc.tuple(input, input, input) },
  );
  const reading = fc
    .tuple(inputs, fc.array(gap, { minLength: 1, maxLength: 4 }))
    .map(([given, gaps]) => gaps.map((gapMs): Row => ({ gapMs, kind: 'reading', inputs: given })));
  const other = fc
    .tuple(gap, anyOf('time' as const, 'clock' as const))
    .map(([gapMs, kind]): Row[] => [{ gapMs, kind }]);
  const heard = fc.tuple(gap, ackArb).map(([gapMs, ack]): Row[] => [{ gapMs, kind: 'ack', ack }]);
  const others = fc.tuple(gap, anyOf(0, 1, 2)).map(([gapMs, limited]): Row[] => [{ gapMs, kind: 'others', limited }]);
  return fc
    .array(fc.oneof({ weight: 8, arbitrary: reading }, { weight: 1, arbitrary: fc.oneof(other, heard, others) }), {
      minLength: 1,
      maxLength,
    })
    .map((parts) => parts.flat());
}

export const anyRows = rowsArb(inputArb, gapArb);

function broken(currentA: number | null): ConductorInput {
  return { currentA, quality: 'good' };
}

export interface Run {
  readonly state: FeederState;
  readonly atMs: number;
  readonly actions: Action[];
}

/** Runs a trace; `change` may replace the state after every row, `after` sees every row with its own actions. */
export function run(
  settings: ControlSettings,
  rows: readonly Row[],
  { change = (state: FeederState) => state, after = (_: Run) => {}, before = (_: Run, _toMs: number) => {} } = {},
): Run {
  const guarded = bounded(settings);
  let state = newFeederState();
  let atMs = START_MS;
  const actions: Action[] = [];
  for (const row of rows) {
    before({ state, atMs, actions }, atMs + row.gapMs);
    atMs += row.gapMs;
    const out: Action[] = [];
    takeRow(state, guarded, row, atMs, out);
    state = change(state);
    after({ state, atMs, actions: out });
    actions.push(...out);
  }
  return { state, atMs, actions };
}

export function read(
  state: FeederState,
  settings: ControlSettings,
  atMs: number,
  [L1 = broken(null), L2 = broken(null), L3 = broken(null)]: readonly ConductorInput[],
  out: Action[],
): void {
  stepReading(state, settings, { atMs, L1, L2, L3, N: L1 }, out);
}

/** One row at `atMs`. */
export function takeRow(state: FeederState, settings: ControlSettings, row: Row, atMs: number, out: Action[]): void {
  if (row.kind === 'time' || row.kind === 'others') stepTime(state, settings, atMs, out);
  else if (row.kind === 'clock') stepClock(state, settings, atMs, out);
  else if (row.kind === 'ack') stepAck(state, settings, row.ack, atMs, out);
  else read(state, settings, atMs, row.inputs, out);
  if (row.kind === 'others') state.othersLimited = row.limited;
}

export const copy = (state: FeederState) => JSON.parse(JSON.stringify(state)) as FeederState;
export const requestsOf = (actions: readonly Action[]) => actions.filter((action) => action.kind === 'request');
