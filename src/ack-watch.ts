// What acknowledgements may say one after another about a feeder's present request. An end is an end: what comes after
// a refusal, a failure or the end of a limit contradicts, and is not believed, unless it says that this has ended as
// well. Unknown is not success: without `applied` or `partial` in time the request counts as not applied.
import type { Ack, Curtailment } from './messages.ts';

type Status = Ack['status'];

const ENDS: readonly Status[] = ['rejected', 'failed', 'expired', 'superseded', 'overridden', 'ended'];
const UNDER_WAY: readonly Status[] = ['accepted', 'dispatched', 'applied', 'partial'];
const NOT_YET: readonly Status[] = ['accepted', 'dispatched'];

interface Heard {
  readonly requestId: string;
  readonly status: Status;
  overdue: boolean;
}

export class AckWatch {
  readonly #heard = new Map<string, Heard>();

  /**
   * `late` is of a request that another has taken the place of: kept, and of no consequence. `over`: the end of what had
   * an end already, which is nothing that control has to know.
   */
  judge(feederId: string, present: Curtailment | null, ack: Ack): 'good' | 'late' | 'over' | 'contradicts' {
    if (present?.requestId !== ack.requestId) return 'late';
    const before = this.#heard.get(feederId);
    const { requestId, status } = ack;
    const same = before?.requestId === requestId ? before : null;
    if (same !== null && ENDS.includes(same.status)) return status === 'ended' ? 'over' : 'contradicts';
    // Of two that cross on their way the one that says more stands.
    const steps = (one: Status) => (one === 'partial' ? UNDER_WAY.indexOf('applied') : UNDER_WAY.indexOf(one));
    const behind = same !== null && UNDER_WAY.includes(status) && steps(status) < steps(same.status);
    if (!behind) this.#heard.set(feederId, { requestId, status, overdue: same?.overdue ?? false });
    return 'good';
  }

  /** True once for a limit that was accepted or dispatched and has had its time; `responseTimeS` 0: never. */
  isOverdue(feederId: string, present: Curtailment | null, responseTimeS: number, wallMs: number): boolean {
    const heard = this.#heard.get(feederId);
    if (present?.action !== 'limit' || heard?.requestId !== present.requestId || responseTimeS === 0) return false;
    if (heard.overdue || !NOT_YET.includes(heard.status)) return false;
    if (wallMs - Date.parse(present.issuedAt) < responseTimeS * 1000) return false;
    heard.overdue = true;
    return true;
  }
}
