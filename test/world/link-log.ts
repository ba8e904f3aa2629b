// When something could be said, in true time: the program ran, its link was up and led to a broker that took things. A
// request may go unsaid only where this never was so for long enough before it expired.

/** Longer than a PUBACK may take, a refusal holds back, and the way up takes. */
const ENOUGH_MS = 30_000;

export class LinkLog {
  readonly #good: { readonly fromMs: number; toMs: number }[] = [];
  #isGood = false;

  begin(nowMs: number): void {
    if (this.#isGood) return;
    this.#isGood = true;
    this.#good.push({ fromMs: nowMs, toMs: Number.POSITIVE_INFINITY });
  }

  /** Also where it was not good: a crash, a cut, a wire that is dead and nobody knows. */
  end(nowMs: number): void {
    const last = this.#good.at(-1);
    if (this.#isGood && last !== undefined) last.toMs = nowMs;
    this.#isGood = false;
  }

  couldSay(fromMs: number, toMs: number): boolean {
    return this.#good.some((good) => Math.min(good.toMs, toMs) - Math.max(good.fromMs, fromMs) >= ENOUGH_MS);
  }
}
