// An alarm that comes and goes all day would push everything else out of the sequence of events. So the first few of a
// kind within ten minutes are events as they come; of those that follow, one event stands for all of the next ten
// minutes: the last of them, with how many there were and when the first came. Pure: time is handed in.
import type { Event } from './messages.ts';

/** As the controller drafts an event, as far as this file looks at it. */
export type AlarmDraft = Pick<Event, 'type' | 'feederId' | 'at'> &
  Partial<Pick<Event, 'phase' | 'element' | 'alarm' | 'sourceId' | 'requestId' | 'count' | 'firstAt'>>;

const WINDOW_MS = 600_000;
/** Coming and going twice. */
const PASSED_PER_WINDOW = 4;
const JOINED: ReadonlySet<Event['type']> = new Set(['alarm', 'alarmEnd', 'blind', 'quality', 'source', 'link']);

interface Kind<D> {
  sinceMs: number;
  passed: number;
  held: { readonly first: D; last: D; count: number } | null;
}

export class JoinedAlarms<D extends AlarmDraft> {
  readonly #kinds = new Map<string, Kind<D>>();

  /** Those that are events of their own; the others are held until `due` gives them. */
  pass(drafts: readonly D[], nowMs: number): D[] {
    return drafts.filter((draft) => !JOINED.has(draft.type) || this.#passes(draft, nowMs));
  }

  /** What was held for long enough, joined; with an infinite time everything that is held. */
  due(nowMs: number): D[] {
    const joined: D[] = [];
    for (const [key, kind] of this.#kinds) {
      if (nowMs - kind.sinceMs < WINDOW_MS) continue;
      if (kind.held === null) this.#kinds.delete(key);
      else joined.push(this.#release(kind, nowMs, kind.held));
    }
    return joined;
  }

  /** `due` has something to give. */
  isDue(nowMs: number): boolean {
    return [...this.#kinds.values()].some(({ held, sinceMs }) => held !== null && nowMs - sinceMs >= WINDOW_MS);
  }

  #passes(draft: D, nowMs: number): boolean {
    // What became of a request is no repetition: each request has its own.
    if (draft.requestId !== undefined) return true;
    const kind = this.#kindOf(draft, nowMs);
    if (kind.passed < PASSED_PER_WINDOW) {
      kind.passed += 1;
      return true;
    }
    if (kind.held === null) kind.held = { first: draft, last: draft, count: 1 };
    else {
      kind.held.last = draft;
      kind.held.count += 1;
    }
    return false;
  }

  /** The coming and the going of one alarm are of one kind, so that the last of them says how it stands. */
  #kindOf({ feederId, sourceId, alarm, element, phase, type }: D, nowMs: number): Kind<D> {
    const key = [feederId, sourceId, alarm ?? type, element, phase].join('/');
    const known = this.#kinds.get(key);
    if (known !== undefined) return known;
    const kind = { sinceMs: nowMs, passed: 0, held: null };
    this.#kinds.set(key, kind);
    return kind;
  }

  #release(kind: Kind<D>, nowMs: number, { first, last, count }: NonNullable<Kind<D>['held']>): D {
    kind.held = null;
    kind.sinceMs = nowMs;
    return count === 1 ? last : { ...last, count, firstAt: first.at };
  }
}
