// `headroom meter CONFIG SOURCE`: reads one Modbus source as the controller would, with the same plan and decoding, and
// tells register by register the raw words beside what they become, so that an engineer can hold a clamp meter's
// amperes against them.
import { decode } from '../../acquisition/decode.ts';
import type { Fault } from '../../acquisition/modbus-connection.ts';
import { ModbusLines } from '../../acquisition/modbus-lines.ts';
import { planReads, type ReadPlan, type Telegram } from '../../acquisition/read-plan.ts';
import { circuitOf, layoutsOf, type RegisterMap, WORDS_OF } from '../../acquisition/register-map.ts';
import { findModel } from '../../acquisition/sunspec.ts';
import { systemClock } from '../../clock.ts';
import type { Configuration } from '../../configuration.ts';
import { type QualityReason, rounded } from '../../feeder.ts';
import type { FeederSettings } from '../../feeder-settings.ts';
import type { ModbusSettings } from '../../source-settings.ts';
import { type ReadUnit, reader } from './meter-wire.ts';
import { judged, type LiveSource, type MeterRound, type RegisterRow, type Taker } from './round.ts';

export class LiveMeter implements LiveSource {
  readonly #settings: ModbusSettings;
  readonly #map: RegisterMap;
  /** By circuit. */
  readonly #takers: ReadonlyMap<number, Taker>;
  readonly #lines = new ModbusLines(systemClock(), Math.random);
  readonly #read: ReadUnit;
  readonly #faults: Record<string, number> = {};
  /** As the controller does, a length that the meter has refused is not asked again where there is another. */
  readonly #refused = new Set<Telegram>();
  #plan: ReadPlan | null = null;
  #reads = 0;

  constructor({ settings, registerMaps }: Configuration, source: ModbusSettings) {
    const map = registerMaps.get(source.id);
    if (map === undefined) throw new Error(`source ${source.id} has no register map`);
    this.#settings = source;
    this.#map = map;
    this.#takers = new Map(settings.feeders.flatMap((feeder) => takersOf(feeder, source.id)));
    this.#read = reader(this.#lines.of(source), source.timeoutMs, source.pauseMs);
  }

  close(): void {
    this.#lines.close();
  }

  /** Reads everything once. */
  async round(): Promise<MeterRound> {
    const registers: RegisterRow[] = [];
    let [roundTripMs, detail]: [number | null, string | null] = [null, null];
    const plan = this.#plan ?? (await this.#find());
    if ('detail' in plan) detail = plan.detail;
    else {
      this.#plan = plan;
      const telegrams = [...plan.phases.map((group) => group.telegrams), ...plan.others.map((telegram) => [telegram])];
      for (const [index, alternatives] of telegrams.entries()) {
        const answer = await this.#readOne(alternatives);
        if ('words' in answer) {
          if (index === 0) roundTripMs = rounded(answer.tookMs, 1);
          registers.push(...this.#rows(answer.read, answer.words));
        } else {
          // The first fault is what it is about; what follows is often its consequence.
          detail ??= placed(answer);
          registers.push(...this.#rows(alternatives[0] as Telegram, null, answer.fault));
        }
      }
    }
    const at = new Date(systemClock().wallMs()).toISOString();
    const { id: source } = this.#settings;
    return {
      source,
      at,
      ok: detail === null,
      roundTripMs,
      reads: this.#reads,
      faults: this.#faults,
      detail,
      registers,
    };
  }

  /** In all the lengths that the meter has not refused, until one is answered. */
  async #readOne(alternatives: readonly Telegram[]) {
    const open = alternatives.filter((telegram) => !this.#refused.has(telegram));
    let left = open.length > 0 ? open : alternatives;
    for (;;) {
      const answer = await this.#read(this.#settings.unitId, left);
      this.#reads += 1;
      if ('words' in answer) return answer;
      const refused = answer.exception?.read;
      const others = left.filter((telegram) => telegram !== refused && telegram.isGuess !== true);
      this.#faults[answer.fault] = (this.#faults[answer.fault] ?? 0) + 1;
      if (refused === undefined || others.length === 0) return answer;
      for (const telegram of left) if (telegram === refused) this.#refused.add(telegram);
      left = others;
    }
  }

  async #find(): Promise<ReadPlan | { readonly detail: string }> {
    const layouts = layoutsOf(this.#map);
    if (this.#map.sunspec === undefined) return planOf(layouts[0]);
    const found = await findModel((read) => this.#read(this.#settings.unitId, [read]), this.#map);
    return 'detail' in found ? found : planOf(layouts[found.layout], found.place);
  }

  #rows(
    { address, fields }: Telegram,
    words: readonly number[] | null,
    fault: QualityReason = 'noAnswer',
  ): RegisterRow[] {
    return fields.map(({ register, offset, scaleOffset }) => {
      const decoded = words === null ? fault : decode(words, offset, register, scaleOffset);
      const own = words?.slice(offset, offset + WORDS_OF[register.type]) ?? [];
      return {
        quantity: register.quantity,
        conductor: register.conductor ?? null,
        circuit: circuitOf(register),
        functionCode: register.functionCode,
        address: address + offset,
        words: own.map((word) => `0x${word.toString(16).toUpperCase().padStart(4, '0')}`),
        unit: register.unit,
        ...judged(register.quantity, decoded, this.#takers.get(circuitOf(register))),
      };
    });
  }
}

/** The feeder on each circuit: the one whose meter it is before one whose backup it is. */
function takersOf(feeder: FeederSettings, sourceId: string): [number, Taker][] {
  const { currents, backup, ctRatio } = feeder;
  return [
    ...(backup?.source === sourceId ? [[backup.circuit, { feeder, ratio: backup.ctRatio }] as [number, Taker]] : []),
    ...(currents.source === sourceId ? [[currents.circuit, { feeder, ratio: ctRatio }] as [number, Taker]] : []),
  ];
}

/** An exception with the address that it is about: the others are of no address in particular. */
function placed({ detail, exception }: Fault): string {
  return exception === undefined ? detail : `FC${exception.read.functionCode} ${exception.read.address}: ${detail}`;
}

function planOf(
  layout: ReturnType<typeof layoutsOf>[number] | undefined,
  place?: Parameters<typeof planReads>[2],
): ReadPlan | { detail: string } {
  const circuits = layout?.registers.map(circuitOf) ?? [];
  const plan = layout === undefined ? null : planReads(layout, circuits, place);
  return plan ?? { detail: 'no telegram holds the phases of a circuit' };
}
