// One meter: at each poll reads its phase currents, the circuits that belong together in one telegram, and gives a
// reading for every feeder on it, good or bad. What does not ride with them (a neutral far away, power, what shows that
// the meter lives) follows at its own slow pace and is given with the next reading.
import type { Clock } from '../clock.ts';
import { type PerPhase, PHASES, type Phase, type QualityReason } from '../feeder.ts';
import type { ModbusSettings } from '../source-settings.ts';
import { decode } from './decode.ts';
import type { Fault, ModbusConnection, ReadAnswer } from './modbus-connection.ts';
import type { WireRead } from './modbus-port.ts';
import { planReads, type ReadPlan, type Telegram } from './read-plan.ts';
import { circuitOf, LIVENESS, layoutsOf, livenessOf, type Register, type RegisterMap } from './register-map.ts';
import type { Given, SourceEvents, SourceReading } from './source-reading.ts';
import { findModel } from './sunspec.ts';

/** A feeder that takes its currents from this source. */
export interface FeederBinding {
  readonly feederId: string;
  /** Which of the meter's circuits it is. */
  readonly circuit: number;
  /** Whether a neutral that the meter does not give is estimated from the phases. */
  readonly estimatesNeutral: boolean;
  /** How long a current may stand still before anything is made of it; null where nothing is. */
  readonly frozenMs: number | null;
}

/** Neither a neutral nor a direction changes in what a cable feels in less: their telegram holds the wire that the phases want. */
const SLOW_EVERY_MS = 1_000;
/** What only shows that the meter lives is looked at ten times and more before it counts. */
const LIVENESS_EVERY_MS = 10_000;
const LIVENESS_LOOKS = 10;
/** Illegal address, illegal value: the meter has not all the words that the telegram asks for. */
const NOT_ALL_WORDS = [2, 3];

type Decoded = number | QualityReason;

/** The registers of one circuit, and of the meter as a whole what shows that it lives. */
interface CircuitRegisters {
  readonly phases: { readonly [P in Phase]: PhaseRegisters };
  readonly neutral: Register | undefined;
  readonly liveness: Register | undefined;
}
interface PhaseRegisters {
  readonly current: Register | undefined;
  readonly power: Register | undefined;
  readonly apparentPower: Register | undefined;
  readonly voltage: Register | undefined;
}

export class ModbusSource {
  readonly #settings: ModbusSettings;
  readonly #map: RegisterMap;
  readonly #bindings: readonly FeederBinding[];
  readonly #connection: ModbusConnection;
  readonly #clock: Clock;
  readonly #events: SourceEvents;
  /** Null while a SunSpec meter has not been found. */
  #plan: ReadPlan | null;
  #registers: readonly Register[];
  /** By circuit, for those that feeders are on. */
  #byCircuit: ReadonlyMap<number, CircuitRegisters> = new Map();
  /** The telegrams of each group of circuits that the meter has not refused. */
  #usable: Telegram[][] = [];
  #isReading = false;
  #isAnswering: boolean | null = null;
  #slowDueMs: number[] = [];
  readonly #livenessEveryMs: number;
  readonly #values = new Map<Register, { atMs: number; decoded: Decoded }>();

  /** Throws when the phases of a circuit cannot be read in one telegram, which the configuration's checks rule out. */
  constructor(
    settings: ModbusSettings,
    map: RegisterMap,
    bindings: readonly FeederBinding[],
    connection: ModbusConnection,
    clock: Clock,
    events: SourceEvents,
  ) {
    this.#settings = settings;
    this.#map = map;
    this.#bindings = bindings;
    this.#connection = connection;
    this.#clock = clock;
    this.#events = events;
    this.#registers = map.registers;
    this.#plan = null;
    const looksMs = bindings.map(({ frozenMs }) => (frozenMs ?? Number.POSITIVE_INFINITY) / LIVENESS_LOOKS);
    this.#livenessEveryMs = Math.max(SLOW_EVERY_MS, Math.min(LIVENESS_EVERY_MS, ...looksMs));
    if (map.sunspec === undefined) this.#adopt(planReads(map, this.#circuits()));
  }

