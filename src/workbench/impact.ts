// What requests have cost the customers behind each feeder, from the journal: episodes and minutes of the rolling year
// against the budget, for each target group that the feeder has asked (in back-feed they are others), and, for suppliers, the energy that was held back and came back in each half hour. Minutes are
// the integral of (1 − level/100) over time at the lowest level of the phases, from the first `dispatched` of the head
// end, else from `start`: an upper bound for any one customer. Only live requests that a broker was given count.
import { isoTime } from '../clock.ts';
import { rounded } from '../feeder.ts';
import type { Ack, Curtailment } from '../messages.ts';

const MINUTE_MS = 60_000;
const HALF_HOUR_MS = 30 * MINUTE_MS;
const YEAR_MS = 365 * 24 * 60 * MINUTE_MS;

/** Nominal phase voltage, since the journal holds amperes. */
const VOLTAGE_V = 230;
/** Of the sums over half hours; the ramps last minutes. */
const STEP_MS = 30_000;
/** What has not come back by then was never going to: the cars have left. */
const RETURN_MAX_MS = 24 * 60 * MINUTE_MS;

export interface SentRequest {
  readonly message: Curtailment;
  readonly acks: readonly Ack[];
}

/** How a feeder is judged. */
export interface ImpactTerms {
  readonly feederId: string;
  readonly budget: { readonly episodesPerYear: number; readonly minutesPerYear: number };
  readonly responseTimeS: number;
}

interface EpisodeImpact {
  readonly episodeId: string;
  readonly start: string;
  /** Null while the limit stands. */
  readonly end: string | null;
  readonly endedBy: 'release' | 'lapse' | null;
  readonly countedFrom: 'dispatched' | 'start';
  readonly minutes: number;
  readonly lowestLevelPercent: number;
}

interface FeederImpact {
  readonly feederId: string;
  /** One of those that the feeder has asked; null where nothing was ever asked. */
  readonly targetGroup: string | null;
  readonly episodes: number;
  readonly minutes: number;
  readonly budget: ImpactTerms['budget'];
  readonly withinBudget: boolean;
  readonly history: readonly EpisodeImpact[];
}

interface SettlementRow {
  readonly feederId: string;
  readonly targetGroup: string;
  /** Half hours of UTC. */
  readonly from: string;
  readonly to: string;
  readonly heldBackKwh: number;
  readonly returnedKwh: number;
}

export interface Impact {
  readonly from: string;
  readonly to: string;
  readonly feeders: readonly FeederImpact[];
  readonly settlement: { readonly assumed: { readonly voltageV: number }; readonly rows: readonly SettlementRow[] };
}

/** `requests` in the order of their sequence; `nowMs` is wall time. */
export function impactOf(requests: readonly SentRequest[], terms: readonly ImpactTerms[], nowMs: number): Impact {
  const fromMs = nowMs - YEAR_MS;
  const live = requests.filter(({ message }) => message.mode === 'live');
  const feeders: FeederImpact[] = [];
  const rows: SettlementRow[] = [];
  for (const term of terms) {
    const episodes = episodesOf(
      live.filter(({ message }) => message.feederId === term.feederId),
      nowMs,
    );
    const counted = episodes.filter(({ endMs }) => endMs > fromMs);
    const byGroup = Map.groupBy(counted, ({ first }) => first.targetGroup.id);
    if (byGroup.size === 0) feeders.push(feederImpact(term, null, [], nowMs));
    for (const [group, of] of byGroup) feeders.push(feederImpact(term, group, of, nowMs));
    rows.push(...settlementOf(term, counted, nowMs));
  }
  return { from: isoTime(fromMs), to: isoTime(nowMs), feeders, settlement: { assumed: { voltageV: VOLTAGE_V }, rows } };
}

/** One level of an episode, for as long as it was in force. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly levelPercent: number;
  readonly reductionA: number;
}

interface SentEpisode {
  readonly first: Curtailment;
  readonly spans: readonly Span[];
  readonly startMs: number;
  /** Now, while it stands. */
  readonly endMs: number;
  readonly endedBy: EpisodeImpact['endedBy'];
  readonly dispatchedMs: number | null;
}

