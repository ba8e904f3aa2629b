// The requests of each feeder as a head end has to keep them: the newest by id and sequence with its answer, and the
// one in force with its end, which is not the newest where that was refused. Pure: what a message means is an answer;
// doing it is somebody else's.
import type { Ack, Curtailment } from '../../messages.ts';
import { asAsked, Caps, type Tracks } from './caps.ts';
import { judgeTarget, overriddenBy, type Rules } from './rules.ts';

export interface Standing {
  /** As it came. */
  readonly message: Curtailment;
  /** As the rules of the head end let it be acted on. */
  readonly allowed: Curtailment;
  /** The earliest of the request's `end`, receipt + `durationS` and what the rules allow. */
  readonly endWallMs: number;
  latestAck: Ack | null;
}

export type Verdict =
  /** To be acted on; `before` is what it takes the place of. */
  | {
      readonly kind: 'new';
      readonly standing: Standing;
      readonly before: Standing | null;
      /** What the head end says beside its yes. */
      readonly remark: string | null;
    }
  /** Seen already: to be answered with its latest acknowledgement, and never dispatched twice. */
  | { readonly kind: 'repeat'; readonly latestAck: Ack | null }
  /** Nothing is done, and it is said so; what is in force stays so until its end. */
  | {
      readonly kind: 'turnedDown';
      readonly standing: Standing;
      readonly status: 'expired' | 'rejected' | 'overridden';
      readonly reason: string;
    }
  /** Not taken, and not to be answered: an older request answers to nothing that stands. */
  | { readonly kind: 'refused'; readonly reason: string };

interface Kept {
  readonly newest: Standing;
  readonly inForce: Standing | null;
}

export class Ledger {
  readonly #kept = new Map<string, Kept>();
  readonly #caps: Caps;
  #rules: Rules;

  /** `tracks` are what the rules have counted so far; they are counted on in place. */
  constructor(rules: Rules, tracks: Tracks = new Map()) {
    this.#rules = rules;
    this.#caps = new Caps(rules.caps, tracks);
  }

  /** Others from now on. Gives what somebody has decided against and is in force: it is so no longer. */
  changeRules(rules: Rules, wallMs: number): { readonly standing: Standing; readonly reason: string }[] {
    this.#rules = rules;
    this.#caps.caps = rules.caps;
    return this.inForce(wallMs).flatMap((standing) => {
      const reason = overriddenBy(standing.message, rules);
      if (reason === null) return [];
      this.#kept.set(feederKey(standing.message), {
        newest: this.#kept.get(feederKey(standing.message))?.newest ?? standing,
        inForce: null,
      });
      this.#caps.ended(standing.message, wallMs);
      return [{ standing, reason }];
    });
  }

  /** Judges a request that came on the topic of its feeder at `wallMs`, and keeps it where it is new. */
  take(message: Curtailment, wallMs: number): Verdict {
    const { newest, inForce = null } = this.#kept.get(feederKey(message)) ?? {};
    if (newest?.message.requestId === message.requestId) return { kind: 'repeat', latestAck: newest.latestAck };
    if (newest !== undefined && message.sequence <= newest.message.sequence)
      return { kind: 'refused', reason: `sequence ${message.sequence} is not above ${newest.message.sequence}` };
    const turnDown = (status: 'expired' | 'rejected' | 'overridden', reason: string): Verdict => {
      const standing: Standing = { message, allowed: message, endWallMs: wallMs, latestAck: null };
      this.#kept.set(feederKey(message), { newest: standing, inForce });
      return { kind: 'turnedDown', standing, status, reason };
    };
    // A release is as good late as in time: what it ends has ended, or ends now.
    if (message.action !== 'release' && wallMs > Date.parse(message.validUntil))
      return turnDown('expired', 'came after validUntil');
    const target = judgeTarget(message, this.#rules);
    if ('refused' in target) return turnDown('rejected', target.refused);
    const overridden = overriddenBy(message, this.#rules);
    if (overridden !== null) return turnDown('overridden', overridden);
    // What is only tried out limits nobody, and takes nothing from what may be asked in earnest.
    const allowed = message.mode === 'test' ? asAsked(message, wallMs) : this.#caps.take(message, wallMs);
    if ('refused' in allowed) return turnDown('rejected', `the head end's ${allowed.refused}`);
    const { endWallMs, remarks } = allowed;
    const standing: Standing = { message, allowed: allowed.message, endWallMs, latestAck: null };
    this.#kept.set(feederKey(message), { newest: standing, inForce: standing });
    const said = [target.remark, ...remarks.map((cut) => `cut to the head end's ${cut}`)].filter((one) => one !== null);
    return { kind: 'new', standing, before: inForce, remark: said.length === 0 ? null : said.join('; ') };
  }

  /** Whether it is still what is in force on its feeder. */
  stands(standing: Standing): boolean {
    return this.#kept.get(feederKey(standing.message))?.inForce === standing;
  }

  /** Every request that limits something at `wallMs`, oldest first. */
  inForce(wallMs: number): Standing[] {
    return [...this.#kept.values()]
      .flatMap(({ inForce }) => (inForce === null ? [] : [inForce]))
      .filter(({ message, endWallMs }) => message.action !== 'release' && wallMs < endWallMs)
      .sort((a, b) => a.message.sequence - b.message.sequence);
  }
}

function feederKey({ substationId, feederId }: Curtailment): string {
  return `${substationId}/${feederId}`;
}
