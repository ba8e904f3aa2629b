// The retained status: that the substation is there, how well it is, and what of each feeder is out of the ordinary.
import { type Clock, isoTime } from './clock.ts';
import type { ThreePhases } from './control/types.ts';
import type { Status } from './messages.ts';
import { TRANSFORMER } from './transformer-settings.ts';
import { VERSION } from './version.ts';
import { feederStatus, type WatchedFeeder } from './watched-feeder.ts';
import { transformerStatus, type WatchedTransformer } from './watched-transformer.ts';

export interface StatusInput {
  readonly substationId: string;
  readonly settingsHash: string;
  readonly insecure: boolean;
  readonly feeders: ReadonlyMap<string, WatchedFeeder>;
  readonly transformer: WatchedTransformer | null;
  /** Standing alarms that are not of a feeder's own state. */
  readonly otherAlarms: () => string[];
  readonly clock: Clock;
}

/** A will is made ahead, so it says nothing of how things are. */
export function statusReport(input: StatusInput, state: 'online' | 'offline', reason: Status['reason']): Status {
  const { substationId, settingsHash, insecure, feeders, transformer, clock } = input;
  const wallOffsetMs = clock.wallMs() - clock.monotonicMs();
  const will = reason === 'connectionLost';
  const alarms = standingAlarms(input);
  return {
    schema: 'headroom/v1/status',
    substationId,
    state,
    at: isoTime(clock.wallMs()),
    reason,
    version: VERSION,
    settings: { hash: settingsHash },
    health: will ? null : { state: alarms.length === 0 ? 'ok' : 'degraded', alarms },
    clock: will ? null : { synchronised: clock.synchronised(), offsetMs: null },
    insecure,
    feeders: will ? null : [...feeders.values()].map((feeder) => feederStatus(feeder, wallOffsetMs)),
    ...(transformer !== null && { transformer: will ? null : transformerStatus(transformer) }),
  };
}

/** What may change by itself: the status is said anew when this has changed. */
export function standing(input: StatusInput): string {
  const modes = [...input.feeders.values()].map(({ state }) => [
    state.testUntilMs,
    state.group,
    state.groupUntilMs,
    ...state.blocks.map((b) => b.untilMs),
  ]);
  return JSON.stringify([standingAlarms(input), modes, input.transformer && transformerStatus(input.transformer)]);
}

/** As the status names them. */
export function standingAlarms({ feeders, transformer, otherAlarms }: StatusInput): string[] {
  const ofFeeders = [...feeders].flatMap(([id, { state }]) => alarmsOf(id, state));
  const ofTransformer = transformer === null ? [] : alarmsOf(TRANSFORMER, transformer.state);
  return [...ofFeeders, ...ofTransformer, ...otherAlarms()];
}

function alarmsOf(id: string, state: ThreePhases): string[] {
  return [
    ...(state.blind ? [`${id}/blind`] : []),
    ...(state.heatAssumed ? [`${id}/thermalAssumed`] : []),
    ...state.alarms.map((alarm) => `${id}/${alarm}`),
  ];
}
