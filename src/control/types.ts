// What control takes and gives: the narrow settings that it needs, one reading, its state and its actions. All of it
// is plain data, so that a state can be written out and read back at any step. Times named `…Ms` are monotonic
// milliseconds; settings named `…S` are seconds, as the engineer wrote them.
import type { Conductor, Element, PerPhase, Phase, Quality, RequestAction } from '../feeder.ts';
import type { Reach } from './reach.ts';
import type { Usage } from './usage.ts';

/** IEC 61850 PTOC: pickupA = StrVal, delayS = OpDlTmms, resetDelayS = RsDlTmms. */
export interface DefiniteTimeSettings {
  readonly pickupA: number;
  readonly dropoutA: number;
  readonly delayS: number;
  readonly resetDelayS: number;
}

interface CurtailmentSettings {
  readonly mode: 'proportional' | 'onOff';
  readonly floorPercent: number;
  readonly leaseS: number;
  readonly refreshS: number;
  /** 0 switches the closed loop off: no effect is judged, no rebound expected. */
  readonly responseTimeS: number;
  readonly maxEpisodeS: number;
  readonly releaseStepPercent: number;
  readonly minOnS: number;
  readonly minOffS: number;
}

/** What customers may be asked for in a rolling year; 0 is no budget. */
export interface BudgetSettings {
  readonly episodesPerYear: number;
  readonly minutesPerYear: number;
  /** Holds back new limits of elements that are not urgent once the budget is spent; else it only alarms. */
  readonly refuseBeyond: boolean;
}

interface CapSettings {
  readonly operationsPerDay: number;
  readonly requestsPerHour: number;
  readonly deepestLevelPercent: number;
  readonly longestLeaseS: number;
  /** Of the whole substation. */
  readonly feedersAtOnce: number;
}

/**
 * Inverse time by IEC 60255-151: t = TMS·k / ((I/pickupA)^α − 1), the share of t that has run summed over time. The
 * reset is definite: below dropoutA for resetDelayS.
 */
export interface InverseSettings {
  readonly curve: 'SI' | 'VI' | 'EI';
  readonly pickupA: number;
  readonly timeMultiplier: number;
  readonly dropoutA: number;
  readonly resetDelayS: number;
}

/**
 * Oil and winding of a transformer by the difference equations of IEC 60076-7, for k21 = 1 as distribution transformers
 * have it. Heat is then the rise of the hot spot over `ambientC`, in percent of what brings it to `hotSpotC`.
 */
export interface OilSettings {
  readonly ambientC: number;
  readonly hotSpotC: number;
  /** At the rated current: of the top oil over ambient, and of the hot spot over the top oil. */
  readonly topOilRiseK: number;
  readonly hotSpotGradientK: number;
  /** Load losses over no-load losses at the rated current: R. */
  readonly lossRatio: number;
  /** x and y. */
  readonly oilExponent: number;
  readonly windingExponent: number;
  readonly oilTimeConstantMin: number;
  readonly windingTimeConstantMin: number;
  /** k11 stretches the time constant of the oil, k22 that of the winding. */
  readonly k11: number;
  readonly k22: number;
}

/** Thermal replica by IEC 60255-149 (IEC 61850 PTTR); percent of the heat that `ratingA` brings in the end. */
export interface ThermalSettings {
  readonly ratingA: number;
  readonly timeConstantMin: number;
  /** While it cools; the same as heating where nothing else is known. */
  readonly coolingTimeConstantMin: number;
  readonly leadTimeMin: number;
  readonly resetPercent: number;
  /** Null for no alarm before it operates. */
  readonly alarmPercent: number | null;
  /** In place of the two time constants. */
  readonly oil?: OilSettings | undefined;
}

/** The elements of one conductor; what is not there is off. */
export interface ElementSettings {
  readonly atRisk?: DefiniteTimeSettings | undefined;
  readonly emergency?: DefiniteTimeSettings | undefined;
  readonly inverse?: InverseSettings | undefined;
  readonly thermal?: ThermalSettings | undefined;
}

