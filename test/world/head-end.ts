// The head end of the simulated world: takes each request once, acts on what is still valid, answers as the contract
// says, and now and then does not, or says everything twice. Its clock is right.
import { isoTime } from '../../src/clock.ts';
import { type Ack, type Curtailment, curtailmentSchema } from '../../src/messages.ts';
import type { Random } from '../simulators/random.ts';
import type { Broker, Message } from './broker.ts';
import { EPOCH_MS } from './machine-clock.ts';
import type { Street } from './street.ts';
import type { Timeline } from './timeline.ts';

export class HeadEnd {
  /** Does not answer and does not act; what comes meanwhile it finds when it is back. */
  isAway = false;
  readonly #timeline: Timeline;
  readonly #broker: Broker;
  readonly #streets: ReadonlyMap<string, Street>;
  readonly #random: Random;
  readonly #latestAck = new Map<string, Ack>();
  readonly #newest = new Map<string, number>();
  #missed: Message[] = [];

  constructor(timeline: Timeline, broker: Broker, streets: ReadonlyMap<string, Street>, random: Random) {
    this.#timeline = timeline;
    this.#broker = broker;
    this.#streets = streets;
    this.#random = random;
    broker.subscriber = (message) => this.#take(message);
  }

  back(): void {
    this.isAway = false;
    for (const message of this.#missed.splice(0)) this.#take(message);
  }

  #take(message: Message): void {
    if (!message.topic.endsWith('/curtailment')) return;
    if (this.isAway) this.#missed.push(message);
    else this.#timeline.after(this.#random.between(1, 2_000), () => this.#consider(message));
  }

  #consider({ topic, payload }: Message): void {
    const request = curtailmentSchema.parse(JSON.parse(payload));
    const before = this.#latestAck.get(request.requestId);
    if (before !== undefined) return this.#answer(topic, before);
    if (request.sequence < (this.#newest.get(request.feederId) ?? 0)) return this.#say(topic, request, 'superseded');
    this.#newest.set(request.feederId, request.sequence);
    const wallMs = EPOCH_MS + this.#timeline.nowMs;
    const isLate = request.action !== 'release' && wallMs > Date.parse(request.validUntil);
    if (isLate) return this.#say(topic, request, 'expired');
    if (this.#random.chance(0.02)) return this.#say(topic, request, 'rejected');
    this.#say(topic, request, 'accepted');
    const receivedMs = this.#timeline.nowMs;
    this.#timeline.after(this.#random.between(1_000, 60_000), () => this.#act(topic, request, receivedMs));
  }

  /** To the devices, until the earlier of `end` and receipt + `durationS`. */
  #act(topic: string, request: Curtailment, receivedMs: number): void {
    const street = this.#streets.get(request.feederId);
    if (street === undefined || request.sequence < (this.#newest.get(request.feederId) ?? 0)) return;
    const { nowMs } = this.#timeline;
    if (request.action === 'release') {
      street.free(nowMs);
      return this.#say(topic, request, 'ended');
    }
    const endMs = Math.min(Date.parse(request.end) - EPOCH_MS, receivedMs + request.durationS * 1000);
    const level = (phase: 'L1' | 'L2' | 'L3') =>
      request.phases.includes(phase) ? (request.levelPercentByPhase?.[phase] ?? request.levelPercent) : 100;
    if (endMs > nowMs) street.obey({ L1: level('L1'), L2: level('L2'), L3: level('L3') }, endMs, nowMs);
    this.#say(topic, request, this.#random.chance(0.05) ? 'partial' : 'applied');
  }

  #say(topic: string, { requestId, sequence }: Curtailment, status: Ack['status']): void {
    const at = isoTime(EPOCH_MS + this.#timeline.nowMs);
    const ack: Ack = { schema: 'headroom/v1/curtailment/ack', requestId, sequence, status, at };
    this.#latestAck.set(requestId, ack);
    this.#answer(topic, ack);
  }

  /** One in ten is lost, one in ten said twice, one in ten comes late. */
  #answer(topic: string, ack: Ack): void {
    const random = this.#random;
    const draw = random.between(0, 1);
    if (draw < 0.1) return;
    const times = draw < 0.2 ? 2 : 1;
    const waitMs = draw > 0.9 ? random.between(0, 600_000) : random.between(0, 500);
    const message = { topic: `${topic}/ack`, payload: JSON.stringify(ack), retain: false };
    for (let time = 0; time < times; time++)
      this.#timeline.after(waitMs + time * random.between(0, 5_000), () => this.#broker.publish(message, null));
  }
}