function episodesOf(requests: readonly SentRequest[], nowMs: number): SentEpisode[] {
  const byId = Map.groupBy(requests, ({ message }) => message.episodeId);
  return [...byId.values()].flatMap((of) => episodeOf(of, nowMs) ?? []);
}

/** Null for an episode of which only the release is left in the journal. */
function episodeOf(requests: readonly SentRequest[], nowMs: number): SentEpisode | null {
  const first = requests[0]?.message;
  if (first === undefined || first.action === 'release') return null;
  const spans: Span[] = [];
  let endedBy: EpisodeImpact['endedBy'] = null;
  for (const [index, { message }] of requests.entries()) {
    if (message.action === 'release') {
      endedBy = 'release';
      break;
    }
    const next = requests[index + 1]?.message;
    const endMs = Date.parse(message.end);
    const untilMs = Math.min(endMs, next === undefined ? nowMs : Date.parse(next.start));
    if (next === undefined && endMs <= nowMs) endedBy = 'lapse';
    const reductionA = Object.values(message.reductionA).reduce((sum, value) => sum + value, 0);
    spans.push({ fromMs: Date.parse(message.start), toMs: untilMs, levelPercent: message.levelPercent, reductionA });
  }
  const dispatched = requests.flatMap(({ acks }) => acks.filter(({ status }) => status === 'dispatched'));
  return {
    first,
    spans,
    startMs: Date.parse(first.start),
    endMs: spans.at(-1)?.toMs ?? Date.parse(first.start),
    endedBy,
    dispatchedMs: dispatched.length === 0 ? null : Math.min(...dispatched.map(({ at }) => Date.parse(at))),
  };
}

function feederImpact(
  { feederId, budget }: ImpactTerms,
  targetGroup: string | null,
  episodes: readonly SentEpisode[],
  nowMs: number,
): FeederImpact {
  const history = episodes.map((episode) => episodeImpact(episode, nowMs));
  const minutes = history.reduce((sum, episode) => sum + episode.minutes, 0);
  return {
    feederId,
    targetGroup,
    episodes: history.length,
    minutes: rounded(minutes),
    budget,
    withinBudget: isWithin(history.length, budget.episodesPerYear) && isWithin(minutes, budget.minutesPerYear),
    history,
  };
}

/** 0 is no budget. */
function isWithin(used: number, most: number): boolean {
  return most === 0 || used <= most;
}

function episodeImpact(episode: SentEpisode, nowMs: number): EpisodeImpact {
  const { first, spans, startMs, endMs, endedBy, dispatchedMs } = episode;
  // A head end whose clock is behind cannot have sent on what had not been asked.
  const countedMs = Math.max(startMs, dispatchedMs ?? startMs);
  let minutes = 0;
  for (const { fromMs, toMs, levelPercent } of spans) {
    minutes += ((1 - levelPercent / 100) * Math.max(0, toMs - Math.max(fromMs, countedMs))) / MINUTE_MS;
  }
  return {
    episodeId: first.episodeId,
    start: isoTime(startMs),
    end: endedBy === null && endMs >= nowMs ? null : isoTime(endMs),
    endedBy,
    countedFrom: dispatchedMs === null ? 'start' : 'dispatched',
    minutes: rounded(minutes),
    lowestLevelPercent: Math.min(...spans.map(({ levelPercent }) => levelPercent)),
  };
}

/**
 * Estimated: the relief asked for arrives and goes on a straight ramp over the response time; what was held back comes
 * back with the steps of the release, at the rate at which it was held at most, until all of it is back.
 */
function settlementOf(term: ImpactTerms, episodes: readonly SentEpisode[], nowMs: number): SettlementRow[] {
  const halfHours = new Map<string, { fromMs: number; group: string; heldA: number; returnedA: number }>();
  const add = (atMs: number, group: string, key: 'heldA' | 'returnedA', currentA: number) => {
    const fromMs = Math.floor(atMs / HALF_HOUR_MS) * HALF_HOUR_MS;
    const row = halfHours.get(`${fromMs} ${group}`) ?? { fromMs, group, heldA: 0, returnedA: 0 };
    row[key] += currentA;
    halfHours.set(`${fromMs} ${group}`, row);
  };
  for (const episode of episodes) sumEpisode(term, episode, nowMs, add);
  const kwh = (sumA: number) => rounded((sumA * VOLTAGE_V * STEP_MS) / 3.6e9, 3);
  return [...halfHours.values()]
    .sort((a, b) => a.fromMs - b.fromMs)
    .map(({ fromMs, group, heldA, returnedA }) => ({
      feederId: term.feederId,
      targetGroup: group,
      from: isoTime(fromMs),
      to: isoTime(fromMs + HALF_HOUR_MS),
      heldBackKwh: kwh(heldA),
      returnedKwh: kwh(returnedA),
    }));
}