/** Everything about one feeder that decisions depend on: one settings group in force. */
export interface ControlSettings extends ElementSettings {
  /** Of the settings group; a change of it is an event. */
  readonly group: string;
  /** What the feeder may carry continuously. */
  readonly ratingA: number;
  readonly atRisk: DefiniteTimeSettings;
  readonly neutral?: ElementSettings | undefined;
  readonly curtailment: CurtailmentSettings;
  readonly budget: BudgetSettings;
  readonly caps: CapSettings;
  /** A first guess of what requests can move per phase; null where nobody knows. */
  readonly controllableA: { readonly [P in Phase]: number } | null;
  /** A reading older than this is no reading. */
  readonly staleAfterMs: number;
  /** The chargers that requests of this group reach, in a word; null for none. */
  readonly target?: string | null;
  /** Whether the sign of power has been confirmed, so that a current is known to be load; unknown where it is left out. */
  readonly signConfirmed?: { readonly [P in Phase]: boolean };
  /** The current does not answer to requests, as in a recording: no effect is judged, learned or expected. */
  readonly isOpenLoop?: boolean;
  /** False where the feeder has no target group: it alarms, and asks for nothing. */
  readonly mayRequest: boolean;
}

/** The reading as control sees it; a FeederReading fits. */
export interface ControlReading {
  readonly atMs: number;
  readonly L1: ConductorInput;
  readonly L2: ConductorInput;
  readonly L3: ConductorInput;
  readonly N: ConductorInput;
  /** The phases that feed back, as far as the sign of their power is confirmed. */
  readonly exporting?: readonly Phase[];
}
export interface ConductorInput {
  readonly currentA: number | null;
  readonly quality: Quality;
}

/** One element on one conductor. `pickedUp` counts its delay, `operated` stays until it has dropped out. */
export interface ElementState {
  status: 'normal' | 'pickedUp' | 'operated';
  /** Since when the pickup has been held without a break. */
  overSinceMs: number;
  /** When it last operated. */
  operatedMs: number;
  /** Since when the current has been under dropout; null while it is not. */
  underSinceMs: number | null;
  /** True after the episode's length cap: it asks for nothing until it has dropped out. */
  locked: boolean;
}

export interface InverseState extends ElementState {
  /** The share of the operating time that has run, 0 to 1, as counted up to `countedMs`; `countedA` has held since. */
  progress: number;
  countedMs: number;
  countedA: number;
}

export interface ThermalState extends ElementState {
  /**
   * `no` before the first good reading; `kept` over a time away that nobody knows the length of; `given` by whoever
   * starts a replay; `yes` once readings count.
   */
  known: 'no' | 'kept' | 'given' | 'yes';
  /** Heat at `heatMs`, in percent of what the rating brings in the end; `heatA` has held since. */
  heatPercent: number;
  /** What the winding of a transformer adds to the heat of its oil, which is `heatPercent` then; else 0. */
  windingPercent: number;
  heatMs: number;
  heatA: number;
  /** The alarm level has been passed. */
  alarmed: boolean;
  /** Until when the heat rests on an assumption that may still matter. */
  doubtUntilMs: number;
}

/** One conductor as it is seen, and the elements that watch it. */
export interface ConductorState {
  /** The latest usable reading: its time, null before the first. */
  usableMs: number | null;
  /** The latest good one. */
  goodMs: number | null;
  currentA: number;
  /** Of the latest reading, usable or not. */
  quality: Quality;
  /** The latest usable reading is not older than the staleness limit. */
  fresh: boolean;
  readonly atRisk: ElementState;
  readonly emergency: ElementState;
  readonly inverse: InverseState;
  readonly thermal: ThermalState;
}

/** An element that watches a conductor by its own settings. */
export type OwnElement = Exclude<Element, 'transformer'>;

/** Why the transformer asks, for people; its own currents and settings. */
export interface TransformerCause {
  readonly element: OwnElement;
  readonly currentA: number;
  readonly pickupA: number;
  readonly thermalPercent: number | null;
  readonly timeToLimitS: number | null;
}

