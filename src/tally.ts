// What has happened since the program began, counted as an observer of the controller, and the latest reading of each
// feeder: what the metrics show beside what stands at the moment.
import type { Observer } from './controller.ts';
import type { FeederReading } from './feeder.ts';

/** How often, by labels. */
class Count<Labels extends string> {
  readonly #counted = new Map<string, { readonly labels: { readonly [L in Labels]: string }; times: number }>();

  add(labels: { readonly [L in Labels]: string }): void {
    const key = Object.values(labels).join('\0');
    const entry = this.#counted.get(key);
    if (entry === undefined) this.#counted.set(key, { labels, times: 1 });
    else entry.times += 1;
  }

  entries() {
    return [...this.#counted.values()];
  }
}

export class Tally implements Observer {
  readonly latest = new Map<string, FeederReading>();
  readonly events = new Count<'type'>();
  readonly requests = new Count<'feeder' | 'action'>();
  readonly acks = new Count<'status'>();
  readonly scans = new Count<'source'>();
  linkLosses = 0;
  #up = false;

  reading(reading: FeederReading): void {
    this.latest.set(reading.feederId, reading);
  }

  event({ type }: Parameters<Required<Observer>['event']>[0]): void {
    this.events.add({ type });
  }

  request({ feederId, action }: Parameters<Required<Observer>['request']>[0]): void {
    this.requests.add({ feeder: feederId, action });
  }

  ack({ status }: Parameters<Required<Observer>['ack']>[0]): void {
    this.acks.add({ status });
  }

  link(up: boolean): void {
    if (this.#up && !up) this.linkLosses += 1;
    this.#up = up;
  }

  /** A poll or a notification of this source has been judged. */
  scanned(sourceId: string): void {
    this.scans.add({ source: sourceId });
  }
}
