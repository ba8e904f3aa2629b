// An acknowledgement of a request.
import { isoTime } from '../../clock.ts';
import type { Ack, Curtailment } from '../../messages.ts';

/** What is said beside the status, where it is known. */
export type AckDetails = Pick<Ack, 'devices' | 'reason' | 'controllableA'>;

export function ackOf(
  { requestId, sequence }: Curtailment,
  status: Ack['status'],
  wallMs: number,
  details: AckDetails = {},
): Ack {
  return { schema: 'headroom/v1/curtailment/ack', requestId, sequence, status, at: isoTime(wallMs), ...details };
}
