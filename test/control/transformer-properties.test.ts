// What holds for feeders under one transformer whatever the readings, from random ones: three feeders, whose settings
// differ, and a transformer on their sum or on its own meter, with one time constant or with oil and winding. A failure
// prints its seed and the shortest trace. All of it is asked of the same runs: they are what takes the time.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test, vi } from 'vitest';
import { stepReadings, stepTimers, substationDueMs } from '../../src/control/substation.ts';
import { roomA } from '../../src/control/transformer.ts';
import type { Action, ConductorInput, ControlRequest } from '../../src/control/types.ts';
import { PHASES, type Phase } from '../../src/feeder.ts';
import { type World, worldOf, writeOut } from './substation-trace.ts';

const START_MS = 1_000_000;
const RUNS = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? (process.env['CI'] ? 10_000 : 1_000)) };

// Of 10,000 cases on a busy machine.
vi.setConfig({ testTimeout: 300_000 });
const SILENCE_MS = 3 * 3_600_000;

const anyOf = <T>(...values: T[]) => fc.constantFrom(...values);

const settingsArb = fc
  .record({
    responseTimeS: anyOf(0, 47, 300),
    mode: anyOf('proportional', 'onOff'),
    releaseStepPercent: anyOf(25, 100),
    leaseS: anyOf(120, 1800),
    minOffS: anyOf(0, 100),
    controllableA: fc.tuple(anyOf('unknown', '60'), anyOf('unknown', '150'), anyOf('0', '90')),
    pickupA: anyOf(500, 600),
    emergencyPickupA: anyOf('none', '700'),
    heat: anyOf('T.timeConstantMin none', 'T.timeConstantMin 2', 'T.oilTimeConstantMin 4  T.windingTimeConstantMin 1'),
    leadTimeMin: anyOf(0, 0.5),
    resetPercent: anyOf(95, 99),
    isMetered: anyOf(false, false, true),
  })
  .map((some) => ({
    text: [
      `pickupA 400  dropoutA 360  delayS 10  resetDelayS 20  staleAfterS 30  mode ${some.mode}`,
      `responseTimeS ${some.responseTimeS}  releaseStepPercent ${some.releaseStepPercent}  leaseS ${some.leaseS}`,
      `refreshS ${some.leaseS / 2}  minOffS ${some.minOffS}`,
      ...some.controllableA.map((text, index) => `F${index + 1}.controllableA ${text}`),
      `T.pickupA ${some.pickupA}  T.dropoutA 450  T.delayS 5  T.resetDelayS 20  T.staleAfterS 30`,
      `T.emergencyPickupA ${some.emergencyPickupA}  T.emergencyDropoutA 560  T.emergencyDelayS 1`,
      `${some.heat}  T.thermalRatingA 550  T.leadTimeMin ${some.leadTimeMin}  T.resetPercent ${some.resetPercent}`,
    ].join('\n'),
    columns: ['t_s', 'F1_A', 'F2_A', 'F3_A', ...(some.isMetered ? ['T_A'] : [])],
  }));

const inputArb: fc.Arbitrary<ConductorInput> = fc.oneof(
  {
    weight: 10,
    arbitrary: anyOf(50, 120, 150, 200, 240, 410).map((currentA) => ({ currentA, quality: 'good' as const })),
  },
  { weight: 1, arbitrary: anyOf(120, 260).map((currentA) => ({ currentA, quality: 'uncertain' as const })) },
  { weight: 2, arbitrary: fc.constant({ currentA: null, quality: 'bad' as const }) },
  { weight: 1, arbitrary: fc.constant({ currentA: Number.NaN, quality: 'good' as const }) },
);

