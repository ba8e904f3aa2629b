// Which telegrams read a meter. The three phase currents of a circuit always come in one, so that they belong to one
// instant; what else is wanted rides with them where that costs less than a telegram of its own, and the rest follows
// in as few telegrams as it takes. No telegram is longer than the meter gives or touches what it refuses. Pure.
import { PHASES } from '../feeder.ts';
import type { WireRead } from './modbus-port.ts';
import { circuitOf, livenessOf, type Register, type Registers, WORDS_OF } from './register-map.ts';

/** A register that a telegram carries, with the place of its first word and of its scale factor in the answer. */
interface Field {
  readonly register: Register;
  readonly offset: number;
  readonly scaleOffset: number | null;
}

export interface Telegram extends WireRead {
  readonly fields: readonly Field[];
  /** Words that must stand at the beginning of a SunSpec model, or the registers are not those of the plan. */
  readonly signature: { readonly offset: number; readonly words: readonly number[] } | null;
}

/** Circuits that are read together. */
interface PhasesPlan {
  readonly circuits: readonly number[];
  /** Telegrams that carry all their phases, each of another length; the first is the best one. */
  readonly telegrams: readonly Telegram[];
}

export interface ReadPlan {
  readonly phases: readonly PhasesPlan[];
  /** What did not fit: neutral, power and what shows that the meter lives, read at their own slow pace. */
  readonly others: readonly Telegram[];
}

/** Where a SunSpec model stands; its ID and its length are read with every telegram. */
export interface ModelPlace {
  readonly address: number;
  readonly model: number;
  readonly lengthWords: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** A round trip costs about as much as so many words: a shorter gap is read, a longer one is not. */
const GAP_WORDS = 16;
/** Telegrams that only differ in length are for serial lines, where words cost time. */
const LENGTHS = 4;
const GUESSES = 2;

/** The plan for `circuits`; null where the phases of one cannot be read in one telegram. */
export function planReads(
  map: Registers,
  circuits: readonly number[],
  place: ModelPlace | null = null,
): ReadPlan | null {
  const planner = new Planner(map, place);
  const groups: PhasesPlan[] = [];
  for (const circuit of [...new Set(circuits)].sort((a, b) => a - b)) {
    const last = groups.at(-1);
    const joined = last && planner.phases([...last.circuits, circuit], GAP_WORDS);
    const alone = joined ? null : planner.phases([circuit], Number.POSITIVE_INFINITY);
    if (joined) groups[groups.length - 1] = joined;
    else if (alone !== null) groups.push(alone);
    else return null;
  }
  const carried = new Set<Register>();
  const phases = groups.map((group) => ofItsOwn(group, carried));
  const left = circuits.flatMap((circuit) => planner.wanted(circuit)).filter((register) => !carried.has(register));
  return { phases, others: planner.pack([...new Set(left)]) };
}

/** Circuits may stand between one another: a telegram gives what is of its own, and what no earlier one gives. */
function ofItsOwn({ circuits, telegrams }: PhasesPlan, carried: Set<Register>): PhasesPlan {
  const isOwn = ({ register }: Field) =>
    !carried.has(register) && (register.conductor === undefined || circuits.includes(circuitOf(register)));
  const own = telegrams.map((telegram) => ({ ...telegram, fields: telegram.fields.filter(isOwn) }));
  for (const { register } of own[0]?.fields ?? []) carried.add(register);
  return { circuits, telegrams: own };
}

class Planner {
  readonly #map: Registers;
  readonly #place: ModelPlace | null;

  constructor(map: Registers, place: ModelPlace | null) {
    this.#map = map;
    this.#place = place;
  }

