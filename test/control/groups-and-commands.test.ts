// What holds whatever settings groups come into force and whatever an operator commands in the midst of a trace, from
// random ones: the settings of two groups have nothing in common, down to which elements there are.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test, vi } from 'vitest';
import { newFeederState, nextDueMs, stepCommand, stepSettings, stepTime } from '../../src/control/feeder-control.ts';
import type { Action, ControlCommand, ControlSettings, FeederState } from '../../src/control/types.ts';
import { bounded } from './bounded.ts';
import { anyOf, anyRows, copy, HOUR_MS, type Row, RUNS, requestsOf, settingsArb, takeRow } from './random-traces.ts';

const START_MS = 1_000_000;
/** A cap may hold a want back for a day. */
const SILENCE_MS = 26 * HOUR_MS;
// Of 10,000 cases on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

/** What is done before a row: nothing, the other group, or a command whose times count from then. */
type Deed = null | 'group' | ((nowMs: number) => ControlCommand);

const elementArb = anyOf(null, 'atRisk' as const, 'emergency' as const, 'thermal' as const, 'inverse' as const);
const commandArb = fc.oneof(
  fc.tuple(elementArb, anyOf(1, 60, 3_600), fc.boolean()).map(
    ([element, forS, immediate]) =>
      (nowMs: number): ControlCommand => ({ action: 'block', element, untilMs: nowMs + forS * 1000, immediate }),
  ),
  elementArb.map((element) => (): ControlCommand => ({ action: 'unblock', element })),
  fc.boolean().map((immediate) => (): ControlCommand => ({ action: 'release', immediate })),
  anyOf(null, 1, 60, 3_600).map(
    (forS) =>
      (nowMs: number): ControlCommand => ({ action: 'testMode', untilMs: forS === null ? null : nowMs + forS * 1000 }),
  ),
);
const deedArb: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: fc.constant('group' as const) },
  { weight: 2, arbitrary: commandArb },
);

interface Run {
  readonly state: FeederState;
  readonly atMs: number;
  readonly settings: ControlSettings;
  readonly actions: Action[];
}

/** With `isDisturbed` the state goes through text before every row, and time is stepped in between. */
function run(
  groups: readonly ControlSettings[],
  rows: readonly Row[],
  deeds: readonly Deed[],
  isDisturbed: boolean,
): Run {
  const [first, second] = groups.map((settings, index) => bounded({ ...settings, group: `g${index}` }));
  assert(first !== undefined && second !== undefined);
  let settings = first;
  let state = newFeederState();
  let atMs = START_MS;
  const actions: Action[] = [];
  for (const [index, row] of rows.entries()) {
    if (isDisturbed) {
      state = copy(state);
      const dueMs = nextDueMs(state, settings);
      if (dueMs < atMs + row.gapMs) stepTime(state, settings, dueMs, actions);
      stepTime(state, settings, atMs + row.gapMs / 3, actions);
    }
    atMs += row.gapMs;
    const deed = deeds[index % deeds.length] ?? null;
    if (deed === 'group') {
      const after = settings === first ? second : first;
      stepSettings(state, settings, after, 'by command', atMs, actions);
      settings = after;
    } else if (deed !== null) stepCommand(state, settings, deed(atMs), atMs, actions);
    takeRow(state, settings, row, atMs, actions);
  }
  return { state, atMs, settings, actions };
}

function checkRequests(actions: readonly Action[], groups: readonly ControlSettings[]): void {
  const longestMs = Math.max(...groups.map(({ caps }) => caps.longestLeaseS)) * 1000;
  for (const { action, atMs, endMs, levelPercent, group } of requestsOf(actions)) {
    assert(endMs - atMs <= longestMs + 1e-6, 'the lease is bounded');
    assert(action === 'release' || groups[Number(group.slice(1))]?.mayRequest === true, 'somebody is there to ask');
    for (const level of Object.values(levelPercent))
      assert(Number.isInteger(level) && level >= 0 && level <= 100, 'a level is a whole percent');
  }
}

function isNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return value === null || typeof value !== 'object' || Object.values(value).every(isNumber);
}

test('numbers, leases, silence, and the state written out or time stepped in between', () => {
  const groupArb = fc.tuple(settingsArb, anyOf('TG-1 1', 'TG-1 1', 'TG-2 1')).map(([settings, target]) => ({
    ...settings,
    target: settings.mayRequest ? target : null,
  }));
  const deedsArb = fc.array(deedArb, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(fc.tuple(groupArb, groupArb), anyRows, deedsArb, (groups, rows, deeds) => {
      const plain = run(groups, rows, deeds, false);
      checkRequests(plain.actions, groups);
      assert(isNumber(plain.actions) && isNumber(plain.state), 'no number that is none');
      const disturbed = run(groups, rows, deeds, true);
      assert.deepEqual(disturbed.actions, plain.actions, 'written out and stepped between, nothing changes');
      checkSilence(plain);
    }),
    RUNS,
  );
});

function checkSilence({ state, atMs, settings }: Run): void {
  const out: Action[] = [];
  for (let dueMs = nextDueMs(state, settings); dueMs < atMs + SILENCE_MS; ) {
    stepTime(state, settings, dueMs, out);
    const nextMs = nextDueMs(state, settings);
    assert(nextMs > dueMs, 'time always gets on');
    dueMs = nextMs;
  }
  assert(state.episode === null, 'in silence every episode ends');
  assert(!out.some((action) => action.kind === 'event' && action.alarm === 'dueAgain'), 'nothing is due again');
}
