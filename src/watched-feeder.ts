// One feeder as the controller carries it: its settings in the form that control takes, the state of control, and
// where the conversation about it stands.
import { isoTime } from './clock.ts';
import { someElement } from './control/elements.ts';
import { newFeederState, settleInto } from './control/feeder-control.ts';
import { lowestLevelPercent } from './control/requests.ts';
import type { Action, ControlSettings, FeederState } from './control/types.ts';
import type { ControlInput } from './control-input.ts';
import { controlSettings } from './control-settings.ts';
import type { FeederSettings, SettingsGroup } from './feeder-settings.ts';
import type { StoredRequest } from './journal/records.ts';
import { type Curtailment, curtailmentSchema, type Status } from './messages.ts';
import { groupByCalendar } from './settings-groups.ts';
import { type SourceSettings, staleAfterMs } from './source-settings.ts';
import type { TelemetryFeeder } from './telemetry.ts';
import type { OutgoingRequest } from './uplink/delivery.ts';

export interface WatchedFeeder {
  readonly settings: FeederSettings;
  /** The settings group in force. */
  group: SettingsGroup;
  /** What control goes by: that group, with the staleness limit of the source in use. */
  control: ControlSettings;
  /** Every group by name. */
  readonly groups: ReadonlyMap<string, { readonly group: SettingsGroup; readonly control: ControlSettings }>;
  state: FeederState;
  /** Actions of this turn. */
  readonly actions: Action[];
  /** Hears of everything but readings that control is given, before it is. */
  recorded: (input: ControlInput) => void;
  episodeId: string | null;
  /** Sequence of its first request: an acknowledgement from there on belongs to this episode. */
  episodeSince: number;
  /** The newest request that was said or is to be. */
  latest: OutgoingRequest | null;
  /** The newest request of this episode that a broker was or may have been given. */
  lastOffered: string | null;
  /** No broker has confirmed a limit of this episode: what refreshes it is said as a limit. */
  isLimitUnsure: boolean;
  /** The limit that lapsed last, until the next request. */
  lapsed: LapsedLimit | null;
}

/** A limit that came to its end without a release, as whoever heard of it knows it. */
export interface LapsedLimit {
  readonly message: Curtailment;
  /** The newest request of its episode that a broker was or may have been given. */
  readonly heardId: string;
  /** Monotonic: over for certain from here on. */
  readonly sureMs: number;
}

/** With the group that is in force at `wallMs`. Throws when the feeder has no group or its source is not among `sources`, which the configuration's checks rule out. */
export function watchedFeeder(
  settings: FeederSettings,
  sources: readonly SourceSettings[],
  wallMs = 0,
  feedersAtOnce = 0,
): WatchedFeeder {
  const source = sources.find(({ id }) => id === settings.currents.source);
  if (source === undefined) throw new Error(`feeder ${settings.id} has no source`);
  const group = groupByCalendar(settings.settings, wallMs);
  const control = controlSettings(settings, group, staleAfterMs(source), feedersAtOnce);
  const groups = new Map(
    settings.settings.map((one) => [
      one.name,
      {
        group: one,
        control: one === group ? control : controlSettings(settings, one, staleAfterMs(source), feedersAtOnce),
      },
    ]),
  );
  const state = newFeederState();
  state.group = group.name;
  settleInto(state, control);
  return {
    settings,
    group,
    control,
    groups,
    state,
    actions: [],
    recorded: () => {},
    episodeId: null,
    episodeSince: 0,
    latest: null,
    lastOffered: null,
    isLimitUnsure: false,
    lapsed: null,
  };
}

/** The state of control in a word, for people. */
export function stateWord(state: FeederState): string {
  if (state.blind) return 'blind';
  if (state.episode !== null) return someElement(state, 'operated') ? 'curtailing' : 'droppingOut';
  return someElement(state, 'pickedUp') ? 'pickingUp' : 'normal';
}

/** No element is picked up and no limit stands, or nobody can know. */
export function isAtRest(state: FeederState): boolean {
  return state.blind || (state.episode === null && !someElement(state, 'pickedUp'));
}

/** What the retained status says of a feeder; `wallOffsetMs` is wall time minus monotonic time. */
export function feederStatus(
  { settings, group, state }: WatchedFeeder,
  wallOffsetMs: number,
): NonNullable<Status['feeders']>[number] {
  const wall = (atMs: number | null | undefined) => (typeof atMs === 'number' ? isoTime(atMs + wallOffsetMs) : null);
  const blockedElements = state.blocks.flatMap(({ element, untilMs }) =>
    element === null ? [] : [{ element, until: isoTime(untilMs + wallOffsetMs) }],
  );
  return {
    feederId: settings.id,
    settingsGroup: group.name,
    groupByCommand: state.groupByCommand,
    groupUntil: wall(state.groupUntilMs),
    blockedUntil: wall(state.blocks.find(({ element }) => element === null)?.untilMs),
    testUntil: wall(state.testUntilMs),
    ...(blockedElements.length > 0 && { blockedElements }),
  };
}

/** The feeder as telemetry sees it. */
export function telemetryFeeder(feeder: WatchedFeeder): TelemetryFeeder {
  const { settings, group, control } = feeder;
  return {
    feederId: settings.id,
    ratingA: group.ratingA,
    freshMs: control.staleAfterMs,
    outlook: () => ({ state: stateWord(feeder.state), levelPercent: lowestLevelPercent(feeder.state) }),
  };
}

/** For the journal. `say` is false for a request that is born withheld. */
export function storedRequest(
  { message, payload, offered }: OutgoingRequest,
  say: boolean,
): Omit<StoredRequest, 'ackStatus'> {
  const { requestId, sequence, feederId, episodeId } = message;
  return { requestId, sequence, feederId, episodeId, body: payload, offered, withheld: say ? null : 'superseded' };
}

/** From the journal. Throws when the body is no request, which only a damaged file can hold. */
export function outgoingRequest(stored: StoredRequest): OutgoingRequest {
  const message = curtailmentSchema.parse(JSON.parse(stored.body));
  return { message, payload: stored.body, offered: stored.offered, confirmed: stored.ackStatus !== null };
}