type Add = (atMs: number, group: string, key: 'heldA' | 'returnedA', currentA: number) => void;

function sumEpisode({ responseTimeS }: ImpactTerms, episode: SentEpisode, nowMs: number, add: Add): void {
  const { startMs, endMs, first } = episode;
  const group = first.targetGroup.id;
  const responseMs = Math.max(STEP_MS, responseTimeS * 1000);
  let heldA = 0;
  let highestA = 0;
  let owed = 0;
  for (let atMs = startMs; atMs < Math.min(nowMs, endMs + RETURN_MAX_MS); atMs += STEP_MS) {
    const targetA = atMs >= endMs ? 0 : reliefAt(episode.spans, atMs);
    highestA = Math.max(highestA, targetA);
    const stepA = (highestA * STEP_MS) / responseMs;
    heldA = heldA < targetA ? Math.min(targetA, heldA + stepA) : Math.max(targetA, heldA - stepA);
    owed += heldA;
    add(atMs, group, 'heldA', heldA);
    // As the limit goes, what it held back comes on top of the load.
    const returnedA = targetA < highestA ? Math.min(owed, highestA - heldA) : 0;
    owed -= returnedA;
    add(atMs, group, 'returnedA', returnedA);
    if (atMs >= endMs && owed <= 0 && heldA === 0) return;
  }
}

function reliefAt(spans: readonly Span[], atMs: number): number {
  return spans.findLast(({ fromMs }) => fromMs <= atMs)?.reductionA ?? 0;
}

export function showImpact(impact: Impact, settlement: boolean, json: boolean): string {
  if (json) return `${JSON.stringify(settlement ? impact : { ...impact, settlement: undefined }, null, 2)}\n`;
  return `${[...feederLines(impact), ...(settlement ? settlementLines(impact) : [])].join('\n')}\n`;
}

function feederLines({ from, to, feeders }: Impact): string[] {
  const lines = [`limits in force from ${from} to ${to}, an upper bound for any one customer`];
  for (const { feederId, targetGroup, episodes, minutes, budget, withinBudget, history } of feeders) {
    const use = `${usedOf(episodes, budget.episodesPerYear)} episodes, ${usedOf(minutes, budget.minutesPerYear)} minutes`;
    lines.push(
      `${feederId} ${targetGroup ?? '-'}: ${use}${withinBudget ? '' : '  OVER BUDGET: reinforce this feeder'}`,
    );
    for (const { start, end, endedBy, minutes: lost, lowestLevelPercent, countedFrom } of history) {
      const until = end === null ? 'stands' : `to ${end} by ${endedBy}`;
      lines.push(`  ${start} ${until}: ${lost} min, down to ${lowestLevelPercent} %, counted from ${countedFrom}`);
    }
  }
  return lines;
}

function usedOf(used: number, most: number): string {
  return most === 0 ? `${used}` : `${used} of ${most}`;
}

function settlementLines({ settlement: { assumed, rows } }: Impact): string[] {
  const head = `estimated from the relief asked for, at ${assumed.voltageV} V; half hours of UTC`;
  const columns = 'from                      feeder        group           held back kWh   returned kWh';
  return [
    '',
    head,
    columns,
    ...rows.map(({ from, feederId, targetGroup, heldBackKwh, returnedKwh }) =>
      [
        from.padEnd(25),
        feederId.padEnd(13),
        targetGroup.padEnd(15),
        heldBackKwh.toFixed(3).padStart(13),
        returnedKwh.toFixed(3).padStart(14),
      ].join(' '),
    ),
  ];
}
