// One OPC UA server as a source: keeps a session, gives a reading for every feeder on it at every notification,
// keep-alive and read, and makes a new session whenever the present one is in doubt. Being alive is never taken on
// trust: silence longer than a third of the staleness limit is answered by a check read, a check read that stays
// unanswered ends the session, and so does a subscription that stays quiet while the reads show other values. All of
// it runs on the monotonic clock; the library's own keep-alive compares wall times.
import type { Clock, Timer } from '../clock.ts';
import type { QualityReason } from '../feeder.ts';
import { type OpcuaSettings, staleAfterMs } from '../source-settings.ts';
import { type NodeBinding, NodeBook } from './opcua-nodes.ts';
import { openSession, type Session } from './opcua-session.ts';
import type { TrustFolder } from './opcua-trust.ts';
import type { NodeValue } from './opcua-value.ts';
import type { SourceEvents } from './source-reading.ts';

export interface OpcuaSourceInput {
  readonly settings: OpcuaSettings;
  readonly bindings: readonly NodeBinding[];
  readonly folder: TrustFolder;
  readonly clock: Clock;
  /** 0 ≤ random() < 1; jitters reconnects. */
  readonly random: () => number;
  readonly events: SourceEvents;
}

const RECONNECT_FIRST_MS = 200;
const RECONNECT_LONGEST_MS = 5_000;
/** Also while notifications flow: the one way to see an item that the server has forgotten. */
const CHECK_EVERY_MS = 5_000;

/** A changed value is told within one or two publishing intervals, unless the server has forgotten it. */
const GRACE_INTERVALS = 4;

export class OpcuaSource {
  readonly #input: OpcuaSourceInput;
  readonly #nodes: NodeBook;
  readonly #clock: Clock;
  #session: Session | null = null;
  #timer: Timer | null = null;
  #failuresInRow = 0;
  #closed = false;
  /** Of the last notification, keep-alive or answer. */
  #signMs = Number.NEGATIVE_INFINITY;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #readSentMs: number | null = null;
  #told: string | null = null;
  #isExpiring = false;

  constructor(input: OpcuaSourceInput) {
    this.#input = input;
    this.#clock = input.clock;
    this.#nodes = new NodeBook(input.settings.id, input.bindings);
    void this.#connect();
  }

  /** At every sampling interval. */
  poll(): void {
    if (this.#session === null) return;
    const nowMs = this.#clock.monotonicMs();
    const { mode, timeoutMs } = this.#input.settings;
    if (this.#readSentMs !== null) {
      // Whatever arrives meanwhile shows that the server lives and is only slow to read.
      const sinceMs = Math.max(this.#readSentMs, this.#signMs);
      if (nowMs - sinceMs > timeoutMs) this.#lost('noAnswer', `no answer within ${timeoutMs} ms`);
      return;
    }
    const silentMs = nowMs - this.#signMs;
    const isQuiet = silentMs >= staleAfterMs(this.#input.settings) / 3;
    if (mode === 'poll' || isQuiet || nowMs - this.#checkedMs >= CHECK_EVERY_MS) void this.#read(this.#session);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#session?.close();
    this.#session = null;
  }

  async #connect(): Promise<void> {
    const { settings, folder } = this.#input;
    let session: Session | null = null;
    const isOurs = () => session !== null && this.#session === session;
    try {
      session = await openSession(
        { settings, folder, nodeIds: this.#nodes.nodeIds, clock: this.#clock },
        {
          changed: (values) => isOurs() && this.#deliver(values, 'notification'),
          unchanged: () => isOurs() && this.#deliver(new Map(), 'notification'),
          lost: (detail) => isOurs() && this.#lost('disconnected', detail),
        },
      );
    } catch (error) {
      return this.#lost('disconnected', (error as Error).message);
    }
    if (this.#closed) return session.close();
    this.#session = session;
    this.#nodes.forget();
    this.#signMs = this.#clock.monotonicMs();
    await this.#read(session);
  }

  /** Every node once; one read at a time. */
  async #read(session: Session): Promise<void> {
    this.#readSentMs = this.#clock.monotonicMs();
    let values: NodeValue[];
    try {
      values = await session.read();
    } catch (error) {
      if (this.#session === session)
        this.#lost('exception', `a read failed: ${(error as Error).message.split('\n')[0]}`);
      return;
    }
    // The answer of a session that was given up meanwhile belongs to nobody.
    if (this.#session !== session) return;
    this.#readSentMs = null;
    this.#checkedMs = this.#clock.monotonicMs();
    this.#deliver(new Map(values.entries()), 'read');
    this.#noticeExpiry(session.expiry());
    const { publishingMs } = session;
    if (publishingMs === null) return;
    const graceMs = GRACE_INTERVALS * publishingMs + this.#input.settings.timeoutMs;
    if (this.#nodes.isForgotten(this.#checkedMs, graceMs))
      this.#lost('noAnswer', 'the subscription no longer tells of changed values');
  }

  #deliver(values: ReadonlyMap<number, NodeValue>, how: 'notification' | 'read'): void {
    const nowMs = this.#clock.monotonicMs();
    this.#signMs = nowMs;
    this.#nodes.take(values, how, nowMs);
    // Before the first read has come there is nothing to vouch for.
    if (!this.#nodes.isComplete()) return;
    this.#failuresInRow = 0;
    this.#tell(true, `answers (${this.#session?.agreed})`);
    this.#input.events.readings(this.#nodes.readings(nowMs));
  }

  #lost(fault: QualityReason, detail: string): void {
    const session = this.#session;
    this.#session = null;
    this.#readSentMs = null;
    session?.close();
    if (this.#closed) return;
    this.#input.events.readings(this.#nodes.faults(fault, this.#clock.monotonicMs()));
    this.#tell(false, detail);
    // Full jitter, so that the sources behind a restarted server do not come back in the same instant.
    const longestMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 2 ** Math.min(this.#failuresInRow++, 10));
    const atMs = this.#clock.monotonicMs() + this.#input.random() * longestMs;
    this.#timer = this.#clock.at(atMs, () => void this.#connect());
  }

  /** Told once, not every day anew; a certificate that was changed in time ends the alarm. */
  #noticeExpiry(notice: string | null): void {
    if ((notice !== null) === this.#isExpiring) return;
    this.#isExpiring = notice !== null;
    const change = {
      feederId: null,
      sourceId: this.#input.settings.id,
      phase: null,
      alarm: 'certificateExpiry',
    } as const;
    const reason = notice ?? 'no certificate expires soon';
    this.#input.events.alarm({ ...change, standing: notice !== null, reason });
  }

  /** Each happening once: the same trouble at every attempt to connect is one. */
  #tell(answering: boolean, detail: string): void {
    const text = `${answering} ${detail}`;
    if (text === this.#told) return;
    this.#told = text;
    this.#input.events.sourceChanged(this.#input.settings.id, answering, detail);
  }
}
