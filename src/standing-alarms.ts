// The alarms that stand and are not part of a feeder's control state, by the part that they are about, as the retained
// status names them.

/** In the order of the status. */
const PARTS = ['measurement', 'program', 'acks', 'sources', 'uplink', 'history'] as const;
type Part = (typeof PARTS)[number];

export class StandingAlarms {
  readonly #byPart = new Map<Part, Map<string, string>>(PARTS.map((part) => [part, new Map()]));

  /** `name` as `place/alarm`; null when it is over. Two keys of one name are one alarm. */
  set(part: Part, key: string, name: string | null): void {
    const standing = this.#byPart.get(part);
    if (name === null) standing?.delete(key);
    else standing?.set(key, name);
  }

  names(): string[] {
    return [...new Set([...this.#byPart.values()].flatMap((standing) => [...standing.values()]))];
  }
}
