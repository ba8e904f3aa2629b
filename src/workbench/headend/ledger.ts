// The requests in force, one per feeder, as a head end has to keep them: by id, sequence and end. Pure: what a message
// means is an answer; doing it is somebody else's.
import type { Ack, Curtailment } from '../../messages.ts';

export interface Standing {
  readonly message: Curtailment;
  /** The earlier of the request's `end` and receipt + `durationS`: a clock that is wrong lengthens nothing. */
  readonly endWallMs: number;
  latestAck: Ack | null;
}

export type Verdict =
  /** To be acted on; `before` is what it takes the place of. */
  | { readonly kind: 'new'; readonly standing: Standing; readonly before: Standing | null }
  /** Seen already: to be answered with its latest acknowledgement, and never dispatched twice. */
  | { readonly kind: 'repeat'; readonly latestAck: Ack | null }
  /** Too late to begin acting: nothing is done, and it is said so. */
  | { readonly kind: 'expired'; readonly standing: Standing }
  /** Not taken, and not to be answered: an older request answers to nothing that stands. */
  | { readonly kind: 'refused'; readonly reason: string };

export class Ledger {
  readonly #standing = new Map<string, Standing>();

  /** Judges a request that came on the topic of its feeder at `wallMs`, and keeps it where it is new. */
  take(message: Curtailment, wallMs: number): Verdict {
    const key = feederKey(message);
    const before = this.#standing.get(key) ?? null;
    if (before?.message.requestId === message.requestId) return { kind: 'repeat', latestAck: before.latestAck };
    if (before !== null && message.sequence <= before.message.sequence)
      return { kind: 'refused', reason: `sequence ${message.sequence} is not above ${before.message.sequence}` };
    const endWallMs = Math.min(Date.parse(message.end), wallMs + message.durationS * 1000);
    const standing: Standing = { message, endWallMs, latestAck: null };
    this.#standing.set(key, standing);
    const late = wallMs > Date.parse(message.validUntil);
    // A release is as good late as in time: what it ends has ended, or ends now.
    if (late && message.action !== 'release') return { kind: 'expired', standing };
    return { kind: 'new', standing, before };
  }

  /** Whether it is still what stands on its feeder. */
  stands(standing: Standing): boolean {
    return this.#standing.get(feederKey(standing.message)) === standing;
  }

  /** Every request that limits something at `wallMs`, oldest first. */
  inForce(wallMs: number): Standing[] {
    return [...this.#standing.values()]
      .filter(({ message, endWallMs }) => message.action !== 'release' && wallMs < endWallMs)
      .sort((a, b) => a.message.sequence - b.message.sequence);
  }
}

function feederKey({ substationId, feederId }: Curtailment): string {
  return `${substationId}/${feederId}`;
}
