// One feeder's meter: a Modbus TCP server with the map of an SDM630 that plays the feeder's steps, notes the answer that
// first shows each, and misbehaves when the scenario says so. A false answer always carries amperes that would turn
// what is known round, so that whoever believes it is seen to.
import {
  answerFrame,
  exception,
  float32,
  type ModbusRequest,
  ModbusServer,
  type Registers,
  type Script,
} from '../../test/simulators/modbus-server.ts';
import { DROPOUT_A, type ShownStep, type Step, transitions } from './evening.ts';

export type MeterFault = 'silent' | 'frozen' | 'nan' | 'turned' | 'exceptions';

export interface MeterOptions {
  readonly steps: readonly Step[];
  /** Evening time in ms. */
  readonly now: () => number;
  readonly fault: () => MeterFault | null;
  /** One answer in so many is false; 0 for none. */
  readonly falseOneIn: number;
  /** Which kind of false answer is the first: so many meters see all of them sooner. */
  readonly firstFalse: number;
  /** Real time of the contestants' time-out, ms: a late answer comes after it. */
  readonly timeoutMs: number;
  readonly random: () => number;
}

/** What a false answer is false in. */
export const FALSE_KINDS = [
  'late',
  'transaction',
  'unit',
  'protocol',
  'function',
  'length',
  'byteCount',
  'exceptions',
] as const;
/** The registers of the current of L1, two words. */
const L1_CURRENT = 6;
const FALSE_A = { over: 900, under: 5 };

export class EveningMeter {
  readonly shown: ShownStep[] = [];
  readonly falseAnswers: string[] = [];
  reads = 0;
  readonly #options: MeterOptions;
  #server: ModbusServer | null = null;
  #next = 0;
  #frozen: Registers | null = null;
  #exceptionsLeft = 0;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  /** How many the whole trace has. */
  get transitions(): number {
    return transitions(this.#options.steps.map((step) => ({ ...step, shownMs: step.atMs, answers: 1 }))).length;
  }

  async start(): Promise<number> {
    this.#server = await ModbusServer.start((request) => this.#answer(request));
    // A bench of hours must not grow.
    this.#server.keepsRequests = false;
    return this.#server.port;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #answer(request: ModbusRequest): ReturnType<Script> {
    const { now, fault, falseOneIn, random } = this.#options;
    const nowMs = now();
    this.reads += 1;
    const present = this.#present(nowMs);
    const kind = fault();
    if (kind !== 'frozen') this.#frozen = null;
    if (kind === 'silent') return 'silence';
    if (kind === 'exceptions') return exception(6)(request);
    if (kind === 'nan') return answer(request, registers(Number.NaN));
    if (kind === 'frozen') {
      this.#frozen ??= registers(this.shown.at(-1)?.currentA ?? present.currentA);
      return answer(request, this.#frozen);
    }
    if (this.#exceptionsLeft > 0) {
      this.#exceptionsLeft -= 1;
      return exception(6)(request);
    }
    if (falseOneIn > 0 && nowMs > 0 && random() < 1 / falseOneIn) return this.#falseAnswer(request, present.currentA);
    // An answer about something else, such as the frequency, shows nothing of the current.
    if (request.address <= L1_CURRENT && L1_CURRENT + 1 < request.address + request.count) this.#show(nowMs);
    return answer(request, registers(kind === 'turned' ? -present.currentA : present.currentA));
  }

  #present(nowMs: number): Step {
    const { steps } = this.#options;
    let index = this.#next;
    while (index + 1 < steps.length && (steps[index + 1] as Step).atMs <= nowMs) index += 1;
    return steps[index] as Step;
  }

  /** The present step is shown by the answer that goes out now; what came and went unseen is passed over. */
  #show(nowMs: number): void {
    const step = this.#present(nowMs);
    this.#next = this.#options.steps.indexOf(step);
    const last = this.shown.at(-1);
    if (last?.atMs === step.atMs) last.answers += 1;
    else this.shown.push({ ...step, shownMs: nowMs, answers: 1 });
  }

  #falseAnswer(request: ModbusRequest, currentA: number): ReturnType<Script> {
    const kind = FALSE_KINDS[
      (this.#options.firstFalse + this.falseAnswers.length) % FALSE_KINDS.length
    ] as (typeof FALSE_KINDS)[number];
    this.falseAnswers.push(kind);
    const words = registers(currentA >= DROPOUT_A ? FALSE_A.under : FALSE_A.over);
    const false16 = (request.transactionId + 1) & 0xffff;
    switch (kind) {
      case 'late':
        return [{ delayMs: 1.2 * this.#options.timeoutMs, bytes: answerFrame(request, words) }];
      case 'transaction':
        return [{ bytes: answerFrame(request, words, { transactionId: false16 }) }];
      case 'unit':
        return [{ bytes: answerFrame(request, words, { unitId: request.unitId + 1 }) }];
      case 'protocol':
        return [{ bytes: answerFrame(request, words, { protocolId: 7 }) }];
      case 'function':
        return [{ bytes: answerFrame(request, words, { functionCode: 3 }) }];
      case 'length':
        return [{ bytes: answerFrame(request, words, { length: 3 + 2 * request.count + 4 }) }];
      case 'byteCount':
        return [{ bytes: answerFrame(request, words, { byteCount: 2 * request.count - 4 }) }];
      case 'exceptions':
        this.#exceptionsLeft = 4;
        return exception(6)(request);
    }
  }
}

function answer(request: ModbusRequest, words: Registers): ReturnType<Script> {
  return [{ bytes: answerFrame(request, words) }];
}

/** L1 carries the current, the others half of it and less. */
function registers(currentA: number): Registers {
  const words = new Map<number, number>();
  const put = (address: number, value: number) => {
    for (const [index, word] of float32(value).entries()) words.set(address + index, word);
  };
  for (const phase of [0, 1, 2]) {
    const phaseA = currentA * (phase === 0 ? 1 : 0.5 - 0.04 * phase);
    put(2 * phase, 236);
    put(L1_CURRENT + 2 * phase, phaseA);
    put(12 + 2 * phase, 236 * phaseA);
  }
  put(0x46, 50);
  put(0xe0, Math.abs(currentA) * 0.5);
  return words;
}
