// A first look at a trace, for feeders that are stepped together: what is a gap on each, and from when to when each has
// readings, so that nobody has to wait for one that does not come.
import type { Row, TraceSink } from '../trace/sink.ts';
import { TraceCounts } from './trace-counts.ts';

export class Survey implements TraceSink {
  readonly #counts = new Map<string, TraceCounts>();
  readonly #slots: TraceCounts[] = [];

  slotOf(feeder: string): number {
    const counts = this.#counts.get(feeder) ?? new TraceCounts();
    this.#counts.set(feeder, counts);
    return this.#slots.push(counts) - 1;
  }

  reading(slot: number, row: Row): boolean {
    return this.#slots[slot]?.comes(row[0] as number) ?? false;
  }

  // All else is for the second reading to tell.
  broken(): void {}
  timeForm(): void {}
  note(): void {}

  /** What was seen of a feeder; null where it has no reading. */
  of(feeder: string): { readonly gapMs: number; readonly firstMs: number; readonly lastMs: number } | null {
    const counts = this.#counts.get(feeder);
    if (counts === undefined || counts.readings === 0) return null;
    return { gapMs: counts.ownGapMs, firstMs: counts.firstMs, lastMs: counts.lastMs };
  }
}