  /** The phases of these circuits in one telegram and in other lengths of it; null where none can hold them. */
  phases(circuits: readonly number[], longestGap: number): PhasesPlan | null {
    const needed = circuits.flatMap((circuit) => this.#phaseRegisters(circuit));
    const code = needed[0]?.functionCode;
    const spans = needed.map((register) => this.#spanOf(register));
    const header = this.#place === null ? [] : [{ from: this.#place.address, to: this.#place.address + 2 }];
    const least = join([...spans, ...header]);
    const isWhole = circuits.every((circuit) => this.#phaseRegisters(circuit).length >= PHASES.length);
    if (code === undefined || !isWhole || needed.some(({ functionCode }) => functionCode !== code)) return null;
    if (largestGap(spans) > longestGap || !this.#isReadable(code, least)) return null;
    const telegrams = this.#lengths(circuits, code, least).map(({ span, isGuess }) =>
      this.#telegram(this.#map.registers, code, span, isGuess),
    );
    return { circuits, telegrams };
  }

  /** What is wanted of a circuit beside its phases. */
  wanted(circuit: number): Register[] {
    const { registers } = this.#map;
    const of = (quantity: Register['quantity'], conductors: readonly string[]) =>
      registers.filter(
        (one) => one.quantity === quantity && circuitOf(one) === circuit && conductors.includes(one.conductor ?? ''),
      );
    const alive = livenessOf(registers);
    return [...of('current', ['N']), ...of('power', PHASES), ...(alive === undefined ? [] : [alive])];
  }

  /** As few telegrams as hold these registers. */
  pack(registers: readonly Register[]): Telegram[] {
    const telegrams: { code: 3 | 4; span: Span }[] = [];
    const inOrder = registers.map((register) => ({ code: register.functionCode, span: this.#spanOf(register) }));
    for (const { code, span } of inOrder.sort((a, b) => a.code - b.code || a.span.from - b.span.from)) {
      const last = telegrams.at(-1);
      const joined = last?.code === code ? join([last.span, span]) : null;
      if (last && joined && span.from - last.span.to <= GAP_WORDS && this.#isReadable(code, joined)) last.span = joined;
      else telegrams.push({ code, span });
    }
    // What lies between them has been read with the phases, or is not wanted.
    return telegrams.map(({ code, span }) => this.#telegram(registers, code, span, false));
  }

  /** Currents, or what they are derived from. */
  #phaseRegisters(circuit: number): Register[] {
    return PHASES.flatMap((phase) => {
      const find = (quantity: Register['quantity']) =>
        this.#map.registers.find(
          (one) => one.quantity === quantity && one.conductor === phase && circuitOf(one) === circuit,
        );
      const current = find('current');
      if (current !== undefined) return [current];
      const [apparentPower, voltage] = [find('apparentPower'), find('voltage')];
      return apparentPower !== undefined && voltage !== undefined ? [apparentPower, voltage] : [];
    });
  }

  /**
   * Spans of different lengths that hold `least`: first with all that is wanted and near, then the bare one, then with
   * neighbours that the map names, and last with words that it does not name and that the meter may refuse.
   */
  #lengths(circuits: readonly number[], code: 3 | 4, least: Span): { span: Span; isGuess: boolean }[] {
    const grow = (span: Span, more: Span) => {
      const grown = join([span, more]);
      const isNear = more.from - span.to <= GAP_WORDS && span.from - more.to <= GAP_WORDS;
      return isNear && this.#isReadable(code, grown) ? grown : span;
    };
    const spansOf = (registers: readonly Register[]) =>
      registers.filter(({ functionCode }) => functionCode === code).map((register) => this.#spanOf(register));
    const wanted = spansOf(circuits.flatMap((circuit) => this.wanted(circuit))).sort((a, b) => a.from - b.from);
    const best = wanted.reduce(grow, least);
    const spans = [best, least];
    for (const neighbour of spansOf(this.#map.registers).sort((a, b) => distance(a, least) - distance(b, least))) {
      spans.push(grow(least, neighbour), grow(best, neighbour));
    }
    const unlike = (all: Span[]) => all.filter((a, index) => all.findIndex((b) => length(a) === length(b)) === index);
    const sure = unlike(spans).slice(0, LENGTHS);
    const longest = sure.reduce((a, b) => (length(b) > length(a) ? b : a), least);
    const guesses = Array.from({ length: GUESSES }, (_, index) => ({ ...longest, to: longest.to + 2 * (index + 1) }));
    return [
      ...sure.map((span) => ({ span, isGuess: false })),
      ...guesses.filter((span) => this.#isReadable(code, span)).map((span) => ({ span, isGuess: true })),
    ];
  }

  #telegram(registers: readonly Register[], functionCode: 3 | 4, { from, to }: Span, isGuess: boolean): Telegram {
    const fields = registers.flatMap((register): Field[] => {
      const span = this.#spanOf(register);
      if (register.functionCode !== functionCode || span.from < from || span.to > to) return [];
      const at = (address: number) => address + (this.#place?.address ?? 0) - from;
      const { scaleRegister } = register;
      return [
        {
          register,
          offset: at(register.address),
          scaleOffset: scaleRegister === undefined ? null : at(scaleRegister),
        },
      ];
    });
    const place = this.#place;
    const isSigned = place !== null && from <= place.address && to >= place.address + 2;
    const signature = isSigned ? { offset: place.address - from, words: [place.model, place.lengthWords] } : null;
    return { functionCode, address: from, count: to - from, fields, signature, isGuess };
  }

  /** The words of a register and of its scale factor, on the wire. */
  #spanOf({ address, type, scaleRegister }: Register): Span {
    const base = this.#place?.address ?? 0;
    const own = { from: base + address, to: base + address + WORDS_OF[type] };
    if (scaleRegister === undefined) return own;
    return join([own, { from: base + scaleRegister, to: base + scaleRegister + 1 }]);
  }

  #isReadable(code: 3 | 4, span: Span): boolean {
    const isForbidden = this.#map.unreadable?.some(
      ({ functionCode, from, to }) => functionCode === code && span.from <= to && span.to > from,
    );
    return length(span) <= this.#map.longestReadWords && span.to <= 65_536 && isForbidden !== true;
  }
}

function length({ from, to }: Span): number {
  return to - from;
}

function join(spans: readonly Span[]): Span {
  return { from: Math.min(...spans.map(({ from }) => from)), to: Math.max(...spans.map(({ to }) => to)) };
}

function distance(a: Span, b: Span): number {
  return Math.max(a.from - b.to, b.from - a.to, 0);
}

function largestGap(spans: readonly Span[]): number {
  let [end, gap] = [Number.POSITIVE_INFINITY, 0];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    gap = Math.max(gap, from - end);
    end = end === Number.POSITIVE_INFINITY ? to : Math.max(end, to);
  }
  return gap;
}