/** What the transformer says of one phase of a feeder: what its elements do there, the relief it wants, the room it has. */
export interface TransformerWord {
  readonly status: ElementState['status'];
  readonly overSinceMs: number;
  readonly operatedMs: number;
  readonly cause: TransformerCause | null;
  readonly shareA: number;
  readonly roomA: number | null;
  /** Its current is measured now: what rests on it, or waits for its room, may be refreshed. */
  readonly isSeen: boolean;
}

/** A phase: its elements, and the limit that stands on it. */
export interface PhaseState extends ConductorState {
  /** What the transformer's elements do on this phase. */
  readonly transformer: ElementState;
  /** Which of them is foremost, and what it rests on; null while none has operated. */
  transformerCause: TransformerCause | null;
  /** The relief that the transformer wants of this phase beyond what it sees; 0 while it asks for none. */
  transformerShareA: number;
  /** What may come back here as far as the transformer has room for it; null where it has no say. */
  transformerRoomA: number | null;
  /** False while it has a say and its current is not measured. */
  transformerSeen: boolean;
  /** Of the two usable readings before the next one. */
  lastA: number;
  beforeLastA: number;
  /** It fell from a load to nothing at once. */
  isDead: boolean;
  /** Since when it has fed back without a break; null while it does not, or nobody knows. */
  exportsSinceMs: number | null;
  /** It has fed back for the whole delay: what is over is no load that could be limited. */
  isReverse: boolean;
  /** The permitted level in force; 100 is no limit. */
  levelPercent: number;
  /** The relief asked for, against unrestricted demand, and how much of the former one had been delivered then. */
  reductionA: number;
  deliveredA: number;
  deliveredSinceMs: number;
  /** The effect of the standing level has been measured: `deliveredA` is what came of it. */
  isJudged: boolean;
  /** The current when the level was last set lower. */
  askedAtA: number;
  /** What it would have been then without a limit, as far as that was measured. */
  atLimitA: number;
  /** How far the current has been seen to fall from there while the effect came in. */
  goneA: number;
  /** What the last step of release brings back, and since when. */
  returningA: number;
  returningSinceMs: number;
  readonly reach: Reach;
}

export interface Trigger {
  readonly element: Element;
  /** Not held back by minimum times, dwell, operation caps or budget. */
  readonly isUrgent: boolean;
  readonly phase: Conductor;
  readonly pickupA: number;
  readonly pickedUpMs: number;
}

/** From the first pickup that operated to the full release. */
export interface Episode {
  readonly startedMs: number;
  /** What `maxEpisodeS` counts from: the start less what held the limit back, or when another element asked after the cap. */
  lengthFromMs: number;
  trigger: Trigger;
  readonly firstLimitMs: number;
  /** Of the last message. */
  requestedMs: number;
  endMs: number;
  /** Of the last deeper level, and of the last shallower one since; null where there was none. */
  deepenedMs: number;
  steppedMs: number | null;
  /** Why only steps of release are left, whatever is measured; null while what is measured decides. */
  endedBy: 'maxEpisodeS' | 'block' | 'release' | 'reverseOverload' | null;
}

/** Three conductors that are watched together: a feeder, or a transformer. */
export interface ThreePhases {
  readonly L1: ConductorState;
  readonly L2: ConductorState;
  readonly L3: ConductorState;
  /** No usable reading on any phase. */
  blind: boolean;
  /** The heat of a phase rests on an assumption that may still matter. */
  heatAssumed: boolean;
  /** The rating that heat is in percent of, since the settings came into force; null without the element, and with oil. */
  heatRatingA: number | null;
  /** Up to when everything that was due has been run, and how often more within that millisecond. */
  steppedToMs: number;
  runsAtOnce: number;
  /** Alarms that are standing. */
  alarms: AlarmName[];
}

export interface FeederState extends ThreePhases {
  readonly L1: PhaseState;
  readonly L2: PhaseState;
  readonly L3: PhaseState;
  readonly N: ConductorState;
  episode: Episode | null;
  /** Of the last release, for `minOffS` and against hunting. */
  releasedMs: number | null;
  /** Times of the limits and refreshes of the last hour, and of the new limits of the last day, oldest first. */
  requestTimesMs: number[];
  operationTimesMs: number[];
  readonly usage: Usage;
  /** Until when nothing is released after a dead phase has come back. */
  releaseHeldUntilMs: number | null;
  /** The settings group that was put in force last, and until when if that was by command; null before the first. */
  group: string | null;
  groupByCommand: boolean;
  groupUntilMs: number | null;
  /** How many other feeders of the substation have a limit: for whoever steps several feeders to say. */
  othersLimited: number;
  /** What an operator has blocked, each until its own end. */
  blocks: Block[];
  /** Until when requests are marked as a test; null in service. */
  testUntilMs: number | null;
}