  /** One poll. While the last one is still waiting for its answer this does nothing: a slow meter sets its own pace. */
  poll(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    if (this.#plan === null) void this.#find();
    else this.#readPhases(this.#plan, 0);
  }

  /** A source that no feeder is on is read all the same, so that its state is known. */
  #circuits(): number[] {
    const bound = this.#bindings.map(({ circuit }) => circuit);
    return bound.length > 0 ? bound : [Math.min(...this.#registers.map(circuitOf))];
  }

  #adopt(plan: ReadPlan | null): void {
    if (plan === null) throw new Error(`source ${this.#settings.id}: no telegram holds the phases of a circuit`);
    this.#plan = plan;
    this.#slowDueMs = plan.others.map(() => Number.NEGATIVE_INFINITY);
    this.#byCircuit = new Map(this.#circuits().map((circuit) => [circuit, registersOf(this.#registers, circuit)]));
    this.#values.clear();
    this.#forgetRefusals();
  }

  #forgetRefusals(): void {
    this.#usable = (this.#plan?.phases ?? []).map(({ telegrams }) => [...telegrams]);
  }

  async #find(): Promise<void> {
    const found = await findModel((read) => new Promise((done) => this.#read([read], done)), this.#map);
    this.#isReading = false;
    if ('detail' in found) return this.#deliver(this.#bindings, { fault: 'noAnswer', detail: found.detail });
    const layout = layoutsOf(this.#map)[found.layout];
    if (layout === undefined) return;
    this.#registers = layout.registers;
    this.#adopt(planReads(layout, this.#circuits(), found.place));
    this.poll();
  }

  #read<R extends WireRead>(reads: readonly R[], done: (answer: ReadAnswer<R>) => void): void {
    const { unitId, timeoutMs, pauseMs } = this.#settings;
    this.#connection.read({ unitId, reads, timeoutMs, pauseMs }, done);
  }

  /** Reads the circuits from group `index` on, one telegram after another. */
  #readPhases(plan: ReadPlan, index: number): void {
    const group = plan.phases[index];
    if (group === undefined) return this.#readSlow(plan);
    this.#read(this.#usable[index] ?? group.telegrams, (answer) => {
      if ('fault' in answer && this.#refused(index, answer)) return this.#readPhases(plan, index);
      const judged = 'words' in answer ? this.#take(answer.read, answer.words) : answer;
      const isLast = index === plan.phases.length - 1;
      if (judged !== null && judged.fault !== 'exception') {
        // The circuits behind it would wait for the same silence again.
        this.#isReading = false;
        return this.#deliver(this.#boundTo(plan, index), judged);
      }
      if (isLast) this.#isReading = false;
      this.#deliver(this.#boundTo(plan, index, index), judged);
      if (!isLast) this.#readPhases(plan, index + 1);
      else if (judged === null) this.#readSlow(plan);
    });
  }

  /** Whether the meter refused words that it was asked for beside the phases; it is not asked for them again. */
  #refused(index: number, { exception }: Fault): boolean {
    const usable = this.#usable[index];
    if (exception === undefined || usable === undefined || !NOT_ALL_WORDS.includes(exception.code)) return false;
    const left = usable.filter((telegram) => telegram !== exception.read);
    if (left.length === usable.length || left.every(({ isGuess }) => isGuess)) return false;
    this.#usable[index] = left;
    return true;
  }

  /** The bindings of the groups from `first` to `last`. */
  #boundTo(plan: ReadPlan, first: number, last = plan.phases.length - 1): FeederBinding[] {
    const circuits = plan.phases.slice(first, last + 1).flatMap((group) => group.circuits);
    return this.#bindings.filter(({ circuit }) => circuits.includes(circuit));
  }

  /** Keeps what the answer says; a fault where it is not from the model that the plan is for. */
  #take({ signature, fields }: Telegram, words: readonly number[]): Fault | null {
    if (signature?.words.some((word, index) => words[signature.offset + index] !== word)) {
      this.#plan = null;
      return { fault: 'invalidFrame', detail: `SunSpec model ${signature.words[0]} is not where it was` };
    }
    const atMs = this.#clock.monotonicMs();
    for (const { register, offset, scaleOffset } of fields) {
      this.#values.set(register, { atMs, decoded: decode(words, offset, register, scaleOffset) });
    }
    return null;
  }

  #readSlow(plan: ReadPlan): void {
    const nowMs = this.#clock.monotonicMs();
    const longestDueMs = Math.min(...this.#slowDueMs);
    const index = this.#slowDueMs.indexOf(longestDueMs);
    const telegram = plan.others[index];
    this.#isReading = telegram !== undefined && longestDueMs <= nowMs;
    if (telegram === undefined || !this.#isReading) return;
    this.#slowDueMs[index] = nowMs + this.#everyMs(telegram);
    this.#read([telegram], (answer) => {
      this.#isReading = false;
      if ('words' in answer) this.#take(telegram, answer.words);
      else
        for (const { register } of telegram.fields) this.#values.set(register, { atMs: nowMs, decoded: answer.fault });
    });
  }

  #everyMs({ fields }: Telegram): number {
    const isLiveness = fields.every(({ register }) => LIVENESS.includes(register.quantity));
    return isLiveness ? this.#livenessEveryMs : SLOW_EVERY_MS;
  }

  #deliver(bindings: readonly FeederBinding[], fault: Fault | null): void {
    const atMs = this.#clock.monotonicMs();
    this.#events.readings(bindings.map((binding) => this.#readingOf(binding, fault, atMs)));
    const isAnswering = fault === null;
    if (isAnswering === this.#isAnswering) return;
    this.#isAnswering = isAnswering;
    if (isAnswering === false) this.#forgetRefusals();
    this.#events.sourceChanged(this.#settings.id, isAnswering, fault?.detail ?? 'answers');
  }

  #readingOf({ feederId, circuit, estimatesNeutral }: FeederBinding, fault: Fault | null, atMs: number): SourceReading {
    const registers = this.#byCircuit.get(circuit) ?? NO_REGISTERS;
    const phase = (name: Phase): Given => fault?.fault ?? this.#currentOf(registers.phases[name]);
    const [L1, L2, L3] = [phase('L1'), phase('L2'), phase('L3')];
    const measured = this.#slow(registers.neutral, SLOW_EVERY_MS, atMs);
    const neutral = measured ?? (estimatesNeutral ? estimateNeutral(L1, L2, L3) : 'unavailable');
    const liveness = this.#slow(registers.liveness, this.#livenessEveryMs, atMs);
    const powerW: { -readonly [P in Phase]?: number } = {};
    for (const name of PHASES) {
      const watts = this.#slow(registers.phases[name].power, SLOW_EVERY_MS, atMs);
      if (typeof watts === 'number') powerW[name] = watts;
    }
    return {
      feederId,
      sourceId: this.#settings.id,
      atMs,
      L1,
      L2,
      L3,
      N: neutral,
      powerW: powerW satisfies PerPhase<number>,
      ...(typeof liveness === 'number' && { liveness }),
    };
  }

  /** As it came with the latest answer: where the meter gives none, from apparent power and voltage. */
  #currentOf({ current, apparentPower, voltage }: PhaseRegisters): Given {
    if (current !== undefined) return this.#latest(current);
    const powerVA = this.#latest(apparentPower);
    const voltageV = this.#latest(voltage);
    if (typeof powerVA !== 'number') return powerVA;
    if (typeof voltageV !== 'number') return voltageV;
    return voltageV > 0 ? { value: powerVA / voltageV, doubt: 'derived' } : 'notANumber';
  }

  #latest(register: Register | undefined): Decoded {
    return (register && this.#values.get(register)?.decoded) ?? 'unavailable';
  }

  /** The latest value of what may be read at a slow pace; undefined where the map has none, a reason where it is old. */
  #slow(register: Register | undefined, everyMs: number, atMs: number): Decoded | undefined {
    if (register === undefined) return undefined;
    const { pollMs, timeoutMs } = this.#settings;
    // Three of its reads, as for the phases; one slow telegram is read behind a poll at most.
    const staleMs = 3 * Math.max(everyMs, pollMs * this.#slowDueMs.length) + timeoutMs;
    const value = this.#values.get(register);
    return value === undefined || atMs - value.atMs > staleMs ? 'unavailable' : value.decoded;
  }
}

function registersOf(registers: readonly Register[], circuit: number): CircuitRegisters {
  const find = (quantity: Register['quantity'], conductor: string) =>
    registers.find((one) => one.quantity === quantity && circuitOf(one) === circuit && one.conductor === conductor);
  const phase = (name: Phase): PhaseRegisters => ({
    current: find('current', name),
    power: find('power', name),
    apparentPower: find('apparentPower', name),
    voltage: find('voltage', name),
  });
  return {
    phases: { L1: phase('L1'), L2: phase('L2'), L3: phase('L3') },
    neutral: find('current', 'N'),
    liveness: livenessOf(registers),
  };
}

/** Before a SunSpec meter has been found. */
const NO_REGISTERS = registersOf([], 1);

/** Three currents 120° apart at equal power factors; what they leave of third harmonics comes on top, so it is never good. */
function estimateNeutral(...phases: readonly Given[]): Given {
  const [a, b, c] = phases.map((given) => (typeof given === 'object' ? given.value : given));
  if (typeof a !== 'number' || typeof b !== 'number' || typeof c !== 'number') return 'unavailable';
  return { value: Math.sqrt(Math.max(0, a * a + b * b + c * c - a * b - b * c - c * a)), doubt: 'estimated' };
}
