// Keeps the journal within its bounds, a bite at a time, so that no turn of the event loop is held up: events that were
// sent go first, then unsent alarms, then what else was not sent; of requests never a feeder's newest.
import type { JournalFile } from './journal-file.ts';
import type { JournalNews } from './records.ts';

/** Of events, sent or not. Those that were sent go beyond it; unsent ones give way beyond the other. */
const EVENTS_KEPT = 100_000;
const EVENTS_MAX = 110_000;
const REQUESTS_KEPT = 100_000;
const ACKS_KEPT = 300_000;
/** At the default pace of commands more than five days of nothing but commands; none stays valid for longer than one. */
const COMMANDS_KEPT = 100_000;
/** In memory there is less room than on a disk. */
const MEMORY_BYTES_MAX = 32e6;
/** Rows that one bite takes, so that it is over in some milliseconds. */
const ROWS_PER_BITE = 500;
/** What is too old or too much is looked for every few minutes. */
const TURNS_PER_LOOK = 20;

export class CleanUp {
  readonly #maxBytes: number;
  readonly #tell: (news: JournalNews) => void;
  #turns = 0;
  #hasMore = false;
  /** Unsent events that are to give way once it is told; `before` is the next number at that time. */
  #shedding: { readonly sequences: readonly number[]; readonly before: number } | null = null;

  constructor(maxBytes: number, tell: (news: JournalNews) => void) {
    this.#maxBytes = maxBytes;
    this.#tell = tell;
  }

  /** One bite, if it is time to look; true while there is more. `nextEvent` is the number of the next event. */
  turn(file: JournalFile, sentTo: number, nextEvent: number): boolean {
    if (!this.#hasMore && this.#turns++ % TURNS_PER_LOOK !== 0) return false;
    this.#hasMore = this.#bite(file, sentTo, nextEvent);
    return this.#hasMore;
  }

  #bite(file: JournalFile, sentTo: number, nextEvent: number): boolean {
    const { firstEvent, dropRequests, dropAcks, dropCommands } = file.statements;
    dropCommands.run(COMMANDS_KEPT);
    const isTooLarge = bytesOf(file) > (file.fileId === null ? MEMORY_BYTES_MAX : this.#maxBytes);
    const oldest = (firstEvent.get() as { sequence: number | null }).sequence ?? nextEvent;
    const keptFrom = isTooLarge ? nextEvent : nextEvent - EVENTS_KEPT;
    const upTo = Math.min(keptFrom - 1, sentTo, oldest + ROWS_PER_BITE - 1);
    if (upTo >= oldest) dropEvents(file, upTo);
    const requests = dropRequests.run({ kept: isTooLarge ? 0 : REQUESTS_KEPT, bite: ROWS_PER_BITE }).changes;
    const acks = dropAcks.run({ kept: isTooLarge ? 0 : ACKS_KEPT, bite: ROWS_PER_BITE }).changes;
    if (upTo >= oldest || requests > 0 || acks > 0) return true;
    if (!isTooLarge && nextEvent - oldest <= EVENTS_MAX) return false;
    return this.#shed(file, sentTo, nextEvent, isTooLarge);
  }

  /**
   * Unsent events give way: first it is told which, and once the gap event is durable they go. What is left of a run of
   * them is its last hash, on which the next event hangs.
   */
  #shed({ db, statements }: JournalFile, sentTo: number, nextEvent: number, isTooLarge: boolean): boolean {
    const { countEvents, unsentAlarms, unsentEvents, emptyEvents, dropEmpty } = statements;
    if (this.#shedding !== null) {
      const { sequences, before } = this.#shedding;
      if (nextEvent === before) return true;
      db.transaction(() => {
        emptyEvents.run(JSON.stringify(sequences));
        dropEmpty.run(sequences[0], sequences.at(-1));
      })();
      this.#shedding = null;
      return true;
    }
    if (!isTooLarge && (countEvents.pluck().get() as number) <= EVENTS_MAX) return false;
    let sequences = unsentAlarms.pluck().all(sentTo, ROWS_PER_BITE) as number[];
    if (sequences.length === 0) sequences = unsentEvents.pluck().all(sentTo, ROWS_PER_BITE) as number[];
    const [first, last] = [sequences[0], sequences.at(-1)];
    if (first === undefined || last === undefined) return false;
    this.#shedding = { sequences, before: nextEvent };
    this.#tell({ kind: 'shed', first, last, count: sequences.length });
    return true;
  }
}

/** The events up to `sequence` go; what the next one hangs on is noted. */
function dropEvents({ db, statements }: JournalFile, sequence: number): void {
  const newest = statements.eventHash.get(sequence) as { sequence: number; hash: string } | undefined;
  if (newest === undefined) return;
  db.transaction(() => {
    statements.setCleaned.run(JSON.stringify(newest));
    statements.dropEvents.run(newest.sequence);
  })();
}

/** In use, without the pages that are free to be used again. */
function bytesOf({ db }: JournalFile): number {
  const number = (pragma: string) => db.pragma(pragma, { simple: true }) as number;
  return (number('page_count') - number('freelist_count')) * number('page_size');
}
