// Puts the feeders and the transformer back where the journal ends: state with the time away, heat, settings group,
// episode and the request that stood.
import { settleInto } from './control/feeder-control.ts';
import { resumeState, resumeTransformer } from './control/resume.ts';
import { settleTransformerInto, type TransformerState } from './control/transformer.ts';
import type { FeederState } from './control/types.ts';
import type { EventBook } from './event-book.ts';
import { resumeGroup } from './group-in-force.ts';
import type { HarmCaps } from './harm-caps.ts';
import type { Journal } from './journal/journal.ts';
import type { Stamp } from './journal/records.ts';
import type { Keeper } from './keeper.ts';
import { takeHeat } from './kept-heat.ts';
import type { Requests } from './requests.ts';
import { TRANSFORMER } from './transformer-settings.ts';
import type { OutgoingRequest } from './uplink/delivery.ts';
import { type LapsedLimit, outgoingRequest, type WatchedFeeder } from './watched-feeder.ts';
import type { WatchedTransformer } from './watched-transformer.ts';

export interface ResumeInput {
  readonly feeders: ReadonlyMap<string, WatchedFeeder>;
  readonly transformer: WatchedTransformer | null;
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly harmCaps: HarmCaps;
  readonly requests: Requests;
  readonly book: EventBook;
}

export interface Resumed {
  /** Ids of the requests that have been acknowledged. */
  readonly acked: ReadonlySet<string>;
  /** Wall time minus monotonic time when this boot last kept a state; as it is now where it has kept none. */
  readonly wallOffsetMs: number;
}

export function resumeFeeders(input: ResumeInput): Resumed {
  const { feeders, transformer, journal, keeper, harmCaps, requests, book } = input;
  const acked = new Set<string>();
  const now = keeper.stamp();
  for (const stored of journal.latestRequests()) {
    const feeder = feeders.get(stored.feederId);
    if (stored.ackStatus !== null) acked.add(stored.requestId);
    if (feeder !== undefined && stored.withheld === null) feeder.latest = outgoingRequest(stored);
  }
  const heat = keeper.attempt((kept) => kept.heat()) ?? null;
  let newest: Stamp | null = null;
  for (const { feederId, state, stamp } of journal.states()) {
    if (isOfThisBoot(stamp, now) && stamp.monotonicMs > (newest?.monotonicMs ?? -1)) newest = stamp;
    const feeder = feeders.get(feederId);
    if (feederId === TRANSFORMER && transformer !== null) {
      takeHeat(state as TransformerState, feederId, stamp, heat);
      const resumed = resumeTransformer(state as TransformerState, stamp, now);
      transformer.state = resumed.state;
      settleTransformerInto(transformer.state, transformer.settings);
      if (resumed.lost !== null) book.add(null, 'restart', `transformer: ${resumed.lost}`);
    }
    if (feeder === undefined) continue;
    takeHeat(state as FeederState, feederId, stamp, heat);
    const resumed = resumeState(state as FeederState, stamp, now);
    feeder.state = resumed.state;
    resumeGroup(feeder, now.monotonicMs);
    settleInto(feeder.state, feeder.control);
    harmCaps.resume(feederId, resumed.state);
    if (resumed.state.episode !== null && feeder.latest !== null) {
      const { requestId, supersedes, episodeId, sequence, action } = feeder.latest.message;
      feeder.episodeId = episodeId;
      feeder.episodeSince = sequence;
      feeder.lastOffered = feeder.latest.offered ? requestId : supersedes;
      feeder.isLimitUnsure = action === 'limit' && !acked.has(requestId);
    }
    if (resumed.lost !== null) book.add(feederId, 'restart', resumed.lost);
    // A limit that is over, by time or because nobody knows how long the stop was, is not said again.
    if (resumed.state.episode === null && feeder.latest !== null && feeder.latest.message.action !== 'release') {
      const wasOver = (state as FeederState).episode === null || resumed.lost === null;
      feeder.lapsed = lapsedLimit(feeder.latest, now.monotonicMs, wasOver);
      if (!feeder.latest.offered) requests.withhold(feeder, feeder.latest, 'expired');
      feeder.latest = null;
    }
  }
  const { wallMs, monotonicMs } = newest ?? now;
  return { acked, wallOffsetMs: wallMs - monotonicMs };
}

function isOfThisBoot({ bootId, monotonicMs }: Stamp, now: Stamp): boolean {
  return bootId !== 'unknown' && bootId === now.bootId && monotonicMs <= now.monotonicMs;
}

/** Where the time away is unknown, a limit is over for certain once all of its duration has passed again. */
function lapsedLimit({ message, offered }: OutgoingRequest, nowMs: number, isOver: boolean): LapsedLimit | null {
  const heardId = offered ? message.requestId : message.supersedes;
  return heardId === null ? null : { message, heardId, sureMs: isOver ? nowMs : nowMs + message.durationS * 1000 };
}
