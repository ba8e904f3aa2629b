// Which broker is next, and what it is spoken to in: the list in order of preference, walked at each failure and begun
// anew once a link has stood. MQTT 5 is tried first unless the settings say otherwise. Pure.
import type { UplinkSettings } from '../uplink-settings.ts';

export class BrokerList {
  readonly #brokers: UplinkSettings['brokers'];
  readonly #spoken = new Map<string, 4 | 5>();
  #index = 0;

  constructor(brokers: UplinkSettings['brokers']) {
    this.#brokers = brokers;
  }

  get url(): string {
    return this.#brokers[this.#index]?.url ?? '';
  }

  /** Brokers that would be better than the present one, the best first. */
  get preferred(): readonly string[] {
    return this.#brokers.slice(0, this.#index).map(({ url }) => url);
  }

  get version(): 4 | 5 {
    const { protocol } = this.#present;
    if (protocol !== 'auto') return protocol === 'mqtt5' ? 5 : 4;
    return this.#spoken.get(this.url) ?? 5;
  }

  /** Whether 3.1.1 may be tried in place of the 5 that did not work. */
  get mayBeOlder(): boolean {
    return this.#present.protocol === 'auto' && this.version === 5;
  }

  /** For the next connection to this broker, until it is told otherwise. */
  speak(version: 4 | 5): void {
    this.#spoken.set(this.url, version);
  }

  /** True where every broker of the list has been tried: the next is the first again. */
  next(): boolean {
    this.#index = (this.#index + 1) % this.#brokers.length;
    return this.#index === 0;
  }

  /** A link had stood: what is best is tried first again. */
  restart(): void {
    this.#index = 0;
  }

  choose(url: string): void {
    this.#index = Math.max(
      0,
      this.#brokers.findIndex((broker) => broker.url === url),
    );
  }

  get #present() {
    return this.#brokers[this.#index] ?? { protocol: 'auto' as const };
  }
}
