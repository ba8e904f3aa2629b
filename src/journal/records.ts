// What goes into the journal and comes out of it, as the rest of the program sees it.

/** When something was written, on every clock that may be needed to read it back. */
export interface Stamp {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly bootId: string;
  readonly clockSynchronised: boolean;
}

export interface StoredRequest {
  readonly requestId: string;
  readonly sequence: number;
  readonly feederId: string;
  readonly episodeId: string;
  readonly body: string;
  /** Whether it was ever handed to a broker, or may have been. */
  readonly offered: boolean;
  /** Why it was not said as curtailment, and never will be. */
  readonly withheld: 'superseded' | 'expired' | null;
  /** Status of the latest acknowledgement; null before the first. */
  readonly ackStatus: string | null;
}

export interface StoredState {
  readonly feederId: string;
  readonly state: unknown;
  readonly stamp: Stamp;
}

/** One entry of the sequence of events; `body` gets its sequence number from the journal. */
export interface NewEvent {
  readonly feederId: string | null;
  readonly body: (sequence: number) => string;
}
export interface StoredEvent {
  readonly sequence: number;
  readonly feederId: string | null;
  readonly body: string;
}

export interface Batch {
  readonly states: readonly { readonly feederId: string; readonly state: unknown }[];
  readonly requests: readonly Omit<StoredRequest, 'ackStatus'>[];
  /** Requests of this batch or an earlier one that will never be said. */
  readonly withheld: readonly { readonly requestId: string; readonly why: 'superseded' | 'expired' }[];
  readonly events: readonly NewEvent[];
  /** Commands that were answered: no id is ever taken twice. */
  readonly commands?: readonly AnsweredCommand[];
}

export interface AnsweredCommand {
  readonly commandId: string;
  readonly answer: string;
}

export interface ReceivedAck {
  readonly feederId: string;
  readonly requestId: string;
  readonly sequence: number;
  readonly status: string;
  readonly body: string;
}

/** What storage that failed for long never got: a record, or the note that a request is not said, or was offered. */
export type NeverKept = 'event' | 'request' | 'withheld' | 'command' | 'ack' | 'offer';

/** What the controller is to tell: events that are lost, or a journal that began anew. */
export type JournalNews =
  | { readonly kind: 'lost' | 'shed'; readonly first: number; readonly last: number; readonly count: number }
  | { readonly kind: 'dropped'; readonly what: NeverKept; readonly count: number }
  | { readonly kind: 'replaced'; readonly reason: string };