interface Row {
  readonly gapMs: number;
  /** Of the feeders and of the transformer's own meter; a feeder of null has no reading in this row. */
  readonly inputs: readonly (ConductorInput | null)[];
}
const rowsArb: fc.Arbitrary<Row[]> = fc
  .array(
    fc.tuple(
      fc.tuple(fc.option(inputArb, { freq: 5 }), fc.option(inputArb, { freq: 5 }), inputArb, inputArb),
      fc.array(anyOf(1_000, 5_000, 12_345, 29_000, 61_000), { minLength: 1, maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.flatMap(([inputs, gaps]) => gaps.map((gapMs) => ({ gapMs, inputs }))));

/** Runs the rows; `between` sees the world before every row, `after` its actions after it. */
function run(
  { text, columns }: { readonly text: string; readonly columns: readonly string[] },
  rows: readonly Row[],
  between: (world: World, fromMs: number, toMs: number) => void = () => {},
  after: (world: World, said: readonly Action[][]) => void = () => {},
): { world: World; atMs: number; said: Action[][] } {
  const world = worldOf(text, columns);
  const of = [...world.feeders, world.transformer];
  const said: Action[][] = of.map(() => []);
  let atMs = START_MS;
  for (const { gapMs, inputs } of rows) {
    between(world, atMs, atMs + gapMs);
    atMs += gapMs;
    const readingOf = (input: ConductorInput) => ({
      atMs,
      L1: input,
      L2: { ...input, currentA: input.currentA && input.currentA * 0.8 },
      L3: { currentA: 100, quality: 'good' as const },
      N: input,
    });
    const taken = inputs.flatMap((input, index) => {
      const feeder = world.feeders[index] ?? null;
      if (input === null || (feeder === null && !world.transformer.isMetered)) return [];
      const scale = feeder === null && input.currentA !== null ? 3 : 1;
      return [{ feeder, reading: readingOf({ ...input, currentA: input.currentA && input.currentA * scale }) }];
    });
    stepReadings(world, taken);
    const now = of.map(({ actions }) => actions.splice(0));
    after(world, now);
    for (const [index, actions] of now.entries()) said[index]?.push(...actions);
  }
  return { world, atMs, said };
}

const requestsOf = (actions: readonly Action[]) => actions.filter((action) => action.kind === 'request');

test('requests, room, silence, and the state written out or time stepped in between', () => {
  const shareArb = fc.double({ min: 0, max: 0.99, noNaN: true });
  fc.assert(
    fc.property(settingsArb, rowsArb, fc.nat(), shareArb, (settings, rows, n, share) => {
      const plain = run(settings, rows, undefined, checkRow);
      checkNumbers(plain.world);
      checkWays(plain.world, plain.said);
      // The runs are what takes the time, so one has both.
      let row = 0;
      const disturbed = run(settings, rows, (world, fromMs, toMs) => {
        if (row++ === n % rows.length) writeOut(world);
        const dueMs = substationDueMs(world);
        if (dueMs < toMs) stepTimers(world, dueMs);
        stepTimers(world, fromMs + (toMs - fromMs) * share);
      });
      assert.deepEqual(disturbed.said, plain.said, 'a state written out, and time stepped between, change nothing');
      checkSilence(plain.world, plain.atMs);
    }),
    RUNS,
  );
});

function checkRow({ feeders, transformer }: World, said: readonly Action[][]): void {
  for (const { action, reason } of said.flatMap(requestsOf)) {
    if (action !== 'limit' || !reason.startsWith('transformer ')) continue;
    const currentA = Number(/at ([\d.]+) A/.exec(reason)?.[1]);
    assert(currentA >= 450, 'no limit for the transformer without a current of it at or over a dropout');
  }
  if (feeders.every(({ state }) => state.episode === null)) return;
  for (const name of PHASES) {
    const givenA = feeders.reduce((sumA, { state }) => sumA + (state[name].transformerRoomA ?? 0), 0);
    const thereA = Math.max(0, roomA(transformer.state[name], transformer.settings));
    assert(givenA <= thereA + 1e-6, 'the room of the transformer is given once, and never where it is not known');
  }
}

function checkNumbers({ feeders, transformer }: World): void {
  const isNumber = (value: unknown): boolean =>
    typeof value === 'number'
      ? !Number.isNaN(value)
      : value === null || typeof value !== 'object' || Object.values(value).every(isNumber);
  assert(isNumber([transformer.state, feeders.map(({ state }) => state)]), 'no number that is none');
}

/** Urgent elements and the longest episode are the exceptions. */
function checkWays({ feeders }: World, said: readonly Action[][]): void {
  for (const [index, { control }] of feeders.entries()) {
    const actions = said[index] ?? [];
    const times = actions.map(({ atMs }) => atMs);
    assert(
      times.every((atMs, i) => i === 0 || atMs >= (times[i - 1] ?? 0)),
      'time goes forward in what is said',
    );
    const responseMs = control.curtailment.responseTimeS * 1000;
    let [deeperMs, shallowerMs] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { request, way } of waysOf(actions)) {
      const { atMs, trigger, reason } = request;
      if (way === 'deeper') {
        assert(trigger.isUrgent || atMs >= shallowerMs + responseMs, 'no deeper level within responseTimeS of a step');
        [deeperMs, shallowerMs] = [atMs, Number.NEGATIVE_INFINITY];
      } else if (way === 'shallower') {
        const isCapped = reason.includes('maxEpisodeS');
        assert(isCapped || atMs >= deeperMs + responseMs, 'no step of release within responseTimeS of a deeper level');
        shallowerMs = atMs;
      }
    }
  }
}

function checkSilence(world: World, fromMs: number): void {
  let dueMs = substationDueMs(world);
  for (let n = 0; dueMs < fromMs + SILENCE_MS; n++) {
    assert(n < 1_000, 'silence comes to rest');
    stepTimers(world, dueMs);
    const next = substationDueMs(world);
    assert(next > dueMs, 'time always gets on');
    dueMs = next;
  }
  for (const { state, actions } of [...world.feeders, world.transformer]) {
    assert(!('episode' in state) || state.episode === null, 'in silence every episode ends');
    const isAgain = actions.some((action) => action.kind === 'event' && action.alarm === 'dueAgain');
    assert(!isAgain, 'nothing is due again and again');
  }
}

function waysOf(actions: readonly Action[]): { request: ControlRequest; way: 'deeper' | 'shallower' | 'same' }[] {
  let standing: ControlRequest | null = null;
  const ways: { request: ControlRequest; way: 'deeper' | 'shallower' | 'same' }[] = [];
  const level = (request: ControlRequest | null, name: Phase) => request?.levelPercent[name] ?? 100;
  for (const action of actions) {
    if (action.kind === 'event') {
      if (action.alarm === 'lapsed' && action.type === 'alarm') standing = null;
      continue;
    }
    const now: ControlRequest | null = action.action === 'release' ? null : action;
    const before: ControlRequest | null = standing;
    const deeper = PHASES.some((name) => level(now, name) < level(before, name));
    const shallower = PHASES.some((name) => level(now, name) > level(before, name));
    ways.push({ request: action, way: deeper ? 'deeper' : shallower ? 'shallower' : 'same' });
    standing = now;
  }
  return ways;
}
