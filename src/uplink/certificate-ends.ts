// When the certificates that the link rests on end: those of the files, and those that brokers have shown. Pure.
import { isoTime } from '../clock.ts';

export interface CertificateEnd {
  /** The path of the file, or the address of the broker. */
  readonly of: string;
  readonly endsWallMs: number;
}

/** Time enough to have a certificate made and carried to a box. */
const WARNED_MS = 30 * 24 * 3_600_000;

export class CertificateEnds {
  #files: readonly CertificateEnd[] = [];
  readonly #brokers = new Map<string, number>();

  get all(): readonly CertificateEnd[] {
    return [...this.#files, ...[...this.#brokers].map(([of, endsWallMs]) => ({ of, endsWallMs }))];
  }

  /** In place of what the files held before. */
  ofFiles(ends: readonly CertificateEnd[]): void {
    this.#files = ends;
  }

  /** As the broker showed it at the latest connect. */
  ofBroker(url: string, endsWallMs: number): void {
    this.#brokers.set(url, endsWallMs);
  }

  /** Names every certificate that is over or will soon be; null where there is none. */
  due(wallMs: number): string | null {
    const due = this.all.filter(({ endsWallMs }) => endsWallMs - wallMs < WARNED_MS);
    const words = due.map(({ of, endsWallMs }) => `the certificate of ${of} ends at ${isoTime(endsWallMs)}`);
    return words.length === 0 ? null : words.join('; ');
  }
}