/** An element, or with null the whole feeder, that asks for nothing until `untilMs`. It is measured all the same. */
interface Block {
  readonly element: Element | null;
  readonly untilMs: number;
}

/**
 * What an operator or the head end asks of one feeder. Whoever received it has checked its form, its sender and its
 * expiry; control says whether it can be done.
 */
export type ControlCommand =
  | {
      readonly action: 'block';
      /** Null for the whole feeder. */
      readonly element: Element | null;
      /** At most BLOCK_LONGEST_MS from now. */
      readonly untilMs: number;
      /** Whether a standing limit is released at once and not in steps. */
      readonly immediate: boolean;
    }
  | { readonly action: 'unblock'; readonly element: Element | null }
  | { readonly action: 'release'; readonly immediate: boolean }
  /** Null ends test mode. */
  | { readonly action: 'testMode'; readonly untilMs: number | null };

/**
 * `reinforce`: an episode reached its longest time. `lapsed`: a limit ended because it could not be refreshed.
 * `requestCap`, `operationCap`, `feederCap`: a limit is wanted and a cap holds it back. `noTarget`: an element operated
 * and there is nobody (more) to ask. `noEffect`: a limit moved nothing and was released. `budgetNear`, `budget`: customers'
 * minutes or episodes of the year are nearly or wholly spent. `thermalAlarm`: the heat of a phase is at or above `alarmPercent`.
 * `dueAgain`: something fell due at one instant again and again, and timers wait for it (three-phases.ts).
 */
export type AlarmName =
  | 'budgetNear'
  | 'budget'
  | 'noEffect'
  | 'reinforce'
  | 'lapsed'
  | 'requestCap'
  | 'operationCap'
  | 'feederCap'
  | 'noTarget'
  | 'thermalAlarm'
  | 'phaseDead'
  | 'reverseOverload'
  | 'measurementLost'
  | 'dueAgain';

type EventType =
  | 'pickup'
  | 'operate'
  | 'dropout'
  | 'limit'
  | 'refresh'
  | 'release'
  | 'alarm'
  | 'alarmEnd'
  | 'blind'
  | 'block'
  | 'test'
  | 'settings';

export interface EventAction {
  readonly kind: 'event';
  readonly type: EventType;
  readonly atMs: number;
  readonly element?: Element;
  readonly phase?: Conductor;
  readonly currentA?: number;
  readonly levelPercent?: number;
  readonly alarm?: AlarmName | 'blind' | 'thermalAssumed';
  /** Of events of the thermal element. */
  readonly thermalPercent?: number;
  readonly reason: string;
}

export interface ControlRequest {
  readonly kind: 'request';
  readonly action: RequestAction;
  /** When control decided it. */
  readonly atMs: number;
  /** Of the limit; of the limit that it ends, where it is a release. */
  readonly endMs: number;
  /** When the episode's first pickup was. */
  readonly episodeStartedMs: number;
  /** Only the phases that the request concerns. */
  readonly levelPercent: PerPhase<number>;
  readonly reductionA: PerPhase<number>;
  readonly trigger: Trigger;
  /** Of the trigger's phase: heat, and time to 100 % at the present current; null without a thermal element or where it never comes. */
  readonly thermalPercent: number | null;
  readonly timeToLimitS: number | null;
  readonly currentA: { readonly [P in Phase]: number | null } & { readonly N: number | null };
  readonly quality: { readonly [P in Phase]: Quality };
  /** Age of the oldest reading that it rests on. */
  readonly readingAgeMs: number;
  readonly reason: string;
  readonly mode: 'live' | 'test';
  /** The settings group that it was decided by. */
  readonly group: string;
}

export type Action = EventAction | ControlRequest;
